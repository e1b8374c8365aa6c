"""What a repository is called, whose it is, and what it has released."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dagkit import names
from dagkit.adopt.tree import Fact, History, Sight, Tree
from dagkit.adopt.workflows import Workflow
from dagkit.pipeline import ANSWERS_FILE

_SYNONYMS = {
    "owner": ("owner", "github_username", "github_user", "author_github", "github_handle"),
    "email": ("email", "author_email", "owner_email", "maintainer_email"),
    "description": ("description", "project_description", "short_description"),
    "project": ("project", "airflow_project"),
    "pipeline": ("pipeline", "dag_name", "workflow"),
}
"""What other templates call the answers to our questions."""

DESCRIPTION_MAX = 90


@dataclass(frozen=True)
class OtherTemplate:
    """An answers file that a repository has already.

    Attributes:
        path: The file.
        src: The template's address.
        answers: What it says.
    """

    path: str
    src: str
    answers: Mapping[str, Any]

    @property
    def moved(self) -> str:
        """Where the file goes, so that the repository can still be updated from that template."""
        name = re.sub(r"\.git$", "", self.src.rstrip("/")).rpartition("/")[2].rpartition(":")[2]
        return f".copier-answers.{re.sub(r'[^A-Za-z0-9_-]+', '-', name).strip('-') or 'other'}.yml"


def answers_file(root: Path) -> OtherTemplate | None:
    """The answers file that a repository has, from whichever template."""
    path = root / ANSWERS_FILE
    if not path.is_file():
        return None
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8", errors="replace"))
    except yaml.YAMLError:
        said = None
    answers = said if isinstance(said, dict) else {}
    return OtherTemplate(ANSWERS_FILE, str(answers.get("_src_path", "")), answers)


def look(
    tree: Tree,
    history: History,
    pushes: Workflow | None,
    other: OtherTemplate | None,
    given: Mapping[str, str],
) -> tuple[tuple[Fact, ...], tuple[Sight, ...]]:
    """Find the names, the people, the platform's settings, and the releases."""
    facts = [
        *_repository(tree, history, pushes, given),
        *_release(history),
        *_from_answers(tree, other),
        *_people(tree, history),
    ]
    facts += _description(tree)
    sights = []
    if history.tags:
        sights.append(Sight("tags", _some(sorted(history.tags, key=_version, reverse=True)), "git tag"))
    if other is not None:
        sights.append(Sight("another template's answers", other.src or "of an unknown template", other.path))
    return tuple(facts), tuple(sights)


def on_github(remote: str | None) -> tuple[str, str] | None:
    """Organisation and repository of an address on GitHub; None for an address elsewhere."""
    match = re.search(r"github\.com[:/]+([A-Za-z0-9-]+)/([A-Za-z0-9_.-]+?)(?:\.git)?/?$", remote or "")
    return (match[1], match[2]) if match else None


def _repository(
    tree: Tree, history: History, pushes: Workflow | None, given: Mapping[str, str]
) -> Iterator[Fact]:
    github = on_github(history.remote)
    name, where = (github[1], "git remote") if github else (tree.root.name, "the folder's name")
    name_in_git = re.sub(r"\.git$", "", (history.remote or "").rstrip("/")).rpartition("/")[2]
    if not github and _repository_name(name_in_git):
        name, where = name_in_git, "git remote"
    name, where = (given["repository"], "as you said") if "repository" in given else (name, where)
    if _repository_name(name):
        yield Fact("repository", name, where)
    if pushes and pushes.image:
        image = names.ecr_repository(pushes.image.value)
        if names.matches(r"[a-z0-9]+(-[a-z0-9]+)*", image) and 2 <= len(image) <= names.REPOSITORY_MAX:
            yield Fact("image", image, f"{pushes.path}:{pushes.image.line}")
    if _repository_name(name):
        yield Fact("image", names.ecr_repository(name), f"the repository's name ({where})")
    if github:
        yield Fact("organisation", github[0], "git remote")
    for question, said in (("ecr_account", "account"), ("ecr_region", "region"), ("push_role", "role")):
        if pushes and (value := getattr(pushes, said)):
            yield Fact(question, value.value, f"{pushes.path}:{value.line}")


def _repository_name(name: str) -> bool:
    return names.matches(names.REPOSITORY, name) and names.REPOSITORY_MIN <= len(name) <= names.REPOSITORY_MAX


def _release(history: History) -> Iterator[Fact]:
    releases = [tag for tag in history.tags if re.fullmatch(r"v\d+\.\d+\.\d+", tag)]
    if releases:
        yield Fact("release", max(releases, key=_version), "git tag")


def _version(tag: str) -> tuple[tuple[int, ...], str]:
    return tuple(int(number) for number in re.findall(r"\d+", tag)), tag


def _some(words: list[str]) -> str:
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")


def _from_answers(tree: Tree, other: OtherTemplate | None) -> Iterator[Fact]:
    """Answers to other templates' questions, where they are answers to ours."""
    said: list[tuple[str, Mapping[str, Any]]] = [(other.path, other.answers)] if other else []
    if tree.has(".cruft.json"):
        try:
            context = json.loads(tree.text(".cruft.json")).get("context", {}).get("cookiecutter", {})
            said.append((".cruft.json", context))
        except (ValueError, AttributeError):
            pass
    for path, answers in said:
        for question, synonyms in _SYNONYMS.items():
            for key in synonyms:
                value = answers.get(key)
                if isinstance(value, str) and acceptable(question, value):
                    line = tree.first(path, rf"{re.escape(key)}\W") if tree.has(path) else None
                    yield Fact(question, value, f"{path}:{line[0]}" if line else path)


def acceptable(question: str, value: str) -> bool:
    """Whether the template would take a value that was found."""
    if question == "owner":
        return names.matches(names.OWNER, value) and len(value) <= names.OWNER_MAX
    if question == "email":
        return names.matches(names.EMAIL, value) and len(value) <= 100 and "noreply" not in value
    if question == "project":
        return names.matches(names.PROJECT, value) and len(value) <= names.PROJECT_MAX
    if question == "pipeline":
        return names.matches(names.PIPELINE, value) and len(value) <= names.PROJECT_MAX
    if question == "description":
        plain = value.isprintable() and value == value.strip() and value.isascii()
        return plain and 0 < len(value) <= DESCRIPTION_MAX and not re.search(r"[\\\"'`{}<>\[\]|]", value)
    return True


def _people(tree: Tree, history: History) -> Iterator[Fact]:
    for path in ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS"):
        found = tree.first(path, r"^[^#]*?@([A-Za-z0-9-]+)(?:\s|$)") if tree.has(path) else None
        if found and acceptable("owner", found[1][1]):
            yield Fact("owner", found[1][1], f"{path}:{found[0]}")
    for path, pattern in (
        ("pyproject.toml", r"email\s*=\s*[\"']([^\"']+)"),
        ("DESCRIPTION", r"([\w.+-]+@[\w.-]+\w)"),
    ):
        if tree.has(path) and (found := tree.first(path, pattern)) and acceptable("email", found[1][1]):
            yield Fact("email", found[1][1], f"{path}:{found[0]}")
    if history.email and acceptable("email", history.email):
        yield Fact("email", history.email, "git config user.email")


def _description(tree: Tree) -> Iterator[Fact]:
    if tree.has("pyproject.toml"):
        try:
            settings = tomllib.loads(tree.text("pyproject.toml"))
        except tomllib.TOMLDecodeError:
            settings = {}
        for table in (settings.get("project"), settings.get("tool", {}).get("poetry")):
            value = table.get("description") if isinstance(table, dict) else None
            if isinstance(value, str) and acceptable("description", value):
                line = tree.first("pyproject.toml", r"^description\b")
                yield Fact("description", value, f"pyproject.toml:{line[0] if line else 1}")
    found = tree.first("DESCRIPTION", r"^Title:\s*(.+?)\s*$") if tree.has("DESCRIPTION") else None
    if found and acceptable("description", found[1][1]):
        yield Fact("description", found[1][1], f"DESCRIPTION:{found[0]}")
    for path in tree.named(r"(?i:readme\.(md|rst|txt))")[:1]:
        if "/" not in path and (found := tree.first(path, r"^([A-Z][^#\[!<|]{9,})$")):
            sentence = found[1][1].split(". ")[0].strip().rstrip(".")
            if acceptable("description", sentence):
                yield Fact("description", sentence, f"{path}:{found[0]}")

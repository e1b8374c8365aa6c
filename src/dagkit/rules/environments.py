"""DK5: environments. What is in one stays out of the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dagkit.rules import examples
from dagkit.rules.base import Finding, Place, Rule
from dagkit.rules.facts import WRITES, DagFile, Pod, Role, S3Path, pattern_matches
from dagkit.rules.history import History
from dagkit.rules.pods import split_image
from dagkit.rules.subject import Subject
from dagkit.rules.values import is_text

PROD_DAG = "environments/prod/dags/example/daily.py"
PROD_ROLE_PATH = "environments/prod/roles/airflow_prod_example_daily.yaml"
PROD_ROLE = (
    "iam_role_name: airflow_prod_example_daily\n\ns3:\n  read_write:\n    - alpha-example/{folder}/*\n"
)
PROD = examples.DAG.replace('ENVIRONMENT = "dev"', 'ENVIRONMENT = "prod"')


class WrongEnvironment(Rule):
    """A DAG says the environment that it is in, and names no other."""

    code = "DK501"
    name = "other-environment"
    why = "ENVIRONMENT decides the cluster, the role and the paths: saying prod in dev works on prod's data."
    bad = examples.whole(examples.DAG.replace('ENVIRONMENT = "dev"', 'ENVIRONMENT = "prod"'))
    good = examples.whole(examples.DAG)

    def check(self, dag_file: DagFile, subject: Subject) -> Iterator[Finding]:
        """In its settings, its imports and its operators."""
        source, own = dag_file.source, dag_file.environment
        node = dag_file.scope.assigned.get("ENVIRONMENT")
        said = dag_file.scope.value(node)
        if node is not None and isinstance(said, str) and said != own:
            yield self.finding(
                source.place(node),
                f"ENVIRONMENT is '{said}', and the DAG is in {own}",
                f'Write ENVIRONMENT = "{own}".',
            )
        else:
            yield from self._pods(dag_file, subject)
        for each in dag_file.imports:
            if each.module.split(".")[0] == "environments":
                yield self.finding(
                    each.place,
                    f"'{each.module}' is part of an environment's folder",
                    f"Put what is shared into imports/{dag_file.project}_….py.",
                )

    def _pods(self, dag_file: DagFile, subject: Subject) -> Iterator[Finding]:
        own, found = dag_file.environment, subject.layout.settings.environments if subject.layout else {}
        clusters = {each.cluster: name for name, each in found.items() if each.cluster != found[own].cluster}
        for task in dag_file.tasks:
            given = task.call.value("environment")
            if not is_text(given) and task.facts:
                given = clusters.get(task.facts["cluster"] or "")
            if is_text(given) and given in subject.environments and given != own:
                yield self.finding(
                    task.place("environment", "cluster_context"),
                    f"The pod runs in {given}, and the DAG is in {own}",
                    "Write environment=ENVIRONMENT.",
                )


class PathOfOtherEnvironment(Rule):
    """A DAG names no path that only another environment's roles may write."""

    code = "DK502"
    name = "path-of-other-environment"
    why = "It was left over when the DAG was copied: the run is refused, or mixes up the data."
    bad = examples.in_task(
        'env_vars={"RUN": "write", "OUTPATH": "s3://alpha-example/prod/text.txt"},',
        also={PROD_DAG: PROD, PROD_ROLE_PATH: PROD_ROLE.format(folder="prod")},
    )
    good = examples.in_task(
        'env_vars={"RUN": "write", "OUTPATH": f"s3://alpha-example/{ENVIRONMENT}/text.txt"},',
        also={PROD_DAG: PROD, PROD_ROLE_PATH: PROD_ROLE.format(folder="prod")},
    )

    def check(self, pod: Pod, roles: Mapping[str, Mapping[str, Role]], subject: Subject) -> Iterator[Finding]:
        """In the environment variables of its pods."""
        own = roles.get(pod.task.environment, {}).get(pod.role if is_text(pod.role) else "")
        for name, value in pod.variables.items():
            if not isinstance(value, str) or not value.startswith("s3://"):
                continue
            path = value.removeprefix("s3://")
            if own is None or any(each.grant != "deny" and _covers(each.text, path) for each in own.paths):
                continue
            for environment in subject.environments:
                theirs = roles.get(environment, {}) if environment != pod.task.environment else {}
                role = next(
                    (r for r in theirs.values() if any(_writes(each, path) for each in r.paths)), None
                )
                if role is not None:
                    yield self.finding(
                        pod.place("env_vars"),
                        f"'{name}' is a path of {environment} ({value}),"
                        f" and the DAG is in {pod.task.environment}",
                        'Build it from the environment: f"s3://…/{ENVIRONMENT}/…".',
                        related=(role.path,),
                    )
                    break


def _writes(path: S3Path, wanted: str) -> bool:
    return path.grant in WRITES and _covers(path.text, wanted)


def _covers(pattern: str, path: str) -> bool:
    return path.startswith(_fixed(pattern)) and pattern_matches(pattern, path)


class SharedWrite(Rule):
    """Roles of different environments never write to the same path."""

    code = "DK503"
    name = "shared-write"
    why = "A test in dev would overwrite what prod has published."
    bad = examples.Example(
        f"# {examples.ROLE_PATH}\ns3:\n  read_write:\n    - alpha-example/dev/*\n\n"
        f"# {PROD_ROLE_PATH}\ns3:\n  read_write:\n    - alpha-example/dev/daily/*\n",
        {PROD_DAG: PROD, PROD_ROLE_PATH: PROD_ROLE.format(folder="dev/daily")},
    )
    good = examples.Example(
        f"# {examples.ROLE_PATH}\ns3:\n  read_write:\n    - alpha-example/dev/*\n\n"
        f"# {PROD_ROLE_PATH}\ns3:\n  read_write:\n    - alpha-example/prod/*\n",
        {PROD_DAG: PROD, PROD_ROLE_PATH: PROD_ROLE.format(folder="prod")},
    )

    def check(self, subject: Subject, roles: Mapping[str, Mapping[str, Role]]) -> Iterator[Finding]:
        """Neither the same, nor one within the other; reported at the later environment's role."""
        by_bucket: dict[str, list[tuple[int, Role, S3Path]]] = {}
        wild: list[tuple[int, Role, S3Path]] = []
        for order, environment in enumerate(subject.environments):
            for role in roles.get(environment, {}).values():
                for path in role.paths:
                    if path.grant in WRITES:
                        where = (
                            wild if re.search(r"[*?]", path.bucket) else by_bucket.setdefault(path.bucket, [])
                        )
                        where.append((order, role, path))
        for paths in (*by_bucket.values(), wild):
            yield from self._within([*paths, *(wild if paths is not wild else [])])

    def _within(self, paths: list[tuple[int, Role, S3Path]]) -> Iterator[Finding]:
        seen: set[tuple[Place, str]] = set()
        if len({order for order, _, _ in paths}) < 2:
            return
        # in this order, all that begins like a path comes right after it
        paths = sorted(paths, key=lambda each: (_fixed(each[2].text), each[2].text))
        for position, (order, role, path) in enumerate(paths):
            start = _fixed(path.text)
            for other_order, other_role, other in paths[position + 1 :]:
                if not _fixed(other.text).startswith(start):
                    break
                if order == other_order or not overlap(path.text, other.text):
                    continue
                later, earlier = (
                    ((role, path), (other_role, other))
                    if order > other_order
                    else ((other_role, other), (role, path))
                )
                if (later[1].place, earlier[0].path) not in seen:
                    seen.add((later[1].place, earlier[0].path))
                    yield self.finding(
                        later[1].place,
                        f"'{later[1].text}' may also be written by {earlier[0].environment}:"
                        f" '{earlier[1].text}' in {earlier[0].path}:{earlier[1].place.line}",
                        f"Give each environment a folder of its own: …/{later[0].environment}/*.",
                        related=(earlier[0].path,),
                    )


def _fixed(pattern: str) -> str:
    """What a pattern begins with, before its first wildcard."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def overlap(one: str, other: str) -> bool:
    """Whether there is a text that fits both patterns (``*`` any text, ``?`` one character).

    >>> overlap("bucket/a/*", "bucket/a/b/*"), overlap("bucket/*/x", "bucket/y/*"), overlap("b/a*", "b/b*")
    (True, True, False)
    """
    # which rests of `one` may still be matched after each character of `other`; both are short
    reach = {0}
    reach = _over_stars(one, reach)
    for character in other:
        if character == "*":
            # any text: everything behind what is reached is reached too
            reach = set(range(min(reach), len(one) + 1)) if reach else set()
            continue
        following: set[int] = set()
        for at in reach:
            if at < len(one):
                if one[at] == "*":
                    following.add(at)
                elif one[at] == "?" or character == "?" or one[at] == character:
                    following.add(at + 1)
        reach = _over_stars(one, following)
    return len(one) in reach


def _over_stars(pattern: str, reach: set[int]) -> set[int]:
    found = set(reach)
    stack = list(reach)
    while stack:
        at = stack.pop()
        if at < len(pattern) and pattern[at] == "*" and at + 1 not in found:
            found.add(at + 1)
            stack.append(at + 1)
    return found


class NotTriedInDev(Rule):
    """Prod runs only images that dev has run."""

    code = "DK504"
    name = "not-tried-in-dev"
    why = "The first run of a release should not be the one that counts."
    severity = "warning"
    bad = examples.Example(
        'RELEASE = "v2.0.0"  # in prod; dev is still at v1.0.0',
        {PROD_DAG: PROD.replace("v1.0.0", "v2.0.0"), PROD_ROLE_PATH: PROD_ROLE.format(folder="prod")},
    )
    good = examples.Example(
        'RELEASE = "v1.0.0"  # in dev and in prod',
        {PROD_DAG: PROD, PROD_ROLE_PATH: PROD_ROLE.format(folder="prod")},
    )

    def check(self, subject: Subject, dag_files: tuple[DagFile, ...], history: History) -> Iterator[Finding]:
        """By what dev's DAGs name now, or have named before as far as git knows."""
        first, *others = subject.environments
        images: dict[str, dict[str, list[Pod]]] = {}
        for file in dag_files:
            for task in file.tasks:
                if task.pod and is_text(task.pod.image):
                    images.setdefault(file.environment, {}).setdefault(task.pod.image, []).append(task.pod)
        for environment in others:
            for image, pods in images.get(environment, {}).items():
                tag = split_image(image)[2]
                if image in images.get(first, {}) or not tag or history.has_named(first, tag):
                    continue
                for pod in pods:
                    yield self.finding(
                        pod.place("release", "image"),
                        f"{first} has never run '{split_image(image)[1]}:{tag}'",
                        f"Submit the release to {first} first, and see it run there.",
                    )

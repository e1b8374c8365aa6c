"""Image repositories as people made them by hand, before there was a template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.generate import commit_all, git

Files = Mapping[str, str]

OLD_WORKFLOW = """\
name: Build, tag, push, and make available image to pods
on:
  push:
    tags: ["v*.*.*"]
env:
  REPOSITORY: {image}
jobs:
  push-to-ecr:
    runs-on: ubuntu-20.04
    permissions:
      id-token: write
      contents: read
    steps:
      - uses: actions/checkout@v2
      - uses: aws-actions/configure-aws-credentials@v1
        with:
          role-to-assume: arn:aws:iam::189157455002:role/data-engineering-ga-ecr
          aws-region: eu-west-1
      - name: Login to Amazon ECR
        id: login-ecr
        uses: aws-actions/amazon-ecr-login@v1
      - name: Build and push
        env:
          REGISTRY: ${{{{ steps.login-ecr.outputs.registry }}}}
        run: |
          docker build -t $REGISTRY/$REPOSITORY:${{{{ github.ref_name }}}} {context}
          docker push $REGISTRY/$REPOSITORY:${{{{ github.ref_name }}}}
"""

ACTION_WORKFLOW = """\
name: release
on:
  release:
    types: [published]
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: pipx run ruff check .
  image:
    runs-on: ubuntu-22.04
    steps:
      - uses: actions/checkout@v4
      - uses: aws-actions/amazon-ecr-login@v2
      - uses: docker/build-push-action@v5
        with:
          context: .
          file: docker/Dockerfile
          target: prod
          build-args: VERSION=1
          push: true
          tags: 189157455002.dkr.ecr.eu-west-2.amazonaws.com/court-counts:latest
"""

MAIN_PY = """\
import os

target = os.environ["OUTPUT"]
print("would write to", target)
"""

MAIN_R = 'cat("would write to", Sys.getenv("OUTPUT"), "\\n")\n'


@dataclass(frozen=True)
class Shape:
    """A repository.

    Attributes:
        files: What is in it, by path; {base} stands for a base image.
        remote: The address of its remote.
        tags: Its tags.
        say: The answers that nothing in it gives.
        found: Answers that it gives, each with where.
        hinders: Where something stands in the way, and a word of what; most important first.
    """

    files: Files
    remote: str | None = None
    tags: tuple[str, ...] = ()
    say: tuple[str, ...] = ("project=prisons", "owner=octocat")
    found: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    hinders: tuple[tuple[str, str], ...] = ()

    def make(self, folder: Path, base: str = "python:3.13-slim") -> Path:
        """Make it, as one commit on main."""
        for path, text in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text.replace("{base}", base))
        commit_all(folder)
        if self.remote:
            git(folder, "remote", "add", "origin", self.remote)
        for tag in self.tags:
            git(folder, "tag", tag)
        return folder


GITHUB = "https://github.com/moj-analytical-services/{}.git"

SHAPES: dict[str, Shape] = {
    "shell-form-entry-point": Shape(
        {
            "Dockerfile": "FROM {base}\n"
            "WORKDIR /app\nCOPY . .\n"
            "RUN chmod -R 777 /app\n"
            "ENTRYPOINT python main.py\n",
            "main.py": MAIN_PY,
            "requirements.txt": "# what it needs\n",
            "README.md": "# Counts\n\nCounts cases by court and month.\n",
            ".gitignore": "*.csv\n",
            ".github/workflows/build-and-push-to-ecr.yml": OLD_WORKFLOW.format(
                image="My_Counts", context="."
            ),
        },
        remote=GITHUB.format("airflow-counts"),
        tags=("v0.2.0", "v0.10.1"),
        found={
            "language": ("python", "Dockerfile:5"),
            "repository": ("airflow-counts", "git remote"),
            "image": ("my-counts", ".github/workflows/build-and-push-to-ecr.yml:6"),
            "release": ("v0.10.1", "git tag"),
            "description": ("Counts cases by court and month", "README.md:3"),
            "dependabot": ("pip", "requirements.txt"),
        },
        hinders=(
            ("Dockerfile:5", "shell-form"),
            ("Dockerfile:5", "runs as root"),
            ("Dockerfile:4", "chmod -R 777"),
        ),
    ),
    "cmd-only": Shape(
        {
            "Dockerfile": "FROM python:latest\nENV API_TOKEN=abcdef123456\n"
            "RUN pip install pandas boto3==1.44.5\nCOPY main.py .\nUSER 1001\n"
            'CMD ["python", "main.py"]\n',
            "main.py": MAIN_PY,
            "CODEOWNERS": "* @moj-analytical-services/team @court-analyst\n",
            ".github/dependabot.yml": "version: 2\nupdates: []\n",
            ".github/workflows/tests.yml": "on: push\njobs:\n  test:\n    runs-on: ubuntu-18.04\n"
            "    steps:\n      - run: 'true'\n",
            "dags/counts.py": "from airflow import DAG\nfrom datetime import datetime\n\n"
            'with DAG("courts.counts", schedule_interval="0 6 * * MON", catchup=False) as dag:\n'
            "    pass\n",
            "dags/iam.yaml": "iam_role_name: airflow_dev_courts_counts\n"
            "s3:\n  read_write:\n    - alpha-courts/counts/dev/*\n",
        },
        say=("schedule=@daily",),
        found={
            "language": ("python", "Dockerfile:6"),
            "owner": ("court-analyst", "CODEOWNERS:1"),
            "project": ("courts", "dags/counts.py:4"),
            "pipeline": ("counts", "dags/counts.py:4"),
            "output": ("s3://alpha-courts/counts", "dags/iam.yaml:4"),
            "dependabot": ("own", ".github/dependabot.yml"),
        },
        hinders=(
            ("Dockerfile:2", "a secret, by its name (API_TOKEN)"),
            (".github/workflows/tests.yml:4", "ubuntu-18.04"),
            ("Dockerfile:1", "latest"),
            ("Dockerfile:3", "pandas"),
        ),
    ),
    "no-dockerfile": Shape(
        {"run.py": MAIN_PY, "pyproject.toml": '[project]\nname = "counts"\ndescription = "Counts cases"\n'},
        say=("project=prisons", "owner=octocat", "dockerfile=Dockerfile", "command=python run.py"),
        found={"language": ("python", "run.py"), "description": ("Counts cases", "pyproject.toml:3")},
        hinders=(("Dockerfile", "no Dockerfile"), ("pyproject.toml", "without a lock file")),
    ),
    "several-dockerfiles": Shape(
        {
            "Dockerfile.train": 'FROM {base}\nCOPY main.py .\nENTRYPOINT ["python", "main.py", "train"]\n',
            "Dockerfile.score": "FROM {base} AS test\nFROM {base}\nCOPY main.py .\nUSER 1337\n"
            'ENTRYPOINT ["python", "main.py"]\n',
            "main.py": MAIN_PY,
            "requirements.txt": "boto3==1.44.5\npandas>=2\n",
            ".env": "MODE=fast\nDB_PASSWORD=hunter2-hunter2\n",
        },
        say=("project=prisons", "owner=octocat", "dockerfile=Dockerfile.score"),
        found={
            "dockerfile": ("Dockerfile.score", "as you said"),
            "test_stage": ("test", "Dockerfile.score:1"),
        },
        hinders=((".env:2", "a secret, by its name (DB_PASSWORD)"), ("requirements.txt:2", "pandas")),
    ),
    "pipfile": Shape(
        {
            "Dockerfile": "FROM python:3.8-slim\nRUN pip install pipenv\nCOPY Pipfile .\n"
            'RUN pipenv install --system\nCOPY main.py .\nUSER 1337\nENTRYPOINT ["python", "main.py"]\n',
            "Pipfile": '[packages]\npandas = "*"\n',
            "main.py": MAIN_PY,
        },
        found={"language": ("python", "Dockerfile:7"), "dependabot": ("pip", "Pipfile")},
        hinders=(("Dockerfile:1", "Python 3.8"), ("Pipfile", "without Pipfile.lock")),
    ),
    "conda": Shape(
        {
            "Dockerfile": "FROM continuumio/miniconda3:24.1.2-0\nCOPY environment.yml .\n"
            "RUN conda env update --name base --file environment.yml\nCOPY . .\nUSER 1337\n"
            'ENTRYPOINT ["python", "main.py"]\n',
            "environment.yml": "name: counts\ndependencies:\n  - python=3.11\n  - pandas\n"
            "  - pip:\n    - boto3\n",
            "main.py": MAIN_PY,
            ".dockerignore": ".git\n",
        },
        found={"dependabot": ("conda", "environment.yml")},
        hinders=(("environment.yml:4", "pandas, boto3"),),
    ),
    "packrat": Shape(
        {
            "Dockerfile": "FROM rocker/r-ver:3.5.1\nCOPY packrat packrat\n"
            "RUN R -e 'install.packages(\"packrat\"); packrat::restore()'\nCOPY run.R .\n"
            "CMD Rscript run.R\n",
            "packrat/packrat.lock": "PackratFormat: 1.4\n",
            "packrat/init.R": "# packrat\n",
            "run.R": MAIN_R,
            "DESCRIPTION": "Package: counts\nTitle: Counts of cases\nAuthor: A <r.person@justice.gov.uk>\n",
        },
        found={
            "language": ("r", "Dockerfile:5"),
            "email": ("r.person@justice.gov.uk", "DESCRIPTION:3"),
            "description": ("Counts of cases", "DESCRIPTION:2"),
            "dependabot": ("none", "packrat/packrat.lock"),
        },
        hinders=(
            ("Dockerfile:5", "shell-form"),
            ("Dockerfile:5", "runs as root"),
            ("packrat/packrat.lock", "packrat"),
            ("Dockerfile:3", "packrat"),
        ),
    ),
    "monorepo": Shape(
        {
            "images/counts/Dockerfile": "FROM {base}\nWORKDIR /app\nCOPY main.py requirements.txt ./\n"
            'USER 1337\nENTRYPOINT ["python", "/app/main.py"]\n',
            "images/counts/main.py": MAIN_PY,
            "images/counts/requirements.txt": "# nothing\n",
            "images/other/Dockerfile": "FROM rocker/r-ver:4.5\nCMD R\n",
            ".github/workflows/counts.yaml": OLD_WORKFLOW.format(image="counts", context="./images/counts"),
        },
        found={
            "dockerfile": ("images/counts/Dockerfile", ".github/workflows/counts.yaml"),
            "context": ("images/counts", ".github/workflows/counts.yaml:26"),
            "image": ("counts", ".github/workflows/counts.yaml:6"),
            "language": ("python", "images/counts/Dockerfile:5"),
        },
    ),
    "another-template": Shape(
        {
            ".copier-answers.yml": "_commit: 1.2.0\n_src_path: gh:example/airflow-template.git\n"
            "author_email: other.person@justice.gov.uk\ngithub_username: other-person\nproject: courts\n",
            "docker/Dockerfile": "FROM {base} AS prod\nCOPY scripts scripts\nUSER 1337\n"
            'ENTRYPOINT ["python", "scripts/main.py"]\nFROM prod AS dev\n',
            "scripts/main.py": MAIN_PY,
            ".github/workflows/release.yml": ACTION_WORKFLOW,
        },
        say=(),
        found={
            "owner": ("other-person", ".copier-answers.yml:4"),
            "email": ("other.person@justice.gov.uk", ".copier-answers.yml:3"),
            "project": ("courts", ".copier-answers.yml:5"),
            "dockerfile": ("docker/Dockerfile", ".github/workflows/release.yml:19"),
            "context": (".", ".github/workflows/release.yml:18"),
            "target": ("prod", ".github/workflows/release.yml:20"),
            "image": ("court-counts", ".github/workflows/release.yml:23"),
            "ecr_region": ("eu-west-2", ".github/workflows/release.yml:23"),
        },
        hinders=((".github/workflows/release.yml", "other work (lint), so it stays"),),
    ),
    "r-without-lock": Shape(
        {
            "Dockerfile": "ARG BASE=rocker/r-ver\nFROM ${BASE}\n"
            "RUN Rscript -e \"install.packages(c('dplyr', 'readr'))\"\n"
            'COPY R R\nUSER 1337\nENTRYPOINT ["Rscript", "R/main.R"]\n',
            "R/main.R": MAIN_R,
            "airflow.Rproj": "Version: 1.0\n",
        },
        found={"language": ("r", "Dockerfile:6")},
        hinders=(
            ("Dockerfile:2", "rocker/r-ver is another one every few weeks: it has no tag"),
            ("Dockerfile:3", "dplyr, readr"),
            ("renv.lock", "which versions of R packages"),
        ),
    ),
}

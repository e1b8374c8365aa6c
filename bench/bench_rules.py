"""How long the rules take: a DAG repository of 1,000 DAGs in 200 projects with 1,000 roles.

    python bench/bench_rules.py [--dags 1000] [--projects 200] [--json]

Everything is measured in one run, side by side: importing Airflow, bare `DagBag` loading of the same folders,
the rules on the files alone, a full validation, and one changed DAG. Each is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dagkit.local import platform_imports
from dagkit.platform import Platform
from dagkit.rules.examples import SETTINGS

DAG = '''\
"""{title}: write a text to S3, then copy it."""

from datetime import UTC, datetime, timedelta

from airflow import DAG
from imports.pipeline_pod import PipelinePodOperator

ENVIRONMENT = "{environment}"
RELEASE = "v1.{minor}.0"

ROLE = f"airflow_{{ENVIRONMENT}}_{project}_{name}"
OUTPUT = f"s3://alpha-{project_dashed}/{{ENVIRONMENT}}/{name}"

with DAG(
    dag_id="{project}.{name}",
    doc_md=__doc__,
    schedule="{minute} 4 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={{"owner": "octocat", "retries": 1, "retry_delay": timedelta(minutes=5)}},
) as dag:
    write = PipelinePodOperator(
        task_id="write",
        repository="{project_dashed}",
        release=RELEASE,
        role=ROLE,
        environment=ENVIRONMENT,
        env_vars={{"RUN": "write", "TEXT": "{{{{ ts }}}}", "OUTPATH": f"{{OUTPUT}}/text.txt"}},
    )
    copy = PipelinePodOperator(
        task_id="copy",
        repository="{project_dashed}",
        release=RELEASE,
        role=ROLE,
        environment=ENVIRONMENT,
        env_vars={{"RUN": "copy", "FROM": f"{{OUTPUT}}/text.txt", "TO": f"{{OUTPUT}}/copy.txt"}},
    )
    write >> copy
'''

ROLE = """\
iam_role_name: airflow_{environment}_{project}_{name}

s3:
  read_only:
    - alpha-shared/lookups/*
  read_write:
    - alpha-{project_dashed}/{environment}/{name}/*
"""

DAGBAG = """
import sys
sys.path.insert(0, sys.argv[1])
from airflow.dag_processing.dagbag import DagBag
for environment in ("dev", "prod"):
    bag = DagBag(f"{sys.argv[1]}/environments/{environment}/dags")
    assert not bag.import_errors, bag.import_errors
    print(len(bag.dags))
"""


def generate(root: Path, dags: int, projects: int) -> None:
    """A DAG repository: half of the DAGs in dev, half in prod, each with a role of its own."""
    (root / "dagkit.toml").write_text(SETTINGS)
    platform_imports.write(Platform(), root)
    for number in range(dags):
        environment = ("dev", "prod")[number % 2]
        place = number // 2
        project, name = f"project_{place % projects}", f"pipeline_{place // projects}"
        facts = {
            "title": f"Pipeline {place}",
            "environment": environment,
            "project": project,
            "project_dashed": project.replace("_", "-"),
            "name": name,
            "minor": place % 7,
            "minute": place % 60,
        }
        folder = root / "environments" / environment / "dags" / project
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(DAG.format(**facts))
        (folder / "README.md").write_text(f"# {project}\n")
        roles = root / "environments" / environment / "roles"
        roles.mkdir(parents=True, exist_ok=True)
        (roles / f"airflow_{environment}_{project}_{name}.yaml").write_text(ROLE.format(**facts))
    git = ["git", "-C", str(root), "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "Start"], check=True)


def seconds(command: list[str], environment: dict[str, str], code: int = 0) -> float:
    """How long a command takes; it has to end with that exit code."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != code:
        raise SystemExit(
            f"{command}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return took


def measure(root: Path, home: Path, times: int) -> dict[str, float]:
    """The best of so many runs of each, in turns."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
    }
    python = sys.executable
    dagkit = [python, "-m", "dagkit"]
    imports = "import airflow.dag_processing.dagbag, airflow.providers.cncf.kubernetes.operators.pod"
    commands = {
        "import Airflow": [python, "-c", imports],
        "bare DagBag": [python, "-c", DAGBAG, str(root)],
        "files alone": [*dagkit, "validate", "--static", str(root)],
        "everything": [*dagkit, "validate", str(root)],
        "one changed DAG": [*dagkit, "validate", "--changed-since", "HEAD", str(root)],
    }
    best: dict[str, float] = {}
    for _ in range(times):
        for name, command in commands.items():
            best[name] = min(best.get(name, float("inf")), seconds(command, environment))
    return best


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dags", type=int, default=1000)
    parser.add_argument("--projects", type=int, default=200)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, home = Path(folder) / "airflow", Path(folder) / "home"
        root.mkdir()
        generate(root, wanted.dags, wanted.projects)
        changed = root / "environments" / "dev" / "dags" / "project_0" / "pipeline_0.py"
        changed.write_text(changed.read_text() + "\n# changed\n")
        best = measure(root, home, wanted.times)
    best["everything / bare DagBag (goal 1.25)"] = best["everything"] / best["bare DagBag"]
    best["one changed DAG - import Airflow (goal 1.5 s)"] = best["one changed DAG"] - best["import Airflow"]
    if wanted.json:
        print(json.dumps(best, indent=2))
        return
    for name, value in best.items():
        print(f"{name:<48} {value:6.2f}")


if __name__ == "__main__":
    main()

"""What an Airflow makes of generated DAGs and of pods.

The python of that Airflow runs this, so it imports nothing of ours. It answers questions until its input
ends. A question is a line of JSON: the name of a function below and its arguments; so is the answer.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts:
- {name: analytical-platform-compute-test, context: {cluster: c, user: u}}
- {name: analytical-platform-compute-production, context: {cluster: c, user: u}}
"""


def load_dags(paths: list[str], imports: str) -> list[dict[str, Any]]:
    """Execute DAG files as Airflow would: what each says, and every warning on the way."""
    import airflow.providers.cncf.kubernetes.operators.pod  # noqa: F401 - its own warnings are not the DAG's
    from airflow import DAG  # noqa: F401 - nor are those of this, which 3.x imports only when asked

    _use(imports)
    return [_load_dag(path) for path in paths]


def _load_dag(path: str) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names: dict[str, Any] = {"__name__": "dag_file", "__file__": path}
        source = Path(path).read_text(encoding="utf-8")
        exec(compile(source, path, "exec"), names)  # noqa: S102 - the file under test
    dag = names["dag"]
    return {
        "warnings": [f"{w.category.__name__} at {w.filename}:{w.lineno}: {w.message}" for w in caught],
        "dag_id": dag.dag_id,
        "description": dag.description,
        "doc_md": dag.doc_md,
        "schedule": dag.schedule if hasattr(dag, "schedule") else dag.schedule_interval,
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "start_date": dag.start_date.isoformat(),
        "owner_links": dag.owner_links,
        "tasks": [
            {
                "task_id": task.task_id,
                "owner": task.owner,
                "retries": task.retries,
                "image": task.image,
                "env_vars": _as_dict(task.env_vars),
                "downstream": sorted(task.downstream_task_ids),
            }
            for task in dag.topological_sort()
        ],
    }


def run_python(path: str, name: str, imports: str) -> Any:
    """Execute a file, and give the value of one of its names."""
    _use(imports)
    names: dict[str, Any] = {"__name__": "dag_file", "__file__": path}
    exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), names)  # noqa: S102
    return names[name]


def _use(imports: str) -> None:
    """Make the package `imports` in this folder the one that DAGs import."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "imports"]:
        del sys.modules[name]
    sys.path[0] = imports


def _as_dict(env_vars: Any) -> dict[str, str]:
    """A dict on new providers; on old ones the operator has made objects of it."""
    return (
        env_vars if isinstance(env_vars, dict) else {variable.name: variable.value for variable in env_vars}
    )


def build_pods(imports: str, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pod that each set of operator arguments makes, as it is sent to Kubernetes; or the error."""
    _use(imports)
    from imports.pipeline_pod import PipelinePodOperator  # type: ignore[import-not-found]
    from kubernetes.client import ApiClient, models

    kubeconfig = Path(tempfile.mkdtemp()) / "config"
    kubeconfig.write_text(KUBECONFIG)
    answers: list[dict[str, Any]] = []
    for task in tasks:
        if "init_containers" in task:
            task["init_containers"] = [models.V1Container(**one) for one in task["init_containers"]]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                operator = PipelinePodOperator(**task)
            except ValueError as error:
                answers.append({"error": str(error)})
                continue
            asked_for: dict[str, Any] = {
                name: getattr(operator, name)
                for name in (
                    "in_cluster",
                    "cluster_context",
                    "config_file",
                    "startup_timeout_seconds",
                    "get_logs",
                )
            }
            asked_for["on_finish_action"] = operator.on_finish_action.value
            operator.config_file = str(kubeconfig)
            pod = ApiClient().sanitize_for_serialization(operator.build_pod_request_obj())
        answers.append(
            {
                "pod": pod,
                "operator": asked_for,
                "warnings": [f"{w.category.__name__}: {w.message}" for w in caught],
            }
        )
    return answers


QUESTIONS: dict[str, Callable[..., Any]] = {
    "load_dags": load_dags,
    "build_pods": build_pods,
    "run_python": run_python,
}


def main() -> None:
    """Answer questions; what Airflow itself prints goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        question, arguments = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"answer": QUESTIONS[question](**arguments)}
        except Exception:
            answer = {"traceback": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

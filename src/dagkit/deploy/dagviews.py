"""DAGs as a reviewer sees them: schedule, tasks, images, roles, order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dagkit.dagrepo import DagRepository
from dagkit.deploy import graph, schedule
from dagkit.rules.facts import DagFile, Task
from dagkit.rules.reading import complete, read_dag_file
from dagkit.rules.source import PythonSource
from dagkit.rules.subject import Subject
from dagkit.rules.values import ABSENT, UNKNOWN, is_text


@dataclass(frozen=True)
class TaskView:
    """A task: its task_id, operator, image with tag and role; None where it has none or nobody can tell."""

    task_id: str
    operator: str
    image: str | None
    role: str | None


@dataclass(frozen=True)
class DagView:
    """A DAG as one state of the repository has it.

    Attributes:
        dag_id: As Airflow shows it.
        schedule: In words; None where it is not known.
        tasks: In the file's order.
        edges: Which task comes directly before which; None where it is not known.
        problem: Why the file cannot be read or loaded.
    """

    dag_id: str
    schedule: str | None
    tasks: tuple[TaskView, ...]
    edges: tuple[tuple[str, str], ...] | None
    problem: str | None = None


def views(repository: DagRepository | None, paths: Iterable[str], *, load: bool) -> dict[str, DagView]:
    """Some DAG files as a repository has them; without those it has not.

    Args:
        repository: One state of the DAG repository; None where it was none yet.
        paths: `environments/<environment>/dags/<project>/<dag>.py`.
        load: Let Airflow load, in a process without secrets, those whose files alone do not say enough.
    """
    if repository is None:
        return {}
    files = {path: _file(repository, path) for path in paths if (repository.root / path).is_file()}
    unclear = [path for path, file in files.items() if file.source.problem is None and not _clear(file)]
    if unclear and load:
        files |= _loaded(repository.root, {path: files[path] for path in unclear}, [repository.root])
    return {path: _view(file) for path, file in files.items()}


def of_pipeline(subject: Subject, path: Path) -> DagView:
    """A DAG file of an image repository; Airflow loads it where the file alone does not say enough.

    Args:
        subject: The image repository.
        path: The DAG file.
    """
    file = subject.dag_files[path.relative_to(subject.root).as_posix()]
    if file.source.problem is None and not _clear(file):
        with subject.search() as search:
            file = _loaded(subject.root, {file.path: file}, search).get(file.path, file)
    return _view(file)


def _file(repository: DagRepository, path: str) -> DagFile:
    _, environment, _, project, name = PurePosixPath(path).parts
    source = PythonSource.read(repository.root, repository.root / path)
    host = repository.settings.registry.host
    return read_dag_file(source, environment, project, name.removesuffix(".py"), host)


def _clear(file: DagFile) -> bool:
    """Whether the file alone says everything a reviewer asks."""
    pods = [task.pod for task in file.tasks if task.pod]
    return (
        graph.edges(file) is not None
        and all(is_text(dag.dag_id) and schedule.of(dag) is not None for dag in file.dags)
        and all(UNKNOWN not in (pod.image, pod.role) for pod in pods)
    )


def _loaded(root: Path, files: Mapping[str, DagFile], search: Sequence[Path]) -> dict[str, DagFile]:
    from dagkit.rules.load import Loader, airflow_is_here

    if not airflow_is_here():
        return {}
    with Loader() as loader:
        facts = loader.load([[root / path for path in files]], search)
        found = {path.relative_to(root).as_posix(): loaded for path, loaded in facts}
    return {path: complete(files[path], loaded) for path, loaded in found.items()}


def _view(file: DagFile) -> DagView:
    problem = file.source.problem.message if file.source.problem else None
    if file.loaded and file.loaded.error:
        problem = str(file.loaded.error["message"])
    loaded = file.loaded is not None and file.loaded.dags
    edges = graph.edges(file) if not loaded else _facts_edges(file)
    dag = file.dags[0] if file.dags else None
    return DagView(
        dag.dag_id if dag and is_text(dag.dag_id) else file.dag_id,
        schedule.of(dag) if dag else None,
        tuple(_task(task) for task in file.tasks),
        None if edges is None else tuple(sorted(edges)),
        problem,
    )


def _facts_edges(file: DagFile) -> frozenset[graph.Edge]:
    return frozenset(
        (str(task.facts["task_id"]), str(below))
        for task in file.tasks
        if task.facts
        for below in task.facts["downstream"]
    )


def _task(task: Task) -> TaskView:
    task_id = task.facts["task_id"] if task.facts else task.task_id
    pod = task.pod
    return TaskView(
        task_id if is_text(task_id) else "?",
        task.operator,
        _told(pod.image) if pod else None,
        _told(pod.role) if pod else None,
    )


def _told(value: object) -> str | None:
    return None if value in (ABSENT, UNKNOWN) else str(value)

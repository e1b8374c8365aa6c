"""DK2, second part: a DAG file does no work of its own, neither when it is read nor on the worker."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from dagkit.dagrepo import RuleSettings
from dagkit.rules import examples
from dagkit.rules.base import Finding, Place, Rule
from dagkit.rules.facts import DagFile, PythonModule, Task
from dagkit.rules.reading import at_import
from dagkit.rules.values import Scope

# fmt: off
HEAVY = (
    "pandas", "numpy", "awswrangler", "pyarrow", "polars", "scipy", "sklearn", "matplotlib",
    "seaborn", "torch", "tensorflow", "transformers", "pyspark", "duckdb", "dask", "pydbtools",
    "arrow_pd_parser", "mojap_metadata", "geopandas", "statsmodels", "xgboost", "spacy", "nltk", "cv2",
    "dbt", "splink",
)
# fmt: on


class HeavyImport(Rule):
    """DAG files import nothing that only the image needs."""

    code = "DK211"
    name = "heavy-import"
    why = "Airflow imports every DAG file again every few seconds: pandas there slows down everybody."
    bad = examples.above_dag("import pandas as pd")
    good = examples.above_dag("from datetime import timedelta")
    explains = r"ModuleNotFoundError: No module named '(" + "|".join(HEAVY) + r")[.']"

    def check(self, python: PythonModule) -> Iterator[Finding]:
        """Wherever the file is imported, not in functions that only tasks run."""
        for each in python.imports:
            root = each.module.split(".")[0]
            if each.top_level and root in HEAVY:
                yield self.finding(
                    each.place,
                    f"'{root}' is imported whenever Airflow reads the file",
                    "Use it in the image's code; the DAG only names the image.",
                )


WORK = {
    "open": "opens a file",
    "input": "waits for input",
    "os.system": "runs a program",
    "os.popen": "runs a program",
    "os.listdir": "reads a folder",
    "os.walk": "reads a folder",
    "glob.glob": "reads a folder",
    "time.sleep": "waits",
    "urllib.request.urlopen": "uses the network",
    "urllib.request.urlretrieve": "uses the network",
    "socket.create_connection": "uses the network",
    "sqlite3.connect": "asks a database",
    "psycopg2.connect": "asks a database",
    "pyodbc.connect": "asks a database",
    "sqlalchemy.create_engine": "asks a database",
    "airflow.models.Variable.get": "asks Airflow's database",
    "airflow.models.variable.Variable.get": "asks Airflow's database",
    "airflow.sdk.Variable.get": "asks Airflow's database",
    "airflow.hooks.base.BaseHook.get_connection": "asks Airflow's database",
    "airflow.sdk.BaseHook.get_connection": "asks Airflow's database",
    "airflow.models.Connection.get_connection_from_secrets": "asks Airflow's database",
}
WORK_PREFIXES = {
    "boto3.": "uses AWS",
    "botocore.": "uses AWS",
    "s3fs.": "uses S3",
    "awswrangler.": "uses AWS",
    "requests.": "uses the network",
    "httpx.": "uses the network",
    "subprocess.": "runs a program",
    "pandas.read_": "reads data",
    "polars.read_": "reads data",
}
WORK_METHODS = ("read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "glob", "rglob")
HARMLESS = ("requests.auth.", "botocore.config.", "botocore.exceptions.", "boto3.session.Config")


class TopLevelWork(Rule):
    """Importing a DAG file does no work."""

    code = "DK212"
    name = "top-level-work"
    why = "Airflow imports every DAG file again every few seconds, and the work is done as often."
    bad = examples.above_dag('import boto3\n\nBUCKETS = boto3.client("s3").list_buckets()')
    good = examples.above_dag('BUCKETS = ["alpha-example"]')

    def check(self, python: PythonModule) -> Iterator[Finding]:
        """Reading files, S3, databases and the network, anywhere but in functions."""
        calls = [node for node in python.source.nodes if isinstance(node, ast.Call)]
        works = {id(call): what for call in calls if (what := self._work(python.scope, call))}
        # most files do none at all, and then it does not matter where
        for statement in at_import(python.source.tree) if works else ():
            call = next((call for call in _calls(statement) if id(call) in works), None)
            if call is not None:
                said = _short(python.source.segment(call))
                yield self.finding(
                    python.source.place(call),
                    f"'{said}' {works[id(call)]} whenever Airflow reads the file",
                    "Do it in the image's code, or in a function that a task runs.",
                )

    def _work(self, scope: Scope, call: ast.Call) -> str | None:
        """What work a call does."""
        name = scope.qualified(call.func)
        if name.startswith(HARMLESS):
            return None
        what = WORK.get(name) or next((w for p, w in WORK_PREFIXES.items() if name.startswith(p)), None)
        method = call.func if isinstance(call.func, ast.Attribute) else None
        if method is not None and method.attr in WORK_METHODS and self._is_path(scope, method.value):
            what = "reads or writes a file"
        return what

    def _is_path(self, scope: Scope, node: ast.expr) -> bool:
        node = scope.definition(node)
        while isinstance(node, ast.BinOp | ast.Attribute | ast.Call):
            if isinstance(node, ast.Call) and scope.qualified(node.func).startswith("pathlib."):
                return True
            node = scope.definition(
                node.left
                if isinstance(node, ast.BinOp)
                else node.value
                if isinstance(node, ast.Attribute)
                else node.func
            )
        return False


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """The calls that a statement itself makes: not those of statements in it, nor of functions."""
    stack: list[ast.AST] = (
        [*statement.decorator_list]
        if isinstance(statement, ast.FunctionDef | ast.ClassDef)
        else [
            child
            for child in ast.iter_child_nodes(statement)
            if not isinstance(child, ast.stmt | ast.ExceptHandler)
        ]
    )
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield node
        stack.extend(ast.iter_child_nodes(node))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


class OperatorNotAllowed(Rule):
    """Work runs in pods, not on Airflow's own workers."""

    code = "DK213"
    name = "operator-not-allowed"
    why = "A PythonOperator runs on the worker that every DAG shares, with its memory, packages and role."
    bad = examples.in_tasks(
        'BashOperator(task_id="tidy", bash_command="aws s3 rm --recursive s3://alpha-example/dev/tmp/")',
        top="from airflow.providers.standard.operators.bash import BashOperator",
    )
    good = examples.in_tasks(
        'EmptyOperator(task_id="done")',
        top="from airflow.providers.standard.operators.empty import EmptyOperator",
    )

    def check(self, task: Task, settings: RuleSettings) -> Iterator[Finding]:
        """An operator, or one it is made from, has to be in dagkit.toml's list."""
        allowed = set(settings.allowed_operators)
        allowed_here = ", ".join(settings.allowed_operators)
        if allowed & set(task.bases):
            return
        if task.facts is None and task.file.scope.imported.get(task.operator, "").startswith("imports."):
            # what it is made from, only Airflow can tell
            return
        name = f"@{task.operator}" if task.operator.islower() else task.operator
        if name.startswith("_"):
            name = "@task"
        yield self.finding(
            task.place(),
            f"{name} runs on the Airflow worker",
            f"Run it in a pod, with PipelinePodOperator; allowed are: {allowed_here}.",
        )


class SlowToParse(Rule):
    """A DAG file is parsed quickly."""

    code = "DK214"
    name = "slow-to-parse"
    why = "Airflow parses every file again every few seconds: a slow one delays all the others."
    needs = "dag"
    bad = examples.above_dag("import time\n\ntime.sleep(2.5)")
    good = examples.above_dag("import time")

    def check(self, dag_file: DagFile, settings: RuleSettings) -> Iterator[Finding]:
        """Within the budget of dagkit.toml."""
        loaded = dag_file.loaded
        if loaded is not None and loaded.error is None and loaded.seconds > settings.parse_budget:
            yield self.finding(
                Place(dag_file.path),
                f"The file takes {loaded.seconds:.1f} s to parse, and may take {settings.parse_budget:g} s",
                "Import less, and do no work outside functions.",
            )

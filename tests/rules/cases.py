"""What breaks each rule, beyond the rules' own examples: by what it is, the rule and the files."""

from __future__ import annotations

from collections.abc import Mapping

from dagkit.rules.examples import (
    DAG,
    DAG_PATH,
    IMAGE,
    ROLE_PATH,
    Example,
    above_dag,
    in_dag,
    in_task,
    in_tasks,
)

Case = tuple[str, Example | Mapping[str, str | None]]

EMPTY = "from airflow.providers.standard.operators.empty import EmptyOperator"
POD = "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator"
K8S = "from kubernetes.client import models as k8s"
PROD_ROLE_PATH = "environments/prod/roles/airflow_prod_example_daily.yaml"
SAFE = """\
security_context={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    container_security_context={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},"""


def raw(*arguments: str) -> Example:
    """A pod without the platform's operator."""
    lines = "".join(f"    {argument}\n" for argument in arguments)
    return in_tasks(f'KubernetesPodOperator(\n    task_id="raw",\n{lines}    {SAFE}\n)', top=POD)


def role(text: str, **others: str | None) -> Mapping[str, str | None]:
    return {ROLE_PATH: "iam_role_name: airflow_dev_example_daily\n" + text}


def other_module(text: str) -> Mapping[str, str | None]:
    return {
        DAG_PATH: DAG.replace("\nwith DAG", "\nfrom imports.example_more import X\n\nwith DAG"),
        "imports/example_more.py": text,
    }


LONG = "airflow_dev_example_" + "x" * 45

LAYOUT: dict[str, Case] = {
    "a file beside the projects": ("DK101", {"environments/dev/dags/stray.py": "X = 1\n"}),
    "an environment that is not in the settings": ("DK101", {"environments/test/dags/x/y.py": "X = 1\n"}),
    "a folder in roles": ("DK101", {"environments/dev/roles/old/x.yaml": "bedrock: true\n"}),
    "a folder in imports": ("DK101", {"imports/example/x.py": "X = 1\n"}),
    "a notebook": ("DK101", {"environments/dev/dags/example/try.ipynb": "{}"}),
    "a text among the roles": ("DK102", {"environments/dev/roles/notes.txt": "x"}),
    "a DAG as YAML": ("DK102", {"environments/dev/dags/example/dag.yaml": "x: 1\n"}),
    "a query in imports": ("DK102", {"imports/example_query.sql": "select 1"}),
    "an empty README": ("DK103", {"environments/dev/dags/example/README.md": " \n"}),
    "a project in capitals": ("DK104", {"environments/dev/dags/Example/README.md": "x\n"}),
    "two underscores": ("DK104", {"environments/dev/dags/example/a__b.py": DAG}),
    "a module of nobody": ("DK105", {"imports/utils.py": "X = 1\n"}),
    "a module that imports another project's": (
        "DK106",
        {
            **other_module("from imports import other_things\n\nX = other_things\n"),
            "imports/other_things.py": "X = 1\n",
            "environments/dev/dags/other/README.md": "# other\n",
        },
    ),
    "a package of DAGs": ("DK101", {"environments/dev/dags/example/__init__.py": ""}),
    "an empty file among the DAGs": ("DK108", {"environments/dev/dags/example/more.py": ""}),
}

DAGS: dict[str, Case] = {
    "a module that is not there": ("DK201", above_dag("import imports.example_nothing")),
    "a module that is not Python": ("DK201", other_module("X = (\n")),
    "a file that is not text": ("DK201", {DAG_PATH: DAG, "imports/example_x.py": "\udcff"}),
    "a DAG that ends Airflow": ("DK201", above_dag("import os\n\nos._exit(3)")),
    "a DAG that leaves": ("DK201", above_dag("raise SystemExit('no')")),
    "an argument that nothing takes": ("DK201", in_task('colour="red",')),
    "a dag_id made of others": ("DK202", in_dag('dag_id=f"{ENVIRONMENT}.daily",')),
    "a dag_id by position": (
        "DK202",
        {DAG_PATH: DAG.replace('    dag_id="example.daily",\n', '    "daily",\n')},
    ),
    "an owner that is nobody": ("DK204", in_dag('default_args={"owner": "airflow"},')),
    "the owner of a template's default answers": (
        "DK204",
        in_dag('default_args={"owner": "your-github-username"},'),
    ),
    "an empty owner": ("DK204", in_dag('default_args=dict(owner=" "),')),
    "so many days ago": (
        "DK206",
        in_dag("start_date=datetime.today() - timedelta(days=1),", top="from datetime import timedelta"),
    ),
    "a start_date named above that moves": (
        "DK206",
        in_dag("start_date=START,", top="START = datetime.now(UTC)"),
    ),
    "pendulum's today": ("DK206", in_dag('start_date=pendulum.today("UTC"),', top="import pendulum")),
    "a dynamic date in default_args": (
        "DK206",
        in_dag('# no start_date\ndefault_args={"owner": "octocat", "start_date": datetime.utcnow()},'),
    ),
    "four fields": ("DK208", in_dag('schedule="0 6 * *",')),
    "a preset that is none": ("DK208", in_dag('schedule="@noon",')),
    "a day that no week has": ("DK208", in_dag('schedule="0 6 * * MOO",')),
    "no length of time": (
        "DK208",
        in_dag("schedule=timedelta(hours=0),", top="from datetime import timedelta"),
    ),
    "a number": ("DK208", in_dag("schedule=6,")),
    "no schedule at all": ("DK208", in_dag("# no schedule")),
    "catchup decided elsewhere": ("DK209", {DAG_PATH: DAG.replace("    catchup=False,\n", "")}),
    "a documentation that is empty": ("DK210", in_dag('doc_md="",')),
    "documentation of a file without any": ("DK210", {DAG_PATH: DAG.split("\n", 1)[1]}),
    "pandas under another name": ("DK211", above_dag("from pandas import DataFrame as Frame")),
    "pandas if it is there": (
        "DK211",
        above_dag("try:\n    import pandas\nexcept ImportError:\n    pandas = None"),
    ),
    "pandas in a module": ("DK211", other_module("import awswrangler as wr\n\nX = wr\n")),
    "a file opened": ("DK212", above_dag('with open("/etc/hostname") as file:\n    NAME = file.read()')),
    "a file opened in a loop": ("DK212", above_dag('for n in "a":\n    X = open("/etc/hostname").read()')),
    "a file by its path": (
        "DK212",
        above_dag('from pathlib import Path\n\nX = Path("/etc/hostname").read_text()'),
    ),
    "a folder beside the file": (
        "DK212",
        above_dag("from pathlib import Path\n\nHERE = Path(__file__).parent\nX = sorted(HERE.glob('*'))"),
    ),
    "the network": (
        "DK212",
        above_dag(
            "import requests as r\n\ntry:\n    r.get('http://localhost:9')\nexcept Exception:\n    pass"
        ),
    ),
    "a variable of Airflow's": (
        "DK212",
        above_dag('from airflow.models import Variable\n\nX = Variable.get("x", default_var="y")'),
    ),
    "work in a comprehension": ("DK212", above_dag('import os\n\nX = [os.listdir(p) for p in ["/"]]')),
    "work in a module": ("DK212", other_module('import os\n\nX = os.listdir("/")\n')),
    "work in a class body": ("DK212", above_dag('class Settings:\n    text = open("/etc/hostname").read()')),
    "a task that is a function": (
        "DK213",
        in_tasks("@task\ndef work():\n    return 1\nwork()", top="from airflow.decorators import task"),
    ),
    "a PythonOperator": (
        "DK213",
        in_tasks(
            'PythonOperator(task_id="work", python_callable=print)',
            top="from airflow.providers.standard.operators.python import PythonOperator",
        ),
    ),
    "an operator of its own that is none of the allowed": (
        "DK213",
        in_tasks(
            'Own(task_id="own")',
            top="from airflow.sdk import BaseOperator\n\n\n"
            "class Own(BaseOperator):\n    def execute(self, context):\n        return 1",
        ),
    ),
    "Airflow 2's argument of a task": (
        "DK218",
        in_tasks('EmptyOperator(task_id="x", provide_context=True)', top=EMPTY),
    ),
    "an sla for all tasks": ("DK218", in_dag('default_args={"owner": "octocat", "sla": None},')),
    "days_ago": ("DK219", above_dag("from airflow.utils.dates import days_ago")),
    "the provider's old place": (
        "DK219",
        above_dag(
            "from airflow.providers.cncf.kubernetes.operators.kubernetes_pod import KubernetesPodOperator"
        ),
    ),
    "tomorrow": ("DK220", in_task('env_vars={"DAY": "before {{ tomorrow_ds }}"},')),
    "the execution date, formatted": (
        "DK220",
        in_task('env_vars={"DAY": "{{ execution_date.isoformat() }}"},'),
    ),
}

PODS: dict[str, Case] = {
    "a capital": ("DK301", in_task('task_id="Write",')),
    "a hyphen at the end": ("DK301", in_task('task_id="write-",')),
    "Docker Hub": ("DK303", raw('image="python:3.13.1",', 'name="raw",')),
    "somebody else's account": (
        "DK303",
        in_task(f'image="{IMAGE.replace("189157455002", "111111111111")}",'),
    ),
    "no image": ("DK304", raw('name="raw",')),
    "a branch": ("DK305", in_task('release="main",')),
    "a branch with a number": ("DK305", in_task('release="release-2",')),
    "part of a version": ("DK305", in_task('release="v1",')),
    "prod's role as an annotation": (
        "DK306",
        raw(f'image="{IMAGE}",', 'annotations={"iam.amazonaws.com/role": "airflow_prod_example_daily"},'),
    ),
    "prod's service account": (
        "DK306",
        raw(f'image="{IMAGE}",', 'service_account_name="airflow-prod-example-daily",'),
    ),
    "a service account without a role": (
        "DK307",
        raw(f'image="{IMAGE}",', 'service_account_name="airflow-dev-nobody",'),
    ),
    "an annotation and another account": (
        "DK308",
        raw(
            f'image="{IMAGE}",',
            'annotations={"iam.amazonaws.com/role": "airflow_dev_example_daily"},',
            'service_account_name="airflow-dev-example",',
        ),
    ),
    "a pod without any security": (
        "DK309",
        in_tasks(f'KubernetesPodOperator(task_id="raw", image="{IMAGE}")', top=POD),
    ),
    "the node's network": ("DK309", in_task("hostnetwork=True,")),
    "the node's files": (
        "DK309",
        in_task('volumes=[k8s.V1Volume(name="x", host_path=k8s.V1HostPathVolumeSource(path="/"))],', top=K8S),
    ),
    "a capability": (
        "DK309",
        in_task(
            'container_security_context={"allowPrivilegeEscalation": False, "runAsNonRoot": True,'
            ' "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},'
        ),
    ),
    "root": (
        "DK310",
        in_task('container_security_context={"runAsUser": 0, "allowPrivilegeEscalation": False},'),
    ),
    "an access key": ("DK311", in_task('env_vars={"KEY": "AKIAIOSFODNN7EXAMPLE"},')),
    "a password in an address": ("DK311", in_task('env_vars={"DB": "postgresql://me:hunter2@db:5432/x"},')),
    "a token by its form": ("DK311", in_task(f'env_vars={{"X": "ghp_{"a1" * 18}"}},')),
    "a secret in a list of variables": (
        "DK311",
        in_tasks(
            f"""\
KubernetesPodOperator(
    task_id="raw",
    image="{IMAGE}",
    env_vars=[k8s.V1EnvVar(name="API_KEY", value="s3cr3t-value")],
)""",
            top=f"{K8S}\n{POD}",
        ),
    ),
    "half a profile": (
        "DK312",
        in_task(
            'container_resources=k8s.V1ResourceRequirements(requests={"cpu": "1", "memory": "4Gi"}),', top=K8S
        ),
    ),
}

ROLES: dict[str, Case] = {
    "a role that is not YAML": ("DK405", {ROLE_PATH: "s3:\n  read_only: [\n"}),
    "an empty role": ("DK405", {ROLE_PATH: "# nothing yet\n"}),
    "a list as a role": ("DK405", {ROLE_PATH: "- s3\n"}),
    "the same key twice": ("DK405", role("s3:\n  read_only: [a/b/*]\n  read_only: [c/d/*]\n")),
    "a number for a path": ("DK405", role("s3:\n  read_only: [12]\n")),
    "text for a list": ("DK405", role("s3:\n  read_only: alpha-example/dev/*\n")),
    "nothing under s3": ("DK405", role("s3:\n")),
    "secretsmanager without read_only": ("DK405", role("secretsmanager: {}\n")),
    "a database with a hyphen": ("DK405", role("allowed_database_names: [a-b]\n")),
    "glue without a name": ("DK406", {ROLE_PATH: "glue_job: true\n"}),
    "an ARN": ("DK408", role("s3:\n  read_only: ['arn:aws:s3:::alpha-example/dev/*']\n")),
    "a slash before it": ("DK408", role("s3:\n  deny: [/alpha-example/dev/*]\n")),
    "a bucket alone": ("DK409", role("s3:\n  write_only: [alpha-example]\n")),
    "any bucket": ("DK409", role("s3:\n  read_write: ['alpha-*/dev/*']\n")),
    "everything in every folder": ("DK409", role("s3:\n  read_write: ['alpha-example/*/*']\n")),
    "twice in one list": ("DK411", role("s3:\n  read_only: [a/b/*, c/d/*, a/b/*]\n")),
    "denied to the letter": ("DK412", role("s3:\n  read_only: [a/b/*]\n  deny: [a/b/*]\n")),
    "denied with a longer star": ("DK412", role("s3:\n  read_only: ['a/b/c/*']\n  deny: ['a/b*']\n")),
}

ENVIRONMENTS: dict[str, Case] = {
    "an import of an environment": ("DK501", above_dag("import environments.dev.dags.example.daily")),
    "a pod on the other cluster": ("DK501", in_task('environment="prod",')),
    "a bucket of prod by a wildcard": (
        "DK503",
        {
            ROLE_PATH: "s3:\n  read_write: ['alpha-example/shared/*/out/*']\n",
            PROD_ROLE_PATH: "s3:\n  write_only: [alpha-example/shared/2026/*]\n",
        },
    ),
}

BREAKS = LAYOUT | DAGS | PODS | ROLES | ENVIRONMENTS

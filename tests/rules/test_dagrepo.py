"""A DAG repository as it is read, and settings that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagkit.dagrepo import ALLOWED_OPERATORS, DagRepository
from dagkit.errors import DagkitError, UsageError
from dagkit.rules.examples import DAG_PATH, ROLE_PATH, SETTINGS
from tests.rules.conftest import Make


def test_what_lies_where(make: Make) -> None:
    root = make({"imports/example_more.py": "X = 1\n"})
    repository = DagRepository.load(root / "environments" / "dev")
    assert repository.root == root
    assert repository.environments == ("dev", "prod")
    (dag,) = repository.dags("dev")
    assert (dag.path, dag.dag_id, dag.project) == (root / DAG_PATH, "example.daily", "example")
    assert repository.dags("prod") == ()
    (role,) = repository.roles("dev")
    assert (role.path, role.name, role.environment) == (root / ROLE_PATH, "airflow_dev_example_daily", "dev")
    assert role.buckets == {"alpha-example"}
    assert "example_more" in [path.stem for path in repository.imports]


def test_one_bad_role_does_not_hide_the_others(make: Make) -> None:
    bad = {"environments/dev/roles/bad.yaml": "s3: [", "environments/dev/roles/list.yaml": "- x\n"}
    repository = DagRepository.load(make(bad))
    assert [role.name for role in repository.roles("dev")] == ["airflow_dev_example_daily"]
    wrong = repository.unreadable_roles("dev")
    assert [Path((error.where or "").split(":")[0]).name for error in wrong] == ["bad.yaml", "list.yaml"]
    assert all(isinstance(error, DagkitError) for error in wrong)


def test_defaults(make: Make) -> None:
    settings = DagRepository.load(make()).settings
    assert settings.registry.hosts == ("189157455002.dkr.ecr.eu-west-1.amazonaws.com",)
    assert settings.rules.parse_budget == 2.0
    assert settings.rules.allowed_operators == ALLOWED_OPERATORS
    assert settings.environments["dev"].namespace == "airflow"
    assert settings.slack is None


@pytest.mark.parametrize(
    ("old", "new", "said", "line"),
    [
        ("account =", "acount =", "did you mean 'account'", 2),
        ('"189157455002"', '"1891"', "registry.account", 2),
        ('"189157455002"', "189157455002", "valid string", 2),
        ('bucket = "example-airflow-prod"', 'bucket = "No_Bucket"', "environments.prod.dags_bucket", 12),
        ('oidc_provider = "oidc', 'oidc_provider = "https://oidc', "environments.dev.oidc_provider", 8),
        ("[environments.prod]", "[environments.Prod]", "environments.Prod", 10),
        ("[registry]", "[registries]", "did you mean 'registry'", 1),
        ("[registry]", "[registry", "not valid TOML", 1),
        (SETTINGS, SETTINGS + "[rules]\nparse_budget = -1\n", "rules.parse_budget", 16),
        (SETTINGS, SETTINGS + '[[rules.off]]\ncode = "X1"\n', "rules.off.0.code", 16),
        (SETTINGS, SETTINGS.replace("oidc_provider", "# oidc_provider", 1), "needs oidc_provider", 4),
        (
            SETTINGS,
            SETTINGS.replace("oidc_provider", 'pod_identity = "kube2iam"\n# oidc', 1),
            "needs node_role",
            4,
        ),
    ],
)
def test_what_is_wrong_in_the_settings_is_said_at_its_line(
    old: str, new: str, said: str, line: int, make: Make
) -> None:
    with pytest.raises(UsageError) as error:
        DagRepository.load(make({"dagkit.toml": SETTINGS.replace(old, new, 1)}))
    assert said in str(error.value)
    assert (error.value.where or "").endswith(f"dagkit.toml:{line}")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not in a DAG repository"):
        DagRepository.load(tmp_path)

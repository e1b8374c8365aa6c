"""Templates with a history, and who commits: nothing here depends on the git settings of the machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.update import small


@pytest.fixture(scope="session", autouse=True)
def somebody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Settings of git of our own: who commits, and nothing else."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text("[user]\n\tname = An Analyst\n\temail = an.analyst@example.gov.uk\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(config))
        patch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
        for role in ("AUTHOR", "COMMITTER"):
            for key in ("NAME", "EMAIL"):
                patch.delenv(f"GIT_{role}_{key}", raising=False)
        yield


@pytest.fixture(scope="session")
def little(tmp_path_factory: pytest.TempPathFactory, somebody: None) -> small.Small:
    """The small template and its repositories; tests copy what they change."""
    return small.build(tmp_path_factory.mktemp("small"))

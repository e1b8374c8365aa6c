"""Starts one part of Airflow, with what its work will need imported or built beforehand.

`python -m dagkit.ui.launch scheduler …`: the words are those that come after ``airflow``. Whatever goes wrong
here only makes Airflow slower: it starts all the same.
"""

from __future__ import annotations

import importlib
import logging
import sys


def main(words: list[str]) -> None:
    """Prepare, then run Airflow's own command."""
    import airflow

    try:
        if words[0] == "scheduler":
            # tasks are forked from the scheduler: what is imported here, none of them imports again
            for module in ("airflow.providers.cncf.kubernetes.operators.pod", "kubernetes.client"):
                importlib.import_module(module)
        elif words[0] == "api-server" and not airflow.__version__.startswith("2."):
            _keep_newest_api()
    except Exception:
        logging.getLogger(__name__).warning("Airflow starts without what dagkit prepares", exc_info=True)
    sys.argv = ["airflow", *words]
    importlib.import_module("airflow.__main__").main()


def _keep_newest_api() -> None:
    """Build only that version of the tasks' API that tasks of this Airflow speak, as `dagkit run` does."""
    from airflow.api_fastapi.execution_api.versions import bundle
    from airflow.sdk.api.datamodels import _generated

    from dagkit.local.airflow_api import keep_newest_version

    if str(bundle.versions[0].value) == str(_generated.API_VERSION):
        keep_newest_version()


if __name__ == "__main__":
    main(sys.argv[1:])

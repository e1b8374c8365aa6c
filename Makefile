# Everything here sets itself up: Python 3.11 or newer and git are enough. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo guide test lint bench images lock clean

BIN := .venv/bin
READY := .venv/ready
LANGUAGE ?= python
FOLDER ?= demo/guide
ARGS ?=

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## generate a pipeline, build its image, run its DAG, show what it wrote (LANGUAGE=python)
	@$(BIN)/python scripts/demo.py --language "$(LANGUAGE)"

guide: $(READY) ## open the guide's notebooks in JupyterLab (FOLDER=demo/guide)
	@$(BIN)/dagkit guide "$(FOLDER)"

test: $(READY) ## run the tests; says at the end which were skipped and why (ARGS="-k name" chooses)
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(READY) ## check our code, and every kind of repository that the templates make
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/ruff check $$(git ls-files "templates/*.py")
	$(BIN)/ruff format --check $$(git ls-files "templates/*.py")
	$(BIN)/mypy
	$(BIN)/shellcheck requirements/setup.sh tests/images/build.sh .ci/run
	$(BIN)/hadolint tests/images/*/Dockerfile
	$(BIN)/yamllint --strict copier.yml
	$(BIN)/python scripts/cookiecutter_json.py --check
	$(BIN)/python scripts/tidy_notebooks.py --check
	$(BIN)/python -m tests.harness.lint_generated

bench: $(READY) ## measure speed, as ratios taken side by side
	@$(BIN)/python -m bench

images: ## make the images that tests build on (tests/images)
	@tests/images/build.sh

# Universal: one lock holds for every supported Python and platform. No index URL: whose mirror it is stays out of it.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"

# UPGRADE=1 renews everything; otherwise what is locked stays. Airflow 2.11 is resolved as of the time it was current:
# its dependencies have no upper bounds, and their newest versions no longer work with it.
lock: $(READY) ## renew the lock files (UPGRADE=1: to the newest versions)
	$(COMPILE) $(if $(UPGRADE),--upgrade) --all-extras --group dev pyproject.toml --output-file requirements/dev.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --constraints requirements/dev.txt requirements/uv.in --output-file requirements/uv.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) tests/awscli/requirements.in --output-file tests/awscli/requirements.txt
	$(COMPILE) --exclude-newer 2025-10-01 tests/airflow-2.11/requirements.in --output-file tests/airflow-2.11/requirements.txt

clean: ## remove what was made here (.venv, caches, build results)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .dagkit build dist
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(READY): requirements/setup.sh requirements/dev.txt requirements/uv.txt pyproject.toml
	@requirements/setup.sh
	@touch $@

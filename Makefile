# Everything a newcomer needs: `make demo` shows it, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := transship service_kit oci_client replication registry_svc policy_svc execution_svc jobservice
SOURCES := $(PACKAGES) protos benchmarks tests
# On all cores, but no more than four: each process has a PostgreSQL and a stack of its own.
PARALLEL := -n auto --maxprocesses 4 --dist worksteal
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup registries protos protos-check lint types unit test e2e bench demo up clean

help: ## Lists the targets.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready ## Makes the virtual environment with everything in it.

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

registries: ## Installs Debian's docker-registry and skopeo when they are missing and we are root.
	@deploy/install-registries.sh

protos: setup ## Generates the stubs from the protos.
	python protos/generate.py

protos-check: setup ## Lints the protos and fails when the stubs in the repository are not theirs.
	python protos/check.py

lint: setup ## Checks style and format.
	ruff check $(SOURCES)
	ruff format --check $(SOURCES)

types: setup ## Checks the types.
	mypy

unit: setup ## Runs the tests that need no other process.
	pytest tests/unit tests/architecture

test: setup registries protos-check lint types ## Runs lint, types and all tests.
	pytest $(PARALLEL)

e2e: setup registries ## Runs the tests over real processes only.
	pytest $(PARALLEL) tests/e2e

bench: setup registries ## Measures ours beside skopeo, crane and regsync, and writes docs/benchmarks.md.
	pip install --quiet --disable-pip-version-check --group bench
	benchmarks/install-peers.sh
	python -m benchmarks

demo: setup registries ## Replicates a repository between two registries on this machine, and cleans up.
	python -m transship.demo

up: setup ## Starts the local stack in the foreground.
	transship up

clean: ## Removes what the other targets made.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

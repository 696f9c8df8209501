# The commands of this project; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): requirements/dev.txt pyproject.toml
	@test -x $(PY) || python3 -m venv $(VENV)
	@echo "Installing what the gateway and its tests need into $(VENV) ..."
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: run
run: $(READY) ## Start a FHIR server with synthetic patients and the gateway (UPSTREAM=hapi or UPSTREAM=http://...)
	@$(PY) -m scripts.demo $(UPSTREAM)

.PHONY: lint
lint: $(READY) ## Lint, format check, strict types, import contracts, dependencies, spelling
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/deptry gateway
	@$(VENV)/bin/codespell

.PHONY: test
test: $(READY) ## Run every test that this machine has the servers for
	@$(VENV)/bin/pytest -n 2 --dist loadscope

.PHONY: check
check: lint test ## What must be green at every commit

.PHONY: test-hapi
test-hapi: $(READY) ## Run the upstream suite in front of a real HAPI FHIR, easy and strict (needs Java 17 and Maven)
	@SMART_GATEWAY_HAPI=1 $(VENV)/bin/pytest -m hapi

.PHONY: test-keycloak
test-keycloak: $(READY) ## Run the tests beside and before a real Keycloak (needs Java 17 and Maven)
	@SMART_GATEWAY_KEYCLOAK=1 $(VENV)/bin/pytest -m keycloak

.PHONY: spec
spec: $(READY) ## Print which test keeps each requirement of SMART App Launch; fails while a SHALL has none
	@$(PY) -m scripts.spec

.PHONY: bench
bench: $(READY) ## Measure beside Envoy and nginx: ratios of CPU per request, never a timed test
	@$(PY) -m bench

.PHONY: lock
lock: ## Lock the dependencies again from pyproject.toml (needs uv)
	uv pip compile --quiet pyproject.toml --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements/run.txt
	uv pip compile --quiet pyproject.toml --extra dev --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements/dev.txt

# The commands of this project; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# The interpreter that the venv is made with: python3, or a version such as python3.13, which has a venv of its own.
PYTHON := python3
VENV := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(patsubst python%,%,$(notdir $(PYTHON))))
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# How many processes the tests run in.
WORKERS := 2
# Tests that start a FHIR server, an identity provider or a browser, or that run for as long as they are allowed to.
SLOW := sekmet or hapi or keycloak or identity_provider or fuzz or kubernetes or containers or collector
# The documentation as a site, anew each time: a page that did not change may link to one that did.
BOOK := $(VENV)/bin/sphinx-build --quiet --fresh-env --write-all --fail-on-warning --keep-going --conf-dir docs . .cache/book

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): requirements/dev.txt pyproject.toml
	@test -x $(PY) || { python=$$(scripts/find_python $(PYTHON)) && "$$python" -m venv $(VENV); }
	@echo "Installing what the gateway and its tests need into $(VENV) ..."
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: install
install: $(READY) ## Install what the gateway and its tests need, as every other command does first

.PHONY: run
run: $(READY) ## Start a FHIR server with synthetic patients and the gateway (UPSTREAM=hapi or http://...; PORT=8080)
	@$(PY) -m scripts.demo $(UPSTREAM) $(if $(PORT),--port $(PORT)) $(if $(APP_PORT),--app-port $(APP_PORT)) $(if $(METRICS_PORT),--metrics-port $(METRICS_PORT))

.PHONY: app
app: $(READY) ## Serve the small SMART app of `make run` for a gateway anywhere (ISS=https://fhir.example.org/r4; APP_PORT=8081)
	@$(PY) -m scripts.demo_app $(ISS) $(if $(APP_PORT),--port $(APP_PORT))

.PHONY: lint
lint: $(READY) ## Lint, format check, strict types, import contracts, dependencies, spelling, links of the book
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/deptry gateway
	@$(VENV)/bin/codespell
	@$(VENV)/bin/hadolint Dockerfile
	@$(BOOK)

.PHONY: test
test: $(READY) ## Run every test that this machine has the servers for (PYTHON=python3.13 for another Python)
	@$(VENV)/bin/pytest -n $(WORKERS) --dist loadscope

.PHONY: test-fast
test-fast: $(READY) ## Run the tests that start no FHIR server, identity provider or browser (TESTS=tests/policy for one room)
	@$(VENV)/bin/pytest -n $(WORKERS) --dist loadscope -m "not ($(SLOW))" $(TESTS)

.PHONY: check
check: lint test ## What must be green at every commit

.PHONY: test-hapi
test-hapi: $(READY) ## Run the upstream suite in front of a real HAPI FHIR, easy and strict (needs Java 17 and Maven)
	@SMART_GATEWAY_HAPI=1 $(VENV)/bin/pytest -m hapi

.PHONY: properties
properties: $(READY) ## Try the fast tests with new random examples of every property; `make check` always has the same ones
	@SMART_GATEWAY_NEW_EXAMPLES=1 $(VENV)/bin/pytest -n $(WORKERS) --dist loadscope -m "not ($(SLOW))"

.PHONY: oracle
oracle: $(READY) ## Compare random requests of two apps with a plain model (REQUESTS=100000)
	@ORACLE_REQUESTS=$(or $(REQUESTS),100000) $(VENV)/bin/pytest --timeout 0 tests/proxy/oracle

.PHONY: test-keycloak
test-keycloak: $(READY) ## Run the tests beside and before a real Keycloak (needs Java 17 and Maven)
	@SMART_GATEWAY_KEYCLOAK=1 $(VENV)/bin/pytest -m keycloak

.PHONY: test-collector
test-collector: $(READY) ## Send spans to a real OpenTelemetry Collector (needs Go; builds it once, 3 minutes of CPU)
	@SMART_GATEWAY_COLLECTOR=1 $(VENV)/bin/pytest -m collector

.PHONY: test-kubernetes
test-kubernetes: $(READY) ## Install the chart, HAPI and Redis in a real Kubernetes (root on Debian; Go, Java 17, Maven; builds once, 15 minutes)
	@scripts/build_kubernetes
	@$(PY) -m scripts.image --stand-in --install-tools --tag localhost/smart-fhir-gateway:test >/dev/null
	@SMART_GATEWAY_KUBERNETES=1 $(VENV)/bin/pytest -m kubernetes tests/kubernetes

.PHONY: image
image: $(READY) ## Build the image by podman, buildah or docker (TAG=smart-fhir-gateway:latest)
	@$(PY) -m scripts.image $(if $(TAG),--tag $(TAG))

.PHONY: test-image
test-image: $(READY) ## Build and run the image, and deploy/compose.yaml, without a registry (root on Debian)
	@$(PY) -m scripts.image --stand-in --install-tools --tag localhost/smart-fhir-gateway:test
	@SMART_GATEWAY_CONTAINERS=1 $(VENV)/bin/pytest -m containers

.PHONY: spec
spec: $(READY) ## Print which tests cover each requirement of SMART App Launch; fails while a SHALL has none
	@$(PY) -m scripts.spec

.PHONY: translations
translations: $(READY) ## Bring the catalogues of the pages up to date with the code, and compile them (ADD=fr starts a language)
	@$(PY) -m scripts.translations $(if $(ADD),--add $(ADD))

.PHONY: bench
bench: $(READY) ## Measure beside Envoy and nginx: ratios of CPU per request, never a timed test
	@$(PY) -m bench

.PHONY: bench-hapi
bench-hapi: $(READY) ## Measure a real HAPI FHIR directly and through the gateway (Java 17, Maven, wrk; ten minutes)
	@$(PY) -m bench.hapi && $(PY) -m scripts.document_tables

.PHONY: docs
docs: $(READY) ## Build the book, docs/ as a site, into .cache/book; every link must lead somewhere
	@$(BOOK)
	@echo "Open .cache/book/index.html"

.PHONY: dist
dist: $(READY) ## Build the wheel, the sdist and the SBOM into dist/, check them, and try the command of the wheel
	@rm -rf dist
	@$(PY) -m scripts.distribution dist
	@$(PY) -m scripts.bill_of_materials dist

.PHONY: sbom
sbom: $(READY) ## Write the SBOM (CycloneDX) and the licences of what the gateway runs with into dist/, and check them
	@$(PY) -m scripts.bill_of_materials dist

.PHONY: lock
lock: ## Lock the dependencies again from pyproject.toml (needs uv)
	uv pip compile --quiet pyproject.toml --extra otel --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements/run.txt
	uv pip compile --quiet pyproject.toml --extra dev --extra otel --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements/dev.txt
	uv pip compile --quiet requirements/build.in --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements/build.txt

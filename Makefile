# Everything that a person or CI runs. `make serve` and `make test` need Python 3.11 to 3.13 and nothing else.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
AUDIT := .audit
CLUSTER := .cluster
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
DATA ?= $(or $(SENTOPIC_DATA),$(wildcard ../shared/data))

.PHONY: environment serve test test-slow test-faults test-cluster lint format types train bench browser bulk cluster container container-compose package release audit audit-tried sbom lock clean help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

serve: $(VENV)/serve.stamp  ## the service on port 8000
	$(BIN)/sentopic serve

test: $(VENV)/dev.stamp  ## every test but the slow ones
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not browser and not faults'

test-faults: $(VENV)/dev.stamp  ## minutes of load and harm; docs/reliability.md has what came of it
	$(BIN)/python -m pytest -m faults -s

test-cluster: $(CLUSTER)/stamp  ## two Ray nodes and an object store as processes: nodes are killed under files, jobs and trainings (Linux)
	$(CLUSTER)/bin/python -m pytest -m faults tests/faults/test_cluster.py

test-slow: $(VENV)/dev.stamp  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

browser: $(VENV)/dev.stamp  ## the pages in a real browser (needs Chromium)
	$(BIN)/python -m pytest -m browser

lint: $(VENV)/dev.stamp  ## style and complexity
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(if $(filter Linux,$(shell uname)),$(BIN)/hadolint Dockerfile)

format: $(VENV)/dev.stamp  ## mends what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/dev.stamp  ## strict types
	$(BIN)/mypy

environment: $(VENV)/dev.stamp  ## everything that training and tests need, in .venv

train: $(VENV)/dev.stamp  ## the shipped bundles anew, into artifacts/; interrupted, it goes on where it was (hours)
	for recipe in sentiment-gru sentiment-lstm topic-gru topic-lstm; do \
		$(BIN)/sentopic-train fit $$recipe --resume --replace $(if $(DATA),--data $(DATA)) --out artifacts || exit; done

bench: $(VENV)/dev.stamp  ## every benchmark, half an hour on a quiet machine (needs wrk); writes docs/benchmarks.md, and what docs/scale.md has of it
	for name in encode start windows peers limit growth training report plan; do $(BIN)/python -m benchmarks.$$name || exit; done

container:  ## builds the CPU image and asks it (root on Debian; no Docker engine needed)
	tests/container/cpu

container-compose:  ## brings deploy/compose.yaml up and asks it (likewise)
	tests/container/compose

cluster:  ## two Ray nodes in containers: replicas and nodes are killed under load (as `container`)
	tests/container/cluster

bulk:  ## two Ray nodes answer files, and one is killed in the middle (as `container`)
	tests/container/bulk

.PHONY: container-gpu kubernetes
container-gpu:  ## builds the GPU image, 6 GB, and asks it on the CPU (as container)
	tests/container/gpu

kubernetes: $(VENV)/dev.stamp  ## the manifests, checked and brought up (as container)
	tests/container/kubernetes

package: $(VENV)/dev.stamp  ## wheel and sdist into dist/, tried where nothing of the project is
	tests/release/package $(BIN)/python dist

release:  ## the release checklist: hours of checks, then what is left to do by hand
	tests/release/checklist

audit: $(AUDIT)/stamp  ## whether a dependency has a known vulnerability (asks PyPI)
	for name in serve image train gpu ray dev build audit compose cluster; do \
		$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/$$name.txt || exit; done

audit-tried: $(AUDIT)/stamp $(VENV)/dev.stamp  ## whether the audit notices what is vulnerable (asks a database made up here)
	$(BIN)/python tests/release/audit.py

sbom: $(AUDIT)/stamp  ## the service's bill of materials, into sbom.json (CycloneDX)
	$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible -o sbom.json $(AUDIT)/service

lock:  ## resolves the dependencies anew (needs uv)
	$(UV) pyproject.toml --extra dev -o requirements/dev.txt
	$(UV) pyproject.toml -c requirements/dev.txt -o requirements/serve.txt
	$(UV) pyproject.toml --extra redis --extra postgresql -c requirements/dev.txt -o requirements/image.txt
	$(UV) --group build -c requirements/dev.txt -o requirements/build.txt
	$(UV) --group compose -o requirements/compose.txt
	$(UV) --group cluster -o requirements/cluster.txt
	$(UV) --group audit -o requirements/audit.txt
	$(UV) pyproject.toml --extra train -c requirements/dev.txt -o requirements/train.txt
	$(UV) pyproject.toml --extra gpu -c requirements/dev.txt -o requirements/gpu.txt
	$(UV) pyproject.toml --extra ray --extra redis --extra postgresql -c requirements/dev.txt -o requirements/ray.txt

$(AUDIT)/stamp: requirements/audit.txt requirements/serve.txt | $(BIN)/python
	$(BIN)/python -m venv --clear $(AUDIT)
	$(BIN)/python -m venv --clear --without-pip $(AUDIT)/service
	$(AUDIT)/bin/pip --disable-pip-version-check --quiet install --require-hashes -r requirements/audit.txt
	$(AUDIT)/bin/pip --disable-pip-version-check --quiet --python $(AUDIT)/service install --require-hashes -r requirements/serve.txt
	touch $@

$(CLUSTER)/stamp: requirements/dev.txt requirements/ray.txt requirements/cluster.txt requirements/build.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv --clear $(CLUSTER)
	$(CLUSTER)/bin/pip --disable-pip-version-check --quiet install --require-hashes \
		-r requirements/dev.txt -r requirements/ray.txt -r requirements/cluster.txt -r requirements/build.txt
	$(CLUSTER)/bin/pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	touch $@

clean:  ## the environments and every cache
	rm -rf $(VENV) $(AUDIT) $(CLUSTER) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'Sentopic needs Python 3.11, 3.12 or 3.13; none is on the PATH (or: make PYTHON=...)'; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/serve.stamp: requirements/serve.txt requirements/build.txt pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/serve.txt -r requirements/build.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/dev.stamp: requirements/dev.txt requirements/build.txt pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/dev.txt -r requirements/build.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@ $(VENV)/serve.stamp

# Everything a person or CI does here; `make` alone lists it. Needs Python 3.11+ with pip and installs the rest itself,
# inside this folder: uv into .tools, the locked packages and rushes into .venv.
PYTHON ?= python3
UV := .tools/bin/uv
UV_VERSION := 0.13.9
BIN := .venv/bin
SOURCES := src tests tools docs deploy examples README.md $(wildcard bench)
export UV_PYTHON_DOWNLOADS := never
# pip trusts the machine's own certificates, also where a company has added one; uv does so only when told.
export UV_SYSTEM_CERTS ?= true

.DEFAULT_GOAL := help
.PHONY: help setup demo run test test-fast oracles node helm chaos check bench docs docs-site screenshots release audit lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s  %s\n", $$1, $$2 }' Makefile

setup: .venv/.ready ## Install what is needed; every other target does it by itself

demo: setup ## Make a first video: start the service, post a prompt, save the MP4
	@$(BIN)/rushes demo

run: setup ## Serve on http://127.0.0.1:8080 with ./rushes-data
	@exec $(BIN)/rushes serve

test: setup oracles node ## Run all tests
	@$(BIN)/python -m pytest -q

test-fast: setup ## Run the unit tests: no files, sockets, databases or processes, under 30 seconds
	@$(BIN)/python -m pytest -q tests/unit

node: tests/node/node_modules/.ready ## Install the vendors' JavaScript clients too, where npm is there

oracles: .venv-oracles/.ready ## Install the vendors' own clients, which tests/oracles compares us with

helm: ## Fetch Helm itself, with which the tests render the chart of deploy/helm
	@$(PYTHON) deploy/fetch_helm.py

check: setup ## Check format, lint, types, imports and plain words
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/plain_words.py

chaos: setup ## Kill, freeze and race real processes for some minutes; it prints its figures
	@RUSHES_CHAOS=1 $(BIN)/python -m pytest -n 0 -q -rP tests/chaos

bench: setup ## Measure speed and memory on this machine
	@if [ -e bench/__main__.py ]; then $(BIN)/python -m bench; else echo "there is no benchmark here yet"; fi

docs: setup ## Regenerate the parts of the documentation that follow from the code
	@$(BIN)/python -m docs.generate

docs-site: setup .venv-release/.ready ## Make the documentation's site in dist/site, searchable and offline
	@$(BIN)/python -m docs.site.build

screenshots: setup ## Make the pictures of the console anew, in Debian's Chromium
	@$(BIN)/python -m docs.console_pictures

release: setup .venv-release/.ready ## Build the wheel, the sdist and the list of parts in dist, and try the wheel
	@$(BIN)/python tools/release.py

audit: .venv-release/.ready ## Ask the advisory service about each package of the lock (needs the network)
	@.venv-release/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip

lock: $(UV) ## Pin what pyproject.toml asks for, with hashes, in the lock files
	@$(UV) pip compile -q pyproject.toml --universal --generate-hashes --no-header -o requirements.lock
	@$(UV) pip compile -q pyproject.toml --universal --generate-hashes --no-header --group dev -o requirements-dev.lock
	@$(UV) pip compile -q --universal --generate-hashes --no-header --group build -c requirements-dev.lock -o requirements-build.lock
	@$(UV) pip compile -q --universal --generate-hashes --no-header --group oracles -o requirements-oracles.lock
	@$(UV) pip compile -q --universal --generate-hashes --no-header --no-deps --group oracles-apart -o requirements-oracles-apart.lock
	@$(UV) pip compile -q --universal --generate-hashes --no-header --group release -o requirements-release.lock

clean: ## Remove what setup and the tools made (never rushes-data or demo)
	@rm -rf .venv .venv-oracles .venv-release tests/node/node_modules .tools dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests docs bench -name __pycache__ -prune -exec rm -rf {} +

.venv/.ready: requirements.lock requirements-dev.lock pyproject.toml | $(UV)
	@echo "Setting up .venv (once; a minute at most on a usual line)"
	@$(BIN)/python -c '' 2>/dev/null || $(UV) venv -q --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv
	@$(UV) pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r requirements-dev.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

.venv-oracles/.ready: requirements-oracles.lock requirements-oracles-apart.lock | .venv/.ready
	@echo "Setting up .venv-oracles (once; a minute at most on a usual line)"
	@.venv-oracles/bin/python -c '' 2>/dev/null || $(UV) venv -q --clear --python $(BIN)/python .venv-oracles
	@$(UV) pip install -q --python .venv-oracles/bin/python --require-hashes --no-deps --compile-bytecode -r requirements-oracles.lock
	@$(UV) pip install -q --python .venv-oracles/bin/python --require-hashes --no-deps --compile-bytecode \
	  --target .venv-oracles/apart -r requirements-oracles-apart.lock
	@touch $@

.venv-release/.ready: requirements-release.lock | .venv/.ready
	@.venv-release/bin/python -c '' 2>/dev/null || $(UV) venv -q --clear --python $(BIN)/python .venv-release
	@$(UV) pip install -q --python .venv-release/bin/python --require-hashes -r requirements-release.lock
	@touch $@

# Optional: without npm, or where it reaches no registry, the tests that need it are skipped by name.
tests/node/node_modules/.ready: tests/node/package-lock.json
	@command -v npm >/dev/null || { echo "npm is not installed: the tests of the vendors' JavaScript clients are skipped"; exit 0; }; \
	  cd tests/node && npm ci --silent --ignore-scripts --no-audit --no-fund && touch node_modules/.ready || \
	  echo "npm could not install the vendors' JavaScript clients: their tests are skipped"

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "rushes needs Python 3.11 or newer, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)"; \
	  echo "name another one, for example: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	  echo "'$(PYTHON)' has no pip; on Debian and Ubuntu: apt-get install python3-pip"; exit 1; }
	@$(PYTHON) -m pip install -q --disable-pip-version-check --no-warn-script-location --root-user-action=ignore \
	  --upgrade --target .tools uv==$(UV_VERSION)

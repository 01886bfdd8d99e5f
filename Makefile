# All that is done with this tree; `make` alone lists it.
# Needs Python 3.11 or newer with pip, and make. The tests also need TEST_PACKAGES.

PYTHON ?= python3
VENV ?= .venv
VENV_LOWEST ?= .venv-lowest

# What the tests run for real: the commands, and the Debian packages that bring them.
TEST_COMMANDS = redis-server prometheus promtool prometheus-alertmanager amtool prometheus-pushgateway curl sqlite3 openssl
TEST_PACKAGES = redis-server prometheus prometheus-alertmanager prometheus-pushgateway curl sqlite3 openssl

BIN = $(VENV)/bin

# The virtual environment is made without its own pip, since Debian keeps what that takes in a package
# of its own (python3-venv); the pip of PYTHON installs into it. A lock is complete and holds a hash of
# every file, so nothing is resolved here and nothing comes unchecked, setuptools for our own build included.
pip = $(PYTHON) -m pip --python $(1)/bin/python --disable-pip-version-check install --quiet --no-deps
define install
	@echo "Installing $(2) into $(1) ..."
	@$(call pip,$(1)) --require-hashes --requirement $(2)
	@$(call pip,$(1)) --no-build-isolation --editable .
	@touch $@
endef
compile = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" pyproject.toml

.PHONY: help run demo stack test check test-long bench bench-compare generate pictures lock clean test-packages
.DELETE_ON_ERROR:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "ARGS=... is handed to the command; PYTHON=... and VENV=... choose the interpreter and the environment"

run: $(VENV)/.run ## Serve on 127.0.0.1:10470 and keep ratings in llm-feedback.db
	@exec $(BIN)/feedback-exporter serve $(ARGS)

demo: $(VENV)/.run ## Show recording, statistics, upgrade, downgrade, the worst stages and adaptive routing
	@exec $(BIN)/feedback-exporter demo $(ARGS)

stack: TEST_COMMANDS = prometheus prometheus-alertmanager
stack: TEST_PACKAGES = prometheus prometheus-alertmanager
stack: test-packages $(VENV)/.run ## Run exporter, Prometheus and Alertmanager, and watch an alert come
	@exec $(BIN)/python -m config.stack $(ARGS)

test: test-packages check ## Check, then run every test that takes seconds
	$(BIN)/python -m pytest --cov --durations=10 $(ARGS)

check: $(VENV)/.dev ## Format, lint, types and layers, without running a test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test-long: test-packages $(VENV)/.dev $(VENV_LOWEST)/.dev ## The lowest versions, the long tests, mutation testing
	$(VENV_LOWEST)/bin/python -m pytest --durations=10
	$(BIN)/python -m pytest -m long --durations=10
	$(BIN)/python -m tests.mutation.check

bench: test-packages $(VENV)/.dev ## Measure, and print the figures as ratios
	$(BIN)/python -m tests.bench $(ARGS)

bench-compare: $(VENV)/.dev ## Set two files of bench-results/ side by side: ARGS="A.json B.json"
	$(BIN)/python -m tests.bench.compare $(ARGS)

generate: $(VENV)/.dev ## Write rules and dashboards anew from alerts/*.py and grafana/*.py
	$(BIN)/python -m alerts
	$(BIN)/python -m grafana

pictures: test-packages $(VENV)/.dev ## Draw the dashboards anew from real query results
	$(BIN)/python -m tests.grafana.draw

lock: $(VENV)/.dev ## Write the locks anew from pyproject.toml; ARGS=--upgrade takes the newest versions
	$(compile) --group build --output-file requirements.lock $(ARGS)
	$(compile) --group dev --constraint requirements.lock --output-file requirements-dev.lock $(ARGS)
	$(compile) --group test --resolution lowest-direct --upgrade --output-file requirements-lowest.lock

clean: ## Remove what was made here, but never a database
	rm -rf $(VENV) $(VENV_LOWEST) build dist mutants *.egg-info .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

%/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d, 3.11 or newer is needed: make PYTHON=..." % sys.version_info[:2])'
	@$(PYTHON) -m venv --without-pip $*

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	$(call install,$(VENV),requirements.lock)

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(call install,$(VENV),requirements-dev.lock)

$(VENV_LOWEST)/.dev: requirements-lowest.lock pyproject.toml | $(VENV_LOWEST)/bin/python
	$(call install,$(VENV_LOWEST),requirements-lowest.lock)

# As root, install what is missing, and let the policy that Debian asks keep its services from starting;
# a policy that is there already is left as it is.
test-packages:
	@missing=; for command in $(TEST_COMMANDS); do command -v $$command >/dev/null || missing="$$missing $$command"; done; \
	[ -n "$$missing" ] || exit 0; \
	echo "The tests need$$missing."; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "Install with: sudo apt-get install --no-install-recommends $(TEST_PACKAGES)"; exit 1; \
	fi; \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then \
		trap 'rm -f '$$policy EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy && chmod 755 $$policy; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends $(TEST_PACKAGES)

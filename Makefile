# The commands of the project. Everything runs in .venv, which the first command makes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS   ?=
VALKEY ?= localhost:6379
# Processes that share the tests. Many wait for a server, so that there may be more of them than cores; ARGS="-n 0"
# runs all tests in one, e.g. with --pdb.
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-full test-valkey lint types layers unit bench bench-full lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# Creating a virtual environment needs Python 3.11 and its venv module; say so instead of failing later.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "router-memory needs Python 3.11 or later; try: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' \
	  || { echo "this Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python requirements/runtime.lock pyproject.toml
	@echo "installing router-memory and what it needs (a minute or two the first time)"
	@$(PIP) install -r requirements/runtime.lock
	@$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.lock
	@echo "installing the development tools"
	@$(PIP) install -r requirements/dev.lock
	@touch $@

demo: $(VENV)/.runtime  ## replay a conversation and see which memories are injected, and why
	@$(BIN)/router-memory demo $(ARGS)

serve: $(VENV)/.runtime  ## run the service with config/config.yaml (ARGS="--port 9000 ...")
	@$(BIN)/router-memory serve --config config/config.yaml $(ARGS)

test: lint types layers unit  ## everything a change must pass

lint: $(VENV)/.dev  ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy --strict
	@$(BIN)/mypy

layers: $(VENV)/.dev  ## the architecture, by import-linter
	@$(BIN)/lint-imports

unit: $(VENV)/.dev  ## pytest: unit, contract, property, documentation
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-full: $(VENV)/.dev  ## the long tests: killed writers, long random runs (a quarter of an hour)
	@$(BIN)/pytest -m full $(ARGS)

test-valkey: $(VENV)/.dev  ## the whole suite against the server that `docker compose up -d --wait valkey` started
	@ROUTER_MEMORY_TEST_VALKEY=$(VALKEY) $(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

bench: $(VENV)/.dev  ## every benchmark's quick run, half an hour at most; bench/README.md
	@$(BIN)/python -m bench all --quick $(ARGS)

bench-full: $(VENV)/.dev  ## every benchmark at full size, about three hours (ARGS="--data FILE ...")
	@$(BIN)/python -m bench all $(ARGS)

lock: $(VENV)/.dev  ## resolve the lock files anew
	@$(PIP) install pip-tools
	@sh requirements/lock.sh $(BIN)/pip-compile

clean:  ## remove the environment and every cache
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Every target works on a fresh machine with Python 3.11 or newer.
SHELL := /bin/sh
VENV := .venv
PYTHON ?= python3
READY := $(VENV)/.ready
# tests wait for processes as often as they compute, so that three at a time pay also on two cores
PYTEST := pytest -n 3 --dist loadfile
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro test test-all check docs bench ui

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: $(READY) ## Make the environment in .venv and install everything

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, this is {v[0]}.{v[1]}; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --progress-bar off -c constraints.txt -e '.[dev,inception]'
	@touch $(READY)

repro: $(READY) ## Prepare, train, evaluate and register, and say what came out
	@dvc repro
	@pipeline summary

test: $(READY) ## Run the tests but the slow ones
	@$(PYTEST) -m 'not slow'

test-all: $(READY) ## Run all tests
	@$(PYTEST)

check: $(READY) ## Lint, types, import layers, generated pages
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports
	@python docs/write_params.py --check

docs: $(READY) ## Write the pages that are made from code
	@python docs/write_params.py

bench: $(READY) ## Measure throughput, memory, the cost of durability, what scores are worth, and Inception's features
	@python benchmarks/throughput.py
	@python benchmarks/durability.py
	@python benchmarks/memory.py
	@python benchmarks/verdicts.py
	@python benchmarks/intervals.py
	@python benchmarks/copies.py
	@python benchmarks/inception.py

ui: $(READY) ## Open MLflow on http://127.0.0.1:5000
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 5000

# Every target works on a fresh machine with Python 3.11 or newer.
SHELL := /bin/sh
VENV := .venv
PYTHON ?= python3
PORT ?= 5000
READY := $(VENV)/.ready
# tests spend as much time blocked on processes as computing, so three workers pay off even on two cores
PYTEST := pytest -n 3 --dist loadfile
export MLFLOW_DISABLE_TELEMETRY ?= true
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro test test-all check docs docs-site bench bench-check ui

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: $(READY) ## Make the environment in .venv and install everything

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, this is {v[0]}.{v[1]}; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --progress-bar off -c constraints.txt -e '.[dev,inception]'
	@touch $(READY)

repro: $(READY) ## Prepare, train, evaluate and register, and print the summary
	@python -m pipeline.stages.validate # unlike DVC, it parses params.yaml within bounds
	@dvc repro
	@pipeline summary

test: $(READY) ## Run all tests except the slow ones
	@$(PYTEST) -m 'not slow'

test-all: $(READY) ## Run all tests
	@$(PYTEST)

check: $(READY) ## Check lint, types, import layers and generated pages
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports
	@python docs/write_params.py --check

docs: $(READY) ## Write the pages that are generated from code
	@python docs/write_params.py

docs-site: $(READY) ## Build the documentation as a site in site/
	@python -m pip install --quiet -c constraints.txt -e '.[docs]'
	@mkdocs build --strict

bench: $(READY) ## Measure speed against alternatives, growth, serving, and the quality of scores
	@python -m pip install --quiet -c constraints.txt -e '.[bench]'
	@dvc repro
	@for family in vae gan; do \
		python benchmarks/throughput.py --family $$family && \
		python benchmarks/throughput.py --family $$family --helps && \
		python benchmarks/throughput.py --family $$family --size 64 --channels 3 --rounds 3 && \
		python benchmarks/quality.py --family $$family && \
		python benchmarks/growth.py --family $$family || exit 1; \
	done
	@python tests/inception_weights.py .pipeline/inception.pth
	@python benchmarks/inception.py --weights .pipeline/inception.pth
	@python benchmarks/evaluation.py --weights .pipeline/inception.pth --against torch-fidelity pytorch-fid clean-fid \
		--images 96 --rows 2000
	@python benchmarks/overhead.py
	@python benchmarks/prepare.py --rounds 2 --items 10000 100000 1000000
	@python benchmarks/serving.py --rounds 3
	@python benchmarks/precision.py
	@for family in vae gan; do python benchmarks/durability.py --family $$family || exit 1; done
	@python benchmarks/verdicts.py
	@python benchmarks/intervals.py
	@python benchmarks/copies.py

bench-check: $(READY) ## Measure a few ratios, and fail if one is below its recorded value
	@python -m pip install --quiet -c constraints.txt -e '.[bench]'
	@python benchmarks/check.py

ui: $(READY) ## Serve MLflow, and print the address of the runs; PORT=5001 chooses the port
	@pipeline ui --port $(PORT)

# Needs make, Python 3.10 to 3.14 and a package index; everything else is installed into $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# pip works on one environment: never two at once, also under `make -j`.
.NOTPARALLEL:
.PHONY: demo test test-full lint bench clean

demo: $(VENV)/installed-demo
	$(BIN)/python examples/digits.py

test: $(VENV)/installed-test
	$(BIN)/pytest -n auto -m "not slow"

test-full: $(VENV)/installed-test
	$(BIN)/pytest -n auto

lint: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pytest -q tests/test_layers.py

bench: $(VENV)/installed-bench $(VENV)/installed-torch
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist xnp.egg-info .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# Stamps: a second run installs nothing until the requirements change.
extras-demo := demo
extras-test := demo,test
extras-bench := bench

$(VENV)/installed-%: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(extras-$*)]'
	touch $@

# A peer of `make bench`, left out where the index has no build for CPUs alone: the usual one brings
# 3 GB of CUDA, and `make bench TORCH=torch` takes it. torch.compile also wants g++.
TORCH ?= torch==2.13.0+cpu

$(VENV)/installed-torch: | $(VENV)/installed-bench
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)' || \
		echo 'no $(TORCH) here: measured without torch (see TORCH in the Makefile)'
	touch $@

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 10) else "xnp needs Python 3.10 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

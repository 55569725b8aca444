# Two commands on a machine with nothing but Python 3.11+ and make:
#   make demo    the main job on real data; ends with a report to open
#   make test    the tests
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# What is never imported need not be compiled: that is most of what is installed.
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
# Two processes test; more threads than cores would only wait for one another. Fast tests of a file
# stay together, for what they share; slow ones go to whoever is free.
PYTEST := OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 $(BIN)/python -m pytest -n 2

.PHONY: demo test test-slow test-all lint clean

demo: $(VENV)/demo.installed
	$(BIN)/sfumato demo --out demo

test: $(VENV)/test.installed
	$(PYTEST) --dist loadfile -m "not slow"

test-slow: $(VENV)/test.installed
	$(PYTEST) --dist worksteal -m "slow and not long"

test-all: $(VENV)/test.installed
	$(PYTEST) --dist worksteal

lint: $(VENV)/lint.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[neural]'
	@touch $@

$(VENV)/test.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[all,test]'
	@touch $@ $(VENV)/demo.installed

$(VENV)/lint.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[all,test,lint]'
	@touch $@ $(VENV)/test.installed $(VENV)/demo.installed

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

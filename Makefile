# Two commands on a fresh machine: `make demo` and `make test`. Each sets up .venv first.

VENV ?= .venv
PYTHON_IN_VENV = $(VENV)/bin/python
export VENV

.PHONY: help setup demo test test-fast lint format

help:
	@echo 'make setup      set up .venv (3 to 20 minutes once, nothing after that)'
	@echo 'make demo       set up, then train and show pose, segmentation and detection'
	@echo 'make test       set up, then lint and run every test, slow ones included'
	@echo 'make test-fast  set up, then run the tests not marked slow'
	@echo 'make lint       set up, then ruff and mypy'
	@echo 'make format     set up, then let ruff rewrite the files'
	@echo 'Settings: PYTHON, VENV, TORCH_INDEX_URL, MMCV_FIND_LINKS, MAX_JOBS (see .ci/setup.sh)'

setup:
	@.ci/setup.sh

demo: setup
	$(PYTHON_IN_VENV) tools/demo.py

test: lint
	$(PYTHON_IN_VENV) -m pytest --durations=15

test-fast: setup
	$(PYTHON_IN_VENV) -m pytest -m 'not slow'

lint: setup
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy

format: setup
	$(PYTHON_IN_VENV) -m ruff check --fix .
	$(PYTHON_IN_VENV) -m ruff format .

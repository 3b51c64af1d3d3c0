# Two commands on a fresh machine: `make demo` and `make test`. Each sets up .venv first.

# STACK=onedl is the maintained forks of the OpenMMLab packages (docs/onedl.md), in a .venv of their own.
STACK ?= default
VENV ?= .venv$(if $(filter-out default,$(STACK)),-$(STACK))
PYTHON_IN_VENV = $(VENV)/bin/python
# A test runs on one thread: as many at a time as there are cores, those of one file by one worker, in the
# order of their names, so that the slow end-to-end ones are not left to the end.
WORKERS = -n auto --dist loadfile --no-loadscope-reorder
export STACK VENV

.PHONY: help setup demo test test-fast lint format swap-walk zoo

help:
	@echo 'make setup      set up .venv (3 to 20 minutes once, nothing after that)'
	@echo 'make demo       set up, then train and show pose, segmentation and detection'
	@echo 'make test       set up, then lint and run every test, slow ones included'
	@echo 'make test-fast  set up, then run the tests not marked slow'
	@echo 'make lint       set up, then ruff and mypy'
	@echo 'make format     set up, then let ruff rewrite the files'
	@echo 'make swap-walk  set up, then swap HRNet into every config of the four packages (some 20 minutes)'
	@echo 'make zoo        set up, then remake docs/model_zoo.md and the index for mim'
	@echo 'Settings: STACK=onedl, PYTHON, VENV, TORCH_INDEX_URL, MMCV_FIND_LINKS, MAX_JOBS (see .ci/setup.sh)'

setup:
	@.ci/setup.sh

demo: setup
	$(PYTHON_IN_VENV) tools/demo.py

test: lint
	$(PYTHON_IN_VENV) -m pytest $(WORKERS) --durations=15

test-fast: setup
	$(PYTHON_IN_VENV) -m pytest $(WORKERS) -m 'not slow'

lint: setup
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy

format: setup
	$(PYTHON_IN_VENV) -m ruff check --fix .
	$(PYTHON_IN_VENV) -m ruff format .

swap-walk: setup
	$(PYTHON_IN_VENV) tools/dev/walk_swaps.py --markdown docs/swap_results.md

zoo: setup
	$(PYTHON_IN_VENV) tools/dev/model_zoo.py

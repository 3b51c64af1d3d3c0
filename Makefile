# Two commands on a fresh machine: `make demo` and `make test`. Each sets up .venv first.

VENV ?= .venv
PYTHON_IN_VENV = $(VENV)/bin/python
# A test runs on one thread: as many at a time as there are cores, those of one file by one worker, in the
# order of their names, so that the long end-to-end ones are not left to the end.
PYTEST = $(PYTHON_IN_VENV) -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations=15
export VENV

.PHONY: help setup demo demo-joint test test-nightly test-gpu lint format swap-walk zoo relatives

help:
	@echo 'make setup         set up .venv (3 to 20 minutes once, nothing after that)'
	@echo 'make demo          set up, then train and show pose, segmentation and detection'
	@echo 'make demo-joint    the same by one network for all three'
	@echo 'make test          set up, then lint and run the tests, but for the nightly ones'
	@echo 'make test-nightly  set up, then run the nightly tests: kills, growth, walks, mutants, zoo, clean wheels'
	@echo 'make test-gpu      set up, then run the tests that need an NVIDIA GPU'
	@echo 'make lint          set up, then ruff, mypy and the rules of imports'
	@echo 'make format        set up, then let ruff rewrite the files'
	@echo 'make swap-walk     set up, then swap HRNet into every config of the four packages (some 20 minutes)'
	@echo 'make zoo           set up, then remake docs/model_zoo.md and the index for mim'
	@echo 'make relatives     set up, then race HRNet and its relatives on a few drawn scenes (some 10 minutes)'
	@echo 'Settings: CUDA, PYTHON, VENV, TORCH_INDEX_URL, MMCV_FIND_LINKS, MAX_JOBS (see .ci/setup.sh)'

setup:
	@.ci/setup.sh

demo: setup
	$(PYTHON_IN_VENV) tools/demo.py

demo-joint: setup
	$(PYTHON_IN_VENV) tools/demo.py --joint

test: lint
	$(PYTEST) -m "not nightly and not gpu"

test-nightly: setup
	$(PYTEST) -m nightly

test-gpu: setup
	$(PYTHON_IN_VENV) -m pytest -m gpu --durations=15 tests/gpu

lint: setup
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy
	$(VENV)/bin/lint-imports

format: setup
	$(PYTHON_IN_VENV) -m ruff check --fix .
	$(PYTHON_IN_VENV) -m ruff format .

swap-walk: setup
	$(PYTHON_IN_VENV) tools/dev/walk_swaps.py --markdown docs/swap_results.md

zoo: setup
	$(PYTHON_IN_VENV) tools/dev/pages.py model_zoo

relatives: setup
	$(PYTHON_IN_VENV) tools/make_synthetic.py races/drawn --train 48 --val 8 --quiet
	set -e; for task in segmentation pose detection; do \
		$(PYTHON_IN_VENV) tools/dev/relatives.py $$task --data races/drawn --budget-iters 5 --out races/smallest/$$task; \
	done

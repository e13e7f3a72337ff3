# `make repro` and `make test` are all a newcomer needs; each makes its own .venv when there is none.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
export DVC_NO_ANALYTICS = 1
# As in cli.py: tests that share the cores with other work are several times faster.
export GOMP_SPINCOUNT = 2000
# A process for each core, up to four; a file's tests stay together, since they share what is slow to make.
PYTEST := pytest --numprocesses logical --maxprocesses 4 --dist loadfile

.PHONY: repro repository reset test test-all sanitize setup lock ui clean
.DEFAULT_GOAL := repro

repro: repository setup  ## from data/raw to models/export
	bhasa check
	dvc repro

repository:  # DVC wants one; said before anything is installed
	@grep -qs 'no_scm = true' .dvc/config || git rev-parse --is-inside-work-tree >/dev/null || \
	  { echo "error: DVC works in a Git repository, which this folder is not. Make it one:" >&2; \
	    echo "  git init && git add --all && git commit --message start" >&2; \
	    echo "or go on without Git, and without experiments and \`make reset\`:" >&2; \
	    echo "  echo 'no_scm = true' >> .dvc/config" >&2; exit 2; }

reset:  ## back to the last commit: params.yaml, dvc.lock, reports, data and models; `git stash pop` undoes it
	git stash push --message "before make reset" -- params.yaml dvc.lock reports
	dvc checkout --force --allow-missing

test: setup  ## lint, types and the quick tests: minutes
	ruff check .
	ruff format --check .
	mypy
	$(PYTEST) -m "not slow"

test-all: test  ## the slow tests too: pipelines in clean clones, benchmarks, kills
	$(PYTEST) -m slow

setup: .venv/installed  ## only the environment

.venv/installed: requirements.lock pyproject.toml setup.py $(wildcard src/bhasa/ops/native/*.[ch]*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is too old; bhasa needs 3.11 or later: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	pip install --progress-bar off -c requirements.lock -e '.[dev]' || \
	  { echo "error: the packages of requirements.lock could not be installed together: if the lock does not" \
	    "match pyproject.toml, run \`make lock\`; otherwise see pip's message above" >&2; exit 2; }
	@bhasa doctor | tail -n 1  # a warning where the kernels could not be compiled
	touch $@

sanitize: setup  ## the native kernels under sanitizers, every night
	.ci/sanitize

lock:  ## pin anew what pyproject.toml allows
	$(PYTHON) -m venv .venv
	pip install --quiet uv
	uv pip compile pyproject.toml --quiet --all-extras --python-version 3.11 --strip-extras --no-header \
	  --no-annotate --no-emit-index-url --no-emit-find-links $(LOCK_OPTIONS) -o requirements.lock
	sed -i 's/^\(torch==[0-9.]*\)+.*/\1/' requirements.lock

ui: setup  ## compare the runs in a browser: http://127.0.0.1:5000
	bhasa ui

clean:  ## the environment and unfinished runs; models, data and reports stay
	rm -rf .venv .bhasa .mypy_cache .pytest_cache .ruff_cache

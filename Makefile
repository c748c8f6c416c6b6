# The five verbs; CI uses the same ones. Requires Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: help setup run test check bench lock
help:
	@echo "make run     forecast the sample (S&P 500 and NASDAQ) and score the 12 months before"
	@echo "make test    run the tests in parallel, with a worker per processor"
	@echo "make check   lint and type-check"
	@echo "make bench   measure speed and skill, and write benchmarks/RESULTS.md"
	@echo "make setup   install into .venv; the other verbs do so if necessary"

setup: $(INSTALLED)

# Installs the locked versions first, then the project without resolving dependencies again.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Bellwether needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 setup")'
	@echo "Installing into .venv: a minute or two …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup
	@$(BIN)/bellwether run --source sample --catch-up 12

# A module's tests share a worker, and so its fixtures; slow modules are collected first.
test: setup
	@$(BIN)/python -m pytest --numprocesses auto --dist loadscope --no-loadscope-reorder

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: setup
	@$(BIN)/python -m benchmarks

# Locks all versions for every platform. Requires uv.
lock:
	uv pip compile --quiet pyproject.toml --extra dev --universal --python-version 3.11 \
		--no-emit-index-url --no-header --no-annotate --output-file requirements.lock

# The five verbs; CI calls the same ones. Python 3.11 or newer and make are all a machine needs.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: help setup run test check bench lock
help:
	@echo "make run     set up if need be, and forecast the sample (S&P 500 and NASDAQ), with a year of past months to score"
	@echo "make test    set up if need be, and run the tests"
	@echo "make check   lint and type-check"
	@echo "make bench   measure speed and skill; writes benchmarks/RESULTS.md"
	@echo "make setup   install into .venv"

setup: $(INSTALLED)

# Exactly what was tested: the lock first, then the project itself, with nothing resolved anew.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Bellwether needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 setup")'
	@echo "Installing into .venv: a minute or two …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup
	@$(BIN)/bellwether run --source sample --catch-up 12

test: setup
	@$(BIN)/python -m pytest

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: setup
	@$(BIN)/python -m benchmarks

# Versions of everything, for every platform; needs uv, which the project itself does not.
lock:
	uv pip compile --quiet pyproject.toml --extra dev --universal --python-version 3.11 \
		--no-emit-index-url --no-header --no-annotate --output-file requirements.lock

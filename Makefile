# Weft: `make demo` serves real images, `make test` proves the build. Needs Python >= 3.11 and make, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$each" && break; done)
JOBS ?= 3
# Tests start servers and commands some hundred times, and each would compile all modules anew.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest
DEMO_PORT ?= 8080
AUTH ?= smart

.PHONY: help demo test check e2e backup-drill bench conformance statements format clean

help:  ## What can be made
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

# Two stamps: serving needs far less than testing. Neither is redone until pyproject.toml changes.
$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "Weft needs Python 3.11 or newer on the PATH (or: make PYTHON=/path/to/python)"; exit 1; }
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)"; exit 1; }

.venv/.serving: pyproject.toml | $(BIN)/python
	@echo "Installing Weft into .venv (once; a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[s3]'
	@touch $@

.venv/.testing: pyproject.toml | $(BIN)/python
	@echo "Installing Weft and its test tools into .venv (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/.serving

demo: .venv/.serving  ## Sample images and a ward on http://127.0.0.1:8080, with sign-in (or: make demo AUTH=off)
	@$(BIN)/weft demo --port $(DEMO_PORT) --auth $(AUTH)

check: .venv/.testing  ## Format, lint, types, import contracts, fast tests, statements: a minute or two
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -q -n $(JOBS) -m "not slow and not e2e" --ignore=tests/contract
	$(BIN)/weft statements --check

test: .venv/.testing  ## Everything: the contract suite over every store, then all other tests
	@status=0; \
	echo "== contract suite: SQLite, mongod, folder, S3"; \
	$(PYTEST) -v --tb=short -n $(JOBS) --dist loadfile tests/contract || status=1; \
	echo "== everything else"; \
	$(PYTEST) -q -n $(JOBS) --dist loadscope --no-loadscope-reorder --ignore=tests/contract || status=1; \
	exit $$status

e2e: .venv/.testing  ## The end-to-end suite at full length (20 rounds of kill -9, a 2 GB study)
	TEST_LENGTH=full $(PYTEST) -v tests/e2e

backup-drill: .venv/.testing  ## Back up sample data beside its server, lose it, restore it on both pairs of stores, compare
	$(PYTEST) -v tests/e2e/test_backup.py

bench: .venv/.testing  ## Measure a fresh server on this machine (BENCH="--rounds 1")
	$(BIN)/python -m tests.benchmarks local $(BENCH)

conformance: .venv/.testing  ## Black-box checks of any DICOMweb or FHIR server: make conformance URL=http://host/fhir
	@[ -n "$(URL)" ] || { echo "make conformance URL=http://host:port/dicomweb"; exit 2; }
	$(BIN)/python -m conformance.kit $(URL) $(if $(TOKEN),--header "Authorization: Bearer $(TOKEN)")

statements: .venv/.testing  ## Write conformance/statements anew from the endpoints
	$(BIN)/weft statements

format: .venv/.testing  ## Format and sort imports
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the virtual environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info

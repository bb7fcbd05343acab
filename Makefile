# A fresh machine needs Python 3.11 or newer and make; each target makes its own .venv when it has to.

PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11 python3.14; do \
	if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$each; break; fi; done)
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo up test lint format bench faults requirements clean

help:
	@echo "make demo          start everything, scan a sample SBOM, show the findings (ARGS=--exit to end then)"
	@echo "make up            run the API, a worker and a scheduler on this machine until Ctrl-C"
	@echo "make test          all tests (ARGS to pass pytest options)"
	@echo "make lint          formatting, rules, types and import contracts"
	@echo "make format        format the code and apply the safe fixes"
	@echo "make bench         the benchmarks (ARGS to choose)"
	@echo "make faults        put the promises to the test and write tests/faults/RESULTS.md (ARGS to choose)"
	@echo "make requirements  pin the dependencies of pyproject.toml anew"
	@echo "make clean         remove .venv, .venv-bench and caches; data stays"

demo: $(READY)
	@exec $(BIN)/vedette demo $(ARGS)

up: $(READY)
	@exec $(BIN)/vedette up $(ARGS)

# One file stays in one process, so that what its tests share is made once. Many tests of processes mostly wait, so three share two
# cores; they come first, so that the many short ones fill the rest.
test: $(READY)
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(READY)
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: $(READY) .venv-bench/.ready
	@exec $(BIN)/python -m tests.benchmarks $(ARGS)

faults: $(READY)
	@exec $(BIN)/python -m tests.faults $(ARGS)

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

# Versions that are pinned stay as they are unless ARGS=--upgrade (or ARGS='--upgrade-package NAME') is given.
requirements: $(READY)
	@for extra in api worker dev; do \
		echo "requirements-$$extra.txt"; \
		$(COMPILE) pyproject.toml --extra $$extra -o requirements-$$extra.txt $(ARGS) > /dev/null || exit 1; done
	@echo "requirements-bench.txt"
	@$(COMPILE) --group bench -o requirements-bench.txt $(ARGS) > /dev/null
	@echo "requirements-build.txt"
	@sed -n 's/^requires = \["\(.*\)"\]$$/\1/p' pyproject.toml \
		| $(COMPILE) - -o requirements-build.txt $(ARGS) > /dev/null

clean:
	@rm -rf .venv .venv-bench .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find api_service worker_service shared tests -name __pycache__ -prune -exec rm -rf {} +

PIP = $(BIN)/python -m pip -qq --disable-pip-version-check

# uv installs in seconds what takes pip a minute; pip is there for networks that only pip is set up for.
$(READY): requirements-dev.txt pyproject.toml
	@$(if $(PYTHON),:,echo "Vedette needs Python 3.11 or newer; install it, or name one: make PYTHON=/path/to/python3" >&2; exit 1)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "installing into .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt > .venv/uv.txt
	@$(PIP) install --require-hashes -r .venv/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt \
		|| $(PIP) install --require-hashes -r requirements-dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# What the benchmarks compare with is kept apart: it pins other versions of what we use ourselves.
.venv-bench/.ready: requirements-bench.txt | $(READY)
	@echo "installing into .venv-bench"
	@test -x .venv-bench/bin/python || $(BIN)/python -m venv .venv-bench
	@$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --require-hashes -r requirements-bench.txt \
		|| .venv-bench/bin/python -m pip -qq --disable-pip-version-check install --require-hashes -r requirements-bench.txt
	@touch $@

# Everything runs in .venv, which is made on first use from the hashed requirements files.

PYTHON ?= python3
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip -qq --disable-pip-version-check

export PYTHON

# The tests that decide whether what decides is covered to its last branch. Measuring that slows a test by more than half.
DECISIONS := tests/model tests/text tests/respond/test_decisions.py tests/respond/test_relapse.py \
	tests/respond/test_retention.py tests/transition/test_plan.py tests/transition/test_next_step.py tests/trust/test_people.py \
	tests/trust/test_roles.py

.DEFAULT_GOAL := help
.PHONY: help demo test check sbom bench exercise faults hostile lock clean preflight

help:
	@echo "make demo      set everything up and run the main job on example-state, in ./demo"
	@echo "make test      set everything up, run all checks and the whole test suite"
	@echo "make check     formatting, lint, types, the floors, and known vulnerabilities of what users install"
	@echo "make sbom      writes sbom.cdx.json: what is installed, as CycloneDX"
	@echo "make bench     measure (BENCH=--quick tries whether it works, on 1,000 files)"
	@echo "make exercise  long runs: a thousand changes to mirrors on bad networks (as root also in network namespaces),"
	@echo "               ten thousand snapshots with maintenance beside"
	@echo "make faults    break it on purpose and count what it survives (FAULTS=... passes options, as '--kind kill --trials 1000')"
	@echo "make hostile   try to get in what must not: trees, packs, documents, signatures, chains, words (HOSTILE=... passes options)"
	@echo "make lock      pin the dependencies anew (needs uv)"
	@echo "make clean     remove what the other targets have made"
	@echo "PYTHON=... chooses the interpreter (now $(PYTHON))"

preflight:
	@.ci/preflight

# The demo needs the run-time requirements only; a development installation contains them.
.venv/.ready: requirements.txt pyproject.toml | preflight
	@echo "Setting up .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.ready-dev: requirements-dev.txt .venv/.ready | preflight
	@echo "Installing the development tools (once) ..."
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

demo: .venv/.ready
	@$(BIN)/stateguard demo ./demo

check: .venv/.ready-dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "Not formatted; '$(BIN)/ruff format' does it."; exit 1; }
	@$(BIN)/mypy --no-error-summary stateguard
	@if find example-state -name '*.py' | grep -q .; then $(BIN)/mypy --no-error-summary example-state; fi
	@$(BIN)/lint-imports --no-logo > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@$(BIN)/python .ci/audit $(BIN)/pip-audit
	@echo "Checks passed: ruff, mypy, import-linter."

sbom: .venv/.ready-dev
	@$(BIN)/python .ci/sbom sbom.cdx.json

test: check
	@$(BIN)/python -m pytest -q -n 2 $(DECISIONS) --cov --cov-report=
	@.ci/coverage-pure $(BIN)/coverage
	@timeout --foreground --kill-after=30 2400 $(BIN)/python -m pytest -n 4 --dist worksteal \
		$(addprefix --ignore=,$(DECISIONS))

bench: .venv/.ready-dev
	@$(BIN)/python -m benchmarks $(or $(BENCH),--publish .)

exercise: .venv/.ready-dev
	@$(BIN)/python tests/exercise/mirrors.py
	@$(BIN)/python tests/exercise/networks.py
	@$(BIN)/python tests/exercise/snapshots.py

faults: .venv/.ready-dev
	@PYTHONPATH=tests $(BIN)/python -m faults --resume faults.jsonl $(FAULTS)

hostile: .venv/.ready-dev
	@PYTHONPATH=tests $(BIN)/python -m hostile $(HOSTILE)

lock:
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-annotate \
		pyproject.toml --group build -o requirements.txt
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-annotate \
		pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

clean:
	@rm -rf .venv demo build dist sbom.cdx.json .coverage .coverage.* .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache \
		faults.jsonl faults-kept
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Needs Python 3.11 or newer and make; all else goes into .venv. `make` alone says what there is.

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python3.14; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
VENV := .venv
BIN := $(VENV)/bin
# A changed pyproject.toml is another stamp, so the environment follows it.
STAMP := $(VENV)/installed-$(shell cksum < pyproject.toml | cut -d ' ' -f 1)
# What a release is made with stands apart from what it is tested with: its tools bring along what slows others down.
RELEASE := build/release
RELEASE_TOOLS := 'cyclonedx-bom>=7.5,<8' 'pip-audit>=2.10,<3' 'uv>=0.9'
# Some take minutes on two cores: only what is far slower is taken to hang.
LONG := $(BIN)/pytest -m slow -n 2 --timeout 900 -q
ARGS ?=
# Benchmarks of a file that somebody has, not of data that they make.
OF_FILES := benchmarks/ablation.py benchmarks/active_order.py benchmarks/kept_promise.py benchmarks/rule_learning.py benchmarks/statements.py

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_NO_INPUT := 1
# Tests start hundreds of processes: each would compile all that it imports, where bytecode is not kept.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test short lint bench fmt pictures verify scan lock sbom audit clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(STAMP) ## the whole service on this machine, with a demo (ARGS="--no-demo")
	@$(BIN)/sortation up $(ARGS)

test: $(STAMP) ## lint, types, import order, and all tests but the long ones (ARGS="-k rules")
	@$(MAKE) --no-print-directory --jobs=2 lint short

# What `test` runs beside `lint`, which leaves a core idle.
short: $(STAMP)
	$(BIN)/pytest -m "not slow" -n 2 --dist worksteal -q $(ARGS)

verify: $(STAMP) ## the long tests: real processes killed and restarted, the command line, the console's pages
	$(LONG) --dist worksteal tests/architecture tests/unit tests/kit tests/integration $(ARGS)
	$(LONG) --dist loadfile --no-loadscope-reorder tests/e2e/test_*.py tests/e2e/[a-z]*/ $(ARGS)

lint: $(STAMP) ## ruff, mypy --strict, import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

scan: $(STAMP) ## what bandit and detect-secrets find in what is committed (also part of verify)
	$(BIN)/pytest -m slow -q tests/architecture/test_scans.py $(ARGS)

pictures: $(STAMP) ## the pictures of the documentation, anew (needs Chromium)
	SORTATION_PICTURES=keep $(BIN)/pytest -m slow -q tests/e2e/console/test_pictures.py

bench: $(STAMP) ## speed, each beside a peer or the naive way (ARGS="--json")
	@$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[bench]'
	@for file in $(filter-out $(OF_FILES),$(wildcard benchmarks/[a-z]*.py)); do name=$${file##*/}; $(BIN)/python -m "benchmarks.$${name%.py}" $(ARGS) || exit; done

lock: $(RELEASE) ## requirements.lock: the versions and hashes of all that the image installs
	$(RELEASE)/bin/uv pip compile pyproject.toml --extra sftp --universal --python-version 3.11 --generate-hashes --no-annotate \
		--custom-compile-command 'make lock' --quiet --output-file requirements.lock

sbom: $(RELEASE) ## build/sbom.json: what the image is made of, as CycloneDX
	$(RELEASE)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-file build/sbom.json requirements.lock

# Strictly: what cannot be looked up would count as free of them.
audit: $(RELEASE) ## known vulnerabilities of what the lock names (asks PyPI)
	$(RELEASE)/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements.lock

fmt: $(STAMP) ## format, and mend what ruff can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean: ## remove what was built and installed; never the data
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RELEASE):
	@"$(PYTHON)" -m venv $@
	@$@/bin/python -m pip install --quiet $(RELEASE_TOOLS) || { rm -rf $@; exit 1; }

$(STAMP):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; some minutes without a cache) ..."
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[dev]'
	@touch $@

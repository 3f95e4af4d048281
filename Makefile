# The only commands anyone needs. `make help` lists them.
PYTHON ?= python3
UV_VERSION := 0.13.9
TOOLS := .tools
UV := $(TOOLS)/bin/uv
BIN := .venv/bin
ARGS ?=
SECONDS ?= 60
SEED ?= 1
COUNT ?= 200
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || { echo "Python 3.11 to 3.14 is needed (PYTHON=python3.12 names one); on Debian: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(TOOLS) || { echo "Python's venv module is needed; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/stamp: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --extra embedded --compile-bytecode --python $(PYTHON)
	@touch $@

.venv/stamp-run: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --no-default-groups --extra embedded --inexact --python $(PYTHON)
	@touch $@

.PHONY: setup
setup: .venv/stamp ## Install everything, development tools included, into .venv

.PHONY: demo
demo: .venv/stamp-run ## Run the whole service with a sample workload until Ctrl-C; ARGS="--executions 300 --exit --json"
	@$(BIN)/taskexec demo $(ARGS)

.PHONY: test
test: setup lint ## Everything that must pass before a change lands
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest --ignore=tests/chaos --ignore=tests/fuzz -n 3 --dist loadfile --no-loadscope-reorder
	$(BIN)/pytest tests/chaos -p no:randomly
	$(BIN)/pytest tests/fuzz -p no:randomly
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --fail-under=100 --include='service/domain/*'

.PHONY: lint
lint: setup ## Style, types and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

.PHONY: format
format: setup ## Put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: asyncapi
asyncapi: setup ## Write asyncapi.yaml anew from the code
	$(BIN)/python -m service.contracts.asyncapi > asyncapi.yaml

.PHONY: cli-page
cli-page: setup ## Run the commands of docs/cli.md, and write what they print into it
	$(BIN)/python -m tests.cli.page

.PHONY: screenshots
screenshots: setup ## Take the pictures of docs/page.md anew
	$(BIN)/python -m bench.screenshots

.PHONY: chaos
chaos: setup ## The chaos run for longer, or with another seed: SECONDS=600 SEED=7; ARGS="--brokers 3" rolls a cluster
	$(BIN)/python -m bench.chaos --seconds $(SECONDS) --seed $(SEED) $(ARGS)

.PHONY: planted
planted: setup ## Whether the chaos run finds bugs that are planted on purpose: ARGS="--only stamp --runs 2"
	$(BIN)/python -m bench.planted --seed $(SEED) $(ARGS)

.PHONY: fuzz
fuzz: setup ## The fuzzer for longer, or with another seed: SECONDS=1800 SEED=7; ARGS="--round 12" for one round alone
	$(BIN)/python -m bench.fuzz --seconds $(SECONDS) --seed $(SEED) $(ARGS)

.PHONY: mutants
mutants: setup ## A sample of small faults, to see whether the tests notice them: COUNT=500 SEED=7; ARGS="--only service/domain --seconds 600"
	$(BIN)/python -m bench.mutants --count $(COUNT) --seed $(SEED) $(ARGS)

.PHONY: bench
bench: setup ## Commands per second and latency; ARGS="--peers DIR" measures the peers beside it
	$(BIN)/python -m bench.write_side $(ARGS)

.PHONY: bench-workers
bench-workers: setup ## What it costs to give work to workers; ARGS="--workers 200 --apis 2"
	$(BIN)/python -m bench.workers --json $(ARGS)

.PHONY: soak
soak: setup ## Whether anything grows under a steady load, for 30 minutes; ARGS="--minutes 5 --rate 500 --json"
	$(BIN)/python -m bench.soak $(ARGS)

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf .venv $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*

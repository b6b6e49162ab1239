# Every target sets up what it needs; nothing is installed outside this folder.
#   make demo ARGS="--blocks 60 --seed 7 --json"
.DEFAULT_GOAL := help
.PHONY: help setup demo test bench peers lint format docs wheels lock clean
SHELL := /bin/bash

UV := .tool/bin/uv
RUN := .venv/bin/
PLUGINS := $(sort $(wildcard plugins/*/*/pyproject.toml))
READY := .venv/.ready
ARGS ?=
# Runs a command of uv without the network where its cache has everything, and with it otherwise.
cached = $(1) --offline 2>/dev/null || $(1)
export UV_PYTHON_PREFERENCE ?= system
# Without bytecode beside the modules, every start would compile them again for seconds.
unexport PYTHONDONTWRITEBYTECODE

help:  ## Show the targets.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(UV):
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target .tool uv

$(READY): requirements-dev.lock pyproject.toml $(PLUGINS) | $(UV)
	@test -x .venv/bin/python || $(UV) venv --quiet .venv
	@$(call cached,$(UV) pip sync --quiet --require-hashes requirements-dev.lock)
	@$(call cached,$(UV) pip install --quiet --no-deps -e . $(addprefix -e ./,$(dir $(PLUGINS))))
	@$(RUN)python -c 'import cyclopts, tallyio.cli.demo_run'  # writes the bytecode of what commands import
	@touch $@

setup: $(READY)  ## Create .venv with everything, locked by hash.

demo: $(READY)  ## Run the main job: a real chain, real contracts, real trades. ARGS="--json" and more.
	@$(RUN)tallyio demo $(ARGS)

test: $(READY)  ## Run the tests, two files or plugins at a time. ARGS go to pytest.
	@$(RUN)python -m pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

bench: $(READY)  ## Run the benchmarks. ARGS go to perf/run.py.
	@$(RUN)python perf/run.py $(ARGS)

peers: $(READY)  ## Measure what others use beside ours, as the README shows it. ARGS="--write" puts it there.
	@$(RUN)python perf/peers/table.py $(ARGS)

lint: $(READY)  ## Check style and types.
	@$(RUN)ruff format --check . && $(RUN)ruff check . && $(RUN)mypy

format: $(READY)  ## Rewrite files to the project's style.
	@$(RUN)ruff format . && $(RUN)ruff check --fix .

docs: $(READY)  ## Write what comes from code, and build the pages into docs/build/html. ARGS go to Sphinx.
	@$(RUN)python docs/generate.py
	@$(RUN)python -m tests.policy.public_api
	@$(RUN)python -m sphinx --fail-on-warning --keep-going --quiet -c docs -d docs/build/doctrees . docs/build/html $(ARGS)

wheels: $(READY)  ## Build the wheels of TallyIO and of every plugin into dist/.
	@$(RUN)python -m tests.wheels dist

lock: | $(UV)  ## Resolve anew and export the locks: names, versions and hashes, no addresses.
	@$(UV) lock --quiet --upgrade
	@$(UV) export --quiet --all-packages --group dev --no-emit-workspace --no-header --format requirements-txt -o requirements-dev.lock
	@$(UV) export --quiet --all-packages --all-extras --no-dev --no-emit-workspace --no-header --format requirements-txt -o requirements.lock

clean:  ## Remove what the others made.
	@rm -rf .venv .tool dist uv.lock docs/build

# Every target does its own set-up: a fresh machine needs Python 3.11 or later, git and make.
PYTHON ?= python3
BIN := .venv/bin
# The folders of `make test-fast`: they took 52 s of processor time on 2026-11-29, so half of that on two free processors.
FAST := tests/unit tests/clients tests/sandbox tests/test_docs.py tests/test_deployment_files.py
# Writing no byte code doubles the time of every start.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1

.PHONY: help install demo month up try screenshots test test-fast lint bench docs docs-site lock clean

help:  ## list what make can do
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' Makefile | expand -t 14

install: .venv/installed  ## make .venv and install into it

.venv/python: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# --no-deps: the lock files are complete, and each file is checked against its hashes.
.venv/installed: .venv/python requirements.lock pyproject.toml
	@echo "installing into .venv (about a minute)"
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

demo: .venv/installed  ## the whole job against the sandbox, with faults, without keys
	$(BIN)/impactflow demo

month: .venv/installed  ## a made-up merchant's month, with refunds, credit and a cap, compared with the books
	$(BIN)/impactflow month

up: .venv/installed  ## Prefect with its pages, the deployments, the receiver and the sandbox; Ctrl-C ends all of it
	$(BIN)/impactflow up

try:  ## start the compose stack with pretend sellers, kill a worker, judge by the books (Docker, or root on a Debian)
	deployments/try/run

.venv/installed-screenshots: .venv/installed requirements-screenshots.lock
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-screenshots.lock
	@touch $@

screenshots: .venv/installed-screenshots  ## renew docs/pictures/ (needs a Chromium on PATH)
	$(BIN)/python docs/screenshots.py

lint: .venv/installed-dev  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint  ## everything that CI checks
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-fast: .venv/installed-dev  ## the inner loop: the folders whose tests need no server
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(FAST)

bench: .venv/installed-dev  ## one table of ratios, written to benchmarks/results/ too
	$(BIN)/python -m benchmarks

docs: .venv/installed-dev  ## renew the pages of docs/ that are made from the code
	$(BIN)/python tests/operations/table.py
	$(BIN)/python docs/policy_page.py
	$(BIN)/python docs/cli_page.py
	$(BIN)/python docs/variables_page.py

.venv/installed-docs: .venv/installed requirements-docs.lock
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-docs.lock
	@touch $@

docs-site: .venv/installed-docs  ## build build/site/index.html from docs/; a broken link ends it
	rm -rf build/site
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going -c docs -d build/doctrees . build/site

lock:  ## renew the lock files from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade \
		--extra servers --group dev pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra servers --group build -c requirements-dev.lock pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--group screenshots -c requirements-dev.lock -o requirements-screenshots.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--group docs -c requirements-dev.lock -o requirements-docs.lock

clean:  ## remove what the targets made
	rm -rf .venv build demo up reports benchmarks/results

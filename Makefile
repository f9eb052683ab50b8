# Every target sets up all that it needs; the machine needs make and Python 3.11 or newer.
#   make PYTHON=python3.13 test      another Python than `python3` (after `make clean`)
#   make test ARGS="-k breaker -x"   arguments for pytest
#   make lock UPGRADE=--upgrade      newest versions instead of the fewest changes

PYTHON ?= python3
ARGS ?=
IMAGE ?= ftq-daemon
LAMBDA_MACHINE ?= aarch64
LAMBDA_PYTHON ?= 3.13
PLATFORM ?=
SEEDS ?= 0..19999
UPGRADE ?=
# LocalStack's release runs on Python 3.11 only.
LOCALSTACK_PYTHON ?= $(shell for python in "$(PYTHON)" python3.11 /usr/bin/python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	&& { echo "$$python"; break; }; done)

# Some of the peers need 3.12. A version manager may keep one that is not on the PATH.
BENCH_PYTHON ?= $(shell for python in python3.13 python3.12 \
	$(HOME)/.pyenv/versions/3.13.*/bin/python $(HOME)/.pyenv/versions/3.12.*/bin/python "$(PYTHON)"; do \
	"$$python" -c 'import ensurepip' 2>/dev/null && { echo "$$python"; break; }; done)

BIN := .venv/bin
# Hashes or nothing, and no resolving: the files name every package. Bytecode is compiled
# afterwards on all cores, which takes half of pip's time.
PIP := -m pip --disable-pip-version-check
INSTALL := install -qq --no-compile --no-deps --require-hashes
COMPILE := -m compileall -q -j 0
LOCK := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(UPGRADE)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: .venv/.local ## Run 200 failing tasks through a whole ftq on this machine
	@$(BIN)/ftq demo

example-%: .venv/.dev ## Run an example: email, thumbnails, webhooks, nightly, payment
	@$(BIN)/python -m examples.$*

# Tests wait a fifth of their time, for daemons, leases and backoff: one more than there are cores.
WORKERS := $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 1)' 2>/dev/null || echo auto)

.PHONY: test
test: .venv/.dev localstack ## Run all tests on every backend that this machine can run
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

.PHONY: soak
soak: .venv/.dev ## Play schedules in the simulator, as many as wanted: SEEDS=0..99999
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

.PHONY: check
check: lint types imports chromium ## Format, lint, types, import rules, and the tests with no backend left out
	@$(MAKE) --no-print-directory test FTQ_TEST_REQUIRE_BACKENDS=1

# The console's tests need a browser, and leave themselves out loudly without one.
.PHONY: chromium
chromium: ## Have Chromium for the tests of the console: installed on Debian, by root
	@command -v chromium chromium-browser >/dev/null || { \
		command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && echo "Installing Chromium ..." \
		&& apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends chromium >/dev/null 2>&1; } \
		|| echo "THE CONSOLE IS NOT TESTED: there is no Chromium on this machine." >&2

.PHONY: lint
lint: .venv/.dev ## Check format and lint
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/hadolint Dockerfile tests/deploy/stand_in/Dockerfile

.PHONY: types
types: .venv/.dev ## Check types
	@$(BIN)/mypy

.PHONY: imports
imports: .venv/.dev ## Check the import rules
	@$(BIN)/lint-imports --no-logo

# Not a part of `check`: half a minute to install, and nothing but templates can change its mind.
.PHONY: scan
scan: .venv-scan/.installed ## Have checkov and parliament look at the templates of deploy/ecs
	@.venv-scan/bin/python -W ignore -m deploy.scan

.PHONY: bench
bench: .venv/.dev peers ## Measure ftq beside its peers; results and plots in benchmarks/results
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: zip
zip: .venv/.local ## Build the Lambda's zip: LAMBDA_MACHINE=x86_64 LAMBDA_PYTHON=3.12
	@$(BIN)/python deploy/lambda_zip.py --machine $(LAMBDA_MACHINE) --python $(LAMBDA_PYTHON)

.PHONY: image
image: ## Build the daemon's image: IMAGE=name:tag PLATFORM=linux/arm64
	@deploy/image.sh $(IMAGE) $(PLATFORM)

.PHONY: sbom
sbom: .venv-sbom/.installed ## List what image and zips in dist are made of, into dist: IMAGE=name:tag
	@.venv-sbom/bin/python deploy/sbom.py $(IMAGE)

.PHONY: docs
docs: .venv/.dev ## Build the site of these docs into build/docs
	@$(BIN)/sphinx-build --quiet --fail-on-warning -b html docs build/docs
	@echo build/docs/index.html

.PHONY: deploy
deploy: .venv/.local ## Make or change the stacks: ARGS="--image ... --handlers ... --vpc ... --subnets ..."
	@$(BIN)/python -m deploy.ecs up $(ARGS)

.PHONY: undeploy
undeploy: .venv/.local ## Remove the stacks; queue and table only with ARGS=--data
	@$(BIN)/python -m deploy.ecs remove $(ARGS)

.PHONY: format
format: .venv/.dev ## Format, and mend what lint can mend by itself
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

# dev.txt holds every package, so that the other files pin the same versions and the tests run
# what is shipped.
.PHONY: lock
lock: .venv-lock/.installed ## Pin again what pyproject.toml and requirements/localstack.in ask for
	@echo "Pinning ..."
	@$(LOCK) --only-binary :all: pyproject.toml --extra local --extra otlp --group build --group sbom --group test --group bench --group docs -o requirements/dev.txt
	@$(LOCK) --only-binary :all: -c requirements/dev.txt pyproject.toml --extra local --group build -o requirements/local.txt
	@$(LOCK) --only-binary :all: -c requirements/dev.txt pyproject.toml --extra daemon -o requirements/daemon.txt
	@$(LOCK) --only-binary :all: -c requirements/dev.txt pyproject.toml -o requirements/lambda.txt
	@$(LOCK) --only-binary :all: -c requirements/dev.txt --group build -o requirements/build.txt
	@$(LOCK) --only-binary :all: -c requirements/dev.txt --group sbom -o requirements/sbom.txt
	@$(LOCK) --only-binary :all: --group lock -o requirements/lock.txt
	@$(LOCK) --only-binary :all: --group sdists -o requirements/sdists.txt
	@$(LOCK) --only-binary :all: --group scan -o requirements/scan.txt
	@$(LOCK) --only-binary :all: pyproject.toml --group bench-peers -o requirements/bench-peers.txt
	@$(LOCK) requirements/localstack.in -o requirements/localstack.txt
	@if grep -n '://' requirements/*.txt; then echo "Pins are names, versions and hashes only." >&2; exit 1; fi

.PHONY: clean
clean: ## Remove environments, caches and builds
	@rm -rf .venv .venv-bench .venv-localstack .venv-lock .venv-sbom .venv-scan .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache benchmarks/peers/node_modules build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- environments

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "ftq needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)" >&2; \
		echo "Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/.local: .venv/.python requirements/local.txt pyproject.toml
	@echo "Installing what the local mode needs into .venv ..."
	@$(BIN)/python $(PIP) $(INSTALL) --only-binary :all: -r requirements/local.txt
	@$(BIN)/python $(PIP) install -qq --no-deps --no-build-isolation -e .
	@$(BIN)/python $(COMPILE) .venv/lib
	@touch $@

.venv/.dev: .venv/.local requirements/dev.txt
	@echo "Installing what development needs into .venv ..."
	@$(BIN)/python $(PIP) $(INSTALL) --only-binary :all: -r requirements/dev.txt
	@$(BIN)/python $(COMPILE) .venv/lib
	@touch $@

.PHONY: localstack
localstack:
	@if [ -n "$(LOCALSTACK_PYTHON)" ]; then \
		$(MAKE) --no-print-directory .venv-localstack/.installed; \
	else \
		echo "LocalStack is left out: it needs Python 3.11 (make LOCALSTACK_PYTHON=...)." >&2; \
		[ -z "$$FTQ_TEST_REQUIRE_BACKENDS" ]; \
	fi

# Some of its packages are published as source only; sdists.txt pins what builds them.
.venv-localstack/.installed: requirements/localstack.txt requirements/sdists.txt
	@echo "Installing LocalStack into .venv-localstack ..."
	@$(LOCALSTACK_PYTHON) -m venv --clear .venv-localstack
	@.venv-localstack/bin/python $(PIP) $(INSTALL) --only-binary :all: -r requirements/sdists.txt
	@.venv-localstack/bin/python $(PIP) $(INSTALL) --no-build-isolation -r requirements/localstack.txt
	@.venv-localstack/bin/python $(COMPILE) .venv-localstack/lib
	@touch $@

# A peer that cannot be had is left out of the tables, which say so: this never fails.
.PHONY: peers
peers:
	@$(MAKE) --no-print-directory .venv-bench/.installed \
		|| echo "The peers in Python are left out: they could not be installed." >&2
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory benchmarks/peers/node_modules/.installed \
			|| echo "sqs-consumer is left out: it could not be installed." >&2; \
	else echo "sqs-consumer is left out: there is no npm." >&2; fi

.venv-bench/.installed: requirements/bench-peers.txt
	@echo "Installing what ftq is measured against into .venv-bench ..."
	@$(BENCH_PYTHON) -m venv --clear .venv-bench
	@.venv-bench/bin/python $(PIP) $(INSTALL) --only-binary :all: -r requirements/bench-peers.txt
	@.venv-bench/bin/python $(COMPILE) .venv-bench/lib
	@touch $@

benchmarks/peers/node_modules/.installed: benchmarks/peers/package-lock.json
	@cd benchmarks/peers && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

.venv-scan/.installed: requirements/scan.txt
	@echo "Installing what looks at the templates into .venv-scan ..."
	@$(PYTHON) -m venv --clear .venv-scan
	@.venv-scan/bin/python $(PIP) $(INSTALL) --only-binary :all: -r requirements/scan.txt
	@.venv-scan/bin/python $(COMPILE) .venv-scan/lib
	@touch $@

.venv-lock/.installed: requirements/lock.txt
	@$(PYTHON) -m venv --clear .venv-lock
	@.venv-lock/bin/python $(PIP) $(INSTALL) --only-binary :all: -r requirements/lock.txt
	@touch $@

.venv-sbom/.installed: requirements/sbom.txt
	@$(PYTHON) -m venv --clear .venv-sbom
	@.venv-sbom/bin/python $(PIP) $(INSTALL) --only-binary :all: -r requirements/sbom.txt
	@touch $@

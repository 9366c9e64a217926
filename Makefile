# `make` alone lists the targets. Everything runs in .venv, made from the hash-pinned requirements.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
LOCKS := requirements.txt requirements-train.txt requirements-dev.txt

.PHONY: help
help: ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/all ## Make .venv with everything in it, what only tests need included

# Running needs a third of what tests need: no Spark, no browser driver, no PostgreSQL.
$(VENV)/running: requirements-train.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clv needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make setup PYTHON=python3.12")'
	@echo "Installing what clv needs into $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-train.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/all: $(VENV)/running requirements-dev.txt
	@echo "Installing what tests need into $(VENV) (once)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: run
run: $(VENV)/running ## Train on generated data if there is no model yet, then serve on port 8080
	$(BIN)/clv train --if-missing
	$(BIN)/clv serve

.PHONY: train
train: $(VENV)/running ## Train (DATA=path or URL; without it, on generated passengers)
	$(BIN)/clv train $(if $(DATA),--data "$(DATA)")

.PHONY: test
test: setup ## All tests
	$(BIN)/pytest -m "not acceptance and not nightly" --numprocesses 2 --dist loadfile $(ARGS)

.PHONY: acceptance
acceptance: setup ## The slow promises: full training on real data, the container image
	$(BIN)/pytest -m acceptance --numprocesses 2 --dist loadfile $(ARGS)

.PHONY: nightly
nightly: setup ## What takes long: 50,000 mutated requests, 100 quiet years, the largest scripts
	$(BIN)/pytest -m nightly $(ARGS)

.PHONY: check
check: setup ## Lint, types, import rules, pinned requirements, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/lock.py --check
	$(BIN)/python tools/reference.py --check

.PHONY: format
format: setup ## Let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: setup ## Pin the requirements anew after a change of pyproject.toml
	$(BIN)/python tools/lock.py

.PHONY: pictures
pictures: setup ## Make the pictures of the documentation anew (needs Chromium)
	$(BIN)/python -m tools.pictures

.PHONY: docs
docs: setup ## Write the generated reference (commands, settings, HTTP)
	$(BIN)/python tools/reference.py

.PHONY: bench
bench: setup ## Measure, and write docs/benchmarks.md (ARGS=speed, engines, reality, start or huge: only that)
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: docker-train
docker-train: ## Train in a container (DATA=file or URL; without it, on generated passengers)
	@if test -f "$(DATA)"; then \
	    folder=$$(cd "$$(dirname "$(DATA)")" && pwd); \
	    docker compose run --rm --build --volume "$$folder:/input:ro" train --data "/input/$$(basename "$(DATA)")"; \
	else \
	    docker compose run --rm --build train $(if $(DATA),--data "$(DATA)"); \
	fi

.PHONY: docker-run
docker-run: ## Serve from a container on port 8080
	docker compose up --build app

.PHONY: docker-test
docker-test: ## Run the tests in a container
	docker compose run --rm --build test $(ARGS)

.PHONY: clean
clean: ## Remove .venv and caches; never data or models
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist

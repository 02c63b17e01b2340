# Everything a developer does here. `make help` lists it; every target sets up what it needs.

SHELL := /bin/sh
.DEFAULT_GOAL := check
.NOTPARALLEL:

PYTHON ?= python3
BIN := .venv/bin

HOST ?= 127.0.0.1
PORT ?= 8080
PAGE ?= $(shell expr $(PORT) + 1)
CASES ?= tests/conformance
WORKERS ?= auto
SECONDS ?= 60
# Of what runs in the tests' own processes: servers, deployers and supervisors run in theirs
COVERAGE ?= 83

# What runs on real servers for its sources, with SOURCES=real: docs/sources.md
ON := $(if $(filter real,$(SOURCES)),$(BIN)/python tools/sources.py run)

# Pyright is locked: it need not look for a newer one
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# Hundreds of processes are started, and each would compile all that it imports
export PYTHONDONTWRITEBYTECODE :=

export OGROM_CASES := $(abspath $(CASES))

LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --only-binary :all: --no-emit-index-url --quiet $(if $(UPGRADE),--upgrade) \
	--custom-compile-command "make lock"

.PHONY: check
check: setup format lint types borders test-fast ## Format, lint, types, import borders, fast tests (the default)

.PHONY: run
run: setup-run ## Build HEAD, deploy it here and keep it running; HOST=127.0.0.1 PORT=8080 PAGE=8081 SOURCES=real
	@exec $(ON) $(BIN)/ogrom up --listen $(HOST):$(PORT) --page 127.0.0.1:$(PAGE) --deploy HEAD

.PHONY: dev
dev: setup-run ## The shop while you write: reloaded on change, every request traced; PORT=8080
	@exec $(BIN)/ogrom dev --port $(PORT)

.PHONY: build
build: setup-run ## Build the shop's artifact from a commit; COMMIT=HEAD
	@$(BIN)/ogrom build $(COMMIT)

.PHONY: test
test: setup format-check lint-check types borders test-all ## Everything, and change nothing; COVERAGE=percent wanted, empty: not measured

.PHONY: test-fast
test-fast: setup ## The tests that take less than a second each; WORKERS=processes
	@echo "== tests, without the slow ones"
	@$(BIN)/pytest -q -m "not slow" -n $(WORKERS)

.PHONY: test-all
test-all: setup ## All tests, with coverage
	@echo "== tests, all of them"
	@$(BIN)/pytest -q --durations=25 -n $(WORKERS) $(if $(strip $(COVERAGE)),--cov --cov-branch --cov-report=term:skip-covered --cov-fail-under=$(strip $(COVERAGE)))

.PHONY: test-conformance
test-conformance: setup ## Recorded answers of Liberator and bidi against ours; CASES=directory of .jsonl.gz files
	@echo "== conformance, with the cases in $(CASES)"
	@$(BIN)/pytest -q -s tests/http/test_liberator.py tests/http/test_routing_bidi.py

# SEARCH_ENGINE reaches all that starts an engine, make run SOURCES=real too: tools/engines.py
.PHONY: test-search
test-search: setup ## All that searches, on another engine; SEARCH_ENGINE=2, cluster, 3 or elasticsearch
	@echo "== search, on engine $(or $(SEARCH_ENGINE),2)"
	@$(BIN)/pytest -q -k "not embedded" tests/test_engines_tool.py \
		tests/sources/test_search.py tests/sources/test_elastic.py \
		tests/shop/test_elastic_products.py tests/shop/test_products.py \
		tests/shop/test_catalogue.py tests/shop/test_api.py

# SQL_SERVER reaches all that starts a database, make run SOURCES=real too: tools/databases.py
.PHONY: test-sql
test-sql: setup ## All that asks a database, on another server; SQL_SERVER=mariadb or mysql
	@echo "== SQL, on $(or $(SQL_SERVER),mariadb)"
	@$(BIN)/pytest -q -n $(WORKERS) tests/sources/test_database.py tests/sources/test_mysql.py \
		tests/sources/test_sql.py tests/test_sources_tool.py tests/serve/test_telemetry.py \
		tests/deploy/local/test_schema.py tests/faults tests/shop

.PHONY: fuzz
fuzz: setup ## All that reads what clients write, fuzzed for a while; SECONDS=60
	@echo "== fuzz: $(SECONDS) s, half of it whole connections"
	@$(BIN)/python tests/support/fuzz.py $$(($(SECONDS) / 2))
	@FUZZ_SECONDS=$$(($(SECONDS) / 4)) $(BIN)/pytest -q -o faulthandler_timeout=0 tests/serve/test_connection.py

.PHONY: faults
faults: setup ## Each source of the shop fails under load, at full length: the table of docs/faults.md
	@$(BIN)/python tests/faults/table.py

.PHONY: format
format: setup ## Format the code
	@echo "== format"
	@$(BIN)/ruff format --quiet .

.PHONY: format-check
format-check: setup
	@echo "== format, only checked"
	@$(BIN)/ruff format --quiet --diff .

.PHONY: lint
lint: setup ## Lint, and mend what can be mended
	@echo "== lint"
	@$(BIN)/ruff check --quiet --fix .

.PHONY: lint-check
lint-check: setup
	@echo "== lint, only checked"
	@$(BIN)/ruff check --quiet .

.PHONY: types
types: setup ## Both type checkers, one after the other
	@echo "== types: mypy"
	@$(BIN)/mypy --no-error-summary
	@echo "== types: pyright"
	@$(BIN)/pyright

.PHONY: borders
borders: setup ## Which package may import which
	@echo "== import borders"
	@$(BIN)/lint-imports --no-logo

.venv-bench/ready: requirements/bench.txt | setup
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-bench
	@$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --require-hashes --only-binary :all: -r $<
	@touch $@

.PHONY: bench-servers
bench-servers: setup .venv-bench/ready ## Servers and frameworks side by side; ROUNDS= SECONDS= PEERS=
	@$(BIN)/python bench/servers.py

.PHONY: bench-engine
bench-engine: setup ## What a request costs in process, beside a handler written by hand
	@$(BIN)/python bench/engine.py

.PHONY: bench-deploy
bench-deploy: setup ## Deploys in a row under load; DEPLOYS= ROLLBACKS=
	@$(BIN)/python bench/deploy.py

.PHONY: bench-questions
bench-questions: setup .venv-bench/ready ## What clients may rightly ask, put to every peer; writes docs/http-questions.md
	@$(BIN)/python bench/questions.py

.PHONY: bench-memory
bench-memory: setup ## What memory the shop takes, while it answers REQUESTS=50000; CATALOGUE= is a file
	@REQUESTS="$(or $(REQUESTS),50000)" CATALOGUE="$(CATALOGUE)" $(BIN)/python bench/memory.py

.PHONY: bench
bench: setup .venv-bench/ready ## Every benchmark: peers side by side
	@for script in bench/[!_]*.py; do \
		echo "== $$script"; $(BIN)/python "$$script" || exit 1; \
	done

.PHONY: bench-search
bench-search: setup ## How well and how fast search finds; QUERIES= QRELS= CATALOGUE= are files
	@QUERIES="$(QUERIES)" QRELS="$(QRELS)" CATALOGUE="$(CATALOGUE)" $(BIN)/python bench/search.py

.PHONY: bench-sources
bench-sources: setup .venv-bench/ready ## What an answer and a row cost from each source, beside FastAPI, SQLAlchemy, opensearch-py; ROUNDS= SECONDS=
	@$(BIN)/python bench/sources_http.py
	@$(BIN)/python bench/sources_sql.py

.PHONY: bench-routes
bench-routes: setup ## What matching costs with 10 and with 10,000 routes
	@$(BIN)/python bench/routes.py

.PHONY: import
import: setup-run ## Take a catalogue into the shop; FILE= SOURCES=real
	@test -n "$(FILE)" || { echo "Which file? make import FILE=catalogue.jsonl" >&2; exit 2; }
	@$(ON) $(BIN)/shop import "$(FILE)"

.PHONY: setup
setup: ## Only make .venv, with all tools; PYTHON=python3
	@$(PYTHON) tools/bootstrap.py dev

.PHONY: setup-run
setup-run:
	@$(PYTHON) tools/bootstrap.py run

.PHONY: lock
lock: ## Lock what pyproject.toml asks for; UPGRADE=1 takes the newest versions
	@test -x $(BIN)/uv || $(PYTHON) tools/bootstrap.py dev
	@$(LOCK) -o requirements/service.txt
	@$(LOCK) --extra deploy --group build -c requirements/service.txt -o requirements/run.txt
	@$(LOCK) --extra deploy --group dev -c requirements/run.txt -o requirements/dev.txt
	@$(subst compile pyproject.toml,compile,$(LOCK)) --group bench -o requirements/bench.txt
	@echo "locked: requirements/service.txt requirements/run.txt requirements/dev.txt requirements/bench.txt"

.PHONY: clean
clean: ## Remove .venv and everything else that can be made again
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	@rm -f .coverage .coverage.*
	@find src shop tests bench tools typing_tests -name __pycache__ -prune -exec rm -rf {} +
	@echo "clean"

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

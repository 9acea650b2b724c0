# Development tasks of Pricebook. A fresh clone needs only make and Python 3.11 or later.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run test cover chart screenshots chaos bench fuzz audit soak lock clean

help: ## List the targets
	@echo "Pricebook serves prices that arrive in big batches. Start with: make run"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "MEMBERS=1 make run starts one MongoDB instead of a replica set of three; PYTHON=... selects the Python."

run: $(INSTALLED) ## Start MongoDB, the server and the demo's prices on this machine; Ctrl-C stops them
	@exec $(BIN)/pricebook dev $(if $(MEMBERS),--members $(MEMBERS))

test: $(INSTALLED) ## Run every check: style, types, imports, tests
	@echo "== Style (ruff)"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== Types (mypy)"
	@$(BIN)/mypy
	@echo "== Imports (import-linter)"
	@$(BIN)/lint-imports
	@echo "== Tests (pytest, several files at once)"
	@$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
	@echo "Everything passed. Next: make run, or commit."

cover: $(INSTALLED) ## Run the tests, and report which lines they cover
	@$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --cov --cov-report=term

chart: $(INSTALLED) ## Lint and render the Helm chart, and validate its manifests
	@$(BIN)/python -m helm.check

screenshots: $(INSTALLED) ## Write each page of the console, wide and narrow, light and dark, to screenshots/
	@PRICEBOOK_TEST_SCREENSHOTS=screenshots $(BIN)/pytest tests/console/test_pages.py
	@echo "Look at each one in screenshots/."

chaos: $(INSTALLED) ## Restart servers, switch colours and kill members under load; needs nginx, and preferably root
	@PRICEBOOK_TEST_MEMBERS=3 PRICEBOOK_TEST_CHAOS_RESPONSES=20000 PRICEBOOK_TEST_CHAOS_BATCHES=10 $(BIN)/pytest -s -m chaos --timeout 900 tests/chaos tests/acceptance/test_one_moment.py

bench: $(INSTALLED) ## Run the benchmarks, as ratios to a baseline in the same run
	@$(BIN)/python -m bench

fuzz: $(INSTALLED) ## Send a server more than 10,000 random requests, by JSON, event streams and WebSockets
	@PRICEBOOK_TEST_FUZZ_REQUESTS=2600 $(BIN)/pytest -s --timeout 3600 tests/fuzz

audit: $(INSTALLED) ## Look up known vulnerabilities of the locked dependencies
	@$(BIN)/python .ci/audit.py

soak: $(INSTALLED) ## Run the long tests that `make test` leaves out, an hour of everything at once among them
	@PRICEBOOK_TEST_MEMBERS=3 $(BIN)/pytest -s -m soak
	@echo "The soak passed."

lock: $(INSTALLED) ## Update requirements.lock to the newest dependencies
	@echo "Resolving the dependencies of pyproject.toml ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile pyproject.toml --all-extras --generate-hashes --universal --python-version 3.11 \
		--upgrade --no-header --no-emit-index-url --quiet --output-file requirements.lock
	@echo "requirements.lock is up to date. Next: make test, which installs it first."

clean: ## Remove the virtual environment and every cache; keeps the data of `make run`
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Clean. Next: make run sets everything up again."

$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Pricebook needs Python 3.11 or later, \
	but $(PYTHON) is " + sys.version.split()[0] + ". Select another: PYTHON=python3.11 make ...")'
	@echo "Installing requirements.lock into $(VENV): takes a minute, and is repeated only if it changes."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	-@$(BIN)/python -m graph.graphiql.install
	@touch $@

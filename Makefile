.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
# The tests wait much, for workers and browsers; in their order, so that browsers come last.
PARALLEL ?= -n 4 --dist loadgroup --no-loadscope-reorder
# Which tests of real workers `make databases` runs again.
WORKERS ?= tests/workers
BIN := $(VENV)/bin

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test check lint types coverage browser databases format matrix bench stress chaos screenshots fates texts build clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo  ## Run the example: a page and a worker; needs no server (PORT=8000)
	@exec $(BIN)/python example/manage.py demo $(PORT)

test: $(VENV)/.test  ## Run the tests, with the servers and browser that are there (ARGS=...)
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

check: lint types coverage browser databases  ## Run all that a change has to pass
	$(MAKE) chaos SECONDS=0

lint: $(VENV)/.dev  ## Look for what linters can find
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	git ls-files -z '*.html' | xargs -0 $(BIN)/djade --check --target-version 5.2
	$(BIN)/djlint --lint --quiet progress_widget example
	$(BIN)/codespell

types: $(VENV)/.dev  ## Check the types
	$(BIN)/python -m mypy

# Without the browser's tests, which reach no further line, and take twice as long if they are counted.
coverage: $(VENV)/.dev  ## Run the tests and require that they reach every line and branch
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PARALLEL) --ignore tests/browser $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

browser: $(VENV)/.dev  ## Run the tests in Chromium
	$(BIN)/python -m pytest $(PARALLEL) tests/browser $(ARGS)

databases: $(VENV)/.dev  ## Run the tests again: on SQLite, on MariaDB, and with inline writes
	[ -n "$$SQLITE_IS_DONE" ] || DATABASE_URL= $(BIN)/python -m pytest $(PARALLEL) -q --ignore tests/browser --ignore tests/workers --ignore tests/management
	[ -z "$$MARIADB_URL" ] || DATABASE_URL=$$MARIADB_URL $(BIN)/python -m pytest $(PARALLEL) -q --ignore tests/browser --ignore tests/workers --ignore tests/recipes
	[ -z "$$MARIADB_URL" ] || DATABASE_URL=$$MARIADB_URL $(BIN)/python -m pytest $(PARALLEL) -q $(WORKERS)
	[ -z "$$DATABASE_URL" ] || PROGRESS_TEST_BACKGROUND_WRITES=0 $(BIN)/python -m pytest $(PARALLEL) $(WORKERS)

format: $(VENV)/.dev  ## Let the formatters have their way
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files -z '*.html' | xargs -0 $(BIN)/djade --target-version 5.2

matrix:  ## Run the unit tests on each supported Python and Django that is here
	@bash .ci/matrix

bench:  ## Measure what reporting and polling cost, beside other packages; writes docs/benchmarks.md
	[ -x .venv-bench/bin/python ] || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check \
	  -e . --group test --group bench
	.venv-bench/bin/python -m benchmarks

stress: $(VENV)/.demo  ## Count the messages that the broker without a server loses: none (ARGS=...)
	$(BIN)/python -m benchmarks.stress $(ARGS)

chaos: $(VENV)/.test  ## Let forty kinds of task run amid faults: no page may lie (SEEDS="1 2" SECONDS=60)
	PROGRESS_CHAOS_SEEDS="$(or $(SEEDS),$(SEED),1)" PROGRESS_CHAOS_SECONDS=$(or $(SECONDS),60) \
	  $(BIN)/python -m pytest tests/workers/test_chaos.py $(ARGS)

fates: $(VENV)/.test  ## Write docs/fates.md: what a page shows of each fate of a task
	PROGRESS_FATES_FILE=docs/fates.md $(BIN)/python -m pytest $(PARALLEL) -q tests/workers

screenshots: $(VENV)/.dev  ## Take pictures of every state, and of the admin, into screenshots/
	$(BIN)/python -m tests.gallery screenshots/

texts: $(VENV)/.test  ## Collect the texts for translators and compile what they wrote (needs gettext)
	cd progress_widget && ../$(BIN)/django-admin makemessages -l de -l ar --add-location file
	cd progress_widget && ../$(BIN)/django-admin compilemessages

build: $(VENV)/.dev  ## Build wheel and sdist into dist/, and try the wheel in a new project
	rm -rf dist
	$(BIN)/python -m build
	PYTHON=$(BIN)/python .ci/try-wheel

clean:  ## Remove what was made here
	rm -rf $(VENV) .venv-* build dist htmlcov screenshots example/run tests/run .coverage*
	find . -name __pycache__ -prune -exec rm -rf {} +

# A new virtual environment where there is none, and what each use of it needs. Servers' clients
# need a compiler and headers, so they come only where SERVICES is set.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# pip knows --group from 25.1 on.
$(VENV)/.pip: | $(BIN)/python
	$(PIP) --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.services: pyproject.toml | $(VENV)/.pip
	$(PIP) --group services
	@touch $@

$(VENV)/.test: pyproject.toml $(if $(SERVICES),$(VENV)/.services) | $(VENV)/.pip
	$(PIP) -e . --group test
	@touch $@

$(VENV)/.dev: pyproject.toml $(if $(SERVICES),$(VENV)/.services) | $(VENV)/.pip
	$(PIP) -e . --group test --group recipes --group lint
	@touch $@

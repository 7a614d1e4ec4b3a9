# Everyday commands. `make setup` makes .venv; the other targets use the active virtual environment, or .venv if there is none.
PYTHON := $(if $(VIRTUAL_ENV),python,$(if $(wildcard .venv/bin/python),.venv/bin/python,python3))

.DEFAULT_GOAL := help
.PHONY: help setup lint test slow coverage docs bench same-bits

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## make .venv and install the project with everything that tests need
	python3 -m venv .venv && .venv/bin/pip install -e ".[dev]"

lint: ## check style, format and types
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

test: ## run the default tests, on as many processes as there are cores
	$(PYTHON) -m pytest -n auto

slow: ## run the tests that the default run leaves out
	$(PYTHON) -m pytest -m slow

coverage: ## run the default tests and print which lines they do not reach
	$(PYTHON) -m pytest -n auto --cov --cov-report=term-missing:skip-covered

docs: ## build the documentation in site/; a warning is an error
	$(PYTHON) -m mkdocs build --strict

bench: ## measure the environments of all tasks beside plain Python loops
	for task in $$($(PYTHON) -c "from netenvs import tasks; print(*tasks.names())"); do \
	    $(PYTHON) -m benchmarks.speed --env $$task || exit 1; \
	done

same-bits: ## print digests of what fixed seeds give (ONLY=REGEX: of some); compare before and after
	$(PYTHON) tests/support/same_bits.py $(if $(ONLY),--only '$(ONLY)')

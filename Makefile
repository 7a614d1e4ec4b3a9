# Everyday commands. `make setup` makes .venv; the other targets use the active virtual environment, or .venv if there is none.
PYTHON := $(if $(VIRTUAL_ENV),python,$(if $(wildcard .venv/bin/python),.venv/bin/python,python3))

.DEFAULT_GOAL := help
.PHONY: help setup lint test slow coverage other-processors docs bench same-bits

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

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

# Each library has a switch of its own: OpenBLAS, MKL (two), oneDNN, ATen, numpy.
other-processors: ## run the default tests as on an old processor, and as on one with AVX2 in two threads
	OPENBLAS_CORETYPE=Prescott MKL_ENABLE_INSTRUCTIONS=SSE4_2 MKL_CBWR=COMPATIBLE ONEDNN_MAX_CPU_ISA=SSE41 \
	    ATEN_CPU_CAPABILITY=default NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR" $(PYTHON) -m pytest -n auto
	OPENBLAS_CORETYPE=Haswell MKL_ENABLE_INSTRUCTIONS=AVX2 MKL_CBWR=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 \
	    NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" OMP_NUM_THREADS=2 MKL_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 \
	    $(PYTHON) -m pytest -n auto

docs: ## build the documentation in site/; a warning is an error
	$(PYTHON) -m mkdocs build --strict

bench: ## measure the environments of all tasks beside plain Python loops
	for task in $$($(PYTHON) -c "from netenvs import tasks; print(*tasks.names())"); do \
	    $(PYTHON) -m benchmarks.speed --env $$task || exit 1; \
	done

same-bits: ## print digests of what fixed seeds give (ONLY=REGEX: of some); compare before and after
	$(PYTHON) tests/support/same_bits.py $(if $(ONLY),--only '$(ONLY)')

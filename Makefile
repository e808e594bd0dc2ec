# Every target installs what it needs into .venv first; nothing outside this folder is changed. `install` and `demo` take the
# program alone (about 250 MB on the disk, half a minute); all else takes torch and the tools too (1.7 GB, some minutes).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
CORE := $(VENV)/.installed-core
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(VENV)/.installed-bench
DOCS_INSTALLED := $(VENV)/.installed-docs

.PHONY: install install-all demo test suite test-slow lint bench evidence docs clean
.DEFAULT_GOAL := install

install: $(CORE)
	@echo 'The program is $(BIN)/medveil; after ". $(BIN)/activate" it is medveil.'

install-all: $(INSTALLED)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(CORE): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing the program into $(VENV): without torch, about half a minute …'
	$(PIP) -e .
	touch $@

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing everything into $(VENV), with torch and the tools: 1.7 GB, some minutes …'
	$(PIP) -e '.[all,dev]'
	touch $(CORE) $@

$(BENCH_INSTALLED): $(INSTALLED)
	$(PIP) -e '.[all,dev,bench]'
	touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(PIP) -e '.[all,dev,docs]'
	touch $@

demo: $(CORE)
	$(BIN)/medveil demo

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/lint-imports
	@if $(BIN)/python -m pip list 2>/dev/null | grep -i '^torchvision'; then echo 'torchvision must not be installed' >&2; exit 1; fi

# Both at once: checking the types takes one core for half a minute.
test: $(INSTALLED)
	$(MAKE) --no-print-directory -j 2 lint suite

suite: $(INSTALLED)
	$(BIN)/python -m pytest -m 'not slow and not gpu' -n 2 --dist loadfile --no-loadscope-reorder --durations=20

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m 'slow and not gpu'

bench: $(BENCH_INSTALLED)
	$(BIN)/python -m benchmarks

evidence: $(BENCH_INSTALLED)
	$(BIN)/python -m benchmarks.evidence

# The documentation as a site, in build/site; a link that leads nowhere ends it.
docs: $(DOCS_INSTALLED)
	$(BIN)/mkdocs build --quiet --strict

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

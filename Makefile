# Every target installs what it needs into .venv first; nothing outside this folder is changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(VENV)/.installed-bench
DOCS_INSTALLED := $(VENV)/.installed-docs

.PHONY: install demo test suite test-slow lint bench evidence docs clean
.DEFAULT_GOAL := install

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	touch $@

$(BENCH_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev,bench]'
	touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev,docs]'
	touch $@

demo: $(INSTALLED)
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

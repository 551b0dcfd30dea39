# The commands of the README. Everything happens in a virtual environment, .venv unless VENV names another.

PYTHON ?= python3
VENV ?= .venv
DIST ?= dist
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/installed
# Real data beside the checkout is used where it is; otherwise it is downloaded when it is needed.
export BEIR_HYBRID_DATA ?= $(wildcard ../shared/data)
# Threads that spin while they wait make embedding several times slower where other programs use the cores, too.
export OMP_WAIT_POLICY ?= PASSIVE
ifeq ($(CI),true)
export BEIR_HYBRID_REQUIRE_DATA ?= 1
endif

.PHONY: help quickstart run ours atlas docs docs-figures study-page versions test pytest lint wheel release clean

help:
	@echo "make quickstart    train, evaluate and compare on generated data: minutes, and neither data nor a model to download"
	@echo "make run           evaluate the offline encoder on XQuAD-R and print the setting averages"
	@echo "make ours          train the heads that come with the package again"
	@echo "make atlas         make the file of Atlas-R's facts again"
	@echo "make docs          build the documentation site into site/; a broken link or an undocumented public name fails"
	@echo "make docs-figures  write the tables with figures of README and docs again, from the published records"
	@echo "make study-page    write docs/study.md again, from the published comparisons"
	@echo "make versions      quick tests with the lowest and the newest versions permitted; needs uv"
	@echo "make test          lint, types and all tests"
	@echo "make lint          lint and types only"
	@echo "make pytest        all tests only"
	@echo "make wheel         build the source distribution and the wheel into $(DIST)/"
	@echo "make release       VERSION=x.y.z: build, check and tag a release on main; nothing is pushed (CONTRIBUTING.md)"
	@echo "make clean         remove what these commands made, the results excepted"

quickstart: $(INSTALLED)
	$(VENV)/bin/beir-hybrid quickstart --out quickstart

run: $(INSTALLED)
	$(VENV)/bin/mteb run -m beir-hybrid/multilingual-e5-small-q4 --tasks XQuADR --output-folder results
	$(VENV)/bin/beir-hybrid scores results

# The sources are the same on every machine, but sums are not: a head trained elsewhere may differ in the last digits.
ours: $(INSTALLED)
	$(PY) -m tools.train_heads

atlas: $(INSTALLED)
	$(PY) -m tools.atlas_facts

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

docs-figures: $(INSTALLED)
	$(PY) -m tools.family_figures
	$(PY) -m tools.doc_figures

study-page: $(INSTALLED)
	$(PY) -m tools.study_page

versions:
	$(PYTHON) -m tools.check_versions lowest
	$(PYTHON) -m tools.check_versions newest

test: lint pytest

# One process a core, with one thread each; a file of tests is run by one process, in the order that conftest.py says.
pytest: $(INSTALLED)
	$(PY) -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m tools.check_types

wheel: $(INSTALLED)
	$(PY) -m build --outdir $(DIST) .

release: $(INSTALLED)
	$(PY) -m tools.release $(VERSION) --out $(DIST)

clean:
	rm -rf $(VENV) $(DIST) build site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(INSTALLED): setup.cfg pyproject.toml constraints.txt _build/beir_hybrid_build.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --upgrade pip
	$(PY) -m pip install -c constraints.txt -e ".[offline,dev,docs]"
	touch $@

# make demo: derive and verify the lecture, train on real images.   make test: the checks and tests.
# make site: the documentation as a site, in site/.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test site wheel-test clean

demo: $(READY)
	$(BIN)/python -m allbps.demo demo-output

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal

# offline; a warning is an error
site: $(READY)
	$(BIN)/sphinx-build -q -W --keep-going -b html docs site

# the tests against the built wheel, outside the source tree
wheel-test: $(READY)
	sh tests/wheel.sh $(BIN)/python

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "allbps needs Python 3.11 or newer; say make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) demo-output site docs/generated build dist

# Two commands do everything: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint format documents unit benchmark clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(BIN)/snakemake --cores $(CORES)

test: lint unit

unit: $(STAMP)
	$(BIN)/python -m pytest --numprocesses logical --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow/Snakefile rules

documents: $(STAMP)
	$(BIN)/python -m foxnas.config.documents

benchmark: $(STAMP)
	$(BIN)/python -m benchmarks

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed (TensorFlow 2.21 has no wheel for another);" \
		"name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .snakemake results

# Two commands do everything: `make demo` and `make test`. Both set up .venv first; what only tests need, the second alone.
PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PHOTOS_STAMP := $(VENV)/.installed-photos

PIP := $(BIN)/pip install --disable-pip-version-check --quiet
# How many test files run at a time: one more than there are processors, since each waits a fifth of its time.
WORKERS ?= $(shell expr $$(nproc) + 1)
# A failure is shown when it happens, the slowest tests and a line per room at the end.
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --instafail
# No instruction wider than AVX2, as far as libraries can be told: what most laptops and many servers have.
NARROW := ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 OPENBLAS_CORETYPE=Haswell \
	NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR"
# Tests to run with make unit and make test-portable: files, folders.
TESTS ?= tests

.PHONY: demo frugal compare-frugal photos test quick test-portable unit lint format documents benchmark clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(BIN)/snakemake --cores $(CORES)

# The same with a third of the measurements, beside it in the results; the page is that of the run which came last.
frugal: $(STAMP)
	$(BIN)/snakemake --cores $(CORES) --configfile config/frugal.yaml

# Winners of the two, and what else the demo measured, on the same test images: after both.
compare-frugal: $(DEV_STAMP)
	$(BIN)/python -m benchmarks.frugal

# The same on photographs, with pretrained weights, in a folder of its own: config/photos.yaml.
photos: $(PHOTOS_STAMP)
	$(BIN)/python -m foxnas.images.elpv photos/photographs
	$(BIN)/snakemake --cores $(CORES) --directory photos --configfile $(CURDIR)/config/photos.yaml

test: lint unit

unit: $(DEV_STAMP)
	$(PYTEST) --durations 20 $(TESTS)

# A part of the tests that covers every room, in two minutes.
quick: $(DEV_STAMP)
	$(PYTEST) -m 'not slow' tests

# For those who change what processors compute: the tests as they come out where there is no AVX-512.
test-portable: $(DEV_STAMP)
	$(NARROW) $(PYTEST) $(TESTS)

lint: $(DEV_STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile rules comparisons
	$(BIN)/snakemake --lint
	$(BIN)/mypy

format: $(DEV_STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow/Snakefile rules comparisons

documents: $(DEV_STAMP)
	$(BIN)/python -m tests.support.config_documents

benchmark: $(DEV_STAMP)
	$(BIN)/python -m benchmarks

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed (TensorFlow 2.21 has no wheel for another);" \
		"name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(DEV_STAMP): $(STAMP)
	$(PIP) --editable '.[dev]'
	touch $@

$(PHOTOS_STAMP): $(STAMP)
	$(PIP) --editable '.[photos,elpv]'
	touch $@

clean:
	rm -rf $(VENV) .snakemake results

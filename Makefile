# make test   set up .venv and run every check (the one command of CI)
# make demo   the whole job on real images: teacher, scores, selection, payload, student, report
# make ports  the C, JavaScript and Rust decoders
# make lint | coverage | fuzz | conformance | bench | vectors | dist | clean

SHELL := /bin/bash
.DEFAULT_GOAL := test

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
FUZZ_SECONDS ?= 60
CONFORMANCE_COUNT ?= 1000000
PYTEST_ARGS ?=
JOBS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

# Spinning OpenMP threads make a shared machine many times slower; unit tests are too small for a second thread.
export OMP_WAIT_POLICY := PASSIVE
QUIET := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 HYPOTHESIS_PROFILE=ci
CODEC_CHECK = $(QUIET) PLADA_ACCEL=numba HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -q -m "codec and not slow" \
	$(PYTEST_ARGS) tests/format tests/vectors

.NOTPARALLEL:
.PHONY: setup test lint unit coverage codec-checks demo ports federation fuzz conformance bench bench-gpu vectors dist clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: plada needs Python 3.11 or newer, with venv (make PYTHON=/path/to/python3)"; exit 1; }
	@echo "== setting up $(VENV) with $$($(PYTHON) -V 2>&1); this downloads a few hundred MB once"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@

# Lint first, since it fails fastest; the full suite last, so that its closing line is the last thing on the screen.
test: lint codec-checks unit

lint: $(STAMP)
	@echo "== ruff"
	@$(BIN)/ruff check --quiet . && echo "ruff: clean"
	@echo "== mypy --strict"
	@$(BIN)/mypy --strict plada_format plada_select plada_train plada_distill

# The codec again, with every array access of the kernels checked and with the kernels as plain Python: side by side, since
# more processes would each compile the same.
codec-checks: $(STAMP)
	@echo "== codec, kernels compiled with bounds checks"
	@mkdir -p .cache
	@NUMBA_DISABLE_JIT=1 $(CODEC_CHECK) > .cache/not-compiled.log 2>&1 & other=$$!; \
		NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=.cache/numba-bounds $(CODEC_CHECK); checked=$$?; \
		wait $$other; plain=$$?; echo "== codec, kernels not compiled"; cat .cache/not-compiled.log; exit $$((checked || plain))

unit: $(STAMP)
	@echo "== all tests"
	@$(QUIET) $(PYTEST) --durations=10 $(PYTEST_ARGS) tests

# The same with the share of lines and branches that the tests reach.
coverage: $(STAMP)
	@mkdir -p .cache && rm -f .cache/coverage*
	@$(QUIET) $(PYTEST) --cov --cov-report=term $(PYTEST_ARGS) tests

demo: $(STAMP)
	@$(BIN)/python -m plada_select.demo

# Flower's SuperLink and SuperNodes as processes of their own on this machine.
federation: $(STAMP)
	@$(QUIET) PLADA_REAL_FEDERATION=1 $(BIN)/python -m pytest -q -s tests/distill/test_flower_real.py

fuzz: $(STAMP)
	@$(BIN)/python fuzz/run.py --seconds $(FUZZ_SECONDS)

# A toolchain that is missing is named and left out; where CI is set it is an error.
ports:
	@$(call port,$${CC:-cc},C compiler,$(MAKE) --no-print-directory -C ports/c)
	@$(call port,npm,npm (with Node.js 20 or newer),cd ports/js && node build.mjs)
	@$(call port,cargo,cargo,$(MAKE) --no-print-directory -C ports/rust all)

define port
if command -v $(1) >/dev/null; then $(3); \
elif [ -n "$$CI" ]; then echo "error: no $(2)"; exit 1; else echo "left out: no $(2)"; fi
endef

# Every decoder that can be built here on the same files (conformance/README.md).
conformance: $(STAMP) ports
	@$(QUIET) $(BIN)/python -m conformance --count $(CONFORMANCE_COUNT)

# Hours on a quiet machine, most of it for size; each command goes on where it was stopped, and can be run alone.
bench: $(STAMP)
	@$(BIN)/python -m benchmarks.check_paper
	@$(BIN)/python -m benchmarks.size
	@$(BIN)/python -m benchmarks.size --plot
	@$(BIN)/python -m benchmarks.formats
	@$(BIN)/python -m benchmarks.figures
	@$(BIN)/python benchmarks/manifest/run.py
	@$(BIN)/python benchmarks/selection/run.py
	@$(BIN)/python benchmarks/scoring/run.py

bench-gpu: $(STAMP)
	@$(BIN)/python benchmarks/scoring/run.py --device cuda --arch convnextv2_tiny --input-size 224 --batch-size 256

vectors: $(STAMP)
	@$(BIN)/python vectors/generate.py

dist: $(STAMP)
	@$(BIN)/python -m build --outdir dist .

clean:
	rm -rf $(VENV) .cache build dist htmlcov *.egg-info .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

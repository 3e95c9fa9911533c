# One list of recipes. What CI runs is what a person types.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Linux without a GPU: pass the index of PyTorch's CPU builds (see README) to save about 5 GB.
TORCH_INDEX_URL ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo test faults fuzz soak lint format bench clean

help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## build .venv with the command at .venv/bin/dedupd
	@echo "Installed. Next: $(BIN)/dedupd scan FOLDER --output DIR   (or: make demo)"

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "dedupd needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.python
	@echo "Installing dedupd and its libraries into $(VENV) (torch is the big one) …"
	$(if $(TORCH_INDEX_URL),$(PIP) torch torchvision --index-url $(TORCH_INDEX_URL))
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed ## draw an album, run the real daemon on it, show what it decided
	@$(BIN)/python -m tests.demo

test: $(VENV)/.installed-dev lint ## lint, types, import rule and all tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup
	@echo "All tests passed. Next: make demo, or read docs/architecture.md"

faults: $(VENV)/.installed-dev ## every fault row at its full count (as root: all of them; ROWS="f29 or f30": some)
	DEDUPD_FULL_SWEEP=1 DEDUPD_FAULTS_TABLE=docs/reliability.md $(BIN)/python -m pytest tests/faults -rs $(if $(ROWS),-k "$(ROWS)")

fuzz: MINUTES ?= 10
fuzz: $(VENV)/.installed-dev ## feed changed pictures to the decoders for MINUTES=10 (by coverage once `pip install atheris` is done)
	$(BIN)/python -m tests.faults.fuzz_decode $(MINUTES)

soak: MINUTES ?= 30
soak: $(VENV)/.installed-dev ## live with a daemon among kills, full disks and clock jumps for MINUTES=30 (as root: all of it; SEED=n: again)
	$(BIN)/python -m tests.faults.soak $(MINUTES) $(if $(SEED),--seed $(SEED)) --page docs/reliability.md

lint: $(VENV)/.installed-dev ## style, types, import rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed-dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## measure accuracy and speed on this machine
	$(BIN)/dedupd bench speed

clean: ## remove what was built, not what dedupd knows
	rm -rf $(VENV) build dist demo .mypy_cache .pytest_cache .ruff_cache *.egg-info

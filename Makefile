# Everything a person types. `make run` and `make test` are all that a fresh machine needs.
PYTHON ?= python3
VENV   ?= .venv
EXTRA  ?=
BIN    := $(VENV)/bin
PROFILE ?= $(or $(KIMI_PROFILE),laptop)
WORKERS ?= 2

.PHONY: help install install-dev system run ui test check format bench ablations real acceptance clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ #/' | column -t -s '#'

install: ## the project into .venv (CPU or GPU build, by what the machine has)
	@$(PYTHON) deploy/install.py --venv $(VENV) $(if $(EXTRA),--extra $(EXTRA))

install-dev: ## the same with the tools of tests and checks
	@$(PYTHON) deploy/install.py --venv $(VENV) --dev $(if $(EXTRA),--extra $(EXTRA))

system: ## Debian packages that tests use (needs root, or sudo)
	@deploy/system.sh

run: install ## the whole lineage on the laptop profile: make run [PROFILE=NAME] [SET="rl.iterations=20 seed=1"]
	@$(BIN)/kimi-pipeline run --profile $(PROFILE) $(SET:%=--set %)

ui: install ## the Dagster UI on http://127.0.0.1:3000
	@$(BIN)/kimi-pipeline ui --profile $(PROFILE)

test: install-dev ## everything that can be tested here
	@$(BIN)/python -m pytest -q -n $(WORKERS) --no-loadscope-reorder

check: install-dev ## style, types, floors
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

format: install-dev ## rewrite the style
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: install-dev ## long measurements, resumable
	@for name in learning rl partial curation sandbox chaos; do $(BIN)/kimi-pipeline bench $$name || exit; done
	@KIMI_KILLS=20 $(BIN)/python -m pytest -q tests/rl/test_partial_job.py -k kill_9 --timeout 3600
	@for backend in docker bubblewrap; do for load in "" --loaded; do \
	  $(BIN)/kimi-pipeline sandbox equivalence --backend $$backend --rounds 5 $$load || exit; done; done
	@$(BIN)/python -m tests.sandbox.storm --submissions 1000

ablations: install ## the report's ablations over three seeds, resumable (hours)
	@$(BIN)/kimi-pipeline ablations

real: install ## a real model through the whole lineage beside a control: make real MODEL=FOLDER [SET="inference.device=cuda model.dtype=bfloat16"]
	@$(if $(MODEL),,$(error give a Hugging Face folder: make real MODEL=FOLDER))$(BIN)/kimi-pipeline real --model "$(MODEL)" $(SET:%=--set %)

acceptance: install-dev ## every promise measured: make acceptance [TIER=full] [ONLY=NAME] [DATA=FOLDER] [MODEL=FOLDER]
	@$(BIN)/kimi-pipeline acceptance --tier $(or $(TIER),standard) $(ONLY:%=--only %) $(DATA:%=--data %) $(MODEL:%=--model %)

clean: ## remove the environment and caches; state in .kimi stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info

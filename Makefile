# Runs, tests and checks Nightcrew. Each target does its own set-up, so that one command is enough.
#
# One environment, .venv, grows by what a target needs: `up` the runtime alone, `up-langflow` lfx too, the
# others everything. A stamp in it says what is installed; without a change of pyproject.toml nothing is done.

PYTHON ?=
ARGS ?=
# Half as many again as there are cores: the tests wait for processes more than they compute. 0: one after another.
WORKERS ?= $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )))
PY := .venv/bin/python
PROTO := .venv-proto/bin
PIP := -m pip install --quiet --disable-pip-version-check --no-input
ROOMS := runtime client tests $(wildcard benchmarks examples)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help up up-langflow test soak bench lint proto diagrams

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo '  ARGS="…" is added to the command: make up ARGS="--data /tmp/crew", make test ARGS="-k cron"'

up: .venv/.ready-runtime ## Starts the runtime with the agents in examples/.
	@exec .venv/bin/nightcrew up examples/ $(ARGS)

up-langflow: .venv/.ready-langflow ## The same with the Langflow flows in examples/flows.
	@exec .venv/bin/nightcrew up examples/ examples/flows/ $(ARGS)

test: .venv/.ready-all ## Runs every test, the real Langflow flows included.
	$(PY) -m pytest -m "not soak" -n $(WORKERS) --dist worksteal $(ARGS)

soak: .venv/.ready-all ## Runs the long chaos and load tests.
	$(PY) -m pytest -m soak $(ARGS)

bench: .venv/.ready-all ## Measures the bursts, the idle cost and the peers.
	$(PY) benchmarks/run.py $(ARGS)

lint: .venv/.ready-all .venv-proto/.ready ## Checks style, types, floors, the contract and what is generated.
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy $(ROOMS)
	PYTHONPATH=runtime:client .venv/bin/lint-imports
	$(PROTO)/buf lint
	$(PROTO)/buf format --diff --exit-code
	.ci/breaking $(PROTO)/buf
	@echo "generated code: is client/nightcrew/v1 what proto/ gives?"
	@rm -rf .venv-proto/check && $(PROTO)/buf generate --output .venv-proto/check
	@diff -r -x __init__.py -x py.typed -x __pycache__ .venv-proto/check/client/nightcrew/v1 client/nightcrew/v1 \
		|| { echo "client/nightcrew/v1 is not what proto/ gives: run 'make proto' and commit" >&2; exit 1; }
	$(PY) -m nightcrew.domain.lifecycle.diagram --check docs/states

proto: .venv-proto/.ready ## Generates client/nightcrew/v1 from proto/.
	$(PROTO)/buf format --write
	@rm -f client/nightcrew/v1/*_pb2.py* client/nightcrew/v1/*_pb2_grpc.py*
	$(PROTO)/buf generate

diagrams: .venv/.ready-runtime ## Draws docs/states from the tables of the state machines.
	$(PY) -m nightcrew.domain.lifecycle.diagram docs/states

.venv/.ready-venv:
	@PYTHON="$(PYTHON)" .ci/venv .venv
	@touch $@

.venv/.ready-runtime: pyproject.toml .venv/.ready-venv
	@echo "nightcrew: installing the runtime into .venv"
	@$(PY) $(PIP) -e .
	@touch $@

.venv/.ready-langflow: pyproject.toml .venv/.ready-venv
	@echo "nightcrew: installing the runtime and lfx into .venv (some 100 packages, once)"
	@$(PY) $(PIP) -e '.[langflow]'
	@touch .venv/.ready-runtime $@

.venv/.ready-all: pyproject.toml .venv/.ready-venv
	@echo "nightcrew: installing the runtime, lfx, the brokers' clients and the development tools into .venv (some 200 packages, once)"
	@$(PY) $(PIP) -e '.[brokers,dev,langflow]'
	@touch .venv/.ready-runtime .venv/.ready-langflow $@

.venv-proto/.ready: proto/requirements.txt
	@PYTHON="$(PYTHON)" .ci/venv .venv-proto
	@echo "nightcrew: installing the contract's generator into .venv-proto"
	@.venv-proto/bin/python $(PIP) -r proto/requirements.txt
	@touch $@

# Everything a contributor or a new user runs. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
PYTEST ?= -n 2 --dist loadfile
VENV := .venv
TRUEUP := $(VENV)/bin/trueup

.DEFAULT_GOAL := help
.PHONY: help setup lock up demo kafka test long properties check chaos bench clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## make the virtual environment with everything in it

$(VENV)/.ready: requirements.lock pyproject.toml sdk/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet 'uv>=0.13'
	@$(VENV)/bin/uv pip sync --quiet --python $(VENV)/bin/python --require-hashes requirements.lock
	@$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --no-deps -e sdk -e .
	@touch $@

lock:  ## pin every dependency with its hash, from the two pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-package trueup-sdk \
	  --group dev --group build pyproject.toml sdk/pyproject.toml --custom-compile-command "make lock" --output-file requirements.lock
	deploy/lock.sh uv
	echo ./sdk | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-package trueup-sdk \
	  --custom-compile-command "make lock" --output-file examples/requirements.lock - examples/*.py

up: setup  ## start the local stack and the worker, until Ctrl-C
	@$(TRUEUP) up

demo: setup  ## simulated agents, an incident, a live board; ends with the report and the audit
	@$(TRUEUP) demo

kafka: setup  ## Apache Kafka on loopback, fetched once into a cache; BROKERS=3 for three of them
	@$(VENV)/bin/python -m deploy.local.kafka --brokers $(or $(BROKERS),1)

test: setup  ## every test this machine has the components for
	@$(VENV)/bin/python -m pytest $(PYTEST)

long: setup  ## what takes too long for every run: 120,000 damaged records, very many schedules, all on Apache Kafka
	@$(VENV)/bin/python -m pytest $(PYTEST) -m long

properties: setup  ## every property with up to a thousand new examples
	@$(VENV)/bin/python -m pytest $(PYTEST) -m "hypothesis and not long" --hypothesis-profile thorough

check: setup  ## format, lint, types, layers, dependencies
	@$(VENV)/bin/ruff format --check . && $(VENV)/bin/ruff check . && $(VENV)/bin/mypy && $(VENV)/bin/lint-imports && $(VENV)/bin/deptry .

chaos: setup  ## faults at random on Apache Kafka, then the audit; SECONDS=180 SEED=1
	@$(VENV)/bin/python -m chaos --seconds $(or $(SECONDS),180) $(if $(SEED),--seed $(SEED))

bench: setup  ## events per second, CPU, memory and latency, beside a plain Faust application
	@$(VENV)/bin/python -m bench

clean:  ## remove what setup made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

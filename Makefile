# The tasks of this repository. `make` alone lists them; the scripts behind them stand in deploy/dev.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo dev test check bench fidelity overhead fuzz proof generate clean

help: ## List these tasks
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Run a whole pipeline here: orchestrator, worker, real rows, a kill, proofs (under a minute after the build)
	@deploy/dev/demo.sh

dev: ## Start an orchestrator on this machine (SQLite, local workers) and leave it running
	@deploy/dev/dev.sh

test: ## Run the tests against real binaries and services (long container stories: make proof)
	@deploy/dev/test.sh

check: ## Formatting, lints, licences and advisories, locked protocol numbers, generated files
	@deploy/dev/check.sh

bench: ## Measure against peers on data made here
	@deploy/dev/bench.sh

fidelity: ## Compare which values arrive with other tools, on servers made here
	@deploy/dev/fidelity.sh

overhead: ## Measure what the orchestrator adds to a run, with a scripted cloud
	@deploy/dev/overhead.sh

fuzz: ## Feed the readers of foreign bytes with anything, ten minutes each (SECONDS_EACH=60 for less)
	@deploy/dev/fuzz.sh

proof: ## Run the long matrices with recorded seeds
	@deploy/dev/proof.sh

generate: ## Write the generated files anew (protocol numbers, OpenAPI, JSON Schema)
	@deploy/dev/generate.sh

clean: ## Remove what builds and demos left
	@deploy/dev/clean.sh

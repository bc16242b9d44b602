# The one entry. `make` lists what there is; a recipe is three lines at most.
SHELL := /bin/bash
export CARGO_TERM_COLOR ?= never
TOOLS := $(CURDIR)/target/tools
export PATH := $(TOOLS)/bin:$(PATH)

.PHONY: help run test bench check fmt lint floors deny migrations tools
help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: ## build in release and start the sandbox: a relay and a fake internet, no configuration
	cargo build --release --locked -p postrider
	./target/release/postrider dev

test: tools ## run all tests, on both databases; names at the end what could not run
	.ci/test

check: fmt lint test deny migrations ## all that CI runs

bench: ## load scenarios, SCENARIO="flow nodes" or all of loadtests/scenarios; findings in target/
	cargo build --release --locked -p postrider
	cargo run --release --locked -p postrider-loadtests -- $(if $(FULL),--full) $(SCENARIO)

fmt: ## the format is rustfmt's
	cargo fmt --all --check

lint: ## clippy, every warning an error
	cargo clippy --workspace --all-targets --locked -- -D warnings

floors: ## imports go only down the floors (part of test)
	cargo test --locked -p postrider --test house

deny: tools ## duplicate versions, licences and sources of the packages
	.ci/deny

migrations: ## the same migrations in every dialect
	.ci/migrations

tools: ## get the foreign tools that the tests use, where that is possible
	.ci/tools

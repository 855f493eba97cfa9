# Maldon from a checkout. `make up` is all a user needs; `make help` lists the rest.
# Every target may be repeated: what is there already is left alone, and costs no time.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
export PYTHON

IMAGE := .cache/maldon-guest.qcow2
GUEST := $(shell find src/maldon/guest -type f)
PYTEST := .venv/bin/python -m pytest
ARGS ?=

.PHONY: help up setup setup-test image test check lint lock clean apt-run

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

up: setup image ## installs what is missing, builds the guest image, runs the cloud until Ctrl-C (ARGS=--simulate: options)
	@exec .venv/bin/maldon up $(ARGS)

setup: apt-run ## Debian packages and .venv, to run Maldon
	@setup/venv.sh .venv requirements.lock .

setup-test: ## the same, with what the tests need: servers, tools, and .venv-clients with the public clients
	@setup/apt.sh setup/apt-run.txt setup/apt-test.txt
	@setup/venv.sh .venv requirements-test.lock .
	@setup/venv.sh .venv-clients requirements-clients.lock
	@setup/venv.sh .venv-swift requirements-swift.lock
	@setup/swift-tests.sh .cache/swift-tests .venv-swift

image: $(IMAGE) ## the guest image, .cache/maldon-guest.qcow2

$(IMAGE): $(GUEST) | apt-run
	@bash src/maldon/guest/build.sh $(@D)

apt-run:
	@setup/apt.sh setup/apt-run.txt

test: setup-test image lint ## every check and every test
	@$(PYTEST) -n 2 --dist loadgroup $(ARGS)

check: setup-test lint ## the fast half: no guest, no root, no public clients
	@$(PYTEST) -n 2 --dist loadgroup -m "not guest and not root and not clients" $(ARGS)

lint:
	@.venv/bin/ruff format --check --quiet . || { echo "Run: .venv/bin/ruff format"; exit 1; }
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy

lock: ## writes the lock files anew (needs uv; ARGS="--upgrade-package aiohttp": options of uv)
	@setup/lock.sh $(ARGS)

clean: ## removes what the targets above made, but not a cloud (maldon down --purge does)
	rm -rf .venv .venv-clients .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info

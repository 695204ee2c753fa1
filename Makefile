# make repro   the whole pipeline: from sound to a measured model
# make test    lint and tests, as many tests at a time as there are cores
# make gate    is the model within the budget of params.yaml?
# make report  report.html and report.md: is this run better than the last commit's?
# make reproduce   two runs from nothing: the same bytes? (long)
# make bench   the table of docs/results.md, written there (some two hours)
# make lock    requirements*.in and device/wheels/*.in -> .txt with hashes; UPGRADE=--upgrade: the newest packages
# make clean   remove what the pipeline made; the DVC cache stays

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONPATH := $(CURDIR)

.PHONY: repro test gate report reproduce bench lock clean setup setup-test

repro: setup
	dvc repro

test: setup-test
	ruff check .
	ruff format --check .
	pytest -n logical

gate: setup
	python -m commands.gate

report: setup
	python -m commands.report

reproduce: setup
	python -m benchmarks.reproduce

bench: setup-test  # they borrow models and a network from the tests
	python -m benchmarks

COMPILE = .venv/lock/bin/uv pip compile $(UPGRADE) --quiet --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

lock: setup
	python -m venv .venv/lock
	.venv/lock/bin/pip install --quiet uv
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) -c requirements.txt requirements-test.in -o requirements-test.txt
	$(COMPILE) -c requirements.txt device/wheels/onnxruntime.in -o device/wheels/onnxruntime.txt
	$(COMPILE) -c requirements.txt device/wheels/litert.in -o device/wheels/litert.txt
	$(COMPILE) --no-deps device/wheels/litert-armv7l.in -o device/wheels/litert-armv7l.txt

clean:
	rm -rf data/raw data/prepared models/*.keras models/*.onnx models/*.tflite models/*.npz models/decision.json plots/samples plots/answers plots/*.csv

setup:
	@./setup.sh run

setup-test:
	@./setup.sh test

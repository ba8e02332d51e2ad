# `make demo` and `make test` set everything up in a fresh clone; they need Python 3.10+, a C++ compiler and make.
PYTHON ?= python3
VENV   ?= .venv
RUN    := $(VENV)/bin/python
PIP    := $(RUN) -m pip install --quiet --disable-pip-version-check
SOURCES := $(shell find rushlight csrc -name '*.py' -o -name '*.cpp' -o -name '*.h' -o -name '*.npz') CMakeLists.txt pyproject.toml

.PHONY: demo examples test check bench native clean

# Train LeNet-5 on handwritten digits, save and reload it, and draw out/digits.png.
demo: $(VENV)/installed
	$(RUN) examples/digits.py --out out

# Every example, small; DATA=FOLDER adds those that need real data.
examples: $(VENV)/tools
	$(RUN) examples/all.py $(if $(DATA),--data $(DATA))

# The tests, under the native kernels and then under the reference kernels.
test: check
	$(RUN) -m pytest -q -n 2
	RUSHLIGHT_KERNELS=reference $(RUN) -m pytest -q -n 2

# Lint, formatting, types of the public surface, and lines per file.
check: $(VENV)/tools
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) docs/sizes.py

bench: $(VENV)/tools
	$(RUN) benchmarks/run.py
	$(RUN) benchmarks/overhead.py

$(VENV)/pip:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/pip $(SOURCES)
	$(PIP) ".[demo]"
	touch $@

# The tests run on the sources in place, so this one is an editable installation.
$(VENV)/tools: $(VENV)/pip CMakeLists.txt pyproject.toml $(wildcard csrc/*)
	$(PIP) --editable ".[test,oracle]"
	touch $@

# Development: (re)build the extension in place, beside the Python sources. Needs the build tools in $(PYTHON).
native:
	flock .native.lock sh -c 'cmake -S . -B build/dev -G Ninja -DPython_EXECUTABLE="$$(command -v $(PYTHON))" -DCMAKE_INSTALL_PREFIX="$(CURDIR)" >build-dev.log 2>&1 \
	  && cmake --build build/dev && cmake --install build/dev >/dev/null' || { tail -30 build-dev.log; exit 1; }

clean:
	rm -rf build dist out $(VENV) rushlight/_native*.so rushlight/libdnnl.so*

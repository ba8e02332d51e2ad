# `make demo` and `make test` set everything up in a fresh clone; they need Python 3.10+, a C++ compiler and make.
PYTHON ?= python3
VENV   ?= .venv
RUN    := $(VENV)/bin/python
PIP    := $(RUN) -m pip install --quiet --disable-pip-version-check
SOURCES := $(shell find rushlight csrc -name '*.py' -o -name '*.cpp' -o -name '*.h' -o -name '*.npz') CMakeLists.txt pyproject.toml

.PHONY: demo test check bench native clean

# Train LeNet-5 on handwritten digits, save and reload it, and draw out/digits.png.
demo: $(VENV)/installed
	$(PIP) "matplotlib>=3.8" "tqdm>=4.60"
	cd examples && ../$(RUN) digits.py --out ../out

# The tests, under the native kernels and then the core of them under the reference kernels.
test: check $(VENV)/tools
	$(RUN) -m pytest -q -n 2
	RUSHLIGHT_KERNELS=reference $(RUN) -m pytest -q -n 2 -p no:cacheprovider

# Lint, formatting, types of the public surface, and lines per file.
check: $(VENV)/tools
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy rushlight
	$(RUN) docs/sizes.py

bench: $(VENV)/tools
	$(RUN) benchmarks/run.py
	$(RUN) benchmarks/overhead.py

$(VENV)/pip:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/pip $(SOURCES)
	$(PIP) .
	touch $@

$(VENV)/tools: $(VENV)/installed
	$(PIP) ".[test,oracle]"
	touch $@

# Development: (re)build the extension in place, beside the Python sources. Needs the build tools in $(PYTHON).
native:
	flock .native.lock sh -c 'cmake -S . -B build/dev -G Ninja -DPython_EXECUTABLE="$$(command -v $(PYTHON))" -DCMAKE_INSTALL_PREFIX="$(CURDIR)" >build-dev.log 2>&1 \
	  && cmake --build build/dev && cmake --install build/dev >/dev/null' || { tail -30 build-dev.log; exit 1; }

clean:
	rm -rf build dist out $(VENV) rushlight/_native*.so rushlight/libdnnl.so*

# `make demo` and `make test` set everything up in a fresh clone.
PYTHON ?= python3
VENV   ?= .venv
RUN    := $(VENV)/bin/python

.PHONY: native
# Development: (re)build the extension in place, beside the Python sources.
native:
	flock .native.lock sh -c 'cmake -S . -B build/dev -G Ninja -DPython_EXECUTABLE="$$(command -v $(PYTHON))" -DCMAKE_INSTALL_PREFIX="$(CURDIR)" >build-dev.log 2>&1 \
	  && cmake --build build/dev && cmake --install build/dev >/dev/null' || { tail -30 build-dev.log; exit 1; }

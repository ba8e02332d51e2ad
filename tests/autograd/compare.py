"""Runs one function on both frameworks and compares what comes out: structure, types, values, gradients' flags, errors."""

import warnings

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")


def shown(value, lib):
    """A result in a form that both frameworks share."""
    if isinstance(value, lib.Tensor):
        array = value.detach().to_dense().resolve_conj().numpy()
        return "tensor", str(value.dtype), bool(value.requires_grad), array
    if isinstance(value, (tuple, list)):
        return [shown(v, lib) for v in value]
    if isinstance(value, dict):
        return {k: shown(v, lib) for k, v in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__


def outcome(case, lib):
    """What a case gives, or the error that it raises."""
    lib.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return shown(case(lib), lib)
        except Exception as error:
            return error


def same(ours, theirs) -> None:
    """Assert that two shown results are equal."""
    if isinstance(theirs, tuple):
        assert isinstance(ours, tuple) and ours[:3] == theirs[:3], (ours, theirs)
        np.testing.assert_allclose(ours[3], theirs[3], rtol=1e-5, atol=1e-6)
    elif isinstance(theirs, list):
        assert isinstance(ours, list) and len(ours) == len(theirs), (ours, theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    elif isinstance(theirs, dict):
        assert isinstance(ours, dict) and list(ours) == list(theirs), (ours, theirs)
        for k in theirs:
            same(ours[k], theirs[k])
    else:
        assert ours == theirs, (ours, theirs)


def agree(case) -> None:
    """Assert that a case gives the same on both frameworks: results, or the type of exception."""
    ours, theirs = outcome(case, rushlight), outcome(case, torch)
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        alike = isinstance(ours, type(theirs)) or type(ours).__name__ == type(theirs).__name__
        assert alike and isinstance(ours, Exception), (ours, theirs)
    else:
        same(ours, theirs)

"""The other forms of PyTorch's operators: `python -m tests.compat.forms [NAME ...] [--form FORM ...]`.

Method, in-place method, `out=`, inputs that are not contiguous, further names, and the errors that PyTorch's own tests
expect. Each is tried in both frameworks, and what comes of it is compared: the values and gradients, or the exception.
"""

import argparse
import sys
import warnings
from dataclasses import dataclass

import torch
from torch.testing._internal.common_methods_invocations import op_db

import rushlight
from tests.compat.ops import (
    DTYPES,
    Result,
    _aligned,
    difference,
    flat,
    fresh,
    gradients,
    in_scope,
    leaves,
    limit,
    ours_of,
    seed,
    title,
)
from tests.compat.translate import Untranslatable, function, value

#: Differences that stay, by the start of what is reported: why.
KNOWN = {
    "chalf:": "there is no complex32",
    "__r": "PyTorch's reflected operators refuse a number for `self`; Python never calls them so",
    "fft.ihfftn: out": "PyTorch leaves `out` as it was",
    "linalg.eig: noncontiguous": "eigenvectors are determined up to a factor",
    "nn.functional.gelu: out strided": "PyTorch writes as if `out` were contiguous",
    "nn.functional.avg_pool3d: out strided": "PyTorch writes as if `out` were contiguous",
    "narrow_copy: out strided": "PyTorch writes as if `out` were contiguous",
    "narrow_copy: error": "an internal assertion of PyTorch; ours is an IndexError as of `narrow`",
    "addbmm: in place": "PyTorch resizes the tensor; ours wants its shape to fit",
    "addbmm: out larger": "PyTorch resizes without its warning",
    "lu: out": "PyTorch converts to whatever type is given, without its warning",
    "matmul: out": "PyTorch warns of resizing what it reshapes inside",
    "cumsum: out torch.": "PyTorch computes in the type of `out`",
    "cumprod: out torch.": "PyTorch computes in the type of `out`",
    "nansum: out torch.": "PyTorch computes in the type of `out`",
    "nanmean: out torch.": "PyTorch computes in the type of `out`",
    "std: out torch.complex64": "PyTorch computes in the type of `out`",
    "var: out torch.complex64": "PyTorch computes in the type of `out`",
    "bernoulli: out torch.complex64": "another error than PyTorch's",
    "normal: out": "PyTorch warns of resizing although it draws in place",
    "normal (number_mean): out": "PyTorch's shape of `out` must fit",
    "round (decimals_0): in place int64": "PyTorch tells `decimals=0` from none given",
    "nn.functional.feature_alpha_dropout (with_train): in place int64": "PyTorch overwrites whole numbers",
    "complex: type float16": "there is no complex32",
    "view_as_complex: type float16": "there is no complex32",
    "sort: type": "equal elements in another order",
    "argsort: type": "equal elements in another order",
    "topk: type": "equal elements in another order",
    "kthvalue: type": "equal elements in another order",
    "polygamma": "at whole numbers below zero, where it is infinite, PyTorch's large values are its rounding errors",
    "matrix_exp: type": "values beyond the type's largest",
    "grid_sampler": "interpolated in lower precision by PyTorch",
    "nn.functional.soft_margin_loss: type float16": "PyTorch's exponentials overflow elsewhere",
    "nn.functional.rms_norm: type complex64": "not of complex numbers",
    "nn.functional.linear_cross_entropy": "of whole numbers and truth values: another error than PyTorch's",
    "nn.functional.hinge_embedding_loss: type int64": "of whole numbers: PyTorch's mean is none",
    "nn.functional.max_pool1d: type int64": "PyTorch takes whole numbers where the layout allows it",
    "histc: type": "not of float16 and bfloat16",
    "histogram": "not of float16 and bfloat16",
    "stft: type bool": "another error than PyTorch's",
    "linalg.ldl_solve: type": "another error than PyTorch's",
    "resize": "memory that nobody has written",
    "as_strided_scatter": "PyTorch's gradient fails its own check; it asserts on what is not contiguous",
    "as_strided": "reaches elements of the memory that the sample's view leaves out",
    "svd_lowrank: noncontiguous": "random projections of sums in another order",
    "pca_lowrank: noncontiguous": "random projections of sums in another order",
}


@dataclass
class Outcome:
    """What came of a call: a result or an exception, and whether it warned that `out` was resized."""

    result: object = None
    error: Exception | None = None
    resized: bool = False


def outcome(f) -> Outcome:
    """Call `f` from a fixed seed."""
    seed()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result, error = f(), None
        except Exception as e:
            result, error = None, e
    return Outcome(result, error, any("resized" in str(w.message) for w in caught))


def unlike(ours: Outcome, theirs: Outcome, op, what: str, process=None) -> str | None:
    """Why two outcomes differ, or None; `process` leaves of the results what is determined."""
    if theirs.error is not None:
        wanted = type(theirs.error).__name__
        if ours.error is None:
            return f"{what}: no error, PyTorch {wanted}: {_first_line(theirs.error)}"
        if wanted.lstrip("_") not in [c.__name__ for c in type(ours.error).__mro__]:
            return f"{what}: {_shown(ours.error)}, PyTorch {_shown(theirs.error)}"
        return None
    if ours.error is not None:
        return f"{what}: {_shown(ours.error)}, PyTorch none"
    if ours.resized != theirs.resized and (ours.resized or what == "out larger"):
        return f"{what}: warning {ours.resized}, PyTorch {theirs.resized}"
    if process is None:
        return difference(ours.result, theirs.result, op, what)
    return difference(process(rushlight, ours.result), process(torch, theirs.result), op, what)


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:130]


def _both(op, ours, theirs, parts, what: str, process=None) -> str | None:
    """Compare `ours(*args, **kwargs)` with `theirs(...)` on the inputs of a sample."""
    expected_in = fresh(parts)
    inputs, args, kwargs = expected_in
    expected = outcome(lambda: theirs(inputs, *args, **kwargs))
    ours_in, ours_args, ours_kwargs = value(fresh(parts))
    return unlike(outcome(lambda: ours(ours_in, *ours_args, **ours_kwargs)), expected, op, what, process)


def method(op, f, sample):
    """As a method of the first tensor."""
    if op.method_variant is not None and isinstance(sample.input, torch.Tensor):
        theirs = op.method_variant
        yield _both(op, function(theirs), theirs, _parts(sample), "method", _determined(sample))


def noncontiguous(op, f, sample):
    """On tensors that are not contiguous."""
    yield _both(op, f, op.op, _parts(sample.noncontiguous()), "noncontiguous", _determined(sample))


def _determined(sample):
    """What a sample says is determined of its results, as a function of the framework and the results."""
    process = sample.output_process_fn_grad
    return lambda framework, result: (function(process) if framework is rushlight else process)(result)


def _parts(sample) -> tuple:
    return sample.input, sample.args, sample.kwargs


def inplace(op, f, sample):
    """As the method that overwrites its tensor: value, gradient, identity, version; and when it is refused."""
    if op.inplace_variant is None or not isinstance(sample.input, torch.Tensor):
        return
    theirs, ours = op.inplace_variant, function(op.inplace_variant)
    parts = _parts(sample)
    for what, changed in _overwritten(sample.input):
        if changed is not None:
            yield _both(op, _told(ours), _told(theirs), (changed, *parts[1:]), f"in place {what}")
    if sample.input.requires_grad and op.supports_inplace_autograd:
        yield _inplace_gradient(op, ours, theirs, parts)


def _told(variant):
    """The in-place method, telling also whether it returned its tensor and counted the change."""

    def called(x, *args, **kwargs):
        version = x._version
        result = variant(x, *args, **kwargs)
        return result, result is x, x._version > version

    return called


def _overwritten(x: torch.Tensor):
    """Tensors to overwrite: as it is, of whole numbers, smaller, spread from one element, and a leaf of the graph."""
    plain = x.detach()
    yield "", plain
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield "int64", plain.to(torch.int64) if plain.layout is torch.strided else None
    yield "smaller", plain[:1].clone() if x.ndim and x.shape[0] > 1 else None
    yield "expanded", plain[:1].expand(x.shape) if x.ndim and x.shape[0] > 1 else None
    yield "leaf", plain.clone().requires_grad_() if x.requires_grad else None


def _inplace_gradient(op, ours, theirs, parts) -> str | None:
    def on_a_copy(variant):
        return lambda x, *args, **kwargs: variant(x.clone(), *args, **kwargs)

    (x, args, kwargs), (ours_x, ours_args, ours_kwargs) = inputs = fresh(parts), value(fresh(parts))
    expected = outcome(lambda: on_a_copy(theirs)(x, *args, **kwargs))
    if expected.error is not None:
        return None
    found = outcome(lambda: on_a_copy(ours)(ours_x, *ours_args, **ours_kwargs))
    shown = unlike(found, expected, op, "in place with gradient")
    if shown:
        return shown
    try:
        theirs_g, _ = gradients(torch, expected.result, leaves(inputs[0]), lambda r: r, False)
    except RuntimeError:
        return None
    ours_g, _ = gradients(rushlight, found.result, leaves(inputs[1]), lambda r: r, False)
    if theirs_g is None or ours_g is None:
        return None if ours_g is theirs_g else "in place: gradient of one framework only"
    return difference(*_aligned(ours_g, theirs_g), op, "in place gradient")


def out(op, f, sample):
    """Into given tensors: of the right kind, other shapes, types and strides, and where gradients are wanted."""
    if not op.supports_out:
        return
    parts = _parts(sample)
    plain = _detached(parts)
    expected = outcome(lambda: op.op(plain[0], *plain[1], **plain[2])).result
    if not all(isinstance(t, torch.Tensor) for t in flat(expected)):
        return
    determined = _determined(sample)
    process = lambda framework, found: (_rounded(framework, determined(framework, found[0])), found[1])
    for what, given in _destinations(expected):
        into = plain[0], plain[1], {**plain[2], "out": given}
        yield _both(op, _into(f), _into(op.op), into, f"out {what}".strip(), process)
    if leaves(parts):  # ours refuse always; what PyTorch composes of other functions may get through there
        into = parts[0], parts[1], {**parts[2], "out": _each(expected, torch.empty_like)}
        shown = _both(op, _into(f), _into(op.op), into, "out with gradient", process)
        yield None if shown and "RuntimeError: functions with out" in shown.split(", PyTorch")[0] else shown


def _into(f):
    """The function, telling also whether it returned what was given as `out`."""

    def called(*args, **kwargs):
        result = f(*args, **kwargs)
        return result, [a is b for a, b in zip(flat(result), flat(kwargs["out"]), strict=True)]

    return called


def _rounded(framework, results) -> list:
    """The results without digits that no float32 computation determines."""
    single = {framework.float64: framework.float32, framework.complex128: framework.complex64}
    return [t.to(single.get(t.dtype, t.dtype)) for t in flat(results)]


def _destinations(expected):
    def filled(t, shape=None, dtype=None):
        return torch.ones(t.shape if shape is None else shape, dtype=dtype or t.dtype)

    yield "", _each(expected, filled)
    yield "empty", _each(expected, lambda t: filled(t, (0,)))
    yield "larger", _each(expected, lambda t: filled(t, (*t.shape, 2)))
    yield "strided", _each(expected, lambda t: filled(t, t.shape[::-1]).permute(tuple(range(t.ndim))[::-1]))
    for kind in (torch.int64, torch.float64, torch.bool, torch.complex64):
        yield str(kind), _each(expected, lambda t, kind=kind: filled(t, dtype=kind))


def _each(result, change):
    if isinstance(result, torch.Tensor):
        return change(result)
    return tuple(_each(t, change) for t in result)


def _detached(v):
    if isinstance(v, torch.Tensor):
        return v.detach()
    if isinstance(v, tuple | list) and not hasattr(v, "_fields") and not isinstance(v, torch.Size):
        return type(v)(_detached(i) for i in v)
    return {k: _detached(i) for k, i in v.items()} if isinstance(v, dict) else v


def types(op, f, sample):
    """Of other types, which PyTorch may refuse."""
    parts = _detached(_parts(sample))
    if any(isinstance(t, torch.Tensor) and not t.numel() for t in flat([parts[0], *parts[1]])):
        return  # PyTorch finds out later than it returns
    source = next((t.dtype for t in flat([parts[0], *parts[1]]) if isinstance(t, torch.Tensor)), None)
    for kind in ("bfloat16", "float16", "int64", "bool", "complex64"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cast = _cast(parts, source, getattr(torch, kind))
        shown = _both(op, f, op.op, cast, f"type {kind}", _determined(sample))
        yield None if shown and shown.startswith(f"type {kind}: no error") else shown  # ours take more types


def _cast(v, source, kind):
    if isinstance(v, torch.Tensor):
        return v.to(kind) if v.dtype is source else v
    if isinstance(v, tuple | list) and not hasattr(v, "_fields") and not isinstance(v, torch.Size):
        return type(v)(_cast(i, source, kind) for i in v)
    if isinstance(v, dict):
        return {k: _cast(i, source, kind) for k, i in v.items()}
    return kind if v is source else v


def errors(op, f):
    """The wrong calls of PyTorch's tests raise exceptions of the same type."""
    if op.error_inputs_func is None:
        return
    for i, wrong in enumerate(op.error_inputs("cpu")):
        parts = _parts(wrong.sample_input)
        tensors = [t for t in flat([*parts[:2], *parts[2].values()]) if isinstance(t, torch.Tensor)]
        if all(t.device.type == "cpu" and t.ndim <= 64 for t in tensors):  # what NumPy can hold
            yield _both(op, f, op.op, parts, f"error #{i}")


def aliases(op, f):
    """Its further names exist, as functions and as methods."""
    for other in op.aliases:
        for variant in (other.op, other.method_variant, other.inplace_variant):
            try:
                if variant is not None:
                    function(variant)
            except Untranslatable as e:
                yield f"alias {other.name}: {e}"


PER_SAMPLE = {
    "method": method,
    "inplace": inplace,
    "out": out,
    "noncontiguous": noncontiguous,
    "types": types,
}
PER_OPERATOR = {"errors": errors, "aliases": aliases}


def kind_of(op) -> str | None:
    """The dtype in which an operator's forms are tried."""
    have = op.supported_dtypes("cpu")
    return next((d for d in DTYPES if getattr(torch, d) in have), None)


def run(op, forms=(), most: int = 5) -> Result | None:
    """The forms of one operator; `failures` holds the differences. None where no dtype of ours has samples."""
    result = Result(title(op), kind_of(op))
    if result.dtype is None:
        return None
    kind = getattr(torch, result.dtype)
    grads = op.supports_autograd and kind in op.supported_backward_dtypes("cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            f = ours_of(op)
            for name, check in PER_OPERATOR.items():
                if not forms or name in forms:
                    _count(result, "", check(op, f))
            seed()
            for i, sample in enumerate(op.sample_inputs("cpu", kind, requires_grad=grads)):
                if i >= most:
                    break
                for name, check in PER_SAMPLE.items():
                    if not forms or name in forms:
                        _count(result, f"#{i} ", check(op, f, sample))
        except (Exception, TimeoutError) as e:
            _count(result, "", [_shown(e)])
    return result


def _count(result: Result, where: str, found) -> None:
    """Count the comparisons of one form, each a reason for failure or None."""
    with limit(60):
        for reason in found:
            result.samples += 1
            known = reason and f"{result.name}: {reason}".startswith(tuple(KNOWN))
            result.passed += not reason or known
            if reason and not known:
                result.failures.append(where + reason)


def main(argv=None) -> int:
    """Run some or all operators and print those that fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="operators; all in scope by default")
    parser.add_argument("--form", nargs="*", default=[], choices=[*PER_SAMPLE, *PER_OPERATOR])
    parser.add_argument("--most", type=int, default=5, help="samples per operator")
    args = parser.parse_args(argv)
    bad = 0
    chosen = [op for op in op_db if (op.name in args.names if args.names else in_scope(op))]
    for op in chosen:
        r = run(op, args.form, args.most)
        if r is None:
            continue
        bad += bool(r.failures)
        for reason in r.failures:
            print(f"{r.name}: {reason}")
    print(f"{len(chosen) - bad} pass, {bad} fail")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())

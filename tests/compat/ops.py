"""PyTorch's operator samples (`op_db`) run on Rushlight: `python -m tests.compat.ops [NAME ...]`.

Each sample is called in both frameworks; values, shapes, dtypes, gradients and gradients of gradients are compared.
"""

import argparse
import contextlib
import random
import signal
import sys
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import rushlight
from tests.compat.translate import Untranslatable, function, resolve, to_torch, value

#: Families that the comparison leaves out: decompositions, namespaces of their own, quantised and private ops.
LEFT_OUT = ("special.", "signal.", "masked.", "torch.", "_", "jiterator", "sparse.")
#: Names that only PyTorch's compiler and its foreign kernels call.
INTERNAL = {
    "native_group_norm", "native_layer_norm", "native_batch_norm", "max_pool2d_with_indices_backward",
    "native_dropout_backward", "alias_copy", "hash_tensor", "slice",
}  # fmt: skip
#: Their values are whatever the memory held.
UNINITIALISED = {"empty", "empty_like", "new_empty", "new_empty_strided", "empty_strided", "empty_permuted"}
REVERSED = {f"__r{n}__" for n in ("add", "div", "mul", "and", "or", "xor", "matmul", "mod", "pow", "sub")}

DTYPES = (
    "float32",
    "float64",
    "complex64",
    "complex128",
    "int64",
    "int32",
    "uint8",
    "bool",
    "bfloat16",
    "float16",
)
TOLERANCE = {
    torch.float32: 3e-4, torch.complex64: 3e-4, torch.bfloat16: 2e-2, torch.float16: 4e-3,
    torch.float64: 1e-7, torch.complex128: 1e-7,
}  # fmt: skip


@dataclass
class Result:
    """What one operator did with the samples of one dtype."""

    name: str
    dtype: str
    samples: int = 0
    passed: int = 0
    failures: list = field(default_factory=list)


def in_scope(op) -> bool:
    """Whether the comparison counts this operator."""
    if op.name in REVERSED or op.name == "__getitem__":
        return True
    if op.name in INTERNAL or op.name.endswith("_copy") or op.variant_test_name == "triton_optimized":
        return op.name in ("index_copy", "narrow_copy")
    return not op.name.startswith(LEFT_OUT)


def title(op) -> str:
    """An operator's name with its variant."""
    return f"{op.name} ({op.variant_test_name})" if op.variant_test_name else op.name


def ours_of(op):
    """Our counterpart of an operator's function.

    Raises:
        Untranslatable: there is none.
    """
    try:
        return function(op.op)
    except Untranslatable:
        return resolve(("torch.Tensor." if op.name.startswith("__") else "torch.") + op.name)


def flat(result) -> list:
    """The leaves of a result."""
    if isinstance(result, tuple | list):
        return [leaf for item in result for leaf in flat(item)]
    return [result]


def _is_tensor(v) -> bool:
    return isinstance(v, torch.Tensor | rushlight.Tensor)


def difference(ours, theirs, op, what: str) -> str | None:
    """Why two results differ, or None."""
    ours, theirs = flat(ours), flat(theirs)
    if len(ours) != len(theirs):
        return f"{what}: {len(ours)} results, PyTorch {len(theirs)}"
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(b, torch.Tensor):
            if not isinstance(a, rushlight.Tensor):
                return f"{what}: {type(a).__name__}, PyTorch a tensor"
            if str(a.dtype) != str(b.dtype):
                return f"{what}: {a.dtype}, PyTorch {b.dtype}"
            if tuple(a.shape) != tuple(b.shape):
                return f"{what}: shape {list(a.shape)}, PyTorch {list(b.shape)}"
            if op.name in UNINITIALISED:
                continue
            b = (b.to_dense() if b.layout is not torch.strided else b).detach().resolve_conj().resolve_neg()
            tol = TOLERANCE.get(b.dtype, 0)
            try:
                torch.testing.assert_close(to_torch(a), b, rtol=tol, atol=tol * _size(b), equal_nan=True)
            except AssertionError as e:
                return f"{what}: " + " ".join(str(e).split())[:160]
        elif isinstance(b, torch.dtype | torch.device | torch.Size):
            if str(a) != str(b).replace("torch.Size", "torch.Size"):
                return f"{what}: {a}, PyTorch {b}"
        elif isinstance(b, float | complex):
            if not np.allclose(a, b, rtol=1e-5, equal_nan=True):
                return f"{what}: {a}, PyTorch {b}"
        elif a != b:
            return f"{what}: {a}, PyTorch {b}"
    return None


def _size(t: torch.Tensor) -> float:
    """The largest finite value, or 1: rounding errors are a share of it."""
    if not t.numel() or t.dtype is torch.bool:
        return 1.0
    t = t.abs().double()
    return max(1.0, float(t[torch.isfinite(t)].max())) if torch.isfinite(t).any() else 1.0


def leaves(v) -> list:
    """The tensors in a sample that want gradients, in order."""
    if _is_tensor(v):
        return [v] if v.requires_grad else []
    if isinstance(v, tuple | list):
        return [t for item in v for t in leaves(item)]
    if isinstance(v, dict):
        return [t for item in v.values() for t in leaves(item)]
    return []


def fresh(v):
    """A copy of a sample with leaves of its own."""
    if isinstance(v, torch.Tensor):
        if v.layout is not torch.strided:
            return v.detach().clone().requires_grad_(v.requires_grad)
        c = (
            torch.empty_strided(v.shape, v.stride(), dtype=v.dtype)
            if not _overlaps(v)
            else v.detach().clone()
        )
        return c.copy_(v.detach()).requires_grad_(v.requires_grad)
    if isinstance(v, tuple | list):
        made = [fresh(i) for i in v]
        return torch.Size(made) if isinstance(v, torch.Size) else type(v)(made)
    return {k: fresh(i) for k, i in v.items()} if isinstance(v, dict) else v


def _overlaps(t) -> bool:
    return any(s == 0 and n > 1 for s, n in zip(t.stride(), t.shape, strict=True)) or t.numel() == 0


def seed() -> None:
    """Both frameworks, Python and NumPy from the same seed."""
    torch.manual_seed(0)
    rushlight.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


def call(f, sample):
    seed()
    inputs, args, kwargs = sample
    return f(inputs, *args, **kwargs)


def gradients(framework, results, inputs, process, second: bool):
    """The gradients of some fixed combination of the results, and those of these gradients' combination."""
    outs = [r for r in flat(process(results)) if _is_tensor(r) and r.requires_grad]
    if not outs or not inputs:
        return None, None
    cots = [_cotangent(framework, r, i) for i, r in enumerate(outs)]
    first = framework.autograd.grad(outs, inputs, cots, create_graph=second, allow_unused=True)
    if not second:
        return first, None
    again = [g for g in first if g is not None and g.requires_grad]
    if not again:
        return first, None
    cots = [_cotangent(framework, g, 7 + i) for i, g in enumerate(again)]
    return first, framework.autograd.grad(again, inputs, cots, allow_unused=True)


def _cotangent(framework, like, salt: int):
    rng = np.random.default_rng(salt)
    a = rng.uniform(0.5, 1.5, tuple(like.shape))
    if like.is_complex():
        a = a + 1j * rng.uniform(-1, 1, a.shape)
    made = framework.from_numpy(np.asarray(a)).to(like.dtype)
    return made.to_sparse() if like.is_sparse else made


def compare(op, f, sample, wants_gradient: bool) -> str | None:
    """Why one sample fails, or None."""
    parts = (sample.input, sample.args, sample.kwargs)
    theirs_in = fresh(parts)
    try:
        theirs = call(op.op, theirs_in)
    except Exception:
        return None  # PyTorch itself doesn't take this sample here
    ours_in = value(parts)
    ours = call(f, ours_in)
    process = sample.output_process_fn_grad
    ours_process = function(process) if process is not None else (lambda r: r)
    shown = difference(ours_process(ours), process(theirs), op, "value")
    if shown or not wants_gradient:
        return shown
    try:
        theirs_g, theirs_gg = gradients(torch, theirs, leaves(theirs_in), process, op.supports_gradgrad)
    except RuntimeError:  # PyTorch has no second derivative here, or no derivative at all
        try:
            again = call(op.op, theirs_in)
            theirs_g, theirs_gg = gradients(torch, again, leaves(theirs_in), process, False)
        except RuntimeError:
            return None
    if theirs_g is None:
        return None
    ours_g, ours_gg = gradients(rushlight, ours, leaves(ours_in), ours_process, theirs_gg is not None)
    if ours_g is None:
        return "gradient: none, PyTorch has one"
    shown = difference(*_aligned(ours_g, theirs_g), op, "gradient")
    if shown or theirs_gg is None:
        return shown
    if ours_gg is None:
        zero = all(g is None or g.numel() == 0 or float(g.abs().max()) < 1e-3 for g in theirs_gg)
        return None if zero else "second derivative: none, PyTorch has one"
    return difference(*_aligned(ours_gg, theirs_gg), op, "second derivative")


def _aligned(ours, theirs):
    """Gradients, where a missing one counts as zero."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None or b is not None]
    ours = [
        rushlight.zeros(tuple(b.shape), dtype=resolve(str(b.dtype))) if a is None else a for a, b in pairs
    ]
    theirs = [
        torch.zeros(tuple(a.shape), dtype=getattr(torch, str(a.dtype)[6:])) if b is None else b
        for a, b in pairs
    ]
    return ours, theirs


@contextlib.contextmanager
def limit(seconds: int):
    """Stop what takes longer."""

    def stop(*_):
        raise TimeoutError(f"more than {seconds} s")

    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


def run(op, dtype: str, most: int = 10**9, stop_after: int = 3) -> Result | None:
    """All samples of one operator in one dtype; None where PyTorch doesn't have it."""
    kind = getattr(torch, dtype)
    if kind not in op.supported_dtypes("cpu"):
        return None
    result = Result(title(op), dtype)
    grads = (
        kind in op.supported_backward_dtypes("cpu")
        and op.supports_autograd
        and dtype not in ("bfloat16", "float16")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            f = ours_of(op)
        except Untranslatable as e:
            result.samples, result.failures = 1, [str(e)]
            return result
        seed()
        try:
            samples = op.sample_inputs("cpu", kind, requires_grad=grads)
            for i, sample in enumerate(samples):
                if i >= most:
                    break
                result.samples += 1
                try:
                    with limit(60):
                        shown = compare(op, f, sample, grads)
                except (Exception, TimeoutError) as e:
                    shown = f"{type(e).__name__}: {' '.join(str(e).split())[:160]}"
                if shown is None:
                    result.passed += 1
                elif len(result.failures) < stop_after:
                    result.failures.append(f"#{i} {shown}")
        except Exception as e:
            result.failures.append(f"samples: {type(e).__name__} {e}"[:100])
    return result


def main(argv=None) -> int:
    """Run some or all operators and print those that fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="operators; all in scope by default")
    parser.add_argument("--dtype", nargs="*", default=["float32"], choices=DTYPES)
    parser.add_argument("--most", type=int, default=10**9, help="samples per operator")
    parser.add_argument("--prefix", action="store_true", help="names are prefixes")
    args = parser.parse_args(argv)
    chosen = [op for op in op_db if (op.name in args.names if args.names else in_scope(op))]
    if args.prefix:
        chosen = [op for op in op_db if op.name.startswith(tuple(args.names))]
    good = bad = 0
    for op in chosen:
        for dtype in args.dtype:
            r = run(op, dtype, args.most)
            if r is None:
                continue
            if r.passed == r.samples and not r.failures:
                good += 1
                continue
            bad += 1
            print(f"{r.name} {dtype}: {r.passed}/{r.samples}")
            for reason in r.failures:
                print("   ", reason)
    print(f"{good} pass, {bad} fail")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())

"""PyTorch's operator samples run under `vmap` in both frameworks: `python -m tests.compat.batching [NAME ...]`."""

import sys
import warnings

import torch

import rushlight
from rushlight.func import batched
from tests.compat import ops
from tests.compat.translate import Untranslatable, value

#: Which tensors of a call are batched, and where: all along their first dimension, the first along its last, the others.
FORMS = (
    lambda i, t: 0,
    lambda i, t: t.ndim if i == 0 else None,
    lambda i, t: 0 if i else None,
)


def several(t: torch.Tensor, dim: int) -> torch.Tensor:
    """Three samples of a tensor, along a new dimension."""
    t = t.detach()
    if t.is_floating_point() or t.is_complex():
        parts = [t, t * 0.9, t * 0.8]
    else:
        parts = [t, t.flip(0) if t.ndim else t, t]
    return torch.stack(parts, dim)


def flattened(v, found: list):
    """A sample with its tensors moved to a list; a function that puts others in their place."""
    if isinstance(v, torch.Tensor):
        found.append(v)
        place = len(found) - 1
        return lambda tensors: tensors[place]
    if isinstance(v, torch.Size) or not isinstance(v, list | tuple | dict):
        return lambda tensors: value(v) if tensors and isinstance(tensors[0], rushlight.Tensor) else v
    if isinstance(v, dict):
        made = {k: flattened(i, found) for k, i in v.items()}
        return lambda tensors: {k: f(tensors) for k, f in made.items()}
    parts = [flattened(i, found) for i in v]
    return lambda tensors: type(v)([f(tensors) for f in parts])


def compare(op, f, sample, form) -> str | None:
    """Why a sample fails in a form, or None; "skipped" where PyTorch does not run it."""
    found: list = []
    parts = flattened((sample.input, sample.args, sample.kwargs), found)
    if any(t.layout is not torch.strided for t in found):
        return "skipped"
    dims = [form(i, t) for i, t in enumerate(found)]
    if not found or all(d is None for d in dims):
        return "skipped"
    theirs_in = [t.detach() if d is None else several(t, d) for t, d in zip(found, dims, strict=True)]

    def run(L, g, tensors, process):
        def sampled(*tensors):
            inputs, args, kwargs = parts(list(tensors))
            result = process(g(inputs, *args, **kwargs))
            return tuple(r for r in ops.flat(result) if isinstance(r, L.Tensor))

        ops.seed()
        return L.vmap(sampled, in_dims=tuple(dims), randomness="different")(*tensors)

    process = sample.output_process_fn_grad or (lambda r: r)
    ours_in = [
        rushlight.from_numpy(t.numpy(force=True).copy()) if t.dtype is not torch.bfloat16 else value(t)
        for t in theirs_in
    ]
    try:
        theirs = run(torch, op.op, theirs_in, process)
    except Exception:
        return "skipped"
    ours = run(rushlight, f, ours_in, ops.function(process) if sample.output_process_fn_grad else process)
    return ops.difference(ours, theirs, op, "value")


def main(names) -> int:
    """Print what fails, what was done sample by sample, and the counts."""
    passed = failed = skipped = 0
    slow: set = set()
    plain = batched.each_sample

    def noted(level, function, *rest):
        slow.add(f"{current} ({getattr(function, '__name__', function)})")
        return plain(level, function, *rest)

    batched.each_sample = noted
    warnings.simplefilter("ignore")
    for op in ops.op_db:
        if (names and op.name not in names) or not ops.in_scope(op):
            continue
        kind = torch.float32 if torch.float32 in op.supported_dtypes("cpu") else torch.int64
        if kind not in op.supported_dtypes("cpu"):
            continue
        try:
            f = ops.ours_of(op)
        except Untranslatable:
            continue
        current = ops.title(op)
        ops.seed()
        for n, sample in enumerate(op.sample_inputs("cpu", kind)):
            if n >= (100 if names else 6):
                break
            for k, form in enumerate(FORMS):
                try:
                    with ops.limit(30):
                        shown = compare(op, f, sample, form)
                except Exception as e:
                    shown = f"{type(e).__name__}: {' '.join(str(e).split())[:160]}"
                if shown is None:
                    passed += 1
                elif shown == "skipped":
                    skipped += 1
                else:
                    failed += 1
                    print(f"{current} #{n} form {k}: {shown}", flush=True)
    print("sample by sample:", ", ".join(sorted(slow)))
    print(f"{passed} passed, {failed} failed, {skipped} that PyTorch does not run")
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))

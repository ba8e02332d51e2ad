"""PyTorch's operator samples (`op_db`) on the device "meta" in both frameworks: `python -m tests.compat.meta [NAME ...]`.

Shapes, types, strides and devices of the results are compared, and those of the gradients.
"""

import argparse
import sys
import warnings
from collections import Counter

import torch

import rushlight
from tests.compat import ops
from tests.compat.forms import kind_of
from tests.compat.translate import Untranslatable, function, value


def on_meta(framework, v):
    """A sample with its tensors on the device "meta"."""
    if isinstance(v, framework.Tensor):
        return v.detach().to("meta").requires_grad_(v.requires_grad)
    if isinstance(v, tuple | list) and not hasattr(v, "_fields") and not isinstance(v, framework.Size):
        return type(v)(on_meta(framework, i) for i in v)
    if isinstance(v, dict):
        return {k: framework.device("meta") if k == "device" else on_meta(framework, i) for k, i in v.items()}
    return v


def facts(t) -> tuple:
    """What a tensor on the device "meta" tells; its strides where they mean anything."""
    strides = tuple(s for s, n in zip(t.stride(), t.shape, strict=True) if n != 1) if t.numel() else ()
    return tuple(t.shape), str(t.dtype), strides, str(t.device), t.requires_grad


def _facts(results) -> list:
    return [
        facts(r) if isinstance(r, torch.Tensor | rushlight.Tensor) else str(r) if r is not None else None
        for r in ops.flat(results)
    ]


def outcome(framework, f, parts, process):
    """What a call says of its results and gradients, or the error that it raises."""
    parts = on_meta(framework, parts)
    try:
        results = process(ops.call(f, parts))
        found = _facts(results)
    except Exception as error:
        return error, None
    outs = [r for r in ops.flat(results) if ops._is_tensor(r) and r.requires_grad]
    inputs = ops.leaves(parts)
    if not outs or not inputs:
        return found, None
    try:
        cots = [framework.empty(tuple(r.shape), dtype=r.dtype, device="meta") for r in outs]
        grads = framework.autograd.grad(outs, inputs, cots, allow_unused=True)
    except Exception as error:
        return found, error
    return found, [g and g[:2] + g[3:] for g in _facts(grads)]


def compare(op, f, sample) -> tuple[str, str | None]:
    """("agree", "differs", "gradient", "more" or "PyTorch raises"), and what differs."""
    parts = (sample.input, sample.args, sample.kwargs)
    process = sample.output_process_fn_grad
    theirs, theirs_g = outcome(torch, op.op, ops.fresh(parts), process or (lambda r: r))
    ours, ours_g = outcome(rushlight, f, value(parts), function(process) if process else (lambda r: r))
    if isinstance(theirs, Exception):
        return ("agree", None) if isinstance(ours, Exception) else ("more", None)
    if isinstance(ours, Exception):
        return "differs", f"{type(ours).__name__}: {' '.join(str(ours).split())[:150]}"
    if ours != theirs:
        pairs = [p for p in zip(ours, theirs, strict=False) if p[0] != p[1]]
        return "differs", "ours {}, PyTorch {}".format(*(pairs[0] if pairs else (len(ours), len(theirs))))
    if isinstance(theirs_g, list) and ours_g != theirs_g:
        return "gradient", f"gradient: {ours_g!s:.150}, PyTorch {theirs_g!s:.150}"
    return "agree", None


def run(op, dtype: str, most: int = 10**9):
    """Counts over an operator's samples, and the first differences."""
    found, shown = Counter(), []
    kind = getattr(torch, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            f = ops.ours_of(op)
            ops.seed()
            grads = op.supports_autograd and kind in op.supported_backward_dtypes("cpu")
            samples = list(op.sample_inputs("cpu", kind, requires_grad=grads))[:most]
        except (Untranslatable, RuntimeError) as e:
            return found, [f"samples: {e}"]
        for i, sample in enumerate(samples):
            try:
                with ops.limit(60):
                    result, text = compare(op, f, sample)
            except (Exception, TimeoutError) as e:
                result, text = "differs", f"{type(e).__name__} {e!s:.100}"
            found[result] += 1
            if text:
                shown.append(f"#{i} {text}")
    return found, shown


def main(argv=None) -> int:
    """Run some or all operators and print those that differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="operators; all in scope by default")
    parser.add_argument("--most", type=int, default=10**9, help="samples per operator")
    args = parser.parse_args(argv)
    total, full = Counter(), Counter()
    for op in ops.op_db:
        if not (op.name in args.names if args.names else ops.in_scope(op) and kind_of(op)):
            continue
        found, shown = run(op, kind_of(op), args.most)
        total += found
        bad = found["differs"] + found["gradient"]
        full["operators that agree" if not bad else "operators that differ"] += 1
        if shown:
            print(f"{ops.title(op)}: {dict(found)} {shown[0]}", flush=True)
    print(dict(total), dict(full))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""PyTorch's layer samples (`module_db`) run on Rushlight: `python -m tests.compat.modules [NAME ...]`.

Each sample's layer is made in both frameworks from the same arguments and seed. Its printed form, first values, state,
outputs, buffers, gradients of inputs and parameters, and the gradients of these gradients are compared.
"""

import argparse
import warnings

import torch
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_utils import freeze_rng_state

import rushlight
from tests.compat.ops import Result, _aligned, difference, fresh, gradients, leaves, limit, seed
from tests.compat.translate import Untranslatable, resolve, value

KINDS = ("float32", "float64")


class _Named:
    """What `difference` wants to know of an operator."""

    def __init__(self, name: str):
        self.name = name


def title(info) -> str:
    """A layer's name, such as "nn.Conv2d"."""
    return info.name


def _made(framework, cls, sample, dtype: str, training: bool):
    """The layer of a sample, from the same seed in either framework."""
    seed()
    given = sample.constructor_input
    args, kwargs = fresh((tuple(given.args), dict(given.kwargs)))
    if framework is rushlight:
        args, kwargs = tuple(map(_argument, args)), value(kwargs)
    return cls(*args, **kwargs).to(getattr(framework, dtype)).train(training)


def _argument(v):
    """A constructor's argument as ours: a value, or the one kind of layer that samples hand to another."""
    if not isinstance(v, torch.nn.TransformerEncoderLayer):
        return value(v)
    attention = v.self_attn
    made = rushlight.nn.TransformerEncoderLayer(
        attention.embed_dim, attention.num_heads, v.linear1.out_features, v.dropout.p, value(v.activation),
        v.norm1.eps, attention.batch_first, v.norm_first, v.linear1.bias is not None,
        dtype=value(v.linear1.weight.dtype),
    )  # fmt: skip
    made.load_state_dict({name: value(t) for name, t in v.state_dict().items()})
    return made


def _called(layer, inputs):
    seed()
    args, kwargs = inputs
    return layer(*args, **kwargs)


def _state(layer) -> dict:
    """The tensors of a layer's state as they are now."""
    return {name: t.detach().clone() for name, t in layer.state_dict().items()}


def _differing_state(ours: dict, theirs: dict, op, what: str) -> str | None:
    if list(ours) != list(theirs):
        return f"{what}: {list(ours)}, PyTorch {list(theirs)}"
    return difference(list(ours.values()), list(theirs.values()), op, what)


def compare(info, ours_cls, sample, dtype: str, training: bool) -> str | None:
    """Why one sample fails, or None."""
    op = _Named(info.name)
    theirs_in = fresh((tuple(sample.forward_input.args), dict(sample.forward_input.kwargs)))
    theirs = _made(torch, info.module_cls, sample, dtype, training)
    try:
        expected = _called(theirs, theirs_in)
    except Exception:
        return None  # PyTorch itself doesn't take this sample here
    expected_state = _state(theirs)
    ours_in = value(fresh((tuple(sample.forward_input.args), dict(sample.forward_input.kwargs))))
    ours = _made(rushlight, ours_cls, sample, dtype, training)
    if not info.is_lazy:
        untouched = _made(torch, info.module_cls, sample, dtype, training)
        shown = _differing_state(_state(ours), _state(untouched), op, "first state")
        if shown:
            return shown
        ours.load_state_dict({name: value(t) for name, t in untouched.state_dict().items()})
    found = _called(ours, ours_in)
    if repr(ours) != repr(theirs):
        return f"prints as {ours!r}, PyTorch {theirs!r}"
    shown = difference(found, expected, op, "value")
    shown = shown or _differing_state(_state(ours), expected_state, op, "state")
    if shown:
        return shown
    return _compare_gradients(info, op, (ours, found, ours_in), (theirs, expected, theirs_in))


def _compare_gradients(info, op, ours, theirs) -> str | None:
    """Compare gradients of inputs and parameters, and the gradients of these."""
    expected, expected2 = _derivatives(torch, *theirs, info.supports_gradgrad)
    if expected is None:
        return None
    found, found2 = _derivatives(rushlight, *ours, expected2 is not None)
    if found is None:
        return "gradient: none, PyTorch has one"
    shown = difference(*_aligned(found, expected), op, "gradient")
    if shown or expected2 is None:
        return shown
    if found2 is None:
        zero = all(g is None or not bool(g.any()) for g in expected2)
        return None if zero else "second derivative: none, PyTorch has one"
    return difference(*_aligned(found2, expected2), op, "second derivative")


def _derivatives(framework, layer, results, inputs, second: bool):
    wanted = leaves(inputs) + [p for p in layer.parameters() if p.requires_grad]
    try:
        return gradients(framework, results, wanted, lambda r: r, second)
    except (NotImplementedError, RuntimeError) as error:
        if not second or framework is rushlight or "not implemented" not in str(error):
            raise
    return gradients(framework, _called(layer, inputs), wanted, lambda r: r, False)


def run(info, dtype: str, training: bool, most: int = 10**9, stop_after: int = 3) -> Result:
    """All samples of one layer in one dtype, in training or evaluation."""
    result = Result(title(info), f"{dtype} {'training' if training else 'evaluation'}")
    with warnings.catch_warnings(), freeze_rng_state():
        warnings.simplefilter("ignore")
        try:
            ours_cls = resolve(f"torch.nn.{info.module_cls.__name__}")
        except Untranslatable as error:
            result.samples, result.failures = 1, [str(error)]
            return result
        seed()
        samples = info.module_inputs_func(
            info, device="cpu", dtype=getattr(torch, dtype), requires_grad=True, training=training
        )
        for i, sample in enumerate(samples[:most]):
            result.samples += 1
            try:
                with limit(60):
                    shown = compare(info, ours_cls, sample, dtype, training)
            except (Exception, TimeoutError) as error:
                shown = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            if shown is None:
                result.passed += 1
            elif len(result.failures) < stop_after:
                result.failures.append(f"#{i} {sample.desc}: {shown}")
    return result


def results(names=(), kinds=KINDS, most: int = 10**9) -> list[Result]:
    """One result per layer, over all kinds and both modes: passed samples, all samples, first reasons for failure."""
    table = []
    for info in module_db:
        if names and title(info) not in names and info.module_cls.__name__ not in names:
            continue
        total = Result(title(info), ", ".join(kinds))
        for dtype in kinds:
            for training in (True, False):
                part = run(info, dtype, training, most)
                total.samples += part.samples
                total.passed += part.passed
                total.failures += [f"{part.dtype} {reason}" for reason in part.failures]
        table.append(total)
    return table


def main(argv=None) -> int:
    """Print a table: layer, passed samples of all, and the first reason for failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="layers; all by default")
    parser.add_argument("--dtype", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--all", action="store_true", help="print more than one reason")
    args = parser.parse_args(argv)
    table = results(args.names, tuple(args.dtype))
    for r in table:
        print(f"{r.name:32}{r.passed:5}/{r.samples:<5}", *(r.failures if args.all else r.failures[:1]))
    good = sum(r.passed == r.samples for r in table)
    print(f"{good} of {len(table)} layers pass all their samples")
    return good < len(table)


if __name__ == "__main__":
    raise SystemExit(main())

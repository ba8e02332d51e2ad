"""torch.library: operators of one's own, beside PyTorch's."""

import itertools

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
_numbers = itertools.count()


def cube(t):
    """x cubed by NumPy, as an operator with a gradient."""

    def fn(x: t.Tensor, scale: float = 1.0) -> t.Tensor:
        return t.from_numpy(x.detach().numpy() ** 3) * scale

    op = t.library.custom_op(f"rl_tests::cube{next(_numbers)}", fn, mutates_args=())

    def setup(ctx, inputs, output):
        assert ctx.needs_input_grad[:2] == (True, False) and output.shape == inputs[0].shape
        ctx.save_for_backward(inputs[0])
        ctx.scale = inputs[1]

    op.register_autograd(
        lambda ctx, g: (3 * ctx.scale * g * ctx.saved_tensors[0] ** 2, None), setup_context=setup
    )
    return op


def joined(t):
    """Takes a list, and something by keyword only."""

    def fn(xs: list[t.Tensor], *, scale: float) -> t.Tensor:
        return t.cat(xs) * scale

    op = t.library.custom_op(f"rl_tests::joined{next(_numbers)}", fn, mutates_args=())

    def setup(ctx, inputs, output, keyword_only_inputs):
        ctx.sizes, ctx.scale = [len(x) for x in inputs[0]], keyword_only_inputs["scale"]

    t.library.register_autograd(
        op, lambda ctx, g: [x * ctx.scale for x in g.split(ctx.sizes)], setup_context=setup
    )
    return op


def plain(t, fn=lambda x: x * 2):
    fn.__annotations__.update({"x": t.Tensor, "return": t.Tensor})
    return t.library.custom_op(f"rl_tests::plain{next(_numbers)}", fn, mutates_args=())


def defined(t):
    name = f"times{next(_numbers)}"
    library = t.library.Library("rl_tests_lib", "FRAGMENT")
    library.define(f"{name}(Tensor x, int n=2, *, float plus=0.5) -> Tensor")
    library.impl(name, lambda x, n=2, plus=0.5: x * n + plus, "CompositeImplicitAutograd")
    return library, getattr(t.ops.rl_tests_lib, name)


def test_gradient():
    results = []
    for t in (rushlight, torch):
        x = t.arange(1.0, 4.0, requires_grad=True)
        op = cube(t)
        (op(x, 2.0) * t.arange(3.0)).sum().backward()
        by_name = getattr(t.ops.rl_tests, op._qualname.partition("::")[2])
        results.append([x.grad.numpy(), op(x).detach().numpy(), by_name(x.detach(), scale=3.0).numpy()])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_lists_and_keywords():
    for t in (rushlight, torch):
        a, b = t.ones(2, requires_grad=True), t.ones(3)
        y = joined(t)([a, b], scale=3.0)
        y.sum().backward()
        assert y.tolist() == [3.0] * 5 and a.grad.tolist() == [3.0, 3.0]


def test_library():
    for t in (rushlight, torch):
        library, op = defined(t)
        x = t.ones(2, requires_grad=True)
        op(x, 3, plus=1.0).sum().backward()
        assert (op(x).tolist(), op.default(x).tolist(), x.grad.tolist()) == (
            [2.5, 2.5],
            [2.5, 2.5],
            [3.0, 3.0],
        )
        del library


def test_triton_op():
    """Where there is no Triton it is an operator like any other."""
    for t in (rushlight, torch):

        def twice(x: t.Tensor, k: int = 2) -> t.Tensor:
            return x * k

        made = t.library.triton_op("rl_tests::twice", twice, mutates_args=())
        x = t.ones(2, requires_grad=True)
        made.register_autograd(lambda ctx, grad: (grad * 5, None))
        made(x, 3).sum().backward()
        assert (made(x).tolist(), t.ops.rl_tests.twice(x, 4).tolist()) == ([2.0, 2.0], [4.0, 4.0])
        assert x.grad.tolist() == [5.0, 5.0]
    with pytest.raises(NotImplementedError, match="GPUs only"):
        rushlight.library.wrap_triton(twice)


WRONG = {
    "no formula": lambda t: plain(t)(t.ones(2, requires_grad=True)).sum().backward(),
    "aliases": lambda t: plain(t, lambda x: x)(t.ones(2)),
    "no tensor": lambda t: plain(t)(3),
    "missing": lambda t: plain(t)(),
    "too many": lambda t: plain(t)(t.ones(1), 2),
    "unknown keyword": lambda t: plain(t)(t.ones(1), y=2),
    "no annotation": lambda t: t.library.custom_op("rl_tests::bare", lambda x: x, mutates_args=()),
    "no operator": lambda t: (plain(t), t.ops.rl_tests.nothing),
    "registered for none": lambda t: (plain(t), t.library.register_autograd("rl_tests::nothing", lambda ctx, g: g)),
    "kind": lambda t: t.library.Library("rl_tests", "MAKE"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors(name):
    for t in (rushlight, torch):
        with pytest.raises(Exception) as error:
            WRONG[name](t)
        kind = error.type if t is rushlight else kind  # noqa: F821
    assert error.type is kind


def test_schemas():
    def signature(t):
        def fn(
            a: t.Tensor, b: list[t.Tensor], c: int = 3, *, d: bool = False, e: t.Tensor | None = None,
            f: t.dtype = None, g: str = "x", h: list[int] | None = None,
        ) -> tuple[t.Tensor, int]: ...  # fmt: skip

        return t.library.infer_schema(fn, mutates_args={"a"})

    assert signature(rushlight) == signature(torch)

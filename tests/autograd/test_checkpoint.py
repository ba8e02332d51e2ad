"""Checkpoints: the same values, gradients, random numbers and errors as in PyTorch, in both variants."""

import importlib

import pytest

from tests.autograd.compare import agree

REENTRANT = pytest.mark.parametrize("reentrant", [False, True])


def tools(lib):
    """The module of checkpoints."""
    return importlib.import_module(f"{lib.__name__}.utils.checkpoint")


def network(L):
    """A small network with dropout."""
    nn = L.nn
    parts = (nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3), nn.Tanh(), nn.Linear(3, 3))
    return nn.Sequential(*parts)


@REENTRANT
@pytest.mark.parametrize("segments", [None, 1, 2, 3])
def test_gradients_and_random_numbers(reentrant, segments):
    def case(L):
        model, x = network(L), L.ones(5, 4, requires_grad=True)
        if segments is None:
            y = tools(L).checkpoint(model, x, use_reentrant=reentrant)
        else:
            y = tools(L).checkpoint_sequential(model, segments, x, use_reentrant=reentrant)
        y.sum().backward()
        return y.detach(), x.grad, [p.grad for p in model.parameters()], L.rand(2)

    agree(case)


def test_random_numbers_not_kept():
    def case(L):
        x = L.ones(50, requires_grad=True)
        y = tools(L).checkpoint(L.nn.functional.dropout, x, use_reentrant=True, preserve_rng_state=False)
        y.sum().backward()
        return y.detach(), x.grad, L.rand(1)

    agree(case)


def run(L, function, *args, **kwargs):
    """A checkpoint of the better variant."""
    return tools(L).checkpoint(function, *args, use_reentrant=False, **kwargs)


def parameters_only(L):
    model = network(L)
    run(L, model, L.ones(2, 4)).sum().backward()
    return model[0].weight.grad


def keywords(L):
    w = L.ones(3, requires_grad=True)
    return L.autograd.grad(run(L, lambda a, k: a.exp() * k * w, L.ones(3), k=2).sum(), w)


def second_derivative(L):
    w = L.ones(3, requires_grad=True)
    (g,) = L.autograd.grad(run(L, lambda: (w * w).exp()).sum(), w, create_graph=True)
    return g.detach(), L.autograd.grad(g.sum(), w)


def nested(L):
    w, calls = L.ones(3, requires_grad=True), []

    def inner(t):
        calls.append(1)
        return t.sin().exp().sin()

    run(L, lambda t: run(L, inner, t.cos().exp()).exp(), w).sum().backward()
    return w.grad, len(calls)


def stops_early(L):
    w, calls = L.ones(3, requires_grad=True), []

    def function(t):
        y = t.exp().sin()
        calls.append(1)  # after the last tensor that is needed
        return y

    run(L, function, w).sum().backward()
    run(L, function, w, early_stop=False).sum().backward()
    with tools(L).set_checkpoint_early_stop(False):
        run(L, function, w).sum().backward()
    return w.grad, len(calls)


def twice(L):
    w = L.ones(3, requires_grad=True)
    y = run(L, lambda t: t.sin().exp(), w).sum()
    y.backward(retain_graph=True)
    y.backward()
    return w.grad


def contexts(L):
    import contextlib

    seen, w = [], L.ones(2, requires_grad=True)

    @contextlib.contextmanager
    def note(name):
        seen.append(name)
        yield

    run(L, L.exp, w, context_fn=lambda: (note("first"), note("again"))).sum().backward()
    return seen


def without_gradients(L):
    with L.no_grad():
        return run(L, L.exp, L.ones(2, requires_grad=True))


def other_shapes(L):
    calls = []

    def function(t):
        calls.append(1)
        return t.exp() if len(calls) == 1 else t[:2].exp()

    run(L, function, L.ones(3, requires_grad=True)).sum().backward()


def more_tensors(L):
    calls = []

    def function(t):
        calls.append(1)
        return t.exp() if len(calls) == 1 else t.exp().exp()

    run(L, function, L.ones(3, requires_grad=True), early_stop=False).sum().backward()


def fewer_tensors(L):
    calls = []

    def function(t):
        calls.append(1)
        return t.exp().exp() if len(calls) == 1 else t.exp()

    run(L, function, L.ones(3, requires_grad=True)).sum().backward()


def reentrant_with_grad(L):
    w = L.ones(3, requires_grad=True)
    L.autograd.grad(tools(L).checkpoint(L.exp, w, use_reentrant=True).sum(), w)


def reentrant_with_keywords(L):
    tools(L).checkpoint(L.exp, L.ones(2, requires_grad=True), use_reentrant=True, k=1)


def unknown_check(L):
    run(L, L.exp, L.ones(2, requires_grad=True), determinism_check="x")


def unknown_keyword(L):
    tools(L).checkpoint_sequential(network(L), 2, L.ones(1, 4), use_reentrant=False, k=1)


def two_outputs(L):
    w = L.ones(3, requires_grad=True)
    a, b = tools(L).checkpoint(lambda t: (t.exp(), t.sin()), w, use_reentrant=True)
    a.sum().backward()
    return w.grad, b.detach()


CASES = (
    parameters_only, keywords, second_derivative, nested, stops_early, twice, contexts, without_gradients, other_shapes,
    more_tensors, fewer_tensors, reentrant_with_grad, reentrant_with_keywords, unknown_check, unknown_keyword, two_outputs,
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_case(case):
    agree(case)

"""CTCLoss, EmbeddingBag, AdaptiveLogSoftmaxWithLoss and the functions with ATen's arguments, against PyTorch."""

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
BOTH = (rushlight, torch)


def near(ours, theirs, tol=1e-5):
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=tol, atol=tol)


def both(run):
    """What `run(t)` gives for both frameworks, from one seed."""
    results = []
    for t in BOTH:
        t.manual_seed(5)
        results.append(run(t))
    return results


def compare(run, tol=1e-5):
    for a, b in zip(*both(run), strict=True):
        near(a, b, tol)


# -- embedding bags ---------------------------------------------------------------------------------

LAYERS = (
    "EmbeddingBag(10, 3)",
    "EmbeddingBag(10, 3, max_norm=0.5, mode='sum')",
    "EmbeddingBag(10, 3, mode='max', padding_idx=-2)",
    "EmbeddingBag(10, 3, scale_grad_by_freq=False, norm_type=1.0, max_norm=1)",
)


@pytest.mark.parametrize("text", LAYERS)
def test_embedding_bag(text):
    def run(t):
        layer = eval("t.nn." + text, {"t": t})
        out = layer(t.tensor([1, 2, 4, 5, 4, 3, 8, 9]), t.tensor([0, 4, 4, 7]))
        out.pow(2).sum().backward()
        return [layer.weight, out, layer.weight.grad]

    compare(run)
    ours, theirs = (eval("t.nn." + text, {"t": t}) for t in BOTH)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_embedding_bag_from_pretrained():
    def run(t):
        table = t.arange(6.0).reshape(3, 2)
        bags = t.nn.EmbeddingBag.from_pretrained(table, mode="sum", padding_idx=0)
        assert not bags.weight.requires_grad
        learned = t.nn.EmbeddingBag.from_pretrained(table, freeze=False)
        assert learned.weight.requires_grad
        return [bags(t.tensor([[0, 1], [2, 2]])), learned(t.tensor([[0, 1], [2, 2]]))]

    compare(run)
    for t in BOTH:
        with pytest.raises(AssertionError):
            t.nn.EmbeddingBag.from_pretrained(t.ones(3))
        with pytest.raises(AssertionError):
            t.nn.EmbeddingBag(3, 2, padding_idx=3)
        with pytest.raises(AssertionError):
            t.nn.EmbeddingBag(3, 2, _weight=t.ones(2, 2))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag_second_derivative(mode):
    """PyTorch has none; ours is that of an embedding that is reduced."""
    t = rushlight
    index = t.tensor([[1, 2, 4], [4, 0, 1]])
    found = []
    for fused in (True, False):
        t.manual_seed(0)
        table = t.randn(5, 3, dtype=t.float64).requires_grad_()
        samples = t.rand(2, 3, dtype=t.float64).requires_grad_()
        weights = samples if mode == "sum" else None
        if fused:
            out = t.nn.functional.embedding_bag(index, table, mode=mode, per_sample_weights=weights)
        else:
            rows = t.nn.functional.embedding(index, table)
            rows = rows if weights is None else rows * weights.unsqueeze(-1)
            out = rows.amax(1) if mode == "max" else getattr(rows, mode)(1)
        wanted = [table] if weights is None else [table, samples]
        first = t.autograd.grad(out.pow(3).sum(), wanted, create_graph=True)
        found.append(t.autograd.grad(sum(g.pow(2).sum() for g in first), wanted))
    for a, b in zip(*found, strict=True):
        near(a, b, 1e-9)


def test_embedding_bag_by_frequency():
    """Each row's gradient is divided by how often it occurs. (PyTorch's CPU kernel divides by that of another row.)"""
    table = rushlight.zeros(6, 2).requires_grad_()
    index = rushlight.tensor([1, 2, 4, 5, 4, 3, 2, 0])
    bags = rushlight.nn.functional.embedding_bag(
        index, table, rushlight.tensor([0, 3]), mode="sum", scale_grad_by_freq=True
    )
    bags.sum().backward()
    near(table.grad, rushlight.ones(6, 2))


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_embedding_bag_sparse(mode):
    def run(t):
        table, samples = t.randn(6, 3).requires_grad_(), t.rand(2, 3).requires_grad_()
        more = {"per_sample_weights": samples} if mode == "sum" else {}
        out = t.nn.functional.embedding_bag(
            t.tensor([[1, 2, 4], [4, 0, 1]]), table, mode=mode, sparse=True, padding_idx=2, **more
        )
        out.pow(2).sum().backward()
        assert table.grad.is_sparse
        found = [out, table.grad.to_dense(), table.grad._indices().double(), table.grad._values()]
        return [*found, samples.grad] if more else found

    compare(run)
    for t in BOTH:
        with pytest.raises(RuntimeError):
            table = t.ones(3, 2).requires_grad_()
            bags = t.nn.functional.embedding_bag(
                t.tensor([[1]]), table, mode="sum", sparse=True, scale_grad_by_freq=True
            )
            bags.sum().backward()
        with pytest.raises(RuntimeError):
            t.embedding_bag(t.ones(3, 2), t.tensor([1]), t.tensor([0]), mode=1, per_sample_weights=t.ones(1))


def test_embedding_bag_types():
    def run(t):
        index, starts, table = t.tensor([1, 2, 3]), t.tensor([0, 1]), t.randn(4, 3)
        results = []
        for kind in (t.float64, t.bfloat16, t.float16):
            for mode in ("sum", "mean", "max"):
                out = t.nn.functional.embedding_bag(index, table.to(kind), starts, mode=mode)
                assert out.dtype == kind
                results.append(out.float())
        return results

    compare(run, 1e-2)


def test_aten_embeddings():
    def run(t):
        table, index, starts = t.randn(6, 3), t.tensor([1, 2, 4, 5, 4, 3, 2, 0]), t.tensor([0, 3, 3, 6])
        results = [
            t.embedding(table, index, 1),
            t.embedding(table, index.reshape(2, 4), scale_grad_by_freq=True),
        ]
        for mode in (0, 1, 2):
            results += [x.double() for x in t.embedding_bag(table, index, starts, mode=mode)]
            results.append(t.embedding_bag(table, index, starts, False, mode, False, None, False, 4)[0])
        changed = t.embedding_renorm_(table, index, 0.5, 2.0)
        assert changed is table
        return [*results, table]

    compare(run)


def test_embedding_arguments():
    """max_norm changes the table; frequencies divide gradients; padding gets none."""

    def run(t):
        F, index = t.nn.functional, t.tensor([[1, 2, 2], [5, 0, 5]])
        results = []
        for more in (
            {"max_norm": 0.5}, {"max_norm": 1.0, "norm_type": 1.0}, {"scale_grad_by_freq": True}, {"padding_idx": 2},
            {"padding_idx": -1, "scale_grad_by_freq": True},
        ):  # fmt: skip
            table = t.randn(6, 3).requires_grad_()
            out = F.embedding(index, table, **more)
            out.pow(2).sum().backward()
            results += [table, out, table.grad]
        return results

    compare(run)
    for t in BOTH:
        with pytest.raises(AssertionError):
            t.nn.functional.embedding(t.tensor([1]), t.ones(2, 2), padding_idx=2)


# -- connectionist temporal classification ----------------------------------------------------------


def test_ctc_gradient_node():
    """One derivative only, with PyTorch's names and exceptions."""

    def run(t):
        x = t.randn(6, 2, 4).log_softmax(2).detach().requires_grad_()
        loss = t.nn.CTCLoss(reduction="sum")(x, t.tensor([[1, 2], [3, 3]]), (6, 5), (2, 2))
        (g,) = t.autograd.grad(loss, x, create_graph=True)
        assert g.requires_grad and type(g.grad_fn).__name__ == "NotImplemented"
        with pytest.raises(RuntimeError, match="_ctc_loss_backward is not implemented"):
            t.autograd.grad(g.sum(), x)
        return [loss, g]

    compare(run)


def test_ctc_infinite():
    """Too short inputs: infinite loss and nan gradients, or zeros."""

    def run(t):
        results = []
        for zero in (False, True):
            x = t.randn(4, 3, 5).log_softmax(2).detach().requires_grad_()
            lengths, sizes = t.tensor([4, 2, 0]), t.tensor([3, 3, 0])
            targets = t.tensor([[1, 1, 2], [1, 2, 3], [1, 1, 1]])
            loss = t.nn.functional.ctc_loss(x, targets, lengths, sizes, reduction="none", zero_infinity=zero)
            loss.sum().backward()
            results += [loss, x.grad]
        return results

    compare(run)


def test_ctc_long():
    """A batch of ordinary size, in float32."""

    def run(t):
        x = (t.randn(60, 8, 20) * 3).requires_grad_()
        targets, sizes = t.randint(1, 20, (8, 15)), t.randint(1, 15, (8,))
        loss = t.nn.CTCLoss()(x.log_softmax(2), targets, t.full((8,), 60), sizes)
        loss.backward()
        return [loss, x.grad]

    compare(run)


def test_ctc_impossible_labels():
    """Labels that have probability zero."""

    def run(t):
        x = t.zeros(5, 1, 3).log_softmax(2)
        x[:, :, 2] = -float("inf")
        F = t.nn.functional
        return [F.ctc_loss(x, t.tensor([[k]]), (5,), (1,), reduction="none") for k in (1, 2)]

    compare(run)


# -- adaptive softmax -------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, True])
def test_adaptive(bias):
    def run(t):
        layer = t.nn.AdaptiveLogSoftmaxWithLoss(16, 30, [5, 12, 20], 2.0, bias)
        x, y = t.randn(9, 16).requires_grad_(), t.tensor([0, 4, 5, 11, 12, 29, 29, 19, 3])
        output, loss = layer(x, y)
        loss.backward()
        single = layer(x[1], y[1])
        assert single._fields == ("output", "loss")
        full, predicted = layer.log_prob(x), layer.predict(x)
        grads = [p.grad for p in layer.parameters()]
        return [output, loss, x.grad, *grads, *single, full, predicted.double()]

    compare(run)
    made = [t.nn.AdaptiveLogSoftmaxWithLoss(16, 30, [5, 12], head_bias=bias) for t in BOTH]
    assert repr(made[0]) == repr(made[1])
    assert list(made[0].state_dict()) == list(made[1].state_dict())


def test_adaptive_prediction():
    """All in the head, all in clusters, and both."""

    def run(t):
        layer = t.nn.AdaptiveLogSoftmaxWithLoss(16, 10, [2, 6], head_bias=True)
        results = []
        for bias in ([9.0, 0, 0, 0], [0, 0, 9.0, 0], [0.0, 0, 0, 0]):
            with t.no_grad():
                layer.head.bias.copy_(t.tensor(bias))
            results.append(layer.predict(t.randn(20, 16)).double())
        layer.reset_parameters()
        return [*results, *layer.parameters()]

    compare(run)


@pytest.mark.parametrize("cutoffs", [[], [3, 2], [0, 2], [2, 10], [2, 2], [1.5]])
def test_adaptive_wrong_cutoffs(cutoffs):
    for t in BOTH:
        with pytest.raises(ValueError, match="cutoffs"):
            t.nn.AdaptiveLogSoftmaxWithLoss(4, 10, cutoffs)


@pytest.mark.parametrize(
    "x,y", [((3, 4), (2,)), ((3, 4), (3, 1)), ((4,), (4,)), ((3, 4), ()), ((2, 4), "far")]
)
def test_adaptive_wrong_shapes(x, y):
    for t in BOTH:
        layer = t.nn.AdaptiveLogSoftmaxWithLoss(4, 10, [2])
        target = t.tensor([0, 10]) if y == "far" else t.zeros(y).long()
        with pytest.raises(RuntimeError):
            layer(t.ones(x), target)


# -- functions with ATen's arguments ----------------------------------------------------------------

ATEN = {
    "binary_cross_entropy_with_logits": lambda t, r: (t.randn(3, 4), t.rand(3, 4), t.rand(4), t.rand(4), r),
    "cosine_embedding_loss": lambda t, r: (t.randn(3, 4), t.randn(3, 4), t.tensor([1, -1, 1]), 0.1, r),
    "hinge_embedding_loss": lambda t, r: (t.randn(4), t.tensor([1.0, -1, -1, 1]), 0.5, r),
    "kl_div": lambda t, r: (t.randn(3, 4), t.rand(3, 4), r),
    "margin_ranking_loss": lambda t, r: (t.randn(3), t.randn(3), t.tensor([1.0, -1, 1]), 0.1, r),
    "poisson_nll_loss": lambda t, r: (t.randn(3), t.rand(3), True, True, 1e-8, r),
    "triplet_margin_loss": lambda t, r: (t.randn(3, 4), t.randn(3, 4), t.randn(3, 4), 1.0, 2, 1e-6, True, r),
    "ctc_loss": lambda t, r: (t.randn(5, 1, 3).log_softmax(2), t.tensor([[1, 2]]), (5,), (2,), 0, r, True),
}


@pytest.mark.parametrize("name", ATEN)
def test_aten_losses(name):
    compare(lambda t: [getattr(t, name)(*ATEN[name](t, reduction)) for reduction in (0, 1, 2)])


# -- training ---------------------------------------------------------------------------------------


def _ctc_model(t):
    model = t.nn.Linear(6, 5)
    x, targets = t.randn(12, 4, 6), t.randint(1, 5, (4, 3))
    loss = t.nn.CTCLoss()
    return model, lambda: loss(model(x).log_softmax(2), targets, (12,) * 4, (3,) * 4)


def _bag_model(t):
    model = t.nn.Sequential(t.nn.EmbeddingBag(50, 8, mode="mean"), t.nn.Linear(8, 3))
    index, y = t.randint(0, 50, (16, 5)), t.randint(0, 3, (16,))
    return model, lambda: t.nn.functional.cross_entropy(model(index), y)


def _adaptive_model(t):
    model = t.nn.AdaptiveLogSoftmaxWithLoss(16, 40, [5, 20])
    x, y = t.randn(16, 16), t.randint(0, 40, (16,))
    return model, lambda: model(x, y).loss


@pytest.mark.parametrize("make", [_ctc_model, _bag_model, _adaptive_model])
def test_training(make):
    """Twenty steps from one seed."""

    def run(t):
        model, loss_of = make(t)
        optimizer = t.optim.SGD(model.parameters(), lr=0.5)
        losses = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    ours, theirs = both(run)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert ours[-1] < ours[0]


def test_embedding_bag_refuses_offsets_that_decrease():
    """PyTorch notices them with several threads only."""
    with pytest.raises(RuntimeError, match="offsets"):
        rushlight.nn.functional.embedding_bag(
            rushlight.tensor([1, 2, 3]), rushlight.ones(4, 2), rushlight.tensor([0, 2, 1])
        )

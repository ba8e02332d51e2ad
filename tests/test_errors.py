"""Wrong programs: each gets PyTorch's exception type and a message that says where, what was expected and what came."""

import subprocess
import sys

import pytest

import rushlight

torch = pytest.importorskip("torch")


def net(lib):
    nn = lib.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 4, 3), nn.ReLU(), nn.ModuleDict({"x": nn.Linear(2, 2)})["x"]
            )
            self.heads = nn.ModuleList([nn.Linear(4, 2), nn.Linear(5, 2)])

        def forward(self, x):
            return self.heads[1](self.features[0](x).mean((2, 3)))

    return Net()


def freed(lib):
    x = lib.ones(2, requires_grad=True)
    y = (x * x).sum()
    y.backward()
    y.backward()


def changed(lib):
    x = lib.ones(2, requires_grad=True)
    y = x.exp()
    y += 1
    y.sum().backward()


def optimizer_of_nothing(lib):
    lib.optim.SGD([], lr=0.1)


# (name, program, what the message must contain)
WRONG = [
    ("broadcast", lambda t: t.zeros(2, 3) + t.zeros(4), ["size of tensor a (3)", "tensor b (4)", "dimension 1", "[2, 3]"]),
    ("matmul", lambda t: t.zeros(2, 3) @ t.zeros(4, 5), ["mat1 and mat2", "2x3 and 4x5"]),
    ("bmm", lambda t: t.bmm(t.zeros(2, 3, 4), t.zeros(2, 5, 6)), ["bmm"]),
    ("dtype", lambda t: t.zeros(2, 3) @ t.zeros(3, 2, dtype=t.float64), ["same dtype"]),
    ("linear", lambda t: t.nn.Linear(3, 4)(t.zeros(2, 5)), ["2x5 and 3x4", "Linear"]),
    ("conv channels", lambda t: t.nn.Conv2d(3, 4, 3)(t.zeros(1, 2, 8, 8)), ["[4, 3, 3, 3]", "[1, 2, 8, 8]", "channels"]),
    ("conv rank", lambda t: t.nn.Conv2d(3, 4, 3)(t.zeros(8, 8)), ["3D", "4D"]),
    ("conv size", lambda t: t.nn.Conv2d(3, 4, 9)(t.zeros(1, 3, 5, 5)), ["Kernel size"]),
    ("pool size", lambda t: t.nn.MaxPool2d(9)(t.zeros(1, 3, 5, 5)), ["too small"]),
    ("batch norm", lambda t: t.nn.BatchNorm1d(3)(t.zeros(1, 3)), ["Expected more than 1 value per channel"]),
    ("dotted path", lambda t: net(t)(t.zeros(1, 3, 8, 8)), ["heads.1", "Linear(in_features=5, out_features=2"]),
    ("dotted path inside", lambda t: net(t)(t.zeros(1, 2, 8, 8)), ["features.0", "Conv2d(3, 4"]),
    ("view", lambda t: t.zeros(2, 3).t().view(6), ["reshape"]),
    ("view size", lambda t: t.zeros(2, 3).view(5), ["[5]", "6"]),
    ("reshape", lambda t: t.zeros(2, 3).reshape(4, -1), ["-1", "6"]),
    ("cat", lambda t: t.cat([t.zeros(2, 3), t.zeros(2, 4)]), ["3", "4", "dimension 1"]),
    ("stack", lambda t: t.stack([t.zeros(2), t.zeros(3)]), ["equal size"]),
    ("index", lambda t: t.zeros(3)[5], ["index 5", "size 3"]),
    ("too many indices", lambda t: t.zeros(3)[0, 0], ["too many indices", "dimension 1"]),
    ("dim", lambda t: t.zeros(3).sum(2), ["Dimension out of range", "2"]),
    ("negative step", lambda t: t.zeros(3)[::-1], ["greater than zero"]),
    ("embedding", lambda t: t.nn.Embedding(4, 2)(t.tensor([4])), ["index out of range"]),
    ("gather", lambda t: t.zeros(2, 2).gather(0, t.tensor([[3, 0]])), ["3", "out of bounds"]),
    ("target range", lambda t: t.nn.functional.cross_entropy(t.zeros(2, 3), t.tensor([0, 3])), ["Target 3 is out of bounds"]),
    ("target count", lambda t: t.nn.functional.cross_entropy(t.zeros(2, 3), t.tensor([0])), ["batch_size (2)", "batch_size (1)"]),
    ("bce range", lambda t: t.nn.functional.binary_cross_entropy(t.full((2,), 2.0), t.zeros(2)), ["between 0 and 1"]),
    ("freed graph", freed, ["second time", "retain_graph"]),
    ("changed value", changed, ["modified by an inplace operation", "version"]),
    ("leaf in place", lambda t: t.ones(2, requires_grad=True).add_(1), ["leaf Variable", "in-place"]),
    ("integer gradient", lambda t: t.ones(2, dtype=t.int64).requires_grad_(), ["floating point"]),
    ("numpy of a recorded tensor", lambda t: t.ones(2, requires_grad=True).numpy(), ["detach().numpy()"]),
    ("item", lambda t: t.ones(2).item(), ["2 elements"]),
    ("truth", lambda t: bool(t.ones(2)), ["ambiguous"]),
    ("length", lambda t: len(t.tensor(1)), ["0-d"]),
    ("in-place cast", lambda t: t.ones(2, dtype=t.int64).add_(0.5), ["can't be cast", "Long"]),
    ("in-place shape", lambda t: t.ones(2).add_(t.ones(3, 2)), ["doesn't match the broadcast shape"]),
    ("expanded memory", lambda t: t.ones(1).expand(3).add_(1), ["clone()"]),
    ("device", lambda t: t.zeros(2, device="cuda"), ["CUDA"]),
    ("unknown device", lambda t: t.zeros(2, device="tpu"), ["tpu"]),
    ("ragged", lambda t: t.tensor([[1, 2], [3]]), ["expected sequence of length 2"]),
    ("string", lambda t: t.tensor("x"), ["str"]),
    ("mean of integers", lambda t: t.tensor([1, 2]).mean(), ["Long", "floating point"]),
    ("dropout", lambda t: t.nn.Dropout(1.5), ["between 0 and 1"]),
    ("empty optimizer", optimizer_of_nothing, ["empty parameter list"]),
    ("learning rate", lambda t: t.optim.SGD([t.nn.Parameter(t.ones(1))], lr=-1), ["-1"]),
    ("module before init", lambda t: type("M", (t.nn.Module,), {"__init__": lambda self: setattr(self, "a", t.nn.ReLU())})(),
     ["before Module.__init__()"]),
    ("state dict", lambda t: t.nn.Linear(2, 3).load_state_dict({"weight": t.zeros(3, 2), "more": t.zeros(1)}),
     ["Missing key(s)", '"bias"', "Unexpected key(s)", '"more"']),
    ("state dict shape", lambda t: t.nn.Linear(2, 3).load_state_dict({"weight": t.zeros(9, 2), "bias": t.zeros(3)}),
     ["size mismatch for weight"]),
    ("missing file", lambda t: t.load("there-is-no-such-file.pt"), ["there-is-no-such-file.pt"]),
    ("not a tensor", lambda t: t.exp("x"), ["Tensor", "str"]),
    ("division mode", lambda t: t.div(t.ones(2), 2, rounding_mode="up"), ["rounding_mode", "up"]),
    ("randint", lambda t: t.randint(5, 5, (2,)), ["5"]),
    ("probability", lambda t: t.bernoulli(t.tensor([1.5])), ["0", "1"]),
    ("attribute", lambda t: t.nn.Linear(2, 2).weights, ["weights"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "program", "parts"), WRONG, ids=[w[0] for w in WRONG])
def test_wrong_program(name, program, parts):
    with pytest.raises(Exception) as theirs:
        program(torch)
    with pytest.raises(Exception) as ours:
        program(rushlight)
    if name != "device":  # PyTorch without CUDA says AssertionError or RuntimeError, as it was built
        assert (
            type(ours.value) is type(theirs.value) or type(ours.value).__name__ == type(theirs.value).__name__
        )
    for part in parts:
        assert part in str(ours.value), f"{part!r} is not in: {ours.value}"


def test_a_failed_update_changes_nothing():
    x = rushlight.ones(2, 3)
    for wrong in (
        lambda: x.add_(rushlight.ones(4)),
        lambda: x.copy_(rushlight.ones(5)),
        lambda: x.__setitem__(0, rushlight.ones(4)),
    ):
        with pytest.raises(RuntimeError):
            wrong()
    assert rushlight.equal(x, rushlight.ones(2, 3))


def test_a_failed_load_changes_nothing():
    layer = rushlight.nn.Linear(2, 3)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    with pytest.raises(RuntimeError):
        layer.load_state_dict({"weight": rushlight.zeros(9, 2)})
    for key, value in layer.state_dict().items():
        assert rushlight.equal(value, before[key])


def test_wrong_programs_do_not_crash_the_interpreter():
    """Shapes at the edge of what native code takes, in a process of their own."""
    program = """
import rushlight as torch, rushlight.nn.functional as F
for call in (
    lambda: torch.zeros(0, 3) @ torch.zeros(3, 0), lambda: torch.zeros(2, 0) @ torch.zeros(0, 3),
    lambda: F.conv2d(torch.zeros(0, 3, 8, 8), torch.zeros(4, 3, 3, 3)),
    lambda: F.conv2d(torch.zeros(2, 3, 2, 2), torch.zeros(4, 3, 3, 3)),
    lambda: F.conv2d(torch.zeros(2, 4, 8, 8), torch.zeros(4, 2, 3, 3), groups=3),
    lambda: F.max_pool2d(torch.zeros(1, 1, 4, 4), 2, padding=3), lambda: F.max_pool2d(torch.zeros(0, 1, 4, 4), 2),
    lambda: F.batch_norm(torch.zeros(0, 3, 2, 2), torch.zeros(3), torch.ones(3), training=True),
    lambda: F.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)),
    lambda: torch.zeros(0).softmax(0), lambda: torch.zeros(3, 0).max(1), lambda: torch.zeros(0).sum(),
    lambda: F.embedding(torch.tensor([-1]), torch.zeros(3, 2)), lambda: torch.zeros(2**40 * 4),
    lambda: torch.zeros(3)[torch.tensor([9])], lambda: torch.zeros(3).index_add(0, torch.tensor([7]), torch.zeros(1)),
):
    try:
        call()
    except (RuntimeError, IndexError, ValueError):
        pass
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "alive", done.stderr[-2000:]

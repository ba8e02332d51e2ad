"""New tensors. What they are made of is compared in tests/test_creation.py; here every function has a row."""

import warnings

from tests.ops.table import C, Row, T


def made(name, *calls, wrong=(), **options):
    """Rows of an op without inputs."""
    return [
        Row(name, lambda torch, call=call: call(torch), grad=False, id=str(i) if i else "",
              wrong=() if i else wrong,
            **options)
        for i, call in enumerate(calls)
    ]  # fmt: skip


def like(name, *calls, **options):
    """Rows of an op on a (2, 3) tensor, without a gradient."""
    return [
        Row(name, lambda torch, x, call=call: call(torch, x), (T((2, 3)),), grad=False,
              id=str(i) if i else "", layouts=False,
            **options)
        for i, call in enumerate(calls)
    ]  # fmt: skip


def old_range(torch):
    """`torch.range`, which warns that it is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.range(1, 3, 0.5)


SIZES = (
    lambda torch: torch.zeros(), lambda torch: torch.zeros(2.5), lambda torch: torch.zeros("a"),
    lambda torch: torch.zeros(2, -1), lambda torch: torch.zeros((2,), 3), lambda torch: torch.zeros(True),
    lambda torch: torch.zeros(torch.tensor([2, 3])),
          lambda torch: torch.zeros(2, dtype=torch.int64, requires_grad=True),
    lambda torch: torch.zeros(2, dtype="float32"), lambda torch: torch.zeros(2, other=1),
)  # fmt: skip

ROWS = [
    *made("zeros", lambda torch: torch.zeros(2, 3), lambda torch: torch.zeros((2, 0)),
          lambda torch: torch.zeros([]),
          lambda torch: torch.zeros(size=(2,)), lambda torch: torch.zeros(2, dtype=int), wrong=SIZES),
    *made("ones", lambda torch: torch.ones(2, 3),
          lambda torch: torch.ones(2, out=torch.empty(0, dtype=torch.int32))),
    *made("empty", lambda torch: torch.empty(2, 3).shape,
          lambda torch: torch.empty(2, 3, dtype=torch.bool).dtype.itemsize),
    *like("zeros_like", lambda torch, x: torch.zeros_like(x),
          lambda torch, x: torch.zeros_like(x, dtype=torch.int8),
          lambda torch, x: torch.zeros_like(x.t()).stride(), wrong=(lambda torch: torch.zeros_like([1]),)),
    *like("ones_like", lambda torch, x: torch.ones_like(x),
          lambda torch, x: torch.ones_like(x, dtype=torch.bool)),
    *like("empty_like", lambda torch, x: torch.empty_like(x).shape,
          lambda torch, x: torch.empty_like(x.t()).stride()),
    *like("full_like", lambda torch, x: torch.full_like(x, 3),
          lambda torch, x: torch.full_like(x, 1.5, dtype=torch.int32)),
    *made("full", lambda torch: torch.full((2,), 1), lambda torch: torch.full((2,), True),
          lambda torch: torch.full([2], 1.5),
          lambda torch: torch.full((2,), 1j), lambda torch: torch.full((),
          torch.tensor(1.5, dtype=torch.float64)),
          wrong=(lambda torch: torch.full(2, 1), lambda torch: torch.full((2,), 300, dtype=torch.uint8))),
    *made("scalar_tensor", lambda torch: torch.scalar_tensor(3)),
    *made("empty_strided", lambda torch: torch.empty_strided((2, 3), (1, 2)).stride()),
    *made("arange", lambda torch: torch.arange(5), lambda torch: torch.arange(1, 2.5, 0.5),
          lambda torch: torch.arange(5, 0, -2),
          lambda torch: torch.arange(1, end=4), lambda torch: torch.arange(0, 5, 1.5, dtype=torch.int64),
          lambda torch: torch.arange(0),
          wrong=(lambda torch: torch.arange(5, 1), lambda torch: torch.arange(0, 1, 0),
          lambda torch: torch.arange(float("inf")),
                 lambda torch: torch.arange(3, dtype=torch.bool),
                 lambda torch: torch.arange(1, 2.5, 0.5, dtype=torch.int64),
                 lambda torch: torch.arange(3, requires_grad=True))),
    *made("range", old_range),
    *made("linspace", lambda torch: torch.linspace(-3, 7, 101),
          lambda torch: torch.linspace(0, 10, 5, dtype=torch.int64),
          lambda torch: torch.linspace(0, 1j, 3), lambda torch: torch.linspace(0, 1, 1),
          lambda torch: torch.linspace(0, 1, 0),
          wrong=(lambda torch: torch.linspace(0, 1, -1), lambda torch: torch.linspace(0, 1))),
    *made("logspace", lambda torch: torch.logspace(-1, 1, 20),
          lambda torch: torch.logspace(0, 4, 5, base=2, dtype=torch.int64)),
    *made("eye", lambda torch: torch.eye(3), lambda torch: torch.eye(2, 3, dtype=torch.bool),
          wrong=(lambda torch: torch.eye(-1),)),
    *made("tril_indices", lambda torch: torch.tril_indices(3, 4, -1)),
    *made("triu_indices", lambda torch: torch.triu_indices(3, 4, 1)),
    Row("complex", lambda torch, x, y: torch.complex(x, y), (T((2, 3)), T((3,))),
        wrong=(lambda torch: torch.complex(torch.ones(1), torch.ones(1).double()),
               lambda torch: torch.complex(torch.ones(1).long(), torch.ones(1).long()))),
    Row("polar", lambda torch, x, y: torch.polar(x, y), (T((2, 3), 0.5, 2), T((2, 3)))),
    *made("tensor", lambda torch: torch.tensor([[1, 2.5]]),
          wrong=(lambda torch: torch.tensor([[1, 2], [3]]), lambda torch: torch.tensor([[1, 2], 3]),
          lambda torch: torch.tensor("a"),
                 lambda torch: torch.tensor(["a"]), lambda torch: torch.tensor(None),
                 lambda torch: torch.tensor({}),
                 lambda torch: torch.tensor([2**63]), lambda torch: torch.tensor(300, dtype=torch.uint8),
                 lambda torch: torch.tensor([1j], dtype=torch.float32),
                 lambda torch: torch.tensor([1], requires_grad=True),
                 lambda torch: torch.tensor([torch.ones(2), torch.ones(2)]))),
    *made("as_tensor", lambda torch: torch.as_tensor([1, 2], dtype=torch.float64)),
    *made("asarray", lambda torch: torch.asarray([1, 2]), lambda torch: torch.asarray(torch.ones(2))),
    Row("from_numpy", lambda torch, x: torch.from_numpy(x.numpy()), (T((2, 3)),), grad=False,
        wrong=(lambda torch: torch.from_numpy([1]),
              lambda torch: torch.from_numpy(torch.ones(3).numpy()[::-1]))),
    Row("from_dlpack", lambda torch, x: torch.from_dlpack(x), (T((2, 3)),), grad=False),
    *made("frombuffer", lambda torch: torch.frombuffer(bytearray(b"abcd"), dtype=torch.int16),
          lambda torch: torch.frombuffer(bytearray(b"abcd"), dtype=torch.uint8, count=2, offset=1),
          wrong=(lambda torch: torch.frombuffer(bytearray(b"abc"), dtype=torch.int16),
                 lambda torch: torch.frombuffer(bytearray(), dtype=torch.int16))),
    *made("is_tensor", lambda torch: (torch.is_tensor(torch.ones(1)), torch.is_tensor(1))),
    Row("numel", lambda torch, z: torch.numel(z), (C((2, 3)),), grad=False),
]  # fmt: skip

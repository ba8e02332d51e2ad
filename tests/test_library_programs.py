"""`torch.library`: the examples of PyTorch's documentation and more like them, printed by both frameworks."""

import importlib
import re

import pytest

torch = pytest.importorskip("torch")

HEAD = """
import numpy as np
from typing import List, Optional, Sequence, Tuple
from torch import Tensor
library = torch.library

def told(f):
    try:
        print(f())
    except Exception as error:
        print(type(error).__name__)

x = torch.tensor([0.5, 1.0, 2.0])
"""
SIN = """
@library.custom_op("NS::numpy_sin", mutates_args=())
def numpy_sin(x: Tensor) -> Tensor:
    return torch.from_numpy(np.sin(x.numpy()))
"""

# Most are the examples of PyTorch's docstrings.
PROGRAMS = {
    "custom_op": SIN
    + "print(numpy_sin(x), torch.ops.NS.numpy_sin(x), torch.ops.NS.numpy_sin.default(x), numpy_sin)",
    "names": SIN
    + "print(torch.ops.NS.numpy_sin, torch.ops.NS.numpy_sin.default, torch.ops.NS.numpy_sin.overloads(), "
    "torch.ops.NS.numpy_sin.default.name(), repr(torch.ops.NS.numpy_sin.default), numpy_sin._qualname)",
    "device": """
@library.custom_op("NS::a", mutates_args=(), device_types="cpu")
def a(x: Tensor) -> Tensor:
    return x + 1
@library.custom_op("NS::b", mutates_args=(), device_types=["cuda"])
def b(x: Tensor) -> Tensor:
    return x + 2
print(a(x))
told(lambda: b(x))
@library.register_kernel("NS::b", "cpu")
def _(x):
    return x + 3
print(b(x))
@b.register_kernel("cpu")
def _(x):
    return x + 4
print(b(x))
""",
    "mutates": """
@library.custom_op("NS::sin_", mutates_args={"x"}, device_types="cpu")
def sin_(x: Tensor) -> None:
    x_np = x.numpy()
    np.sin(x_np, out=x_np)
version = x._version
print(sin_(x), x, x._version > version)
told(lambda: sin_.register_autograd(lambda ctx, g: g))
y = x.clone().requires_grad_()
z = (y * 1).exp()
sin_(z.detach())
told(lambda: z.sum().backward())
""",
    "inplace": """
@library.custom_op("NS::sin_", mutates_args={"x"}, device_types="cpu", tags=torch.Tag.inplace)
def sin_(x: Tensor) -> Tensor:
    x_np = x.numpy()
    np.sin(x_np, out=x_np)
    return x
print(sin_(x) is x, x)
@library.custom_op("NS::sin_out", mutates_args={"out"}, device_types="cpu", tags=torch.Tag.out)
def sin_out(x: Tensor, *, out: Tensor) -> Tensor:
    np.sin(x.numpy(), out=out.numpy())
    return out
out = torch.empty_like(x)
print(sin_out(x, out=out) is out, out)
""",
    "factory": """
@library.custom_op("NS::bar", mutates_args={}, device_types="cpu")
def bar(device: torch.device) -> Tensor:
    return torch.ones(3)
told(lambda: bar("cpu"))
""",
    "lists": """
@library.custom_op("NS::weighted", mutates_args=())
def weighted(tensors: List[Tensor], weights: List[float]) -> Tensor:
    return sum(t * w for t, w in zip(tensors, weights))
print(weighted([x, x + 1], [0.3, 0.7]))
def backward(ctx, g):
    return [g * w for w in ctx.weights], None
weighted.register_autograd(backward, setup_context=lambda ctx, inputs, output: setattr(ctx, "weights", inputs[1]))
y, z = x.clone().requires_grad_(), x.clone().requires_grad_()
weighted([y, z], [0.3, 0.7]).sum().backward()
print(y.grad, z.grad)
@library.custom_op("NS::halves", mutates_args=())
def halves(x: Tensor, n: int) -> List[Tensor]:
    return [x / 2 + i for i in range(n)]
halves.register_autograd(lambda ctx, g: (sum(g) / 2, None))
out = halves(y, 3)
print(type(out), len(out), out[0].requires_grad)
(out[0].sum() + out[2].sum() * 3).backward()
print(y.grad)
""",
    "autograd": SIN
    + """
def setup_context(ctx, inputs, output):
    x, = inputs
    ctx.save_for_backward(x)
def backward(ctx, grad):
    x, = ctx.saved_tensors
    return grad * x.cos()
y = x.clone().requires_grad_()
out = numpy_sin(y.detach()); print(out.requires_grad)
out = numpy_sin(y); print(out)
told(lambda: out.sum().backward())
library.register_autograd("NS::numpy_sin", backward, setup_context=setup_context)
(g,) = torch.autograd.grad(numpy_sin(y), y, torch.ones_like(y), create_graph=True)
print(g, torch.autograd.grad(g.sum(), y))
with torch.no_grad():
    print(numpy_sin(y).requires_grad)
print(torch.autograd.gradcheck(numpy_sin, (y.detach().double().requires_grad_(),)))
""",
    "keyword only": """
@library.custom_op("NS::mul", mutates_args=())
def mul(x: Tensor, *, val: float) -> Tensor:
    return torch.from_numpy(x.numpy() * val)
def setup_context(ctx, inputs, keyword_only_inputs, output):
    ctx.val = keyword_only_inputs["val"]
library.register_autograd("NS::mul", lambda ctx, grad: grad * ctx.val, setup_context=setup_context)
y = x.clone().requires_grad_()
print(torch.autograd.grad(mul(y, val=3.14).sum(), y))
def kw(x: Tensor, *, y: Tensor) -> Tensor:
    return x * y
told(lambda: library.custom_op("NS::kw", kw, mutates_args=()))
""",
    "tuple": """
@library.custom_op("NS::cube", mutates_args=())
def cube(x: Tensor, k: int = 2) -> Tuple[Tensor, Tensor]:
    return x**3, 3 * x**2
cube.register_autograd(
    lambda ctx, g, h: (g * ctx.saved_tensors[1] + h * 6 * ctx.saved_tensors[0], None),
    setup_context=lambda ctx, inputs, output: (print(inputs[1], ctx.needs_input_grad), ctx.save_for_backward(inputs[0], output[1])),
)
y = x.clone().requires_grad_()
a, b = cube(y)
(a.sum() + b.sum() * 2).backward()
print(a, b, y.grad)
""",
    "vmap": SIN
    + """
@library.register_vmap("NS::numpy_sin")
def rule(info, in_dims, x):
    return numpy_sin(x), in_dims[0]
print(torch.vmap(numpy_sin)(torch.stack([x, x * 2])))
print(torch.vmap(numpy_sin, in_dims=1)(torch.stack([x, x * 2])))
""",
    "fake": SIN
    + """
@library.register_fake("NS::numpy_sin")
def _(x):
    return torch.empty_like(x)
print(numpy_sin(x))
library.opcheck(numpy_sin, (x,), test_utils=("test_schema", "test_faketensor"))
@numpy_sin.register_fake
def _(x):
    return x.new_empty(2)
told(lambda: library.opcheck(numpy_sin, (x,), test_utils=("test_schema", "test_faketensor")) and 0)
""",
    "define": """
library.define("NS::sin", "(Tensor x) -> Tensor")
told(lambda: torch.ops.NS.sin(x))
@library.impl("NS::sin", "cpu")
def f(x):
    return torch.from_numpy(np.sin(x.numpy()))
print(torch.ops.NS.sin(x))
library.define("NS::twice", "(Tensor x, int[] k=[1, 2], *, str s='a') -> Tensor")
@library.impl("NS::twice", "default")
def g(x, k, *, s="b"):
    return x * sum(k) + len(s)
print(torch.ops.NS.twice(x, [3]))
""",
    "library": """
lib = library.Library("NS", "DEF")
print(lib.define("bar(Tensor x, int k=2) -> Tensor"))
told(lambda: lib.define("bar(Tensor x) -> Tensor"))
@library.impl(lib, "bar", "CPU")
def bar(x, k=2):
    return x * k
print(torch.ops.NS.bar(x), torch.ops.NS.bar(x, k=5), torch.ops.NS.bar.default(x, 3))
print(torch.ops.NS.bar(x.clone().requires_grad_()).requires_grad)
lib.define("scale.Tensor(Tensor x, Tensor y) -> Tensor")
lib.define("scale.Scalar(Tensor x, Scalar y) -> Tensor")
lib.impl("scale.Tensor", lambda x, y: x * y, "CPU")
lib.impl("scale.Scalar", lambda x, y: x * y + 100, "CPU")
print(torch.ops.NS.scale(x, x), torch.ops.NS.scale(x, 2), torch.ops.NS.scale.overloads())
told(lambda: library.Library("NS", "BAD"))
told(lambda: library.Library("NS", "DEF"))
fragment = library.Library("NS", "FRAGMENT")
fragment.define("plus(Tensor x) -> Tensor")
fragment.impl("plus", lambda x: x + 1, "CompositeImplicitAutograd")
y = x.clone().requires_grad_()
torch.ops.NS.plus(y).sum().backward()
print(y.grad)
print(library.Library("NS", "IMPL", "CPU"))
""",
    "autograd key": """
lib = library.Library("NS", "DEF")
lib.define("sq(Tensor x) -> Tensor")
lib.impl("sq", lambda x: x * x, "CPU")
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.NS.sq(x)
    @staticmethod
    def backward(ctx, g):
        return 7 * g
lib.impl("sq", Square.apply, "Autograd")
y = x.clone().requires_grad_()
torch.ops.NS.sq(y).sum().backward()
print(y.grad)
""",
    "wrong calls": SIN
    + """
for f in (lambda: numpy_sin("a"), lambda: numpy_sin(x, 1), lambda: numpy_sin(), lambda: numpy_sin(y=x), lambda: torch.ops.NS.none):
    told(f)
@library.custom_op("NS::same", mutates_args=())
def same(x: Tensor) -> Tensor:
    return x
told(lambda: same(x))
told(lambda: library.register_autograd("NS::none", lambda ctx, g: g))
""",
    "schemas": """
def a(x: Tensor, y: Optional[Tensor], z: List[int], *, d: torch.dtype = torch.float32, s: str = "a", b: bool = True, l: list[Tensor]) -> list[Tensor]: ...
def b(x: Tensor, n: "int", w: Sequence[float] = None, f: Optional[float] = 1e-5) -> Tuple[Tensor, int]: ...
def c(x: Tensor, k: Tensor | None = None, dev: torch.device = "cpu") -> None: ...
def d(x): ...
def e(x: Tensor, *a) -> Tensor: ...
def f(x: Tensor, k: dict) -> Tensor: ...
def g(x: Tensor) -> str: ...
def h(x: Tensor): ...
for function in (a, b, c, d, e, f, g, h):
    for mutates in ((), {"x"}, {"q"}, "unknown"):
        told(lambda: library.infer_schema(function, mutates_args=mutates))
print(library.infer_schema(c, mutates_args=(), op_name="NS::c"))
""",
    "autocast": """
@library.custom_op("NS::mm", mutates_args=())
def mm(a: Tensor, b: Tensor) -> Tensor:
    return a @ b
mm.register_autocast("cpu", torch.bfloat16)
with torch.autocast("cpu", dtype=torch.bfloat16):
    print(mm(torch.ones(2, 2), torch.ones(2, 2)).dtype)
print(mm(torch.ones(2, 2), torch.ones(2, 2)).dtype)
""",
    "again": SIN + SIN.replace("np.sin", "np.cos") + "print(numpy_sin(x), torch.ops.NS.numpy_sin(x))",
}


def run(name, framework, capsys):
    program = (HEAD + PROGRAMS[name]).replace("NS", re.sub(r"\W", "_", f"rl_{name}"))
    module = importlib.import_module(framework)
    scope = {"torch": module, "__name__": "program"}
    program = program.replace("from torch import", f"from {framework} import")
    exec(compile(program, name, "exec"), scope)
    return re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.3f}", capsys.readouterr().out), scope


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_pytorch(name, capsys):
    import rushlight  # noqa: F401

    theirs, kept = run(name, "torch", capsys)
    ours, _ = run(name, "rushlight", capsys)
    assert ours == theirs
    assert kept


def test_recorded_functions_call_operators_each_time():
    import rushlight

    @rushlight.library.custom_op("rl_recorded::plus", mutates_args=())
    def plus(x: rushlight.Tensor) -> rushlight.Tensor:
        return rushlight.from_numpy(x.numpy() + 1)

    step = rushlight.compile(lambda x: plus(x * 2) * 3)
    for i in range(5):
        assert step(rushlight.full((3,), float(i))).tolist() == [(i * 2 + 1) * 3.0] * 3


def test_what_is_not_supported():
    import rushlight

    with pytest.raises(NotImplementedError, match="define your own"):
        rushlight.library.Library("aten", "IMPL")
    with pytest.raises(NotImplementedError, match="__torch_function__"):
        rushlight.library.register_torch_dispatch("a::b", object)

"""Subclasses of tensors, `__torch_function__` of other classes, and modes: the same programs under both frameworks."""

import copy
import functools
import io
import json
import subprocess
import sys
import textwrap

import pytest

import rushlight

#: Programs by name; each prints what happens.
PROGRAMS = {
    "subclasses keep their class": """
        class Plain(torch.Tensor):
            extra = 3
        class Sub(Plain):
            pass
        x, one = Plain([[1.0, 2.0], [3.0, 4.0]]), torch.ones(2)
        largest = x.max(1)
        results = [x.sum(0), largest.values, x.T, x.unbind()[0], *x, x + one, one + x, torch.nn.Parameter(one) * x,
                   x.data, x.detach(), x.double(), x.clone(), torch.ones_like(x), x.new_ones(2), x[0], x.grad,
                   torch.stack([x, x]), torch.cat([one, x[0]]), torch.nn.Linear(2, 2)(x), x.shape, x.tolist(),
                   x.numpy(), Sub([1.0]) + Plain([1.0]), Plain([1.0]) + Sub([1.0]), x.split(1)[0], x.float().relu()]
        print([type(r).__name__ for r in results], x.sum().extra, x)
    """,
    "einsum's operands in a list": """
        class Noted:
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                return func.__name__, args[0], len(args)
        print(torch.einsum("i,i->", [Noted(), Noted()]), torch.einsum("i,i->", (torch.ones(1), Noted())))
        print(torch.einsum("i,i->", Noted(), Noted()), torch.einsum("i->i", Noted()))
    """,
    "gradients": """
        class Plain(torch.Tensor):
            pass
        w = torch.tensor([1.0, 2.0], requires_grad=True)
        loss = (w.as_subclass(Plain) ** 2).sum()
        loss.backward()
        print(type(loss).__name__, w.grad)
        x = Plain([3.0]).requires_grad_()
        print(torch.autograd.grad((x * x).sum(), x))
        p = torch.nn.Parameter(Plain([1.0]))
        print(type(p).__name__, isinstance(p, torch.nn.Parameter), p.requires_grad, isinstance(x, torch.nn.Parameter))
        made = torch.Tensor._make_subclass(Plain, torch.ones(2), True)
        print(type(made).__name__, made.requires_grad, made.is_leaf)
    """,
    "calls are heard": """
        class Loud(torch.Tensor):
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                print(func.__name__, [t.__name__ for t in types if t is not torch.Tensor], end="; ")
                return super().__torch_function__(func, types, args, kwargs)
        x = Loud([1.0, 2.0])
        y = torch.nn.functional.cross_entropy(x[None], torch.tensor([0]))
        for z in (x * 2, 2 * x, x / 2, 2 / x, x ** 2, 2 ** x, x @ x, -x, abs(x), x == x, x != x, x < x, x >= x, x[0],
                  x.add_(1), x.T, x.sum().item(), len(x), torch.exp(x), x.view(1, 2), x.mean(0), float(x[0])):
            pass
        x[0] = 5
        x += 1
        print(repr(y))
    """,
    "metadata": """
        class Meta:
            def __init__(self, data, metadata):
                self.data, self.metadata = torch.as_tensor(data), metadata
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                metadata = next(a.metadata for a in args if isinstance(a, cls))
                plain = [a.data if isinstance(a, cls) else a for a in args]
                return cls(func(*plain, **(kwargs or {})), metadata)
        out = torch.add(torch.ones(2), Meta([1.0, 2.0], {"owner": "me"}))
        print(out.metadata, out.data, torch.nn.functional.linear(torch.ones(1, 2), Meta([[1.0, 2.0]], 7)).data)
    """,
    "table of functions": """
        TABLE = {}
        class Scalar:
            def __init__(self, n, value):
                self.n, self.value = n, value
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                if func not in TABLE or not all(issubclass(t, (torch.Tensor, cls)) for t in types):
                    return NotImplemented
                return TABLE[func](*args, **(kwargs or {}))
        TABLE[torch.mean] = lambda s: s.value / s.n
        print(torch.mean(Scalar(4, 2)), torch.overrides.is_tensor_like(Scalar(1, 1)))
        for wrong in (lambda: torch.mul(Scalar(2, 2), 3), lambda: torch.ones(1) + Scalar(2, 2)):
            try:
                wrong()
            except TypeError as error:
                print("TypeError")
    """,
    "modes": """
        from torch.overrides import TorchFunctionMode, resolve_name
        class Outer(TorchFunctionMode):
            def __torch_function__(self, func, types, args=(), kwargs=None):
                print("outer", resolve_name(func).rpartition(".")[2], end="; ")
                return func(*args, **(kwargs or {}))
        class Doubling(TorchFunctionMode):
            def __torch_function__(self, func, types, args=(), kwargs=None):
                out = func(*args, **(kwargs or {}))
                return out * 2 if func is torch.ones else out
        with Outer(), Doubling():
            x = torch.ones(2)
            y = torch.nn.functional.relu(x)
        print(x, y, torch.ones(1))
    """,
    "functions of one's own": """
        from torch.overrides import handle_torch_function, has_torch_function, wrap_torch_function
        class Odd:
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                return func.__name__, len(args)
        def mine(a, b=1):
            if has_torch_function((a,)):
                return handle_torch_function(mine, (a,), a, b=b)
            return a * b
        @wrap_torch_function(lambda a: (a,))
        def wrapped(a):
            return a + 1
        print(mine(torch.ones(1)), mine(Odd()), wrapped(torch.ones(1)), wrapped(Odd()))
        with torch._C.DisableTorchFunctionSubclass():
            print(has_torch_function((Odd(),)))
    """,
    "batches": """
        class Plain(torch.Tensor):
            pass
        print(type(torch.utils.data.default_collate([Plain([1.0]), Plain([2.0])])).__name__)
    """,
}

_RUN = """
import contextlib, io, json, sys
import torch
said = {}
for name, program in json.load(sys.stdin).items():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(program, {"torch": torch, "__name__": "program"})
    said[name] = out.getvalue()
print(json.dumps(said))
"""


@functools.cache
def said(before: str) -> dict:
    """What the programs print in a process of their own, which starts with a line of Python."""
    programs = json.dumps({name: textwrap.dedent(program) for name, program in PROGRAMS.items()})
    command = [sys.executable, "-W", "ignore", "-c", before + _RUN]
    done = subprocess.run(command, input=programs, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_as_pytorch(name):
    pytest.importorskip("torch")
    assert said("import rushlight.as_torch\n")[name] == said("")[name]


class Noted(rushlight.Tensor):
    """At the top, since files name it."""


def test_copies_and_files():
    x = Noted([1.0, 2.0])
    x.note = 5
    file = io.BytesIO()
    rushlight.save(x, file)
    file.seek(0)
    read = rushlight.load(file, weights_only=False)
    assert type(read) is Noted and read.note == 5
    assert copy.deepcopy(x).note == 5 and type(copy.copy(x)) is Noted


def test_autocast_inside_and_outside_of_a_subclass():
    class Plain(rushlight.Tensor):
        pass

    x = Plain([[1.0, 2.0]])
    with rushlight.autocast("cpu"):
        y = x @ x.T
    assert type(y) is Plain and y.dtype is rushlight.bfloat16


def test_nothing_is_led_astray_without_such_a_class():
    program = "import rushlight as torch; print(torch.overrides._enabled, torch.add.__code__.co_name)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout == "False add\n"

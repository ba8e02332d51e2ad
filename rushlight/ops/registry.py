"""The list of all ops, and how a function becomes one.

`@op()` lists a function under its name and makes it a Tensor method; `inplace=True` adds the method `name_`.
The function itself stays as written: calling an op costs nothing extra.
"""

import functools
import inspect
from dataclasses import dataclass
from types import FunctionType

from rushlight.autograd.views import inplace as inplace_form
from rushlight.tensor import Tensor


@dataclass(frozen=True)
class Op:
    """One entry: the function, and where users find it."""

    name: str
    function: object
    method: bool
    inplace: bool


OPS: dict[str, Op] = {}


def op(*, name: str | None = None, method: bool = True, inplace=False):
    """List a function as an op.

    Args:
        name: its public name; the function's own by default.
        method: whether tensors have it as a method.
        inplace: whether tensors have `name_`: True for the general form, or a function that does it directly.
    """

    def register(function):
        public = name or function.__name__
        if public in OPS:
            raise ValueError(f"the op {public} is defined twice")
        OPS[public] = Op(public, function, method, bool(inplace))
        if method:
            setattr(Tensor, public, function)
        if inplace:
            direct = inplace_form(function, public + "_") if inplace is True else inplace
            direct.__name__ = direct.__qualname__ = public + "_"
            if not direct.__doc__:
                direct.__doc__ = f"In-place form of `{public}`; returns this tensor."
            setattr(Tensor, public + "_", direct)
        return function

    return register


#: NumPy's names of arguments that PyTorch's functions take too.
NUMPY_NAMES = {"dim": ("axis",), "keepdim": ("keepdims",), "input": ("x", "a", "x1"), "other": ("x2",)}


def numpy_names(function):
    """Decorator: the function takes NumPy's names of its arguments too.

    The functions that small programs wait for have `axis` among their arguments instead, which is quicker.
    """
    known = inspect.signature(function).parameters
    ours = {numpy: name for name in known if name in NUMPY_NAMES for numpy in NUMPY_NAMES[name]}

    @functools.wraps(function)
    def either(*args, **kwargs):
        if kwargs and not ours.keys().isdisjoint(kwargs):
            kwargs = {ours.get(name, name): value for name, value in kwargs.items()}
        return function(*args, **kwargs)

    return either


def alias(new: str, function, *, method: bool = True) -> None:
    """Give an op a second public name that PyTorch has for it."""
    existing = next(o for o in OPS.values() if o.function is function)
    OPS[new] = Op(new, function, method, existing.inplace)
    if method:
        setattr(Tensor, new, function)
        if existing.inplace:
            setattr(Tensor, new + "_", getattr(Tensor, existing.name + "_"))


def leave_unbound(cls: type) -> None:
    """Let ops that are attributes of a class be called without its instances, as PyTorch's, which are built in.

    So `class Net(Module): activation = torch.relu` may call `self.activation(x)`.
    """
    for name, value in list(vars(cls).items()):
        if type(value) is FunctionType:
            known = OPS.get(value.__name__)
            if known is not None and known.function is value:
                setattr(cls, name, staticmethod(value))

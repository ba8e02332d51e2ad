"""What the builders of models share."""

import functools
import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from rushlight import nn
from rushlight.vision.models.weights import WeightsEnum


class IntermediateLayerGetter(nn.ModuleDict):
    """The outputs of some of a model's direct children, run one after the other.

    Args:
        model: whose children are registered in the order in which they run, each used once.
        return_layers: for each wanted child, its name and the key of its output.

    >>> from rushlight.vision.models._utils import IntermediateLayerGetter
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> {key: out.shape for key, out in IntermediateLayerGetter(model, {"1": "hidden"})(torch.zeros(5, 4)).items()}
    {'hidden': torch.Size([5, 3])}
    """

    _version = 2

    def __init__(self, model: nn.Module, return_layers: dict[str, str]):
        children = dict(model.named_children())
        if not set(return_layers).issubset(children):
            raise ValueError("return_layers are not present in model")
        names = list(children)
        last = max((names.index(str(name)) for name in return_layers), default=0)
        super().__init__(OrderedDict((name, children[name]) for name in names[: last + 1]))
        self.return_layers = return_layers

    def forward(self, x):
        out = OrderedDict()
        for name, module in self.items():
            x = module(x)
            if name in self.return_layers:
                out[self.return_layers[name]] = x
        return out


def _make_divisible(v: float, divisor: int, min_value: int | None = None) -> int:
    """The multiple of `divisor` nearest to `v`, at least `min_value` and more than 90 % of `v`."""
    rounded = max(min_value or divisor, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded


def kwonly_to_pos_or_kw(fn: Callable) -> Callable:
    """A function that takes its keyword-only arguments by position too, with a warning."""
    parameters = list(inspect.signature(fn).parameters.values())
    positional = [p.kind for p in parameters].index(inspect.Parameter.KEYWORD_ONLY)
    names = [p.name for p in parameters[positional:]]

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any):
        extra = dict(zip(names, args[positional:], strict=False))
        if extra:
            quoted = [f"'{name}'" for name in extra]
            listed = ", ".join(quoted[:-1]) + (", " if len(quoted) > 2 else " ") + "and " + quoted[-1]
            warnings.warn(
                f"Using {listed if len(quoted) > 1 else quoted[0]} as positional parameter(s) is deprecated since "
                "0.13 and may be removed in the future. Please use keyword parameter(s) instead.",
                stacklevel=2,
            )
        return fn(*args[:positional], **{**kwargs, **extra})

    return wrapper


def handle_legacy_interface(**weights):
    """A decorator for builders of models that takes `pretrained=True` too, as torchvision did before 0.13.

    Args:
        **weights: for each argument of the builder that takes weights, its old name and the weights that True stood
            for, or a function of the keyword arguments that gives them.
    """

    def outer_wrapper(builder: Callable) -> Callable:
        @kwonly_to_pos_or_kw
        @functools.wraps(builder)
        def inner_wrapper(*args: Any, **kwargs: Any):
            for name, (old, default) in weights.items():
                if _is_legacy(kwargs, name, old):
                    _replace_legacy(kwargs, name, old, default, builder.__name__)
            return builder(*args, **kwargs)

        return inner_wrapper

    return outer_wrapper


def _is_legacy(kwargs: dict[str, Any], name: str, old: str) -> bool:
    if name not in kwargs:
        return old in kwargs
    value = kwargs[name]
    modern = value is None or isinstance(value, WeightsEnum) or (isinstance(value, str) and value != "legacy")
    return not modern


def _replace_legacy(kwargs: dict[str, Any], name: str, old: str, default, builder: str) -> None:
    by_position = name in kwargs  # where `pretrained` used to be
    if by_position:
        kwargs[old] = kwargs.pop(name)
    chosen = None
    if kwargs[old]:
        chosen = default(kwargs) if callable(default) else default
        if not isinstance(chosen, WeightsEnum):
            raise ValueError(f"No weights available for model {builder}")
    if not by_position:
        warnings.warn(
            f"The parameter '{old}' is deprecated since 0.13 and may be removed in the future, please use '{name}' "
            "instead.",
            stacklevel=4,
        )
    message = (
        f"Arguments other than a weight enum or `None` for '{name}' are deprecated since 0.13 and may be removed in "
        f"the future. The current behavior is equivalent to passing `{name}={chosen}`."
    )
    if chosen is not None:
        message += (
            f" You can also use `{name}={type(chosen).__name__}.DEFAULT` to get the most up-to-date weights."
        )
    warnings.warn(message, stacklevel=4)
    del kwargs[old]
    kwargs[name] = chosen


def _ovewrite_named_param(kwargs: dict[str, Any], param: str, new_value) -> None:
    """Set an argument that the weights decide; ValueError where the caller asked for another value."""
    if kwargs.setdefault(param, new_value) != new_value:
        raise ValueError(
            f"The parameter '{param}' expected value {new_value} but got {kwargs[param]} instead."
        )


def _ovewrite_value_param(param: str, actual, expected):
    """`expected`, which the weights decide; ValueError where the caller asked for another value."""
    if actual is not None and actual != expected:
        raise ValueError(f"The parameter '{param}' expected value {expected} but got {actual} instead.")
    return expected

"""The functions that are operations: which they are, what they are called, and how calls of them are recorded."""

import builtins
import functools
import inspect
import types

import rushlight as torch
from rushlight.ops.registry import OPS

__all__: list[str] = []

#: Functions that PyTorch has in Python: what it records is the arguments that these hand on, all that are optional by name.
_IN_PYTHON = {
    "torch.nn.functional": """
    fractional_max_pool2d fractional_max_pool3d max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d max_unpool3d
    lp_pool1d lp_pool2d lp_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d adaptive_avg_pool2d
    adaptive_avg_pool3d dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout relu glu hardtanh relu6
    elu selu celu leaky_relu rrelu tanhshrink softsign softmin softmax gumbel_softmax log_softmax hardsigmoid silu mish
    hardswish embedding embedding_bag batch_norm instance_norm layer_norm rms_norm group_norm local_response_norm ctc_loss
    nll_loss poisson_nll_loss gaussian_nll_loss kl_div cross_entropy binary_cross_entropy binary_cross_entropy_with_logits
    smooth_l1_loss huber_loss l1_loss mse_loss margin_ranking_loss hinge_embedding_loss multilabel_margin_loss
    soft_margin_loss multilabel_soft_margin_loss cosine_embedding_loss multi_margin_loss interpolate grid_sample
    affine_grid pad triplet_margin_loss triplet_margin_with_distance_loss normalize unfold fold
    """,
    "torch.functional": """
    broadcast_tensors einsum meshgrid stft unique unique_consecutive tensordot cartesian_prod block_diag cdist
    atleast_1d atleast_2d atleast_3d unravel_index
    """,
}


@functools.cache
def _in_python() -> dict:
    """Functions that PyTorch has in Python, with their names there."""
    spaces = {"torch.nn.functional": torch.nn.functional, "torch.functional": torch}
    return {
        function: f"{space}.{name}"
        for space, names in _IN_PYTHON.items()
        for name in names.split()
        if isinstance(function := getattr(spaces[space], name, None), types.FunctionType)
    }


@functools.cache
def _public_names() -> dict:
    """The names that scripts call our functions by."""
    spaces = {"torch": torch, "torch.nn.functional": torch.nn.functional, "torch.linalg": torch.linalg}
    spaces |= {"torch.fft": torch.fft, "torch.special": torch.special}
    names: dict = {}
    for space, module in spaces.items():
        for name, value in vars(module).items():
            if isinstance(value, types.FunctionType) and (not name.startswith("_") or name == "_assert"):
                known = names.setdefault(value, f"{space}.{name}")
                if known.startswith(f"{space}.") and name == value.__name__:
                    names[value] = f"{space}.{name}"
    return names | {f: f"torch._C._nn.{name}" for name, f in vars(torch._C._nn).items()} | _in_python()


def qualified_name(function) -> str:
    """The dotted name that code calls a function by."""
    if getattr(builtins, getattr(function, "__name__", ""), None) is function:
        return function.__name__
    try:
        public = _public_names().get(function)
    except TypeError:  # it cannot be hashed
        public = None
    if public is not None:
        return public
    return f"{in_pytorch(getattr(function, '__module__', None) or 'torch')}.{function.__name__}"


def in_pytorch(name: str) -> str:
    """What PyTorch and torchvision call something that we have under a dotted name."""
    for ours, theirs in (
        ("rushlight.vision", "torchvision"),
        ("rushlight.tensor", "torch"),
        ("rushlight", "torch"),
    ):
        if name == ours or name.startswith(f"{ours}."):
            return theirs + name[len(ours) :]
    return name


def operations() -> set:
    """The functions that look for stand-ins among their arguments, as long as there are any."""
    spaces = [torch, torch.nn.functional, torch.linalg, torch.fft, torch.special]
    found = {f for space in spaces for n, f in vars(space).items() if not n.startswith("_") or n == "_assert"}
    found |= {entry.function for entry in OPS.values()}
    own = {torch.fx, torch.compile, torch.is_tensor, torch.typename}
    return {f for f in found - own if isinstance(f, types.FunctionType)}


@functools.cache
def operators() -> dict:
    """Operators of a tensor and a stand-in that are no operations, with the names that PyTorch records."""
    names = {f"__{name}__": name for name in ("add", "eq", "ne", "lt", "le", "gt", "ge")}
    names |= {"__truediv__": "div", "__getitem__": "__getitem__"}
    return {getattr(torch.Tensor, name): recorded for name, recorded in names.items()}


def optional_by_name(function, plain):
    """What turns a call's arguments into those that a node gets; None where these are the same.

    Args:
        function: an operation. Of those that PyTorch has in Python, arguments without default come in their places, and
            all others by name, whether they were given or not.
        plain: the same with its own code, whatever detours there are.
    """
    if function not in _in_python():
        return None
    signature = inspect.signature(plain)

    def arguments(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        placed: list = []
        named: dict = {}
        for name, parameter in signature.parameters.items():
            value = bound.arguments[name]
            if parameter.kind is parameter.VAR_POSITIONAL:
                placed += value
            elif parameter.default is parameter.empty:
                placed.append(value)
            else:
                named[name] = value
        return tuple(placed), named

    return arguments

"""The names of the package functorch, most of which are those of `rushlight.func`; modules as functions of their state."""

import copy

from rushlight.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    stack_module_state,
    vjp,
    vmap,
)
from rushlight.nn import Module

__all__ = [
    "combine_state_for_ensemble",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "make_functional",
    "make_functional_with_buffers",
    "vjp",
    "vmap",
]


class FunctionalModuleWithBuffers(Module):
    """A module as a function of its parameters and buffers, `f(params, buffers, *args, **kwargs)`."""

    def __init__(self, model: Module):
        super().__init__()
        self.stateless_model = copy.deepcopy(model)
        self.param_names = tuple(name for name, _ in model.named_parameters())
        self.buffer_names = tuple(name for name, _ in model.named_buffers())

    def forward(self, params, buffers, *args, **kwargs):
        """What the module gives with these parameters and buffers."""
        state = dict(zip(self.param_names, params, strict=True))
        state |= dict(zip(self.buffer_names, buffers, strict=True))
        return functional_call(self.stateless_model, state, args, kwargs)


class FunctionalModule(FunctionalModuleWithBuffers):
    """A module as a function of its parameters, `f(params, *args, **kwargs)`."""

    def forward(self, params, *args, **kwargs):
        """What the module gives with these parameters."""
        return super().forward(params, (), *args, **kwargs)


def _state(tensors, tracked: bool) -> tuple:
    copies = [t.detach().clone() for t in tensors]
    return tuple(
        c.requires_grad_(t.requires_grad) if tracked else c for c, t in zip(copies, tensors, strict=True)
    )


def make_functional(model: Module, disable_autograd_tracking: bool = False):
    """A module as a function of its parameters.

    Args:
        model: without buffers.
        disable_autograd_tracking: the parameters do not require gradients.
    Returns:
        The function, and the parameters as a tuple.
    Raises:
        RuntimeError: the module has buffers.

    >>> import rushlight as torch
    >>> from rushlight.functorch import make_functional
    >>> function, params = make_functional(torch.nn.Linear(2, 1))
    >>> function((torch.ones(1, 2), torch.zeros(1)), torch.tensor([3.0, 4.0]))
    tensor([7.])
    """
    if list(model.buffers()):
        raise RuntimeError(
            "make_functional(model): `model` has buffers. Please use make_functional_with_buffers(model) instead."
        )
    return FunctionalModule(model), _state(list(model.parameters()), not disable_autograd_tracking)


def make_functional_with_buffers(model: Module, disable_autograd_tracking: bool = False):
    """A module as a function of its parameters and buffers; returns the function and both as tuples."""
    params = _state(list(model.parameters()), not disable_autograd_tracking)
    return FunctionalModuleWithBuffers(model), params, _state(list(model.buffers()), False)


def combine_state_for_ensemble(models):
    """Modules of one kind as a function of stacked states.

    Args:
        models: several modules that differ in their parameters alone.
    Returns:
        The function of one module's state, the stacked parameters and the stacked buffers.
    Raises:
        RuntimeError: there are none, or they are of different classes.
    """
    if not models:
        raise RuntimeError("combine_state_for_ensemble: Expected at least one model, got 0.")
    if not all(type(m) is type(models[0]) for m in models):
        raise RuntimeError("combine_state_for_ensemble: Expected all models to be of the same class.")
    params, buffers = stack_module_state(list(models))
    return FunctionalModuleWithBuffers(models[0]), tuple(params.values()), tuple(buffers.values())

"""The base of all optimizers: parameter groups, state, hooks, and saving them in PyTorch's format."""

import functools
import itertools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from copy import deepcopy
from threading import get_ident
from typing import Any, TypeAlias

from rushlight.autograd.grad_mode import enable_grad, set_grad_enabled
from rushlight.autograd.node import Handle
from rushlight.dtypes import float32, float64, get_default_dtype
from rushlight.ops.complex_parts import view_as_real
from rushlight.tensor import Tensor

ParamsT: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
params_t = _params_t = ParamsT  # its old names


class _RequiredParameter:
    """What stands in an optimizer's signature for an option that has no default."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _RequiredParameter()

_HOOK_TABLES = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)
RECORDERS: dict = {}  # by thread: who records a compiled function there, see rushlight.capture
_global_pre_hooks: dict = OrderedDict()
_global_post_hooks: dict = OrderedDict()


def register_optimizer_step_pre_hook(hook) -> Handle:
    """Call `hook(optimizer, args, kwargs)` before each step of every optimizer; returns a handle."""
    return Handle(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook) -> Handle:
    """Call `hook(optimizer, args, kwargs)` after each step of every optimizer; returns a handle."""
    return Handle(_global_post_hooks, hook)


def _with_hooks(step):
    """A step method that calls the hooks around itself."""

    @functools.wraps(step)
    def stepping(self, *args, **kwargs):
        if RECORDERS and (recorder := RECORDERS.pop(get_ident(), None)):
            try:
                return recorder.step(self, lambda: stepping(self, *args, **kwargs))
            finally:
                RECORDERS[get_ident()] = recorder
        if _global_pre_hooks or self._optimizer_step_pre_hooks:
            for hook in (*_global_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()):
                changed = hook(self, (self, *args), kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            f"{step} must return None or a tuple of (new_args, new_kwargs), but got "
                            f"{changed}."
                        )
                    (_, *args), kwargs = changed
        result = step(self, *args, **kwargs)
        if _global_post_hooks or self._optimizer_step_post_hooks:
            for hook in (*self._optimizer_step_post_hooks.values(), *_global_post_hooks.values()):
                hook(self, (self, *args), kwargs)
        return result

    stepping.hooked = True
    return stepping


def _register(table: OrderedDict, hook, prepend: bool = False) -> Handle:
    handle = Handle(table, hook)
    if prepend:
        table.move_to_end(handle.id, last=False)
    return handle


class Optimizer:
    """Base class of optimizers: a subclass gives `defaults` to `__init__` and implements `step`.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        defaults: the options of groups that do not give their own.
    """

    def __init__(self, params, defaults: dict):
        self.defaults = defaults
        for name in _HOOK_TABLES:
            setattr(self, name, OrderedDict())
        self._patch_step_function()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{params.type()}. Pass a list: [tensor]"
            )
        self.state = defaultdict(dict)
        self.param_groups: list[dict] = []
        try:
            groups = list(params)
        except TypeError as error:
            if not hasattr(params, "parameters"):
                raise
            raise TypeError(f"{error}: give the optimizer model.parameters()") from None
        if not groups:
            raise ValueError(
                "optimizer got an empty parameter list. Does the module keep its layers in a plain list or dict? Then use "
                "nn.ModuleList or nn.ModuleDict, whose parameters it sees"
            )
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _patch_step_function(self) -> None:
        """Put the hooks around `step` of this class, once."""
        cls = type(self)
        if not getattr(cls.step, "hooked", False):
            cls.step = _with_hooks(cls.step)

    def __getstate__(self) -> dict:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        for name in _HOOK_TABLES:
            self.__dict__.setdefault(name, OrderedDict())
        self._patch_step_function()
        self.defaults.setdefault("differentiable", False)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"\nParameter Group {i}" if i else "Parameter Group 0")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    def add_param_group(self, param_group: dict) -> None:
        """Optimize further parameters, with options of their own.

        Args:
            param_group: "params" (a tensor or an ordered collection) and any options.
        Raises:
            TypeError: something in it is not a tensor, or the collection has no order.
            ValueError: a non-leaf tensor, or one that is optimized already.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but "
                "the ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        params = param_group["params"] = [p[1] if isinstance(p, tuple) else p for p in params]
        if names:
            if len(names) != len(params):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are missing"
                )
            param_group["param_names"] = names
        self._check_params(params)
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter {name}"
                )
            param_group.setdefault(name, default)
        self._check_against_groups(param_group)
        self.param_groups.append(param_group)

    def _check_params(self, params: list) -> None:
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {_type_name(p)}"
                )
            if not self.defaults.get("differentiable") and not (p.is_leaf or p.retains_grad):
                raise ValueError(
                    "can't optimize a non-leaf Tensor: it was computed from others; make it a parameter of its own with "
                    ".detach().requires_grad_()"
                )
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause "
                "an error; see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=4,
            )

    def _check_against_groups(self, new: dict) -> None:
        taken = set()
        for group in self.param_groups:
            taken.update(group["params"])
            if ("param_names" in new) != ("param_names" in group):
                kind = "with" if "param_names" in new else "without"
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {kind} names to the optimizer"
                )
        if not taken.isdisjoint(new["params"]):
            raise ValueError("some parameters appear in more than one parameter group")

    def step(self, closure=None):
        """Update the parameters once from their gradients.

        Args:
            closure: computes the loss and its gradients anew, and returns the loss.
        Returns:
            What the closure returned.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no step(); a subclass of Optimizer must define it"
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters.

        Args:
            set_to_none: drop them; False: fill them with zeros.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    grad = p._grad
                    if grad.grad_fn is not None:
                        grad.detach_()
                    else:
                        grad.requires_grad_(False)
                    if grad.is_sparse:
                        grad.zero_()
                        continue
                    grad._array.fill(0)
                    grad._bump()

    # -- hooks --------------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook) -> Handle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new (args, kwargs)."""
        return _register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook) -> Handle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return _register(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend: bool = False) -> Handle:
        """Call `hook(optimizer)` before `state_dict`."""
        return _register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend: bool = False) -> Handle:
        """Call `hook(optimizer, state_dict)` after `state_dict`; it may return another one."""
        return _register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend: bool = False) -> Handle:
        """Call `hook(optimizer, state_dict)` before `load_state_dict`; it may return another one."""
        return _register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend: bool = False) -> Handle:
        """Call `hook(optimizer)` after `load_state_dict`."""
        return _register(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    # -- saving and loading -------------------------------------------------------------------------

    def state_dict(self) -> dict:
        """Its state and options as plain data: {"state": {number: …}, "param_groups": […]}.

        Parameters appear as numbers, counted through all groups. The tensors are the optimizer's own, not
        copies.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        start = 0
        groups = []
        for group in self.param_groups:
            for i, p in enumerate(group["params"], start):
                numbers.setdefault(id(p), i)
            start += len(group["params"])
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {numbers[id(k)] if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over the state and options that `state_dict` gave.

        Args:
            state_dict: from an optimizer of the same kind with groups of the same sizes.
        Raises:
            ValueError: the groups differ in number or size.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        groups = self.param_groups
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"expected {len(groups)}, got {len(saved_groups)}"
            )
        for i, (group, saved) in enumerate(zip(groups, saved_groups, strict=True)):
            if len(group["params"]) != len(saved["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's "
                    f"group: group {i} has {len(group['params'])} parameters, the saved one "
                    f"{len(saved['params'])}"
                )
        by_number = {
            number: (param, saved)
            for group, saved in zip(groups, saved_groups, strict=True)
            for number, param in zip(saved["params"], group["params"], strict=True)
        }
        state = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_number:
                param, saved = by_number[key]
                state[param] = _adapted(value, param, bool(saved.get("capturable") or saved.get("fused")))
            else:
                state[key] = value
        for group, saved in zip(groups, saved_groups, strict=True):
            saved["params"] = group["params"]
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": saved_groups})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)


def _adapted(value, param: Tensor, float_steps: bool, key=None):
    """Loaded state for a parameter, its tensors in the parameter's type."""
    if isinstance(value, Tensor):
        if key == "step":
            return value.to(float32) if float_steps else value
        return value.to(param.dtype) if param.is_floating_point() else value
    if isinstance(value, dict):
        return {k: _adapted(v, param, float_steps, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return type(value)(_adapted(v, param, float_steps) for v in value)
    return value


def _type_name(value) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def run_closure(closure):
    """The loss that a closure gives, recorded even where the step is not."""
    if closure is None:
        return None
    with enable_grad():
        return closure()


def check_one_element(name: str, value) -> None:
    """Refuse a tensor option with other than one element."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element")


def check_modes(foreach, fused, differentiable) -> None:
    """Refuse combinations of implementations that PyTorch refuses."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def step_dtype(fused: bool | None = None):
    """The type of the `step` tensors in the state."""
    return float64 if get_default_dtype() is float64 and not fused else float32


def bump(params: list[Tensor]) -> None:
    """Note that parameters were written: what was saved of them for a backward pass is stale."""
    for p in params:
        if p._vc is None:
            p._vc = [1]
        else:
            p._vc[0] += 1


def real_parts(arrays: list) -> list:
    """Arrays as real ones: a complex array counts as its real and its imaginary part."""
    if any(a.dtype.kind == "c" for a in arrays):
        return list(
            itertools.chain.from_iterable((a.real, a.imag) if a.dtype.kind == "c" else (a,) for a in arrays)
        )
    return arrays


# -- PyTorch's names for optimizers written after its own, which import them --------------------------------


def _use_grad_for_differentiable(func):
    """A step whose operations are recorded if the optimizer's default `differentiable` is true."""

    @functools.wraps(func)
    def step(self, *args, **kwargs):
        with set_grad_enabled(self.defaults["differentiable"]):
            return func(self, *args, **kwargs)

    return step


def _get_value(x):
    """The number in a tensor; numbers as they are."""
    return x.item() if isinstance(x, Tensor) else x


def _to_scalar(x):
    """A tensor of one element without dimensions; numbers as they are."""
    return x.squeeze() if isinstance(x, Tensor) and x.dim() else x


def _stack_if_compiling(x):
    """A list as it is."""
    return x


def _view_as_real(params: list, *state_and_grads: list) -> None:
    """Put real views in place of complex tensors, in lists."""
    for i, p in enumerate(params):
        if p.is_complex():
            for tensors in (params, *state_and_grads):
                tensors[i] = view_as_real(tensors[i])


def _default_to_fused_or_foreach(params, differentiable: bool, use_fused: bool = False) -> tuple[bool, bool]:
    """Which implementation to choose: (fused, foreach); neither by default, as in PyTorch on the CPU."""
    return use_fused and not differentiable and all(p is None or p.is_floating_point() for p in params), False


def _get_capturable_supported_devices(supports_xla: bool = True) -> list[str]:
    """Kinds of devices whose steps can be captured, of which none are here."""
    return ["cuda", "xpu", "hpu", *(["xla"] if supports_xla else [])]


def _disable_dynamo_if_unsupported(single_tensor_fn=None):
    """A decorator that leaves functions as they are."""
    return lambda func: func


_get_scalar_dtype = step_dtype

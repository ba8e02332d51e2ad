"""A module's state as a dictionary of tensors, and back."""

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from itertools import chain
from weakref import ref

from rushlight.autograd.grad_mode import no_grad
from rushlight.autograd.node import Handle
from rushlight.nn.parameter import Parameter, is_lazy
from rushlight.tensor import Tensor

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class StateMixin:
    """The part of `Module` that saves and loads its state."""

    _version = 1

    def state_dict(self, *args, destination=None, prefix: str = "", keep_vars: bool = False):
        """The parameters and persistent buffers of this module and all below it, by dotted name.

        Args:
            destination: a dictionary to fill; a new one by default.
            prefix: what names begin with.
            keep_vars: give the parameters themselves rather than tensors outside the graph.
        Returns:
            An ordered dictionary of tensors that share the module's memory.

        >>> import rushlight as torch
        >>> list(torch.nn.Linear(2, 1).state_dict())
        ['weight', 'bias']
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to "
                "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict for "
                "details.",
                FutureWarning,
                stacklevel=2,
            )
            given = dict(zip(("destination", "prefix", "keep_vars"), args, strict=False))
            destination = given.get("destination") if destination is None else destination
            prefix, keep_vars = prefix or given.get("prefix", ""), keep_vars or given.get("keep_vars", False)
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, metadata)
            if changed is not None:
                if getattr(hook, "_from_public_api", False):
                    raise RuntimeError("state_dict post-hook must return None")
                destination = changed
        return destination

    def _save_to_state_dict(self, destination, prefix: str, keep_vars: bool) -> None:
        """Put this module's own parameters, buffers and extra state into `destination`."""
        buffers = ((k, b) for k, b in self._buffers.items() if k not in self._non_persistent_buffers_set)
        for name, tensor in chain(self._parameters.items(), buffers):
            if tensor is not None:
                destination[prefix + name] = tensor if keep_vars or is_lazy(tensor) else tensor.detach()
        if type(self).get_extra_state is not StateMixin.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def get_extra_state(self):
        """What else belongs to the `state_dict`; to be written by a subclass, with `set_extra_state`."""
        raise RuntimeError(
            f"get_extra_state: {type(self).__name__} has no extra state; define get_extra_state and "
            "set_extra_state to give it one"
        )

    def set_extra_state(self, state) -> None:
        """Take back what `get_extra_state` gave; to be written by a subclass."""
        raise RuntimeError(
            f"set_extra_state: {type(self).__name__} has no extra state; define get_extra_state and "
            "set_extra_state to give it one"
        )

    def load_state_dict(self, state_dict: Mapping, strict: bool = True, assign: bool = False):
        """Copy a state dictionary into this module's parameters and buffers.

        Args:
            state_dict: what `state_dict()` gave.
            strict: whether its keys must be exactly this module's.
            assign: use its tensors themselves, with their types, instead of copying their values.
        Returns:
            A named tuple of `missing_keys` and `unexpected_keys`.
        Raises:
            RuntimeError: keys or shapes do not fit; the message lists all that don't.
            TypeError: `state_dict` is not a dictionary.

        >>> import rushlight as torch
        >>> a, b = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
        >>> b.load_state_dict(a.state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)
        if metadata is not None:
            state_dict._metadata = metadata
        found, errors = _IncompatibleKeys([], []), []
        _load(self, state_dict, "", metadata or {}, assign, found, errors)
        if strict:
            for keys, what in ((found.unexpected_keys, "Unexpected"), (found.missing_keys, "Missing")):
                if keys:
                    names = ", ".join(f'"{key}"' for key in keys)
                    errors.insert(0, f"{what} key(s) in state_dict: {names}. ")
        if errors:
            lines = "\n\t".join(errors)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}")
        return found

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ) -> None:
        """Copy this module's own tensors and extra state from `state_dict`, noting what does not fit."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        assign = local_metadata.get("assign_to_params_buffers", False)
        buffers = ((k, b) for k, b in self._buffers.items() if k not in self._non_persistent_buffers_set)
        own = {k: t for k, t in chain(self._parameters.items(), buffers) if t is not None}
        for name, tensor in own.items():
            key = prefix + name
            if key in state_dict:
                self._load_tensor(name, key, tensor, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)
        extra_key = prefix + _EXTRA_STATE_KEY_SUFFIX
        if type(self).set_extra_state is not StateMixin.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if strict:
            unexpected_keys += self._unexpected(state_dict, prefix, own, extra_key)

    def _unexpected(self, state_dict, prefix: str, own: dict, extra_key: str) -> list[str]:
        """The keys under this prefix that name neither a tensor of this module nor a submodule."""
        keys = []
        for key in state_dict:
            if key.startswith(prefix) and key != extra_key:
                name, dot, _ = key[len(prefix) :].partition(".")
                if name not in (self._modules if dot else own):
                    keys.append(key)
        return keys

    def _load_tensor(self, name: str, key: str, own: Tensor, given, assign: bool, error_msgs: list) -> None:
        """Copy (or assign) one tensor, or say why not."""
        if not isinstance(given, Tensor):
            error_msgs.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object '
                f"from checkpoint but received {type(given)}"
            )
            return
        if not is_lazy(own):
            if not own.shape and given.shape == (1,):
                given = given[0]  # scalars were saved so before PyTorch 0.4
            if given.shape != own.shape:
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {given.shape} from checkpoint, the "
                    f"shape in current model is {own.shape}."
                )
                return
        try:
            with no_grad():
                if assign:
                    setattr(self, name, _assignable(given, own))
                else:
                    if own.is_meta and not given.is_meta:
                        warnings.warn(
                            f"for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the "
                            "current model, which is a no-op. (Did you mean to pass `assign=True` to assign items in the "
                            "state dictionary to their corresponding key in the module instead of copying them in place?)",
                            stacklevel=2,
                        )
                    own.copy_(given)
        except Exception as error:
            error_msgs.append(
                f'While copying the parameter named "{key}", whose dimensions in the model are {own.size()} '
                f"and whose dimensions in the checkpoint are {given.size()}, an exception occurred : "
                f"{error.args}."
            )

    def register_state_dict_pre_hook(self, hook) -> Handle:
        """Call `hook(module, prefix, keep_vars)` before each `state_dict`; returns a handle."""
        return Handle(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook) -> Handle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after each `state_dict`, to change it."""
        hook._from_public_api = True
        return Handle(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook) -> Handle:
        """As `register_state_dict_post_hook`, for a hook that may also return another dictionary."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously "
                "registered via register_state_dict_post_hook"
            )
        return Handle(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook) -> Handle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)` before a state dictionary is loaded, to change it in place; returns a handle."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook, with_module: bool = False) -> Handle:
        return Handle(self._load_state_dict_pre_hooks, ModuleHook(hook, self) if with_module else hook)

    def register_load_state_dict_post_hook(self, hook) -> Handle:
        """Call `hook(module, incompatible_keys)` after loading; it may change the lists of keys."""
        return Handle(self._load_state_dict_post_hooks, hook)


class ModuleHook:
    """A hook that gets its module as first argument; a copy of the module has a copy of it."""

    def __init__(self, hook, module):
        self.hook, self.module = hook, ref(module)

    def __call__(self, *args, **kwargs):
        return self.hook(self.module(), *args, **kwargs)

    def __reduce__(self):
        return ModuleHook, (self.hook, self.module())


def _load(
    module, state_dict, prefix: str, metadata, assign: bool, found: _IncompatibleKeys, errors: list
) -> None:
    """Load a module and all below it."""
    local_metadata = metadata.get(prefix[:-1], {})
    if assign:
        local_metadata["assign_to_params_buffers"] = assign
    module._load_from_state_dict(state_dict, prefix, local_metadata, True, *found, errors)
    for name, child in module._modules.items():
        if child is not None:
            below = f"{prefix}{name}."
            part = {key: value for key, value in state_dict.items() if key.startswith(below)}
            _load(child, part, below, metadata, assign, found, errors)
    for hook in module._load_state_dict_post_hooks.values():
        if hook(module, found) is not None:
            raise AssertionError(
                "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                "values, if incompatible_keys need to be modified, it should be done inplace."
            )


def _assignable(given: Tensor, own: Tensor) -> Tensor:
    """The tensor to use in place of a module's own one."""
    if not isinstance(own, Parameter):
        return given
    if isinstance(given, Parameter):
        return given.requires_grad_(own._rg)
    return Parameter(given, own._rg)

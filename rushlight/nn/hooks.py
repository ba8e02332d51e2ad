"""Hooks on modules: functions called around forward and backward passes, on one module or on all."""

import warnings
from collections import OrderedDict
from weakref import ref

from rushlight.autograd.node import Handle
from rushlight.nn.backward_hook import BackwardHook
from rushlight.tensor import Tensor

_global_buffer_registration_hooks: dict = OrderedDict()
_global_module_registration_hooks: dict = OrderedDict()
_global_parameter_registration_hooks: dict = OrderedDict()
_global_backward_pre_hooks: dict = OrderedDict()
_global_backward_hooks: dict = OrderedDict()
_global_forward_pre_hooks: dict = OrderedDict()
_global_forward_hooks: dict = OrderedDict()
_global_forward_hooks_always_called: dict = {}
_global_forward_hooks_with_kwargs: dict = {}
_global_kind: dict = {"full": None}  # whether the global backward hooks are full ones

HOOK_TABLES = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
_MIXED = "Cannot use both regular backward hooks and full backward hooks {}. Please use only one of them."


class HookMixin:
    """The part of `Module` that registers hooks and calls them."""

    # Whether there may be hooks to call: set on an instance by its own, on this class by global ones.
    _hooked = False

    def register_forward_pre_hook(self, hook, *, prepend: bool = False, with_kwargs: bool = False) -> Handle:
        """Call `hook(module, args)` before each forward; what it returns replaces the arguments.

        Args:
            hook: returns None, a new tuple of arguments, or a single new argument.
            prepend: call it before the hooks registered so far.
            with_kwargs: call `hook(module, args, kwargs)`, which returns None or both, changed.
        Returns:
            A handle whose `remove()` takes the hook off.
        """
        handle = self._hook(self._forward_pre_hooks, hook, prepend)
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        return handle

    def register_forward_hook(
        self, hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> Handle:
        """Call `hook(module, args, output)` after each forward; what it returns replaces the output.

        Args:
            hook: returns None or a new output.
            prepend: call it before the hooks registered so far.
            with_kwargs: call `hook(module, args, kwargs, output)`.
            always_call: call it even where forward raised an exception.
        Returns:
            A handle whose `remove()` takes the hook off.

        >>> import rushlight as torch
        >>> layer = torch.nn.Identity()
        >>> handle = layer.register_forward_hook(lambda module, args, output: output + 1)
        >>> layer(torch.zeros(2))
        tensor([1., 1.])
        """
        handle = self._hook(self._forward_hooks, hook, prepend)
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        return handle

    def register_full_backward_pre_hook(self, hook, prepend: bool = False) -> Handle:
        """Call `hook(module, grad_output)` before the gradients of each backward enter the module.

        Args:
            hook: gets a tuple of gradients of the outputs; what it returns replaces them.
            prepend: call it before the hooks registered so far.
        Returns:
            A handle whose `remove()` takes the hook off.
        """
        return self._hook(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook, prepend: bool = False) -> Handle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the module's inputs are known.

        Args:
            hook: gets two tuples; what it returns replaces the gradients of the inputs.
            prepend: call it before the hooks registered so far.
        Returns:
            A handle whose `remove()` takes the hook off.
        Raises:
            RuntimeError: the module has backward hooks of the old kind.
        """
        if self._is_full_backward_hook is False:
            raise RuntimeError(_MIXED.format("on a single Module"))
        self._is_full_backward_hook = True
        return self._hook(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook) -> Handle:
        """Call `hook(module, grad_input, grad_output)` on the last operation of the module: the old, partial
        kind.

        Use `register_full_backward_hook`, whose gradients are those of the module's inputs.
        """
        if self._is_full_backward_hook is True:
            raise RuntimeError(_MIXED.format("on a single Module"))
        self._is_full_backward_hook = False
        return self._hook(self._backward_hooks, hook, False)

    def _hook(self, hooks: OrderedDict, hook, prepend: bool) -> Handle:
        handle = Handle(hooks, hook)
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        self.__dict__["_hooked"] = True
        return handle

    def _any_hooks(self) -> bool:
        return bool(
            self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks
        )

    def _get_backward_hooks(self) -> tuple[list, list]:
        """The full backward hooks, and those of the old kind, the global ones first."""
        kinds: dict = {True: [], False: [], None: []}
        kinds[_global_kind["full"]] += _global_backward_hooks.values()
        kinds[self._is_full_backward_hook] += self._backward_hooks.values()
        return kinds[True], kinds[False]

    def _call_hooked(self, args: tuple, kwargs: dict):
        """A call that is compiled, or has hooks."""
        if self._compiled_call_impl is not None:
            return self._compiled_call_impl(*args, **kwargs)
        if not (self._any_hooks() or _any_global_hooks()):
            self.__dict__.pop("_hooked", None)  # all were removed
            HookMixin._hooked = False
        return self._call_impl(*args, **kwargs)

    def _call_impl(self, *args, **kwargs):
        """Forward with the hooks around it."""
        if not (self._any_hooks() or _any_global_hooks()):
            return self.forward(*args, **kwargs)
        seen: set = set()  # the forward hooks called so far
        result = None
        try:
            args, kwargs = self._run_pre_hooks(args, kwargs)
            full, partial = self._get_backward_hooks()
            pre = [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]
            backward_hook = BackwardHook(self, full, pre) if full or pre else None
            if backward_hook:
                args = backward_hook.watch_inputs(args)
            result = self.forward(*args, **kwargs)
            result = self._run_forward_hooks(args, kwargs, result, seen)
            if backward_hook:
                if not isinstance(result, Tensor | tuple):
                    warnings.warn(
                        "For backward hooks to be called, module output should be a Tensor or a tuple of "
                        f"Tensors but received {type(result)}",
                        stacklevel=3,
                    )
                result = backward_hook.watch_outputs(result)
            if partial:
                self._hook_last_node(result, partial)
            return result
        except Exception:
            self._run_always_called(args, kwargs, result, seen)
            raise

    def _run_pre_hooks(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        for number, hook in (*_global_forward_pre_hooks.items(), *self._forward_pre_hooks.items()):
            if number in self._forward_pre_hooks_with_kwargs:
                changed = hook(self, args, kwargs)
                if changed is None:
                    continue
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
                        f"{changed}."
                    )
                args, kwargs = changed
            else:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        return args, kwargs

    def _all_forward_hooks(self):
        """Each forward hook: its number, itself, whether it gets keywords, whether it is always called."""
        for number, hook in list(_global_forward_hooks.items()):
            always = number in _global_forward_hooks_always_called
            yield (
                number,
                hook,
                number in _global_forward_hooks_with_kwargs,
                always,
                "global module forward hook",
            )
        for number, hook in list(self._forward_hooks.items()):
            always = number in self._forward_hooks_always_called
            yield number, hook, number in self._forward_hooks_with_kwargs, always, "module forward hook"

    def _run_forward_hooks(self, args, kwargs, result, seen: set):
        for number, hook, with_kwargs, _, _ in self._all_forward_hooks():
            seen.add(number)
            changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
            if changed is not None:
                result = changed
        return result

    def _run_always_called(self, args, kwargs, result, seen: set) -> None:
        """After an exception: the hooks that asked to be called nevertheless and were not yet."""
        for number, hook, with_kwargs, always, kind in self._all_forward_hooks():
            if not always or number in seen:
                continue
            try:
                changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                if changed is not None:
                    result = changed
            except Exception as error:
                warnings.warn(
                    f"{kind} with ``always_call=True`` raised an exception that was silenced as another "
                    f"error was raised in forward: {error}",
                    stacklevel=4,
                )

    def _hook_last_node(self, result, hooks: list) -> None:
        """Old backward hooks: on the operation that made the (first) output."""
        while not isinstance(result, Tensor):
            values = result.values() if isinstance(result, dict) else result
            result = next(v for v in values if not isinstance(result, dict) or isinstance(v, Tensor))
        if result.grad_fn is not None:
            me = ref(self)
            for hook in hooks:
                result.grad_fn.register_hook(lambda grads, outputs, hook=hook: hook(me(), grads, outputs))


def _any_global_hooks() -> bool:
    return bool(
        _global_forward_hooks
        or _global_forward_pre_hooks
        or _global_backward_hooks
        or _global_backward_pre_hooks
    )


def _register_global(hooks: dict, hook) -> Handle:
    HookMixin._hooked = True
    return Handle(hooks, hook)


def register_module_forward_pre_hook(hook) -> Handle:
    """Call `hook(module, args)` before each forward of every module, ahead of the module's own hooks."""
    return _register_global(_global_forward_pre_hooks, hook)


def register_module_forward_hook(hook, *, with_kwargs: bool = False, always_call: bool = False) -> Handle:
    """Call `hook(module, args, output)` after each forward of every module, ahead of its own hooks."""
    handle = _register_global(_global_forward_hooks, hook)
    if with_kwargs:
        _global_forward_hooks_with_kwargs[handle.id] = True
    if always_call:
        _global_forward_hooks_always_called[handle.id] = True
    return handle


def register_module_full_backward_pre_hook(hook) -> Handle:
    """Call `hook(module, grad_output)` before the gradients of each backward enter any module."""
    return _register_global(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook) -> Handle:
    """Call `hook(module, grad_input, grad_output)` when the gradients of any module's inputs are known."""
    if _global_kind["full"] is False:
        raise RuntimeError(_MIXED.format("as a global Module hook"))
    _global_kind["full"] = True
    return _register_global(_global_backward_hooks, hook)


def register_module_backward_hook(hook) -> Handle:
    """Call `hook(module, grad_input, grad_output)` on the last operation of every module: the old kind."""
    if _global_kind["full"] is True:
        raise RuntimeError(_MIXED.format("as a global Module hook"))
    _global_kind["full"] = False
    return _register_global(_global_backward_hooks, hook)


def register_module_buffer_registration_hook(hook) -> Handle:
    """Call `hook(module, name, buffer)` whenever a buffer is registered; what it returns replaces it."""
    return Handle(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook) -> Handle:
    """Call `hook(module, name, submodule)` whenever one is registered; what it returns replaces it."""
    return Handle(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook) -> Handle:
    """Call `hook(module, name, param)` whenever a parameter is registered; what it returns replaces it."""
    return Handle(_global_parameter_registration_hooks, hook)


def registered(hooks: dict, module, name: str, value):
    """What is to be registered, after the registration hooks have seen it."""
    for hook in hooks.values():
        changed = hook(module, name, value)
        if changed is not None:
            value = changed
    return value

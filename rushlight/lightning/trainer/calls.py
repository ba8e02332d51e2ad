"""Calling hooks: those of callbacks first, then the model's. What nobody defines is found once and costs nothing."""

import functools
import inspect
import time

from rushlight.lightning.callbacks.callback import LOOK_EVERY, Callback
from rushlight.lightning.core.module import LightningModule, is_overridden
from rushlight.lightning.utilities.parsing import accepts

_LATE = (
    "on_train_batch_end",
    "on_train_epoch_end",
    "on_validation_end",
)  # callbacks that save see what others did
_OLD = {  # hooks of Lightning 1.x by the one that they come with
    "on_fit_start": ("on_pretrain_routine_start", "on_pretrain_routine_end"),
    "on_train_epoch_start": ("on_epoch_start",),
    "on_validation_epoch_start": ("on_epoch_start",),
    "on_test_epoch_start": ("on_epoch_start",),
    "on_train_epoch_end": ("on_epoch_end",),
    "on_validation_epoch_end": ("on_epoch_end",),
    "on_test_epoch_end": ("on_epoch_end",),
}


def fitted(function, given: int, fill=None):
    """A function that takes `given` arguments by position, from one that may take fewer or more.

    Args:
        function: the function; arguments that it doesn't take are left out.
        given: how many there are.
        fill: for those that it needs and that aren't there.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return function
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = sum(p.default is p.empty for p in named)
    if len(named) < given:
        return lambda *args: function(*args[: len(named)])
    if needed > given:
        return lambda *args: function(*args, *[fill] * (needed - len(args)))
    return function


class _Found(dict):
    """A dictionary that finds what isn't there yet by a function."""

    def __init__(self, find):
        super().__init__()
        self.find = find

    def __bool__(self) -> bool:
        return True

    def __missing__(self, key):
        self[key] = found = self.find(key)
        return found


def _bound(method, first: tuple, count: int, fill):
    """A hook with its first arguments filled in, that takes so many more."""
    method = fitted(method, len(first) + count, fill)
    return functools.partial(method, *first) if first else method


def _is_due(callback, hook: str, seldom: bool) -> bool:
    """Whether a callback's hook has something to do, among those that are called seldom or among the others."""
    method = getattr(callback, hook)
    needed = getattr(method, "only_if", None)
    return getattr(method, "seldom", False) is seldom and (needed is None or bool(getattr(callback, needed)))


class HookCaller:
    """The part of the Trainer that calls hooks.

    Attributes:
        hooks: the methods to call, by the name of the hook and the number of arguments; nothing where there are none.
        own: whether the model defines a method itself, by its name.
    """

    def _forget_hooks(self) -> None:
        """Look for hooks anew: the model or the callbacks are others."""
        self.hooks = _Found(self._find)
        self.own = _Found(lambda name: is_overridden(name, self.lightning_module, LightningModule))
        self._steps = _Found(self._step)
        self._transfers: list | None = None

    def call(self, name: str, *args):
        """Call a hook of the callbacks and of the model; returns what the last of them returned that isn't None."""
        hooks = self.hooks[name]
        if not hooks:
            return None
        results = self._results
        previous = None if results is None else results.fx
        answer = None
        for hook in hooks[len(args)]:
            if results is not None:
                results.fx = name
            given = hook(*args)
            answer = answer if given is None else given
        if results is not None:
            results.fx = previous
        return answer

    def look(self, *args) -> float:
        """Call what is marked `seldom`; returns when to do so again: it may take 1 % of the time."""
        began = time.monotonic()
        self.call("on_train_batch_look", *args)
        ended = time.monotonic()
        return ended + max(LOOK_EVERY, 100 * (ended - began))

    def _find(self, name: str) -> dict:
        module = self.lightning_module
        fill = 0 if "batch" in name else None
        early, late = [], []
        name, seldom = ("on_train_batch_end", True) if name == "on_train_batch_look" else (name, False)
        for callback in self.callbacks:
            is_late = name in _LATE and (
                callback.saves
                or (name == "on_train_epoch_end" and getattr(callback, "monitor", None) is not None)
            )
            for hook in (name, *_OLD.get(name, ())):
                if is_overridden(hook, callback, Callback) and _is_due(callback, hook, seldom):
                    method = self._timed(f"[Callback]{callback.state_key}.{hook}", getattr(callback, hook))
                    (late if is_late else early).append((method, (self, module)))
        for hook in (name, *_OLD.get(name, ())):
            if is_overridden(hook, module, LightningModule) and not seldom:
                method = self._timed(
                    f"[LightningModule]{type(module).__qualname__}.{hook}", getattr(module, hook)
                )
                early.append((method, ()))
        hooks = early + late
        return _Found(lambda count: [_bound(*hook, count, fill) for hook in hooks]) if hooks else {}

    def _timed(self, action: str, function):
        """The function, timed by the profiler if there is one."""
        if not self.profiler.active:
            return function

        @functools.wraps(function)
        def timed(*args, **kwargs):
            with self.profiler.profile(action):
                return function(*args, **kwargs)

        return timed

    def _ask(self, owner, name: str, *args, **kwargs):
        """Call a method of the model or the datamodule, which may log."""
        results = self._results
        if results is None:
            return getattr(owner, name)(*args, **kwargs)
        previous, results.fx = results.fx, name
        try:
            return getattr(owner, name)(*args, **kwargs)
        finally:
            results.fx = previous

    def _ask_old(self, name: str, value):
        """What a hook of Lightning 1.x makes of a value; the value itself where there is none."""
        return self._ask(self.lightning_module, name, value) if self.own[name] else value

    def _step(self, name_and_count: tuple):
        """A step of the model as a function of so many arguments by position."""
        name, count = name_and_count
        method = fitted(getattr(self.lightning_module, name), count, 0)
        return self._timed(f"[Strategy]SingleDeviceStrategy.{name}", method)

    def _ask_optimizer_step(self, number, optimizer, closure) -> None:
        module, loop = self.lightning_module, self.fit_loop
        wrapped = self._wrapped_optimizers[self.optimizers.index(optimizer)]
        old = {"optimizer_idx": number or 0, "on_tpu": False, "using_native_amp": False, "using_lbfgs": False}
        old = {key: value for key, value in old.items() if accepts(module.optimizer_step, key)}
        if not old:
            self._ask(module, "optimizer_step", loop.epoch, loop.batch_idx, wrapped, closure)
            return
        self._ask(
            module, "optimizer_step", epoch=loop.epoch, batch_idx=loop.batch_idx, optimizer=wrapped,
            optimizer_closure=closure, **old,
        )  # fmt: skip

    def _ask_clipping(self, number, optimizer) -> None:
        module = self.lightning_module
        old = (number or 0,) if accepts(module.configure_gradient_clipping, "optimizer_idx") else ()
        limits = (self.gradient_clip_val, self.gradient_clip_algorithm)
        self._ask(module, "configure_gradient_clipping", optimizer, *old, *limits)

    def _ask_scheduler_step(self, scheduler, metric) -> None:
        module = self.lightning_module
        old = (0,) if accepts(module.lr_scheduler_step, "optimizer_idx") else ()
        self._ask(module, "lr_scheduler_step", scheduler, *old, metric)

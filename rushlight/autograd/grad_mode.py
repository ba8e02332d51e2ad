"""Whether operations are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`."""

import functools
import inspect
import threading


class _Mode(threading.local):
    enabled = True
    keeps_graphs = False  # vmap runs a function again, which may go through the same graph again
    inference = False
    task = None  # (roots, captures) of the backward pass that runs


MODE = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require gradients are being recorded in this thread.

    >>> import rushlight as torch
    >>> torch.is_grad_enabled()
    True
    """
    return MODE.enabled


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is on in this thread."""
    return MODE.inference


class _Switch:
    """A grad mode as a context manager and as a decorator of functions, generators and coroutines."""

    def __init__(self, enabled: bool, inference: bool = False):
        self._target = enabled, inference
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self):
        self._before.append((MODE.enabled, MODE.inference))
        MODE.enabled, MODE.inference = self._target

    def __exit__(self, *exception):
        MODE.enabled, MODE.inference = self._before.pop()

    def _fresh(self):
        switch = _Switch.__new__(_Switch)
        _Switch.__init__(switch, *self._target)
        return switch

    def __call__(self, function):
        if inspect.isclass(function):
            raise TypeError(
                f"{type(self).__name__}: expected a function to decorate, got the class {function.__name__}"
            )
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)

        @functools.wraps(function)
        def decorated(*args, **kwargs):
            with self._fresh():
                return function(*args, **kwargs)

        return decorated

    def _wrap_generator(self, function):
        """Hold the mode while the generator runs, and the caller's mode while it is suspended."""

        @functools.wraps(function)
        def decorated(*args, **kwargs):
            generator = function(*args, **kwargs)
            step, value = generator.send, None
            while True:
                try:
                    with self._fresh():
                        item = step(value)
                except StopIteration as stop:
                    return stop.value
                try:
                    step, value = generator.send, (yield item)
                except GeneratorExit:
                    generator.close()
                    raise
                except BaseException as error:
                    step, value = generator.throw, error

        return decorated


class no_grad(_Switch):
    """Stop recording: results inside do not require gradients. Context manager and decorator.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, function=None):
        switch = super().__new__(cls)
        if function is None:
            return switch
        switch.__init__()
        return switch(function)

    def __init__(self):
        super().__init__(False, MODE.inference)


class enable_grad(no_grad):
    """Record again inside a `no_grad` block. Context manager and decorator.

    >>> import rushlight as torch
    >>> with torch.no_grad(), torch.enable_grad():
    ...     torch.is_grad_enabled()
    True
    """

    def __init__(self):
        _Switch.__init__(self, True, MODE.inference)


class set_grad_enabled(_Switch):
    """Switch recording on or off, at once; as a context manager, back again at its end.

    Args:
        mode: True to record, False not to.

    >>> import rushlight as torch
    >>> with torch.set_grad_enabled(False):
    ...     torch.is_grad_enabled()
    False
    """

    def __init__(self, mode: bool):
        before = MODE.enabled, MODE.inference
        super().__init__(bool(mode), MODE.inference)
        MODE.enabled = bool(mode)
        self._at_once = before

    def __enter__(self):
        super().__enter__()
        self._before[-1] = self._at_once

    def __call__(self, function):
        MODE.enabled, MODE.inference = self._at_once
        return super().__call__(function)


class inference_mode(_Switch):
    """Like `no_grad`, for code that will never need a gradient of what it computes.

    Args:
        mode: False leaves recording on.
    """

    def __new__(cls, mode=True):
        switch = super().__new__(cls)
        if callable(mode):
            switch.__init__()
            return switch(mode)
        return switch

    def __init__(self, mode: bool = True):
        super().__init__(not mode, bool(mode))


class set_multithreading_enabled:
    """Whether backward passes may use several threads per device; accepted: here one thread runs them all.

    Args:
        mode: True or False; takes effect at once and, as a context manager, until its end.
    """

    _enabled = True

    def __init__(self, mode: bool):
        self._before = set_multithreading_enabled._enabled
        set_multithreading_enabled._enabled = self.mode = bool(mode)

    def __enter__(self):
        return None

    def __exit__(self, *exception):
        set_multithreading_enabled._enabled = self._before

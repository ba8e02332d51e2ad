"""A callback made of functions."""

from rushlight.lightning.callbacks.callback import HOOKS, Callback


class LambdaCallback(Callback):
    """A callback of functions, given by the names of the hooks.

    Args:
        **hooks: functions; each is called with what its hook is called with.
    Raises:
        TypeError: there is no such hook.

    >>> LambdaCallback(on_train_start=lambda trainer, module: print("go")).on_train_start(None, None)
    go
    """

    def __init__(self, **hooks):
        for name, function in hooks.items():
            if name not in HOOKS:
                raise TypeError(f"LambdaCallback: there is no hook {name!r}; there are {', '.join(HOOKS)}")
            if function is not None:
                setattr(self, name, function)

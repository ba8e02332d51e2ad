"""Compiled modules."""

from rushlight.nn.module import Module


class OptimizedModule(Module):
    """A module whose calls are compiled; everything else is that of the module it stands for.

    Args:
        module: the original, kept as `_orig_mod`; keys of `state_dict` begin with that name.
        compiled: its compiled call.
    """

    def __init__(self, module: Module, compiled):
        super().__init__()
        self.__dict__["_compiled"] = compiled
        del self.__dict__["training"]
        self._modules["_orig_mod"] = module

    @property
    def training(self) -> bool:
        """That of the original module."""
        return self._modules["_orig_mod"].training

    @training.setter
    def training(self, mode: bool) -> None:
        if "_orig_mod" in self._modules:
            self._modules["_orig_mod"].training = mode
        else:
            self.__dict__["training"] = mode

    def __call__(self, *args, **kwargs):
        return self._compiled(*args, **kwargs)

    def forward(self, *args, **kwargs):
        """The compiled call of the original module."""
        return self._compiled(*args, **kwargs)

    def report(self) -> str:
        """What became of the recordings, see `torch.compile`."""
        return self._compiled.report()

    def __getattr__(self, name: str):
        if name == "_orig_mod":
            return self._modules["_orig_mod"]
        return getattr(self._modules["_orig_mod"], name)

    def __setattr__(self, name: str, value) -> None:
        original = self.__dict__.get("_modules", {}).get("_orig_mod")
        if original is None or name == "training":
            super().__setattr__(name, value)
        else:
            setattr(original, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._modules["_orig_mod"], name)

    def __reduce__(self):
        compiled = self._compiled
        return _rebuilt, (self._modules["_orig_mod"], compiled._fullgraph, compiled._eager)


def _rebuilt(module: Module, fullgraph: bool, eager: bool) -> OptimizedModule:
    from rushlight.compiler import _compiled

    return _compiled(module, fullgraph, eager)

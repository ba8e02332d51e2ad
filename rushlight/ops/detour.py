"""Functions led elsewhere for a while, and costing nothing more for the rest of the time.

Their code objects are exchanged: whoever holds such a function, by whatever name and however long ago it was
imported, then calls the handler. A test of a flag in every op instead would cost each call.
"""

import functools
from types import CodeType, FunctionType

_NUMBER = 987654321  # stands for a detour's number in code
_detours: list["Detour"] = []
_own_code: dict[FunctionType, CodeType] = {}


class Detour:
    """A function's calls handed to a handler while it is on.

    Args:
        function: a function written in Python.
        handler: called as `handler(original, args, kwargs)`, where `original` does what the function did before.
    """

    def __init__(self, function: FunctionType, handler):
        self.function, self.handler = function, handler
        code = _own_code.setdefault(function, function.__code__)
        self.original = FunctionType(
            code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        self.original.__kwdefaults__ = function.__kwdefaults__
        self._code = _code_of_call(len(_detours), code.co_freevars)
        self._before = code
        _detours.append(self)

    def on(self) -> None:
        """Hand calls to the handler from now on."""
        self._before = self.original.__code__ = (
            self.function.__code__
        )  # of an earlier detour, if there is one
        self.function.__code__ = self._code

    def off(self) -> None:
        """Undo `on`. Of several detours of one function the last that was put on goes off first."""
        self.function.__code__ = self._before


@functools.cache
def _template(free: tuple) -> CodeType:
    """Code that calls the handler of the detour number `_NUMBER`, with these free variables."""
    names = ", ".join(free)
    source = f"""
def make({names}):
    def op(*args, **kwargs):
        from rushlight.ops.detour import _detours
        detour = _detours[{_NUMBER}]
        return detour.handler(detour.original, args, kwargs)
        {names}
    return op
"""
    scope: dict = {}
    exec(source, scope)
    return scope["make"](*free).__code__


def _code_of_call(number: int, free: tuple) -> CodeType:
    """Code that calls the handler; it has as many free variables as the code that it replaces."""
    template = _template(free)
    return template.replace(co_consts=tuple(number if c == _NUMBER else c for c in template.co_consts))

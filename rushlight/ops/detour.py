"""Functions led elsewhere for a while, and costing nothing more for the rest of the time.

Their code objects are exchanged: whoever holds such a function, by whatever name and however long ago it was
imported, then calls the handler. A test of a flag in every op instead would cost each call.
"""

import functools
from types import CodeType, FunctionType

_NUMBER = 987654321  # stands for a detour in code
_own_code: dict[FunctionType, CodeType] = {}
_shown: set[FunctionType] = set()  # those that have a `__wrapped__` from here
_alone: list["Group"] = []  # the groups that are on without being in `_active`: one at most
_active: dict[FunctionType, list["Detour"]] = {}  # those that are on, the last first asked


def own_code(function: FunctionType) -> CodeType:
    """The code that does what the function does, whatever detours are on."""
    return _own_code.get(function, function.__code__)


class Detour:
    """A function's calls handed to a handler while it is on.

    Several detours of one function may be on, and go off in any order: the last that was put on is asked first, and its
    `original` is the one before it.

    Args:
        function: a function written in Python.
        handler: called as `handler(original, args, kwargs)`, where `original` does what the function does.
    """

    def __init__(self, function: FunctionType, handler):
        self.function, self.handler = function, handler
        self._plain = _own_code.setdefault(function, function.__code__)
        self._active = _active.setdefault(function, [])
        self.original = self._with_code(self._plain)
        self._code = _code_of_call(self, self._plain.co_freevars)

    def plain(self) -> FunctionType:
        """The function as it is without detours."""
        return self._with_code(self._plain)

    def _with_code(self, code: CodeType) -> FunctionType:
        """The function with other code."""
        f = self.function
        made = FunctionType(code, f.__globals__, f.__name__, f.__defaults__, f.__closure__)
        made.__kwdefaults__ = f.__kwdefaults__
        return made

    def on(self) -> None:
        """Hand calls to the handler from now on."""
        for group in list(_alone):
            group.settle()
        active = self._active
        if active:
            self.original = self._with_code(active[-1]._code)
        elif not hasattr(self.function, "__wrapped__"):
            self.function.__wrapped__ = self.plain()  # where `inspect` finds the signature and the source
            _shown.add(self.function)
        active.append(self)
        self.function.__code__ = self._code

    def off(self) -> None:
        """Undo `on`."""
        active = self._active
        last = len(active) - 1 - active[::-1].index(self)
        del active[last]
        for i in range(last, len(active)):
            active[i].original = self._with_code(active[i - 1]._code if i else self._plain)
        if not active:
            self.original = self._with_code(self._plain)
            if self.function in _shown:
                _shown.remove(self.function)
                del self.function.__wrapped__
        self.function.__code__ = active[-1]._code if active else self._plain


class Group:
    """Detours that go on and off together, quickly where no others are on.

    Args:
        detours: of different functions.
    """

    def __init__(self, detours: list[Detour]):
        self.detours = detours
        self._codes = [(d.function, d._code) for d in detours]
        self._plain = [(d.function, d._plain) for d in detours]

    def on(self) -> None:
        """Hand calls to the handlers from now on."""
        if any(_active.values()):
            for detour in self.detours:
                detour.on()
            return
        for function, code in self._codes:
            function.__code__ = code
        _alone.append(self)

    def off(self) -> None:
        """Undo `on`."""
        if self not in _alone:
            for detour in self.detours:
                detour.off()
            return
        _alone.remove(self)
        for function, code in self._plain:
            function.__code__ = code

    def settle(self) -> None:
        """Note that the detours are on, as others come beside them."""
        _alone.remove(self)
        for detour in self.detours:
            detour.on()


@functools.cache
def _template(free: tuple) -> CodeType:
    """Code that calls the handler of the detour number `_NUMBER`, with these free variables."""
    names = ", ".join(free)
    source = f"""
def make({names}):
    def op(*args, **kwargs):
        detour = {_NUMBER}
        return detour.handler(detour.original, args, kwargs)
        {names}
    return op
"""
    scope: dict = {}
    exec(compile(source, __file__, "exec"), scope)  # who asks where it is from sees that it is ours
    return scope["make"](*free).__code__


def _code_of_call(detour: Detour, free: tuple) -> CodeType:
    """Code that calls the handler; it has as many free variables as the code that it replaces."""
    template = _template(free)
    return template.replace(co_consts=tuple(detour if c == _NUMBER else c for c in template.co_consts))

"""Functions led elsewhere for a while."""

import inspect

from rushlight.ops.detour import Detour


def make(offset):
    def plain(x, y=1, *, z=0):
        return offset + x + y + z

    return plain


def test_a_detour_and_back():
    function, other = make(10), make(20)
    seen = []

    def handler(original, args, kwargs):
        seen.append((args, kwargs))
        return -original(*args, **kwargs)

    held = function  # as if it had been imported elsewhere
    detour = Detour(function, handler)
    assert held(1) == 12
    detour.on()
    assert held(1, z=5) == -17 and other(1) == 22
    detour.off()
    assert held(1, 2) == 13 and seen == [((1,), {"z": 5})]


def test_several_detours_of_one_function():
    function = make(0)
    first = Detour(function, lambda original, args, kwargs: ("first", original(*args)))
    second = Detour(function, lambda original, args, kwargs: ("second", original(*args)))
    first.on()
    third = Detour(function, lambda original, args, kwargs: ("third", original(*args)))
    second.on()
    assert function(1) == ("second", ("first", 2))
    second.off()
    assert function(1) == ("first", 2)
    third.on()
    assert function(1) == ("third", ("first", 2))
    first.off()
    assert function(1) == ("third", 2)
    third.off()
    assert function(1) == 2


def test_signatures_are_seen_through_detours():
    function = make(0)
    detour = Detour(function, lambda original, args, kwargs: original(*args, **kwargs))
    for switch in (detour.on, detour.off):
        switch()
        assert str(inspect.signature(function)) == "(x, y=1, *, z=0)"
        assert "return offset + x" in inspect.getsource(function)
    assert not hasattr(function, "__wrapped__")

"""Memory that nothing was written to, where repeatable results are asked for."""

import pytest

import rushlight

torch = pytest.importorskip("torch")

TYPES = ["float32", "float16", "bfloat16", "complex64", "int64", "uint8", "bool"]
MAKERS = {
    "empty": lambda t, d: t.empty(2, 2, dtype=d),
    "empty_like": lambda t, d: t.empty_like(t.zeros(2, 3, dtype=d).t()),
    "new_empty": lambda t, d: t.zeros(1, dtype=d).new_empty(2),
    "empty_strided": lambda t, d: t.empty_strided((2, 1), (1, 2), dtype=d),
    "resize_": lambda t, d: t.zeros(1, dtype=d).resize_(3),
    "Tensor": lambda t, d: t.Tensor(2),
}


@pytest.fixture(autouse=True)
def asked_for():
    for t in (rushlight, torch):
        t.use_deterministic_algorithms(True)
    yield
    for t in (rushlight, torch):
        t.use_deterministic_algorithms(False)
        t.utils.deterministic.fill_uninitialized_memory = True


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("kind", TYPES)
def test_it_is_filled(name, kind):
    make = MAKERS[name]
    ours, theirs = make(rushlight, getattr(rushlight, kind)), make(torch, getattr(torch, kind))
    assert repr(ours) == repr(theirs)


def test_it_is_left_alone_where_that_is_switched_off():
    setting = rushlight.utils.deterministic
    assert setting.fill_uninitialized_memory is True
    setting.fill_uninitialized_memory = False
    assert not rushlight.config.fills_uninitialized_memory()
    with pytest.raises(RuntimeError, match="expected a bool, but got int"):
        setting.fill_uninitialized_memory = 1


def test_zeros_and_ones_stay_what_they_are():
    columns = rushlight.empty(3, 2).t()
    assert rushlight.zeros_like(columns).sum() == 0 and rushlight.ones_like(columns).sum() == 6

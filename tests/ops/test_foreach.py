"""`torch._foreach_*` against PyTorch."""

import pytest

import rushlight

torch = pytest.importorskip("torch")
NAMES = sorted(n for n in dir(torch) if n.startswith("_foreach_") and n != "_foreach_powsum")


def results(framework, name):
    """What a function makes of lists with no, one and two more lists, numbers and lists of numbers."""
    found = []
    for further in (
        (),
        "b",
        (2.0,),
        ([2.0, 3.0],),
        "bc",
        ("b", 0.3),
        ("b", [0.3, 0.4]),
        ("b", "c", 0.5),
        ("b", "c", [0.5, 2.0]),
    ):
        a, b, c = (
            [framework.tensor([0.3, 0.6]) * k, framework.tensor([[0.2, 0.9, 0.5]]) * k] for k in (1, 0.8, 0.6)
        )
        args = [{"b": b, "c": c}[f] if isinstance(f, str) else f for f in further]
        try:
            result = getattr(framework, name)(a, *args)
        except (TypeError, RuntimeError) as error:
            result = type(error).__name__
        found.append((str(result), str(a)))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_foreach(name):
    ours, theirs = results(rushlight, name), results(torch, name)
    assert [o for o, t in zip(ours, theirs, strict=True) if "Error" not in t[0]] == [
        t for t in theirs if "Error" not in t[0]
    ]


def test_errors():
    for wrong in (
        lambda: rushlight._foreach_add([], 1),
        lambda: rushlight._foreach_add([rushlight.ones(1)], [1.0, 2.0]),
    ):
        with pytest.raises(RuntimeError, match="_foreach_add"):
            wrong()
    with pytest.raises(TypeError):
        rushlight._foreach_exp(rushlight.ones(1))

"""torch.utils.benchmark: what is measured, and how it is printed."""

import re

import pytest

import rushlight
from rushlight.utils import benchmark


def ticking():
    """A clock that goes on by a millisecond each time it is read."""
    ticks = iter(range(10**9))
    return lambda: next(ticks) * 1e-3


def timers(module, **kwargs):
    return module.Timer("x + 1", "y = 2", globals={"x": 1}, timer=ticking(), **kwargs)


def shown(measurement):
    return re.sub("0x[0-9a-f]+|, *1 thread", "", repr(measurement)).replace("rushlight", "torch")


@pytest.mark.parametrize("labels", [{}, {"label": "sum", "sub_label": "of two", "description": "plain"}])
def test_measurements_print_as_in_pytorch(labels):
    theirs = pytest.importorskip("torch.utils.benchmark")
    ours = timers(benchmark, **labels).timeit(10)
    assert ours.mean == ours.median == pytest.approx(1e-4)
    assert shown(ours) == shown(timers(theirs, **labels).timeit(10))
    several = [
        m.Measurement(10, [0.1, 0.2, 0.25, 0.3, 0.4], m.TaskSpec("x", "pass", **labels))
        for m in (benchmark, theirs)
    ]
    assert several[0].iqr == pytest.approx(several[1].iqr)
    assert [m.median for m in several] == [0.025, 0.025]


def test_running_until_it_is_enough():
    seen = []
    blocked = timers(benchmark).blocked_autorange(
        callback=lambda n, t: seen.append((n, t)), min_run_time=0.02
    )
    assert sum(blocked.raw_times) >= 0.02 and len(seen) == len(blocked.raw_times)
    adaptive = timers(benchmark, num_threads=1).adaptive_autorange(min_run_time=0.005)
    assert adaptive.iqr < 0.1 * adaptive.median and not adaptive.has_warnings
    assert adaptive.num_threads == 1 and adaptive.stmt == "x + 1"


def test_statements_have_torch_and_their_threads():
    used = []
    timer = benchmark.Timer("note(torch.get_num_threads())", globals={"note": used.append}, num_threads=1)
    before = rushlight.get_num_threads()
    timer.timeit(1)
    assert set(used) == {1} and rushlight.get_num_threads() == before


def test_tables():
    results = [
        benchmark.Measurement(
            1, [t * 1e-6], benchmark.TaskSpec("s", label="Dot", sub_label=row, description=c)
        )
        for row, c, t in [("[1]", "mul", 5.9), ("[1]", "bmm", 11.2), ("[10]", "mul", 100.0)]
    ]
    lines = str(benchmark.Compare(results)).splitlines()
    assert lines[0].startswith("[-") and " Dot " in lines[0]
    assert [cell.strip() for cell in lines[1].split("|")] == ["", "mul", "bmm"]
    assert [cell.strip() for cell in lines[3].split("|")] == ["[1]", "5.9", "11.2"]
    assert [cell.strip() for cell in lines[4].split("|")] == ["[10]", "100.0", ""]
    assert lines[-1] == "Times are in microseconds (us)."
    table = benchmark.Compare(results)
    table.colorize(rowwise=True)
    assert "\033[92m" in str(table) and "\033[31m" not in str(table)
    table.colorize()
    assert "\033[31m" in str(table)
    table.trim_significant_figures()
    assert "100.0" not in str(table)
    with pytest.raises(ValueError, match="Expected an instance"):
        benchmark.Compare([1])


def test_what_is_not_there():
    with pytest.raises(NotImplementedError, match="C\\+\\+"):
        benchmark.Timer("x;", language=benchmark.Language.CPP)
    with pytest.raises(NotImplementedError, match="blocked_autorange"):
        benchmark.Timer("1").collect_callgrind()

"""The profiler: what it sees, how it sums it, PyTorch's table and schedule."""

import gzip
import json
import re
import warnings

import pytest

import rushlight

torch = pytest.importorskip("torch")


def workload(t):
    """A training step under a name."""
    net = t.nn.Sequential(t.nn.Linear(4, 4), t.nn.ReLU())
    optimizer = t.optim.SGD(net.parameters(), lr=0.1)
    with t.profiler.record_function("training"):
        (net(t.ones(2, 4)).add(1).exp()).sum().backward()
        optimizer.step()


def profiled(t, **options):
    """The workload's profile."""
    with t.profiler.profile(activities=[t.profiler.ProfilerActivity.CPU], **options) as prof:
        workload(t)
    return prof


def test_sees_ops_gradients_and_the_optimizer():
    prof = profiled(rushlight)
    sums = {e.key: e for e in prof.key_averages()}
    theirs = {e.key for e in profiled(torch).key_averages()}
    for name in ("training", "aten::linear", "aten::exp", "aten::add", "Optimizer.step#SGD.step",
                 "autograd::engine::evaluate_function: ExpBackward0"):  # fmt: skip
        assert name in sums and name in theirs
    whole = sums["training"]
    assert whole.count == 1 and whole.cpu_time_total >= sums["aten::exp"].cpu_time_total > 0
    assert whole.self_cpu_time_total < whole.cpu_time_total
    inner = next(e for e in prof.events() if e.key == "aten::exp")
    assert inner.cpu_parent.key == "training" and inner in inner.cpu_parent.cpu_children


def test_the_table_is_pytorchs():
    def form(t):
        prof = profiled(t, record_shapes=True, profile_memory=True)
        table = prof.key_averages(group_by_input_shape=True).table(sort_by="cpu_time_total", row_limit=3)
        lines = table.splitlines()
        return lines[1].split(), len(lines), re.sub(r"[\d.]+\w+", "", lines[-1]), set(lines[0])

    assert form(rushlight) == form(torch)
    average = profiled(rushlight, record_shapes=True).key_averages(group_by_input_shape=True)
    assert "[[2, 4]" in next(e.input_shapes for e in average if e.key == "aten::linear")


@pytest.mark.parametrize(
    "options",
    [{}, {"header": "H"}, {"header": "H", "top_level_events_only": True}, {"max_name_column_width": None},
     {"max_name_column_width": 12}, {"time_unit": "s"}, {"time_unit": "us", "row_limit": 0}],
    ids=str,
)  # fmt: skip
def test_the_tables_columns_are_as_wide_as_pytorchs(options):
    def form(t):
        name = "a name that is longer than that of any operation, and is cut"
        cpu = [t.profiler.ProfilerActivity.CPU]
        with t.profiler.profile(activities=cpu) as prof, t.profiler.record_function(name):
            t.ones(2, 2)
        table = prof.key_averages().table(sort_by="cpu_time_total", **{"row_limit": 1, **options})
        return re.sub(r" *[\d.]+(?=[a-z%])", lambda found: "#" * len(found.group()), table).replace(
            "\n\n", "\n"
        )

    ours, theirs = form(rushlight).splitlines(), form(torch).splitlines()
    assert [len(line) for line in ours[:-1]] == [len(line) for line in theirs[:-1]]
    assert [re.sub(r"#+\w+", "#", line) for line in ours] == [re.sub(r"#+\w+", "#", line) for line in theirs]


def test_the_table_of_nothing_is_empty():
    assert rushlight.profiler.events.EventList().table() == ""


def test_nothing_is_recorded_outside():
    prof = profiled(rushlight)
    count = len(prof.events())
    workload(rushlight)
    assert len(prof.events()) == count
    with (
        pytest.raises(RuntimeError, match="already enabled"),
        rushlight.profiler.profile(),
        rushlight.profiler.profile(),
    ):
        pass
    with rushlight.profiler.profile() as after:
        rushlight.ones(1).neg()
    assert [e.key for e in after.events()][-1] == "aten::neg"


@pytest.mark.parametrize("settings", [
    {"wait": 1, "warmup": 1, "active": 2}, {"wait": 0, "warmup": 0, "active": 1, "repeat": 2},
    {"wait": 2, "warmup": 1, "active": 1, "skip_first": 3, "repeat": 1}, {"wait": 1, "warmup": 0, "active": 3, "skip_first": 1},
])  # fmt: skip
def test_schedule(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch advises warm-up steps
        ours, theirs = rushlight.profiler.schedule(**settings), torch.profiler.schedule(**settings)
    assert [ours(i).name for i in range(20)] == [theirs(i).name for i in range(20)]


def test_schedule_of_a_loop_and_trace_files(tmp_path):
    plan = rushlight.profiler.schedule(wait=1, warmup=1, active=2, repeat=2)
    handler = rushlight.profiler.tensorboard_trace_handler(str(tmp_path), worker_name="me")
    with rushlight.profiler.profile(schedule=plan, on_trace_ready=handler) as prof:
        for _ in range(10):
            rushlight.ones(2).exp()
            prof.step()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2 and files[0].name.startswith("me.") and files[0].name.endswith(".pt.trace.json")
    names = [e["name"] for e in json.loads(files[1].read_text())["traceEvents"]]
    assert names == ["ProfilerStep#6", "aten::ones", "aten::exp", "ProfilerStep#7", "aten::ones", "aten::exp"]
    prof.export_chrome_trace(str(tmp_path / "t.json.gz"))
    assert len(json.loads(gzip.decompress((tmp_path / "t.json.gz").read_bytes()))["traceEvents"]) == 6


def test_steps_add_up_under_one_name():
    # As PyTorch's `_rewrite_name` says; its own profiler can't be started often enough in one process to be asked.
    plan = rushlight.profiler.schedule(wait=0, warmup=1, active=3)
    with rushlight.profiler.profile(schedule=plan) as prof:
        for _ in range(4):
            rushlight.ones(2).exp()
            prof.step()
    sums = {e.key: e.count for e in prof.key_averages()}
    assert sums["ProfilerStep*"] == sums["aten::exp"] == 3
    assert [e.trace_name for e in prof.events() if e.name == "ProfilerStep*"] == [
        f"ProfilerStep#{i}" for i in (1, 2, 3)
    ]


def test_decorator_and_the_older_name():
    @rushlight.profiler.record_function("mine")
    def function():
        return rushlight.ones(1) * 2

    with rushlight.autograd.profiler.profile() as prof:
        function()
    assert [e.key for e in prof.key_averages()][:2] == ["mine", "aten::ones"]
    with rushlight.autograd.profiler.profile(enabled=False) as prof:
        function()
    assert not prof.events()
    with rushlight.autograd.profiler.record_function("without a profile"):
        pass

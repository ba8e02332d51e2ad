"""Profilers of the trainer: their reports, files and schedules. Names and lines are Lightning's."""

import json
import logging
import os

import pytest

import rushlight as torch
from rushlight import lightning as pl
from rushlight.lightning.profilers import AdvancedProfiler, PyTorchProfiler, SimpleProfiler
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from tests.lightning.models import QUIET, Checked, Line, loader


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # traces go to the folder of the run


STEP = "[Strategy]SingleDeviceStrategy.training_step"


def run(profiler, count: int = 20, **options):
    trainer = pl.Trainer(**{"max_epochs": 1, "profiler": profiler, **QUIET, **options})
    trainer.fit(Line(), loader(count))
    return trainer


@pytest.mark.parametrize("name", ["simple", "Advanced", "pytorch"])
def test_reports_go_to_the_log(name, caplog):
    with caplog.at_level(logging.INFO):
        run(name)
    assert "FIT Profiler Report" in caplog.text and STEP[:-5] in caplog.text


def test_rows_of_the_simple_one():
    profiler = SimpleProfiler()
    with profiler.profile("work"):
        pass
    lines = profiler.summary().splitlines()
    assert (
        lines[0] == "Profiler Report" and lines[1] == "" and set(lines[2]) == {"-"} and lines[-1] == lines[2]
    )
    titles = ["Action", "Mean duration (s)", "Num calls", "Total time (s)", "Percentage %"]
    assert [cell.strip() for cell in lines[3].split("|")] == ["", *titles, ""]
    assert lines[5].split()[:6] == ["|", "Total", "|", "-", "|", "1"] and len(lines) == 9
    assert len(lines[2]) == len(lines[3].expandtabs()) + 1
    short = SimpleProfiler(extended=False)
    short.recorded_durations.update(a=[1.0, 3.0], b=[2.5])
    rows = [line.split() for line in short.summary().splitlines() if "|" in line]
    assert rows[1:] == [["|", "b", "|", "2.5", "|", "2.5", "|"], ["|", "a", "|", "2.0", "|", "4.0", "|"]]


def test_files_are_named_after_the_stage(tmp_path):
    for kind in (SimpleProfiler, AdvancedProfiler):
        trainer = run(kind(tmp_path, kind.__name__))
        trainer.validate(Checked(), loader(), verbose=False)
    assert sorted(os.listdir(tmp_path)) == [
        "fit-AdvancedProfiler.txt", "fit-SimpleProfiler.txt", "validate-AdvancedProfiler.txt",
        "validate-SimpleProfiler.txt",
    ]  # fmt: skip
    logger = pl.loggers.CSVLogger(tmp_path / "logs")
    run(SimpleProfiler(filename="times"), logger=logger)
    assert "fit-times.txt" in os.listdir(logger.log_dir)
    run(AdvancedProfiler(tmp_path / "stats", dump_stats=True))
    assert f"fit-{STEP}.prof" in os.listdir(tmp_path / "stats")


def events(folder) -> list[str]:
    names = []
    for file in sorted(os.listdir(folder)):
        if file.endswith(".json"):
            with open(os.path.join(folder, file)) as opened:
                names.append([event["name"] for event in json.load(opened)["traceEvents"] if "name" in event])
    return names


def test_operations_of_three_steps(tmp_path):
    run(PyTorchProfiler(tmp_path, "ops", row_limit=-1), count=40)  # ten batches
    (names,) = events(tmp_path)
    assert [name for name in names if name.startswith("ProfilerStep")] == [
        f"ProfilerStep#{i}" for i in (2, 3, 4)
    ]
    assert names.count(f"[pl][profile]{STEP}") == 3
    assert names.count("[pl][module]rushlight.nn.linear.Linear: layer") == 3
    text = (tmp_path / "fit-ops.txt").read_text()
    assert text.startswith("FIT Profiler Report\nProfile stats for: records\n---") and "aten::" in text


def test_own_schedule_and_few_steps(tmp_path):
    seen = []
    plan = torch.profiler.schedule(wait=0, warmup=0, active=1)
    run(PyTorchProfiler(schedule=plan, on_trace_ready=seen.append))
    assert len(seen) == 2  # step 0, and one of the kind
    with pytest.warns(UserWarning, match="not enough steps"):
        run(PyTorchProfiler(tmp_path), count=8)
    assert len(events(tmp_path)) == 1


def test_failure_ends_the_recording():
    class Failing(Line):
        def training_step(self, batch, batch_idx):
            raise OSError("gone")

    profiler = PyTorchProfiler()
    trainer = pl.Trainer(max_epochs=1, profiler=profiler, **QUIET)
    with pytest.raises(OSError, match="gone"):
        trainer.fit(Failing(), loader())
    assert profiler.profiler is None and not Failing()._forward_hooks


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sort_by_key": "beauty"}, MisconfigurationException, "Found sort_by_key: beauty"),
        ({"schedule": 3}, MisconfigurationException, "Schedule should be a callable. Found: 3"),
        ({"schedule": lambda step: 3}, MisconfigurationException, "Schedule should return a"),
        ({"table_kwargs": {"row_limit": 1}}, KeyError, "already a positional argument"),
        ({"table_kwargs": {"colour": 1}}, KeyError, "invalid table_kwargs key: colour"),
        ({"emit_nvtx": True}, NotImplementedError, "GPU"),
    ],
)
def test_wrong_arguments(options, error, message):
    with pytest.raises(error, match=message):
        PyTorchProfiler(**options)

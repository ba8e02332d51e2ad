"""Every example runs, small, and reports a figure."""

import os
import pathlib
import re
import runpy
import sys

import pytest

from tests.vision.datasets_oracle import DATA

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))
try:
    import all as table
finally:
    sys.path.remove(str(EXAMPLES))

ABSENT = pytest.mark.skipif(not DATA.is_dir(), reason="the real data is not there")
SLOW = pytest.mark.skipif("RUSHLIGHT_SLOW" not in os.environ, reason="takes a minute; set RUSHLIGHT_SLOW=1")
LARGE = ("pictures", "keypoints", "segmentation", "frozen_encoder", "detector", "digits")
REFERENCE = pytest.mark.skipif(
    os.environ.get("RUSHLIGHT_KERNELS") == "reference", reason="convolutions in NumPy take a minute here"
)


def marks(script: str) -> list:
    """What the example needs."""
    real = [pytest.mark.data, ABSENT] if script in table.REAL else []
    return real + [SLOW] * (script == "transfer") + [REFERENCE] * (script in LARGE)


NAMES = [pytest.param(name, marks=marks(name.split()[0])) for name in table.EXAMPLES]


@pytest.fixture
def as_script(monkeypatch):
    """Modules that scripts import from their own folder are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if EXAMPLES in pathlib.Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
            del sys.modules[name]


@pytest.mark.parametrize("name", NAMES)
def test_example_reports_a_figure(name, tmp_path, monkeypatch, capsys, as_script):
    data = DATA if name.split()[0] in table.REAL else None
    line = table.command(name, True, data, tmp_path)
    monkeypatch.setattr(sys, "argv", line)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(line[0], run_name="__main__")
    assert re.search(r"\d", capsys.readouterr().out.splitlines()[-1])


def test_every_example_is_listed():
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"all", "common"}
    assert scripts == {name.split()[0] for name in table.EXAMPLES}

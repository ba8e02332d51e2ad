"""The logger for Visdom, with a client in its place."""

import sys
import types
from importlib.machinery import ModuleSpec

import pytest

from rushlight.lightning.loggers import VisdomLogger


class Client:
    """What the logger calls of `visdom.Visdom`."""

    alive = True

    def __init__(self, **options):
        self.options, self.calls = options, []

    def check_connection(self):
        return self.alive

    def line(self, **what):
        self.calls.append(what)

    def text(self, text, **what):
        self.calls.append({"text": text, **what})


@pytest.fixture
def visdom(monkeypatch):
    module = types.ModuleType("visdom")
    module.__spec__, module.Visdom = ModuleSpec("visdom", None), Client
    monkeypatch.setitem(sys.modules, "visdom", module)


def test_curves_and_settings(visdom):
    logger = VisdomLogger(env="run", prefix="a")
    logger.log_metrics({"loss": 0.5}, 3)
    logger.log_hyperparams({"lr": 0.1})
    point, table = logger.experiment.calls
    assert (point["Y"], point["X"], point["win"], point["update"]) == ([0.5], [3], "a-loss", "append")
    assert table == {"text": "<table><tr><td>lr</td><td>0.1</td></tr></table>", "win": "hyperparameters"}
    assert logger.experiment.options["env"] == "run"


def test_no_server(visdom, monkeypatch):
    monkeypatch.setattr(Client, "alive", False)
    monkeypatch.setattr("rushlight.lightning.loggers.visdom.time.sleep", lambda seconds: None)
    with pytest.raises(ConnectionError, match=r"no server answers at http://localhost:8097"):
        VisdomLogger().log_metrics({"loss": 1.0}, 0)


def test_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install visdom"):
        VisdomLogger()

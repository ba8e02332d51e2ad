"""`python -m rushlight` and `import rushlight.as_torch`: torch is Rushlight, and all else is as with
`python`."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def run(arguments, folder, code=None):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    process = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    if code is not None:
        assert process.returncode == code, process.stderr
    return process


IDENTITY = """
import torch
import torch as other
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.data.dataloader
from torch import nn as nn2, optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset
from torch.autograd import Variable
import rushlight
import sys

assert torch is other is rushlight and torch.__name__ == "rushlight"
assert nn is nn2 is rushlight.nn is torch.nn and F is rushlight.nn.functional
assert optim is rushlight.optim and DataLoader is rushlight.utils.data.DataLoader
assert StepLR is rushlight.optim.lr_scheduler.StepLR and Variable is rushlight.autograd.Variable
assert sys.modules["torch.nn"] is sys.modules["rushlight.nn"]
assert torch.__spec__.name == "rushlight" and F.__spec__.name == "rushlight.nn.functional"
assert torch.__file__.endswith("rushlight/__init__.py") and torch.__version__ == rushlight.__version__
assert str(type(torch.ones(1))) == "<class 'rushlight.Tensor'>"
assert torch.__version__ >= "2.4" and torch.__version__ > (1, 13) and torch.__version__.split(".")[0] == "2"
try:
    import torch.no_such_module
except ModuleNotFoundError as error:
    assert error.name == "torch.no_such_module" and "Rushlight stands in for torch" in str(error)
else:
    raise SystemExit("found what is not there")
print("fine")
"""


@pytest.mark.parametrize("how", ["script", "module", "command", "notebook"])
def test_torch_is_rushlight(how, tmp_path):
    (tmp_path / "program.py").write_text(IDENTITY)
    (tmp_path / "notebook.py").write_text("import rushlight.as_torch\n" + IDENTITY)
    arguments = {
        "script": ["-m", "rushlight", "program.py"],
        "module": ["-m", "rushlight", "-m", "program"],
        "command": ["-m", "rushlight", "-c", IDENTITY],
        "notebook": ["notebook.py"],
    }[how]
    assert run(arguments, tmp_path, 0).stdout == "fine\n"


PROGRAMS = {
    "main": """
import sys, os
print(sys.argv, __name__, __file__, __doc__, __spec__, __package__)
print(sys.path[0], os.getcwd())
import neighbour
print(neighbour.value, sys.modules["__main__"].__dict__ is globals())
""",
    "pickle": """
'''docs'''
import pickle
class Thing:
    def __init__(self): self.x = 1
print(pickle.loads(pickle.dumps(Thing())).x, Thing.__module__, __doc__)
""",
    "error": """
def inner():
    raise ValueError("wrong")
def outer():
    try:
        inner()
    except ValueError as error:
        raise RuntimeError("more") from error
outer()
""",
    "syntax": "x = = 1\n",
    "exit": "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)",
    "exit text": "raise SystemExit('goodbye')",
    "exit none": "raise SystemExit",
    "future": "from __future__ import annotations\ndef f(x: Undefined): pass\nprint(f.__annotations__)",
    "encoding": "# -*- coding: latin-1 -*-\nprint(ascii('\xe9'))",
    "atexit": "import atexit\nx = 5\natexit.register(lambda: print('bye', x))\nprint('hi')",
    "hook": "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__)\n1 / 0",
    "interrupt": "raise KeyboardInterrupt",
    "inspect": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "threads": "import threading\nt = threading.Thread(target=lambda: print(__name__))\nt.start()",
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_as_python_runs_it(case, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "script.py").write_bytes(PROGRAMS[case].encode("latin-1" if case == "encoding" else "utf-8"))
    (folder / "neighbour.py").write_text("value = 42\n")
    plain = run(["folder/script.py", "a", "-b", "--help"], tmp_path)
    ours = run(["-m", "rushlight", "folder/script.py", "a", "-b", "--help"], tmp_path)
    assert ours.stdout == plain.stdout
    assert ours.stderr == plain.stderr
    assert ours.returncode == plain.returncode


def test_as_python_runs_commands_modules_and_folders(tmp_path):
    program = "import sys\nprint(sys.argv, __name__, sys.path[0] in ('', sys.argv[0]))\n"
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "__main__.py").write_text("import sys\nprint(sys.argv, __name__, __package__)\n")
    for arguments in (
        ["-c", program, "x"],
        ["-m", "package", "x"],
        ["package", "x"],
        ["missing.py"],
        ["-c"],
        ["-m"],
    ):
        plain, ours = run(arguments, tmp_path), run(["-m", "rushlight", *arguments], tmp_path)
        assert ours.stdout == plain.stdout
        assert (ours.returncode == 0) == (plain.returncode == 0)
    assert (
        run(["-m", "rushlight", "missing.py"], tmp_path, 2).stderr == run(["missing.py"], tmp_path, 2).stderr
    )


def test_usage_and_version(tmp_path):
    assert "python -m rushlight script.py" in run(["-m", "rushlight", "--help"], tmp_path, 0).stdout
    assert run(["-m", "rushlight"], tmp_path, 2)
    assert run(["-m", "rushlight", "--version"], tmp_path, 0).stdout.startswith("rushlight ")


def test_too_late(tmp_path):
    (tmp_path / "torch.py").write_text("")
    process = run(["-c", "import torch\nimport rushlight.as_torch"], tmp_path, 1)
    assert "RuntimeError: as_torch: torch is already imported" in process.stderr


def test_a_program_trains(tmp_path):
    (tmp_path / "train.py").write_text(
        """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(64, 3)
y = x @ torch.tensor([[1.0], [-2.0], [0.5]])
net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
opt = torch.optim.Adam(net.parameters(), lr=0.05)
for epoch in range(20):
    for a, b in DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True):
        opt.zero_grad()
        loss = nn.functional.mse_loss(net(a), b)
        loss.backward()
        opt.step()
    print(f"{loss.item():.4f}")
"""
    )
    pytest.importorskip("torch")
    ours, theirs = run(["-m", "rushlight", "train.py"], tmp_path, 0), run(["train.py"], tmp_path, 0)
    pairs = zip(ours.stdout.split(), theirs.stdout.split(), strict=True)
    assert all(float(a) == pytest.approx(float(b), rel=1e-3, abs=2e-4) for a, b in pairs)

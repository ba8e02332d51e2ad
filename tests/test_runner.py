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

assert torch is other is rushlight and torch.__name__ == "torch"
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


CHILDREN = """
import multiprocessing, os, subprocess, sys

def where(_=None):
    import torch
    return torch.__file__.split(os.sep)[-2]

if __name__ == "__main__":
    def child(*command, **options):
        return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout.strip()

    print(child(sys.executable, "other.py", "-x"))
    print(child(sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, 'other.py'])"))
    for how in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(how).Pool(1) as pool:
            print(how, pool.map(where, [1]))
    print(child(sys.executable, "-c", "import importlib.metadata as m; print(m.version('torch'), m.version('NumPy')[0])"))
    print(child(sys.executable, "-c", "import sys; print('rushlight' in sys.modules, sys.path[1:3])"))
    others = {k: v for k, v in os.environ.items() if k != "RUSHLIGHT_AS_TORCH"}
    print(child(sys.executable, "-c", "import sys; print([type(f).__name__ for f in sys.meta_path])", env=others))
    import torch
    from torch.utils.data import DataLoader
    for how in ("fork", "spawn", "forkserver"):
        loader = DataLoader(range(2), num_workers=1, multiprocessing_context=how, collate_fn=where)
        print(how, list(loader))
"""


@pytest.mark.parametrize("how", ["script", "notebook"])
def test_child_processes(how, tmp_path):
    (tmp_path / "other.py").write_text(
        "import torch, sys\nprint(torch.__file__, torch.nn.Linear, sys.argv)\n"
    )
    (tmp_path / "script.py").write_text(CHILDREN)
    (tmp_path / "notebook.py").write_text("import rushlight.as_torch\n" + CHILDREN)
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.customized = True\n")
    arguments = ["-m", "rushlight", "script.py"] if how == "script" else ["notebook.py"]
    lines = run(arguments, tmp_path, 0).stdout.splitlines()
    other = f"{ROOT / 'rushlight' / '__init__.py'} <class 'rushlight.nn.linear.Linear'> ['other.py'"
    assert lines[0] == f"{other}, '-x']" and lines[1] == f"{other}]"
    assert lines[2:5] == [f"{how} ['rushlight']" for how in ("fork", "spawn", "forkserver")]
    assert lines[5].startswith("2.13.0+rushlight") and lines[5].endswith(" 2")
    assert lines[6].startswith(f"False ['{ROOT}'")
    assert "Later" not in lines[7]
    assert lines[8:] == [f"{how} ['rushlight', 'rushlight']" for how in ("fork", "spawn", "forkserver")]


def test_the_sitecustomize_of_others_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.customized = __file__\n")
    program = """
import subprocess, sys, os
os.environ["PYTHONPATH"] += os.pathsep + os.getcwd()
code = "import sitecustomize; print(customized == sitecustomize.__file__, __import__('torch').__spec__.name)"
subprocess.run([sys.executable, "-c", code], check=True)
"""
    assert run(["-m", "rushlight", "-c", program], tmp_path, 0).stdout == "True rushlight\n"


METADATA = """
import importlib.metadata as metadata, importlib.util, os
assert metadata.version("torch").startswith("2.13.0+rushlight")
assert metadata.version("pytorch_lightning") == metadata.version("lightning")
assert metadata.version("torchvision") == "0.28.0" and metadata.distribution("torch").read_text("RECORD") is None
assert metadata.distribution("torch").metadata["Name"] == "torch" and metadata.version("numpy")
assert sum(d.metadata["Name"] == "torch" for d in metadata.distributions()) >= 1
assert not [d for d in metadata.distributions(path=[os.getcwd()])]
spec = importlib.util.find_spec("torch.nn")
assert spec.origin.endswith("__init__.py") and spec.submodule_search_locations
assert importlib.util.find_spec("torch.no_such_module") is None
"""


def test_what_is_said_of_the_packages(tmp_path):
    run(["-m", "rushlight", "-c", METADATA], tmp_path, 0)


SAVES = """
import pickle, sys, torch
from torch import nn
torch.manual_seed(0)
things = {
    "tensor": torch.arange(6.0).reshape(2, 3).t(), "half": torch.ones(2, dtype=torch.bfloat16), "layout": torch.strided,
    "net": nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.LSTM(3, 4), nn.TransformerEncoderLayer(4, 2, 8)),
    "optimizer": torch.optim.SGD([torch.ones(2, requires_grad=True)], 0.1, momentum=0.9),
    "function": torch.sigmoid, "named": torch.ones(3, 2).max(0), "data": torch.utils.data.TensorDataset(torch.ones(3)),
    "distribution": torch.distributions.Normal(0.0, 1.0), "generator": torch.Generator().manual_seed(3).get_state(),
}
with open("plain.pkl", "wb") as file:
    pickle.dump(things, file)
torch.save(things, "saved.pt")
"""
LOADS = """
import pickle, {torch} as torch
with open("plain.pkl", "rb") as file:
    plain = pickle.load(file)
for things in (plain, torch.load("saved.pt", weights_only=False)):
    assert things["tensor"].stride() == (1, 3) and things["layout"] is torch.strided
    assert things["net"][0](torch.ones(1, 1, 3, 3)).shape == (1, 2, 1, 1) and isinstance(things["net"][0].weight, torch.nn.Parameter)
    assert things["function"] is torch.sigmoid and things["named"].indices.tolist() == [0, 0]
    things["optimizer"].step()
    assert things["data"][0][0] == 1 and things["distribution"].scale == 1 and things["half"].dtype is torch.bfloat16
"""


@pytest.mark.parametrize(
    ("saves", "loads", "name"),
    [
        ("torch", "-m rushlight", "torch"),
        ("-m rushlight", "-m rushlight", "torch"),
        ("-m rushlight", "", "rushlight"),
    ],
)
def test_pickles_go_between(saves, loads, name, tmp_path):
    if saves == "torch":
        pytest.importorskip("torch")
    (tmp_path / "saves.py").write_text(SAVES)
    (tmp_path / "loads.py").write_text(LOADS.replace("{torch}", name))
    run([*saves.removeprefix("torch").split(), "saves.py"], tmp_path, 0)
    run([*loads.split(), "loads.py"], tmp_path, 0)

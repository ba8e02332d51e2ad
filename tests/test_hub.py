"""torch.hub, torch.utils.model_zoo, functorch and torch.types."""

import importlib

import pytest

import rushlight as torch
from rushlight import functorch, hub
from rushlight.utils import model_zoo
from rushlight.vision.models import weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_chosen", [])
    monkeypatch.setattr(hub, "_folder", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RUSHLIGHT_HOME", raising=False)
    return tmp_path


CONFIGURATION = '''
dependencies = ["numpy"]
from parts import make
def net(size, bias=True):
    """A layer."""
    return make(size, bias)
_hidden = len
'''


def repository(folder):
    (folder / "hubconf.py").write_text(CONFIGURATION)
    (folder / "parts.py").write_text(
        "import rushlight\ndef make(n, bias): return rushlight.nn.Linear(n, n, bias)\n"
    )


def test_functions_of_a_folder(folder):
    repository(folder)
    assert hub.list(str(folder), source="local") == ["make", "net"]
    assert hub.help(str(folder), "net", source="local") == "A layer."
    assert hub.load(str(folder), "net", 3, bias=False, source="local").weight.shape == (3, 3)
    with pytest.raises(RuntimeError, match="Cannot find callable other in hubconf"):
        hub.load(str(folder), "other", source="local")
    (folder / "hubconf.py").write_text("dependencies = ['no_such_package']")
    with pytest.raises(RuntimeError, match="Missing dependencies: no_such_package"):
        hub.load(str(folder), "net", source="local")


def test_repositories_that_are_there(folder, capsys):
    hub.set_dir(str(folder / "hub"))
    assert hub.get_dir() == str(folder / "hub")
    (folder / "hub" / "owner_name_main").mkdir(parents=True)
    repository(folder / "hub" / "owner_name_main")
    assert hub.load("owner/name", "net", 2).weight.shape == (2, 2)
    assert "Using cache found in" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="trust_repo"):
        hub.load("owner/other", "net", trust_repo=False)
    with pytest.raises(ValueError, match="Unknown source"):
        hub.load("owner/name", "net", source="elsewhere")


def test_weights(folder):
    (folder / "hub" / "checkpoints").mkdir(parents=True)
    torch.save({"w": torch.ones(2)}, folder / "hub" / "checkpoints" / "net-0123.pth")
    hub.set_dir(str(folder / "hub"))
    for load in (hub.load_state_dict_from_url, model_zoo.load_url):
        assert load("https://example.org/a/net-0123.pth", progress=False)["w"].tolist() == [1.0, 1.0]


def test_downloads(folder):
    source = folder / "source.bin"
    source.write_bytes(b"abc")
    hub.download_url_to_file(source.as_uri(), str(folder / "copy.bin"), progress=False)
    assert (folder / "copy.bin").read_bytes() == b"abc"
    with pytest.raises(RuntimeError):
        hub.download_url_to_file(source.as_uri(), str(folder / "copy.bin"), hash_prefix="00", progress=False)
    assert (folder / "copy.bin").read_bytes() == b"abc"


def test_functional_modules():
    layer = torch.nn.BatchNorm1d(3)
    with pytest.raises(RuntimeError, match="make_functional_with_buffers"):
        functorch.make_functional(layer)
    function, params, buffers = functorch.make_functional_with_buffers(layer.eval())
    x = torch.rand(4, 3)
    assert torch.equal(function(params, buffers, x), layer(x))
    assert all(p.requires_grad for p in params)
    linear = torch.nn.Linear(3, 2)
    f, params = functorch.make_functional(linear, disable_autograd_tracking=True)
    grads = functorch.vmap(functorch.grad(lambda p, row: f(p, row).sum()), (None, 0))(params, x)
    assert torch.equal(grads[1], torch.ones(4, 2))


def test_ensembles():
    models = [torch.nn.Linear(3, 2) for _ in range(4)]
    f, params, buffers = functorch.combine_state_for_ensemble(models)
    x = torch.rand(5, 3)
    out = functorch.vmap(f, (0, 0, None))(params, buffers, x)
    torch.testing.assert_close(out, torch.stack([m(x) for m in models]))
    with pytest.raises(RuntimeError, match="at least one model"):
        functorch.combine_state_for_ensemble([])


def test_names_for_annotations():
    theirs = pytest.importorskip("torch.types")
    missing = {n for n in theirs.__all__ if not n.startswith("Py")} - set(
        vars(importlib.import_module("rushlight.types"))
    )
    assert not missing
    assert torch.types.Device and torch.hub is hub

"""PyTorch's paths to layers, types and helpers lead to ours."""

import importlib
import inspect
import pkgutil

import pytest

import rushlight

torch = pytest.importorskip("torch")
PATHS = [m.name for m in pkgutil.iter_modules(torch.nn.modules.__path__) if m.name != "_functions"]


@pytest.mark.parametrize("path", PATHS)
def test_modules_are_where_pytorch_has_them(path):
    theirs = importlib.import_module(f"torch.nn.modules.{path}")
    ours = importlib.import_module(f"rushlight.nn.modules.{path}")
    for name, value in vars(theirs).items():
        if inspect.isclass(value) and value.__module__ == theirs.__name__ and hasattr(torch.nn, name):
            if name != "LinearCrossEntropyLoss":  # of which PyTorch's is among the losses
                assert getattr(ours, name) is getattr(rushlight.nn, name)


def test_base_classes():
    for path, name, layer in (
        ("batchnorm", "_BatchNorm", "BatchNorm2d"), ("batchnorm", "_NormBase", "InstanceNorm2d"),
        ("conv", "_ConvNd", "ConvTranspose1d"), ("conv", "_ConvTransposeNd", "ConvTranspose2d"),
        ("loss", "_Loss", "MSELoss"), ("loss", "_WeightedLoss", "NLLLoss"), ("dropout", "_DropoutNd", "Dropout2d"),
        ("pooling", "_MaxPoolNd", "MaxPool3d"), ("instancenorm", "_InstanceNorm", "InstanceNorm1d"),
        ("lazy", "LazyModuleMixin", "LazyLinear"),
    ):  # fmt: skip
        base = getattr(importlib.import_module(f"rushlight.nn.modules.{path}"), name)
        assert issubclass(getattr(rushlight.nn, layer), base)


def test_sizes_and_types():
    ours, theirs = rushlight.nn.modules.utils, torch.nn.modules.utils
    for value in (3, [1, 2], (4,)):
        assert ours._pair(value) == theirs._pair(value)
    assert ours._reverse_repeat_tuple((1, 2), 2) == theirs._reverse_repeat_tuple((1, 2), 2)
    assert ours._list_with_default([None, 3], [7, 8, 9]) == theirs._list_with_default([None, 3], [7, 8, 9])
    names = [name for name in vars(torch.nn.common_types) if name.endswith("_t")]
    assert not [name for name in names if not hasattr(rushlight.nn.common_types, name)]
    for reduction in ("none", "mean", "sum"):
        assert rushlight.nn._reduction.get_enum(reduction) == torch.nn._reduction.get_enum(reduction)


def test_factory_kwargs():
    for t in (rushlight, torch):
        assert t.nn.factory_kwargs(None) == {}
        given = {"device": "cpu", "factory_kwargs": {"dtype": t.float64}}
        assert t.nn.factory_kwargs(given) == {"device": "cpu", "dtype": t.float64}
        for wrong in ({"size": 3}, {"dtype": t.float32, "factory_kwargs": {"dtype": t.float64}}):
            with pytest.raises(TypeError):
                t.nn.factory_kwargs(wrong)


def test_conversion_to_sync_batch_norm():
    for t in (rushlight, torch):
        model = t.nn.Sequential(t.nn.Conv2d(1, 2, 3), t.nn.Sequential(t.nn.BatchNorm2d(2, eps=0.1).eval()))
        norm = model[1][0]
        same = t.nn.SyncBatchNorm.convert_sync_batchnorm(model)
        assert same is model and type(model[1][0]) is t.nn.SyncBatchNorm
        made = model[1][0]
        assert made.weight is norm.weight and made.running_var is norm.running_var
        assert made.eps == 0.1 and not made.training

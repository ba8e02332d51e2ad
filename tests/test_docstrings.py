"""Everything public has a docstring, and the examples in docstrings are true."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import rushlight

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
SKIPPED = ("rushlight.__main__", "rushlight.as_torch", "rushlight._native")
MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(rushlight.__path__, "rushlight.")
    if not name.startswith(SKIPPED)
)
MODULES.insert(0, "rushlight")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    rushlight.manual_seed(0)
    found = [test for test in doctest.DocTestFinder(exclude_empty=True).find(module, name) if test.examples]
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in found:
        test.globs["torch"] = rushlight
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


def _public(owner, prefix):
    for name, value in vars(owner).items():
        if not name.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value)):
            if getattr(value, "__module__", "").startswith("rushlight"):
                yield f"{prefix}.{name}", value


def test_everything_public_has_a_docstring():
    spaces = {
        "torch": rushlight, "torch.nn": rushlight.nn, "torch.nn.functional": rushlight.nn.functional,
        "torch.nn.init": rushlight.nn.init, "torch.optim": rushlight.optim, "torch.utils.data": rushlight.utils.data,
        "torch.autograd": rushlight.autograd, "torch.linalg": rushlight.linalg, "torch.Tensor": rushlight.Tensor,
        "torch.nn.Module": rushlight.nn.Module,
    }  # fmt: skip
    bare = [
        name
        for prefix, owner in spaces.items()
        for name, value in _public(owner, prefix)
        if not inspect.getdoc(value)
    ]
    assert not bare, f"without a docstring: {bare}"

"""`import rushlight.as_torch`: from then on `import torch` and its submodules give Rushlight's modules.

The names are aliases, not copies: `torch.nn.functional` is `rushlight.nn.functional`, the same module object.
It works whether or not PyTorch is installed, as long as PyTorch has not been imported yet. `torch.__version__` is the
PyTorch release whose names we have, with our own version behind it, since programs compare it.
`importlib.metadata` says the same. `python -m rushlight script.py` does all this for a script.

Child processes do it too: those of `multiprocessing`, however they are started, and those that run the same interpreter,
as `subprocess.run([sys.executable, "other.py"])` (but not with its options -E, -I or -S). Remove RUSHLIGHT_AS_TORCH from
the environment of one that is to have the real PyTorch.
"""

import multiprocessing.forkserver
import multiprocessing.spawn
import os
import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from rushlight import torch_version
from rushlight.aliases import ALIASES


class _AliasLoader(Loader):
    """Gives a module that exists under another name."""

    def __init__(self, real: str):
        self.real = real

    def create_module(self, spec: ModuleSpec):
        module = import_module(self.real)
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module) -> None:
        module.__spec__ = self.own_spec  # the import system has just put the alias's in its place

    def get_code(self, fullname: str):
        """The code of the module, for `python -m`."""
        return find_spec(self.real).loader.get_code(self.real)


class AliasFinder(MetaPathFinder):
    """Finds `torch` and everything below it in Rushlight."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        """How to load `fullname`; None where it is no alias, or for `importlib.util.find_spec` of what is not here.

        Raises:
            ModuleNotFoundError: PyTorch may have the module that is being imported, Rushlight does not.
        """
        root = fullname.partition(".")[0]
        if root not in ALIASES:
            return None
        alias = max((a for a in ALIASES if f"{fullname}.".startswith(f"{a}.")), key=len)
        parent, _, name = fullname.rpartition(".")
        if fullname != alias and parent in sys.modules:
            real = f"{sys.modules[parent].__spec__.name}.{name}"
        else:
            real = ALIASES[alias] + fullname[len(alias) :]
        found = find_spec(real)
        if found is None:  # a package may say that it is the module too: `ddp = sys.modules[__name__]`
            same = getattr(import_module(real.rpartition(".")[0]), name, None)
            if isinstance(same, ModuleType) and same.__name__.startswith("rushlight."):
                real, found = same.__name__, same.__spec__
        if found is None:
            if sys._getframe(2).f_code.co_name == "find_spec":
                return None
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: Rushlight stands in for {root} here, and has no {real}",
                name=fullname,
            )
        spec = ModuleSpec(fullname, _AliasLoader(real), origin=found.origin)
        spec.submodule_search_locations = found.submodule_search_locations
        return spec

    def find_distributions(self, context):
        """What `importlib.metadata` says of the packages that we stand in for."""
        from rushlight.installed import stand_ins

        return stand_ins(context)


def install() -> None:
    """Put the aliases in place; harmless when they are.

    Raises:
        RuntimeError: the real PyTorch has been imported already.
    """
    for alias, real in ALIASES.items():
        present = sys.modules.get(alias)
        if present is not None and present is not sys.modules.get(real):
            raise RuntimeError(
                f"as_torch: {alias} is already imported from {getattr(present, '__file__', 'elsewhere')}. "
                "Import rushlight.as_torch before anything that imports it, in a fresh process or after "
                "restarting the kernel."
            )
    if not any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, AliasFinder())
        rushlight = import_module("rushlight")
        rushlight.__version__ = torch_version.__version__
        rushlight.__name__ = "torch"  # some packages look at it; its __spec__ keeps the own name
        import_module("rushlight.overrides").enable_with_classes()
        _install_in_children()


class _Installation:
    """Pickled among what a spawned process learns first: reading it installs the aliases there, before the main module
    is imported."""

    def __init__(self, path: list[str]):
        self.path = path

    def __reduce__(self):
        return exec, (f"import sys; sys.path[:] = {self.path!r}; import rushlight.as_torch", {})


def _install_in_children() -> None:
    """Have child processes install the aliases too; forked ones inherit them."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "children")
    path = os.environ.get("PYTHONPATH")
    others = [entry for entry in path.split(os.pathsep) if entry != folder] if path else []
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, *others])
    os.environ["RUSHLIGHT_AS_TORCH"] = sys.prefix
    # Processes of multiprocessing that hear of no environment variables (python -E).
    preparation = multiprocessing.spawn.get_preparation_data

    def get_preparation_data(name):
        data = preparation(name)
        return {**data, "rushlight": _Installation(data["sys_path"])}

    multiprocessing.spawn.get_preparation_data = get_preparation_data
    # Not the main module, as by default: the fork server would import it without the aliases.
    multiprocessing.forkserver.set_forkserver_preload([__name__])


install()

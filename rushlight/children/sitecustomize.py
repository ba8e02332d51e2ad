"""Run by `site` in Python processes that a program on Rushlight starts: `import torch` gives Rushlight there as well.

`rushlight.as_torch` puts this folder on PYTHONPATH, and the prefix of its interpreter into RUSHLIGHT_AS_TORCH: others,
as of another virtual environment, go on as ever. Rushlight is not imported before one of the names is asked for.
"""

import os
import runpy
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(_FOLDER)


class _Later:
    """Hands over to the finder of `rushlight.as_torch` when it is needed."""

    def __init__(self):
        self.roots = runpy.run_path(os.path.join(_PACKAGE, "aliases.py"))["ALIASES"]

    def _finder(self):
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if find_spec("rushlight") is None:
            sys.path.append(os.path.dirname(_PACKAGE))
        from rushlight.as_torch import AliasFinder

        return AliasFinder()

    def find_spec(self, fullname, path=None, target=None):
        """How to load `torch` and the like."""
        return self._finder().find_spec(fullname, path) if fullname in self.roots else None

    def find_distributions(self, context):
        """What `importlib.metadata` says of them."""
        if context.name is not None and context.name.lower().replace("-", "_") not in self.roots:
            return iter(())
        return self._finder().find_distributions(context)


def _run_hidden() -> None:
    """Run the `sitecustomize` that this one hides."""
    spec = PathFinder.find_spec("sitecustomize")
    if spec is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _FOLDER]
if os.environ.get("RUSHLIGHT_AS_TORCH") == sys.prefix:
    sys.meta_path.insert(0, _Later())
_run_hidden()

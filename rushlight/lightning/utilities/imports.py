"""What is installed, by the names that Lightning's modules use for it."""

import operator
import re
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from rushlight.lightning.utilities.rank_zero import rank_zero_warn

__all__ = ["RequirementCache", "compare_version", "package_available"]


def package_available(package_name: str) -> bool:
    """Whether a package can be imported.

    >>> package_available("numpy")
    True
    """
    try:
        return find_spec(package_name) is not None
    except ModuleNotFoundError:
        return False


module_available = package_available


def _number(text: str) -> tuple:
    """The leading numbers of a version: (2, 6, 0) of "2.6.0rc1+cpu"."""
    parts = []
    for part in text.split("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts + [0] * (3 - len(parts)))


def compare_version(package: str, op, version_: str, use_base_version: bool = False) -> bool:
    """Whether the installed version of a package compares so with another one; False where it isn't installed.

    Args:
        package: its name. op: such as `operator.ge`. version_: the other version.
    """
    try:
        return bool(op(_number(version(package)), _number(version_)))
    except PackageNotFoundError:
        return False


_COMPARISONS = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "~=": operator.ge,
}  # fmt: skip


class RequirementCache:
    """True where a package is installed.

    Args:
        requirement: such as "rich>=10.2.2,<15".
        module: the name of the module, where it differs.

    >>> bool(RequirementCache("numpy>=1.0"))
    True
    """

    def __init__(self, requirement: str, module: str | None = None):
        self.requirement = requirement
        self.package = re.split(r"[\[<>=!~ ;]", requirement)[0]
        self.module = module or self.package.replace("-", "_")

    def __bool__(self) -> bool:
        return package_available(self.module) and all(
            compare_version(self.package, _COMPARISONS[sign], wanted)
            for sign, wanted in re.findall(r"([<>=!~]=|[<>])\s*([\w.]+)", self.requirement)
        )

    def __str__(self) -> str:
        if self:
            return f"Requirement {self.requirement!r} met"
        return f"No module named {self.module!r}. HINT: Try running `pip install -U {self.requirement!r}`"

    __repr__ = __str__


_TORCHVISION_AVAILABLE = True  # ours
_RICH_AVAILABLE = RequirementCache("rich>=10.2.2")
_OMEGACONF_AVAILABLE = package_available("omegaconf")
_TORCHMETRICS_GREATER_EQUAL_1_0_0 = RequirementCache("torchmetrics>=1.0.0")
_IS_WINDOWS = sys.platform == "win32"
_IS_INTERACTIVE = hasattr(sys, "ps1")


@cache
def _try_import_module(module_name: str) -> bool:
    try:
        __import__(module_name)
    except (ImportError, AttributeError) as error:
        rank_zero_warn(f"Import of {module_name} package failed for some compatibility issues:\n{error}")
        return False
    return True

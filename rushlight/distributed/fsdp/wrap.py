"""Which modules of a model are divided among processes as a whole, as programs say it."""

from collections.abc import Callable, Iterable

from rushlight.nn import ModuleDict, ModuleList, MultiheadAttention
from rushlight.nn.module import Module

__all__ = [
    "CustomPolicy", "ModuleWrapPolicy", "always_wrap_policy", "lambda_auto_wrap_policy", "size_based_auto_wrap_policy",
    "transformer_auto_wrap_policy",
]  # fmt: skip


def always_wrap_policy(*args, **kwargs) -> bool:
    """Every module."""
    return True


def lambda_auto_wrap_policy(
    module: Module, recurse: bool, nonwrapped_numel: int, lambda_fn: Callable
) -> bool:
    """The modules for which a function is true.

    Args:
        module: the module asked about.
        recurse: asks whether to look at its children: yes.
        nonwrapped_numel: numbers in its parameters that belong to no child already chosen.
        lambda_fn: the function.
    """
    return recurse or lambda_fn(module)


def transformer_auto_wrap_policy(
    module: Module, recurse: bool, nonwrapped_numel: int, transformer_layer_cls: set[type[Module]]
) -> bool:
    """The modules of some classes.

    Args:
        module: the module asked about.
        recurse: asks whether to look at its children: yes.
        nonwrapped_numel: accepted.
        transformer_layer_cls: the classes.
    """
    return recurse or isinstance(module, tuple(transformer_layer_cls))


def size_based_auto_wrap_policy(
    module: Module,
    recurse: bool,
    nonwrapped_numel: int,
    min_num_params: int = int(1e8),
    force_leaf_modules: set[type[Module]] | None = None,
    exclude_wrap_modules: set[type[Module]] | None = None,
) -> bool:
    """The modules with many parameters.

    Args:
        module: the module asked about.
        recurse: asks whether to look at its children.
        nonwrapped_numel: numbers in its parameters that belong to no child already chosen.
        min_num_params: the fewest numbers.
        force_leaf_modules: classes whose children stay with them; `MultiheadAttention` by default.
        exclude_wrap_modules: classes that are never chosen; `ModuleList` and `ModuleDict` by default.
    """
    leaves = (
        size_based_auto_wrap_policy.FORCE_LEAF_MODULES if force_leaf_modules is None else force_leaf_modules
    )
    excluded = (
        size_based_auto_wrap_policy.EXCLUDE_WRAP_MODULES
        if exclude_wrap_modules is None
        else exclude_wrap_modules
    )
    return nonwrapped_numel >= min_num_params and not isinstance(
        module, tuple(leaves if recurse else excluded)
    )


size_based_auto_wrap_policy.EXCLUDE_WRAP_MODULES = {ModuleList, ModuleDict}
size_based_auto_wrap_policy.FORCE_LEAF_MODULES = {MultiheadAttention}


class ModuleWrapPolicy:
    """The modules of some classes.

    >>> import rushlight as torch
    >>> from rushlight.distributed.fsdp.wrap import ModuleWrapPolicy
    >>> ModuleWrapPolicy({torch.nn.Linear})(torch.nn.Linear(1, 1), recurse=False)
    True
    """

    def __init__(self, module_classes: Iterable[type[Module]]):
        self._module_classes = set(module_classes)

    def __call__(self, module: Module, recurse: bool, *args, **kwargs) -> bool:
        return recurse or isinstance(module, tuple(self._module_classes))

    def __repr__(self) -> str:
        return f"{super().__repr__()}({self._module_classes})"


class CustomPolicy:
    """The modules for which a function says True, or a dictionary of their settings."""

    def __init__(self, lambda_fn: Callable[[Module], bool | dict]):
        self._lambda_fn = lambda_fn

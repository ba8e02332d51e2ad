"""Modules as functions of their parameters: `functional_call`, `stack_module_state`."""

import contextlib

from rushlight.ops.joining import stack
from rushlight.tensor import Tensor


def functional_call(
    module,
    parameter_and_buffer_dicts,
    args=None,
    kwargs=None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
):
    """Call a module with other parameters and buffers than its own.

    Args:
        module: what to call.
        parameter_and_buffer_dicts: tensors by name, in one dict or several with different names; what the module writes
            to a buffer goes back into it.
        args: the arguments: a tuple, or a single one.
        kwargs: the keyword arguments.
        tie_weights: a tensor that the module has under several names is replaced under all of them.
        strict: the names must be all of the module's, and no others.
    Returns:
        What the module returns.
    Raises:
        ValueError: a name is given twice, or tied tensors get different values. RuntimeError: names are missing or
        unexpected under `strict`.

    >>> import rushlight as torch
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> torch.func.functional_call(layer, {"weight": torch.ones(1, 2)}, torch.tensor([3.0, 4.0]))
    tensor([7.])
    """
    values = _merged(parameter_and_buffer_dicts)
    if not isinstance(args, tuple):
        args = () if args is None else (args,)
    with _replaced(module, values, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def _merged(dicts) -> dict:
    if isinstance(dicts, dict):
        return dicts
    if not isinstance(dicts, (list, tuple)):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(dicts)}"
        )
    if not all(isinstance(d, dict) for d in dicts):
        raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    names = [k for d in dicts for k in d]
    repeated = [k for k in dict.fromkeys(names) if names.count(k) > 1]
    if repeated:
        raise ValueError(
            f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous"
        )
    return {k: v for d in dicts for k, v in d.items()}


def _owned(module) -> dict:
    """Every parameter and buffer by all of its names: (table that holds it, key, tensor)."""
    found = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        for table in (part._parameters, part._buffers):
            for key, tensor in table.items():
                if tensor is not None:
                    found[f"{prefix}.{key}" if prefix else key] = table, key, tensor
    return found


def _untied(values: dict, owned: dict) -> dict:
    """The values with those of tied tensors under all of their names."""
    names: dict = {}
    for name, (_, _, tensor) in owned.items():
        names.setdefault(id(tensor), []).append(name)
    found = dict(values)
    for tied in names.values():
        given = [n for n in tied if n in values]
        if len(tied) > 1 and given:
            if len({id(values[n]) for n in given}) > 1:
                raise ValueError(
                    f"functional_call got multiple values for keys {sorted(tied)}, which are tied. Consider using "
                    "tie_weights=False"
                )
            found.update(dict.fromkeys(tied, values[given[0]]))
    return found


@contextlib.contextmanager
def _replaced(module, values: dict, tie_weights: bool, strict: bool):
    owned = _owned(module)
    given = _untied(values, owned) if tie_weights else values
    if strict:
        problems = [
            f"{what} key(s): {', '.join(map(repr, names))}."
            for what, names in (
                ("Unexpected", [n for n in given if n not in owned]),
                ("Missing", [n for n in owned if n not in given]),
            )
            if names
        ]
        if problems:
            raise RuntimeError(
                f"Error(s) in reparametrizing for {type(module).__name__}:\n\t" + "\n\t".join(problems)
            )
    places = {name: owned[name] for name in given if name in owned}
    for value in given.values():
        if not isinstance(value, Tensor):
            raise TypeError(f"{value} is not an instance of torch.Tensor")
    try:
        for name, (table, key, _) in places.items():
            table[key] = given[name]
        yield
    finally:
        for name, (table, key, tensor) in places.items():
            if name in values:
                values[name] = table[key]  # the module may have put another tensor there
            table[key] = tensor


def stack_module_state(models) -> tuple[dict, dict]:
    """The parameters and the buffers of several modules of one class, each stacked into one tensor, by name.

    Args:
        models: the modules.
    Returns:
        (parameters, buffers), as `functional_call` under `vmap` takes them; new leaves of the graph.
    Raises:
        RuntimeError: there is none, or they differ in class, in mode or in what requires gradients.

    >>> import rushlight as torch
    >>> parameters, _ = torch.func.stack_module_state([torch.nn.Linear(2, 1) for _ in range(3)])
    >>> parameters["weight"].shape
    torch.Size([3, 1, 2])
    """
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if len({type(m) for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    return _stacked([dict(m.named_parameters()) for m in models]), _stacked(
        [dict(m.named_buffers()) for m in models]
    )


def _stacked(tables: list[dict]) -> dict:
    found = {}
    for name in tables[0]:
        tensors = [t[name] for t in tables]
        flags = {t.requires_grad for t in tensors}
        if len(flags) > 1:
            raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
        found[name] = stack([t.detach() for t in tensors]).requires_grad_(flags.pop())
    return found


def replace_all_batch_norm_modules_(root):
    """Make all batch normalisation in a module use the statistics of the batch alone, in place; returns the module.

    Args:
        root: the module.
    """
    from rushlight.nn.batchnorm import _BatchNorm

    for part in root.modules():
        if isinstance(part, _BatchNorm):
            part.running_mean = part.running_var = part.num_batches_tracked = None
            part.track_running_stats = False
    return root

"""Starting from another model's weights: taking over what fits, freezing parts, a learning rate for each part."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rushlight.autograd.grad_mode import no_grad
from rushlight.nn import Module
from rushlight.nn.batchnorm import _BatchNorm
from rushlight.serialization import load

__all__ = ["LoadReport", "freeze", "load_matching", "parameter_groups", "unfreeze"]


@dataclass(frozen=True)
class LoadReport:
    """What `load_matching` did; its text is a summary.

    Attributes:
        loaded: names of the model's entries that were taken over.
        missing: names of the model's entries that the weights lack; they keep their values.
        unexpected: names of weights that the model has no place for.
        mismatched: (name, shape in the model, shape of the weights) of those that do not fit.
    """

    loaded: list
    missing: list
    unexpected: list
    mismatched: list

    def __str__(self) -> str:
        lines = [
            f"{len(self.loaded)} of {len(self.loaded) + len(self.missing) + len(self.mismatched)} entries loaded"
        ]
        lines += [
            f"  {name}: the model has {mine}, the weights {theirs}" for name, mine, theirs in self.mismatched
        ]
        for what, names in (("not among the weights", self.missing), ("not in the model", self.unexpected)):
            if names:
                lines.append(f"  {what}: " + ", ".join(names[:8]) + (", …" if len(names) > 8 else ""))
        return "\n".join(lines)


def load_matching(model: Module, weights, *, prefix: str = "", rename=None, minimum: int = 1) -> LoadReport:
    """Take over the entries of a `state_dict` whose names and shapes are the model's, and leave the others.

    Args:
        model: the model to fill.
        weights: the `state_dict`, another model, a dictionary that has one under "state_dict" or "model", or the path of
            a file with one of them.
        prefix: take only weights whose names begin with it, and without it: "backbone." to load a part;
            "module." at the beginning of all names, as DataParallel writes it, goes by itself.
        rename: function from names of weights to names in the model; None leaves one out.
        minimum: how many entries must fit.
    Returns:
        A `LoadReport`.
    Raises:
        ValueError: fewer than `minimum` entries fit.

    >>> import rushlight as torch
    >>> from rushlight.utils.finetune import load_matching
    >>> source = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 10))
    >>> target = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    >>> print(load_matching(target, source))
    2 of 4 entries loaded
      2.weight: the model has [3, 4], the weights [10, 4]
      2.bias: the model has [3], the weights [10]
    """
    state = _entries(weights, prefix, rename)
    own = model.state_dict()
    mismatched = [
        (name, list(value.shape), list(state[name].shape))
        for name, value in own.items()
        if name in state and value.shape != state[name].shape
    ]
    wrong = {name for name, _, _ in mismatched}
    loaded = [name for name in own if name in state and name not in wrong]
    report = LoadReport(
        loaded,
        [name for name in own if name not in state],
        [name for name in state if name not in own],
        mismatched,
    )
    if len(loaded) < minimum:
        raise ValueError(
            f"load_matching: {report}; expected at least {minimum}. `prefix` or `rename` can align the names"
        )
    with no_grad():
        for name in loaded:
            own[name].copy_(state[name])
    return report


def _entries(weights, prefix: str, rename) -> dict:
    if isinstance(weights, str | os.PathLike):
        weights = load(weights, weights_only=True)
    state = weights.state_dict() if isinstance(weights, Module) else weights
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise TypeError(
            f"load_matching: expected a state_dict, a model or the path of a file, got {type(state).__name__}"
        )
    if state and all(name.startswith("module.") for name in state):
        prefix = "module." + prefix
    entries = {}
    for name, value in state.items():
        if name.startswith(prefix):
            name = name[len(prefix) :]
            name = name if rename is None else rename(name)
            if name is not None:
                entries[name] = value
    return entries


def freeze(model: Module, *patterns: str, norms: bool = True) -> list[str]:
    """Have parameters learn no more.

    Args:
        model: the model.
        patterns: names of parts or parameters ("features", "layer*.0", "fc.weight"); all if there are none.
        norms: whether batch norms in these parts also keep their statistics (they go to `eval` mode; call this
            again after `model.train()`, which puts them back).
    Returns:
        The names of the parameters frozen.
    Raises:
        ValueError: nothing has a name that matches one of the patterns.

    >>> import rushlight as torch
    >>> from rushlight.utils.finetune import freeze, unfreeze
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    >>> freeze(net)
    ['0.weight', '0.bias', '1.weight', '1.bias']
    >>> unfreeze(net, "1")
    ['1.weight', '1.bias']
    """
    changed = _set_learning(model, patterns, False, "freeze")
    if norms:
        for name, module in model.named_modules():
            if isinstance(module, _BatchNorm) and (not patterns or any(_inside(name, p) for p in patterns)):
                module.eval()
    return changed


def unfreeze(model: Module, *patterns: str) -> list[str]:
    """Have parameters learn again, and batch norms in the parts that are named update their statistics in training.

    Args: as of `freeze`. Returns: the names of the parameters.
    """
    changed = _set_learning(model, patterns, True, "unfreeze")
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and (not patterns or any(_inside(name, p) for p in patterns)):
            module.train(model.training)
    return changed


def _set_learning(model: Module, patterns: Iterable[str], learn: bool, caller: str) -> list[str]:
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(
                f'{caller}: names as arguments of their own expected, {caller}(model, "layer1", "fc"), got {pattern!r}'
            )
        if not any(_inside(name, pattern) for name in names):
            raise ValueError(
                f"{caller}: no parameter is named {pattern!r} or is in a part of that name. {_parts(model)}"
            )
    chosen = [name for name in names if not patterns or any(_inside(name, p) for p in patterns)]
    for name, parameter in model.named_parameters():
        if name in chosen:
            parameter.requires_grad_(learn)
    return chosen


def _parts(model: Module) -> str:
    return "The model's parts are " + ", ".join(name for name, _ in model.named_children())


def _inside(name: str, pattern: str) -> bool:
    """Whether a dotted name, or a part that it lies in, matches the pattern."""
    steps = name.split(".")
    return any(fnmatchcase(".".join(steps[:i]), pattern) for i in range(1, len(steps) + 1))


def parameter_groups(
    model: Module,
    lr: float | None = None,
    *,
    parts: Mapping[str, float] | None = None,
    weight_decay: float | None = None,
) -> list[dict]:
    """The parameters that learn, as an optimizer takes them: a learning rate for each part, no decay of biases and norms.

    Args:
        model: the model.
        lr: learning rate of what is in none of `parts`; the optimizer's own if None.
        parts: learning rates of parts by their names (patterns, as of `freeze`); the first that fits counts.
        weight_decay: for weights of two and more dimensions; biases and the weights of norms, which have one, get
            0. If None, decay is left to the optimizer for all alike.
    Returns:
        Groups with "params", "name", and "lr" and "weight_decay" where they are set; none of them empty.
    Raises:
        ValueError: a part has no parameters.

    >>> import rushlight as torch
    >>> from rushlight.utils.finetune import parameter_groups
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    >>> groups = parameter_groups(net, 0.1, parts={"0": 0.01}, weight_decay=1e-4)
    >>> [(g["name"], g["lr"], g["weight_decay"], len(g["params"])) for g in groups]
    [('0', 0.01, 0.0001, 1), ('0, no decay', 0.01, 0.0, 1), ('rest', 0.1, 0.0001, 1), ('rest, no decay', 0.1, 0.0, 1)]
    >>> optimizer = torch.optim.SGD(groups)
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    rates = {**(parts or {}), None: lr}
    chosen: dict = {pattern: [] for pattern in rates}
    for name, parameter in named:
        chosen[next((p for p in rates if p is not None and _inside(name, p)), None)].append(parameter)
    groups = []
    for pattern, parameters in chosen.items():
        if pattern is not None and not parameters:
            raise ValueError(f"parameter_groups: no parameter that learns is in {pattern!r}. {_parts(model)}")
        groups += _split(pattern or "rest", parameters, rates[pattern], weight_decay)
    return groups


def _split(name: str, parameters: list, lr: float | None, weight_decay: float | None) -> list[dict]:
    rate = {} if lr is None else {"lr": lr}
    if weight_decay is None:
        groups = [{"params": parameters, "name": name, **rate}]
    else:
        decaying = [p for p in parameters if p.dim() > 1]
        others = [p for p in parameters if p.dim() <= 1]
        groups = [
            {"params": decaying, "name": name, **rate, "weight_decay": weight_decay},
            {"params": others, "name": f"{name}, no decay", **rate, "weight_decay": 0.0},
        ]
    return [group for group in groups if group["params"]]

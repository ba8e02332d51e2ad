"""What the optimizers share that treat each parameter by one rule and count its steps.

The rule is a kernel: one call over all parameters of a group. Where the step is to be recorded
(`differentiable=True`), the same formula runs on tensors.
"""

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.grad_mode import enable_grad
from rushlight.kernels.reference import optim as rules
from rushlight.ops.complex_parts import view_as_real
from rushlight.optim.optimizer import (
    Optimizer,
    bump,
    check_one_element,
    real_parts,
    run_closure,
    step_dtype,
)  # fmt: skip
from rushlight.tensor import Tensor, wrap


class SteppedOptimizer(Optimizer):
    """An optimizer of one rule.

    A subclass names its `_kernel`, and says what the state of a parameter is (`_state_names`, `_new_state`) and
    which numbers the rule gets (`_numbers`).
    """

    _kernel = ""
    _old_defaults: dict = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}
    _takes_sparse = False
    _counted: tuple = ("step",)  # one-element tensors of the state, which old state dicts hold as numbers

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self._old_defaults.items():
                group.setdefault(name, value)
            for p in group["params"]:
                saved = self.state.get(p) or {}
                for name in self._counted:
                    if name in saved and not isinstance(saved[name], Tensor):
                        saved[name] = scalar_tensor(float(saved[name]), group)

    def step(self, closure=None):
        """Update the parameters once; returns what `closure` (which recomputes the loss) gave."""
        loss = run_closure(closure)
        for group in self.param_groups:
            params = with_gradients(self, group)
            if not params:
                continue
            states = [self.state[p] or self._start(p, group) for p in params]
            steps = _advance(states)
            names = self._state_names(group)
            numbers = self._numbers(states, steps, group)
            if group["differentiable"]:
                with enable_grad():
                    self._record(params, states, names, numbers)
            else:
                self._run(params, states, names, numbers)
        return loss

    def _start(self, p: Tensor, group: dict) -> dict:
        state = self.state[p]
        state["step"] = scalar_tensor(0.0, group)
        self._new_state(state, p, group)
        return state

    def _state_names(self, group: dict) -> tuple:
        """The names of the state's tensors in the order of the rule's arguments, None for absent ones."""
        raise NotImplementedError

    def _new_state(self, state: dict, p: Tensor, group: dict) -> None:
        """Put the tensors into the state of a new parameter."""
        for name in self._state_names(group):
            if name is not None:
                state[name] = zeros_like(p)

    def _numbers(self, states: list, steps: list, group: dict) -> list:
        """The rule's numbers: each one for all parameters, or a list with one for each."""
        raise NotImplementedError

    def _run(self, params: list, states: list, names: tuple, numbers: list) -> None:
        lists = [[p._array for p in params], [p._grad._array for p in params]]
        lists += [None if name is None else [state[name]._array for state in states] for name in names]
        numbers = [_plain(n) for n in numbers]
        if any(a.dtype.kind == "c" for a in lists[0]):
            parts = [1 + (a.dtype.kind == "c") for a in lists[0]]
            numbers = [_repeated(n, parts) if isinstance(n, list) else n for n in numbers]
            lists = [arrays and real_parts(arrays) for arrays in lists]
        getattr(K, self._kernel)(*lists, *numbers)
        bump(params)

    def _record(self, params: list, states: list, names: tuple, numbers: list) -> None:
        """The step in tensor operations, so that gradients flow through it."""
        rule = getattr(rules, self._kernel).rule
        for i, (p, state) in enumerate(zip(params, states, strict=True)):
            held = [p, p._grad, *(None if name is None else state[name] for name in names)]
            if p.is_complex():
                held = [None if t is None else view_as_real(t) for t in held]
            own = [n[i] if isinstance(n, list) else n for n in numbers]
            new = rule(*[None if t is None else t.clone() for t in held], *own)
            for target, value in zip((held[0], *held[2:]), new, strict=True):
                if target is not None:
                    target.copy_(value)


def with_gradients(optimizer: Optimizer, group: dict) -> list[Tensor]:
    """The parameters of a group that have gradients; RuntimeError where one is sparse and must not be."""
    params = [p for p in group["params"] if p._grad is not None]
    takes_sparse = getattr(optimizer, "_takes_sparse", False)
    for p in params:
        if p._grad.is_sparse and not takes_sparse:
            hint = getattr(optimizer, "_sparse_hint", "")
            raise RuntimeError(f"{type(optimizer).__name__} does not support sparse gradients{hint}")
    return params


def sparse_entries(p: Tensor, maximize: bool) -> tuple:
    """The places and values of a parameter's sparse gradient, each place once."""
    grad = p._grad.coalesce()
    values = grad._values()._array
    return tuple(grad._indices()._array), -values if maximize else values


def each(steps: list, function):
    """`function(step)`: one value where all steps are equal, else a list with one for each."""
    if steps.count(steps[0]) == len(steps):
        return function(steps[0])
    return [function(step) for step in steps]


def zeros_like(t: Tensor) -> Tensor:
    """Zeros in the layout of a parameter."""
    return wrap(np.zeros_like(t._array))


def full_like(t: Tensor, value: float) -> Tensor:
    """A tensor in the layout of a parameter, filled; both parts of complex numbers."""
    value = complex(value, value) if t._array.dtype.kind == "c" else value
    return wrap(np.full_like(t._array, value))


def scalar_tensor(value: float, group: dict) -> Tensor:
    """A number of the state, such as the count of steps."""
    return wrap(np.array(value, step_dtype(group.get("fused")).numpy))


def check_not_negative(name: str, value) -> None:
    """Refuse an option below 0, with PyTorch's words."""
    if not value >= 0.0:
        raise ValueError(f"Invalid {name}: {value}")


def check_common(lr, eps=0, weight_decay=0, betas=()) -> None:
    """Refuse learning rates, epsilons, betas and weight decays that are out of range."""
    check_one_element("lr", lr)
    check_not_negative("learning rate", lr)
    check_not_negative("epsilon value", eps)
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
    check_not_negative("weight_decay value", weight_decay)


def _advance(states: list[dict]) -> list[float]:
    """Count one step in each state; returns the counts."""
    steps = []
    for state in states:
        array = state["step"]._array
        step = array.item() + 1.0
        array.fill(step)
        steps.append(step)
    return steps


def _plain(value):
    """A number as the kernels want it."""
    return value if type(value) in (float, int, bool, list) else float(value)


def _repeated(values: list, counts: list) -> list:
    return [v for v, count in zip(values, counts, strict=True) for _ in range(count)]

"""L-BFGS."""

import numpy as np

from rushlight.autograd.grad_mode import enable_grad, no_grad
from rushlight.ops.complex_parts import view_as_real
from rushlight.ops.joining import cat
from rushlight.optim._line_search import strong_wolfe
from rushlight.optim._stepped import check_common
from rushlight.optim.optimizer import Optimizer
from rushlight.tensor import Tensor, wrap


class LBFGS(Optimizer):
    """L-BFGS: steps along the gradient times an inverse Hessian that is estimated from the last steps.

    There is one group of parameters only, and `step` needs a closure that recomputes the loss and its gradients.

    Args:
        params: parameters, or (name, parameter) pairs.
        lr: learning rate; with a line search, the length that it tries first.
        max_iter: iterations in one call of `step`.
        max_eval: calls of the closure in one call of `step`; max_iter * 1.25 by default.
        tolerance_grad: stop where no gradient is larger.
        tolerance_change: stop where neither a parameter nor the loss changes by more.
        history_size: how many steps the estimate is made of.
        line_search_fn: None or "strong_wolfe".
    Raises:
        ValueError: the learning rate is negative, or there are several groups.

    Source: Nocedal, "Updating Quasi-Newton Matrices with Limited Storage" (1980); Schmidt, minFunc (2005).

    >>> import rushlight as torch
    >>> w = torch.tensor([3.0], requires_grad=True)
    >>> opt = torch.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     opt.zero_grad()
    ...     loss = ((w - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> opt.step(closure)
    tensor(4., grad_fn=<SumBackward0>)
    >>> w
    tensor([1.], requires_grad=True)
    """

    def __init__(
        self, params, lr=1, max_iter: int = 20, max_eval: int | None = None, tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9, history_size: int = 100, line_search_fn: str | None = None,
    ):  # fmt: skip
        check_common(lr)
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def step(self, closure):
        """Minimise for up to `max_iter` iterations.

        Args:
            closure: clears the gradients, computes the loss and its gradients, and returns the loss.
        Returns:
            The loss before the first iteration.
        """
        with no_grad():
            return self._minimise(enable_grad()(closure), self.param_groups[0])

    def _minimise(self, closure, group: dict):
        lr, tolerance_change = float(group["lr"]), group["tolerance_change"]
        state = self.state[self._params[0]]  # one for all parameters; it is the first one's in the state dict
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = closure()
        loss, evaluations = float(first_loss), 1
        state["func_evals"] += 1
        grad = self._flat_grad()
        if grad.abs().max() <= group["tolerance_grad"]:
            return first_loss
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(state, grad, group["history_size"])
            if state.get("prev_flat_grad") is None:
                state["prev_flat_grad"] = grad.clone()
            else:
                state["prev_flat_grad"].copy_(grad)
            state["prev_loss"] = previous_loss = loss
            length = min(1.0, 1.0 / grad.abs().sum()) * lr if state["n_iter"] == 1 else lr
            state["t"] = length
            slope = grad.dot(direction)
            if slope > -tolerance_change:
                break
            last = iteration == group["max_iter"]
            used = 0
            if group["line_search_fn"] is not None:
                loss, grad, length, used = self._search(
                    closure, group, length, direction, loss, grad, slope, group["max_eval"] - evaluations
                )
                state["t"] = length
                self._move(length, direction)
            else:
                self._move(length, direction)
                if not last:
                    loss, used = float(closure()), 1
                    grad = self._flat_grad()
            evaluations += used
            state["func_evals"] += used
            if last or evaluations >= group["max_eval"]:
                break
            if grad.abs().max() <= group["tolerance_grad"]:
                break
            if (direction * length).abs().max() <= tolerance_change:
                break
            if abs(loss - previous_loss) < tolerance_change:
                break
        return first_loss

    def _direction(self, state: dict, grad: Tensor, history_size: int) -> Tensor:
        """Minus the gradient times the inverse Hessian's estimate, after adding the last step to it."""
        if state["n_iter"] == 1:
            state.update(d=-grad, old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return state["d"]
        changes, moves, inverses = state["old_dirs"], state["old_stps"], state["ro"]
        change, move = grad - state["prev_flat_grad"], state["d"] * state["t"]
        product = change.dot(move)
        if product > 1e-10:
            if len(changes) == history_size:
                for history in (changes, moves, inverses):
                    history.pop(0)
            changes.append(change)
            moves.append(move)
            inverses.append(1.0 / product)
            state["H_diag"] = product / change.dot(change)
        shares = state.setdefault("al", [None] * history_size)
        direction = -grad
        for i in reversed(range(len(changes))):
            shares[i] = moves[i].dot(direction) * inverses[i]
            direction.add_(changes[i], alpha=-float(shares[i]))
        direction = direction * state["H_diag"]
        for i in range(len(changes)):
            share = changes[i].dot(direction) * inverses[i]
            direction.add_(moves[i], alpha=float(shares[i] - share))
        state["d"] = direction
        return direction

    def _search(self, closure, group, length, direction, loss, grad, slope, most: int):
        if group["line_search_fn"] != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        start = [p.clone() for p in self._params]

        def evaluate(length):
            self._move(length, direction)
            value = float(closure())
            found = self._flat_grad()
            for p, before in zip(self._params, start, strict=True):
                p.copy_(before)
            return value, found

        return strong_wolfe(evaluate, length, direction, loss, grad, slope, most=most)

    def _flat_grad(self) -> Tensor:
        """The gradients of all parameters in one vector; both parts of complex ones."""
        parts = []
        for p in self._params:
            grad = p._grad
            if grad is None:
                grad = wrap(np.zeros(p.shape, p._array.dtype))
            elif grad.is_sparse:
                grad = grad.to_dense()
            parts.append((view_as_real(grad) if grad.is_complex() else grad).reshape(-1))
        return cat(parts)

    def _move(self, length, direction: Tensor) -> None:
        """Add `length` times the direction to the parameters."""
        at = 0
        for p in self._params:
            p = view_as_real(p) if p.is_complex() else p
            p.add_(direction[at : at + p.numel()].view(p.shape), alpha=float(length))
            at += p.numel()

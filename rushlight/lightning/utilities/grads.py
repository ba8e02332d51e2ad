"""Norms of gradients."""

import rushlight as torch


def grad_norm(module, norm_type: float | int | str, group_separator: str = "/") -> dict:
    """The norm of each parameter's gradient, and of all together.

    Args:
        module: whose parameters.
        norm_type: which p-norm, such as 2 or "inf".
        group_separator: between the kind of norm and the name.
    Raises:
        ValueError: a norm that is not positive.
    """
    norm_type = float(norm_type)
    if norm_type <= 0:
        raise ValueError(f"`norm_type` must be a positive number or 'inf' (infinity norm). Got {norm_type}")
    norms = {
        f"grad_{norm_type}_norm{group_separator}{name}": p.grad.data.norm(norm_type)
        for name, p in module.named_parameters()
        if p.grad is not None
    }
    if norms:
        norms[f"grad_{norm_type}_norm_total"] = torch.tensor(list(norms.values())).norm(norm_type)
    return norms

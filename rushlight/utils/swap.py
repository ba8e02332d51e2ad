"""Exchanging two tensors."""

import weakref

_FIELDS = ("_array", "_node", "_nr", "_rg", "_grad", "_vc", "_base", "_format")


def swap_tensors(t1, t2) -> None:
    """Exchange two tensors: values, gradients, history, class and attributes. Whoever holds one then sees the other.

    Args:
        t1, t2: the tensors.
    Raises:
        RuntimeError: there are weak references to one.

    >>> import rushlight as torch
    >>> a, b = torch.zeros(2), torch.ones(3)
    >>> torch.utils.swap_tensors(a, b)
    >>> a
    tensor([1., 1., 1.])
    """
    for name, tensor in (("t1", t1), ("t2", t2)):
        if weakref.getweakrefs(tensor):
            raise RuntimeError(f"Cannot swap {name} because it has weakref associated with it")
    fields = [
        (name, getattr(t1, name), getattr(t2, name)) for name in _FIELDS
    ]  # in some kernel sets in __dict__
    t1.__class__, t2.__class__ = t2.__class__, t1.__class__
    t1.__dict__, t2.__dict__ = t2.__dict__, t1.__dict__
    for name, first, second in fields:
        setattr(t1, name, second)
        setattr(t2, name, first)

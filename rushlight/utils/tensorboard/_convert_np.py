"""Values as NumPy arrays."""

import numpy as np

import rushlight as torch


def make_np(x) -> np.ndarray:
    """A tensor, array or number as an array, bfloat16 as float16.

    Raises:
        NotImplementedError: it is something else.

    >>> from rushlight.utils.tensorboard._convert_np import make_np
    >>> make_np(2.0)
    array([2.])
    """
    if isinstance(x, np.ndarray):
        return x
    if np.isscalar(x):
        return np.array([x])
    if isinstance(x, torch.Tensor):
        return (x.to(torch.float16) if x.dtype == torch.bfloat16 else x).detach().cpu().numpy()
    raise NotImplementedError(f"Got {type(x)}, but numpy array or torch tensor are expected.")

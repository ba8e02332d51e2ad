"""Weight normalization: the direction and the length of vectors as two tensors."""

from rushlight.autograd.node import Node
from rushlight.ops.common import MODE, Tensor, check_tensor, record, recording, wrap
from rushlight.ops.registry import op


@op(method=False)
def norm_except_dim(v, pow=2, dim=0):
    """The norm over all dimensions but one.

    Args:
        v: a tensor.
        pow: the order of the norm.
        dim: the dimension to keep; -1 for none.
    Returns:
        A tensor of as many dimensions, all of size 1 but `dim`; for -1 a single number.

    >>> import rushlight as torch
    >>> torch.norm_except_dim(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([[5.],
            [2.]])
    """
    check_tensor("norm_except_dim", v, "v")
    if dim == -1:
        return v.norm(pow)
    rows = v.transpose(0, dim)
    return rows.reshape(rows.size(0), -1).norm(pow, 1).reshape([-1, *[1] * (v.dim() - 1)]).transpose(0, dim)


def _rows_summed(x: Tensor, dim: int) -> Tensor:
    """Sums over all dimensions but one."""
    return x.sum([d for d in range(x.dim()) if d != dim], keepdim=True) if x.dim() > 1 else x


class WeightNormInterfaceBackward0(Node):
    """w = g v / |v|."""

    def backward(self, grad):
        v, g = self.unpack()
        to_v, to_g = self.edges
        norm = norm_except_dim(v, 2, self.dim)
        along = _rows_summed(grad * v, self.dim) / norm
        gv = None if to_v is None else g / norm * (grad - v * (along / norm))
        return gv, None if to_g is None else along


@op(name="_weight_norm", method=False)
def weight_norm(v, g, dim=0):
    """v scaled so that its norms over all dimensions but one are g.

    Args:
        v: the direction.
        g: the lengths, in the shape that `norm_except_dim(v, 2, dim)` has.
        dim: the dimension that has one length for each position; -1 for a single length.
    """
    check_tensor("_weight_norm", v, "v"), check_tensor("_weight_norm", g, "g", 2)
    last = v.dim() - 1
    if dim not in (0, last):
        return v * (g / norm_except_dim(v, 2, dim))
    recorded = MODE.enabled and recording(v, g)
    array = (v.detach() * (g.detach() / norm_except_dim(v.detach(), 2, dim)))._array
    if recorded:
        return record(array, WeightNormInterfaceBackward0, (v, g), v, g, dim=dim)
    return wrap(array)

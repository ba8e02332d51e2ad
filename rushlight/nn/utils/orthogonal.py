"""Orthogonal matrices as functions of matrices without constraint.

Sources: Lezcano-Casado & Martinez-Rubio, Cheap Orthogonal Constraints, ICML 2019; Lezcano-Casado, Trivializations
for Gradient-Based Optimization on Manifolds, NeurIPS 2019.
"""

from enum import Enum, auto

import rushlight
from rushlight.autograd.grad_mode import no_grad
from rushlight.config import finfo
from rushlight.nn.module import Module
from rushlight.nn.utils import parametrize
from rushlight.ops.comparison import allclose
from rushlight.ops.creation import eye, zeros_like
from rushlight.ops.joining import cat
from rushlight.ops.random import randn
from rushlight.tensor import Tensor


class _OrthMaps(Enum):
    matrix_exp = auto()
    cayley = auto()
    householder = auto()


def _is_orthogonal(q: Tensor) -> bool:
    n, k = q.shape[-2:]
    return allclose(q.mH @ q, eye(k, dtype=q.dtype), atol=10.0 * n * finfo(q.dtype).eps)


def _make_orthogonal(a: Tensor) -> Tensor:
    """The Q of a tall matrix's QR decomposition in which R has a positive diagonal."""
    reflectors, tau = rushlight.geqrf(a)
    q = rushlight.linalg.householder_product(reflectors, tau)
    return q * reflectors.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    def __init__(self, weight: Tensor, orthogonal_map: _OrthMaps, *, use_trivialization: bool = True):
        super().__init__()
        if weight.is_complex() and orthogonal_map == _OrthMaps.householder:
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x):
        transposed = x.size(-2) < x.size(-1)
        x = x.mT if transposed else x
        q = self._reflected(x) if self.orthogonal_map == _OrthMaps.householder else self._of_skew(x)
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if transposed else q

    def _of_skew(self, x: Tensor) -> Tensor:
        """The exponential or the Cayley map of the skew-symmetric matrix that the lower triangle of x gives."""
        n, k = x.shape[-2:]
        x = x.tril()
        if n != k:
            x = cat([x, x.new_zeros(n, n - k).expand(*x.shape[:-2], -1, -1)], dim=-1)
        a = x - x.mH
        if self.orthogonal_map == _OrthMaps.matrix_exp:
            q = rushlight.matrix_exp(a)
        else:
            one = eye(n, dtype=a.dtype)
            q = rushlight.linalg.solve(one - 0.5 * a, one + 0.5 * a)
        return q[..., :k]

    def _reflected(self, x: Tensor) -> Tensor:
        """The product of the Householder reflections whose vectors are below the diagonal of x."""
        vectors = x.tril(-1)
        tau = 2.0 / (1.0 + (vectors * vectors).sum(dim=-2))
        q = rushlight.linalg.householder_product(vectors, tau)
        return q * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)  # signs, which are not learned

    @no_grad()
    def right_inverse(self, q):
        """What gives an orthogonal matrix; of another matrix the nearest that its QR decomposition has."""
        if q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {q.shape}."
            )
        given, transposed = q, q.size(-2) < q.size(-1)
        q = q.mT if transposed else q
        n, k = q.shape[-2:]
        if not hasattr(self, "base"):
            return self._vectors_of(q, transposed)
        if n == k:
            self.base = q.clone() if _is_orthogonal(q) else _make_orthogonal(q)
        else:
            more = randn(*q.shape[:-2], n, n - k, dtype=q.dtype)
            self.base = _make_orthogonal(cat([q, more], dim=-1))
        start = zeros_like(given)  # of which the map is 1: with -1 on the diagonal for Householder's
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return start

    def _vectors_of(self, q: Tensor, transposed: bool) -> Tensor:
        if self.orthogonal_map != _OrthMaps.householder:
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        vectors, tau = rushlight.geqrf(q)
        signs = vectors.diagonal(dim1=-2, dim2=-1)
        signs.sign_()
        signs[tau == 0.0] *= -1
        return vectors.mT if transposed else vectors


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
    use_trivialization: bool = True,
) -> Module:  # fmt: skip
    """Let a matrix, or each matrix of a batch, stay orthogonal (unitary, where it is complex).

    Args:
        module: where the parameter is.
        name: its name; it has 2 dimensions or more.
        orthogonal_map: "matrix_exp", "cayley" or "householder"; by default the first for square and complex matrices,
            the last for others.
        use_trivialization: learn the difference from an orthogonal matrix, the first value, which is kept as `base`.
    Returns:
        The module.
    Raises:
        ValueError: there is no such parameter, it is a vector, or there is no such map.

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(3, 3))
    >>> bool((layer.weight @ layer.weight.T - torch.eye(3)).abs().max() < 1e-5)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.dim() < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions."
        )
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in _OrthMaps.__members__:
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: '
            + str(orthogonal_map)
        )
    made = _Orthogonal(weight, _OrthMaps[orthogonal_map], use_trivialization=use_trivialization)
    return parametrize.register_parametrization(module, name, made, unsafe=True)


__all__ = ["orthogonal"]

"""Multivariate normal distributions."""

import math

import rushlight as torch
from rushlight.devices import Size
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import _standard_normal, lazy_property

__all__ = ["MultivariateNormal"]

#: The ways to give a covariance.
MATRICES = ("covariance_matrix", "precision_matrix", "scale_tril")


def _batch_mv(bmat, bvec):
    """Matrices times vectors."""
    return torch.matmul(bmat, bvec.unsqueeze(-1)).squeeze(-1)


def _batch_mahalanobis(bL, bx):
    """The squared lengths of L ** -1 x, where x may have more batch dimensions, or larger ones, than L.

    What L's batch is repeated for becomes columns of one system for each L.
    """
    n, batch = bx.size(-1), bx.shape[:-1]
    outer, inner = len(batch) - (bL.dim() - 2), bL.dim() - 2
    shape = bx.shape[:outer]
    for of_l, of_x in zip(bL.shape[:-2], bx.shape[outer:-1], strict=True):
        shape += (of_x // of_l, of_l)
    end = outer + 2 * inner
    repeats, own = list(range(outer, end, 2)), list(range(outer + 1, end, 2))
    x = bx.reshape(shape + (n,)).permute([*range(outer), *repeats, *own, end])
    flat_l = bL.reshape(-1, n, n)
    columns = x.reshape(-1, flat_l.size(0), n).permute(1, 2, 0)
    lengths = torch.linalg.solve_triangular(flat_l, columns, upper=False).pow(2).sum(-2).t()
    back = [d for i in range(inner) for d in (outer + i, outer + inner + i)]
    return lengths.reshape(x.shape[:-1]).permute([*range(outer), *back]).reshape(batch)


def _precision_to_scale_tril(P):
    """The Cholesky factor of the inverse: that of P, turned around, is upper triangular and the inverse's transpose."""
    turned = torch.flip(torch.linalg.cholesky(torch.flip(P, (-2, -1))), (-2, -1)).transpose(-2, -1)
    return torch.linalg.solve_triangular(turned, torch.eye(P.shape[-1], dtype=P.dtype), upper=False)


def given_matrix(covariance_matrix, precision_matrix, scale_tril) -> tuple:
    """The name of the one that is given, and it itself; None where not exactly one is."""
    given = [
        (n, m)
        for n, m in zip(MATRICES, (covariance_matrix, precision_matrix, scale_tril), strict=True)
        if m is not None
    ]
    return given[0] if len(given) == 1 else (None, None)


def scale_tril_of(name: str, matrix):
    """The Cholesky factor of a covariance that is given in one of the three ways."""
    if name == "scale_tril":
        return matrix
    return torch.linalg.cholesky(matrix) if name == "covariance_matrix" else _precision_to_scale_tril(matrix)


def half_log_det(scale_tril):
    """Half of the logarithm of the covariance's determinant."""
    return scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class MultivariateNormal(Distribution):
    """The normal distribution of vectors; its covariance is given in exactly one of three ways.

    Args:
        loc: the mean, of shape (..., n).
        covariance_matrix: the covariance, of shape (..., n, n).
        precision_matrix: its inverse.
        scale_tril: its lower Cholesky factor; the fastest.
        validate_args: whether arguments are checked.
    Raises:
        ValueError: the mean is no vector, or not exactly one matrix is given.

    >>> import rushlight as torch
    >>> torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2)).log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None
    ):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = given_matrix(covariance_matrix, precision_matrix, scale_tril)
        if name is None:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        if matrix.dim() < 2:
            what = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(
                f"{what} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch_shape = torch.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand(batch_shape + (-1, -1)))
        self.loc = loc.expand(batch_shape + (-1,))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = scale_tril_of(name, matrix)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(MultivariateNormal, batch_shape, _instance, "_unbroadcasted_scale_tril")

    def _square(self, matrix):
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def scale_tril(self):
        """The covariance's Cholesky factor."""
        return self._square(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self):
        """The covariance."""
        return self._square(torch.matmul(self._unbroadcasted_scale_tril, self._unbroadcasted_scale_tril.mT))

    @lazy_property
    def precision_matrix(self):
        """The covariance's inverse."""
        return self._square(torch.cholesky_inverse(self._unbroadcasted_scale_tril))

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        squares = self._unbroadcasted_scale_tril.pow(2).sum(-1)
        return squares.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape=Size()):
        eps = _standard_normal(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, eps)

    def log_prob(self, value):
        self._check_value(value)
        distance = _batch_mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + distance) - half_log_det(self._unbroadcasted_scale_tril)

    def entropy(self):
        constant = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        entropy = constant + half_log_det(self._unbroadcasted_scale_tril)
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy

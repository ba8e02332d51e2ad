"""Transforms of events: vectors, matrices and parts of arrays. They belong to `transforms`, which imports them."""

import math

import rushlight as torch
from rushlight.devices import Size
from rushlight.distributions import constraints
from rushlight.distributions.transforms import Transform, _clipped_sigmoid, _Same
from rushlight.distributions.utils import (
    _sum_rightmost,
    lazy_property,
    tril_matrix_to_vec,
    vec_to_tril_matrix,
)
from rushlight.nn.functional import logsigmoid, pad, softplus


def _need_dims(shape, dims: int) -> None:
    if len(shape) < dims:
        raise ValueError(f"Too few dimensions on input: expected at least {dims}, got shape {list(shape)}")


def _at_least(x, dims: int):
    if x.dim() < dims:
        raise ValueError(f"Too few dimensions on input: expected at least {dims}, got {x.dim()}")
    return x


class IndependentTransform(Transform):
    """Another transform whose last batch dimensions belong to the event: Jacobians are summed over them.

    Args:
        base_transform: the other one.
        reinterpreted_batch_ndims: how many dimensions.
        cache_size: 0 or 1.
    """

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0):
        super().__init__(cache_size=cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    def with_cache(self, cache_size=1):
        """The same transform with a cache of this size."""
        if self._cache_size == cache_size:
            return self
        return IndependentTransform(self.base_transform, self.reinterpreted_batch_ndims, cache_size)

    @constraints.dependent_property(is_discrete=False)
    def domain(self):
        """What it transforms."""
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @constraints.dependent_property(is_discrete=False)
    def codomain(self):
        """What it gives."""
        return constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims)

    @property
    def bijective(self) -> bool:
        """Whether the other one is."""
        return self.base_transform.bijective

    @property
    def sign(self):
        """The other one's sign."""
        return self.base_transform.sign

    def _call(self, x):
        return self.base_transform(_at_least(x, self.domain.event_dim))

    def _inverse(self, y):
        return self.base_transform.inv(_at_least(y, self.codomain.event_dim))

    def log_abs_det_jacobian(self, x, y):
        """log |det dy/dx| at x, summed over the dimensions that became part of the event."""
        return _sum_rightmost(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)

    def __repr__(self):
        return f"{self.__class__.__name__}({self.base_transform!r}, {self.reinterpreted_batch_ndims})"

    def forward_shape(self, shape):
        """The shape of f(x) from that of x."""
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape):
        """The shape of x from that of f(x)."""
        return self.base_transform.inverse_shape(shape)


class ReshapeTransform(Transform):
    """Events of one shape as events of another.

    Args:
        in_shape: the shape of the events before.
        out_shape: their shape after.
        cache_size: 0 or 1.
    Raises:
        ValueError: the numbers of elements differ.
    """

    bijective = True

    def __init__(self, in_shape, out_shape, cache_size: int = 0):
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            raise ValueError(
                "in_shape, out_shape have different numbers of elements: "
                f"{list(self.in_shape)} and {list(self.out_shape)}"
            )
        super().__init__(cache_size=cache_size)

    @constraints.dependent_property
    def domain(self):
        """Numbers in the shape before."""
        return constraints.independent(constraints.real, len(self.in_shape))

    @constraints.dependent_property
    def codomain(self):
        """Numbers in the shape after."""
        return constraints.independent(constraints.real, len(self.out_shape))

    def _call(self, x):
        return x.reshape(x.shape[: x.dim() - len(self.in_shape)] + self.out_shape)

    def _inverse(self, y):
        return y.reshape(y.shape[: y.dim() - len(self.out_shape)] + self.in_shape)

    def log_abs_det_jacobian(self, x, y):
        """Zero."""
        return x.new_zeros(x.shape[: x.dim() - len(self.in_shape)])

    def forward_shape(self, shape):
        """The shape of f(x) from that of x."""
        return _replaced(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape):
        """The shape of x from that of f(x)."""
        return _replaced(shape, self.out_shape, self.in_shape)


def _replaced(shape, old, new):
    """A shape with another end."""
    _need_dims(shape, len(old))
    cut = len(shape) - len(old)
    if shape[cut:] != old:
        raise ValueError(f"Shape mismatch: expected {shape[cut:]} but got {old}")
    return shape[:cut] + new


class CorrCholeskyTransform(Transform):
    """Vectors of n * (n - 1) / 2 numbers as Cholesky factors of correlation matrices of n variables.

    The numbers fill the triangle below the diagonal row by row; their hyperbolic tangents are the parts that are broken
    off the rest of each row's unit length. Source: Lewandowski, Kurowicka and Joe, 2009.
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x):
        x = torch.tanh(x)
        eps = torch.finfo(x.dtype).eps
        r = vec_to_tril_matrix(x.clamp(min=-1 + eps, max=1 - eps), diag=-1)
        rest = (1 - r * r).sqrt().cumprod(-1)
        r = r + torch.eye(r.shape[-1], dtype=r.dtype)
        return r * pad(rest[..., :-1], [1, 0], value=1)

    def _inverse(self, y):
        rest = pad((1 - torch.cumsum(y * y, dim=-1))[..., :-1], [1, 0], value=1)
        t = tril_matrix_to_vec(y, diag=-1) / tril_matrix_to_vec(rest, diag=-1).sqrt()
        return (t.log1p() - t.neg().log1p()) / 2  # artanh, of numbers that the forward pass has clipped

    def log_abs_det_jacobian(self, x, y, intermediates=None):
        """log |det dy/dx| at x: that of breaking the sticks, and that of the tangents."""
        rest = tril_matrix_to_vec(1 - (y * y).cumsum(dim=-1), diag=-2)
        tangents = -2 * (x + softplus(-2 * x) - math.log(2.0)).sum(dim=-1)
        return 0.5 * rest.log().sum(-1) + tangents

    def forward_shape(self, shape):
        """The shape of f(x) from that of x."""
        _need_dims(shape, 1)
        n = shape[-1]
        d = round((0.25 + 2 * n) ** 0.5 + 0.5)
        if d * (d - 1) // 2 != n:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return shape[:-1] + (d, d)

    def inverse_shape(self, shape):
        """The shape of x from that of f(x)."""
        _need_dims(shape, 2)
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return shape[:-2] + (shape[-1] * (shape[-1] - 1) // 2,)


class SoftmaxTransform(_Same):
    """Vectors as points of the simplex, exp(x) normalised; log is the pseudo-inverse. It is not bijective."""

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x):
        probs = (x - x.max(-1, True)[0]).exp()
        return probs / probs.sum(-1, True)

    def _inverse(self, y):
        return y.log()

    def forward_shape(self, shape):
        """The same shape."""
        _need_dims(shape, 1)
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(_Same):
    """Vectors of n numbers as points of the simplex in n + 1 dimensions.

    Each number says, through the logistic function, which part is broken off what is left of a stick.
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    @staticmethod
    def _offset(x, size: int):
        """The logarithms of how many parts are still to come: equal parts for x = 0."""
        return (size + 1 - x.new_ones(size).cumsum(-1)).log()

    def _call(self, x):
        z = _clipped_sigmoid(x - self._offset(x, x.shape[-1]))
        return pad(z, [0, 1], value=1) * pad((1 - z).cumprod(-1), [1, 0], value=1)

    def _inverse(self, y):
        parts = y[..., :-1]
        rest = torch.clamp(1 - parts.cumsum(-1), min=torch.finfo(y.dtype).tiny)
        return parts.log() - rest.log() + self._offset(y, parts.shape[-1])

    def log_abs_det_jacobian(self, x, y):
        """log |det dy/dx| at x."""
        x = x - self._offset(x, x.shape[-1])
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape):
        """The shape of f(x) from that of x."""
        _need_dims(shape, 1)
        return shape[:-1] + (shape[-1] + 1,)

    def inverse_shape(self, shape):
        """The shape of x from that of f(x)."""
        _need_dims(shape, 1)
        return shape[:-1] + (shape[-1] - 1,)


class LowerCholeskyTransform(_Same):
    """Matrices as lower triangular ones with a positive diagonal, by its exponential."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x):
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y):
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(_Same):
    """Matrices as positive definite ones: their Cholesky factor is what `LowerCholeskyTransform` gives."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x):
        x = LowerCholeskyTransform()(x)
        return x @ x.mT

    def _inverse(self, y):
        return LowerCholeskyTransform().inv(torch.linalg.cholesky(y))


class _PartsTransform(Transform):
    """Transforms of the parts of an array along one dimension."""

    def __init__(self, tseq, dim: int, cache_size: int):
        if not all(isinstance(t, Transform) for t in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.dim = dim

    def _parts(self, x):
        """The part of x for each transform."""
        raise NotImplementedError

    def _need(self, x, length: int) -> None:
        if not -x.dim() <= self.dim < x.dim():
            raise AssertionError(f"dim {self.dim} out of range for tensor with {x.dim()} dimensions")
        if x.size(self.dim) != length:
            raise AssertionError(f"x.size({self.dim}) = {x.size(self.dim)} must equal length {length}")

    def _call(self, x):
        parts = zip(self.transforms, self._parts(x), strict=True)
        return self._join([t(part) for t, part in parts], dim=self.dim)

    def _inverse(self, y):
        parts = zip(self.transforms, self._parts(y), strict=True)
        return self._join([t.inv(part) for t, part in parts], dim=self.dim)

    def _jacobians(self, x, y) -> list:
        triples = zip(self.transforms, self._parts(x), self._parts(y), strict=True)
        return [t.log_abs_det_jacobian(a, b) for t, a, b in triples]

    @property
    def bijective(self) -> bool:
        """Whether all its transforms are."""
        return all(t.bijective for t in self.transforms)


class CatTransform(_PartsTransform):
    """A transform for each of several parts along a dimension.

    Args:
        tseq: the transforms.
        dim: the dimension.
        lengths: the length of each part; 1 by default.
        cache_size: 0 or 1.
    """

    def __init__(self, tseq, dim: int = 0, lengths=None, cache_size: int = 0):
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(
                f"lengths ({len(self.lengths)}) must match transforms ({len(self.transforms)})"
            )

    def _join(self, parts, dim):
        return torch.cat(parts, dim=dim)

    @lazy_property
    def event_dim(self) -> int:
        """The number of dimensions of the largest event."""
        return max(t.event_dim for t in self.transforms)

    @lazy_property
    def length(self) -> int:
        """The length of all parts together."""
        return sum(self.lengths)

    def with_cache(self, cache_size=1):
        """The same transforms with caches of this size."""
        if self._cache_size == cache_size:
            return self
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _parts(self, x):
        self._need(x, self.length)
        return x.split(self.lengths, self.dim)

    def log_abs_det_jacobian(self, x, y):
        """log |det dy/dx| at x, of each event."""
        found = [
            _sum_rightmost(j, self.event_dim - t.event_dim)
            for t, j in zip(self.transforms, self._jacobians(x, y), strict=True)
        ]
        dim = (self.dim - x.dim() if self.dim >= 0 else self.dim) + self.event_dim
        return torch.cat(found, dim=dim) if dim < 0 else sum(found)

    @constraints.dependent_property
    def domain(self):
        """What the parts are in."""
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self):
        """What the transformed parts are in."""
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(_PartsTransform):
    """A transform for each slice along a dimension.

    Args:
        tseq: the transforms, one for each slice.
        dim: the dimension.
        cache_size: 0 or 1.
    """

    def __init__(self, tseq, dim: int = 0, cache_size: int = 0):
        super().__init__(tseq, dim, cache_size)

    def _join(self, parts, dim):
        return torch.stack(parts, dim=dim)

    def with_cache(self, cache_size=1):
        """The same transforms with caches of this size."""
        return (
            self if self._cache_size == cache_size else StackTransform(self.transforms, self.dim, cache_size)
        )

    def _parts(self, x):
        self._need(x, len(self.transforms))
        return x.unbind(self.dim)

    def log_abs_det_jacobian(self, x, y):
        """log |det dy/dx| at x, of each slice."""
        return torch.stack(self._jacobians(x, y), dim=self.dim)

    @constraints.dependent_property
    def domain(self):
        """What the slices are in."""
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self):
        """What the transformed slices are in."""
        return constraints.stack([t.codomain for t in self.transforms], self.dim)

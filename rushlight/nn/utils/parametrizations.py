"""Parametrizations in common use: weight and spectral normalization, orthogonal matrices."""

from rushlight.autograd.grad_mode import no_grad
from rushlight.nn import functional as F
from rushlight.nn.module import Module
from rushlight.nn.utils import parametrize
from rushlight.nn.utils.orthogonal import orthogonal
from rushlight.nn.utils.spectral_norm import as_matrix, output_dim
from rushlight.ops.weight_norm import norm_except_dim
from rushlight.ops.weight_norm import weight_norm as _weight_norm
from rushlight.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return _weight_norm(weight_v, weight_g, self.dim)

    def right_inverse(self, weight):
        """The lengths and the directions of a weight."""
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a parameter as a length, `original0`, and a direction, `original1`.

    Args:
        module: where the parameter is.
        name: its name.
        dim: the dimension with a length for each position; None for one length.
    Returns:
        The module.

    Source: Salimans & Kingma, Weight Normalization, NeurIPS 2016.

    >>> import rushlight as torch
    >>> torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 1))
    ParametrizedLinear(
      in_features=2, out_features=1, bias=True
      (parametrizations): ModuleDict(
        (weight): ParametrizationList(
          (0): _WeightNorm()
        )
      )
    )
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict, prefix, *_) -> None:
        """Take states of the older form."""
        length, direction = f"{prefix}{name}_g", f"{prefix}{name}_v"
        if length in state_dict and direction in state_dict:
            state_dict[f"{prefix}parametrizations.{name}.original0"] = state_dict.pop(length)
            state_dict[f"{prefix}parametrizations.{name}.original1"] = state_dict.pop(direction)

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12):
        super().__init__()
        ndim = weight.dim()
        if not -ndim <= dim < ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight, self.dim)
            u, v = (matrix.new_empty(size).normal_(0, 1) for size in matrix.shape)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=eps))
            self._power_method(matrix, 15)

    @no_grad()
    def _power_method(self, matrix: Tensor, steps: int) -> None:
        """Bring `_u` and `_v` closer to the first singular vectors."""
        for _ in range(steps):
            F.normalize(matrix.mv(self._v), dim=0, eps=self.eps, out=self._u)
            F.normalize(matrix.mH.mv(self._u), dim=0, eps=self.eps, out=self._v)

    def forward(self, weight):
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # a later forward overwrites them before this one's backward
        return weight / u.vdot(matrix.mv(v))

    def right_inverse(self, value):
        """The value: it is taken to be normalized."""
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> Module:  # fmt: skip
    """Divide a parameter by its largest singular value, which the power method estimates.

    Args:
        module: where the parameter is.
        name: its name.
        n_power_iterations: steps of the power method for each use in training.
        eps: the least norm that vectors are divided by.
        dim: the dimension that counts outputs; 1 for transposed convolutions, else 0, by default.
    Returns:
        The module.
    Raises:
        ValueError: there is no such parameter. IndexError: there is no such dimension.

    Source: Miyato et al., Spectral Normalization for Generative Adversarial Networks, ICLR 2018.
    """
    weight = _tensor(module, name)
    made = _SpectralNorm(weight, n_power_iterations, output_dim(module) if dim is None else dim, eps)
    return parametrize.register_parametrization(module, name, made)


def _tensor(module: Module, name: str) -> Tensor:
    found = getattr(module, name, None)
    if not isinstance(found, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return found

"""Von Mises distributions."""

import math

import rushlight as torch
from rushlight.devices import Size
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import lazy_property

__all__ = ["VonMises"]

# Abramowitz & Stegun 9.8.1 to 9.8.4: polynomials for small and large arguments, for each order.
_SMALL = (
    (1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813),
    (0.5, 0.87890594, 0.51498869, 0.15084934, 0.02658733, 0.00301532, 0.00032411),
)
_LARGE = (
    (0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281, -0.02057706, 0.02635537, -0.01647633, 0.00392377),
    (0.39894228, -0.03988024, -0.00362018, 0.00163801, -0.01031555, 0.02282967, -0.02895312, 0.01787654, -0.00420059),
)  # fmt: skip


def _polynomial(y, coefficients):
    result = coefficients[-1]
    for c in coefficients[-2::-1]:
        result = c + y * result
    return result


def _log_modified_bessel_fn(x, order=0):
    """The logarithm of the modified Bessel function of the first kind, for positive x; to 1e-7, as PyTorch's."""
    small = _polynomial((x / 3.75) ** 2, _SMALL[order])
    small = (x.abs() * small if order else small).log()
    large = x - 0.5 * x.log() + _polynomial(3.75 / x, _LARGE[order]).log()
    return torch.where(x < 3.75, small, large)


def _rejection_sample(loc, concentration, proposal_r, x):
    """Best and Fisher's algorithm, from a wrapped Cauchy distribution; all are drawn until the last is accepted."""
    done = torch.zeros(x.shape, dtype=torch.bool)
    while not done.all():
        u1, u2, u3 = torch.rand((3,) + x.shape, dtype=loc.dtype).unbind()
        z = torch.cos(math.pi * u1)
        f = (1 + proposal_r * z) / (proposal_r + z)
        c = concentration * (proposal_r - f)
        accept = (c * (2 - c) - u2 > 0) | ((c / u2).log() + 1 - c >= 0)
        x = torch.where(accept, (u3 - 0.5).sign() * f.acos(), x)
        done = done | accept
    return (x + math.pi + loc) % (2 * math.pi) - math.pi


class VonMises(Distribution):
    """The von Mises distribution of angles.

    Args:
        loc: the mean direction, in radians.
        concentration: how concentrated it is.
        validate_args: whether arguments are checked.

    Source: Best and Fisher, Applied Statistics 28, 1979.
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False

    def __init__(self, loc, concentration, validate_args=None):
        self._set(validate_args, loc=loc, concentration=concentration)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(VonMises, batch_shape, _instance)

    def log_prob(self, value):
        self._check_value(value)
        norm = math.log(2 * math.pi) + _log_modified_bessel_fn(self.concentration, order=0)
        return self.concentration * torch.cos(value - self.loc) - norm

    @lazy_property
    def _proposal_r(self):
        kappa = self.concentration.double()
        tau = 1 + (1 + 4 * kappa**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * kappa)
        return torch.where(kappa < 1e-5, 1 / kappa + kappa, (1 + rho**2) / (2 * rho))

    def sample(self, sample_shape=Size()):
        """Random angles in [-pi, pi), computed in double precision."""
        with torch.no_grad():
            x = torch.empty(self._extended_shape(sample_shape), dtype=torch.double)
            loc, concentration = self.loc.double(), self.concentration.double()
            return _rejection_sample(loc, concentration, self._proposal_r, x).to(self.loc.dtype)

    @property
    def mean(self):
        """The mean direction."""
        return self.loc

    mode = mean

    @lazy_property
    def variance(self):
        """The circular variance."""
        first, zeroth = (_log_modified_bessel_fn(self.concentration, order=n) for n in (1, 0))
        return 1 - (first - zeroth).exp()

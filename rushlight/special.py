"""Special functions: `torch.special`."""

from rushlight.ops import special as _ops
from rushlight.ops.loss import xlogy
from rushlight.ops.reduction import logsumexp
from rushlight.ops.softmax import log_softmax, softmax
from rushlight.ops.special import i0, igamma, igammac, logit, mvlgamma, polygamma, sinc
from rushlight.ops.unary import digamma, erf, erfc, erfinv, exp2, expm1, lgamma, log1p, round, sigmoid

expit = sigmoid
gammainc, gammaincc, gammaln, multigammaln, psi = igamma, igammac, lgamma, mvlgamma, digamma

__all__ = [
    "digamma", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln", "i0", "log1p",
    "log_softmax", "logit", "logsumexp", "multigammaln", "polygamma", "psi", "round", "sinc", "softmax", "xlogy",
]  # fmt: skip

for _name in dir(_ops):
    if _name.startswith("special_"):
        globals()[_name.removeprefix("special_")] = getattr(_ops, _name)
        __all__.append(_name.removeprefix("special_"))
__all__.sort()
del _name

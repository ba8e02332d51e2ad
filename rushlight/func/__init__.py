"""Transforms of functions: gradients, Jacobians, batching; modules as functions of their parameters.

The recorded graph does the work: a transform runs its function on aliases of the arguments that require gradients, so
transforms nest as functions do. `vmap` runs its function once, for all samples: `batched.py` is what the function sees,
`batch_rules.py` says how functions are computed for a batch.
"""

from rushlight.func.modules import functional_call, replace_all_batch_norm_modules_, stack_module_state
from rushlight.func.transforms import (
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    vjp,
)
from rushlight.func.vmap import vmap

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]

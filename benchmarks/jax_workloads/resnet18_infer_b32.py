"""The workload of the same name in JAX."""

from jax_workloads import common as c
from jax_workloads.resnet18 import resnet18


def build(jax):
    """One pass."""
    p = c.Parameters()
    return c.inference_step(p, resnet18(jax, p), c.normal(32, 32, 32, 3))

"""The workload of the same name in JAX."""

from jax_workloads import common as c


def build(jax):
    """The training step."""
    p = c.Parameters()
    forward = c.sequential(p.linear(784, 200), c.relu, p.linear(200, 200), c.relu, p.linear(200, 10))
    return c.training_step(p, forward, c.adam(0.001), c.normal(200, 784), c.labels(200))

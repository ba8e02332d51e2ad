"""The workload of the same name in JAX."""

from jax_workloads import common as c


def build(jax):
    """The training step."""
    p = c.Parameters()
    forward = c.sequential(
        p.conv(1, 30, 5), c.relu, c.max_pool, c.flatten,
        p.linear(30 * 12 * 12, 100), c.relu, p.linear(100, 10),
    )  # fmt: skip
    return c.training_step(p, forward, c.sgd(0.01), c.normal(100, 28, 28, 1), c.labels(100))

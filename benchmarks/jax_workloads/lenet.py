"""The workload of the same name in JAX."""

from jax_workloads import common as c


def build(jax):
    """The training step."""
    p = c.Parameters()
    forward = c.sequential(
        p.conv(1, 6, 5, padding=2), c.relu, c.max_pool,
        p.conv(6, 16, 5), c.relu, c.max_pool, c.flatten,
        p.linear(400, 120), c.relu, p.linear(120, 84), c.relu, p.linear(84, 10),
    )  # fmt: skip
    return c.training_step(p, forward, c.adam(0.001), c.normal(64, 28, 28, 1), c.labels(64))

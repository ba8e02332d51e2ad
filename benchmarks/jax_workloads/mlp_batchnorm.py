"""The workload of the same name in JAX."""

from jax_workloads import common as c


def build(jax):
    """The training step."""
    p = c.Parameters()
    forward = c.sequential(
        p.linear(784, 300), p.batch_norm(300), c.relu,
        p.linear(300, 100), p.batch_norm(100), c.relu,
        p.linear(100, 10),
    )  # fmt: skip
    return c.training_step(p, forward, c.sgd(0.01), c.normal(64, 784), c.labels(64))

"""The workload of the same name in JAX."""

from jax_workloads import common as c


def build(jax):
    """The training step."""
    p = c.Parameters()
    forward = c.sequential(
        p.linear(784, 256), c.relu, p.linear(256, 20),
        p.linear(20, 256), c.relu, p.linear(256, 784), lambda net, x: jax.nn.sigmoid(x),
    )  # fmt: skip
    x = jax.random.uniform(jax.random.key(2), (128, 784))
    return c.training_step(p, forward, c.adam(0.001), x, x, c.mean_squared)

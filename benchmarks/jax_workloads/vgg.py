"""The workload of the same name in JAX."""

from jax_workloads import common as c


def build(jax):
    """The training step."""
    p = c.Parameters()
    layers, inside = [], 3
    for outside, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3)):
        for _ in range(convolutions):
            layers += [p.conv(inside, outside, 3, padding=1), c.relu]
            inside = outside
        layers.append(c.max_pool)
    forward = c.sequential(
        *layers, c.flatten,
        p.linear(512 * 2 * 2, 512), c.relu, c.dropout(0.5),
        p.linear(512, 512), c.relu, c.dropout(0.5),
        p.linear(512, 10),
    )  # fmt: skip
    return c.training_step(p, forward, c.sgd(0.01, momentum=0.9), c.normal(32, 32, 32, 3), c.labels(32))

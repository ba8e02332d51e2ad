"""The workload of the same name in JAX."""

from workloads.mobilenet import STAGES

from jax_workloads import common as c


def build(jax):
    """The training step."""
    p = c.Parameters()

    def relu6(net, x):
        return jax.nn.relu6(x)

    layers = [p.conv(3, 32, 3, 1, 1, bias=False), p.batch_norm(32), relu6]
    for inside, outside, stride in STAGES:
        layers += [
            p.conv(inside, inside, 3, stride, 1, groups=inside, bias=False), p.batch_norm(inside), relu6,
            p.conv(inside, outside, 1, bias=False), p.batch_norm(outside), relu6,
        ]  # fmt: skip
    forward = c.sequential(*layers, c.mean_pool, p.linear(512, 10))
    optimizer = c.sgd(0.01, momentum=0.9, weight_decay=5e-4)
    return c.training_step(p, forward, optimizer, c.normal(32, 32, 32, 3), c.labels(32))

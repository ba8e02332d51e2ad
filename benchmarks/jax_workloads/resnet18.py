"""The workload of the same name in JAX."""

from jax_workloads import common as c


def resnet18(jax, p):
    """ResNet-18 with a 3x3 stem, as a function of a Net and pictures."""

    def block(inside, outside, stride):
        branch = c.sequential(
            p.conv(inside, outside, 3, stride, 1, bias=False), p.batch_norm(outside), c.relu,
            p.conv(outside, outside, 3, 1, 1, bias=False), p.batch_norm(outside),
        )  # fmt: skip
        shortcut = c.sequential()
        if stride != 1 or inside != outside:
            shortcut = c.sequential(p.conv(inside, outside, 1, stride, bias=False), p.batch_norm(outside))
        return lambda net, x: jax.nn.relu(branch(net, x) + shortcut(net, x))

    layers = [p.conv(3, 64, 3, 1, 1, bias=False), p.batch_norm(64), c.relu]
    inside = 64
    for outside, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [block(inside, outside, stride), block(outside, outside, 1)]
        inside = outside
    return c.sequential(*layers, c.mean_pool, p.linear(512, 10))


def build(jax):
    """The training step."""
    p = c.Parameters()
    forward = resnet18(jax, p)
    optimizer = c.sgd(0.01, momentum=0.9, weight_decay=5e-4)
    return c.training_step(p, forward, optimizer, c.normal(32, 32, 32, 3), c.labels(32))

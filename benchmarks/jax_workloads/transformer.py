"""The workload of the same name in JAX."""

from jax_workloads import common as c


def build(jax):
    """The training step."""
    p = c.Parameters()
    width, heads, feedforward = 128, 8, 256

    def attention():
        inside, outside = p.linear(width, 3 * width), p.linear(width, width)

        def forward(net, x):
            batch, length, _ = x.shape
            q, k, v = (
                part.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)
                for part in jax.numpy.split(inside(net, x), 3, 2)
            )
            scores = jax.nn.softmax(q @ k.swapaxes(2, 3) / (width // heads) ** 0.5)
            mixed = net.dropout(scores, 0.1) @ v
            return outside(net, mixed.transpose(0, 2, 1, 3).reshape(batch, length, width))

        return forward

    def layer():
        attend, norm1, norm2 = attention(), p.layer_norm(width), p.layer_norm(width)
        up, down = p.linear(width, feedforward), p.linear(feedforward, width)

        def forward(net, x):
            x = norm1(net, x + net.dropout(attend(net, x), 0.1))
            inner = net.dropout(jax.nn.relu(up(net, x)), 0.1)
            return norm2(net, x + net.dropout(down(net, inner), 0.1))

        return forward

    forward = c.sequential(layer(), layer(), lambda net, x: x.mean(1), p.linear(width, 10))
    return c.training_step(p, forward, c.adam(1e-3), c.normal(16, 64, width), c.labels(16))

"""The workload of the same name in JAX: the inputs' product at once, then a scan over time."""

from jax_workloads import common as c


def build(jax):
    """The training step."""
    p = c.Parameters()
    hidden = 128
    bound = hidden**-0.5
    w_input, w_hidden = p.uniform((4 * hidden, 64), bound), p.uniform((4 * hidden, hidden), bound)
    b_input, b_hidden = p.uniform((4 * hidden,), bound), p.uniform((4 * hidden,), bound)
    head = p.linear(hidden, 10)

    def forward(net, x):
        def one(state, gates):
            h, cell = state
            gates = gates + h @ net.p[w_hidden].T
            i, f, g, o = jax.numpy.split(gates, 4, 1)
            cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
            return (jax.nn.sigmoid(o) * jax.numpy.tanh(cell), cell), None

        gates = x @ net.p[w_input].T + net.p[b_input] + net.p[b_hidden]
        zeros = jax.numpy.zeros((x.shape[1], hidden))
        (last, _), _ = jax.lax.scan(one, (zeros, zeros), gates)
        return head(net, last)

    return c.training_step(p, forward, c.sgd(0.01), c.normal(50, 32, 64), c.labels(32))

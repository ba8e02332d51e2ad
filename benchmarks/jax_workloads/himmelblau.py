"""The workload of the same name in JAX: all twenty steps of Adam are compiled as one."""

from jax_workloads import common as c


def build(jax):
    """Twenty steps from the origin's side."""
    start, update = c.adam(1e-3)

    def himmelblau(p):
        return (p[0] ** 2 + p[1] - 11) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2

    def whole(place, state, count):
        def one(_, now):
            place, state, count, _ = now
            value, gradient = jax.value_and_grad(himmelblau)(place)
            return *update(place, gradient, state, count), count + 1, value

        return jax.lax.fori_loop(0, 20, one, (place, state, count, jax.numpy.float32(0)))

    compiled = jax.jit(whole, donate_argnums=(0, 1, 2))
    place = jax.numpy.array([-1.0, 0.5])
    now = [place, start(place), jax.numpy.float32(1)]

    def step():
        nonlocal now
        *now, value = compiled(*now)
        jax.block_until_ready(now)
        return float(value)

    step.parameters = lambda: [now[0]]
    return step

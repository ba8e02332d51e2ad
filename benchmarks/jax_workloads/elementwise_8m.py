"""The workload of the same name in JAX."""


def build(jax):
    """One pass."""
    first, second = jax.random.split(jax.random.key(0))
    x, y = jax.random.uniform(first, (8_000_000,)), jax.random.uniform(second, (8_000_000,))
    chain = jax.jit(lambda x, y: (x + y) * y)

    def step():
        return float(chain(x, y).block_until_ready()[0])

    return step

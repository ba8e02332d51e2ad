"""Adding and multiplying tensors of 8 million elements."""

from training import compiled


def build(torch):
    """One pass."""
    x = torch.rand(8_000_000)
    y = torch.rand(8_000_000)

    def chain(x, y):
        z = x + y
        return z * y

    chain = compiled(torch, chain)

    def step():
        return chain(x, y)[0].item()

    return step

"""Adding and multiplying tensors of 8 million elements."""


def build(torch):
    """One pass."""
    x = torch.rand(8_000_000)
    y = torch.rand(8_000_000)

    def step():
        z = x + y
        z = z * y
        return z[0].item()

    return step

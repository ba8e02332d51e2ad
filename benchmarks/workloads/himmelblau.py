"""20 steps of Adam down Himmelblau's function."""

from training import compiled


def build(torch):
    """Twenty steps from the origin's side."""
    place = torch.tensor([-1.0, 0.5], requires_grad=True)
    optimizer = torch.optim.Adam([place], lr=1e-3)
    himmelblau = compiled(torch, lambda p: (p[0] ** 2 + p[1] - 11) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2)

    def step():
        for _ in range(20):
            value = himmelblau(place)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        return value.item()

    return step

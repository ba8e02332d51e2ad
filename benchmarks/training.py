"""The training step that the network workloads share."""

import contextlib


def training_step(torch, model, optimizer, x, y, low=None):
    """A function that runs one step of classification and returns the loss; under autocast to `low` where it is given."""
    criterion = torch.nn.CrossEntropyLoss()
    region = torch.autocast("cpu", low) if low else contextlib.nullcontext()

    def step():
        optimizer.zero_grad()
        with region:
            loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step

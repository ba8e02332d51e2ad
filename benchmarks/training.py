"""The steps that the network workloads share."""

import contextlib


class Options:
    """How the worker wants functions run: as they are, or through the framework's compiler."""

    compiled = False


def compiled(torch, function):
    """The function, or what the framework's compiler makes of it, where the worker asks for that."""
    return torch.compile(function) if Options.compiled else function


def training_step(torch, model, optimizer, x, y, criterion=None, low=None):
    """A function that runs one step and returns the loss: classification, unless a criterion is given.

    Args:
        torch: the framework.
        model: the network.
        optimizer: its optimizer.
        x: the batch.
        y: its targets.
        criterion: the loss, cross-entropy where None.
        low: a 16-bit type, for a step under autocast.
    """
    criterion = criterion or torch.nn.CrossEntropyLoss()
    region = torch.autocast("cpu", low) if low else contextlib.nullcontext()
    loss_of = compiled(torch, lambda x, y: criterion(model(x), y))

    def step():
        optimizer.zero_grad()
        with region:
            loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def inference_step(torch, model, x):
    """A function that runs the network, in evaluation, on one batch and returns the first output."""
    model.eval()
    forward = compiled(torch, model)

    def step():
        with torch.no_grad():
            return forward(x).flatten()[0].item()

    return step

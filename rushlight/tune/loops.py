"""Grid and random search in two lines: give loaders, a model class and what to try."""

import copy
import inspect
from itertools import product
from random import Random

import rushlight as torch
from rushlight.tune.space import as_space

__all__ = ["grid_search", "random_search"]


def grid_search(
    train_loader, val_loader, grid_search_spaces: dict, model_class, epochs: int = 20, patience: int = 5
):
    """Train a model with every combination of values.

    Args:
        train_loader, val_loader: loaders of (inputs, labels), or of dictionaries with "image" and "label".
        grid_search_spaces: the values of each hyper-parameter. `learning_rate`, `reg` (weight decay), `optimizer` (a
            class) and `loss_func` are used in training; what the model class takes goes to it.
        model_class: called with hyper-parameters, returns a model.
        epochs: how many at most.
        patience: stop after so many epochs without a better validation loss.
    Returns:
        The best model with the weights of its best epoch, and a list of (hyper-parameters, figures): train_loss and
        val_loss of the best epoch, and its number.

    >>> import rushlight as torch
    >>> from rushlight.tune import grid_search
    >>> data = [(torch.eye(2), torch.tensor([0, 1]))]
    >>> best, results = grid_search(data, data, {"learning_rate": [0.1, 0.5]}, lambda: torch.nn.Linear(2, 2), epochs=3)
    >>> [config for config, _ in results]
    [{'learning_rate': 0.1}, {'learning_rate': 0.5}]
    """
    spaces = {
        name: as_space(f"grid_search: {name}", values).values() for name, values in grid_search_spaces.items()
    }
    configs = [dict(zip(spaces, values, strict=True)) for values in product(*spaces.values())]
    return _best(train_loader, val_loader, configs, model_class, epochs, patience)


def random_search(
    train_loader,
    val_loader,
    random_search_spaces: dict,
    model_class,
    num_search: int = 20,
    epochs: int = 20,
    patience: int = 5,
    seed: int | None = None,
):
    """Train a model with values drawn by chance.

    Args:
        train_loader, val_loader, model_class, epochs, patience: as of `grid_search`.
        random_search_spaces: (bounds, mode) of each hyper-parameter, where mode is "log", "float" or "int"; (values,
            "item"); or what `search` takes.
        num_search: how many times to draw.
        seed: for the same draws again.
    Returns: as `grid_search`.

    Source: J. Bergstra and Y. Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012.
    """
    random = Random(seed)
    spaces = {name: as_space(f"random_search: {name}", given) for name, given in random_search_spaces.items()}
    configs = [{name: space.draw(random) for name, space in spaces.items()} for _ in range(num_search)]
    return _best(train_loader, val_loader, configs, model_class, epochs, patience)


def _best(train_loader, val_loader, configs: list[dict], model_class, epochs: int, patience: int):
    best_model, best_loss, results = None, float("inf"), []
    for config in configs:
        model = model_class(**_accepted(model_class, config))
        figures = _fit(model, train_loader, val_loader, config, epochs, patience)
        results.append((config, figures))
        if best_model is None or figures["val_loss"] < best_loss:
            best_model, best_loss = model, figures["val_loss"]
    return best_model, results


def _accepted(model_class, config: dict) -> dict:
    """What of the configuration the model class takes."""
    parameters = inspect.signature(model_class).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return config
    names = {p.name for p in parameters}
    return {name: value for name, value in config.items() if name in names}


def _batch(batch):
    return (batch["image"], batch["label"]) if isinstance(batch, dict) else batch


def _fit(model, train_loader, val_loader, config: dict, epochs: int, patience: int) -> dict:
    """Train with early stopping; leaves the best weights in the model."""
    criterion = config.get("loss_func") or torch.nn.CrossEntropyLoss()
    optimizer = config.get("optimizer", torch.optim.Adam)(
        model.parameters(), lr=config.get("learning_rate", 1e-3), weight_decay=config.get("reg", 0.0)
    )
    best: dict = {"val_loss": float("inf"), "train_loss": float("nan"), "epoch": -1}
    weights = copy.deepcopy(model.state_dict())
    for epoch in range(epochs):
        train_loss = _epoch(model.train(), train_loader, criterion, optimizer)
        with torch.no_grad():
            val_loss = _epoch(model.eval(), val_loader, criterion, None)
        if val_loss < best["val_loss"]:
            best = {"val_loss": val_loss, "train_loss": train_loss, "epoch": epoch}
            weights = copy.deepcopy(model.state_dict())
        elif epoch - best["epoch"] >= patience:
            break
    model.load_state_dict(weights)
    return best


def _epoch(model, loader, criterion, optimizer) -> float:
    """The mean loss of the samples; with an optimizer, a step for each batch."""
    total, count = 0.0, 0
    for batch in loader:
        x, y = _batch(batch)
        loss = criterion(model(x), y)
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        total, count = total + loss.item() * len(y), count + len(y)
    if not count:
        raise ValueError("the loader is empty")
    return total / count

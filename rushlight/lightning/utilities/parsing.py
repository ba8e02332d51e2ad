"""Hyperparameters as a dictionary with attributes; finding them among the arguments of `__init__`."""

import inspect


class AttributeDict(dict):
    """A dictionary whose items are attributes too.

    >>> d = AttributeDict(lr=0.1)
    >>> d.lr = 0.2
    >>> d["lr"]
    0.2
    """

    def __getattr__(self, key):
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"Missing attribute {key!r}; there are {sorted(map(str, self))}") from None

    def __setattr__(self, key, value) -> None:
        self[key] = value

    def __repr__(self) -> str:
        width = max((len(str(key)) for key in self), default=0)
        return "\n".join(f'"{key}":{" " * (width - len(str(key)) + 1)}{value}' for key, value in sorted(
            self.items(), key=lambda item: str(item[0])))  # fmt: skip


def init_arguments(frame, owner) -> dict:
    """What the `__init__` methods of `owner` were called with, those of subclasses last.

    Args:
        frame: of the innermost `__init__`.
        owner: the object that is being made.
    """
    found: list[dict] = []
    while frame is not None and frame.f_code.co_name == "__init__":
        names, _, keywords, values = inspect.getargvalues(frame)
        if not names or values.get(names[0]) is not owner:
            break
        given = {name: values[name] for name in names[1:] if name in values}
        found.append({**given, **(values.get(keywords, {}) if keywords else {})})
        frame = frame.f_back
    merged: dict = {}
    for arguments in found:
        merged.update(arguments)
    return merged


def accepts(function, name: str) -> bool:
    """Whether a function has that parameter."""
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def lightning_hasattr(model, attribute: str) -> bool:
    """Whether the model, its hyperparameters or its datamodule have that attribute."""
    return attribute_holder(model, attribute) is not None


def lightning_getattr(model, attribute: str):
    """The attribute, from the model, its hyperparameters or its datamodule.

    Raises:
        AttributeError: none of them has it.
    """
    holder = attribute_holder(model, attribute)
    if holder is None:
        raise AttributeError(
            f"{attribute} is neither stored in the model namespace nor the `hparams` namespace/dict, "
            "nor the datamodule."
        )
    return holder[attribute] if isinstance(holder, dict) else getattr(holder, attribute)


def lightning_setattr(model, attribute: str, value) -> None:
    """Set the attribute everywhere that has it.

    Raises:
        AttributeError: nothing has it.
    """
    if not lightning_hasattr(model, attribute):
        lightning_getattr(model, attribute)
    for holder in _holders(model, attribute):
        if isinstance(holder, dict):
            holder[attribute] = value
        else:
            setattr(holder, attribute, value)


def attribute_holder(model, attribute: str):
    """What has the attribute; None if nothing does."""
    return next(iter(_holders(model, attribute)), None)


def _holders(model, attribute: str) -> list:
    trainer = getattr(model, "_trainer", None)
    datamodule = getattr(trainer, "datamodule", None)
    found = []
    for owner in (model, datamodule):
        if owner is None:
            continue
        if hasattr(owner, attribute):
            found.append(owner)
        if attribute in owner.hparams:
            found.append(owner.hparams)
    return found

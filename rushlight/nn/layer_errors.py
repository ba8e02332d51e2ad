"""Errors that say which layer they arose in."""

_NAMED = {AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError}


def name_layer(error: Exception, module) -> None:
    """Add to an error's message the layer it arose in, by its dotted path from the outermost module called.

    Each module that the error passes on its way out calls this, the innermost first. Only errors of Python's
    own
    types with a text are changed: an exception of the user's may carry anything.
    """
    if type(error) not in _NAMED or not error.args or type(error.args[0]) is not str:
        return
    known = error.__dict__.get("_layer")
    if known is None:
        message, path, layer = error.args[0], "", _described(module)
    else:
        message, path, layer, below = known
        if below != id(module):
            step = next((name for name, m in module.named_modules() if id(m) == below), None)
            path = ".".join(filter(None, (step, path)))
    error._layer = message, path, layer, id(module)
    if path:
        error.args = f"{message} (in layer '{path}': {layer})", *error.args[1:]
    elif known is None and not module.__dict__.get("_modules"):
        error.args = f"{message} (in layer {layer})", *error.args[1:]


def _described(module) -> str:
    """A layer as it prints, or the name of its class where that would take many lines (or fail)."""
    name = type(module).__name__
    if module.__dict__.get("_modules"):
        return name
    try:
        text = repr(module)
    except Exception:
        return name
    return name if "\n" in text else text

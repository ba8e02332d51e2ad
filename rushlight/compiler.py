"""`torch.compile` and `torch.compiler`, accepted: functions run as they are."""


def compile(
    model=None,
    *,
    fullgraph=False,
    dynamic=None,
    backend="inductor",
    mode=None,
    options=None,
    disable=False,
    **_,
):
    """A function or module, as it is; as a decorator too.

    Args:
        model: a function or a module; none where used as `@torch.compile(...)`.
        fullgraph, dynamic, backend, mode, options, disable: accepted, without effect.
    Returns:
        The same function or module.
    Raises:
        RuntimeError: both mode and options are given.
        TypeError: the model can't be called.

    >>> import rushlight as torch
    >>> torch.compile(torch.neg)(torch.ones(1))
    tensor([-1.])
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if model is None:
        return lambda function: compile(function)
    if not callable(model):
        raise TypeError(f"compile: expected a function or a module, got {type(model).__name__}")
    return model


def disable(fn=None, recursive=True, *, reason=None):
    """A function, as it is; as a decorator too.

    >>> import rushlight as torch
    >>> torch.compiler.disable(torch.neg)(torch.ones(1))
    tensor([-1.])
    """
    return (lambda f: f) if fn is None else fn


allow_in_graph = disable


def is_compiling() -> bool:
    """Whether the code is being compiled: never."""
    return False


def is_exporting() -> bool:
    """Whether the code is being exported: never."""
    return False


def reset() -> None:
    """Forget what was compiled; nothing is."""


def list_backends(exclude_tags=()) -> list[str]:
    """The names of the compilers that there are: "eager" alone.

    >>> import rushlight as torch
    >>> torch.compiler.list_backends()
    ['eager']
    """
    return ["eager"]


def cudagraph_mark_step_begin() -> None:
    """Mark a new step for CUDA graphs; there are none."""

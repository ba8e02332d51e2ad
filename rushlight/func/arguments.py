"""Which arguments a transform differentiates: `argnums`, and the checks of what goes in and comes out."""

from rushlight.tensor import Tensor


def positions(argnums, count: int) -> tuple[int, ...]:
    """The positions that `argnums` names among `count` arguments.

    Raises:
        RuntimeError: it is no int or tuple of different ints, or one is out of range.
    """
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    given = argnums if isinstance(argnums, tuple) else (argnums,)
    if not given:
        raise RuntimeError("argnums must be non-empty")
    found = []
    for argnum in given:
        if not isinstance(argnum, int):
            raise RuntimeError(f"argnum must be int, got: {type(argnum)}")
        if not -count <= argnum < count:
            raise RuntimeError(f"Got argnum={argnum}, but only {count} positional inputs")
        found.append(argnum % count)
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return tuple(found)


def chosen(args: tuple, argnums):
    """The arguments that `argnums` names: one, a tuple of several, or all where None."""
    if argnums is None:
        return args
    found = tuple(args[i] for i in positions(argnums, len(args)))
    return found if isinstance(argnums, tuple) else found[0]


def replaced(args: tuple, argnums, new) -> tuple:
    """The arguments with those that `argnums` names replaced."""
    if argnums is None:
        return new
    places = positions(argnums, len(args))
    new = dict(zip(places, new if isinstance(argnums, tuple) else (new,), strict=True))
    return tuple(new.get(i, a) for i, a in enumerate(args))


def split_aux(result, has_aux: bool, api: str) -> tuple:
    """(output, aux) of what the function returned; aux is None without `has_aux`."""
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{api}: output of function f should be a tuple: (output, aux) if has_aux is True")
    return result


def check_outputs(outputs: list, api: str) -> None:
    """Refuse anything but one or more tensors."""
    if not outputs or (len(outputs) == 1 and outputs[0] is None):
        raise RuntimeError(
            f"{api}: Expected f to be a function that has non-empty output (got output = {outputs})"
        )
    for o in outputs:
        if not isinstance(o, Tensor):
            raise RuntimeError(
                f"{api}: expected f(*primals) to return only tensors, got unsupported type {type(o)}"
            )


def check_real(tensors, function: str, what: str) -> None:
    """Refuse complex tensors."""
    for i, t in enumerate(tensors):
        if isinstance(t, Tensor) and t.is_complex():
            raise RuntimeError(
                f"{function}: Expected all {what}s to be real but received complex tensor at flattened {what} idx: {i}"
            )

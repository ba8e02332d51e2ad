"""`torch.compile` and `torch.compiler`: functions that are recorded once and replayed. See `rushlight.capture`."""

import functools
import weakref

from rushlight.capture import NATIVE
from rushlight.capture.compiled import RUNNING, Compiled, take_stance

_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
_RECORDING = ("inductor", "cudagraphs", "aot_ts", "onnxrt", "openxla", "tvm")
_EAGER = ("eager", "eager_noexcept", "aot_eager", "aot_eager_decomp_partition", "pre_dispatch_eager")
_STANCES = (
    "default", "force_eager", "eager_on_recompile", "fail_on_recompile", "eager_then_compile", "aot_eager_then_compile",
)  # fmt: skip
_all: weakref.WeakSet = weakref.WeakSet()


def compile(
    model=None,
    *,
    fullgraph=False,
    dynamic=None,
    backend=None,
    mode=None,
    options=None,
    name=None,
    disable=False,
    recompile_limit=None,
    isolate_recompiles=False,
    shapes_spec=None,
):
    """A function or module that is recorded once and then replayed without Python; as a decorator too.

    The first call runs eagerly, the second is recorded, the third runs both ways and compares the results bit for bit;
    from the fourth call on the recording is replayed wherever shapes, types, flags, parameters and whatever else the
    function reaches are as they were. What can't be recorded (reads of data, output, changes of Python objects, results
    that require grad) runs eagerly, with the same results; `report()` of what this returns tells why. Put the whole
    training step into one function, `backward()` and `optimizer.step()` included: that gains most.

    Args:
        model: a function or a module; none where used as `@torch.compile(...)`.
        fullgraph: raise an error where Python's control flow depends on data, instead of running eagerly.
        backend: "inductor", the default, records; "eager", its variants and functions run eagerly.
        disable: return the function or module as it is.
        mode, options: checked; one recording serves all.
        dynamic, name, recompile_limit, isolate_recompiles, shapes_spec: accepted, without effect.
    Returns:
        A callable like the function; for a module, a module whose `_orig_mod` is the original one.
    Raises:
        RuntimeError: both mode and options are given, or the mode or the backend is unknown.
        TypeError: the model can't be called.

    >>> import rushlight as torch
    >>> double = torch.compile(lambda x: x + x)
    >>> [double(torch.ones(1)) for _ in range(4)][-1]
    tensor([2.])
    >>> report = double.report()  # "<lambda>: 1 recording, replayed 1 time", say
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if model is None:
        return lambda function: compile(
            function, fullgraph=fullgraph, backend=backend, mode=mode, options=options, disable=disable
        )
    if not callable(model):
        raise TypeError(f"compile: expected a function or a module, got {type(model).__name__}")
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    backend = backend or "inductor"
    _check_backend(backend)
    return model if disable else _compiled(model, fullgraph, not _records(backend))


def _check_backend(backend) -> None:
    if isinstance(backend, str) and backend not in (*_RECORDING, *_EAGER):
        raise RuntimeError(
            f"Invalid backend: '{backend}', see `torch._dynamo.list_backends()` for available backends."
        )


def _records(backend) -> bool:
    return NATIVE and backend in _RECORDING


def _compiled(model, fullgraph: bool, eager: bool):
    from rushlight._dynamo.eval_frame import OptimizedModule
    from rushlight.nn.module import Module

    if isinstance(model, OptimizedModule):
        model = model._orig_mod
    while isinstance(model, Compiled):
        model = model._function
    made = Compiled(model, fullgraph, eager)
    _all.add(made)
    return OptimizedModule(model, made) if isinstance(model, Module) else made


def disable(fn=None, recursive=True, *, reason=None):
    """A function that compiled functions don't record: what calls it runs eagerly. As a decorator too.

    >>> import rushlight as torch
    >>> torch.compiler.disable(torch.neg)(torch.ones(1))
    tensor([-1.])
    """
    if fn is None:
        return lambda function: disable(function, recursive, reason=reason)
    from rushlight._dynamo.eval_frame import OptimizedModule
    from rushlight.nn.module import Module

    if isinstance(fn, Module):
        return OptimizedModule(fn, Compiled(disable(fn._call_impl), eager=True))
    while isinstance(fn, Compiled):
        fn = fn._function

    @functools.wraps(fn)
    def disabled(*args, **kwargs):
        return _unrecorded(fn, args, kwargs)

    return disabled


def _unrecorded(function, args: tuple, kwargs: dict):
    """What the recorder refuses (see `capture.watch`)."""
    before, RUNNING.compiled = RUNNING.compiled, 0
    try:
        return function(*args, **kwargs)
    finally:
        RUNNING.compiled = before


class set_stance:
    """Say how compiled functions are to run from now on; as a context manager and a decorator too.

    Args:
        stance: "default"; "force_eager", as if nothing were compiled; "eager_on_recompile", where no recording fits the
            call runs eagerly; "fail_on_recompile", it is an error where calls of that kind have never been seen;
            "eager_then_compile" and "aot_eager_then_compile", which are as "default" here, where first calls run eagerly.
        skip_guard_eval_unsafe: accepted, without effect: guards are always checked.
        force_backend: with "default", the backend of all compiled functions.
    Raises:
        RuntimeError: there is no such stance or backend, or both are given.

    >>> import rushlight as torch
    >>> double = torch.compile(lambda x: x + x)
    >>> with torch.compiler.set_stance("force_eager"):
    ...     double(torch.ones(1))
    tensor([2.])
    """

    _current: tuple = ("default", None)

    def __init__(self, stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend=None):
        if stance not in _STANCES:
            raise RuntimeError(
                f"invalid torch.compile stance '{stance}', should be one of: {', '.join(_STANCES)}"
            )
        if force_backend is not None and stance != "default":
            raise RuntimeError("non-default stance cannot have force_backend set")
        _check_backend(force_backend)
        self._target = (stance, force_backend)
        self._before = self._take(self._target)

    @staticmethod
    def _take(target: tuple) -> tuple:
        """Take a stance; returns the one before."""
        before, set_stance._current = set_stance._current, target
        stance, backend = target
        eager = backend is not None and not _records(backend)
        take_stance("force_eager" if eager else stance)
        return before

    def __enter__(self) -> None:
        self._take(self._target)

    def __exit__(self, *error) -> None:
        self._take(self._before)

    def __call__(self, fn):
        self._take(self._before)
        stance, backend = self._target

        @functools.wraps(fn)
        def decorated(*args, **kwargs):
            with set_stance(stance, force_backend=backend):
                return fn(*args, **kwargs)

        return decorated


def allow_in_graph(fn):
    """A function, as it is: every function may be recorded."""
    return fn


def is_compiling() -> bool:
    """Whether a compiled function runs this code: in its first calls, all but what `disable` and stances keep out.

    >>> import rushlight as torch
    >>> torch.compile(lambda x: x + torch.compiler.is_compiling())(torch.zeros(1))
    tensor([1.])
    """
    return RUNNING.compiled > 0


def is_exporting() -> bool:
    """Whether the code is being exported: never."""
    return False


def reset() -> None:
    """Forget all recordings; compiled functions start afresh."""
    for compiled in list(_all):
        compiled.reset()


def list_backends(exclude_tags=("debug", "experimental")) -> list[str]:
    """The names of the compilers that there are: "inductor", which records, and among the debugging ones "eager".

    >>> import rushlight as torch
    >>> "eager" in torch.compiler.list_backends(exclude_tags=None)
    True
    """
    recording = ["inductor"] if NATIVE else []
    return sorted([*recording, *([] if "debug" in (exclude_tags or ()) else ["eager"])])


def cudagraph_mark_step_begin() -> None:
    """Mark a new step for CUDA graphs; there are none."""

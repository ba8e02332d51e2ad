"""A compiled function: its recordings, by what they need, and the way from eager calls to replays."""

import functools
import threading

from rushlight.autograd.grad_mode import MODE
from rushlight.capture import NATIVE
from rushlight.optim.optimizer import RECORDERS

MOST_PLANS = 8
_MOST_RECORDINGS = 32  # of one function: then it changes too often to be worth it
_MOST_FRESH = 4
_MOST_FAILURES = 2  # per kind of call


class _Running(threading.local):
    compiled = 0  # calls of compiled functions that Python code runs in, see `torch.compiler.is_compiling`


RUNNING = _Running()


class Compiled:
    """A function that is recorded on its second call and replayed from its fourth.

    Args:
        function: what to call.
        fullgraph: raise an error where it depends on data in Python, instead of running eagerly.
        eager: don't record.
    """

    def __init__(self, function, fullgraph: bool = False, eager: bool = False):
        self._function, self._fullgraph, self._eager = function, fullgraph, eager
        self._lock = threading.Lock()
        self.reset()
        functools.update_wrapper(self, function, updated=())

    def reset(self) -> None:
        """Forget all recordings."""
        self._plans: list = []
        self._recent = None
        self._fresh: list = []  # recordings that still have to be verified
        self._recordings = 0
        self._failures: dict = {}  # by outline; 0 after the first call
        self.reasons: list[str] = []

    def __call__(self, *args, **kwargs):
        recent = self._recent
        if recent is not None and not RECORDERS:
            result = recent.call(args, kwargs)
            if result is not NotImplemented:
                return result
        return self._slow(args, kwargs)

    def _call_by_stance(self, *args, **kwargs):
        """A call where the stance is not the default one."""
        if _stance == "force_eager":
            return self._function(*args, **kwargs)
        if self._eager:
            return self._slow(args, kwargs)
        for plan in [] if RECORDERS else self._plans:
            result = plan.call(args, kwargs)
            if result is not NotImplemented:
                return result
        if _stance == "eager_on_recompile":
            return self._function(*args, **kwargs)
        key = _outline(args, kwargs)
        if key not in self._failures and all(recording.key != key for recording in self._fresh):
            code = getattr(self._function, "__code__", None)
            where = f"filename: '{code.co_filename}', line number: {code.co_firstlineno}, " if code else ""
            raise RuntimeError(
                "Detected recompile when torch.compile stance is 'fail_on_recompile'. "
                f"{where}function name: '{self._name()}': there was no call with such arguments before"
            )
        return self._slow(args, kwargs)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __deepcopy__(self, memo):
        return Compiled(self._function, self._fullgraph, self._eager)

    def __reduce__(self):
        return Compiled, (self._function, self._fullgraph, self._eager)

    def _slow(self, args, kwargs):
        RUNNING.compiled += 1
        try:
            return self._recall_or_run(args, kwargs)
        finally:
            RUNNING.compiled -= 1

    def _recall_or_run(self, args, kwargs):
        """Another recording, or a new one, or eager execution."""
        if self._eager or RECORDERS or not self._lock.acquire(blocking=False):
            return self._function(*args, **kwargs)
        try:
            for plan in self._plans:
                result = plan.call(args, kwargs)
                if result is not NotImplemented:
                    self._recent = plan
                    return result
            for recording in self._fresh:
                if recording.plan.matches(args, kwargs):
                    if (
                        not recording.tape.idle()
                    ):  # the graph of its own call still waits for its backward pass
                        return self._function(*args, **kwargs)
                    self._fresh.remove(recording)
                    return self._verify(recording, args, kwargs)
            return self._eagerly_or_record(args, kwargs)
        finally:
            self._lock.release()

    def _eagerly_or_record(self, args, kwargs):
        key = _outline(args, kwargs)
        failures = self._failures.get(key, 0 if self._fullgraph else None)
        if failures is None or failures >= _MOST_FAILURES or self._recordings >= _MOST_RECORDINGS:
            if failures is None and len(self._failures) < 1000:
                self._failures[key] = 0
            return self._function(*args, **kwargs)
        if any(
            plan.matches(args, kwargs) for plan in self._plans
        ):  # somebody holds its gradients, or it runs already
            return self._function(*args, **kwargs)
        self._recordings += 1
        if self._recordings == _MOST_RECORDINGS:
            self.reasons.append("what it is given or reaches changes too often")
        return self._record(key, args, kwargs)

    def _record(self, key, args, kwargs):
        from rushlight.capture.reach import Uncapturable
        from rushlight.capture.recorder import Recording

        try:
            recording = Recording(self._function, args, kwargs, key)
            recording.guard()
        except Uncapturable as why:
            self._refused(key, why)
            return self._function(*args, **kwargs)
        result = recording.run(args, kwargs)
        try:
            recording.finish(result)
            self._fresh = [recording, *self._fresh][:_MOST_FRESH]
        except Uncapturable as why:
            self._refused(key, why)
        return recording.own_results(result)

    def _verify(self, recording, args, kwargs):
        from rushlight.capture.verify import verified

        result, why = verified(recording, self._function, args, kwargs)
        if why:
            self._refused(recording.key, why)
            return result
        plan = recording.settle()
        self._plans.insert(0, plan)
        del self._plans[MOST_PLANS:]
        self._recent = plan
        return result

    def _refused(self, key, reason) -> None:
        self._failures[key] = self._failures.get(key, 0) + 1
        self.reasons.append(str(reason))
        if self._fullgraph and getattr(reason, "by_data", False):
            raise RuntimeError(f"torch.compile(fullgraph=True): {self._name()} can't be recorded: {reason}")

    def _name(self) -> str:
        return getattr(self._function, "__qualname__", type(self._function).__name__)

    def report(self) -> str:
        """What became of it: how many recordings there are and how often they were replayed, or why there are none."""
        plans, replays = len(self._plans), sum(plan.calls for plan in self._plans)
        line = f"{self._name()}: {plans} recording{'s' * (plans != 1)}"
        if plans:
            line += f", replayed {replays} time{'s' * (replays != 1)}"
        elif self._eager:
            line += ", runs eagerly" + ("" if NATIVE else ", as the reference kernels do")
        return "\n".join([line, *(f"  not recorded: {reason}" for reason in dict.fromkeys(self.reasons))])


_stance = "default"
_plain_call = Compiled.__call__


def take_stance(stance: str) -> None:
    """How compiled functions run from now on, see `torch.compiler.set_stance`. The default one is not asked for in calls."""
    global _stance
    _stance = stance
    plain = stance in ("default", "eager_then_compile", "aot_eager_then_compile")
    Compiled.__call__ = _plain_call if plain else Compiled._call_by_stance  # type: ignore[method-assign]


def _outline(args: tuple, kwargs: dict) -> tuple:
    """A call at first sight: shapes and types of tensors, plain values, and whether gradients are recorded."""
    found: list = [MODE.enabled]
    for value in (*args, *kwargs.values()):
        array = getattr(value, "_array", None) if hasattr(type(value), "is_node") else None
        if array is not None:
            found.append((array.shape, array.dtype.str))
        else:
            found.append(value if isinstance(value, int | str | float) else type(value))
    return tuple(found)

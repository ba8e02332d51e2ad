"""Recording one call of a function: what it computes, what it needs to be the same, what it changes."""

import gc
import threading

import numpy as np
from numpy.lib.array_utils import byte_bounds

from rushlight import _native, dtypes, overrides
from rushlight.amp import switch
from rushlight.autograd import saving
from rushlight.autograd.engine import ANOMALY
from rushlight.autograd.grad_mode import MODE
from rushlight.capture import watch
from rushlight.capture.backward import DifferentiablePlan, PlanOfSpentResults, Trial, is_spent, roots_of
from rushlight.capture.reach import Reach, Uncapturable
from rushlight.capture.watch import Number
from rushlight.nn import hooks
from rushlight.optim import optimizer as _optimizer
from rushlight.tensor import Tensor

_lock = threading.Lock()
_VALUES = (type(None), bool, int, float, complex, str, bytes)


class Recording:
    """A plan in the making: one recorded call."""

    def __init__(self, function, args: tuple, kwargs: dict, key=None):
        self.function, self.key = function, key
        self.tape = _native.Tape()
        self.inputs: list[Tensor] = []
        self._objects: list = []
        specs = self._arguments(args), self._arguments(kwargs)
        self.plan = _native.Plan(self.tape, *specs)
        self.reach = Reach(self.plan)
        self.steps: list = []  # (optimizer, gradients at that time)
        self.kept: list[np.ndarray] = []  # arrays of the arena that are results
        self.new: list[Tensor] = []
        self.trial = None
        self.spent: list[Tensor] = []  # results whose graph the call itself went through backwards

    # -- before -------------------------------------------------------------------------------------

    def _arguments(self, value) -> tuple:
        if isinstance(value, Tensor):
            return self._argument(value)
        if type(value) in _VALUES:
            return "value", value
        if type(value) in (tuple, list):
            return type(value).__name__, [self._arguments(v) for v in value]
        if type(value) is dict:
            return "dict", [self._arguments(v) for v in value.values()], list(value)
        self._objects.append(value)
        return "same", value

    def _argument(self, t: Tensor) -> tuple:
        if overrides.has_torch_function_unary(t):
            raise Uncapturable(f"an argument is a {type(t).__name__}, whose class may override functions")
        if t.is_sparse or t._node is not None or t._hooks or t._post_accumulate_hooks:
            raise Uncapturable(
                "an argument is sparse, was computed from tensors that require grad, or has hooks"
            )
        if t._rg:  # a leaf: its gradient is an effect, so it must be this one again
            self._objects.append(t)
            return "same", t
        if any(t is i for i in self.inputs):
            raise Uncapturable("one tensor is given twice")
        array = t._array
        self.inputs.append(t)
        return "tensor", len(self.inputs) - 1, array, type(t), False, t._format

    def guard(self) -> None:
        if switch._armed or ANOMALY["enabled"] or saving._users[0]:
            raise Uncapturable("autocast is on outside, or anomaly detection, or hooks on saved tensors")
        if watch.sys.getprofile() is not None:
            raise Uncapturable("a profiler is running")
        if overrides._STATE.modes:
            raise Uncapturable("a TorchFunctionMode is on outside")
        plan, reach = self.plan, self.reach
        for name in ("enabled", "inference"):
            plan.guard_attribute(MODE, name)
        plan.guard_item(vars(switch), "_armed")
        plan.guard_list(saving._users)
        plan.guard_list(overrides._STATE.modes)
        plan.guard_item(vars(dtypes), "_default")
        for table in (ANOMALY, *_global_hooks()):
            plan.guard_dict(table)
        reach.walk(self.function, *self._objects)
        if any(reach.has(t) for t in self.inputs):
            raise Uncapturable("an argument is reached in another way, too")
        self.before = [_State(t) for t in reach.tensors]
        self.versions = [_version(t) for t in self.inputs]

    # -- the call -----------------------------------------------------------------------------------

    def run(self, args: tuple, kwargs: dict):
        """Call the function, recording. Returns its result; `tape.reason` says what went wrong, if anything."""
        collecting = gc.isenabled()
        gc.disable()
        _optimizer.RECORDERS[threading.get_ident()] = self
        try:
            with watch.watching(self.tape, _lock) as self.listener:
                result = self.function(*args, **kwargs)
                roots = roots_of(result)
                if roots and not self.tape.reason:
                    self.spent = [root for root in roots if is_spent(root)]
                    if not self.spent:
                        self.trial = Trial(self, roots)
                return result
        except BaseException:
            self.tape.fail("it raised an error")
            raise
        finally:
            del _optimizer.RECORDERS[threading.get_ident()]
            if collecting:
                gc.enable()

    def step(self, optimizer, call):
        """An optimizer's step within the call: it runs as ever, and will in each replay."""
        if not self.reach.has(optimizer):
            self.tape.fail("it uses an optimizer that it can't be seen to reach")
        number = len(self.steps)
        gradients = [s.tensor._grad for s in self.before]
        self.steps.append((optimizer, gradients))
        plan = self.plan

        def later():
            plan.apply(number)
            call()

        return self.tape.python(call, later)

    # -- after --------------------------------------------------------------------------------------

    def finish(self, result):
        """Settle guards, effects and results; Uncapturable where that can't be done."""
        tape, plan, reach = self.tape, self.plan, self.reach
        self._check(tape.reason)
        stray = self.listener.foreign - reach.codes
        if stray:
            name = next(iter(stray)).co_name
            raise Uncapturable(f"{name}() is reached in a way that can't be guarded")
        stepped = {id(p) for o, _ in self.steps for g in o.param_groups for p in g["params"]}
        exposed = _Exposed(tape)
        stages = [g for _, g in self.steps] + [[s.tensor._grad for s in self.before]]
        sets = []  # (tensor, array or None, stage)
        for i, state in enumerate(self.before):
            history = [gradients[i] for gradients in stages]
            for stage, grad in enumerate(history):
                if grad is not state.grad:
                    sets.append((state.tensor, exposed.of(grad), stage))
                elif any(g is not state.grad for g in history[:stage]):
                    if grad is not None:
                        raise Uncapturable("a gradient is taken away and given back")
                    sets.append((state.tensor, None, stage))
        self._check_memory(stepped)
        spec = self._result(result)
        self._release_graph()
        grads = [] if self.trial is None else self._leaf_gradients()
        if not tape.finish(
            [*exposed.arrays, *self.kept, *(g for g in grads if g is not None)], self.trial is not None
        ):
            raise Uncapturable(tape.reason)
        self.leaf_grads = [None if g is None else tape.stand_in(g) for g in grads]
        grads = None
        self._bind()
        self.stages = len(self.steps)
        self.spec = self._placed(spec)
        plan.result(self.spec)
        self.sets = [(t, None if a is None else tape.stand_in(a), stage) for t, a, stage in sets]
        for t, array, stage in sets:
            plan.set_gradient(t, array, stage)
            if stage == self.stages and array is not None:
                t._grad._array = array
        self.before = self.steps = None  # they hold gradients
        if self.trial is not None:
            self.trial.roots = [None] * len(self.trial.roots)

    def _check_memory(self, stepped: set) -> None:
        """Versions that go up, and nothing written but by recorded calls."""
        tape, plan = self.tape, self.plan
        for state in self.before:
            why = state.changed()
            self._check(why)
            t = state.tensor
            by = _version(t) - state.version
            if id(t) in stepped:
                continue
            if by:
                plan.bump(t, by)
            if not tape.writes(t._array) and _native.digest(t._array) != state.digest:
                shape = tuple(t._array.shape)
                raise Uncapturable(f"the memory of a tensor of shape {shape} was written outside the kernels")
        for t, version in zip(self.inputs, self.versions, strict=True):
            if tape.writes(t._array) or _version(t) != version:
                raise Uncapturable("it changes an argument in place")
        if not plan.unchanged():
            raise Uncapturable(
                "it changes something that outlives the call (an attribute, a list, a variable)"
            )
        for state in self.before:
            plan.guard_grad(state.tensor, state.grad is not None)

    # -- results ------------------------------------------------------------------------------------

    def _result(self, value):
        """What the result looks like, arrays of the arena for new tensors."""
        if isinstance(value, Tensor):
            for i, t in enumerate(self.inputs):
                if t is value:
                    return "argument", i
            if self.reach.has(value):
                return "same", value
            return self._new_tensor(value)
        if type(value) is Number:
            self.kept.append(value.array)
            return "number", value.array
        if type(value) in _VALUES:
            return "value", value
        if type(value) in (tuple, list):
            return type(value).__name__, [self._result(v) for v in value]
        if type(value) is dict:
            return "dict", [self._result(v) for v in value.values()], list(value)
        raise Uncapturable(f"it returns a {type(value).__name__}")

    def _leaf_gradients(self) -> list:
        """The arrays of the trial's gradients, which it holds no longer."""
        arrays = [None if g is None else g._array for g in self.trial.found]
        if any(a is not None and a.size and not self.tape.inside(a) for a in arrays):
            raise Uncapturable("a gradient lies outside the recorded memory")
        self.trial.found = None
        return arrays

    def _new_tensor(self, t: Tensor):
        array = t._array
        roots = self.spent if self.trial is None else self.trial.roots
        root = any(t is r for r in roots)
        if (t._rg or t._node is not None) and not root:
            raise Uncapturable("its result requires grad: compile the whole step, backward included")
        if type(t) is not Tensor or t.is_sparse or not self.tape.inside(array) or t._grad is not None:
            raise Uncapturable("its result is a tensor that shares memory with others")
        if np.empty_like(array).strides != array.strides:
            raise Uncapturable("its result is a tensor with gaps")
        low, high = byte_bounds(array)
        for other in self.kept:
            first, last = byte_bounds(other)
            if low < last and first < high:
                raise Uncapturable("two of its results share memory")
        self.kept.append(array)
        self.new.append(t)
        own_format = "fixed" if t._base is not None and not array.flags.c_contiguous else t._format
        return "tensor", -1, array, type(t), root, own_format

    def _placed(self, spec):
        """The same with stand-ins that the plan may keep, and with the outputs that can be written at once numbered."""
        kind = spec[0]
        if kind == "tensor":
            number = self.tape.rebindable(spec[2]) if self.trial is None else -1
            return "tensor", number, self.tape.stand_in(spec[2]), *spec[3:]
        if kind == "number":
            return kind, self.tape.stand_in(spec[1])
        if kind in ("tuple", "list", "dict"):
            return kind, [self._placed(s) for s in spec[1]], *spec[2:]
        return spec

    def _release_graph(self) -> None:
        """Let go of what the call left, so that only results and gradients hold memory of the arena."""
        gc.collect(0)

    def _bind(self) -> None:
        """Say whose memory each array from outside is."""
        tape = self.tape
        owners = [(*byte_bounds(s.tensor._array), None) for s in self.before]
        if self.trial is not None:
            owners += [(*byte_bounds(b), None) for b in self.trial.buffers]
        inputs = [(*byte_bounds(t._array), t._array) for t in self.inputs if t._array.size]
        for low, high, _ in inputs:
            if any(low < last and first < high for first, last, _ in owners):
                raise Uncapturable("an argument shares memory with a tensor that the function reaches")
        for i, a in enumerate(inputs):
            if any(a[0] < b[1] and b[0] < a[1] for b in inputs[:i]):
                raise Uncapturable("two arguments share memory")
        grads = [(*byte_bounds(s.grad._array), s) for s in self.before if s.grad is not None]
        used, unknown = {}, []
        for array in tape.externals:
            low, high = byte_bounds(array)
            if any(first <= low and high <= last for first, last, _ in (*owners, *inputs)):
                continue
            for first, last, state in grads:
                if first <= low and high <= last:
                    used[id(state)] = state
                    break
            else:
                unknown.append(array)
        if unknown and any(isinstance(r, Tensor) for r in gc.get_referrers(*unknown)):
            raise Uncapturable("it reads a tensor that it can't be seen to reach")
        tape.keep(unknown)
        for i, t in enumerate(self.inputs):
            tape.bind_input(i, t._array)
        for i, state in enumerate(used.values(), len(self.inputs)):
            tape.bind_input(i, state.grad._array)
            self.plan.input_gradient(state.tensor, i, tape.stand_in(state.grad._array))

    def settle(self):
        """The plan; of the recording only what replays need is kept."""
        if self.spent:
            plan = PlanOfSpentResults(self)
        elif self.trial is None:
            plan = self.plan
        else:
            self.plan.segment = 0
            plan = DifferentiablePlan(self)
        self.spec = self.sets = self.inputs = self.versions = self.reach = self.trial = self.spent = None
        return plan

    def own_results(self, result):
        """The result of the recorded call itself, moved out of the arena."""
        for t in self.new:
            t._array = t._array.copy(order="K")
        result = plain(result)
        self.new = self.kept = None
        return result

    def _check(self, reason: str) -> None:
        if reason:
            refusal = Uncapturable(reason)
            refusal.by_data = self.listener.by_data or watch.NUMBER_USED in reason
            raise refusal


class _State:
    """A tensor before the call."""

    def __init__(self, t: Tensor):
        self.tensor, self.grad, self.version = t, t._grad, _version(t)
        self.fields = t._array, t._rg, t._node, t._base, t._format
        self.digest = _native.digest(t._array)

    def changed(self) -> str:
        t = self.tensor
        now = t._array, t._rg, t._node, t._base, t._format
        if any(a is not b for a, b in zip(now, self.fields, strict=True)):
            return "a tensor that it reaches gets other memory, another place in the graph or another requires_grad"
        return "a tensor that it reaches gets hooks" if t._hooks or t._post_accumulate_hooks else ""


class _Exposed:
    """Gradients in the arena, as arrays that keep it."""

    def __init__(self, tape):
        self.tape, self.arrays, self._made = tape, [], {}

    def of(self, grad):
        if grad is None:
            return None
        if type(grad) is not Tensor or grad.is_sparse or grad._rg or grad._node is not None:
            raise Uncapturable("a gradient requires grad or is sparse")
        array = grad._array
        if not self.tape.inside(array):
            raise Uncapturable("a gradient lies outside the recorded memory")
        if id(array) not in self._made:
            self.arrays.append(array)
            self._made[id(array)] = self.tape.exposed(array)
        return self._made[id(array)]


def _version(t: Tensor) -> int:
    return 0 if t._vc is None else t._vc[0]


def _global_hooks() -> list[dict]:
    tables = [v for n, v in vars(hooks).items() if n.startswith("_global_") and isinstance(v, dict)]
    return [*tables, _optimizer._global_pre_hooks, _optimizer._global_post_hooks]


def plain(value):
    """The same with numbers that were watched as plain ones."""
    if type(value) is Number:
        return float.__float__(value)
    if type(value) in (tuple, list):
        return type(value)([plain(v) for v in value])
    return {k: plain(v) for k, v in value.items()} if type(value) is dict else value

"""The operations of one run of a model as a graph, as TensorBoard draws it."""

import functools
import inspect
import threading
from types import FunctionType

import rushlight as torch
from rushlight.autograd.grad_mode import no_grad
from rushlight.nn import functional as F
from rushlight.ops.attention import attend
from rushlight.ops.detour import Detour
from rushlight.ops.registry import OPS
from rushlight.tensor import Tensor
from rushlight.utils.tensorboard import messages as m

__all__ = ["graph"]

_OPERATORS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "iadd", "isub", "imul",
    "itruediv", "eq", "ne", "lt", "le", "gt", "ge", "getitem", "setitem", "neg", "invert", "abs",
)  # fmt: skip


def graph(model, args, verbose: bool = False, use_strict_trace: bool = True) -> tuple:
    """Run a model once, in eval mode and without gradients, and note its operations.

    Args:
        model: a module.
        args: its input, or a tuple or list of inputs.
        verbose: print the operations.
        use_strict_trace: without effect, as the model simply runs.
    Returns:
        The graph and an empty record of its running time.
    """
    recorder = _Recorder(model)
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        recorder.run(tuple(args) if isinstance(args, tuple | list) else (args,))
    finally:
        for module, training in modes.items():
            module.training = training
    if verbose:
        for name, op, inputs, _, _ in recorder.nodes:
            print(f"{name} = {op}({', '.join(inputs)})")
    definition = m.GraphDef(
        node=[_node(*node) for node in recorder.nodes], versions=m.VersionDef(producer=22)
    )
    steps = m.StepStats(dev_stats=[m.DeviceStepStats(device="/device:CPU:0")])
    return definition, m.RunMetadata(step_stats=steps)


def _node(name: str, op: str, inputs: list, shape, attributes: str):
    attributes = attributes.replace("'", " ")  # TensorBoard stumbles over quotes
    attr = [m.AttrEntry(key="attr", value=m.AttrValue(s=attributes))]
    if shape is not None:
        sizes = m.TensorShapeProto(dim=[m.Dim(size=size) for size in shape])
        attr.append(m.AttrEntry(key="_output_shapes", value=m.AttrValue(list=m.ShapeList(shape=[sizes]))))
    return m.NodeDef(name=name, op=op, input=inputs, attr=attr)


@functools.cache
def _functions() -> dict:
    """The functions that are operations, with their names."""
    names = {attend: "scaled_dot_product_attention"}
    for name, entry in OPS.items():
        if names.setdefault(entry.function, name) != name and name == getattr(entry.function, "__name__", ""):
            names[entry.function] = name  # rather that than another name of it
    for space in (torch, F, torch.linalg, torch.fft, torch.special):
        for name, function in vars(space).items():
            if not name.startswith("_") and isinstance(function, FunctionType):
                names.setdefault(function, name)
    for name in _OPERATORS:
        for method in (f"__{name}__", f"__r{name}__"):
            names.setdefault(getattr(Tensor, method, None), name)
    return {function: name for function, name in names.items() if isinstance(function, FunctionType)}


_active = threading.local()  # .recorder: the one at work in this thread
_lock = threading.Lock()  # one model at a time: functions of all threads take the detours


@functools.cache
def _detours() -> list[Detour]:
    """What tells the recorder of the calls of operations."""

    def detour(function, name):
        def handle(original, args, kwargs):
            recorder = getattr(_active, "recorder", None)
            return (
                original(*args, **kwargs) if recorder is None else recorder.call(name, original, args, kwargs)
            )

        return Detour(function, handle)

    return [detour(function, name) for function, name in _functions().items()]


def _tensors(value) -> list:
    if isinstance(value, Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for item in values for tensor in _tensors(item)]


class _Recorder:
    """Follows one run of a model.

    Attributes:
        nodes: (name, kind, names of inputs, shape, attributes) of each operation, input, parameter and output.
    """

    def __init__(self, model):
        self.model, self.nodes = model, []
        self.makers: dict = {}  # id of a tensor -> the tensor, which is kept alive, and the node that made it
        self.counts: dict = {}
        self.scopes: list[str] = []
        self.members: dict = {}
        for path, module in model.named_modules():
            for name, tensor in (*module._parameters.items(), *module._buffers.items()):
                if tensor is not None:
                    self.members[id(tensor)] = (self._scope(path), name)

    def _scope(self, path: str) -> str:
        """The nested name of a module: the classes and names on the way to it."""
        parts, module = [type(self.model).__name__], self.model
        for name in path.split(".") if path else ():
            module = module.get_submodule(name)
            parts.append(f"{type(module).__name__}[{name}]")
        return "/".join(parts)

    def run(self, args: tuple) -> None:
        """Call the model."""
        self._name_inputs(args)
        handles = []
        for path, module in self.model.named_modules():
            enter = functools.partial(self._enter, self._scope(path))
            handles += [
                module.register_forward_pre_hook(enter),
                module.register_forward_hook(self._leave, always_call=True),
            ]
        try:
            with no_grad(), _lock:
                result = self._follow(args)
        finally:
            for handle in handles:
                handle.remove()
        for i, tensor in enumerate(_tensors(result), 1):
            self._add(f"output/output.{i}", "IO Node", [self._maker(tensor)], tensor)

    def _follow(self, args: tuple):
        detours = _detours()
        for detour in detours:
            detour.on()
        _active.recorder = self
        try:
            return self.model(*args)
        finally:
            _active.recorder = None
            for detour in reversed(detours):
                detour.off()

    def _name_inputs(self, args: tuple) -> None:
        bound = inspect.signature(self.model.forward).bind(*args).arguments
        for argument, value in bound.items():
            tensors = _tensors(value)
            for i, tensor in enumerate(tensors):
                name = argument if len(tensors) == 1 else f"{argument}.{i + 1}"
                self.makers[id(tensor)] = tensor, self._add(f"input/{name}", "IO Node", [], tensor)

    def _add(self, name: str, op: str, inputs: list, tensor, attributes: str = "{}") -> str:
        count = self.counts[name] = self.counts.get(name, -1) + 1
        name = f"{name}_{count}" if count else name
        self.nodes.append((name, op, inputs, None if tensor is None else tensor.shape, attributes))
        return name

    def _maker(self, tensor) -> str:
        """The node that a tensor comes from; a parameter or constant gets one here."""
        if id(tensor) not in self.makers:
            scope, name = self.members.get(id(tensor), (self._here(), "constant"))
            known = id(tensor) in self.members
            kind, attributes = ("prim::GetAttr", f"{{name: {name}}}") if known else ("prim::Constant", "{}")
            self.makers[id(tensor)] = tensor, self._add(f"{scope}/{name}", kind, [], tensor, attributes)
        return self.makers[id(tensor)][1]

    def _here(self) -> str:
        return self.scopes[-1] if self.scopes else type(self.model).__name__

    def _enter(self, scope: str, module, args) -> None:
        self.scopes.append(scope)

    def _leave(self, module, args, output) -> None:
        self.scopes.pop()

    def call(self, name: str, original, args: tuple, kwargs: dict):
        """Do an operation, and note it if it takes and makes tensors."""
        _active.recorder = None  # the operations that it is made of are not noted
        try:
            result = original(*args, **kwargs)
        finally:
            _active.recorder = self
        inputs = _tensors([args, kwargs])
        made = _tensors(result) or (inputs[:1] if name == "setitem" else [])
        if inputs and made:
            settings = [str(value) for value in args if not _tensors(value)]
            settings += [f"{key}={value}" for key, value in kwargs.items() if not _tensors(value)]
            sources = [self._maker(tensor) for tensor in inputs]
            node = self._add(
                f"{self._here()}/{name}", f"aten::{name}", sources, made[0], f"{{{', '.join(settings)}}}"
            )
            for tensor in made:
                self.makers[id(tensor)] = tensor, node
        return result

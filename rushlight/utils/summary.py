"""What each layer of a model makes of an input: shapes, parameters, operations and memory."""

import math
from dataclasses import dataclass, field

import rushlight as torch
from rushlight.autograd.grad_mode import no_grad
from rushlight.nn import Module
from rushlight.tensor import Tensor
from rushlight.utils.multiply_adds import Counter

__all__ = ["LayerReport", "Summary", "summary"]


@dataclass
class LayerReport:
    """One layer, at one place in the model.

    Attributes:
        name: its dotted name; "" is the model itself.
        kind: the name of its class.
        depth: 0 for the model, 1 for what is right below it, and so on.
        input_shapes, output_shapes: shapes of the tensors that came in and went out at its last call.
        parameters: its own, without those of layers in it.
        multiply_adds: multiplications with an addition in products and convolutions right in it, in all calls.
        forward_bytes: memory of results that it makes and that no layer in it made; nothing for layers that
            work in place or return a view.
        backward_bytes: memory of the gradients of these results and of its own parameters that learn.
        calls: how often it ran.
        failed: whether an exception arose in it.
    """

    name: str
    kind: str
    depth: int
    has_children: bool
    input_shapes: list = field(default_factory=list)
    output_shapes: list = field(default_factory=list)
    parameters: int = 0
    multiply_adds: int = 0
    forward_bytes: int = 0
    backward_bytes: int = 0
    calls: int = 0
    failed: bool = False


def summary(
    model: Module,
    input_size=None,
    input_data=None,
    *,
    dtypes=None,
    depth: int | None = None,
    mode: str = "eval",
    verbose: int = 1,
    **kwargs,
) -> "Summary":
    """Run a model once, and report on every layer. If a layer fails, the report goes up to it and shows it.

    The model's mode and the random stream are as before afterwards.

    Args:
        model: the model.
        input_size: shape of the input with the batch dimension, or a list of shapes, one per argument. Inputs
            are random, those of integer types zeros. A tensor is taken as `input_data`.
        input_data: the input itself instead: a tensor, or a list, tuple or dict of arguments.
        dtypes: types of the inputs made from `input_size`, float32 by default.
        depth: show layers down to this depth, with the sums of those in them; all by default.
        mode: "eval" or "train", in which the model runs.
        verbose: 1 prints the report, 0 only returns it.
        **kwargs: further arguments of the model.
    Returns:
        A `Summary`: its `layers`, its sums, the `error` if there was one, and the table as its text. Without any
        input it only counts parameters.
    Raises:
        ValueError: both `input_size` and `input_data` are given, or `mode` is unknown.

    >>> import rushlight as torch
    >>> from rushlight.utils.summary import summary
    >>> net = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> report = summary(net, (16, 8), verbose=0)
    >>> report.total_params, report.total_mult_adds, report.layers[1].output_shapes
    (46, 640, [[16, 4]])
    >>> report = summary(net, (16, 7), verbose=0)
    >>> report.failed_layer.name, type(report.error).__name__
    ('0', 'RuntimeError')
    """
    if input_size is not None and input_data is not None:
        raise ValueError("summary: give input_size or input_data, not both")
    if isinstance(input_size, Tensor):
        input_size, input_data = None, input_size
    if input_size is not None and not _is_size(input_size):
        raise TypeError(
            f"summary: input_size is a shape such as (1, 3, 32, 32), or a list of shapes, got {input_size!r}"
        )
    if mode not in ("eval", "train"):
        raise ValueError(f'summary: mode must be "eval" or "train", got {mode!r}')
    recorder = _Recorder(model)
    error = None
    if input_size is not None or input_data is not None or kwargs:
        with torch.random.fork_rng(devices=[]):
            args, named = _inputs(input_size, input_data, dtypes)
            error = recorder.run(args, {**named, **kwargs}, mode == "train")
    report = Summary(model, recorder.reports(), error, depth, recorder.input_bytes)
    if error is not None:
        report.hint = _hint(input_size, dtypes, error)
    if verbose:
        print(report)
    return report


def _is_size(size) -> bool:
    if not isinstance(size, tuple | list):
        return False
    return all(isinstance(n, int) for n in size) or all(_is_size(n) for n in size)


def _hint(input_size, dtypes, error) -> str:
    """What often is the cause of a failure with an input that was made from its size."""
    if input_size is None or not all(isinstance(n, int) for n in input_size):
        return ""
    if dtypes is None and "FloatTensor" in str(error) and "Long" in str(error):
        return "Whole numbers as input: summary(model, size, dtypes=[torch.int64])"
    if len(input_size) == 3:
        return f"input_size has the batch dimension: is it {(1, *input_size)}?"
    return ""


def _inputs(input_size, input_data, dtypes) -> tuple[list, dict]:
    """The arguments of the model, by position and by name."""
    if isinstance(input_data, dict):
        return [], input_data
    if input_data is not None:
        return (list(input_data) if isinstance(input_data, list | tuple) else [input_data]), {}
    if input_size is None:
        return [], {}
    sizes = [input_size] if all(isinstance(n, int) for n in input_size) else list(input_size)
    types = [torch.float32] * len(sizes) if dtypes is None else list(dtypes)
    if len(types) != len(sizes):
        raise ValueError(f"summary: {len(types)} dtypes for {len(sizes)} inputs")
    return [_random_input(size, dtype) for size, dtype in zip(sizes, types, strict=True)], {}


def _random_input(size, dtype) -> Tensor:
    floating = dtype.is_floating_point or dtype.is_complex
    return torch.rand(*size, dtype=dtype) if floating else torch.zeros(*size, dtype=dtype)


def _tensors(value) -> list:
    """The tensors in a value and in the lists, tuples and dictionaries in it."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [t for item in value for t in _tensors(item)]
    return []


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _address(tensor: Tensor) -> int:
    """Where its memory begins. Unlike `data_ptr` this leaves its layout as it is."""
    return tensor._array.ctypes.data


class _Recorder:
    """Follows one run of a model, layer by layer, in the order in which they are called."""

    def __init__(self, model: Module):
        self.model = model
        self.known: dict = {}  # module -> its report
        self.order: list[Module] = []
        # The modules that are running, with the tensors that they did not make. These are kept, since memory that
        # is given back would be handed out again and look the same.
        self.open: list = []
        self.names = {module: name for name, module in model.named_modules()}
        self.input_bytes = 0

    def run(self, args: list, kwargs: dict, training: bool) -> Exception | None:
        """Call the model; returns the exception that ended it, if any."""
        self.input_bytes = sum(map(_bytes, _tensors([args, kwargs])))
        modes = {module: module.training for module in self.names}
        handles = []
        for module in self.names:
            handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
            handles.append(module.register_forward_hook(self._leave))
        self.model.train(training)
        try:
            with no_grad(), Counter(self._count):
                self.model(*args, **kwargs)
        except Exception as error:
            for module, _ in self.open:
                self.known[module].failed = True
            return error
        finally:
            for handle in handles:
                handle.remove()
            for module, mode in modes.items():
                module.training = mode
        return None

    def reports(self) -> list[LayerReport]:
        """The layers in the order of their first calls; where nothing ran, in that of the model's definition."""
        if not self.order:
            for module in self.names:
                self._report(module)
        for module in self.order:
            report = self.known[module]
            own = [p for p in module._parameters.values() if p is not None and not _lazy(p)]
            report.parameters = sum(p.numel() for p in own)
            report.backward_bytes += sum(_bytes(p) for p in own if p.requires_grad)
        return [self.known[module] for module in self.order]

    def _report(self, module: Module) -> LayerReport:
        if module not in self.known:
            name = self.names[module]
            depth = name.count(".") + 1 if name else 0
            self.known[module] = LayerReport(name, type(module).__name__, depth, bool(module._modules))
            self.order.append(module)
        return self.known[module]

    def _enter(self, module: Module, args, kwargs) -> None:
        report = self._report(module)
        tensors = _tensors([args, kwargs])
        report.input_shapes = [list(t.shape) for t in tensors]
        self.open.append((module, {_address(t): t for t in tensors}))

    def _leave(self, module: Module, args, output) -> None:
        _, present = self.open.pop()
        report = self._report(module)
        results = _tensors(output)
        report.output_shapes = [list(t.shape) for t in results]
        report.calls += 1
        for tensor in results:
            if _address(tensor) not in present:
                present[_address(tensor)] = tensor
                report.forward_bytes += _bytes(tensor)
                report.backward_bytes += _bytes(tensor)
        if self.open:  # the caller did not make these, even if it returns them
            self.open[-1][1].update((_address(t), t) for t in results)

    def _count(self, amount: int) -> None:
        if self.open:
            self.known[self.open[-1][0]].multiply_adds += amount


def _lazy(parameter) -> bool:
    return isinstance(parameter, torch.nn.parameter.UninitializedTensorMixin)


class Summary:
    """The report on a model's layers; its text is the table.

    Attributes:
        layers: a `LayerReport` for each layer that was called, in the order of their first calls.
        error: the exception that ended the run, or None.
        hint: what its cause may be, or "".
        failed_layer: the innermost layer in which it arose, or None.
        total_params, trainable_params: numbers of the model's parameters, each counted once.
        total_mult_adds: multiplications with an addition, in products and convolutions.
        input_bytes, param_bytes: memory of the inputs and of the parameters.
        forward_bytes: memory of the results of layers, as they are kept for the gradient.
        backward_bytes: memory of the gradients of these results and of the parameters that learn.
    """

    def __init__(self, model: Module, layers: list, error, depth: int | None, input_bytes: int):
        parameters = [p for p in model.parameters() if not _lazy(p)]
        self.layers, self.error, self.depth = layers, error, depth
        self.hint = ""
        self.failed_layer = max((r for r in layers if r.failed), key=lambda r: r.depth, default=None)
        self.total_params = sum(p.numel() for p in parameters)
        self.trainable_params = sum(p.numel() for p in parameters if p.requires_grad)
        self.total_mult_adds = sum(r.multiply_adds for r in layers)
        self.input_bytes = input_bytes
        self.param_bytes = sum(map(_bytes, parameters))
        self.forward_bytes = sum(r.forward_bytes for r in layers)
        self.backward_bytes = sum(r.backward_bytes for r in layers)

    @property
    def total_bytes(self) -> int:
        """Memory of input, parameters, results and gradients together."""
        return self.input_bytes + self.param_bytes + self.forward_bytes + self.backward_bytes

    def __repr__(self) -> str:
        head = ("Layer (class)", "Input", "Output", "Params", "Mult-adds", "Forward", "Backward")
        rows = [self._row(r) for r in self.layers if self.depth is None or r.depth <= self.depth]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        line = "=" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [line, _aligned(head, widths), line, *(_aligned(row, widths) for row in rows), line]
        return "\n".join([*lines, *self._totals(), line])

    def _row(self, report: LayerReport) -> tuple:
        parts = [report]
        if report.depth == self.depth and report.name:  # those below are not shown: their sums are
            parts += [r for r in self.layers if r.name.startswith(report.name + ".")]
        elif report.depth == self.depth:
            parts = self.layers
        params, operations, forward, backward = (
            sum(getattr(part, name) for part in parts)
            for name in ("parameters", "multiply_adds", "forward_bytes", "backward_bytes")
        )
        label = "  " * report.depth + (report.name.rpartition(".")[2] + " " if report.name else "")
        label += f"({report.kind})" if report.name else report.kind
        if report.calls > 1:
            label += f" x{report.calls}"
        output = "fails" if report.failed else _shapes(report.output_shapes)
        return (
            label,
            _shapes(report.input_shapes),
            output,
            f"{params:,}" if params else "--",
            f"{operations:,}" if operations else "--",
            _size(forward) if forward else "--",
            _size(backward) if backward else "--",
        )

    def _totals(self) -> list[str]:
        lines = [
            f"Parameters: {self.total_params:,}, of which {self.trainable_params:,} learn",
            f"Mult-adds: {_short(self.total_mult_adds)}",
            f"Memory: input {_size(self.input_bytes)}, parameters {_size(self.param_bytes)}, "
            f"forward {_size(self.forward_bytes)}, backward {_size(self.backward_bytes)}, "
            f"together {_size(self.total_bytes)}",
        ]
        if self.error is not None:
            where = f"layer '{self.failed_layer.name}'" if self.failed_layer.name else "the model itself"
            lines += [
                f"Failed in {where} ({self.failed_layer.kind}):",
                f"{type(self.error).__name__}: {self.error}",
                *([self.hint] if self.hint else []),
            ]
        return lines


def _aligned(cells, widths) -> str:
    """The first three cells to the left, numbers to the right."""
    return "  ".join(
        f"{cell:<{width}}" if i < 3 else f"{cell:>{width}}"
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()


def _shapes(shapes: list) -> str:
    text = ", ".join(str(shape) for shape in shapes[:3])
    return (text + ", …" if len(shapes) > 3 else text) or "--"


def _size(count: int) -> str:
    """Bytes in the unit that suits them."""
    units = ("B", "kB", "MB", "GB", "TB")
    step = min(int(math.log(count, 1000)), len(units) - 1) if count else 0
    return f"{count / 1000**step:.{0 if step == 0 else 2}f} {units[step]}"


def _short(count: int) -> str:
    """A count with the letter for thousands, millions and so on."""
    step = min(int(math.log(count, 1000)), 4) if count else 0
    return f"{count / 1000**step:.2f} {' KMGT'[step]}".strip() if step else str(count)

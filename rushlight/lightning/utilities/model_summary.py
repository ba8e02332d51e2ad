"""The table of a model's layers that is printed before training."""

from rushlight.nn.parameter import UninitializedTensorMixin
from rushlight.utils.summary import summary as _run

NOT_APPLICABLE = "n/a"
_UNITS = ("", "K", "M", "B", "T")


def get_human_readable_count(number: int) -> str:
    """A count with the letter for thousands, millions, ...

    >>> get_human_readable_count(61_706)
    '61.7 K'
    """
    if number < 0:
        raise ValueError(f"expected a count, got {number}")
    step = min((len(str(int(number))) - 1) // 3, len(_UNITS) - 1)
    number *= 10 ** (-3 * step)  # a product as in Lightning: 7850 rounds up, which 7850 / 1000 does not
    return f"{number:,.1f} {_UNITS[step]}" if step and number < 100 else f"{int(number):,d} {_UNITS[step]}"


class LayerSummary:
    """One layer of the table.

    Attributes:
        name, layer_type: where it is, and its class.
        num_parameters: of it and of the layers in it.
        training: whether it is in training mode.
        in_size, out_size: shapes, where the model has an `example_input_array`.
    """

    def __init__(self, name: str, module, in_size=NOT_APPLICABLE, out_size=NOT_APPLICABLE):
        self.name, self.layer_type, self.training = name, type(module).__name__, module.training
        known = [p for p in module.parameters() if not isinstance(p, UninitializedTensorMixin)]
        self.num_parameters = sum(p.numel() for p in known)
        self.in_size, self.out_size = in_size, out_size


class ModelSummary:
    """A table of a model's layers.

    Args:
        model: the model.
        max_depth: how deep to look; 1 shows what is right below the model, -1 everything, 0 only the sums.
    Raises:
        ValueError: another depth.

    Attributes:
        layer_names, layer_types, param_nums, training_modes: the columns.
        total_parameters, trainable_parameters: the sums.
        model_size: in MB.
    """

    def __init__(self, model, max_depth: int = 1):
        if not isinstance(max_depth, int) or max_depth < -1:
            raise ValueError(f"`max_depth` can be -1, 0 or > 0, got {max_depth}.")
        self.model, self.max_depth = model, max_depth
        sizes = self._sizes()
        self.layers = {
            name: LayerSummary(name, module, *sizes.get(name, ()))
            for name, module in model.named_modules()
            if name and (max_depth == -1 or name.count(".") < max_depth)
        }
        self.has_sizes = bool(sizes)
        parameters = [p for p in model.parameters() if not isinstance(p, UninitializedTensorMixin)]
        self.total_parameters = sum(p.numel() for p in parameters)
        self.trainable_parameters = sum(p.numel() for p in parameters if p.requires_grad)
        self.model_size = sum(p.numel() * p.element_size() for p in parameters) / 1e6

    layer_names = property(lambda self: list(self.layers))
    layer_types = property(lambda self: [layer.layer_type for layer in self.layers.values()])
    param_nums = property(lambda self: [layer.num_parameters for layer in self.layers.values()])
    training_modes = property(lambda self: [layer.training for layer in self.layers.values()])
    in_sizes = property(lambda self: [layer.in_size for layer in self.layers.values()])
    out_sizes = property(lambda self: [layer.out_size for layer in self.layers.values()])

    def _sizes(self) -> dict:
        """Shapes of inputs and outputs by layer, where there is an example to run."""
        example = getattr(self.model, "example_input_array", None)
        if example is None or self.max_depth == 0:
            return {}
        report = _run(self.model, input_data=example, verbose=0)
        if report.error is not None:
            raise report.error
        return {layer.name: (_one(layer.input_shapes), _one(layer.output_shapes)) for layer in report.layers}

    def __str__(self) -> str:
        head = ["", "Name", "Type", "Params", "Mode"] + (["In sizes", "Out sizes"] if self.has_sizes else [])
        rows = []
        for i, layer in enumerate(self.layers.values()):
            mode = "train" if layer.training else "eval"
            row = [str(i), layer.name, layer.layer_type, get_human_readable_count(layer.num_parameters), mode]
            rows.append(row + ([str(layer.in_size), str(layer.out_size)] if self.has_sizes else []))
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            " | ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in (head, *rows)
        ]
        rule = "-" * len(lines[0])
        fixed = self.total_parameters - self.trainable_parameters
        training = sum(m.training for n, m in self.model.named_modules() if n)
        in_eval = sum(not m.training for n, m in self.model.named_modules() if n)
        sums = [
            (get_human_readable_count(self.trainable_parameters), "Trainable params"),
            (get_human_readable_count(fixed), "Non-trainable params"),
            (get_human_readable_count(self.total_parameters), "Total params"),
            (f"{self.model_size:,.3f}", "Total estimated model params size (MB)"),
            (str(training), "Modules in train mode"),
            (str(in_eval), "Modules in eval mode"),
        ]
        table = [lines[0], rule, *lines[1:], rule] if rows else [rule]
        return "\n".join(table + [f"{count:<10}{what}" for count, what in sums])

    __repr__ = __str__


def _one(shapes: list):
    return shapes[0] if len(shapes) == 1 else (shapes or NOT_APPLICABLE)


def summarize(lightning_module, max_depth: int = 1) -> ModelSummary:
    """The table of a model.

    >>> from rushlight import nn
    >>> print(summarize(nn.Sequential(nn.Linear(2, 2))).total_parameters)
    6
    """
    return ModelSummary(lightning_module, max_depth)


__all__ = ["LayerSummary", "ModelSummary", "get_human_readable_count", "summarize"]

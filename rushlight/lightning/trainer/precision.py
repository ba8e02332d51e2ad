"""Number types of a run: that of the model, that of the batches, and automatic casts."""

import contextlib

import rushlight as torch
from rushlight.lightning.utilities.memory import convert_floats
from rushlight.lightning.utilities.rank_zero import rank_zero_warn

_NAMES = {
    "32-true": ("32", "32-true", "None"), "64-true": ("64", "64-true"), "bf16-mixed": ("bf16", "bf16-mixed"),
    "bf16-true": ("bf16-true",), "16-mixed": ("16", "16-mixed"), "16-true": ("16-true",),
}  # fmt: skip
_TRUE = {"64-true": torch.float64, "bf16-true": torch.bfloat16, "16-true": torch.float16}


class Precision:
    """How precisely a run computes.

    Args:
        precision: 32, 64, "bf16-mixed" and so on, as the Trainer takes it.
        owner: "Trainer" or "Fabric", for messages.
    Raises:
        ValueError: there is no such precision.
    """

    def __init__(self, precision=None, owner: str = "Trainer"):
        self.name = next((name for name, alike in _NAMES.items() if str(precision) in alike), None)
        if self.name is None:
            allowed = [alias for alike in _NAMES.values() for alias in alike if alias != "None"]
            raise ValueError(f"Precision {precision!r} is invalid. Allowed precision values: {allowed}")
        if self.name == "16-mixed":
            rank_zero_warn(
                f"You passed `{owner}(accelerator='cpu', precision='16-mixed')` but AMP with fp16 is not supported on CPU. "
                "Using `precision='bf16-mixed'` instead."
            )
            self.name = "bf16-mixed"
        self.dtype = _TRUE.get(self.name)
        self.plain = self.name == "32-true"

    def forward_context(self):
        """The block in which the model's steps run: casts, or another default type."""
        if self.name == "bf16-mixed":
            return torch.autocast("cpu", torch.bfloat16)
        return self.default_type()

    @contextlib.contextmanager
    def default_type(self):
        """A block in which tensors are made in the type of the model."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype or before)
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    def prepare(self, module) -> None:
        """The model in that type."""
        if self.dtype is not None:
            module.to(self.dtype)

    def batch(self, batch):
        """A batch in that type."""
        return batch if self.dtype is None else convert_floats(batch, self.dtype)

    def inputs(self, values):
        """Arguments of a model in its type; in float32 where operations cast them."""
        return values if self.plain else convert_floats(values, self.dtype or torch.float32)

    def outputs(self, values):
        """What a model returns, in the default type."""
        return values if self.plain else convert_floats(values, torch.get_default_dtype())

    convert_input, convert_output = inputs, outputs


class Anomalies:
    """Looks for the first layer that makes a NaN or an infinity (`detect_anomaly=True`).

    Args:
        module: the model.
    """

    def __init__(self, module):
        self.module = module
        self.handles = [
            layer.register_forward_hook(self._watch(name, type(layer).__name__))
            for name, layer in module.named_modules()
            if name
        ]

    def _watch(self, name: str, kind: str):
        def check(layer, args, output):
            if self.module.training and not _finite(output):
                raise RuntimeError(self._explained(name, kind, layer, args))

        return check

    def _explained(self, name: str, kind: str, layer, args) -> str:
        message = f"detect_anomaly: NaN or infinity appeared first in the output of layer '{name}' ({kind})"
        trainer = self.module._trainer
        if trainer is not None:
            message += f", epoch {trainer.current_epoch}, batch {trainer.fit_loop.batch_idx}"
        bad = [parameter for parameter, value in layer.named_parameters() if not _finite(value)]
        if bad:
            return (
                f"{message}. Its {', '.join(bad)} hold such values: lower the learning rate or clip gradients"
            )
        if not _finite(args):
            return f"{message}. Its input holds such values already: check the batch"
        return f"{message}, from a finite input"

    def check_loss(self, loss) -> None:
        """Stop where the loss is no finite number.

        Raises:
            RuntimeError: it isn't.
        """
        if not _finite(loss):
            raise RuntimeError(
                f"detect_anomaly: the loss is {loss.item()} though the output of every layer is finite: it arose in the "
                "loss itself (a logarithm of 0, a division by 0, a target out of range?)"
            )

    def remove(self) -> None:
        """Stop looking."""
        for handle in self.handles:
            handle.remove()


def _finite(value) -> bool:
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point() or bool(torch.isfinite(value.detach()).all())
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return True
    return all(map(_finite, value))

"""Conversion of a module's parameters and buffers to other types, devices and memory layouts."""

import warnings

from rushlight.autograd.grad_mode import no_grad
from rushlight.devices import channels_last, channels_last_3d, is_meta
from rushlight.nn.parameter import Parameter, is_lazy
from rushlight.ops.convert import _parse_to
from rushlight.ops.creation import empty_like
from rushlight.tensor import Tensor

_NDIM = {channels_last: 4, channels_last_3d: 5}


class ConversionMixin:
    """The part of `Module` that converts its tensors."""

    def _apply(self, fn, recurse: bool = True) -> "ConversionMixin":
        """Put `fn(tensor)` in the place of the memory of every parameter, its gradient, and every buffer."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            for name, param in list(self._parameters.items()):
                if param is not None:
                    made = fn(param)
                    if made.is_meta or param.is_meta:  # it cannot take over another one's memory
                        setattr(self, name, Parameter(made, param.requires_grad))
                        continue
                    param.data = made
                    if param.grad is not None:
                        param.grad.data = fn(param.grad)
            for name, buffer in self._buffers.items():
                if is_lazy(buffer):
                    buffer.data = fn(buffer)
                elif buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self, *args, **kwargs) -> "ConversionMixin":
        """Convert all floating-point parameters and buffers: `to(dtype)`, `to(device)`, `to(tensor)` or
        keywords.

        Args:
            dtype: the wanted floating-point or complex type.
            device: the wanted device; only the CPU has tensors in this version.
            tensor: a tensor whose type is wanted.
            non_blocking: accepted, without effect on the CPU.
            memory_format: the wanted order of dimensions of parameters and buffers with 4 (or 5) dimensions.
        Returns:
            The module itself.
        Raises:
            TypeError: the wanted type is an integer type. RuntimeError: there is no such device.
        """
        dtype, memory_format, _, where = _parse_to(args, kwargs)
        if dtype is not None and dtype.category < 2:
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        if dtype is not None and dtype.is_complex:
            warnings.warn(
                "Complex modules are a new feature under active development whose design may change, and "
                "some modules might not work as expected when using complex tensors as parameters or "
                "buffers. ",
                stacklevel=2,
            )

        def convert(t: Tensor) -> Tensor:
            if where is not None and t.is_meta != is_meta(where):
                if t.is_meta:
                    raise NotImplementedError(
                        "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of "
                        "torch.nn.Module.to() when moving module from meta to a different device."
                    )
                t = t.to(where)
            if dtype is not None and t.dtype.category >= 2:
                t = t.to(dtype)
            if memory_format in (channels_last, channels_last_3d):
                return t.to(memory_format=memory_format) if t.dim() == _NDIM[memory_format] else t
            return t if memory_format is None else t.to(memory_format=memory_format)

        return self._apply(convert)

    def type(self, dst_type) -> "ConversionMixin":
        """Convert all parameters and buffers to a type; returns itself."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self) -> "ConversionMixin":
        """Convert all floating-point parameters and buffers to float32; returns itself."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self) -> "ConversionMixin":
        """Convert all floating-point parameters and buffers to float64; returns itself."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self) -> "ConversionMixin":
        """Convert all floating-point parameters and buffers to float16; returns itself."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self) -> "ConversionMixin":
        """Convert all floating-point parameters and buffers to bfloat16; returns itself."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def cpu(self) -> "ConversionMixin":
        """Move all parameters and buffers to the CPU, where they are already; returns itself."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device=None) -> "ConversionMixin":
        """Move all parameters and buffers to a CUDA device: RuntimeError, as this version has none."""
        return self._apply(lambda t: t.cuda(device))

    def xpu(self, device=None) -> "ConversionMixin":
        """Move all parameters and buffers to an XPU: RuntimeError, as there is none."""
        return self._apply(lambda t: t.to("xpu"))

    def ipu(self, device=None) -> "ConversionMixin":
        """Move all parameters and buffers to an IPU: RuntimeError, as there is none."""
        return self._apply(lambda t: t.to("ipu"))

    def mtia(self, device=None) -> "ConversionMixin":
        """Move all parameters and buffers to an MTIA: RuntimeError, as there is none."""
        return self._apply(lambda t: t.to("mtia"))

    def share_memory(self) -> "ConversionMixin":
        """Move all parameters, gradients and buffers to memory that other processes share; returns itself."""
        return self._apply(lambda t: t.share_memory_())

    def to_empty(self, *, device, recurse: bool = True) -> "ConversionMixin":
        """Give all parameters and buffers new memory with unset values; returns itself."""
        return self._apply(lambda t: empty_like(t, device=device), recurse)

"""Fourier transforms: `torch.fft`."""

from rushlight.ops import fft as _ops

_NAMES = [rank + end for rank in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft") for end in ("", "2", "n")]
_NAMES += ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]
globals().update({name: getattr(_ops, name) for name in _NAMES})

__all__ = sorted(_NAMES)

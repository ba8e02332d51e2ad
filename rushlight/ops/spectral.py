"""The short-time Fourier transform and its inverse."""

import warnings

import numpy as np

from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import zeros_by
from rushlight.ops.adjoint import LinearNode, apply_linear
from rushlight.ops.common import Tensor, check_tensor, wrap
from rushlight.ops.complex_parts import view_as_real
from rushlight.ops.fft import MEAN, PLAIN, ROOT, c2c, c2r, r2c
from rushlight.ops.padding import constant_pad_nd, pad
from rushlight.ops.registry import op
from rushlight.ops.shape import as_strided_array

# -- frames and their sum ---------------------------------------------------------------------------


class _FramesNode(LinearNode):
    pass


_FramesNode.__name__ = _FramesNode.__qualname__ = "AsStridedBackward0"


class UnfoldBackwardBackward0(LinearNode):
    pass


def _cut(x: np.ndarray, size: int, hop: int) -> np.ndarray:
    *steps, step = x.strides
    shape = (*x.shape[:-1], (x.shape[-1] - size) // hop + 1, size)
    return as_strided_array(x, shape, (*steps, hop * step, step), subok=True)


def _overlap_add(frames: np.ndarray, length: int, hop: int) -> np.ndarray:
    """The sum of frames [..., count, size] that begin `hop` apart, as [..., length]."""
    *batch, count, size = frames.shape
    total = zeros_by(frames, (*batch, max(length, (count - 1) * hop + size) + hop))
    for start in range(0, size, hop):  # one piece of all frames at a time: these do not overlap
        piece = frames[..., start : start + hop]
        rows = total[..., start : start + count * hop].reshape(*batch, count, hop)
        rows[..., : piece.shape[-1]] += piece
        total[..., start : start + count * hop] = rows.reshape(*batch, count * hop)
    return total[..., :length]


def frames_of(x: Tensor, size: int, hop: int) -> Tensor:
    """The windows [..., count, size] of a signal [..., length]."""
    length = x._array.shape[-1]
    return apply_linear(x, lambda a: _cut(a, size, hop), lambda a: _overlap_add(a, length, hop), _FramesNode)


def sum_of_frames(frames: Tensor, length: int, hop: int) -> Tensor:
    """The signal [..., length] that overlapping windows [..., count, size] add up to."""
    size = frames._array.shape[-1]
    return apply_linear(
        frames, lambda a: _overlap_add(a, length, hop), lambda a: _cut(a, size, hop), UnfoldBackwardBackward0
    )


# -- stft -------------------------------------------------------------------------------------------


def _call(name: str, shown: str, **arguments) -> str:
    """How PyTorch's messages show a call."""
    listed = ", ".join(
        f"{k}={int(v) if isinstance(v, bool) else v if not isinstance(v, Tensor) else list(v.shape)}"
        for k, v in arguments.items()
    )
    return f"{name}({shown}, {listed}) : "


@op()
def stft(
    input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect", normalized=False,
    onesided=None, return_complex=None, align_to_window=None,
):  # fmt: skip
    """The short-time Fourier transform: those of overlapping windows of a signal.

    Args:
        input: a signal [length], or a batch of them [batch, length], real or complex.
        n_fft: the size of the transforms.
        hop_length: the distance of the windows; by default n_fft // 4.
        win_length: the size of the windows, which zeros fill up to n_fft; by default n_fft.
        window: the weights [win_length]; by default ones, with a warning.
        center: pad the signal so that window t is centred on t * hop_length.
        pad_mode: how to pad, as for `torch.nn.functional.pad`.
        normalized: divide by sqrt(n_fft).
        onesided: only the frequencies 0 to n_fft // 2; by default for real signals and windows.
        return_complex: complex numbers; else, deprecated, a last dimension of both parts. Required for real signals.
        align_to_window: where not `center`, let the first window begin at the signal's beginning.
    Returns:
        A tensor [(batch,) frequencies, windows].
    Raises:
        RuntimeError: sizes or types do not go together.

    >>> import rushlight as torch
    >>> torch.stft(torch.zeros(40), 8, window=torch.hann_window(8), return_complex=True).shape
    torch.Size([5, 21])
    """
    check_tensor("stft", input)
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if center:
        shape = input._array.shape
        wide = input.reshape((1,) * (3 - len(shape)) + shape)
        half = int(n_fft // 2)
        input = pad(wide, (half, half), mode=pad_mode)
        input = input.reshape(input._array.shape[-len(shape) :] if shape else input._array.shape[-1:])
    hop_length = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    if window is None:
        warnings.warn(
            "A window was not provided. A rectangular window will be applied,which is known to cause spectral leakage. "
            "Other windows such as torch.hann_window or torch.hamming_window are recommended to reduce spectral leakage."
            "To suppress this warning and use a rectangular window, explicitly set "
            "`window=torch.ones(n_fft, device=<device>)`.",
            stacklevel=2,
        )
    _check_stft(input, n_fft, hop_length, win_length, window)
    is_complex = input.is_complex() or (window is not None and window.is_complex())
    if return_complex is None and not is_complex:
        raise RuntimeError(
            "stft requires the return_complex parameter be given for real inputs, and will further require that "
            "return_complex=True in a future PyTorch release."
        )
    if return_complex is False:
        warnings.warn(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex tensors "
            "for all inputs, and return_complex=False will raise an error.\nNote: you can still call torch.view_as_real "
            "on the complex output to recover the old return format.",
            stacklevel=2,
        )
    onesided = not is_complex if onesided is None else onesided
    if onesided and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    left = (n_fft - win_length) // 2
    if align_to_window:
        input = constant_pad_nd(input, (left, n_fft - win_length - left))
    frames = frames_of(input, n_fft, hop_length)
    if window is not None:
        frames = frames * constant_pad_nd(window, (left, n_fft - win_length - left))
    elif win_length < n_fft:
        frames = frames * constant_pad_nd(input.new_ones(win_length), (left, n_fft - win_length - left))
    scale, last = ROOT if normalized else PLAIN, (frames._array.ndim - 1,)
    spectrum = c2c(frames, last, scale, True) if is_complex else r2c(frames, last, scale, bool(onesided))
    spectrum = spectrum.transpose(-1, -2)
    return view_as_real(spectrum) if return_complex is False else spectrum


def _check_stft(input: Tensor, n_fft: int, hop_length: int, win_length: int, window) -> None:
    call = _call(
        "stft", f"torch.{SCALAR_NAMES[input.dtype]}Tensor{list(input.shape)}", n_fft=n_fft, hop_length=hop_length,
        win_length=win_length, window=window,
    )  # fmt: skip
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(f"{call}expected a tensor of floating point or complex values")
    if input._array.ndim not in (1, 2):
        raise RuntimeError(f"{call}expected a 1D or 2D tensor")
    length = input._array.shape[-1]
    if not 0 < n_fft <= length:
        raise RuntimeError(f"{call}expected 0 < n_fft < {length}, but got n_fft={n_fft}")
    if hop_length <= 0:
        raise RuntimeError(f"{call}expected hop_length > 0, but got hop_length={hop_length}")
    if not 0 < win_length <= n_fft:
        raise RuntimeError(f"{call}expected 0 < win_length <= n_fft, but got win_length={win_length}")
    if window is not None and window._array.shape != (win_length,):
        raise RuntimeError(
            f"{call}expected a 1D window tensor of size equal to win_length={win_length}, but got window with size "
            f"{list(window.shape)}"
        )
    if input._array.dtype.kind == "V" or input._array.dtype.itemsize < 4:
        raise RuntimeError(f"MKL FFT doesn't support tensors of type: {SCALAR_NAMES[input.dtype]}")


# -- istft ------------------------------------------------------------------------------------------


@op()
def istft(
    input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=None,
    length=None, return_complex=False,
):  # fmt: skip
    """The inverse of `stft`: the signal whose windows have these transforms, by least squares.

    Args:
        input: complex numbers [(batch,) frequencies, windows].
        n_fft, hop_length, win_length, window, center, normalized: as `stft` had them.
        onesided: whether there are only the frequencies 0 to n_fft // 2; by default where there are fewer than n_fft.
        length: the length of the signal; by default what the windows cover.
        return_complex: give complex numbers; for two-sided transforms.
    Returns:
        A tensor [(batch,) length].
    Raises:
        RuntimeError: sizes or types do not go together, or the windows leave gaps.
    Source:
        Griffin and Lim, Signal estimation from modified short-time Fourier transform, 1984.

    >>> import rushlight as torch
    >>> window = torch.hann_window(8)
    >>> spectrum = torch.stft(torch.ones(16), 8, window=window, return_complex=True)
    >>> torch.istft(spectrum, 8, window=window).shape
    torch.Size([16])
    """
    hop_length = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    check_tensor("istft", input)
    if window is None:
        warnings.warn(
            "A window was not provided. A rectangular window will be applied.Please provide the same window used by stft "
            "to make the inversion lossless.To suppress this warning and use a rectangular window, explicitly set "
            "`window=torch.ones(n_fft, device=<device>)`.",
            stacklevel=2,
        )
    onesided = _check_istft(input, n_fft, hop_length, win_length, window, onesided)
    if not return_complex and window is not None and window.is_complex():
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    if return_complex and onesided:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    left = (n_fft - win_length) // 2
    if window is None:
        window = wrap(np.ones(win_length, input._array.real.dtype))
    weights = constant_pad_nd(window, (left, n_fft - win_length - left))
    batched = input._array.ndim == 3
    frames = (input if batched else input.unsqueeze(0)).transpose(1, 2)
    scale = ROOT if normalized else MEAN
    if return_complex:
        frames = c2c(frames, (2,), scale, False)
    else:
        frames = c2r(frames if onesided else frames[..., : n_fft // 2 + 1], (2,), scale, n_fft)
    count = frames._array.shape[1]
    covered = n_fft + hop_length * (count - 1)
    signal = sum_of_frames(frames * weights, covered, hop_length)
    squares = (weights * weights).expand(count, n_fft)
    envelope = sum_of_frames(squares, covered, hop_length)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else covered - start
    signal, envelope = signal[:, start:end], envelope[start:end]
    if not envelope.numel() or np.abs(envelope._array).min() < 1e-11:
        raise RuntimeError(
            f"istft: window overlap add min: 1: the windows of length {win_length}, {hop_length} apart, leave positions "
            "where all weights are 0; use center=True, a smaller hop_length or another window"
        )
    signal = signal / envelope
    if end > covered:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. "
            "Please check your center and hop_length settings.",
            stacklevel=2,
        )
        signal = constant_pad_nd(signal, (0, end - covered))
    return signal if batched else signal.squeeze(0)


def _check_istft(input: Tensor, n_fft: int, hop_length: int, win_length: int, window, onesided) -> bool:
    """Whether the input is one-sided; raises where the arguments do not go together."""
    if not input.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )
    call = _call(
        "istft", f"{SCALAR_NAMES[input.dtype]}{list(input.shape)}", n_fft=n_fft, hop_length=hop_length,
        win_length=win_length, window=window, onesided=onesided,
    )  # fmt: skip
    if not input.numel():
        raise RuntimeError(f"{call}input tensor cannot be empty.")
    if input._array.ndim not in (2, 3):
        raise RuntimeError(f"{call}expected a tensor with 3 or 4 dimensions, but got {input._array.ndim + 1}")
    frequencies = input._array.shape[-2]
    onesided = frequencies != n_fft if onesided is None else bool(onesided)
    if onesided and n_fft // 2 + 1 != frequencies:
        raise RuntimeError(
            f"{call}expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 when "
            f"onesided=True, but got {frequencies}"
        )
    if not onesided and n_fft != frequencies:
        raise RuntimeError(
            f"{call}expected the frequency dimension (3rd to the last) of the input tensor to match n_fft when "
            f"onesided=False, but got {frequencies}"
        )
    if not 0 < hop_length <= win_length:
        raise RuntimeError(f"{call}expected 0 < hop_length <= win_length")
    if not 0 < win_length <= n_fft:
        raise RuntimeError(f"{call}expected 0 < win_length <= n_fft")
    if window is not None and window._array.shape != (win_length,):
        raise RuntimeError(f"{call}Invalid window shape. window has to be 1D and length of `win_length`")
    return onesided

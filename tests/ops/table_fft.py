"""Fourier transforms, the short-time one, window functions."""

from tests.ops.table import C, Row, T

ENDS = {"": {"dim": 0}, "2": {"dim": (-1, 0)}, "n": {}}
KINDS = {"fft": C, "ifft": C, "rfft": T, "irfft": C, "hfft": C, "ihfft": T}


def wrong(*calls):
    """Wrong calls, as text."""
    return tuple(lambda torch, c=c: eval(c, {"torch": torch}) for c in calls)


def transform(name, end, **options):
    """A transform of the rows' tensors, with these arguments."""
    return lambda torch, *xs: tuple(getattr(torch.fft, name + end)(x, **options) for x in xs)


def transforms():
    """Rows of all transforms: default, scaled, other sizes, real and complex numbers."""
    for name, kind in KINDS.items():
        for end, dims in ENDS.items():
            f = f"torch.fft.{name}{end}"
            bad = [f"{f}(torch.tensor(1.0), dim=0)", f"{f}(torch.ones(2, 2), norm='x')", f"{f}(torch.ones(2, 2).half())",
                   f"{f}(2)", f"{f}(torch.ones(3, 3), {'n=0' if not end else 's=(0, 2)'})"]  # fmt: skip
            bad += [f"{f}(torch.ones(2, 2) + 0j)"] if kind is T else []
            inputs = (kind((3, 4)), T((2, 5)))
            yield Row(f"fft_{name}{end}", transform(name, end), inputs, wrong=wrong(*bad))
            size = {"n": 5} if not end else {"s": (2, 6)}
            yield Row(
                f"fft_{name}{end}",
                transform(name, end, norm="ortho", **size, **dims),
                (kind((3, 4)),),
                id="sized",
            )
            yield Row(f"fft_{name}{end}", transform(name, end, norm="forward"), (kind((3, 2, 4)),), id="forward",
                      grad2=False, fd=False)  # fmt: skip


def window(name, *calls, wrong_calls=()):
    """Rows of a window function of `torch`."""
    call = lambda torch: [eval(c, {"torch": torch, "f": getattr(torch, name)}) for c in calls]
    return Row(name, call, grad=False, tol32=1e-6, wrong=wrong(*wrong_calls))


def signal_window(name, *calls, wrong_calls=()):
    """Rows of a function of `torch.signal.windows`."""
    call = lambda torch: [eval(c, {"torch": torch, "f": getattr(torch.signal.windows, name)}) for c in calls]
    f = f"torch.signal.windows.{name}"
    extra = ", a=[1]" if name == "general_cosine" else ""
    bad = (f"{f}(-1{extra})", f"{f}(3, dtype=torch.int64{extra})", *wrong_calls)
    return Row(f"signal_windows_{name}", call, grad=False, tol32=1e-6, wrong=wrong(*bad))


COMMON = ("f(6)", "f(7, False)", "f(5, dtype=torch.float64)", "f(0)", "f(1)")
SIGNAL = ("f(6)", "f(7, sym=False)", "f(5, dtype=torch.float64)", "f(0)", "f(1)")


def stft(id, code, *inputs, **options):
    """A row of `stft` with a window `w`."""
    call = lambda torch, x: eval(
        code, {"torch": torch, "x": x, "w": torch.hann_window(8, dtype=x.real.dtype)}
    )
    return Row("stft", call, inputs, id=id, **options)


def istft(id, code, *inputs, **options):
    """A row of `istft` with a window `w`."""
    call = lambda torch, x: eval(
        code, {"torch": torch, "x": x, "w": torch.hamming_window(8, dtype=x.real.dtype)}
    )
    return Row("istft", call, inputs, id=id, **options)


S = "torch.stft(torch.ones(40), 8, window=torch.ones(8), return_complex=True"
W = "window=torch.ones(8)"

ROWS = [
    *transforms(),
    Row("fft_fftfreq", lambda torch: [torch.fft.fftfreq(n, d) for n in (1, 4, 5) for d in (1.0, 0.5)], grad=False,
        wrong=wrong("torch.fft.fftfreq(4, dtype=torch.int64)", "torch.fft.fftfreq(4, dtype=torch.complex64)")),
    Row("fft_rfftfreq", lambda torch: [torch.fft.rfftfreq(n, d, dtype=torch.float64) for n in (1, 4, 5) for d in (1, 0.5)],
        grad=False),
    Row("fft_fftshift", lambda torch, x: (torch.fft.fftshift(x), torch.fft.fftshift(x, 1)), (T((3, 4)),)),
    Row("fft_ifftshift", lambda torch, x: (torch.fft.ifftshift(x), torch.fft.ifftshift(x, (0,))), (T((3, 5)),)),
    window("hann_window", *COMMON, wrong_calls=(
        "torch.hann_window(-1)", "torch.hann_window(2.5)", "torch.hann_window(3, dtype=torch.int64)",
        "torch.hann_window(3, dtype=torch.complex64)")),
    window("hamming_window", *COMMON, "f(5, True, 0.5)", "f(5, periodic=False, alpha=0.5, beta=0.4)"),
    window("blackman_window", *COMMON),
    window("bartlett_window", *COMMON),
    window("kaiser_window", *COMMON, "f(6, True, 5.0)", "f(6, False, beta=3.0)"),
    *(signal_window(name, *SIGNAL) for name in ("cosine", "hamming", "hann", "blackman", "bartlett", "nuttall")),
    signal_window("exponential", *SIGNAL, "f(6, tau=3.0)", "f(6, center=2.0, sym=False)", wrong_calls=(
        "torch.signal.windows.exponential(3, tau=0)", "torch.signal.windows.exponential(3, center=1)")),
    signal_window("gaussian", *SIGNAL, "f(6, std=2.5)", wrong_calls=("torch.signal.windows.gaussian(3, std=-1)",)),
    signal_window("kaiser", *SIGNAL, "f(6, beta=3.0)", wrong_calls=("torch.signal.windows.kaiser(3, beta=-1)",)),
    signal_window("general_cosine", "f(6, a=[0.5, 0.3, 0.2])", "f(5, a=[1.0, 2.0], sym=False)", "f(1, a=[1])",
                  wrong_calls=("torch.signal.windows.general_cosine(3, a=None)",
                               "torch.signal.windows.general_cosine(3, a=[])")),
    signal_window("general_hamming", *SIGNAL, "f(6, alpha=0.7)"),
    stft("real", "torch.stft(x, 8, window=w, return_complex=True)", T((2, 20)), wrong=wrong(
        f"torch.stft(torch.ones(40), 0, {W}, return_complex=True)", f"torch.stft(torch.ones(40), 8, {W})",
        f"{S}, hop_length=0)", f"{S}, win_length=9)", f"{S}, win_length=4)", f"{S}, align_to_window=True)",
        f"torch.stft(torch.ones(4), 8, {W}, center=False, return_complex=True)",
        f"torch.stft(torch.ones(40).int(), 8, {W}, return_complex=True)",
        f"torch.stft(torch.ones(40) + 0j, 8, {W}, onesided=True)", f"torch.stft(torch.ones(2, 2, 40), 8, {W}, return_complex=True)")),
    stft("complex", "torch.stft(x, 8, window=w)", C((20,))),
    stft("two-sided", "torch.stft(x, 8, 4, window=w, onesided=False, normalized=True, return_complex=True)", T((20,))),
    stft("short", "x.stft(10, 3, 8, window=w, pad_mode='constant', return_complex=True)", T((20,))),
    stft("aligned", "torch.stft(x, 10, 3, 8, window=w, center=False, align_to_window=True, return_complex=True)", T((20,))),
    istft("one-sided", "torch.istft(x, 8, window=w)", C((2, 5, 4)), wrong=wrong(
        f"torch.istft(torch.ones(5, 4), 8, {W})", f"torch.istft(torch.ones(5, 4) + 0j, 8, {W}, onesided=False)",
        f"torch.istft(torch.ones(4, 4) + 0j, 8, {W})", f"torch.istft(torch.ones(5, 4) + 0j, 8, hop_length=9, {W})",
        f"torch.istft(torch.ones(5, 4) + 0j, 8, win_length=9, {W})", "torch.istft(torch.ones(5, 4) + 0j, 8, window=torch.ones(4))",
        "torch.istft(torch.ones(5, 4) + 0j, 8, window=torch.zeros(8))", f"torch.istft(torch.ones(5, 0) + 0j, 8, {W})",
        f"torch.istft(torch.ones(5, 4) + 0j, 8, {W}, onesided=True, return_complex=True)",
        f"torch.istft(torch.ones(2, 2, 5, 4) + 0j, 8, {W})")),
    istft("complex", "torch.istft(x, 8, window=w, return_complex=True)", C((8, 4))),
    istft("two-sided", "torch.istft(x, 8, 3, window=w, normalized=True, length=9)", C((8, 4))),
    istft("uncentred", "torch.istft(x, 10, 3, 8, window=w)", C((6, 4))),
]  # fmt: skip

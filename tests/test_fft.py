"""Fourier transforms: types, names of gradient functions, messages, round trips."""

import warnings

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")

NODES = {
    "torch.fft.fft(x + 0j)": "FftC2CBackward0",
    "torch.fft.fft(x)": "FftR2CBackward0",
    "torch.fft.fftn(x)": "FftC2CBackward0",
    "torch.fft.rfft(x)": "FftR2CBackward0",
    "torch.fft.irfft(x + 0j)": "FftC2RBackward0",
    "torch.fft.hfft(x + 0j)": "FftC2RBackward0",
}


@pytest.mark.parametrize("code", NODES)
def test_gradient_functions_have_pytorchs_names(code):
    for module in (rushlight, torch):
        result = eval(code, {"torch": module, "x": module.ones(2, 4, requires_grad=True)})
        assert type(result.grad_fn).__name__ == NODES[code]


def test_the_precision_of_the_input_is_kept():
    for kind, number in ((rushlight.float32, rushlight.complex64), (rushlight.float64, rushlight.complex128)):
        x = rushlight.ones(2, 6, dtype=kind)
        assert rushlight.fft.fft(x).dtype is number
        assert rushlight.fft.rfftn(x).dtype is number
        assert rushlight.fft.irfft2(rushlight.fft.rfft2(x)).dtype is kind
    assert rushlight.fft.fft(rushlight.arange(3)).dtype is rushlight.complex64


MESSAGES = [
    ("torch.fft.fft(torch.ones(3), n=0)", "Invalid number of data points (0) specified"),
    ("torch.fft.fft(torch.ones(3), n=-1)", "Invalid number of data points (-1) specified"),
    ("torch.fft.irfft(torch.ones(1))", "Invalid number of data points (0) specified"),
    ("torch.fft.fft(torch.tensor(1.0))", "Dimension specified as -1 but tensor has no dimensions"),
    ("torch.fft.fftn(torch.ones(2, 2), dim=(0, 0))", "FFT dims must be unique"),
    (
        "torch.fft.fft2(torch.ones(2, 2), s=(2,))",
        "When given, dim and shape arguments must have the same length",
    ),
    (
        "torch.fft.fftn(torch.ones(2), s=(2, 2))",
        "Got shape with 2 values but input tensor only has 1 dimensions.",
    ),
    ("torch.fft.rfft(torch.ones(2) + 0j)", "rfft expects a real input tensor, but got ComplexFloat"),
    ("torch.fft.rfftn(torch.ones(2) + 0j)", "rfftn expects a real-valued input tensor, but got ComplexFloat"),
    ("torch.fft.rfftn(torch.ones(2), dim=())", "rfftn must transform at least one axis"),
    (
        "torch.fft.fft(torch.ones(2), out=torch.empty(2))",
        "fft expects a complex output tensor, but got Float",
    ),
    ("torch.fft.fft(torch.ones(2), norm='x')", 'Invalid normalization mode: "x"'),
    ("torch.hann_window(-1)", "hann_window requires non-negative window_length, got window_length=-1"),
    ("torch.signal.windows.hann(-1)", "general_cosine requires non-negative window length, got M=-1"),
]


@pytest.mark.parametrize(("code", "message"), MESSAGES)
def test_messages_begin_as_pytorchs(code, message):
    for module in (rushlight, torch):
        with pytest.raises((RuntimeError, IndexError, ValueError)) as error:
            eval(code, {"torch": module})
        assert str(error.value).startswith(message)


def test_stacks_without_transforms_stay_empty():
    assert rushlight.fft.fft(rushlight.ones(0, 4)).shape == (0, 4)
    assert rushlight.fft.fftn(rushlight.ones(2), dim=()).dtype is rushlight.complex64


def test_sizes_of_minus_one_are_those_of_the_input():
    x = rushlight.rand(3, 4)
    assert rushlight.equal(rushlight.fft.fftn(x, s=(2, -1)), rushlight.fft.fftn(x[:2]))


@pytest.mark.parametrize("hop", [1, 3, 4, 8])
def test_istft_inverts_stft(hop):
    window = rushlight.hamming_window(8, dtype=rushlight.float64)
    x = rushlight.rand(3, 50, dtype=rushlight.float64)
    spectrum = rushlight.stft(x, 8, hop, window=window, return_complex=True)
    back = rushlight.istft(spectrum, 8, hop, window=window)
    np.testing.assert_allclose(back.numpy(), x.numpy()[:, : back.shape[1]], atol=1e-12)


def test_istft_fills_up_to_a_longer_length_with_a_warning():
    window = rushlight.ones(8)
    spectrum = rushlight.stft(rushlight.ones(16), 8, window=window, return_complex=True)
    with pytest.warns(UserWarning, match="shorter than the length parameter"):
        back = rushlight.istft(spectrum, 8, window=window, length=24)
    assert back.shape == (24,)
    assert not back[20:].any()


def test_missing_windows_and_real_results_of_stft_are_warned_of():
    with pytest.warns(UserWarning, match="A window was not provided"):
        rushlight.stft(rushlight.ones(16), 8, return_complex=True)
    with pytest.warns(UserWarning, match="return_complex=False is deprecated"):
        pairs = rushlight.stft(rushlight.ones(16), 8, window=rushlight.ones(8), return_complex=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torch.stft(torch.ones(16), 8, window=torch.ones(8), return_complex=False)
    assert pairs.shape == tuple(theirs.shape)


def test_windows_that_require_gradients_are_leaves():
    assert rushlight.hann_window(4, requires_grad=True).is_leaf
    assert rushlight.signal.windows.gaussian(4, requires_grad=True).requires_grad

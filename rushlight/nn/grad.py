"""Gradients of convolutions as functions of their own: by the input, and by the weight."""

from rushlight.nn.sizes import _ntuple
from rushlight.ops.conv import _input_gradient, _weight_gradient

_DOC = """The gradient of `conv{n}d` by its {what}.

    Args:
        {first}
        {second}
        grad_output: the gradient of the output, (N, C_out, {sizes}).
        stride, padding, dilation, groups: those of the convolution.
    Returns:
        A tensor of the {what}'s shape.

    >>> import rushlight as torch
    >>> x, w, g = torch.ones(1, 1, {threes}), torch.ones(1, 1, {ones}), torch.ones(1, 1, {threes})
    >>> torch.nn.grad.conv{n}d_{what}({example}, g).shape
    torch.Size([1, 1, {result}])
    """


def _define(n: int):
    """Both gradients of the convolution over `n` dimensions."""
    tuple_of = _ntuple(n)

    def conv_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
        settings = tuple_of(stride), tuple_of(padding), tuple_of(dilation), groups
        return _input_gradient(grad_output, weight, tuple(input_size), settings)

    def conv_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
        settings = tuple_of(stride), tuple_of(padding), tuple_of(dilation), groups
        return _weight_gradient(grad_output, input, tuple(weight_size), settings)

    sizes, threes, ones = ("L", "H, W", "D, H, W")[n - 1], ", ".join("3" * n), ", ".join("1" * n)
    words = {"n": n, "sizes": sizes, "threes": threes, "ones": ones}
    size, weight = (
        "input_size: the shape of the input.",
        "weight: (C_out, C_in / groups, sizes of the kernel).",
    )
    conv_input.__doc__ = _DOC.format(
        what="input", first=size, second=weight, example="x.shape, w", result=threes, **words
    )
    image, shape = f"input: (N, C_in, {sizes}).", "weight_size: the shape of the weight."
    conv_weight.__doc__ = _DOC.format(
        what="weight", first=image, second=shape, example="x, w.shape", result=ones, **words
    )
    for function, what in ((conv_input, "input"), (conv_weight, "weight")):
        function.__name__ = function.__qualname__ = f"conv{n}d_{what}"
    return conv_input, conv_weight


conv1d_input, conv1d_weight = _define(1)
conv2d_input, conv2d_weight = _define(2)
conv3d_input, conv3d_weight = _define(3)

__all__ = [f"conv{n}d_{what}" for n in (1, 2, 3) for what in ("input", "weight")]

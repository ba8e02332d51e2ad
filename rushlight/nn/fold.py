"""Layers that take images apart into sliding blocks, and put blocks together."""

from rushlight.nn import functional as F
from rushlight.nn.module import Module


class Unfold(Module):
    """The sliding blocks of images, each as a column: (N, C, H, W) to (N, C * block elements, blocks).

    Args:
        kernel_size: size of the blocks.
        dilation: steps between neighbouring elements of a block.
        padding: around the image.
        stride: steps between neighbouring blocks.

    >>> import rushlight as torch
    >>> torch.nn.Unfold(2)(torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 12, 9])
    """

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input):
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Module):
    """Images from sliding blocks, which are added where they overlap: the transpose of `Unfold`.

    Args:
        output_size: size of the images.
        kernel_size: size of the blocks.
        dilation: steps between neighbouring elements of a block.
        padding: around the image.
        stride: steps between neighbouring blocks.

    >>> import rushlight as torch
    >>> torch.nn.Fold((4, 4), 2)(torch.zeros(1, 12, 9)).shape
    torch.Size([1, 3, 4, 4])
    """

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input):
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


__all__ = ["Fold", "Unfold"]

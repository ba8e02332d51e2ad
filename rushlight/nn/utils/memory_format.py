"""The order of dimensions in memory of the weights of convolutions."""

from rushlight.nn.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def _convert(module, memory_format, kinds: tuple):
    for layer in module.modules():
        if isinstance(layer, kinds):
            layer.weight.data = layer.weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module, memory_format):
    """Give the weights of all `Conv2d` and `ConvTranspose2d` in a module a memory format; returns the module.

    Args:
        module: a layer or a model.
        memory_format: such as `torch.channels_last`.
    """
    return _convert(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module, memory_format):
    """Give the weights of all `Conv3d` and `ConvTranspose3d` in a module a memory format; returns the module.

    Args:
        module: a layer or a model.
        memory_format: such as `torch.channels_last_3d`.
    """
    return _convert(module, memory_format, (Conv3d, ConvTranspose3d))

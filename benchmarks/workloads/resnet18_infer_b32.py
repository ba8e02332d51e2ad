"""ResNet-18 for CIFAR shapes, 32 pictures at a time, without gradients."""

from training import inference_step

from workloads.resnet18 import resnet18


def build(torch):
    """One pass."""
    return inference_step(torch, resnet18(torch), torch.randn(32, 3, 32, 32))

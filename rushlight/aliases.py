"""The packages that Rushlight stands in for (`as_torch`), by the names of their modules here."""

ALIASES = {
    "torch": "rushlight",
    "torchvision": "rushlight.vision",
    "pytorch_lightning": "rushlight.lightning",
    "lightning": "rushlight.lightning",
    "lightning.pytorch": "rushlight.lightning",
    "tensorboardX": "rushlight.utils.tensorboardx",
    "functorch": "rushlight.functorch",
}

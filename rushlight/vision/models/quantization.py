"""The place of torchvision's quantised networks, which are not here."""


def __getattr__(name: str):
    if name.startswith("__"):
        raise AttributeError(name)
    raise NotImplementedError(
        f"models.quantization.{name}: networks with 8-bit weights are not supported. Use the one of "
        "rushlight.vision.models in float32, or in bfloat16 with model.bfloat16()"
    )

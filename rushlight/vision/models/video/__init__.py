"""Networks that give a film a class."""

from rushlight.vision.models.video.resnet import *  # noqa: F403

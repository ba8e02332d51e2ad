"""Networks that give each pixel a class."""

from rushlight.vision.models.segmentation.deeplabv3 import *  # noqa: F403
from rushlight.vision.models.segmentation.fcn import *  # noqa: F403
from rushlight.vision.models.segmentation.lraspp import *  # noqa: F403

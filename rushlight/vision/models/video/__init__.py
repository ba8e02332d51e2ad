"""Networks that give a film a class."""

from rushlight.vision.models.video.mvit import *  # noqa: F403
from rushlight.vision.models.video.resnet import *  # noqa: F403
from rushlight.vision.models.video.s3d import *  # noqa: F403
from rushlight.vision.models.video.swin_transformer import *  # noqa: F403

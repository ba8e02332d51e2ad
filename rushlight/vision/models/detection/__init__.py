"""Detectors under torchvision's names, and with its names of parameters, so that its weights fit."""

from rushlight.vision.models.detection.fast_rcnn import *  # noqa: F403
from rushlight.vision.models.detection.faster_rcnn import *  # noqa: F403
from rushlight.vision.models.detection.fcos import *  # noqa: F403
from rushlight.vision.models.detection.keypoint_rcnn import *  # noqa: F403
from rushlight.vision.models.detection.mask_rcnn import *  # noqa: F403
from rushlight.vision.models.detection.retinanet import *  # noqa: F403
from rushlight.vision.models.detection.ssd import *  # noqa: F403
from rushlight.vision.models.detection.ssdlite import *  # noqa: F403

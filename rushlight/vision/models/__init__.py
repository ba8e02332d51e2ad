"""Networks under torchvision's names, and with its names of parameters, so that its weights fit."""

from rushlight.vision.models import detection, optical_flow, quantization, segmentation, video  # noqa: F401
from rushlight.vision.models.alexnet import *  # noqa: F403
from rushlight.vision.models.autoencoder import *  # noqa: F403
from rushlight.vision.models.convnext import *  # noqa: F403
from rushlight.vision.models.dcgan import *  # noqa: F403
from rushlight.vision.models.densenet import *  # noqa: F403
from rushlight.vision.models.efficientnet import *  # noqa: F403
from rushlight.vision.models.googlenet import *  # noqa: F403
from rushlight.vision.models.highway import *  # noqa: F403
from rushlight.vision.models.inception import *  # noqa: F403
from rushlight.vision.models.lenet import *  # noqa: F403
from rushlight.vision.models.maxvit import *  # noqa: F403
from rushlight.vision.models.mnasnet import *  # noqa: F403
from rushlight.vision.models.mobilenet import *  # noqa: F403
from rushlight.vision.models.nin import *  # noqa: F403
from rushlight.vision.models.registry import (  # noqa: F401
    get_model,
    get_model_builder,
    get_model_weights,
    get_weight,
    list_models,
)
from rushlight.vision.models.regnet import *  # noqa: F403
from rushlight.vision.models.resnet import *  # noqa: F403
from rushlight.vision.models.shufflenetv2 import *  # noqa: F403
from rushlight.vision.models.squeezenet import *  # noqa: F403
from rushlight.vision.models.swin_transformer import *  # noqa: F403
from rushlight.vision.models.unet import *  # noqa: F403
from rushlight.vision.models.vgg import *  # noqa: F403
from rushlight.vision.models.vision_transformer import *  # noqa: F403
from rushlight.vision.models.weights import Weights, WeightsEnum  # noqa: F401
from rushlight.vision.models.xception import *  # noqa: F403

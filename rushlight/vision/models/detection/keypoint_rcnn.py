"""Keypoint R-CNN."""

from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models._meta import _COCO_PERSON_CATEGORIES, _COCO_PERSON_KEYPOINT_NAMES
from rushlight.vision.models.detection._builders import RECIPES, coco_entry, coco_weights, detector_builder
from rushlight.vision.models.detection.faster_rcnn import (
    FasterRCNN,
    check_kind,
    init_convolutions,
    resnet50_fpn,
)
from rushlight.vision.models.resnet import ResNet50_Weights
from rushlight.vision.ops import MultiScaleRoIAlign

__all__ = ["KeypointRCNN", "KeypointRCNN_ResNet50_FPN_Weights", "keypointrcnn_resnet50_fpn"]


class KeypointRCNN(FasterRCNN):
    """Keypoint R-CNN: a `FasterRCNN` that also finds given points of each object.

    Source: He et al., Mask R-CNN, ICCV 2017, section 5.

    Targets have "keypoints" (N, keypoints, 3) too, as x, y and visibility; detections have "keypoints" of that form (D,
    keypoints, 3), all visible, and "keypoints_scores" (D, keypoints).

    Args:
        backbone: as in `FasterRCNN`, as all arguments but these:
        min_size: the shorter side of pictures after resizing, one of several drawn in training.
        keypoint_roi_pool: makes parts of one size of the maps.
        keypoint_head: makes features of those.
        keypoint_predictor: makes a map for each keypoint of these.
        num_keypoints: points of an object, 17 by default; None where there is a `keypoint_predictor`.
    """

    def __init__(
        self,
        backbone,
        num_classes=None,
        min_size=None,
        max_size=1333,
        image_mean=None,
        image_std=None,
        rpn_anchor_generator=None,
        rpn_head=None,
        rpn_pre_nms_top_n_train=2000,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_train=2000,
        rpn_post_nms_top_n_test=1000,
        rpn_nms_thresh=0.7,
        rpn_fg_iou_thresh=0.7,
        rpn_bg_iou_thresh=0.3,
        rpn_batch_size_per_image=256,
        rpn_positive_fraction=0.5,
        rpn_score_thresh=0.0,
        box_roi_pool=None,
        box_head=None,
        box_predictor=None,
        box_score_thresh=0.05,
        box_nms_thresh=0.5,
        box_detections_per_img=100,
        box_fg_iou_thresh=0.5,
        box_bg_iou_thresh=0.5,
        box_batch_size_per_image=512,
        box_positive_fraction=0.25,
        bbox_reg_weights=None,
        keypoint_roi_pool=None,
        keypoint_head=None,
        keypoint_predictor=None,
        num_keypoints=None,
        **kwargs,
    ):
        check_kind("keypoint_roi_pool", keypoint_roi_pool, MultiScaleRoIAlign)
        if num_keypoints is not None and keypoint_predictor is not None:
            raise ValueError("num_keypoints should be None when keypoint_predictor is specified")
        # Drawn before the other layers, as in torchvision.
        pool = keypoint_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=14, sampling_ratio=2)
        head = keypoint_head or KeypointRCNNHeads(backbone.out_channels, (512,) * 8)
        count = 17 if num_keypoints is None else num_keypoints
        predictor = keypoint_predictor or KeypointRCNNPredictor(512, count)
        super().__init__(
            backbone, num_classes, min_size or (640, 672, 704, 736, 768, 800), max_size, image_mean, image_std,
            rpn_anchor_generator, rpn_head, rpn_pre_nms_top_n_train, rpn_pre_nms_top_n_test, rpn_post_nms_top_n_train,
            rpn_post_nms_top_n_test, rpn_nms_thresh, rpn_fg_iou_thresh, rpn_bg_iou_thresh, rpn_batch_size_per_image,
            rpn_positive_fraction, rpn_score_thresh, box_roi_pool, box_head, box_predictor, box_score_thresh, box_nms_thresh,
            box_detections_per_img, box_fg_iou_thresh, box_bg_iou_thresh, box_batch_size_per_image, box_positive_fraction,
            bbox_reg_weights, **kwargs,
        )  # fmt: skip
        self.roi_heads.keypoint_roi_pool = pool
        self.roi_heads.keypoint_head = head
        self.roi_heads.keypoint_predictor = predictor


class KeypointRCNNHeads(nn.Sequential):
    """3x3 convolutions.

    Args:
        in_channels: channels of the pooled regions.
        layers: channels after each convolution.
    """

    def __init__(self, in_channels, layers):
        blocks: list[nn.Module] = []
        for channels in layers:
            blocks += [nn.Conv2d(in_channels, channels, 3, stride=1, padding=1), nn.ReLU(inplace=True)]
            in_channels = channels
        super().__init__(*blocks)
        init_convolutions(self)


class KeypointRCNNPredictor(nn.Module):
    """Makes a map for each keypoint, four times as fine as the features.

    Args:
        in_channels: channels of the features.
        num_keypoints: points of an object.
    """

    def __init__(self, in_channels, num_keypoints):
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(in_channels, num_keypoints, 4, stride=2, padding=1)
        nn.init.kaiming_normal_(self.kps_score_lowres.weight, mode="fan_out", nonlinearity="relu")
        nn.init.constant_(self.kps_score_lowres.bias, 0)
        self.up_scale = 2
        self.out_channels = num_keypoints

    def forward(self, x):
        return F.interpolate(
            self.kps_score_lowres(x),
            scale_factor=float(self.up_scale),
            mode="bilinear",
            align_corners=False,
            recompute_scale_factor=False,
        )


KeypointRCNN_ResNet50_FPN_Weights = coco_weights(
    "KeypointRCNN_ResNet50_FPN_Weights", __name__, 59137258,
    common={"categories": _COCO_PERSON_CATEGORIES, "keypoint_names": _COCO_PERSON_KEYPOINT_NAMES},
    COCO_LEGACY=coco_entry(
        "keypointrcnn_resnet50_fpn_coco-9f466800", "https://github.com/pytorch/vision/issues/1606", 133.924, 226.054,
        """
                These weights were produced by following a similar training recipe as on the paper but use a checkpoint
                from an early epoch.
            """,
        box_map=50.6, kp_map=61.1,
    ),
    COCO_V1=coco_entry("keypointrcnn_resnet50_fpn_coco-fc266e95", RECIPES + "keypoint-r-cnn", 137.42, 226.054, box_map=54.6,
                       kp_map=65.0),
)  # fmt: skip


def _legacy(kwargs):
    name = "COCO_LEGACY" if kwargs["pretrained"] == "legacy" else "COCO_V1"
    return KeypointRCNN_ResNet50_FPN_Weights[name]


@detector_builder(
    KeypointRCNN_ResNet50_FPN_Weights,
    ResNet50_Weights,
    kind=KeypointRCNN,
    classes=2,
    legacy_weights=_legacy,
    no_eps=True,
)
def keypointrcnn_resnet50_fpn(
    num_classes, weights_backbone, progress, trained, layers, num_keypoints=None, **kwargs
):
    """Keypoint R-CNN with ResNet-50 and a feature pyramid (He et al., 2017)."""
    backbone = resnet50_fpn(weights_backbone, progress, trained, layers)
    return KeypointRCNN(backbone, num_classes, num_keypoints=num_keypoints, **kwargs)

"""Mask R-CNN."""

from collections import OrderedDict
from collections.abc import Callable

from rushlight import nn
from rushlight.vision.models.detection._builders import (
    PULLS,
    RECIPES,
    coco_entry,
    coco_weights,
    detector_builder,
)
from rushlight.vision.models.detection.faster_rcnn import (
    ENHANCED,
    FasterRCNN,
    check_kind,
    init_convolutions,
    resnet50_fpn,
    second_version,
)
from rushlight.vision.models.resnet import ResNet50_Weights
from rushlight.vision.ops import Conv2dNormActivation, MultiScaleRoIAlign
from rushlight.vision.ops.feature_pyramid_network import rename

__all__ = [
    "MaskRCNN",
    "MaskRCNN_ResNet50_FPN_V2_Weights",
    "MaskRCNN_ResNet50_FPN_Weights",
    "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2",
]


class MaskRCNN(FasterRCNN):
    """Mask R-CNN: a `FasterRCNN` that also tells which pixels belong to each object.

    Source: He et al., Mask R-CNN, ICCV 2017.

    Targets have "masks" (N, H, W) too; detections have "masks" (D, 1, H, W), probabilities.

    Args:
        backbone: as in `FasterRCNN`, as all arguments but these:
        mask_roi_pool: makes parts of one size of the maps.
        mask_head: makes features of those.
        mask_predictor: makes masks of these.
    """

    def __init__(
        self,
        backbone,
        num_classes=None,
        min_size=800,
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
        mask_roi_pool=None,
        mask_head=None,
        mask_predictor=None,
        **kwargs,
    ):
        check_kind("mask_roi_pool", mask_roi_pool, MultiScaleRoIAlign)
        if num_classes is not None and mask_predictor is not None:
            raise ValueError("num_classes should be None when mask_predictor is specified")
        # Drawn before the other layers, as in torchvision.
        pool = mask_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=14, sampling_ratio=2)
        head = mask_head or MaskRCNNHeads(backbone.out_channels, (256, 256, 256, 256), 1)
        predictor = mask_predictor or MaskRCNNPredictor(256, 256, num_classes)
        super().__init__(
            backbone, num_classes, min_size, max_size, image_mean, image_std, rpn_anchor_generator, rpn_head,
            rpn_pre_nms_top_n_train, rpn_pre_nms_top_n_test, rpn_post_nms_top_n_train, rpn_post_nms_top_n_test,
            rpn_nms_thresh, rpn_fg_iou_thresh, rpn_bg_iou_thresh, rpn_batch_size_per_image, rpn_positive_fraction,
            rpn_score_thresh, box_roi_pool, box_head, box_predictor, box_score_thresh, box_nms_thresh,
            box_detections_per_img, box_fg_iou_thresh, box_bg_iou_thresh, box_batch_size_per_image, box_positive_fraction,
            bbox_reg_weights, **kwargs,
        )  # fmt: skip
        self.roi_heads.mask_roi_pool = pool
        self.roi_heads.mask_head = head
        self.roi_heads.mask_predictor = predictor


class MaskRCNNHeads(nn.Sequential):
    """3x3 convolutions.

    Args:
        in_channels: channels of the pooled regions.
        layers: channels after each convolution.
        dilation: distance between taps.
        norm_layer: normalisation.
    """

    _version = 2

    def __init__(self, in_channels, layers, dilation, norm_layer: Callable[..., nn.Module] | None = None):
        blocks = []
        for channels in layers:
            blocks.append(
                Conv2dNormActivation(
                    in_channels, channels, 3, padding=dilation, dilation=dilation, norm_layer=norm_layer
                )
            )
            in_channels = channels
        super().__init__(*blocks)
        init_convolutions(self)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args) -> None:
        if (local_metadata.get("version") or 1) < 2:  # the convolutions had names then
            for i in range(len(self)):
                rename(state_dict, f"{prefix}mask_fcn{i + 1}", f"{prefix}{i}.0")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class MaskRCNNPredictor(nn.Sequential):
    """Doubles the resolution, and makes a mask for each class.

    Args:
        in_channels: channels of the features.
        dim_reduced: channels in between.
        num_classes: classes including the background.
    """

    def __init__(self, in_channels, dim_reduced, num_classes):
        super().__init__(
            OrderedDict(
                conv5_mask=nn.ConvTranspose2d(in_channels, dim_reduced, 2, 2, 0),
                relu=nn.ReLU(inplace=True),
                mask_fcn_logits=nn.Conv2d(dim_reduced, num_classes, 1, 1, 0),
            )
        )
        for name, parameter in self.named_parameters():
            if "weight" in name:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")


MaskRCNN_ResNet50_FPN_Weights = coco_weights(
    "MaskRCNN_ResNet50_FPN_Weights", __name__, 44401393,
    COCO_V1=coco_entry("maskrcnn_resnet50_fpn_coco-bf2d0c1e", RECIPES + "mask-r-cnn", 134.38, 169.84, box_map=37.9,
                       mask_map=34.6),
)  # fmt: skip
MaskRCNN_ResNet50_FPN_V2_Weights = coco_weights(
    "MaskRCNN_ResNet50_FPN_V2_Weights", __name__, 46359409,
    COCO_V1=coco_entry("maskrcnn_resnet50_fpn_v2_coco-73cbd019", PULLS + "5773", 333.577, 177.219, ENHANCED, box_map=47.4,
                       mask_map=41.8),
)  # fmt: skip


@detector_builder(MaskRCNN_ResNet50_FPN_Weights, ResNet50_Weights, kind=MaskRCNN, no_eps=True)
def maskrcnn_resnet50_fpn(num_classes, weights_backbone, progress, trained, layers, **kwargs):
    """Mask R-CNN with ResNet-50 and a feature pyramid (He et al., 2017)."""
    return MaskRCNN(resnet50_fpn(weights_backbone, progress, trained, layers), num_classes, **kwargs)


@detector_builder(MaskRCNN_ResNet50_FPN_V2_Weights, ResNet50_Weights, kind=MaskRCNN, pretrained=None)
def maskrcnn_resnet50_fpn_v2(num_classes, weights_backbone, progress, trained, layers, **kwargs):
    """Mask R-CNN with ResNet-50 and a feature pyramid, improved (Li et al., Benchmarking Detection Transfer, 2021)."""
    parts = second_version(weights_backbone, progress, layers)
    channels = parts["backbone"].out_channels
    head = MaskRCNNHeads(channels, [256, 256, 256, 256], 1, norm_layer=nn.BatchNorm2d)
    return MaskRCNN(**parts, num_classes=num_classes, mask_head=head, **kwargs)

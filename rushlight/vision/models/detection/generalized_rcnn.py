"""What all R-CNNs have in common."""

from rushlight import nn
from rushlight.vision.models.detection._utils import check_boxes, check_targets, named_maps, sizes_of


class GeneralizedRCNN(nn.Module):
    """A detector in two stages: regions are proposed, and then looked at more closely.

    Args:
        backbone: makes feature maps by name.
        rpn: proposes regions.
        roi_heads: makes detections of them.
        transform: prepares pictures and targets, and brings detections back.
    """

    def __init__(self, backbone: nn.Module, rpn: nn.Module, roi_heads: nn.Module, transform: nn.Module):
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads

    def forward(self, images: list, targets: list[dict] | None = None):
        """The losses by name in training, else the detections of each picture.

        Args:
            images: pictures (C, H, W) with values from 0 to 1, of any sizes.
            targets: for each picture the true "boxes" (N, 4), "labels" (N,) and so on; needed in training.

        Raises:
            AssertionError: targets are missing or wrong.
        """
        if self.training:
            check_targets(targets)
        before = sizes_of(images)
        images, targets = self.transform(images, targets)
        check_boxes(targets)
        features = named_maps(self.backbone(images.tensors))
        proposals, proposal_losses = self.rpn(images, features, targets)
        detections, losses = self.roi_heads(features, proposals, images.image_sizes, targets)
        if self.training:
            return {**losses, **proposal_losses}
        return self.transform.postprocess(detections, images.image_sizes, before)

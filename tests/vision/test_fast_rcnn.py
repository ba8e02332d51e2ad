"""Fast R-CNN finds what Faster R-CNN finds, from the regions that the latter proposes."""

import pytest

import rushlight as torch
from rushlight.vision.models.detection import FasterRCNN, FastRCNN
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
from rushlight.vision.models.detection.transform import resize_boxes
from rushlight.vision.ops import MultiScaleRoIAlign


@pytest.fixture
def detectors():
    """A Faster R-CNN and a Fast R-CNN with the same weights."""
    torch.manual_seed(0)
    backbone = torch.nn.Conv2d(3, 8, 8, stride=8)
    backbone.out_channels = 8
    pool = MultiScaleRoIAlign(["0"], 3, 2)
    common = {"num_classes": 4, "min_size": 64, "max_size": 96, "box_roi_pool": pool, "box_score_thresh": 0.1}
    anchors = AnchorGenerator(((16, 32),), ((1.0,),))
    faster = FasterRCNN(backbone, rpn_anchor_generator=anchors, rpn_post_nms_top_n_test=30, **common).eval()
    return faster, FastRCNN(backbone, **common).eval()


def test_same_detections(detectors):
    faster, fast = detectors
    weights = {k: v for k, v in faster.state_dict().items() if not k.startswith("rpn.")}
    fast.load_state_dict(weights)
    images = [torch.rand(3, 50, 60), torch.rand(3, 70, 40)]
    with torch.no_grad():
        batch, _ = faster.transform(images)
        proposals, _ = faster.rpn(batch, {"0": faster.backbone(batch.tensors)})
        proposals = [
            resize_boxes(boxes, now, image.shape[-2:])
            for boxes, now, image in zip(proposals, batch.image_sizes, images, strict=True)
        ]
        found = fast(images, proposals)
        for ours, expected in zip(found, faster(images), strict=True):
            assert len(ours["boxes"]) > 2
            for key in expected:
                torch.testing.assert_close(ours[key], expected[key], rtol=1e-4, atol=1e-4)


def test_it_learns_one_picture(detectors):
    _, model = detectors
    image = torch.zeros(3, 64, 64)
    image[:, 16:48, 16:48] = 1
    truth = [{"boxes": torch.tensor([[16.0, 16, 48, 48]]), "labels": torch.tensor([2])}]
    proposals = [torch.tensor([[14.0, 15, 50, 47], [0, 0, 10, 10], [40, 40, 64, 64], [0, 30, 20, 60]])]
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    model.train()
    for _ in range(40):
        loss = sum(model([image], proposals, truth).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best = model.eval()([image], proposals)[0]
    assert best["labels"][0] == 2 and best["scores"][0] > 0.8
    assert (best["boxes"][0] - truth[0]["boxes"][0]).abs().max() < 4


def test_bad_input(detectors):
    _, model = detectors
    with pytest.raises(ValueError, match=r"proposals for each of 1 images, got 0"):
        model([torch.zeros(3, 64, 64)], [])
    with pytest.raises(AssertionError, match="targets should not be none"):
        model.train()([torch.zeros(3, 64, 64)], [torch.zeros(0, 4)])
    empty = model.eval()([torch.zeros(3, 64, 64)], [torch.zeros(0, 4)])[0]
    assert empty["boxes"].shape == (0, 4)

"""Detectors against torchvision's, whose compiled functions are plain PyTorch here: same weights, losses, detections."""

import importlib
import os
import re
import warnings
from collections import OrderedDict

import numpy as np
import pytest

import rushlight
from rushlight.vision import models, ops
from rushlight.vision.models import detection
from rushlight.vision.models.detection import (
    _utils,
    anchor_utils,
    backbone_utils,
    image_list,
    roi_heads,
    transform,
)
from tests.vision.detection_oracle import oracle, same, to_ours, to_theirs

SLOW = pytest.mark.skipif("RUSHLIGHT_SLOW" not in os.environ, reason="slow; set RUSHLIGHT_SLOW=1")


def theirs(name):
    """torchvision's module of this name among its detectors."""
    oracle()
    return importlib.import_module(f"torchvision.models.detection.{name}")


def spaces():
    """What both have: (torch, ops, module of detectors by name)."""
    torch, vision = oracle()
    ours = lambda name: importlib.import_module(f"rushlight.vision.models.detection.{name}")
    return (rushlight, ops, ours), (torch, vision.ops, theirs)


def maps_net(torch, vision_ops, count, channels=16):
    """A small network with a feature pyramid, or without one for a single map."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(3, channels, 8, stride=8)
            self.more = torch.nn.ModuleList(
                torch.nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(count - 1)
            )
            self.fpn = vision_ops.FeaturePyramidNetwork([channels] * count, channels)
            self.out_channels = channels

        def forward(self, x):
            x = self.first(x)
            found = OrderedDict({"0": torch.relu(x)})
            for i, layer in enumerate(self.more):
                x = layer(torch.relu(x))
                found[str(i + 1)] = torch.relu(x)
            return self.fpn(found)

    return Net()


def pictures(seed=0, dtype="float32"):
    rng = np.random.default_rng(seed)
    return [rushlight.from_numpy(rng.random((3, *size)).astype(dtype)) for size in ((70, 96), (90, 60))]


def targets(empty=False, masks=True, points=5):
    """Two pictures' boxes, labels, masks and keypoints."""
    rng = np.random.default_rng(1)
    found = []
    for count, (height, width) in ((3, (70, 96)), (0 if empty else 1, (90, 60))):
        corners = rng.uniform(0, 30, (count, 4)).astype("float32")
        corners[:, 2:] = corners[:, :2] + rng.uniform(8, 28, (count, 2))
        own = {"boxes": corners, "labels": rng.integers(1, 4, (count,))}
        if masks:
            own["masks"] = (rng.random((count, height, width)) < 0.5).astype("uint8")
            at = (
                corners[:, None, :2]
                + rng.random((count, points, 2)) * (corners[:, 2:] - corners[:, :2])[:, None]
            )
            seen = rng.integers(0, 3, (count, points, 1))
            own["keypoints"] = np.concatenate([at, seen], 2).astype("float32")
        found.append({name: rushlight.from_numpy(value) for name, value in own.items()})
    return found


def pair(make, boost=10.0):
    """The same detector of ours and of torchvision's, with the same weights."""
    built = []
    for torch, vision_ops, module in spaces():
        torch.manual_seed(0)
        built.append(make(torch, vision_ops, module))
    ours, expected = built
    same(dict(ours.state_dict()), dict(expected.state_dict()), 1e-5)
    with oracle()[0].no_grad():
        for parameter in expected.parameters():
            if parameter.dim() > 1 and parameter.std() < 0.02:  # else all scores are nearly the same
                parameter *= boost
    ours.load_state_dict(
        {k: rushlight.from_numpy(v.numpy().copy()) for k, v in expected.state_dict().items()}
    )
    return ours, expected


def compare(ours, expected, images, truth, tol=1e-4, ties=False):
    """Losses and gradients in training, detections outside it, or where these have ties their scores. Returns them."""
    torch, _ = oracle()
    results = []
    for space, model, convert in ((rushlight, ours, lambda v: v), (torch, expected, to_theirs)):
        space.manual_seed(3)
        model.train()
        losses = model(convert(images), convert(truth))
        sum(losses.values()).backward()
        model.eval()
        with space.no_grad():
            results.append((losses, model(convert(images))))
    if images[0].dtype == rushlight.float64:
        # PyTorch's cross entropy has the type of the target, which is float32 here.
        results = [({k: v.double() for k, v in losses.items()}, found) for losses, found in results]
    same(results[0][0], results[1][0], tol)
    gradients = {name: p.grad for name, p in expected.named_parameters() if p.grad is not None}
    assert {name for name, p in ours.named_parameters() if p.grad is not None} == set(gradients)
    largest = max(float(g.abs().max()) for g in gradients.values())
    for name, p in ours.named_parameters():
        if p.grad is not None:
            np.testing.assert_allclose(
                p.grad.numpy(), gradients[name].numpy(), rtol=tol, atol=tol * largest, err_msg=name
            )
    found = [[own["scores"] for own in part] if ties else part for _, part in results]
    same(*found, tol)
    return results[0][1]


SMALL = {"min_size": 64, "max_size": 96}


def rcnn(name, **extra):
    """An R-CNN with three small maps."""

    def make(torch, vision_ops, module):
        pool = lambda size: vision_ops.MultiScaleRoIAlign(["0", "1", "2"], size, 2, canonical_scale=40)
        settings = {
            "rpn_anchor_generator": module("anchor_utils").AnchorGenerator(((12,), (24,), (48,)), ((0.5, 1.0, 2.0),) * 3),
            "box_roi_pool": pool(4), "rpn_pre_nms_top_n_test": 60, "rpn_post_nms_top_n_test": 40,
            "rpn_pre_nms_top_n_train": 60, "rpn_post_nms_top_n_train": 50, "box_batch_size_per_image": 32,
            "rpn_batch_size_per_image": 40, "box_score_thresh": 0.2, "box_detections_per_img": 12, **SMALL, **extra,
        }  # fmt: skip
        kind = {"FasterRCNN": "faster_rcnn", "MaskRCNN": "mask_rcnn", "KeypointRCNN": "keypoint_rcnn"}[name]
        home = module(kind)
        if name == "MaskRCNN":
            settings |= {
                "mask_roi_pool": pool(6), "mask_head": home.MaskRCNNHeads(16, (8, 8), 1),
                "mask_predictor": home.MaskRCNNPredictor(8, 8, 4),
            }  # fmt: skip
            settings |= {
                "num_classes": None,
                "box_predictor": module("faster_rcnn").FastRCNNPredictor(1024, 4),
            }
        if name == "KeypointRCNN":
            settings |= {
                "keypoint_roi_pool": pool(6), "keypoint_head": home.KeypointRCNNHeads(16, (8, 8)), "num_classes": 4,
                "keypoint_predictor": home.KeypointRCNNPredictor(8, 5),
            }  # fmt: skip
        if name == "FasterRCNN":
            settings["num_classes"] = 4
        return getattr(home, name)(maps_net(torch, vision_ops, 3), **settings)

    return make


@pytest.mark.parametrize("name", ["FasterRCNN", "MaskRCNN", "KeypointRCNN"])
def test_rcnn(name):
    ours, expected = pair(rcnn(name))
    found = compare(ours, expected, pictures(), targets())
    assert all(len(own["boxes"]) > 2 for own in found)
    compare(ours, expected, pictures(5), targets(empty=True))


def test_several_sizes():
    """One of them is drawn for every picture."""
    ours, expected = pair(rcnn("FasterRCNN", min_size=(40, 48, 56, 64), box_nms_thresh=0.3))
    compare(ours, expected, pictures(), targets())


def anchors_of(module, ratios=(0.5, 1.0)):
    return module("anchor_utils").AnchorGenerator(((12, 15), (24, 30), (48, 60)), (ratios,) * 3)


def retinanet(torch, vision_ops, module, **extra):
    return module("retinanet").RetinaNet(
        maps_net(torch, vision_ops, 3), 4, anchor_generator=anchors_of(module), score_thresh=0.005, topk_candidates=40,
        detections_per_img=20, **SMALL, **extra,
    )  # fmt: skip


def retinanet_giou(torch, vision_ops, module):
    head = module("retinanet").RetinaNetHead(16, 4, 4, norm_layer=lambda c: torch.nn.GroupNorm(4, c))
    head.regression_head._loss_type = "giou"
    return retinanet(torch, vision_ops, module, head=head)


def fcos(torch, vision_ops, module):
    anchors = module("anchor_utils").AnchorGenerator(((8,), (16,), (32,)), ((1.0,),) * 3)
    net = maps_net(torch, vision_ops, 3, channels=32)
    return module("fcos").FCOS(
        net,
        4,
        anchor_generator=anchors,
        score_thresh=0.03,
        detections_per_img=20,
        topk_candidates=30,
        **SMALL,
    )


def ssd(torch, vision_ops, module):
    anchors = module("anchor_utils").DefaultBoxGenerator([[2], [2, 3], [2]], min_ratio=0.2, max_ratio=0.8)
    net = maps_net(torch, vision_ops, 3)
    del net.out_channels
    return module("ssd").SSD(
        net, anchors, (80, 64), 4, score_thresh=0.2, topk_candidates=40, detections_per_img=20
    )


@pytest.mark.parametrize("make", [retinanet, retinanet_giou, fcos, ssd], ids=lambda f: f.__name__)
def test_single_shot(make):
    ours, expected = pair(make)
    found = compare(ours, expected, pictures(), targets(masks=False))
    assert all(len(own["boxes"]) > 2 for own in found)
    compare(ours, expected, pictures(5), targets(empty=True, masks=False))


def test_one_map():
    """A backbone that returns a tensor: its only map is called "0"."""

    def make(torch, vision_ops, module):
        net = torch.nn.Conv2d(3, 16, 8, stride=8)
        net.out_channels = 16
        anchors = module("anchor_utils").AnchorGenerator(((16, 32),), ((1.0,),))
        pool = vision_ops.MultiScaleRoIAlign(["0"], 3, 2)
        return module("faster_rcnn").FasterRCNN(
            net,
            4,
            rpn_anchor_generator=anchors,
            box_roi_pool=pool,
            box_score_thresh=0.1,
            box_detections_per_img=10,
            rpn_pre_nms_top_n_train=40,
            rpn_post_nms_top_n_train=30,
            box_batch_size_per_image=16,
            **SMALL,
        )

    compare(*pair(make), pictures(2), targets())


# -- parts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_transform(training):
    torch, _ = oracle()
    for args in (
        ((40, 60), 70, [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]),
        (50, 200, [0.0] * 3, [1.0] * 3, 16),
        (9, 9, [0.0] * 3, [1.0] * 3, 1, (33, 21)),
    ):
        pair = [m.GeneralizedRCNNTransform(*args).train(training) for m in (transform, theirs("transform"))]
        assert repr(pair[0]) == repr(pair[1])
        rushlight.manual_seed(0)
        torch.manual_seed(0)
        images, truth = pictures(), targets()
        before = [dict(own) for own in truth]
        ours, ours_truth = pair[0](images, truth)
        expected, expected_truth = pair[1](to_theirs(images), to_theirs(truth))
        same(ours.tensors, expected.tensors)
        assert ours.image_sizes == [tuple(size) for size in expected.image_sizes]
        same(ours_truth, expected_truth)
        assert all(own[k] is old[k] for own, old in zip(truth, before, strict=True) for k in old)
        assert isinstance(ours.to("cpu"), image_list.ImageList)
    with pytest.raises(ValueError, match="3d tensors"):
        pair[0]([rushlight.zeros(2, 3)])
    with pytest.raises(TypeError, match="floating type"):
        pair[0]([rushlight.zeros(3, 4, 4, dtype=rushlight.uint8)])


def test_masks_in_pictures():
    masks = rushlight.rand(4, 1, 7, 7)
    boxes = rushlight.tensor([[2.3, 3.1, 20.7, 15.2], [-5, -4, 8, 9], [25, 10, 60, 50], [3, 3, 3.2, 3.1]])
    same(
        roi_heads.paste_masks_in_image(masks, boxes, (30, 40)),
        theirs("roi_heads").paste_masks_in_image(to_theirs(masks), to_theirs(boxes), (30, 40)),
    )
    assert roi_heads.paste_masks_in_image(masks[:0], boxes[:0], (30, 40)).shape == (0, 1, 30, 40)
    assert not roi_heads.paste_masks_in_image(masks[:1], boxes[:1] + 100, (30, 40)).any()


def test_keypoints():
    rng = np.random.default_rng(0)
    maps = rushlight.from_numpy(rng.standard_normal((3, 4, 8, 8)).astype("float32"))
    rois = rushlight.tensor([[0, 0, 12.5, 20.1], [3, 4, 3.2, 4.1], [5, 5, 40, 13]])
    other = theirs("roi_heads")
    same(
        roi_heads.heatmaps_to_keypoints(maps, rois),
        other.heatmaps_to_keypoints(to_theirs(maps), to_theirs(rois)),
    )
    points = rushlight.cat([rushlight.rand(3, 6, 2) * 30, rushlight.randint(0, 3, (3, 6, 1)).float()], 2)
    points[0, 0, :2], points[2, 1, :2] = rois[0, 2:], rois[2, :2]
    same(
        roi_heads.keypoints_to_heatmap(points, rois, 8),
        other.keypoints_to_heatmap(to_theirs(points), to_theirs(rois), 8),
    )
    with pytest.raises(ValueError, match="should be equal"):
        roi_heads.keypointrcnn_loss(rushlight.zeros(1, 2, 3, 4), [], [], [])


def test_anchors():
    _, theirs_anchors = anchor_utils, theirs("anchor_utils")
    images = rushlight.zeros(2, 3, 64, 100)
    maps = [rushlight.zeros(2, 1, 16, 25), rushlight.zeros(2, 1, 8, 13), rushlight.zeros(2, 1, 3, 5)]
    sizes = [(64, 90), (60, 100)]
    for name, args in (
        ("AnchorGenerator", (((10,), (20, 30), (40,)), ((0.5, 1.0), (1.0,), (2.0, 3.0)))),
        ("AnchorGenerator", ((10, 20, 30), (0.5, 1.0, 2.0))),
        ("DefaultBoxGenerator", ([[2], [2, 3], []],)),
        ("DefaultBoxGenerator", ([[2], [2, 3], [2]], 0.2, 0.95, None, [4, 8, 20], False)),
        ("DefaultBoxGenerator", ([[2], [2, 3], [2]], 0.2, 0.95, [0.1, 0.3, 0.6, 1.1], [4, 8, 20])),
    ):
        pair = [getattr(m, name)(*args) for m in (anchor_utils, theirs_anchors)]
        expected = pair[1](theirs("image_list").ImageList(to_theirs(images), sizes), to_theirs(maps))
        same(pair[0](image_list.ImageList(images, sizes), maps), expected)
        assert pair[0].num_anchors_per_location() == pair[1].num_anchors_per_location()
        if name == "DefaultBoxGenerator":
            assert repr(pair[0]) == repr(pair[1])
    with pytest.raises(AssertionError, match="match between"):
        anchor_utils.AnchorGenerator()(image_list.ImageList(images, sizes), maps)
    with pytest.raises(ValueError, match="same length"):
        anchor_utils.DefaultBoxGenerator([[2]], steps=[1, 2])


def test_coders():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 50, (2, 6, 4)).astype("float32")
    corners[..., 2:] = corners[..., :2] + rng.uniform(1, 30, (2, 6, 2))
    a, b = (rushlight.from_numpy(part) for part in corners)
    codes = rushlight.from_numpy(rng.uniform(-2, 9, (6, 12)).astype("float32"))
    for ours, expected in ((c(*args) for c in pair) for pair, args in (
        ((_utils.BoxCoder, theirs("_utils").BoxCoder), ((10.0, 10.0, 5.0, 5.0),)),
    )):  # fmt: skip
        same(ours.encode([a, b], [b, a]), expected.encode(to_theirs([a, b]), to_theirs([b, a])))
        same(ours.decode(codes, [a[:2], a[2:]]), expected.decode(to_theirs(codes), to_theirs([a[:2], a[2:]])))
        same(ours.decode(codes[:0], [a[:0]]), expected.decode(to_theirs(codes[:0]), to_theirs([a[:0]])))
    for normalize in (True, False):
        ours, expected = (m.BoxLinearCoder(normalize) for m in (_utils, theirs("_utils")))
        same(ours.encode(a, b), expected.encode(to_theirs(a), to_theirs(b)))
        same(ours.decode(codes[:, :4], b), expected.decode(to_theirs(codes[:, :4]), to_theirs(b)))
    with pytest.raises(AssertionError, match="list or tuple"):
        _utils.BoxCoder((1.0,) * 4).decode(codes, a)


def test_matching():
    quality = rushlight.from_numpy(np.random.default_rng(0).random((3, 40)).astype("float32"))
    quality[1] *= 0.3
    for name, args in (("Matcher", (0.7, 0.3, True)), ("Matcher", (0.7, 0.3)), ("SSDMatcher", (0.5,))):
        ours, expected = (getattr(m, name)(*args) for m in (_utils, theirs("_utils")))
        same(ours(quality), expected(to_theirs(quality)))
    for empty, message in ((quality[:0], "ground-truth"), (quality[:, :0], "proposal")):
        with pytest.raises(ValueError, match=message):
            ours(empty)
    with pytest.raises(AssertionError, match="low_threshold"):
        _utils.Matcher(0.3, 0.7)
    torch, _ = oracle()
    labels = [rushlight.randint(-1, 3, (50,)), rushlight.full((9,), -1), rushlight.ones(30)]
    rushlight.manual_seed(4)
    torch.manual_seed(4)
    ours, expected = (
        m.BalancedPositiveNegativeSampler(16, 0.25)(v)
        for m, v in ((_utils, labels), (theirs("_utils"), to_theirs(labels)))
    )
    same(ours, expected)


@pytest.mark.parametrize("kind", ["l1", "smooth_l1", "ciou", "diou", "giou"])
def test_box_loss(kind):
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 20, (2, 5, 4)).astype("float32")
    boxes[..., 2:] = boxes[..., :2] + 5 + rng.random((2, 5, 2))
    anchors, truth = (rushlight.from_numpy(part) for part in boxes)
    codes = rushlight.from_numpy(rng.standard_normal((5, 4)).astype("float32"))
    for settings in (None, {"beta": 0.5, "eps": 1e-3}):
        ours, expected = (
            m._box_loss(kind, m.BoxCoder((1.0,) * 4), *convert([anchors, truth, codes]), settings)
            for m, convert in ((_utils, lambda v: v), (theirs("_utils"), to_theirs))
        )
        same(ours, expected, 1e-5)
    with pytest.raises(AssertionError, match="Unsupported loss"):
        _utils._box_loss("l2", None, anchors, truth, codes)


def test_wrong_targets():
    ours, _ = pair(rcnn("FasterRCNN"))
    images, truth = pictures(), targets()
    flat = [{**own, "boxes": own["boxes"][:, [0, 1, 0, 3]]} for own in truth]
    for wrong, kind, message in (
        (None, AssertionError, "should not be none"),
        ([{**own, "boxes": own["boxes"].tolist()} for own in truth], AssertionError, "of type Tensor"),
        ([{**own, "boxes": own["boxes"][:, :3]} for own in truth], AssertionError, r"\[N, 4\]"),
        (flat, AssertionError, "positive height and width"),
        ([{**own, "labels": own["labels"].float()} for own in truth], TypeError, "labels must"),
    ):
        with pytest.raises(kind, match=message):
            ours(images, wrong)
    with pytest.raises(ValueError, match="a masks key"):
        roi = pair(rcnn("MaskRCNN"))[0].roi_heads
        roi.check_targets([{"boxes": 1, "labels": 1}])


def test_wrong_arguments():
    net = maps_net(rushlight, ops, 1)
    plain, unnamed = rushlight.nn.ReLU(), maps_net(rushlight, ops, 3)
    del unnamed.out_channels
    for wrong, kind, message in (
        (lambda: detection.FasterRCNN(plain, 3), ValueError, "out_channels"),
        (lambda: detection.RetinaNet(plain, 3), ValueError, "out_channels"),
        (lambda: detection.FCOS(plain, 3), ValueError, "out_channels"),
        (lambda: detection.FasterRCNN(net), ValueError, "should not be None"),
        (lambda: detection.FasterRCNN(net, 3, box_predictor=plain), ValueError, "should be None"),
        (lambda: detection.FasterRCNN(net, 3, rpn_anchor_generator=1), TypeError, "AnchorGenerator"),
        (lambda: detection.FasterRCNN(net, 3, box_roi_pool=1), TypeError, "MultiScaleRoIAlign"),
        (lambda: detection.MaskRCNN(net, 3, mask_predictor=plain), ValueError, "should be None"),
        (lambda: detection.KeypointRCNN(net, 3, num_keypoints=3, keypoint_predictor=plain), ValueError, "should be None"),
        (lambda: detection.FCOS(net, 3, anchor_generator=anchor_utils.AnchorGenerator()), ValueError, "should be 1"),
        (lambda: detection.ssd.SSD(unnamed, anchor_utils.DefaultBoxGenerator([[2]] * 2), (32, 32), 3), ValueError, "do not"),
        (lambda: detection.fasterrcnn_resnet50_fpn(weights_backbone=None, weights="none"), KeyError, "none"),
    ):  # fmt: skip
        with pytest.raises(kind, match=message):
            wrong()


# -- builders ---------------------------------------------------------------------------------------------

BUILDERS = [
    "fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2", "fcos_resnet50_fpn", "keypointrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
]  # fmt: skip


def test_names():
    _, vision = oracle()
    public = lambda m: sorted(
        n for n in vars(m) if n[0] != "_" and not hasattr(vars(m)[n], "__path__") and callable(vars(m)[n])
    )
    own = ["FastRCNN", "fastrcnn_resnet50_fpn"]  # of which torchvision has no more than the heads
    assert [n for n in public(detection) if n not in own] == public(vision.models.detection)
    assert models.list_models(detection) == vision.models.list_models(vision.models.detection) == BUILDERS


@pytest.mark.parametrize("name", BUILDERS)
def test_weights(name):
    _, vision = oracle()
    ours, expected = models.get_model_weights(name), vision.models.get_model_weights(name)
    assert [w.name for w in ours] == [w.name for w in expected]
    assert ours.DEFAULT.name == expected.DEFAULT.name
    for own, other in zip(ours, expected, strict=True):
        assert (own.url, own.meta) == (other.url, other.meta)
        assert repr(own.transforms()) == repr(other.transforms())
    assert models.get_weight(str(ours.DEFAULT)) is ours.DEFAULT


def test_frozen_layers():
    """Only the last layers learn."""
    for layers in range(6):
        model = backbone_utils.resnet_fpn_backbone(
            backbone_name="resnet18", weights=None, trainable_layers=layers
        )
        learning = {
            n.split(".")[1] for n, p in model.named_parameters() if p.requires_grad and n.startswith("body")
        }
        assert learning == set(["layer4", "layer3", "layer2", "layer1", "conv1"][:layers])
    for kwargs in ({"trainable_layers": 6}, {"returned_layers": [0]}):
        with pytest.raises(ValueError, match="range"):
            backbone_utils.resnet_fpn_backbone(backbone_name="resnet18", weights=None, **kwargs)
    with pytest.warns(UserWarning, match="has no effect"):
        assert backbone_utils._validate_trainable_layers(False, 3, 5, 3) == 5
    assert backbone_utils._validate_trainable_layers(True, None, 5, 3) == 3
    with pytest.raises(ValueError, match="range"):
        backbone_utils._validate_trainable_layers(True, 6, 5, 3)


def renamed(state, pairs):
    """A state dict with other names, and without versions."""
    found = OrderedDict()
    for key, value in state.items():
        for new, old in pairs:
            key = re.sub(new, old, key)
        found[key] = value
    return found


@pytest.mark.parametrize(
    "make,pairs",
    [
        (rcnn("MaskRCNN"), [(r"rpn.head.conv.0.0", "rpn.head.conv"), (r"mask_head.(\d).0", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}"),
                            (r"(inner|layer)_blocks.(\d).0", r"\1_blocks.\2")]),
        (retinanet, [(r"head.conv.(\d).0", lambda m: f"head.conv.{2 * int(m[1])}")]),
    ],
    ids=["rcnn", "retinanet"],
)  # fmt: skip
def test_weights_of_earlier_versions(make, pairs):
    """Convolutions had other names before they were blocks: the files that torchvision offers are of that time."""
    built = []
    for torch, vision_ops, module in spaces():
        model = make(torch, vision_ops, module)
        state = OrderedDict((key, value + 1) for key, value in model.state_dict().items())
        earlier = renamed(state, pairs)
        assert list(earlier) != list(state)
        model.load_state_dict(earlier)
        same(to_ours(dict(model.state_dict())), to_theirs(dict(state)))
        built.append(list(earlier))
    assert built[0] == built[1]


def test_pretrained(tmp_path, monkeypatch):
    """Weights from a local file; the old way to ask for them or for none."""
    monkeypatch.setenv("RUSHLIGHT_HOME", str(tmp_path))
    with pytest.warns(UserWarning, match="deprecated since 0.13"):
        model = detection.ssdlite320_mobilenet_v3_large(pretrained=False, pretrained_backbone=False)
    (tmp_path / "checkpoints").mkdir()
    weights = detection.SSDLite320_MobileNet_V3_Large_Weights.DEFAULT
    rushlight.save(model.state_dict(), tmp_path / "checkpoints" / os.path.basename(weights.url))
    loaded = detection.ssdlite320_mobilenet_v3_large(weights="COCO_V1")
    for key, value in model.state_dict().items():
        assert rushlight.equal(loaded.state_dict()[key], value), key
    with pytest.raises(ValueError, match="num_classes"):
        detection.ssdlite320_mobilenet_v3_large(weights=weights, num_classes=4)
    with pytest.warns(UserWarning, match="already fixed"):
        detection.ssdlite320_mobilenet_v3_large(weights_backbone=None, size=(3, 3), width_mult=0.35)


def small_settings(name):
    """So that a step takes a second."""
    if name.startswith("ssd"):
        return {}
    return {"min_size": 64, "max_size": 96} | ({} if "retina" in name or "fcos" in name else {
        "rpn_post_nms_top_n_train": 20, "rpn_post_nms_top_n_test": 12, "box_batch_size_per_image": 8})  # fmt: skip


@SLOW
@pytest.mark.parametrize("name", BUILDERS)
def test_builders(name):
    torch, vision = oracle()
    built = []
    for space, where in ((rushlight, detection), (torch, vision.models.detection)):
        space.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = getattr(where, name)(weights_backbone=None, num_classes=4, **small_settings(name))
        built.append(model)
    ours, expected = built
    same(dict(ours.state_dict()), dict(expected.state_dict()), 1e-5)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in expected.parameters())
    truth = [{k: v.double() if k == "boxes" else v for k, v in own.items()} for own in targets(points=17)]
    # In float32 the batch normalisation of maps of a few pixels makes much of rounding.
    compare(ours.double(), expected.double(), pictures(dtype="float64"), truth, 1e-5, "ssdlite" in name)

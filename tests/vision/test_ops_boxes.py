"""Boxes and losses of detectors against torchvision's."""

import inspect

import numpy as np
import pytest

import rushlight
from rushlight.vision import ops
from tests.vision.detection_oracle import oracle, same, to_ours, to_theirs


def boxes(count, dtype="float32", seed=0, size=20):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, size, (count, 4))
    corners[:, 2:] = corners[:, :2] + rng.uniform(1, size, (count, 2))
    return rushlight.from_numpy(corners.astype(dtype))


def both(name, *args, **kwargs):
    """The results of the function of this name, ours and torchvision's."""
    _, vision = oracle()
    theirs = getattr(vision.ops, name)(*to_theirs(args), **to_theirs(kwargs))
    return getattr(ops, name)(*args, **kwargs), theirs


def test_names_and_signatures():
    _, vision = oracle()
    assert sorted(ops.__all__) == sorted(vision.ops.__all__)
    for name in ops.__all__:
        ours, theirs = getattr(ops, name), getattr(vision.ops, name)
        theirs = getattr(theirs, "__wrapped__", theirs)
        plain = lambda f: [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]
        if not name.startswith(("Conv", "SqueezeE", "MLP")):  # defaults are classes
            assert plain(ours) == plain(theirs), name


FORMS = ["xyxy", "xywh", "cxcywh", "xywhr", "cxcywhr", "xyxyxyxy"]
PAIRS = ["box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou"]


@pytest.mark.parametrize("source", FORMS)
@pytest.mark.parametrize("target", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_box_convert(source, target, dtype):
    count = {"xyxyxyxy": 8}.get(source, len(source) - source.count("c"))
    x = rushlight.from_numpy(np.random.default_rng(0).uniform(1, 90, (2, 5, count)).astype(dtype))
    if ("r" in source or len(source) > 6) != ("r" in target or len(target) > 6):
        with pytest.raises(NotImplementedError):
            ops.box_convert(x, source, target)
    else:
        same(*both("box_convert", x, source, target), tol=1e-5)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "float16"])
def test_pairs(name, dtype):
    a, b = boxes(5, dtype), boxes(7, dtype, 1)
    same(*both(name, a, b), tol=1e-5)
    same(*both(name, rushlight.stack([a, a + 1]), rushlight.stack([b, b])), tol=1e-5)
    same(*both(name, a[:0], b), tol=1e-5)


def test_pairs_of_other_forms():
    for form in ("xywh", "cxcywh"):
        same(*both("box_iou", boxes(4), boxes(3, seed=1), form), tol=1e-5)
        same(*both("box_area", boxes(4), form), tol=1e-5)
    with pytest.raises(ValueError, match="Unsupported format"):
        ops.box_iou(boxes(1), boxes(1), "corners")
    with pytest.raises(ValueError, match="Unsupported"):
        ops.box_area(boxes(1), "xywhr")
    with pytest.raises(ValueError, match="Unsupported"):
        ops.box_convert(boxes(1), "xyxy", "corners")


def test_turned_boxes():
    """Overlap by counting points of a fine grid, and of boxes that are not turned as of upright ones."""
    upright = boxes(6)
    turned = rushlight.cat([ops.box_convert(upright, "xyxy", "cxcywh"), rushlight.zeros(6, 1)], 1)
    expected = ops.box_iou(upright, upright)
    for angle in (0.0, 90.0, -180.0):
        other = turned.clone()
        if angle == 90:
            other[:, 2:4] = other[:, [3, 2]]
        other[:, 4] = angle
        np.testing.assert_allclose(ops.box_iou(other, turned, "cxcywhr").numpy(), expected.numpy(), atol=1e-6)
    rng = np.random.default_rng(0)
    a, b = (
        np.concatenate([rng.uniform(3, 7, (4, 2)), rng.uniform(1, 6, (4, 2)), rng.uniform(0, 360, (4, 1))], 1)
        for _ in "ab"
    )
    grid = np.stack(np.meshgrid(*[np.arange(-2, 12, 0.04)] * 2), -1)

    def inside(box):
        x, y = np.moveaxis(grid - box[:2], -1, 0)
        r = np.deg2rad(box[4])
        # counter-clockwise where the y axis points down
        across, down = x * np.cos(r) - y * np.sin(r), x * np.sin(r) + y * np.cos(r)
        return (np.abs(across) <= box[2] / 2) & (np.abs(down) <= box[3] / 2)

    counted = [[(inside(p) & inside(q)).sum() / (inside(p) | inside(q)).sum() for q in b] for p in a]
    ours = ops.box_iou(rushlight.tensor(a), rushlight.tensor(b), "cxcywhr")
    assert ours.dtype == rushlight.float64
    np.testing.assert_allclose(ours.numpy(), counted, atol=1e-2)
    for form in ("xywhr", "xyxyxyxy"):
        p, q = (ops.box_convert(rushlight.tensor(v), "cxcywhr", form) for v in (a, b))
        np.testing.assert_allclose(ops.box_iou(p, q, form).numpy(), ours.numpy(), atol=1e-9)


def test_nms():
    """As defined: each kept box overlaps no kept better one by more than the threshold, each other box does."""
    for count, seed in ((1, 0), (60, 1), (300, 2)):
        x, scores = boxes(count, seed=seed), rushlight.rand(count)
        kept = ops.nms(x, scores, 0.4)
        assert kept.dtype == rushlight.int64
        same(*both("nms", x, scores, 0.4))
        iou, at = ops.box_iou(x, x).numpy(), kept.numpy()
        assert not (np.triu(iou[np.ix_(at, at)], 1) > 0.4).any()
        for i in set(range(count)) - set(at.tolist()):
            assert any(iou[i, j] > 0.4 and scores[j] >= scores[i] for j in at)
    assert ops.nms(boxes(0), rushlight.zeros(0), 0.5).tolist() == []
    for wrong in (
        lambda: ops.nms(boxes(3)[:, :3], rushlight.zeros(3), 0.5),
        lambda: ops.nms(boxes(3), rushlight.zeros(2), 0.5),
        lambda: ops.nms(boxes(3), rushlight.zeros(3, dtype=rushlight.float64), 0.5),
    ):
        with pytest.raises(RuntimeError, match="nms"):
            wrong()


@pytest.mark.parametrize("count", [0, 40, 1500])
def test_batched_nms(count):
    x, scores, kinds = boxes(count, size=200), rushlight.rand(count), rushlight.randint(0, 3, (count,))
    same(*both("batched_nms", x, scores, kinds, 0.3))


def test_single_boxes():
    x = boxes(9) - 5
    same(*both("clip_boxes_to_image", x, (14, 21)))
    same(*both("clip_boxes_to_image", x[0].to(rushlight.int64), (14, 21)))
    same(*both("remove_small_boxes", x, 9.0))
    for dtype in ("float16", "int32", "int8", "float64"):
        same(*both("box_area", x.to(getattr(rushlight, dtype))))
    masks = rushlight.zeros(4, 6, 7)
    masks[0, 2:4, 1:5], masks[1, 5, 6], masks[2, 0, 0] = 1, 2, -1
    same(*both("masks_to_boxes", masks))
    same(*both("masks_to_boxes", masks[:0]))


LOSSES = ["generalized_box_iou_loss", "distance_box_iou_loss", "complete_box_iou_loss"]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_box_losses(name, reduction):
    _, vision = oracle()
    for count in (0, 8):
        a, b = boxes(count, "float64").requires_grad_(), boxes(count, "float64", 1)
        theirs = to_theirs(a).requires_grad_()
        loss = getattr(ops, name)(a, b, reduction, 1e-6)
        expected = getattr(vision.ops, name)(theirs, to_theirs(b), reduction, 1e-6)
        same(loss, expected, 1e-12)
        loss.sum().backward()
        expected.sum().backward()
        same(a.grad, theirs.grad, 1e-10)
    with pytest.raises(ValueError, match="reduction"):
        getattr(ops, name)(a, b, "max")
    if reduction == "none":
        same(
            getattr(ops, name)(a[0].float(), b[0].half()),
            getattr(vision.ops, name)(theirs[0].float(), to_theirs(b)[0].half()),
        )


@pytest.mark.parametrize("alpha", [0.25, -1])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_focal_loss(alpha, reduction):
    _, vision = oracle()
    rng = np.random.default_rng(0)
    x = rushlight.from_numpy(rng.standard_normal((5, 3))).requires_grad_()
    y = rushlight.from_numpy((rng.random((5, 3)) < 0.3).astype(float))
    theirs = to_theirs(x).requires_grad_()
    loss = ops.sigmoid_focal_loss(x, y, alpha, 1.5, reduction)
    expected = vision.ops.sigmoid_focal_loss(theirs, to_theirs(y), alpha, 1.5, reduction)
    same(loss, expected, 1e-12)
    loss.sum().backward()
    expected.sum().backward()
    same(x.grad, theirs.grad, 1e-10)
    for wrong in ({"alpha": 2}, {"reduction": "max"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ops.sigmoid_focal_loss(x, y, **wrong)


@pytest.mark.parametrize("n", [2, 3])
def test_drop_block(n):
    torch, vision = oracle()
    x = rushlight.ones(2, 3, *(9, 8, 7)[:n])
    for p, size, inplace, training in (
        (0.3, 3, False, True),
        (0.3, 99, False, True),
        (0.1, 1, True, True),
        (1.0, 3, False, False),
    ):
        args = {
            "p": p,
            "block_size": size if size < 9 or n == 3 else 5,
            "inplace": inplace,
            "training": training,
        }
        rushlight.manual_seed(0)
        torch.manual_seed(0)
        same(*both(f"drop_block{n}d", x.clone(), **args), tol=1e-6)
    layer, theirs = (getattr(o, f"DropBlock{n}d")(0.2, 3) for o in (ops, vision.ops))
    assert repr(layer) == repr(theirs)
    assert layer.eval()(x) is x
    for wrong in ({"p": 2.0, "block_size": 3}, {"p": 0.5, "block_size": 2}):
        with pytest.raises(ValueError):
            getattr(ops, f"drop_block{n}d")(x, **wrong)
    with pytest.raises(ValueError, match="dimensional"):
        getattr(ops, f"drop_block{n}d")(x[0], 0.5, 3)


def test_back_and_forth():
    """The helpers of these tests lose nothing."""
    x = {"a": [boxes(2)], "b": (1, "c")}
    same(to_ours(to_theirs(x["a"])), to_theirs(x["a"]))

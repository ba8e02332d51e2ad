"""Pooling of regions, deformable convolutions and feature pyramids: against definitions, torchvision and differences."""

import math
import sys
from collections import OrderedDict

import numpy as np
import pytest

import rushlight
from rushlight.autograd import gradcheck, gradgradcheck
from rushlight.nn import functional as F
from rushlight.vision import ops
from rushlight.vision.ops import feature_pyramid_network, poolers
from tests.vision.detection_oracle import oracle, same, to_theirs


def picture(shape=(2, 4, 9, 8), dtype="float64", seed=0):
    return rushlight.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def regions(dtype="float64"):
    """Large, small, empty, the wrong way round, partly outside, far outside."""
    rows = [(0, 0, 0, 8, 9), (1, 2.3, 1.1, 6.2, 7.7), (0, 3, 3, 3, 3), (1, 5, 6, 2, 1), (0, -3, -2, 4.5, 3), (1, 6, 7, 20, 30),
            (1, 50, 50, 60, 60), (0, 3.1, 2.2, 3.6, 2.9)]  # fmt: skip
    return rushlight.tensor(rows, dtype=getattr(rushlight, dtype))


def interpolated(plane, y, x):
    """The value at a place, zero from one pixel outside on, that of the border nearer by."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = y - top, x - left
    return (
        plane[top, left] * (1 - v) * (1 - u) + plane[top, right] * (1 - v) * u
        + plane[bottom, left] * v * (1 - u) + plane[bottom, right] * v * u
    )  # fmt: skip


def expected_align(x, rois, size, scale, ratio, aligned, by_place=False):
    """RoIAlign as it is defined, sample by sample."""
    bins = size[0] * size[1]
    result = np.zeros((len(rois), x.shape[1] // (bins if by_place else 1), *size))
    for k, (image, *corners) in enumerate(rois):
        x1, y1, x2, y2 = (c * scale - (0.5 if aligned else 0) for c in corners)
        sides = [y2 - y1, x2 - x1]
        if not aligned:
            sides = [max(side, 1) for side in sides]
        each = [side / n for side, n in zip(sides, size, strict=True)]
        counts = [ratio if ratio > 0 else math.ceil(e) for e in each]
        for c, p, q in np.ndindex(*result.shape[1:]):
            plane = x[int(image), (c * size[0] + p) * size[1] + q if by_place else c]
            values = [
                interpolated(
                    plane,
                    y1 + (p + (i + 0.5) / counts[0]) * each[0],
                    x1 + (q + (j + 0.5) / counts[1]) * each[1],
                )
                for i in range(counts[0])
                for j in range(counts[1])
            ]
            result[k, c, p, q] = sum(values) / max(len(values), 1)
    return result


SETTINGS = [
    ((2, 2), 1.0, -1, False),
    ((3, 2), 0.5, 2, False),
    ((2, 3), 1.0, -1, True),
    ((1, 1), 0.7, 3, True),
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_roi_align(setting):
    _, vision = oracle()
    for dtype, tol in (("float64", 1e-12), ("float32", 1e-5)):
        x, rois = picture(dtype=dtype).requires_grad_(), regions(dtype)
        ours = ops.roi_align(x, rois, *setting)
        np.testing.assert_allclose(
            ours.detach().numpy(),
            expected_align(x.detach().numpy(), rois.numpy(), *setting),
            rtol=tol,
            atol=tol,
        )
        last = x.detach().contiguous(memory_format=rushlight.channels_last)
        same(ops.roi_align(last, rois, *setting), ours.detach(), tol)
    theirs = to_theirs(x).requires_grad_()
    expected = vision.ops.roi_align(theirs, to_theirs(rois[:2]), *setting)
    ours = ops.roi_align(x, rois[:2], *setting)
    same(ours, expected, 1e-5)
    weight = picture(tuple(ours.shape), "float32")
    ours.backward(weight)
    expected.backward(to_theirs(weight))
    same(x.grad, theirs.grad, 1e-5)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_ps_roi_align(setting):
    size, scale, ratio, _ = setting
    x, rois = picture((2, 2 * size[0] * size[1], 9, 8)), regions()
    ours = ops.ps_roi_align(x, rois, size, scale, ratio)
    np.testing.assert_allclose(
        ours.numpy(),
        expected_align(x.numpy(), rois.numpy(), size, scale, ratio, True, True),
        rtol=1e-12,
        atol=1e-12,
    )


def bins(start, end, count, least):
    """First and past-the-last pixel of each bin of a region that is rounded to pixels."""
    nearest = lambda v: int(math.copysign(math.floor(abs(v) + 0.5), v))
    start, end = nearest(start), nearest(end)
    each = max(end - start + least, 1) / count
    return [(start + math.floor(k * each), start + math.ceil((k + 1) * each)) for k in range(count)]


def cut(part, limit):
    return slice(*[min(max(v, 0), limit) for v in part])


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_roi_pool(scale):
    x, rois, size = picture(), regions(), (2, 3)
    expected = np.zeros((len(rois), 4, *size))
    for k, (image, x1, y1, x2, y2) in enumerate(rois.numpy() * [1, *[scale] * 4]):
        for p, rows in enumerate(bins(y1, y2, size[0], 1)):
            for q, columns in enumerate(bins(x1, x2, size[1], 1)):
                part = x.numpy()[int(image), :, cut(rows, 9), cut(columns, 8)]
                if part.size:
                    expected[k, :, p, q] = part.max((1, 2))
    np.testing.assert_array_equal(ops.roi_pool(x, rois, size, scale).numpy(), expected)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_ps_roi_pool(scale):
    size = (2, 3)
    x, rois = picture((2, 12, 9, 8)), regions()
    expected = np.zeros((len(rois), 2, *size))
    for k, (image, x1, y1, x2, y2) in enumerate(rois.numpy() * [1, *[scale] * 4]):
        for c, p, q in np.ndindex(*expected.shape[1:]):
            rows, columns = bins(y1, y2, size[0], 0)[p], bins(x1, x2, size[1], 0)[q]
            part = x.numpy()[int(image), (c * size[0] + p) * size[1] + q, cut(rows, 8), cut(columns, 7)]
            if part.size:
                expected[k, c, p, q] = part.mean()
    np.testing.assert_allclose(ops.ps_roi_pool(x, rois, size, scale).numpy(), expected, rtol=1e-12)


POOLS = {
    "roi_align": lambda x, rois: ops.roi_align(x, rois, 2, 0.9, -1, True),
    "roi_align-corner": lambda x, rois: ops.roi_align(x, rois, (1, 2), 0.9, 2),
    "roi_pool": lambda x, rois: ops.roi_pool(x, rois, 2),
    "ps_roi_align": lambda x, rois: ops.ps_roi_align(x, rois, 2, 0.9),
    "ps_roi_pool": lambda x, rois: ops.ps_roi_pool(x, rois, 2),
}


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_gradients_of_pools(pool):
    x = picture((2, 4, 4, 3)).requires_grad_()
    own = lambda x: pool(x, regions()[1:6])
    assert gradcheck(own, (x,)) and gradgradcheck(own, (x,))
    last = lambda x: pool(x.contiguous(memory_format=rushlight.channels_last), regions()[:6])
    assert gradcheck(last, (x,))


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_regions(pool):
    x, rois = picture(), regions()
    as_list = [rois[rois[:, 0] == i][:, 1:] for i in range(2)]
    whole = pool(x, rois)
    same(pool(x, as_list), rushlight.cat([whole[rois[:, 0] == i] for i in range(2)]))
    assert pool(x, [as_list[0][:0]] * 2).shape == (0, *whole.shape[1:])
    for wrong in (rois[:, :4], [rois], "all", as_list[0][0]):
        with pytest.raises(AssertionError):
            pool(x, wrong)
    far = rois.clone()
    far[0, 0] = 2
    with pytest.raises(RuntimeError, match="numbers of pictures from 0 to 1"):
        pool(x, far)
    with pytest.raises(RuntimeError, match="same type"):
        pool(x.float(), rois)
    with pytest.raises(RuntimeError, match=r"\[N, C, H, W\]"):
        pool(x[0], rois)


def test_by_place_needs_channels():
    with pytest.raises(RuntimeError, match="multiple of pooling"):
        ops.ps_roi_pool(picture(), regions(), 3)


def test_layers():
    _, vision = oracle()
    x, rois = picture(), regions()
    for name, *args in (("RoIAlign", 2, 0.5, 2, True), ("RoIAlign", (2, 1), 0.5, -1), ("PSRoIAlign", 2, 0.5, 2),
                        ("RoIPool", 2, 0.5), ("PSRoIPool", (2, 2), 1.0)):  # fmt: skip
        layer = getattr(ops, name)(*args)
        assert repr(layer) == repr(getattr(vision.ops, name)(*args))
        function = {"RoIAlign": "roi_align", "RoIPool": "roi_pool"}.get(
            name, name.lower().replace("psroi", "ps_roi_")
        )
        same(layer(x, rois), getattr(ops, function)(x, rois, *args))


def test_low_precision():
    x, rois = picture(dtype="float32"), regions("float32")
    for pool in POOLS.values():
        y = pool(x.to(rushlight.bfloat16), rois.to(rushlight.bfloat16))
        assert y.dtype == rushlight.bfloat16
    with rushlight.autocast("cpu"):
        y = ops.roi_align(x.to(rushlight.bfloat16), rois, 2)
    assert y.dtype == rushlight.bfloat16
    same(y.float(), ops.roi_align(x, rois, 2), 0.02)


# -- deformable convolutions ------------------------------------------------------------------------------


def deform_inputs(groups=1, offset_groups=2, kernel=(3, 2), out=(5, 4), dtype="float64"):
    rng = np.random.default_rng(0)
    taps = kernel[0] * kernel[1]
    arrays = [
        rng.standard_normal((2, 4, 6, 5)), rng.standard_normal((2, 2 * offset_groups * taps, *out)) * 1.3,
        rng.standard_normal((6, 4 // groups, *kernel)), rng.standard_normal(6), rng.random((2, offset_groups * taps, *out)),
    ]  # fmt: skip
    return [rushlight.from_numpy(a.astype(dtype)).requires_grad_() for a in arrays]


def expected_deform(x, offset, weight, bias, stride, padding, dilation, mask):
    """A deformable convolution as it is defined, output by output."""
    out = offset.shape[2:]
    kernel, taps = weight.shape[2:], weight.shape[2] * weight.shape[3]
    offset_groups, groups = offset.shape[1] // (2 * taps), x.shape[1] // weight.shape[1]
    per_offset, per_group = x.shape[1] // offset_groups, weight.shape[0] // groups
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    result = np.zeros((len(x), len(weight), *out))

    def value(n, c, y, u):
        if not (-1 < y < x.shape[2] and -1 < u < x.shape[3]):
            return 0.0
        return interpolated(padded[n, c], y + 1, u + 1)

    for n, o, i, j in np.ndindex(*result.shape):
        for c, a, b in np.ndindex(*weight.shape[1:]):
            channel = o // per_group * weight.shape[1] + c
            tap = (channel // per_offset) * taps + a * kernel[1] + b
            y = i * stride[0] - padding[0] + a * dilation[0] + offset[n, 2 * tap, i, j]
            u = j * stride[1] - padding[1] + b * dilation[1] + offset[n, 2 * tap + 1, i, j]
            strength = 1 if mask is None else mask[n, tap, i, j]
            result[n, o, i, j] += weight[o, c, a, b] * strength * value(n, channel, y, u)
    return result + bias[:, None, None]


CONVOLUTIONS = [
    (1, 2, (1, 1), (0, 0), (1, 1), (4, 4)), (2, 1, (2, 1), (1, 2), (1, 2), (3, 7)), (2, 4, (1, 2), (2, 0), (2, 1), (6, 2)),
]  # fmt: skip


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_deform_conv2d(case, masked):
    groups, offset_groups, stride, padding, dilation, out = case
    x, offset, weight, bias, mask = deform_inputs(groups, offset_groups, out=out)
    mask = mask if masked else None
    args = (stride, padding, dilation)
    arrays = [None if t is None else t.detach().numpy() for t in (x, offset, weight, bias, mask)]
    ours = ops.deform_conv2d(x, offset, weight, bias, *args, mask)
    np.testing.assert_allclose(
        ours.detach().numpy(), expected_deform(*arrays[:4], *args, arrays[4]), rtol=1e-10, atol=1e-10
    )
    still = ops.deform_conv2d(x, offset * 0, weight, None, *args)
    same(still, F.conv2d(x, weight, None, *args, groups).detach(), 1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_deform_conv2d(masked):
    inputs = deform_inputs(2, 2, (2, 2), (3, 2))[: 5 if masked else 4]
    call = lambda x, o, w, b, m=None: ops.deform_conv2d(x, o, w, b, (3, 2), (1, 0), mask=m)
    assert gradcheck(call, inputs)


def test_deform_layer():
    torch, vision = oracle()
    for args in (
        {"kernel_size": 3},
        {"kernel_size": (3, 2), "stride": 2, "padding": 1, "dilation": (1, 2), "groups": 2, "bias": False},
    ):
        rushlight.manual_seed(0)
        torch.manual_seed(0)
        layer, theirs = (o.DeformConv2d(4, 6, **args) for o in (ops, vision.ops))
        assert repr(layer) == repr(theirs)
        assert list(layer.state_dict()) == list(theirs.state_dict())
        same(layer.weight, theirs.weight)
    x, offset, _, _, mask = deform_inputs(dtype="float32", kernel=(3, 3), out=(4, 3))
    layer = ops.DeformConv2d(4, 6, 3)
    same(layer(x, offset, mask), ops.deform_conv2d(x, offset, layer.weight, layer.bias, mask=mask).detach())


def test_wrong_deformable_convolutions():
    x, offset, weight, _, mask = deform_inputs(out=(4, 4))
    for wrong, message in (
        (lambda: ops.deform_conv2d(x, offset[:, :4], weight), "multiple of 2"),
        (lambda: ops.deform_conv2d(x, offset[..., :3], weight), "offset should have the shape"),
        (lambda: ops.deform_conv2d(x, offset, weight, mask=mask[:, :1]), "mask should have the shape"),
        (lambda: ops.deform_conv2d(x, offset, weight[:, :3]), "does not fit"),
        (lambda: ops.deform_conv2d(x, offset, weight, stride=0), "stride"),
        (lambda: ops.deform_conv2d(x, offset, weight, dilation=9), "too small"),
        (lambda: ops.deform_conv2d(x[0], offset, weight), "4 dimensions"),
    ):
        with pytest.raises(RuntimeError, match=message):
            wrong()
    for args in ((4, 6, 3, 1, 0, 1, 3), (4, 5, 3, 1, 0, 1, 2)):
        with pytest.raises(ValueError, match="divisible by groups"):
            ops.DeformConv2d(*args)
    (gradient,) = rushlight.autograd.grad(ops.deform_conv2d(x, offset, weight).sum(), x, create_graph=False)
    assert gradient.shape == x.shape
    with pytest.raises(RuntimeError, match="double backwards"):
        rushlight.autograd.grad(ops.deform_conv2d(x, offset, weight).sum(), x, create_graph=True)


# -- pyramids ---------------------------------------------------------------------------------------------

CHANNELS = OrderedDict(a=((2, 4, 16, 12), 4), b=((2, 6, 8, 6), 6), c=((2, 8, 4, 3), 8))


def pyramids(extra, norm=False):
    """Ours and torchvision's, with the same weights."""
    torch, _ = oracle()
    theirs_module = sys.modules["torchvision.ops.feature_pyramid_network"]
    pair = []
    for where, space in ((feature_pyramid_network, rushlight), (theirs_module, torch)):
        space.manual_seed(0)
        block = None if extra is None else getattr(where, extra[0])(*extra[1:])
        pair.append(
            where.FeaturePyramidNetwork(
                [4, 6, 8], 5, block, norm_layer=space.nn.BatchNorm2d if norm else None
            )
        )
    return pair


@pytest.mark.parametrize(
    "extra", [None, ("LastLevelMaxPool",), ("LastLevelP6P7", 5, 5), ("LastLevelP6P7", 8, 5)], ids=str
)
def test_pyramid(extra):
    ours, theirs = pyramids(extra, norm=extra is None)
    assert repr(ours) == repr(theirs)
    same(dict(ours.state_dict()), dict(theirs.state_dict()), 1e-6)
    maps = OrderedDict(
        (name, picture(shape, "float32", i)) for i, (name, (shape, _)) in enumerate(CHANNELS.items())
    )
    same(ours(maps), theirs(to_theirs(maps)), 1e-4)
    assert list(maps) == ["a", "b", "c"]


def test_pyramid_of_an_earlier_version():
    """Its keys had no number of the layer in the block."""
    ours, _ = pyramids(None)
    earlier = OrderedDict(
        (key.replace(".0.weight", ".weight").replace(".0.bias", ".bias"), t + 1)
        for key, t in ours.state_dict().items()
    )
    ours.load_state_dict(earlier)
    same(ours.inner_blocks[0][0].weight.detach(), earlier["inner_blocks.0.weight"])


def test_wrong_pyramids():
    with pytest.raises(ValueError, match="in_channels=0"):
        ops.FeaturePyramidNetwork([0], 3)
    with pytest.raises(TypeError, match="ExtraFPNBlock"):
        ops.FeaturePyramidNetwork([2], 3, rushlight.nn.ReLU())
    with pytest.raises(NotImplementedError, match="forward"):
        feature_pyramid_network.ExtraFPNBlock()([], [], [])


def test_multi_scale_roi_align():
    _, vision = oracle()
    maps = OrderedDict(
        (str(i), picture((2, 3, 64 >> i, 48 >> i), "float32", i).requires_grad_()) for i in range(3)
    )
    rng = np.random.default_rng(0)
    boxes = []
    for count in (5, 30):
        corners = rng.uniform(0, 100, (count, 4))
        corners[:, 2:] = corners[:, :2] + rng.uniform(1, 200, (count, 2))
        # torchvision's Python part, unlike its compiled one, repeats the border for whatever lies outside
        boxes.append(ops.clip_boxes_to_image(rushlight.from_numpy(corners.astype("float32")), (250, 180)))
    for names in (["0", "1", "2"], ["1"], ["0", "2"]):
        pair = [o.MultiScaleRoIAlign(names, (3, 2), 2, canonical_scale=60) for o in (ops, vision.ops)]
        assert repr(pair[0]) == repr(pair[1])
        theirs = OrderedDict((k, to_theirs(v).requires_grad_()) for k, v in maps.items())
        sizes = [(256, 192), (250, 180)]
        ours, expected = pair[0](maps, boxes, sizes), pair[1](theirs, to_theirs(boxes), sizes)
        same(ours, expected, 1e-5)
        for v in maps.values():
            v.grad = None
        (ours**2).sum().backward()
        (expected**2).sum().backward()
        for name in names:
            same(maps[name].grad, theirs[name].grad, 1e-5)
    mapper = poolers.LevelMapper(2, 5)
    assert mapper(
        [rushlight.tensor([[0, 0, 224.0, 224], [0, 0, 111, 111], [0, 0, 2000, 2000]])]
    ).tolist() == [2, 0, 3]
    with pytest.raises(ValueError, match="empty"):
        ops.MultiScaleRoIAlign(["0"], 2, 2)(maps, boxes, [])

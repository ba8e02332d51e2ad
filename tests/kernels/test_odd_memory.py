"""Ops on tensors whose memory has gaps: slices with steps, of odd sizes too, crops, transposed matrices."""

import pytest

import rushlight as torch
from rushlight.nn import functional as F

IMAGES = (3, 4, 7, 7)
OPS = {
    "conv2d": (lambda x: F.conv2d(x, torch.ones(5, 4, 3, 3)), IMAGES),
    "conv2d with a stride": (lambda x: F.conv2d(x, torch.ones(5, 4, 5, 5), stride=2, padding=1), IMAGES),
    "conv2d, 1x1": (lambda x: F.conv2d(x, torch.ones(5, 4, 1, 1)), IMAGES),
    "conv2d by channels": (lambda x: F.conv2d(x, torch.ones(4, 1, 3, 3), groups=4), IMAGES),
    "conv2d of one channel": (lambda x: F.conv2d(x, torch.ones(2, 1, 9, 9)), (4, 1, 17, 17)),
    "conv2d, the weight": (lambda w: F.conv2d(torch.ones(2, 4, 9, 9), w), (5, 4, 3, 3)),
    "conv_transpose2d": (lambda x: F.conv_transpose2d(x, torch.ones(4, 3, 3, 3), stride=2), IMAGES),
    "conv1d": (lambda x: F.conv1d(x, torch.ones(2, 4, 3)), (3, 4, 9)),
    "conv3d": (lambda x: F.conv3d(x, torch.ones(2, 3, 2, 2, 2)), (2, 3, 5, 5, 5)),
    "mm": (lambda x: x @ torch.ones(9, 4), (7, 9)),
    "bmm": (lambda x: x @ torch.ones(3, 9, 4), (3, 7, 9)),
    "linear": (lambda x: F.linear(x, torch.ones(5, 9)), (7, 9)),
    "linear, the weight": (lambda w: F.linear(torch.ones(3, 9), w), (7, 9)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), IMAGES),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, 1), IMAGES),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), IMAGES),
    "layer_norm": (lambda x: F.layer_norm(x, (7,)), IMAGES),
    "group_norm": (lambda x: F.group_norm(x, 2), IMAGES),
    "softmax": (lambda x: F.softmax(x, 1), IMAGES),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), IMAGES),
    "sum": (lambda x: x.sum((0, 2)), IMAGES),
    "amax": (lambda x: x.amax(1), IMAGES),
    "cumsum": (lambda x: x.cumsum(2), IMAGES),
    "sort": (lambda x: x.sort(-1)[0], IMAGES),
    "attention": (lambda x: F.scaled_dot_product_attention(x, x, x), IMAGES),
    "cross_entropy": (lambda x: F.cross_entropy(x, torch.ones(7, dtype=torch.int64)), (7, 9)),
    "gelu": (F.gelu, IMAGES),
    "unfold": (lambda x: F.unfold(x, 3), IMAGES),
    "embedding": (lambda w: F.embedding(torch.tensor([0, 3]), w), (7, 9)),
    "cat": (lambda x: torch.cat([x, x], 1), IMAGES),
}


def with_gaps(values) -> list:
    """The same values in memory with gaps, in several ways."""
    made = []
    for step in (2, 3):
        made.append(
            torch.randn([step * n - step + 1 for n in values.shape])[
                (slice(None, None, step),) * values.dim()
            ]
        )
    for dim in range(values.dim()):
        sizes = [2 * n - 1 if d == dim else n for d, n in enumerate(values.shape)]
        made.append(torch.randn(sizes)[(slice(None),) * dim + (slice(None, None, 2),)])
    made.append(torch.randn([n + 1 for n in values.shape])[(slice(1, None),) * values.dim()])
    made.append(torch.randn(values.shape).transpose(-1, -2).contiguous().transpose(-1, -2))
    return [part.copy_(values) for part in made]


@pytest.mark.parametrize("name", OPS)
def test_same_from_any_memory(name):
    torch.manual_seed(0)
    function, shape = OPS[name]
    plain = torch.randn(shape, requires_grad=True)
    expected = function(plain)
    upstream = torch.randn_like(expected)
    (gradient,) = torch.autograd.grad(expected, plain, upstream)
    upstreams = with_gaps(upstream) if upstream.dim() > 1 else [upstream]
    for number, part in enumerate(with_gaps(plain.detach())):
        x = part.detach().requires_grad_()
        assert x.is_contiguous() == part.is_contiguous()
        out = function(x)
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)
        (found,) = torch.autograd.grad(out, x, upstreams[number % len(upstreams)])
        torch.testing.assert_close(found, gradient, rtol=1e-4, atol=1e-4)

"""Convolutions, transposed convolutions, sliding blocks."""

import warnings

from tests.ops.functional import F
from tests.ops.table import C, I, Row, T


def conv(n, x, w, bias=True, id="", transposed=False, **settings):
    """A convolution over n dimensions."""
    name = f"conv{'_transpose' * transposed}{n}d"
    options = {k: settings.pop(k) for k in ("wrong", "fd", "grad2") if k in settings}
    outputs = w[1] * settings.get("groups", 1) if transposed else w[0]
    inputs = (T(x), T(w), T((outputs,))) if bias else (T(x), T(w))

    def call(torch, x, w, b=None):
        with warnings.catch_warnings():  # PyTorch warns that "same" pads even kernels more on one side
            warnings.simplefilter("ignore", UserWarning)
            return getattr(F(torch), name)(x, w, b, **settings)

    return Row(name, call, inputs, id=id or "plain", tol32=1e-4, **options)


def wrong(name, *calls):
    """Calls of one function with tensors of given shapes that must fail."""
    return tuple(
        lambda torch, shapes=shapes, kw=kw: getattr(F(torch), name)(*[torch.zeros(s) for s in shapes], **kw)
        for shapes, kw in calls
    )


X, W = (1, 3, 5, 5), (8, 3, 3, 3)

WRONG = wrong(
    "conv2d",
    ((X, (8, 4, 3, 3)), {}), (((3, 5), W), {}), ((X, (8, 3, 7, 7)), {}), ((X, W, (7,)), {}), ((X, W),
        {"stride": 0}),
    ((X, W), {"stride": (1, 2, 3)}), ((X, W), {"padding": -1}), ((X, W), {"dilation": 0}),
    (((1, 4, 5, 5), (7, 2, 3, 3)), {"groups": 2}), (((1, 4, 5, 5), (8, 2, 3, 3)), {"groups": 0}),
    ((X, W), {"padding": "same", "stride": 2}), ((X, W), {"padding": "wide"}), ((X, (8, 3, 3)), {}),
    (((1, 3, 0, 5), W), {}), ((X, (0, 3, 3, 3)), {}), ((X, W), {"stride": 1.5}), ((X, W), {"stride": "1"}),
)  # fmt: skip
WRONG_TYPES = (
    lambda torch: F(torch).conv2d(torch.zeros(X).double(), torch.zeros(W)),
    lambda torch: F(torch).conv2d(torch.zeros(X).double(), torch.zeros(W).double(), torch.zeros(8)),
    lambda torch: F(torch).conv2d("x", torch.zeros(W)),
    lambda torch: F(torch).conv2d(torch.zeros(X), None),
)
WRONG_TRANSPOSED = wrong(
    "conv_transpose2d",
    ((X, (4, 8, 3, 3)), {}), ((X, (3, 8, 3, 3)), {"output_padding": 1}), ((X, (3, 8, 3, 3), (7,)), {}),
    ((X, (3, 8, 3, 3)), {"padding": 9}), (((3, 5), (3, 8, 3, 3)), {}), ((X, (3, 8, 3, 3)),
        {"output_padding": -1}),
    ((X, (3, 8, 3, 3)), {"groups": 2}), ((X, (3, 8, 3, 3)), {"padding": "same"}),
)  # fmt: skip
WRONG_UNFOLD = wrong(
    "unfold",
    (((5, 5),), {"kernel_size": (2, 2, 2)}), ((X,), {"kernel_size": 7}), ((X,), {"kernel_size": 2,
        "stride": 0}),
    (((1, 0, 5, 5),), {"kernel_size": 2}),
)  # fmt: skip
WRONG_FOLD = wrong(
    "fold",
    (((1, 12, 15),), {"output_size": 5, "kernel_size": 2}), (((1, 11, 16),), {"output_size": 5,
        "kernel_size": 2}),
    (((16,),), {"output_size": 5, "kernel_size": 2}),
)  # fmt: skip


def blocks(name, shape, *args, id="", **options):
    """Sliding blocks, cut out or put back."""
    row = {"unfold": "im2col", "fold": "col2im"}[name]
    return Row(row, lambda torch, x: getattr(F(torch), name)(x, *args), (T(shape),), id=id, **options)


def tbc(pad, id):
    """A convolution of signals with channels last."""
    call = lambda torch, x, w, b: torch.conv_tbc(x, w, b, pad)
    bad = tuple(
        lambda torch, s=s: torch.conv_tbc(torch.ones(s[0]), torch.ones(s[1]), torch.ones(4))
        for s in (((5, 2), (2, 3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (2, 2, 4)))
    )
    return Row("conv_tbc", call, (T((5, 2, 3)), T((2, 3, 4)), T((4,))), id=id, tol32=1e-4, wrong=bad)


ROWS = [
    tbc(0, "plain"), tbc(2, "padded"),
    conv(1, (2, 3, 7), (4, 3, 3)), conv(1, (3, 7), (4, 3, 3), id="unbatched"),
    conv(1, (2, 4, 9), (6, 2, 3), id="all", stride=2, padding=2, dilation=2, groups=2),
    conv(1, (2, 3, 7), (4, 3, 4), id="same", padding="same"),
    conv(2, (2, 3, 6, 7), (4, 3, 3, 2), wrong=WRONG + WRONG_TYPES), conv(2, (2, 3, 6, 7), (4, 3, 3, 2), False,
        id="no-bias"),
    conv(2, (3, 6, 7), (4, 3, 3, 3), id="unbatched"), conv(2, (2, 3, 5, 5), (4, 3, 1, 1), id="1x1"),
    conv(2, (2, 1, 6, 6), (3, 1, 5, 5), id="one-channel"),
    conv(2, (2, 3, 9, 8), (4, 3, 3, 3), id="stride", stride=(2, 3), padding=(1, 2)),
    conv(2, (2, 3, 9, 8), (4, 3, 3, 3), id="list", stride=[2, 2], padding=[1, 0], dilation=[1, 2]),
    conv(2, (2, 3, 9, 8), (4, 3, 3, 2), id="dilation", dilation=(2, 3), padding=2),
    conv(2, (2, 4, 5, 5), (8, 1, 3, 3), id="depthwise", groups=4, padding=1),
    conv(2, (2, 4, 5, 5), (6, 2, 3, 3), id="groups", groups=2),
    conv(2, (2, 3, 5, 5), (4, 3, 3, 3), id="same", padding="same"), conv(2, (2, 3, 5, 5), (4, 3, 3, 3),
        id="valid", padding="valid"),
    conv(2, (0, 3, 5, 5), (4, 3, 3, 3), id="empty", fd=False),
    conv(2, (2, 3, 5, 5), (4, 3, 5, 5), id="whole"), conv(2, (2, 3, 7, 7), (4, 3, 2, 2), id="leftover",
        stride=3),
    conv(3, (2, 2, 4, 5, 4), (3, 2, 2, 3, 2)), conv(3, (2, 4, 5, 4), (3, 2, 2, 3, 2), id="unbatched"),
    conv(3, (1, 4, 5, 5, 5), (4, 2, 3, 3, 3), id="all", stride=(1, 2, 2), padding=1, dilation=(1, 1, 2),
        groups=2),
    Row("conv2d", lambda torch, x, w: F(torch).conv2d(x, w), (I((1, 2, 4, 4)), I((3, 2, 3, 3))), grad=False,
        id="int"),
    Row(
        "conv2d",
        lambda torch, x, w, b: F(torch).conv2d(x, w, b, 2, 1),
        (C((1, 2, 4, 4)), C((3, 2, 3, 3)), C((3,))),
        id="complex",
        tol32=1e-4,
    ),
    Row(
        "conv_transpose1d",
        lambda torch, x, w: F(torch).conv_transpose1d(x, w),
        (C((1, 2, 4)), C((2, 3, 3))),
        id="complex",
        tol32=1e-4,
    ),
    # transposed
    conv(1, (2, 3, 5), (3, 4, 3), transposed=True), conv(1, (3, 5), (3, 4, 3), id="unbatched",
        transposed=True),
    conv(2, (2, 3, 4, 5), (3, 4, 3, 2), transposed=True, wrong=WRONG_TRANSPOSED),
    conv(2, (2, 3, 4, 5), (3, 4, 3, 2), False, id="no-bias", transposed=True),
    conv(2, (2, 4, 4, 3), (4, 3, 3, 3), id="all", transposed=True, stride=2, padding=1, output_padding=1,
        groups=2, dilation=2),
    conv(2, (2, 4, 4, 3), (4, 2, 4, 4), id="upsample", transposed=True, stride=2, padding=1),
    conv(2, (0, 3, 4, 5), (3, 4, 3, 2), id="empty", transposed=True, fd=False),
    conv(3, (1, 2, 3, 3, 3), (2, 2, 2, 2, 3), transposed=True, stride=(1, 2, 1)),
    # sliding blocks
    blocks("unfold", (2, 3, 5, 6), 2, id="plain", wrong=WRONG_UNFOLD), blocks("unfold", (3, 5, 6), (2, 3),
        id="unbatched"),
    blocks("unfold", (2, 3, 7, 8), (3, 2), 2, 1, (1, 2), id="all"), blocks("unfold", (0, 3, 5, 5), 2,
        id="empty", fd=False),
    blocks("fold", (2, 12, 20), (5, 6), 2, id="plain", wrong=WRONG_FOLD), blocks("fold", (12, 20), (5, 6), 2,
        id="unbatched"),
    blocks("fold", (2, 8, 9), 6, 2, 1, 0, 2, id="stride"),
]  # fmt: skip

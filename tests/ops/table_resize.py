"""Interpolation, and rearrangement of channels and positions."""

import warnings

from tests.ops.functional import F
from tests.ops.table import I, Row, T

SHAPES = {1: (2, 3, 5), 2: (2, 3, 4, 5), 3: (1, 2, 3, 4, 3)}


def resize(n, mode, id="", shape=None, **settings):
    """Interpolation over n dimensions."""
    name = "-".join(filter(None, (f"{n}D", mode, id)))
    call = lambda torch, x: F(torch).interpolate(x, mode=mode, **settings)
    return Row(
        "interpolate", call, (T(shape or SHAPES[n]),), id=name, tol32=1e-4, fd=0 not in (shape or (1,))
    )


def family(n, mode, *, align=False):
    """One mode: by size, by factor, larger and smaller."""
    rows = [
        resize(n, mode, "size", size=(7, 6, 5)[:n]), resize(n, mode, "number", size=2),
        resize(n, mode, "factor", scale_factor=2), resize(n, mode, "fraction", scale_factor=(1.7, 0.6,
            1.4)[:n]),
        resize(n, mode, "recompute", scale_factor=1.7, recompute_scale_factor=True),
        resize(n, mode, "empty", (0, *SHAPES[n][1:]), size=2),
    ]  # fmt: skip
    if align:
        rows += [
            resize(n, mode, "align", size=(7, 6, 5)[:n], align_corners=True),
            resize(n, mode, "align-one", size=1, align_corners=True),
            resize(n, mode, "align-factor", scale_factor=2, align_corners=True),
            resize(n, mode, "same", scale_factor=(1.1, 1.2, 1.3)[:n]),
        ]
    return rows


def _old(name, *args, **kwargs):
    def call(torch, x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from rushlight.ops import resize as ours

            module = torch.nn.functional if hasattr(torch, "_C") else ours
            return getattr(module, name)(x, *args, **kwargs)

    return Row("interpolate", call, (T((1, 2, 3, 4)),), id=name, tol32=1e-4)


def wrong(*cases):
    """Interpolations that must fail."""
    return tuple(
        lambda torch, shape=shape, kw=kw: F(torch).interpolate(torch.zeros(shape), **kw)
        for shape, kw in cases
    )


X = (1, 3, 5, 5)
WRONG = (
    *wrong((X, {}), (X, {"size": 2, "scale_factor": 2}), (X, {"size": (2, 2, 2)}), (X, {"scale_factor": (2, 2,
        2)}),
           (X, {"size": 2, "mode": "linear"}), ((1, 3, 5), {"size": 2, "mode": "bilinear"}), (X, {"size": 2,
               "mode": "cubic"}),
           (X, {"size": 2, "align_corners": True}), ((5, 5), {"size": 2}), (X, {"size": 0}),
           (X, {"size": 2, "recompute_scale_factor": True}), (X, {"size": 2, "antialias": True}),
           (X, {"size": 2, "mode": "lanczos"}), (X, {"size": 2, "mode": "lanczos", "antialias": True,
               "align_corners": True}), ((1, 3, 5), {"size": 2, "mode": "linear", "antialias": True}),
           (X, {"size": 0, "mode": "bilinear", "antialias": True}), ((1, 0, 5, 5), {"size": 2})),
    lambda torch: F(torch).interpolate(torch.zeros(X).long(), 2),
)  # fmt: skip


def antialias(mode, id="", shape=(2, 3, 9, 7), **settings):
    """Interpolation that filters first."""
    return resize(2, mode, "-".join(filter(None, ("antialias", id))), shape, antialias=True, **settings)


def of_bytes(mode, id, **settings):
    """Interpolation of 8-bit images, which is done in fixed point."""
    call = lambda torch, x: F(torch).interpolate(x, mode=mode, **settings)
    return Row(
        "interpolate", call, (I((2, 3, 13, 17), 256, 0, "uint8"),), grad=False, id=f"bytes-{mode}-{id}"
    )


def shuffle(name, shape, n, id="", cases=()):
    """A rearrangement."""
    bad = tuple(lambda torch, s=s, n=n: getattr(F(torch), name)(torch.zeros(s), n) for s, n in cases)
    return Row(name, lambda torch, x: getattr(F(torch), name)(x, n), (T(shape),), id=id, wrong=bad)


ROWS = [
    *[row for n in (1, 2, 3) for mode in ("nearest", "nearest-exact", "area") for row in family(n, mode)],
    *family(1, "linear", align=True), *family(2, "bilinear", align=True), *family(2, "bicubic", align=True),
    *family(3, "trilinear", align=True),
    *[antialias(mode, f"{h}x{w}", size=(h, w)) for mode in ("bilinear", "bicubic", "lanczos")
      for h, w in ((4, 3), (12, 9), (1, 7))],
    *[antialias(mode, "factor", scale_factor=(0.4, 1.7)) for mode in ("bilinear", "bicubic", "lanczos")],
    *[antialias(mode, "align", size=(4, 9), align_corners=True) for mode in ("bilinear", "bicubic")],
    *[of_bytes(mode, f"{size[0]}-{filtered}", size=size, antialias=filtered) for mode in ("bilinear", "bicubic")
      for size in ((4, 5), (20, 9), (13, 30)) for filtered in (True, False)],
    *[of_bytes(mode, "align", size=(20, 9), align_corners=True) for mode in ("bilinear", "bicubic")],
    *[of_bytes(mode, "factor", scale_factor=(0.7, 1.9)) for mode in ("bilinear", "bicubic")],
    Row("interpolate", lambda torch, x: F(torch).interpolate(x, 3), (T(X),), id="wrong", wrong=WRONG,
        tol32=1e-4),
    Row("interpolate", lambda torch, x: F(torch).interpolate(x, 7), (I((1, 3, 4, 4), 256, 0, "uint8"),),
        grad=False, id="bytes"),
    _old("upsample", scale_factor=2), _old("upsample_nearest", 5), _old("upsample_bilinear", scale_factor=2),
    shuffle("pixel_shuffle", (2, 8, 3, 4), 2, "4-D", (((1, 3, 2, 2), 2), ((2, 2), 2), ((1, 4, 2, 2), 0))),
    shuffle("pixel_shuffle", (9, 2, 3), 3, "3-D"), shuffle("pixel_shuffle", (2, 2, 4, 3, 3), 2, "5-D"),
    shuffle("pixel_unshuffle", (2, 3, 4, 6), 2, "4-D", (((1, 4, 3, 2), 2), ((1, 4, 2, 3), 2), ((2, 2), 2),
        ((1, 4, 2, 2), 0))),
    shuffle("pixel_unshuffle", (2, 3, 6), 3, "3-D"),
    shuffle("channel_shuffle", (2, 6, 3, 2), 3, "4-D", (((1, 4, 2, 2), 3), ((1, 4), 2), ((1, 4, 2, 2), 0))),
    shuffle("channel_shuffle", (2, 6, 3), 2, "3-D"),
    Row("native_channel_shuffle", lambda torch, x: torch.native_channel_shuffle(x, 2), (T((2, 6, 3)),), grad=False),
]  # fmt: skip

"""Normalisation over the batch, features, groups and neighbouring channels."""

from tests.ops.functional import F
from tests.ops.table import Row, T


def statistics(torch, c, kind=None):
    """Running statistics to start from."""
    return torch.arange(c).to(kind or torch.float64) / 10, torch.arange(c).to(kind or torch.float64) / 5 + 1


def batch_norm(shape, training, affine=True, id="", **settings):
    """Batch normalisation; the running statistics it leaves are compared too."""

    def call(torch, x, w=None, b=None):
        mean, var = statistics(torch, shape[1], x.dtype)
        y = F(torch).batch_norm(x, mean, var, w, b, training, **settings)
        return y, mean, var

    c = (shape[1],)
    return Row(
        "batch_norm",
        call,
        (T(shape), T(c, 0.5, 2), T(c)) if affine else (T(shape),),
        tol32=1e-4,
        tol=1e-8,
        id=id,
    )


def layer_norm(shape, normalized, affine=True, id="", **settings):
    """Layer normalisation."""

    def call(torch, x, w=None, b=None):
        return F(torch).layer_norm(x, normalized, w, b, **settings)

    inputs = (T(shape), T(normalized, 0.5, 2), T(normalized)) if affine else (T(shape),)
    return Row("layer_norm", call, inputs, id=id, tol32=1e-4, tol=1e-8, fd=0 not in shape)


def group_norm(shape, groups, affine=True, id=""):
    """Group normalisation."""

    def call(torch, x, w=None, b=None):
        return F(torch).group_norm(x, groups, w, b, eps=1e-3)

    c = (shape[1],)
    inputs = (T(shape), T(c, 0.5, 2), T(c)) if affine else (T(shape),)
    return Row("group_norm", call, inputs, id=id, tol32=1e-4, tol=1e-8, fd=0 not in shape)


def _instance_running(torch, x, w, b):
    mean, var = statistics(torch, 3, x.dtype)
    first = F(torch).instance_norm(x, mean, var, w, b)
    return first, mean.clone(), var.clone(), F(torch).instance_norm(x, mean, var, w, b, use_input_stats=False)


def wrong(name, *cases):
    """Calls that must fail: tensors of given shapes (None for None), then further arguments by name."""
    return tuple(
        lambda torch, shapes=shapes, kw=kw: getattr(F(torch), name)(
            *[None if s is None else torch.zeros(s) for s in shapes], **kw
        )
        for shapes, kw in cases
    )


WRONG_BATCH = (
    *wrong("batch_norm", (((1, 3), None, None), {"training": True}), (((1, 3, 1, 1), (3,), (3,)),
        {"training": True}),
           (((4, 3), None, None), {}), (((4, 3), (2,), (2,)), {}), (((4, 3), (3,), (2,)), {}), (((4, 3), (3,),
               (3,), (4,)), {}),
           (((4, 3), (3,), (3,), (3,), (4,)), {}), (((3,), (3,), (3,)), {})),
    lambda torch: F(torch).batch_norm(torch.zeros(4, 3).long(), torch.zeros(3), torch.zeros(3)),
    lambda torch: F(torch).batch_norm(torch.zeros(4, 3).double(), torch.zeros(3), torch.zeros(3)),
    lambda torch: F(torch).batch_norm(torch.zeros(4, 3), torch.zeros(3), torch.zeros(3),
        torch.zeros(3).double()),
)  # fmt: skip
WRONG_LAYER = (
    *[lambda torch, args=args: F(torch).layer_norm(torch.zeros(4, 3), *args) for args in (((4,),), (3,),
        ((),))],
    lambda torch: F(torch).layer_norm(torch.zeros(4, 3), (3,), torch.zeros(4)),
    lambda torch: F(torch).layer_norm(torch.zeros(4, 3), (3,), None, torch.zeros(4)),
    lambda torch: F(torch).layer_norm(torch.zeros(4, 3).long(), (3,)),
    lambda torch: F(torch).layer_norm(torch.zeros(4, 3).double(), (3,), torch.zeros(3)),
)  # fmt: skip
WRONG_GROUP = (
    *[lambda torch, shape=shape, groups=groups: F(torch).group_norm(torch.zeros(shape), groups)
      for shape, groups in (((2, 4, 3), 3), ((2,), 2), ((1, 4), 4), ((1, 4, 3), 0))],
    lambda torch: F(torch).group_norm(torch.zeros(2, 4, 3), 2, torch.zeros(3)),
)  # fmt: skip

ROWS = [
    batch_norm((5, 3), True, id="2-D"), batch_norm((4, 3, 5), True, id="3-D"), batch_norm((2, 3, 4, 5), True,
        id="4-D"),
    batch_norm((2, 3, 2, 3, 2), True, id="5-D"), batch_norm((2, 3, 4, 5), True, False, id="plain",
        momentum=0.5, eps=0.1),
    batch_norm((5, 3), False, id="eval"), batch_norm((2, 3, 4, 5), False, id="eval-4-D"),
    batch_norm((2, 3, 4, 5), False, False, id="eval-plain", eps=0.1),
    Row("batch_norm", lambda torch, x, w: F(torch).batch_norm(x, None, None, w, None, True), (T((4, 3)),
        T((3,), 0.5, 2)),
        id="no-running", tol=1e-8, tol32=1e-4, wrong=WRONG_BATCH),
    layer_norm((4, 3), (3,), id="plain"), layer_norm((4, 3), (3,), False, id="no-affine", eps=0.1),
    layer_norm((2, 3, 4, 5), (4, 5), id="two"), layer_norm((2, 3), (2, 3), id="all"), layer_norm((0, 3), (3,),
        id="empty"),
    Row("layer_norm", lambda torch, x, w: F(torch).layer_norm(x, [3], w), (T((4, 3)), T((3,))), id="list",
        tol=1e-8,
        tol32=1e-4, wrong=WRONG_LAYER),
    group_norm((2, 4, 3), 2, id="3-D"), group_norm((2, 6, 3, 4), 3, id="4-D"), group_norm((3, 4), 2,
        id="2-D"),
    group_norm((2, 4, 3), 2, False, id="no-affine"), group_norm((2, 4, 3), 1, id="one"), group_norm((0, 4, 3),
        2, id="empty"),
    Row("group_norm", lambda torch, x, b: F(torch).group_norm(x, 2, None, b), (T((2, 4, 3)), T((4,))),
        id="bias", grad=False,
        tol32=1e-4, wrong=WRONG_GROUP),
    Row("instance_norm", lambda torch, x, w, b: F(torch).instance_norm(x, None, None, w, b),
        (T((2, 3, 5)), T((3,)), T((3,))), tol=1e-8, tol32=1e-4, wrong=wrong(
            "instance_norm", (((2, 4, 1),), {}), (((2, 4),), {}), (((2, 4, 3),),
                {"use_input_stats": False}))),
    Row("instance_norm", _instance_running, (T((2, 3, 4, 5)), T((3,)), T((3,))), id="running", tol=1e-8,
        tol32=1e-4,
        fd=False),
    Row("local_response_norm", lambda torch, x: F(torch).local_response_norm(x, 2), (T((2, 4, 3)),),
        wrong=wrong("local_response_norm", (((2, 4),), {"size": 2}))),
    Row("local_response_norm", lambda torch, x: F(torch).local_response_norm(x, 3, 0.5, 0.6, 2.0), (T((2, 5,
        3, 2)),), id="4-D"),
    Row("rms_norm", lambda torch, x, w: F(torch).rms_norm(x, (4,), w), (T((3, 4)), T((4,))), tol=1e-8,
        wrong=(lambda torch: F(torch).rms_norm(torch.zeros(2, 4), (3,)),
               lambda torch: F(torch).rms_norm(torch.zeros(2, 4), (4,), torch.zeros(3)),
               lambda torch: F(torch).rms_norm(torch.zeros(2, 4).long(), (4,)))),
    Row("rms_norm", lambda torch, x: F(torch).rms_norm(x, [3, 4], eps=0.1), (T((2, 3, 4)),), id="two"),
]  # fmt: skip

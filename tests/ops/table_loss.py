"""Losses."""

from tests.ops.functional import F
from tests.ops.table import I, Row, T

PROBABILITIES = {"low": 0.05, "high": 0.95}
REDUCTIONS = ("mean", "sum", "none")


def each(name, calls, inputs, wrong=(), **options):
    """One row per call and reduction; a call takes the op, the module, the tensors and the reduction."""
    return [
        Row(
            name,
            lambda torch, *xs, call=call, how=how: call(getattr(F(torch), name), torch, *xs, reduction=how),
            inputs,
            id="-".join(filter(None, (id, how))),
            wrong=wrong,
            **options,
        )
        for id, call in calls.items()
        for how in REDUCTIONS
    ]


def pair(name, low=-2.0, high=2.0, target=None, wrong=(), calls=None, **options):
    """A loss of two tensors of one shape."""

    def plain(f, torch, x, y, **how):
        return f(x, y, **how)

    def bad(torch):
        return getattr(F(torch), name)(torch.ones(2), torch.ones(2), reduction="most")

    inputs = T((3, 4), low, high), target or T((3, 4), low, high)
    return each(name, {"": plain, **(calls or {})}, inputs, (bad, *wrong), **options)


def call(**options):
    """The loss with further arguments."""
    return lambda f, torch, *xs, reduction: f(*xs, reduction=reduction, **options)


SCORES, CLASSES = T((5, 4)), I((5,), 4)
ENTROPY = {
    "": call(),
    "ignored": call(ignore_index=1),
    "smooth": call(label_smoothing=0.2),
    "smooth-ignored": call(label_smoothing=0.2, ignore_index=0),
}
WEIGHTED = {
    "weight": lambda f, torch, x, y, w, **how: f(x, y, w, **how),
    "weight-ignored": lambda f, torch, x, y, w, **how: f(x, y, w, ignore_index=2, **how),
}
SMOOTH = {"weight-smooth": lambda f, torch, x, y, w, **how: f(x, y, w, label_smoothing=0.3, **how)}
WEIGHT = T((4,), 0.2, 2.0, grad=False)


def wrong_classes(name):
    """Targets that do not go with the scores."""
    f = lambda torch, *args, **kwargs: getattr(F(torch), name)(*args, **kwargs)
    x = lambda torch, *shape: torch.ones(*(shape or (3, 4)))
    t = lambda torch, *values: torch.tensor(values)
    return (
        lambda torch: f(torch, x(torch), t(torch, 1, 2)),
        lambda torch: f(torch, x(torch), t(torch, 1, 2, 10)),
        lambda torch: f(torch, x(torch), t(torch, 1, 2, -1)),
        lambda torch: f(torch, x(torch), t(torch, 1.0, 2.0, 0.0)),
        lambda torch: f(torch, x(torch), t(torch, 1, 2, 0).int()),
        lambda torch: f(torch, x(torch), t(torch, 1, 2, 0).unsqueeze(1)),
        lambda torch: f(torch, x(torch), t(torch, 1, 2, 0), reduction="most"),
        lambda torch: f(torch, x(torch), t(torch, 1, 2, 0), weight=torch.ones(2)),
        lambda torch: f(torch, x(torch), t(torch, 1, 2, 0), weight=torch.ones(4).double()),
        lambda torch: f(torch, x(torch, 2, 3, 4), torch.ones(2, 3).long()),
        lambda torch: f(torch, x(torch, 2, 3, 4), torch.ones(3, 4).long()),
        lambda torch: f(torch, x(torch, 4), t(torch, 1, 2)),
        lambda torch: f(torch, "x", t(torch, 1, 2)),
    )


def classes(name, base, calls, weighted):
    """A loss of class scores: flat, with further dimensions, of one sample, with weights."""
    return [
        *each(name, calls, (base((5, 4)), CLASSES), wrong_classes(name)),
        *each(name, {"2-D": call()}, (base((2, 4, 3)), I((2, 3), 4))),
        *each(name, {"3-D": call(ignore_index=3)}, (base((2, 4, 3, 2)), I((2, 3, 2), 4))),
        *each(
            name,
            {"2-D-smooth": call(label_smoothing=0.1)} if name == "cross_entropy" else {},
            (base((2, 4, 3)), I((2, 3), 4)),
        ),
        *each(name, {"one": call()}, (base((4,)), I((), 4))),
        *each(name, weighted, (base((5, 4)), CLASSES, WEIGHT)),
        *each(name, {"2-D-weight": weighted["weight"]}, (base((2, 4, 3)), I((2, 3), 4), WEIGHT)),
        Row(
            name,
            lambda torch, x, y: getattr(F(torch), name)(x, y.byte()),
            (base((5, 4)), CLASSES),
            id="uint8",
        ),
        Row(
            name,
            lambda torch, x, y: getattr(F(torch), name)(x, y, ignore_index=1),
            (base((2, 4)), I((2,), 2, 1)),
            id="none",
            grad=False,
        ),
        Row(
            name,
            lambda torch, x, y: getattr(F(torch), name)(x, y, reduction="sum"),
            (base((0, 4)), I((0,), 4)),
            id="empty",
            fd=False,
        ),
        Row(
            name,
            lambda torch, x, y: getattr(F(torch), name)(x * 2, y) + x.sum(),
            (base((5, 4)), CLASSES),
            id="joined",
        ),
    ]


P = T((5, 4), **PROBABILITIES)


def linear_entropy(id, shapes, target, **how):
    """The cross entropy of a linear layer: shapes of input, weight and maybe bias, and the target."""

    def call(torch, x, w, y, *bias):
        bias = bias[0] if bias else None
        return F(torch).linear_cross_entropy(x, w, y, linear_bias=bias, **how)

    x, w, *bias = (T(shape) for shape in shapes)
    return Row("linear_cross_entropy", call, (x, w, target, *bias), id=id, tol32=1e-4)


def _linear_wrong(*cases):
    """Calls with shapes that do not fit, or a forbidden argument."""
    return tuple(
        lambda torch, x=x, w=w, y=y, how=how: F(torch).linear_cross_entropy(
            torch.ones(x), torch.ones(w), y(torch), **how
        )
        for x, w, y, how in cases
    )


_NUMBER = lambda torch: torch.tensor([1, 0])
LINEAR_WRONG = _linear_wrong(
    ((2, 2, 2), (3, 2), _NUMBER, {}), ((2, 2), (2,), _NUMBER, {}), ((2, 2), (3, 4), _NUMBER, {}),
    ((2,), (3, 4, 2), _NUMBER, {}), ((2, 2), (3, 2), lambda torch: torch.ones(2, 3), {"ignore_index": 1}),
)  # fmt: skip
ROWS = [
    linear_entropy("plain", ((5, 3), (4, 3)), I((5,), 4)),
    linear_entropy("bias", ((5, 3), (4, 3), (4,)), I((5,), 4), reduction="sum", ignore_index=1),
    linear_entropy("one", ((3,), (4, 3)), I((), 4), reduction="none", label_smoothing=0.1),
    linear_entropy("wide", ((5, 3), (4, 2, 2, 3), (4, 2, 2)), I((5, 2, 2), 4)),
    linear_entropy("shares", ((5, 3), (4, 3)), T((5, 4), 0.1, 1.0, grad=False)),
    Row(
        "linear_cross_entropy",
        lambda torch, x: F(torch).linear_cross_entropy(x, x, torch.tensor([1, 0])),
        (T((2, 2)),),
        id="wrong",
        wrong=LINEAR_WRONG,
    ),
    *classes("cross_entropy", lambda s: T(s, -3, 3), ENTROPY, {**WEIGHTED, **SMOOTH}),
    *each(
        "cross_entropy",
        {"probabilities": call(), "probabilities-smooth": call(label_smoothing=0.2)},
        (SCORES, P),
        wrong=(
            lambda torch: F(torch).cross_entropy(torch.ones(2, 3), torch.ones(2, 3).long()),
            lambda torch: F(torch).cross_entropy(torch.ones(2, 3), torch.ones(2, 3), ignore_index=1),
            lambda torch: F(torch).cross_entropy(torch.ones(2, 3), torch.tensor([0, 1]), label_smoothing=1.5),
            lambda torch: F(torch).cross_entropy(torch.ones(2, 3).long(), torch.tensor([0, 1])),
            lambda torch: F(torch).cross_entropy(torch.ones(2, 3), torch.ones(2, 3), weight=torch.ones(2)),
        ),
    ),
    *each(
        "cross_entropy",
        {"probabilities-weight": WEIGHTED["weight"], "probabilities-weight-smooth": SMOOTH["weight-smooth"]},
        (SCORES, P, WEIGHT),
    ),
    *each("cross_entropy", {"probabilities-2-D": call()}, (T((2, 4, 3)), T((2, 4, 3), **PROBABILITIES))),
    *each("cross_entropy", {"probabilities-one": call()}, (T((4,)), T((4,), **PROBABILITIES))),
    Row(
        "cross_entropy",
        lambda torch, x, y: (F(torch).cross_entropy(x.half(), y), F(torch).cross_entropy(x.bfloat16(), y)),
        (SCORES, CLASSES),
        grad=False,
        id="half",
        tol=2e-2,
        tol32=2e-2,
    ),
    Row(
        "cross_entropy",
        lambda torch, x, y: F(torch).cross_entropy(x * 1e4, y, reduction="none"),
        (SCORES, CLASSES),
        id="large",
        grad2=False,
        fd=False,
    ),
    *classes("nll_loss", lambda s: T(s, -3, -0.1), {"": call(), "ignored": call(ignore_index=1)}, WEIGHTED),
    # element by element
    *pair(
        "mse_loss",
        wrong=(
            lambda torch: F(torch).mse_loss(torch.ones(2).long(), torch.ones(2).long()),
            lambda torch: F(torch).mse_loss(torch.ones(2), torch.ones(2), weight=torch.ones(3)),
        ),
    ),
    *[
        r
        for name in ("mse_loss", "l1_loss", "huber_loss")
        for r in each(
            name,
            {"weight": lambda f, torch, x, y, w, **how: f(x, y, weight=w, **how)},
            (T((3, 4)), T((3, 4)), T((3, 4), 0.5, 2)),
        )
    ],
    Row("mse_loss", lambda torch, x, y: F(torch).mse_loss(x, y), (T((3, 4)), I((3, 4))), id="int"),
    Row(
        "mse_loss",
        lambda torch, x, y: F(torch).mse_loss(x.float(), y.double()),
        (T((3, 4)), T((3, 4))),
        id="mixed",
        tol=1e-6,
        fd=False,
        grad2=False,
    ),
    *pair("l1_loss"),
    *pair(
        "smooth_l1_loss",
        calls={"half": call(beta=0.5), "zero": call(beta=0.0)},
        wrong=(lambda torch: F(torch).smooth_l1_loss(torch.ones(2), torch.ones(2), beta=-1),),
    ),
    *pair(
        "huber_loss",
        calls={"half": call(delta=0.5)},
        wrong=(lambda torch: F(torch).huber_loss(torch.ones(2), torch.ones(2), delta=0),),
    ),
    *pair(
        "binary_cross_entropy",
        **PROBABILITIES,
        wrong=(
            lambda torch: F(torch).binary_cross_entropy(torch.ones(2), torch.ones(3)),
            lambda torch: F(torch).binary_cross_entropy(torch.ones(2) * 2, torch.ones(2)),
            lambda torch: F(torch).binary_cross_entropy(torch.ones(2), torch.ones(2).long()),
            lambda torch: F(torch).binary_cross_entropy(torch.ones(2), torch.ones(2), torch.ones(3)),
        ),
    ),
    *each("binary_cross_entropy", {"weight": WEIGHTED["weight"]}, (T((5, 4), **PROBABILITIES), P, WEIGHT)),
    Row(
        "binary_cross_entropy",
        lambda torch, x: F(torch).binary_cross_entropy(
            (x > 0).to(x.dtype), (x > 0.5).to(x.dtype), reduction="none"
        ),
        (T((9,)),),
        grad=False,
        id="certain",
    ),
    *pair(
        "binary_cross_entropy_with_logits",
        wrong=(
            lambda torch: F(torch).binary_cross_entropy_with_logits(torch.ones(2), torch.ones(3)),
            lambda torch: F(torch).binary_cross_entropy_with_logits(torch.ones(2), torch.ones(2).long()),
            lambda torch: F(torch).binary_cross_entropy_with_logits(
                torch.ones(2), torch.ones(2), pos_weight=torch.ones(3)
            ),
        ),
    ),
    *each(
        "binary_cross_entropy_with_logits",
        {
            "weight": WEIGHTED["weight"],
            "pos_weight": lambda f, torch, x, y, w, **how: f(x, y, pos_weight=w, **how),
            "both": lambda f, torch, x, y, w, **how: f(x, y, w, pos_weight=w, **how),
        },
        (SCORES, P, WEIGHT),
    ),
    Row(
        "binary_cross_entropy_with_logits",
        lambda torch, x, y: F(torch).binary_cross_entropy_with_logits(x * 1e3, y, reduction="none"),
        (SCORES, P),
        id="large",
        fd=False,
        grad2=False,
    ),
    # divergences and likelihoods
    *[
        Row(
            "kl_div",
            lambda torch, x, y, how=how, log=log: F(torch).kl_div(x, y, reduction=how, log_target=log),
            (T((3, 4), -3, -0.1), T((3, 4), 0.1, 0.9)),
            id=f"{how}-{log}",
        )
        for how in ("sum", "none", "batchmean")
        for log in (False, True)
    ],
    Row(
        "kl_div",
        lambda torch, x: F(torch).kl_div(x, (x > 0).to(x.dtype), reduction="sum"),
        (T((3, 4)),),
        id="zeros",
        wrong=(
            lambda torch: F(torch).kl_div(torch.ones(2), torch.ones(2), reduction="most"),
            lambda torch: F(torch).kl_div(torch.ones(2).long(), torch.ones(2).long(), reduction="sum"),
        ),
    ),
    Row(
        "xlogy",
        lambda torch, x, y: (torch.xlogy(x, y), x.xlogy(2), torch.xlogy(x.detach() * 0, y.detach() * 0)),
        (T((3, 4)), T((4,), 0.1, 2)),
    ),
    *pair(
        "poisson_nll_loss",
        0.1,
        3.0,
        calls={
            "plain": call(log_input=False),
            "full": call(full=True),
            "eps": call(log_input=False, eps=0.1),
        },
    ),
    *each(
        "gaussian_nll_loss",
        {
            "": call(),
            "full": call(full=True),
            "number": lambda f, torch, x, y, v, **how: f(x, y, 0.5, **how),
            "one": lambda f, torch, x, y, v, **how: f(x, y, v[:, 0], **how),
            "column": lambda f, torch, x, y, v, **how: f(x, y, v[:, :1], **how),
            "bounded": call(eps=1.0),
        },
        (T((3, 4)), T((3, 4)), T((3, 4), 0.3, 2)),
        fd=False,
        wrong=(
            lambda torch: F(torch).gaussian_nll_loss(torch.ones(2, 3), torch.ones(2, 3), -torch.ones(2, 3)),
            lambda torch: F(torch).gaussian_nll_loss(torch.ones(2, 3), torch.ones(2, 3), torch.ones(3)),
            lambda torch: F(torch).gaussian_nll_loss(
                torch.ones(2), torch.ones(2), torch.ones(2), reduction="most"
            ),
        ),
    ),
    # margins
    *pair("hinge_embedding_loss", target=I((3, 4), 2, 0), calls={"margin": call(margin=0.5)}),
    Row(
        "hinge_embedding_loss",
        lambda torch, x, y: F(torch).hinge_embedding_loss(x, y * 2 - 1),
        (T((3, 4)), I((3, 4), 2)),
    ),
    *pair(
        "soft_margin_loss",
        target=T((3, 4), grad=False),
        wrong=(lambda torch: F(torch).soft_margin_loss(torch.ones(2), torch.ones(3)),),
    ),
    *each(
        "margin_ranking_loss",
        {"": call(), "margin": call(margin=0.5)},
        (T((3,)), T((3,)), T((3,))),
        wrong=(lambda torch: F(torch).margin_ranking_loss(torch.ones(2), torch.ones(2), torch.tensor(1)),),
    ),
    *each(
        "cosine_embedding_loss",
        {"": lambda f, torch, x, y, t, **how: f(x, y, t * 2 - 1, margin=0.1, **how)},
        (T((5, 4)), T((5, 4)), I((5,), 2)),
        wrong=(
            lambda torch: F(torch).cosine_embedding_loss(torch.ones(2, 3), torch.ones(3), torch.ones(2)),
            lambda torch: F(torch).cosine_embedding_loss(torch.ones(2, 3), torch.ones(2, 3), torch.tensor(1)),
        ),
    ),
    Row(
        "cosine_embedding_loss",
        lambda torch, x, y: F(torch).cosine_embedding_loss(x, y, torch.tensor(-1)),
        (T((4,)), T((4,))),
        id="one",
    ),
    *each(
        "triplet_margin_loss",
        {"": call(), "1": call(p=1), "swap": call(swap=True, margin=3.0)},
        (T((3, 4)), T((3, 4)), T((3, 4))),
        wrong=(
            lambda torch: F(torch).triplet_margin_loss(
                torch.ones(2, 2), torch.ones(2, 2), torch.ones(2, 2), margin=0
            ),
            lambda torch: F(torch).triplet_margin_loss(torch.ones(2, 2), torch.ones(2, 2), torch.ones(2)),
        ),
    ),
    *each(
        "triplet_margin_with_distance_loss",
        {
            "": call(),
            "distance": lambda f, torch, x, y, z, **how: f(
                x, y, z, distance_function=lambda a, b: (a - b).abs().sum(-1), **how
            ),
            "swap": call(swap=True),
        },
        (T((3, 4)), T((3, 4)), T((3, 4))),
        wrong=(
            lambda torch: F(torch).triplet_margin_with_distance_loss(
                torch.ones(2), torch.ones(2), torch.ones(2), margin=-1
            ),
        ),
    ),
    *each(
        "multi_margin_loss",
        {"": call(), "squared": call(p=2, margin=0.7)},
        (SCORES, CLASSES),
        grad2=False,
        wrong=(
            lambda torch: F(torch).multi_margin_loss(torch.ones(2, 3), torch.tensor([0, 1]), p=3),
            lambda torch: F(torch).multi_margin_loss(torch.ones(2, 3), torch.tensor([0, 1, 2])),
            lambda torch: F(torch).multi_margin_loss(torch.ones(2, 3), torch.tensor([0, 5])),
            lambda torch: F(torch).multi_margin_loss(
                torch.ones(2, 3), torch.tensor([0, 1]), weight=torch.ones(2)
            ),
            lambda torch: F(torch).multi_margin_loss(torch.ones(2, 3), torch.tensor([0, 1]).int()),
        ),
    ),
    *each(
        "multi_margin_loss",
        {"weight": lambda f, torch, x, y, w, **how: f(x, y, weight=w, **how)},
        (SCORES, CLASSES, WEIGHT),
        grad2=False,
    ),
    Row(
        "multi_margin_loss",
        lambda torch, x: F(torch).multi_margin_loss(x, torch.tensor(1)),
        (T((4,)),),
        grad2=False,
        id="one",
    ),
    *each(
        "multilabel_margin_loss",
        {
            "": lambda f, torch, x, **how: f(
                x, torch.tensor([[3, 0, -1, 1], [-1, 0, 1, 2], [0, 1, 2, 3]]), **how
            )
        },
        (T((3, 4)),),
        grad2=False,
        wrong=(
            lambda torch: F(torch).multilabel_margin_loss(torch.ones(2, 3), torch.tensor([0, 1])),
            lambda torch: F(torch).multilabel_margin_loss(torch.ones(2), torch.tensor([0, 5])),
            lambda torch: F(torch).multilabel_margin_loss(torch.ones(2), torch.ones(2)),
        ),
    ),
    Row(
        "multilabel_margin_loss",
        lambda torch, x: F(torch).multilabel_margin_loss(x, torch.tensor([1, 2, -1, 0])),
        (T((4,)),),
        grad2=False,
        id="one",
    ),
    *each("multilabel_soft_margin_loss", {"": call()}, (SCORES, P)),
    *each("multilabel_soft_margin_loss", {"weight": WEIGHTED["weight"]}, (SCORES, P, WEIGHT)),
]

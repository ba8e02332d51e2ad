"""Networks of every kind of layer, trained from the same seed: the losses of 20 steps are PyTorch's."""

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")

STEPS, TOLERANCE = 20, 1e-4
X, S, V = (4, 3, 8, 8), (4, 3, 12), (2, 2, 4, 4, 4)  # images, signals, volumes

# A network as an expression in `nn`, and the shape of its input; what is learned is a fixed random output.
NETWORKS = {
    "linear": ("Linear(3, 4)", (5, 3)),
    "perceptron": ("Sequential(Linear(3, 8), ReLU(), Linear(8, 2))", (5, 3)),
    "bilinear": ("Bilinear(3, 3, 4)", (5, 3), 2),
    "conv1d": ("Sequential(Conv1d(3, 4, 3, padding=1), ReLU(), Conv1d(4, 2, 3))", S),
    "conv2d": ("Sequential(Conv2d(3, 6, 3, padding=1), ReLU(), Conv2d(6, 2, 3, stride=2))", X),
    "conv3d": ("Sequential(Conv3d(2, 4, 3, padding=1), ReLU(), Conv3d(4, 2, 2))", V),
    "grouped": ("Sequential(Conv2d(3, 6, 3, groups=3), ReLU(), Conv2d(6, 6, 3, groups=6), Conv2d(6, 2, 1))", X),
    "dilated": ("Sequential(Conv2d(3, 4, 3, dilation=2), Conv2d(4, 2, 3, padding='same'))", X),
    "padding modes": ("Sequential(Conv2d(3, 4, 3, padding=1, padding_mode='circular'), Tanh(), "
                      "Conv2d(4, 2, 3, padding=2, padding_mode='reflect'))", X),
    "transposed1d": ("Sequential(Conv1d(3, 4, 3, 2), ReLU(), ConvTranspose1d(4, 2, 3, 2))", S),
    "transposed2d": ("Sequential(Conv2d(3, 4, 3, 2), ReLU(), ConvTranspose2d(4, 2, 3, 2, output_padding=1))", X),
    "transposed3d": ("Sequential(Conv3d(2, 4, 2, 2), ReLU(), ConvTranspose3d(4, 2, 2, 2))", V),
    "max pool": ("Sequential(Conv2d(3, 4, 3), MaxPool2d(2), Conv2d(4, 2, 2))", X),
    "max pool 1d, 3d": ("Sequential(Conv3d(2, 4, 3, padding=1), MaxPool3d(2), Flatten(2), MaxPool1d(2))", V),
    "average pool": ("Sequential(Conv2d(3, 4, 3), AvgPool2d(2, ceil_mode=True), Conv2d(4, 2, 2))", X),
    "adaptive pools": ("Sequential(Conv2d(3, 4, 3), AdaptiveMaxPool2d(4), Conv2d(4, 2, 2), AdaptiveAvgPool2d(2))", X),
    "fractional pool": ("Sequential(Conv2d(3, 4, 3), FractionalMaxPool2d(2, output_size=3), Conv2d(4, 2, 2))", X),
    "norm pool": ("Sequential(Conv2d(3, 4, 3), Sigmoid(), LPPool2d(2, 2), Conv2d(4, 2, 2))", X),
    "batch norm": ("Sequential(Conv2d(3, 6, 3), BatchNorm2d(6), ReLU(), Flatten(), Linear(216, 8), BatchNorm1d(8))", X),
    "batch norm 3d": ("Sequential(Conv3d(2, 4, 2), BatchNorm3d(4, momentum=None), ReLU(), Conv3d(4, 2, 1))", V),
    "sync batch norm": ("Sequential(Conv2d(3, 6, 3), SyncBatchNorm(6), ReLU(), Conv2d(6, 2, 1))", X),
    "instance norm": ("Sequential(Conv2d(3, 6, 3), InstanceNorm2d(6, affine=True), ReLU(), Conv2d(6, 2, 1))", X),
    "group norm": ("Sequential(Conv2d(3, 6, 3), GroupNorm(3, 6), ReLU(), Conv2d(6, 2, 1))", X),
    "layer norm": ("Sequential(Linear(3, 8), LayerNorm(8), GELU(), Linear(8, 2), LayerNorm(2))", (5, 3)),
    "rms norm": ("Sequential(Linear(3, 8), RMSNorm(8), SiLU(), Linear(8, 2))", (5, 3)),
    "response norms": ("Sequential(Conv2d(3, 6, 3), LocalResponseNorm(3, 0.1), Conv2d(6, 5, 1), "
                       "CrossMapLRN2d(3, 0.1))", X),
    "dropout": ("Sequential(Linear(3, 64), Dropout(0.5), Linear(64, 64), AlphaDropout(0.2), Linear(64, 2))", (5, 3)),
    "channel dropout": ("Sequential(Conv2d(3, 8, 3), Dropout2d(0.3), FeatureAlphaDropout(0.2), Conv2d(8, 2, 1))", X),
    "dropout in evaluation": ("Sequential(Linear(3, 8), Dropout(0.5), Linear(8, 2)).eval()", (5, 3)),
    "embedding": ("Sequential(Embedding(7, 4, padding_idx=2), Linear(4, 2))", ((5, 3), 7)),
    "limited embedding": ("Sequential(Embedding(7, 4, max_norm=1.0), Linear(4, 2))", ((5, 3), 7)),
    "pixel shuffle": ("Sequential(Conv2d(3, 8, 3), PixelShuffle(2), Conv2d(2, 2, 3), PixelUnshuffle(2), "
                      "ChannelShuffle(2))", X),
    "upsampling": ("Sequential(Conv2d(3, 4, 3), Upsample(scale_factor=2, mode='bilinear'), Conv2d(4, 2, 3), "
                   "UpsamplingNearest2d(scale_factor=2))", X),
    "bicubic": ("Sequential(Conv2d(3, 2, 3), Upsample(size=(9, 7), mode='bicubic', align_corners=True))", X),
    "padding": ("Sequential(ReflectionPad2d(1), Conv2d(3, 4, 3), ReplicationPad2d(2), Conv2d(4, 2, 3), ZeroPad2d(1), "
                "CircularPad2d(1), ConstantPad2d(1, 0.5), Conv2d(2, 2, 3))", X),
    "folding": ("Sequential(Conv2d(3, 2, 3), Unfold(2, stride=2), Linear(9, 9), Fold((6, 6), 2, stride=2))", X),
    "flattening": ("Sequential(Flatten(), Linear(192, 8), Unflatten(1, (2, 4)), Linear(4, 2))", X),
    "distances": ("CosineSimilarity()", (5, 3), 2),
    "lazy": ("Sequential(LazyConv2d(4, 3), LazyBatchNorm2d(), ReLU(), Flatten(), LazyLinear(2))", X),
    "glu": ("Sequential(Linear(3, 8), GLU(), Linear(4, 2))", (5, 3)),
    "prelu": ("Sequential(Linear(3, 8), PReLU(8), Linear(8, 2), PReLU())", (5, 3)),
    "rrelu": ("Sequential(Linear(3, 8), RReLU(), Linear(8, 2))", (5, 3)),
    "softmaxes": ("Sequential(Linear(3, 8), Softmax(1), Linear(8, 8), LogSoftmax(1), Linear(8, 2), Softmin(1))", (5, 3)),
    "softmax of images": ("Sequential(Conv2d(3, 4, 3), Softmax2d(), Conv2d(4, 2, 1))", X),
    "containers": ("Sequential(OrderedDict(a=Linear(3, 8), b=ReLU(), c=Linear(8, 2)))", (5, 3)),
    **{name: (f"Sequential(Linear(3, 8), {name}, Linear(8, 2))", (5, 3)) for name in (
        "CELU()", "ELU(0.5)", "GELU('tanh')", "Hardshrink()", "Hardsigmoid()", "Hardswish()", "Hardtanh()", "Identity()",
        "LeakyReLU()", "LogSigmoid()", "Mish()", "ReLU6()", "SELU()", "Sigmoid()", "Softplus()", "Softshrink(0.1)",
        "Softsign()", "Tanh()", "Tanhshrink()", "Threshold(0.1, 0.2)")},
}  # fmt: skip


def numbers(t, shape, seed: int):
    """Normal numbers, or integers where the shape comes with how many there are."""
    rng = np.random.default_rng(seed)
    if isinstance(shape[0], tuple):
        return t.from_numpy(rng.integers(0, shape[1], shape[0]))
    return t.from_numpy(rng.normal(size=shape).astype("float32"))


def network(t, text: str):
    """A network from its expression."""
    from collections import OrderedDict

    return eval(text, {**vars(t.nn), "OrderedDict": OrderedDict})


def trained(t, text: str, shape, inputs: int = 1) -> list[float]:
    """The losses of training a network towards a fixed output."""
    t.manual_seed(0)
    model = network(t, text)
    given = [numbers(t, shape, i) for i in range(inputs)]
    if inputs == 2 and not list(model.parameters()):
        model = Both(t, model)
    model(*given)
    wanted = numbers(t, tuple(model(*given).shape), 5)
    optimizer = t.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = ((model(*given) - wanted) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def Both(t, layer):
    """A layer without parameters of two inputs, after a linear one."""

    class Model(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.layer = t.nn.Linear(3, 4), layer

        def forward(self, a, b):
            return self.layer(self.first(a), self.first(b))

    return Model()


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    ours, theirs = (trained(t, *NETWORKS[name]) for t in (rushlight, torch))
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=1e-6)
    assert theirs[-1] < theirs[0] or "ropout" in name or "RReLU" in name or name == "fractional pool"


CLASSES, SIGNS = ((6,), 4), ((6,), 2)
# A loss, the shapes of its targets, and how many outputs of the network it takes.
LOSSES = {
    "CrossEntropyLoss()": (CLASSES,), "CrossEntropyLoss(label_smoothing=0.1)": (CLASSES,),
    "NLLLoss()": (CLASSES,), "MultiMarginLoss()": (CLASSES,), "MSELoss()": ((6, 4),), "L1Loss()": ((6, 4),),
    "SmoothL1Loss()": ((6, 4),), "HuberLoss()": ((6, 4),), "PoissonNLLLoss()": ((6, 4),),
    "BCEWithLogitsLoss()": (((6, 4), 2),), "MultiLabelSoftMarginLoss()": (((6, 4), 2),),
    "SoftMarginLoss()": (((6, 4), 2),), "HingeEmbeddingLoss()": (((6, 4), 2),),
    "MultiLabelMarginLoss()": (((6, 4), 4),), "GaussianNLLLoss()": ((6, 4), (6, 4)),
    "KLDivLoss(reduction='batchmean', log_target=True)": ((6, 4),), "CosineEmbeddingLoss()": ((6, 4), SIGNS),
    "MarginRankingLoss()": ((6, 4), ((6, 4), 2)), "TripletMarginLoss()": ((6, 4), (6, 4)),
    "TripletMarginWithDistanceLoss()": ((6, 4), (6, 4)), "BCELoss()": (((6, 4), 2),),
}  # fmt: skip
FLOATS = ("BCEWithLogitsLoss", "MultiLabelSoftMarginLoss", "BCELoss")
SIGNED = ("SoftMarginLoss", "HingeEmbeddingLoss", "CosineEmbeddingLoss", "MarginRankingLoss")


def classified(t, name: str) -> list[float]:
    """The losses of training a small network with a loss."""
    t.manual_seed(1)
    kind = name.split("(")[0]
    last = (
        ", LogSoftmax(1)" if kind in ("NLLLoss", "KLDivLoss") else ", Sigmoid()" if kind == "BCELoss" else ""
    )
    model, loss = network(t, f"Sequential(Linear(3, 8), Tanh(), Linear(8, 4){last})"), network(t, name)
    targets = [numbers(t, shape, 7 + i) for i, shape in enumerate(LOSSES[name])]
    if kind in FLOATS:
        targets[-1] = targets[-1].float()
    if kind in SIGNED:
        targets[-1] = targets[-1].float() * 2 - 1
    if kind == "GaussianNLLLoss":
        targets[-1] = targets[-1] ** 2 + 0.1
    optimizer = t.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        found = loss(model(numbers(t, (6, 3), 2)), *targets)
        found.backward()
        optimizer.step()
        losses.append(found.item())
    return losses


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    ours, theirs = (classified(t, name) for t in (rushlight, torch))
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=1e-6)
    assert theirs[-1] < theirs[0]


def test_spatial_transformer():
    losses = []
    for t in (rushlight, torch):
        t.manual_seed(2)
        theta = t.nn.Parameter(t.tensor([[[0.83, 0.17, 0.11], [-0.13, 0.91, 0.03]]] * 4))
        images, wanted = numbers(t, X, 0), numbers(t, X, 1)
        optimizer, found = t.optim.SGD([theta], lr=0.05), []
        for _ in range(STEPS):
            optimizer.zero_grad()
            grid = t.nn.functional.affine_grid(theta, X, align_corners=False)
            sampled = t.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
            loss = ((sampled - wanted) ** 2).mean()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        losses.append(found)
    np.testing.assert_allclose(*losses, rtol=TOLERANCE)

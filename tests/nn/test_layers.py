"""Every layer against PyTorch: printed form, state, first values, outputs, gradients, statistics."""

import inspect
import warnings

import numpy as np
import pytest

import rushlight
import rushlight.nn

torch = pytest.importorskip("torch")

# The layer, and the shapes of its inputs; a string is a class index below that number.
LAYERS = [
    ("Identity()", (2, 3)), ("Identity(3, x=2)", (2, 3)), ("Linear(3, 4)", (2, 3)), ("Linear(3, 4)", (3,)),
    ("Linear(3, 4, bias=False)", (2, 5, 3)), ("Linear(3, 4, dtype=t.float64)", None),
    ("Bilinear(2, 3, 4)", (5, 2), (5, 3)), ("Bilinear(2, 3, 4, bias=False)", (5, 2), (5, 3)),
    ("LazyLinear(3)", (2, 4)), ("LazyLinear(3, False)", (2, 4)),
    ("Conv1d(2, 4, 3)", (2, 2, 7)), ("Conv1d(2, 4, 3)", (2, 7)), ("Conv2d(2, 4, 3, padding=1)", (2, 2, 6, 5)),
    ("Conv2d(2, 4, (3, 5), stride=2, dilation=2, groups=2, bias=False)", (2, 2, 12, 13)),
    ("Conv2d(2, 4, 3, padding='same')", (2, 2, 6, 5)), ("Conv2d(2, 4, 3, padding='valid')", (2, 2, 6, 5)),
    ("Conv2d(2, 4, 3, padding=1, padding_mode='reflect')", (2, 2, 6, 5)),
    ("Conv2d(2, 4, 3, padding=(2, 1), padding_mode='replicate')", (2, 2, 6, 5)),
    ("Conv2d(2, 4, (4, 2), padding='same', padding_mode='circular', dilation=(1, 2))", (2, 2, 6, 5)),
    ("Conv1d(2, 4, 3, padding=2, padding_mode='circular')", (2, 2, 7)),
    ("Conv3d(2, 4, 3, padding=(1, 0, 1))", (1, 2, 4, 5, 4)), ("ConvTranspose1d(2, 4, 3)", (2, 2, 7)),
    ("ConvTranspose2d(4, 2, 3, 2, 1, 1, groups=2)", (2, 4, 4, 3)),
    ("ConvTranspose2d(4, 2, 3, bias=False)", (4, 4, 3)),
    ("ConvTranspose3d(2, 4, 3, dilation=2)", (1, 2, 3, 3, 3)), ("LazyConv2d(3, 3)", (2, 2, 5, 5)),
    ("LazyConv1d(3, 3, padding=1)", (2, 2, 5)), ("LazyConvTranspose2d(3, 3)", (2, 2, 5, 5)),
    ("BatchNorm1d(3)", (4, 3)), ("BatchNorm1d(3)", (4, 3, 5)),
    ("BatchNorm2d(3, momentum=None)", (2, 3, 4, 4)), ("BatchNorm2d(3, momentum=0.3, eps=0.1)", (2, 3, 4, 4)),
    ("BatchNorm3d(3, affine=False)", (2, 3, 2, 3, 2)),
    ("BatchNorm2d(3, track_running_stats=False)", (2, 3, 4, 4)), ("BatchNorm2d(3, bias=False)", (2, 3, 4, 4)),
    ("LazyBatchNorm2d()", (2, 3, 4, 4)), ("LazyBatchNorm1d(affine=False)", (4, 3)),
    ("InstanceNorm1d(3)", (2, 3, 5)),
    ("InstanceNorm2d(3, affine=True, track_running_stats=True)", (2, 3, 4, 4)),
    ("InstanceNorm3d(3)", (2, 3, 2, 3, 2)), ("InstanceNorm1d(3, affine=True)", (3, 5)),
    ("LazyInstanceNorm2d()", (2, 3, 4, 4)), ("LayerNorm(3)", (2, 3)),
    ("LayerNorm([3, 4], bias=False)", (2, 3, 4)), ("LayerNorm((3,), elementwise_affine=False)", (2, 3)),
    ("GroupNorm(2, 4)", (2, 4, 3)), ("GroupNorm(2, 4, affine=False)", (2, 4, 3, 3)), ("RMSNorm(4)", (2, 4)),
    ("RMSNorm((2, 3), eps=1e-3, elementwise_affine=False)", (4, 2, 3)),
    ("LocalResponseNorm(2)", (2, 4, 3, 3)), ("Dropout()", (5, 6)), ("Dropout(0.2, True)", (5, 6)),
    ("Dropout1d()", (2, 3, 4)), ("Dropout2d(0.3)", (2, 3, 4, 4)), ("Dropout3d()", (2, 3, 2, 2, 2)),
    ("AlphaDropout()", (5, 6)), ("FeatureAlphaDropout()", (2, 3, 4)), ("Flatten()", (2, 3, 4)),
    ("Flatten(0, 1)", (2, 3, 4)), ("Unflatten(1, (2, 3))", (2, 6)), ("MaxPool1d(2)", (2, 3, 6)),
    ("MaxPool2d(2, 1, 1)", (2, 3, 6, 6)),
    ("MaxPool2d((2, 3), return_indices=True, ceil_mode=True)", (2, 3, 5, 5)),
    ("MaxPool3d(2, dilation=2)", (1, 2, 5, 5, 5)), ("AvgPool1d(2)", (2, 3, 6)),
    ("AvgPool2d(2)", (2, 3, 6, 6)), ("AvgPool2d((2, 3), 1, (1, 1), count_include_pad=False)", (2, 3, 6, 6)),
    ("AvgPool3d(2)", (1, 2, 4, 4, 4)), ("AvgPool2d(2, divisor_override=3)", (2, 3, 6, 6)),
    ("LPPool1d(2, 3)", (2, 3, 6)), ("LPPool2d(2, (3, 2), stride=(2, 1))", (2, 3, 6, 6)),
    ("LPPool3d(2, 2)", (1, 2, 4, 4, 4)), ("AdaptiveAvgPool1d(5)", (2, 3, 7)),
    ("AdaptiveAvgPool2d((None, 7))", (2, 3, 5, 9)), ("AdaptiveAvgPool3d(2)", (1, 2, 4, 5, 4)),
    ("AdaptiveMaxPool1d(5)", (2, 3, 7)), ("AdaptiveMaxPool2d((2, 3))", (2, 3, 5, 9)),
    ("AdaptiveMaxPool3d(3, True)", (1, 2, 4, 5, 4)), ("ReLU()", (3, 4)), ("ReLU(True)", (3, 4)),
    ("ReLU6(True)", (3, 4)), ("ReLU6()", (3, 4)), ("RReLU()", (3, 4)), ("RReLU(0.1, 0.2, True)", (3, 4)),
    ("Hardtanh()", (3, 4)), ("Hardtanh(-2, 2, True)", (3, 4)), ("Threshold(0.1, 20)", (3, 4)),
    ("Threshold(0.1, 20, True)", (3, 4)), ("Sigmoid()", (3, 4)), ("Tanh()", (3, 4)), ("SiLU()", (3, 4)),
    ("SiLU(True)", (3, 4)), ("Mish(True)", (3, 4)), ("Hardswish(True)", (3, 4)),
    ("Hardsigmoid(True)", (3, 4)), ("ELU()", (3, 4)), ("ELU(0.5, True)", (3, 4)), ("CELU()", (3, 4)),
    ("CELU(0.7)", (3, 4)), ("SELU(True)", (3, 4)), ("SELU()", (3, 4)), ("GLU()", (3, 4)), ("GLU(1)", (3, 4)),
    ("GELU()", (3, 4)), ("GELU('tanh')", (3, 4)), ("Hardshrink()", (3, 4)), ("Hardshrink(1)", (3, 4)),
    ("LeakyReLU()", (3, 4)), ("LeakyReLU(0.2, inplace=True)", (3, 4)), ("LogSigmoid()", (3, 4)),
    ("Softplus()", (3, 4)), ("Softplus(2, 10)", (3, 4)), ("Softshrink()", (3, 4)), ("PReLU()", (3, 4)),
    ("PReLU(4, 0.1)", (3, 4)), ("Softsign()", (3, 4)), ("Tanhshrink()", (3, 4)), ("Softmin(1)", (3, 4)),
    ("Softmax(dim=1)", (3, 4)), ("Softmax()", (3, 4)), ("LogSoftmax()", (3, 4, 2)),
    ("Softmax2d()", (2, 3, 2, 2)), ("LogSoftmax(1)", (3, 4)), ("Softmin()", (3, 4)),
    ("Embedding(10, 3)", ((2, 4), 10)), ("Embedding(10, 3, padding_idx=-1)", ((2, 4), 10)),
    ("Embedding(10, 3, max_norm=1., norm_type=1.)", ((2, 4), 10)),
    ("Embedding(10, 3, scale_grad_by_freq=True)", ((2, 4), 10)), ("Embedding(10, 3, sparse=True)", None),
    ("ZeroPad1d(1)", (2, 3)), ("ZeroPad2d(1)", (2, 3, 3)), ("ZeroPad2d((1, 2, 3, 4))", (1, 2, 3, 3)),
    ("ZeroPad3d(2)", (2, 3, 3, 3)), ("ConstantPad1d(2, 3.5)", (2, 3)), ("ConstantPad2d(2, 1)", (1, 2, 3, 3)),
    ("ConstantPad3d((1, 2, 3, 4, 5, 6), 0)", (1, 2, 3, 3, 3)), ("ReflectionPad1d(2)", (2, 3)),
    ("ReflectionPad2d(2)", (1, 2, 3, 3)), ("ReflectionPad3d(2)", (1, 2, 3, 3, 3)),
    ("ReplicationPad1d(2)", (2, 3)), ("ReplicationPad2d((1, 2, 1, 2))", (1, 2, 3, 3)),
    ("ReplicationPad3d(1)", (1, 2, 3, 3, 3)), ("CircularPad1d(1)", (2, 3)),
    ("CircularPad2d(1)", (1, 2, 3, 3)), ("CircularPad3d(1)", (1, 2, 3, 3, 3)),
    ("Upsample(scale_factor=2)", (1, 2, 3, 3)), ("Upsample(size=(3, 4), mode='bilinear')", (1, 2, 5, 5)),
    ("Upsample(scale_factor=(2, 3), mode='bilinear', align_corners=True)", (1, 2, 3, 3)),
    ("UpsamplingNearest2d(scale_factor=2)", (1, 2, 3, 3)), ("UpsamplingBilinear2d(size=4)", (1, 2, 3, 3)),
    ("CrossMapLRN2d(3, 0.1)", (1, 4, 3, 3)), ("SyncBatchNorm(3)", (4, 3, 5)),
    ("SyncBatchNorm(3, affine=False, momentum=None)", (4, 3, 5, 5)),
    ("FractionalMaxPool2d(2, output_size=3)", (1, 2, 7, 6)),
    ("FractionalMaxPool3d(2, output_ratio=0.5, return_indices=True)", (1, 2, 7, 6, 5)),
    ("PixelShuffle(2)", (1, 8, 3, 3)), ("PixelUnshuffle(2)", (1, 2, 6, 6)),
    ("ChannelShuffle(2)", (1, 4, 3, 3)), ("CosineSimilarity()", (3, 4), (3, 4)),
    ("PairwiseDistance(keepdim=True)", (3, 4), (3, 4)), ("Fold((4, 4), 2)", (1, 12, 9)),
    ("Unfold((2, 3), padding=1)", (1, 2, 4, 4)), ("CrossEntropyLoss()", (3, 4), ((3,), 4)),
    ("CrossEntropyLoss(label_smoothing=0.1, ignore_index=2)", (3, 4), ((3,), 4)),
    ("CrossEntropyLoss(t.tensor([1., 2., 3., 4.]), reduction='sum')", (3, 4), ((3,), 4)),
    ("CrossEntropyLoss(reduction='none')", (3, 4, 2), ((3, 2), 4)), ("NLLLoss()", (3, 4), ((3,), 4)),
    ("NLLLoss(t.tensor([1., 2., 3., 4.]), ignore_index=1)", (3, 4), ((3,), 4)),
    ("MSELoss(reduction='sum')", (3, 4), (3, 4)), ("MSELoss(size_average=False)", (3, 4), (3, 4)),
    ("MSELoss(reduce=False)", (3, 4), (3, 4)), ("MSELoss()", (3, 4), (3, 4)), ("L1Loss()", (3, 4), (3, 4)),
    ("SmoothL1Loss(beta=2)", (3, 4), (3, 4)), ("HuberLoss(delta=0.5)", (3, 4), (3, 4)), ("BCELoss()", None),
    ("BCEWithLogitsLoss()", (3, 4), (3, 4)),
    ("BCEWithLogitsLoss(pos_weight=t.tensor([1., 2., 3., 4.]))", (3, 4), (3, 4)),
    ("KLDivLoss(reduction='sum', log_target=True)", (3, 4), (3, 4)),
    ("KLDivLoss(reduction='batchmean', log_target=True)", (3, 4), (3, 4)), ("PoissonNLLLoss()", (3, 4),
    (3, 4)), ("GaussianNLLLoss()", None), ("SoftMarginLoss()", None), ("HingeEmbeddingLoss(0.5)", (3, 4),
    (3, 4)), ("MultiLabelMarginLoss()", (3, 4), ((3, 4), 4)), ("MultiLabelSoftMarginLoss()", (3, 4), (3, 4)),
    ("MultiMarginLoss()", (3, 4), ((3,), 4)), ("MultiMarginLoss(2, 0.5, t.tensor([1., 2., 3., 4.]))", (3, 4),
    ((3,), 4)), ("MarginRankingLoss(0.1)", (3,), (3,), (3,)), ("CosineEmbeddingLoss()", None),
    ("TripletMarginLoss(swap=True, reduction='sum')", (3, 4), (3, 4), (3, 4)),
    ("TripletMarginWithDistanceLoss()", (3, 4), (3, 4), (3, 4)),
]  # fmt: skip


def made(module, layer: str):
    """The layer of one framework, made after the same seed."""
    module.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old arguments of losses
        return eval(f"nn.{layer}", {"nn": module.nn, "t": module})


def both(layer: str):
    """The layer in both frameworks."""
    return made(rushlight, layer), made(torch, layer)


def same(ours, theirs, what: str, tol: float = 1e-5) -> None:
    """Compare two tensors."""
    assert str(ours.dtype) == str(theirs.dtype), what
    np.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=tol, atol=tol, err_msg=what, strict=True
    )


def flat(result) -> list:
    return [t for part in result for t in flat(part)] if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("layer", [row[0] for row in LAYERS])
def test_prints_and_keeps_the_same(layer):
    ours, theirs = both(layer)
    assert repr(ours) == repr(theirs)
    state, expected = ours.state_dict(), theirs.state_dict()
    assert list(state) == list(expected)
    assert dict(state._metadata) == dict(expected._metadata)
    for name, value in expected.items():
        if type(value).__name__.startswith("Uninitialized"):
            assert repr(state[name]) == repr(value)
        else:
            same(state[name], value, name, 1e-6)
    for name, value in vars(theirs).items():
        if not name.startswith("_") and isinstance(value, int | float | str | tuple | None):
            assert getattr(ours, name) == value, name


def tensors(module, shapes) -> list:
    """Inputs of one framework: float32, but class indices where the shape comes with a number."""
    rng = np.random.default_rng(1)
    inputs = []
    for shape in shapes:
        if isinstance(shape[0], tuple):
            inputs.append(module.from_numpy(rng.integers(0, shape[1], shape[0])))
        else:
            inputs.append(module.from_numpy(rng.normal(size=shape).astype("float32")).requires_grad_())
    return inputs


def run(module, layer, shapes):
    """Outputs, gradients and buffers of a pass in training, and outputs in evaluation."""
    inputs = tensors(module, shapes)
    module.manual_seed(3)
    # A copy for layers that write into their input.
    outputs = flat(layer(*[x * 1 if x.requires_grad else x for x in inputs]))
    total = sum((out * out).sum() for out in outputs if out.requires_grad)
    total.backward()
    leaves = [x for x in inputs if x.requires_grad] + list(layer.parameters())
    results = [*outputs, *[leaf.grad for leaf in leaves], *layer.buffers()]
    layer.eval()
    module.manual_seed(3)
    return results + flat(layer(*[x.detach() for x in tensors(module, shapes)]))


@pytest.mark.filterwarnings(
    "ignore:Implicit dimension choice", "ignore:input's size at dim", "ignore:Lazy modules"
)
@pytest.mark.parametrize(("layer", "shapes"), [(row[0], row[1:]) for row in LAYERS if row[1] is not None])
def test_computes_the_same(layer, shapes):
    ours, theirs = both(layer)
    found, expected = run(rushlight, ours, shapes), run(torch, theirs, shapes)
    assert len(found) == len(expected)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert (a is None) == (b is None), i
        if b is not None:
            same(a, b, f"result {i}")


def test_pooling_and_unpooling():
    x = np.random.default_rng(0).normal(size=(1, 2, 4, 4)).astype("float32")
    results = []
    for t in (rushlight, torch):
        pooled, where = t.nn.MaxPool2d(2, return_indices=True)(t.from_numpy(x))
        results.append(t.nn.MaxUnpool2d(2)(pooled, where, output_size=(1, 2, 5, 5)))
    same(*results, "unpooled")


def test_transposed_convolution_to_a_size():
    ours, theirs = both("ConvTranspose2d(1, 1, 3, stride=2, padding=1)")
    x = np.ones((1, 1, 3, 3), "float32")
    for size in ([6, 6], [1, 1, 5, 6], None):
        same(ours(rushlight.from_numpy(x), size), theirs(torch.from_numpy(x), size), str(size))
    for size in ([9, 9], [5]):
        messages = []
        for layer, t in ((ours, rushlight), (theirs, torch)):
            with pytest.raises(ValueError) as caught:
                layer(t.from_numpy(x), output_size=size)
            messages.append(str(caught.value).split(" (in layer")[0])
        assert messages[0] == messages[1]


def test_losses_of_probabilities():
    rng = np.random.default_rng(0)
    p, y = rng.uniform(0.1, 0.9, (3, 4)).astype("float32"), rng.uniform(0, 1, (3, 4)).astype("float32")
    for layer, args in (
        ("BCELoss()", (p, y)), ("BCELoss(t.tensor([1., 2., 3., 4.]))", (p, y)),
        ("KLDivLoss(reduction='sum')", (p, y)), ("GaussianNLLLoss(full=True)", (p, y, p)),
        ("SoftMarginLoss()", (p, y)), ("CosineEmbeddingLoss(0.1)", (p, y, np.array([1, -1, 1], "float32"))),
        ("PoissonNLLLoss(log_input=False, full=True)", (p, y)),
    ):  # fmt: skip
        ours, theirs = both(layer)
        same(ours(*map(rushlight.from_numpy, args)), theirs(*map(torch.from_numpy, args)), layer)


def test_embedding_from_given_vectors():
    vectors = np.arange(6, dtype="float32").reshape(3, 2)
    for freeze in (True, False):
        tables = [
            t.nn.Embedding.from_pretrained(t.from_numpy(vectors), freeze=freeze) for t in (rushlight, torch)
        ]
        assert repr(tables[0]) == repr(tables[1])
        assert tables[0].weight.requires_grad == tables[1].weight.requires_grad
        same(tables[0](rushlight.tensor([2, 0])), tables[1](torch.tensor([2, 0])), "rows")


WRONG = [
    "Linear()", "Linear(3)", "Linear(-1, 2)", "Linear(2, 3)(t.ones(4, 5))", "Linear(2, 3)(5)",
    "Linear(2, 3)(t.ones(4, 2, dtype=t.float64))", "Linear(2, 3)(t.ones(4, 2, dtype=t.int64))",
    "Bilinear(0, 3, 4)", "Conv2d(3, 4, 3, groups=2)", "Conv2d(4, 3, 3, groups=2)",
    "Conv2d(4, 4, 3, groups=0)", "Conv2d(1, 1, 3, padding='same', stride=2)",
    "Conv2d(1, 1, 3, padding='other')", "Conv2d(1, 1, 3, padding_mode='other')",
    "ConvTranspose2d(1, 1, 3, padding_mode='reflect')", "Conv2d(1, 1)", "Conv2d(3, 1, 3)(t.ones(1, 2, 5, 5))",
    "Conv2d(3, 1, 3)(t.ones(5, 5))", "Conv2d(1, 1, 3)(t.ones(1, 1, 2, 2))", "BatchNorm1d(3)(t.ones(3))",
    "BatchNorm2d(3)(t.ones(2, 3))", "BatchNorm3d(3)(t.ones(2, 3))", "BatchNorm2d(3)(t.ones(2, 4, 2, 2))",
    "BatchNorm1d(3)(t.ones(1, 3))", "InstanceNorm2d(3)(t.ones(2, 2))",
    "InstanceNorm2d(3, affine=True)(t.ones(1, 2, 3, 3))", "InstanceNorm1d(2)(t.ones(1, 2, 1))",
    "GroupNorm(2, 3)", "GroupNorm(2, 4)(t.ones(2, 6))", "LayerNorm(3)(t.ones(2, 4))", "Dropout(1.5)",
    "Dropout(-0.1)", "Unflatten(1, 3)", "Unflatten(1, (2, 'x'))", "Unflatten(1, (2, 2))(t.ones(2, 5))",
    "MaxPool2d(3)(t.ones(1, 1, 2, 2))", "MaxPool2d(2, padding=2)(t.ones(1, 1, 4, 4))",
    "MaxPool2d(2)(t.ones(4))", "AdaptiveAvgPool2d(2)(t.ones(4))", "Hardtanh(2, 1)",
    "GELU('other')(t.ones(1))", "Softmax(3)(t.ones(2))", "Softmax2d()(t.ones(2))", "PReLU(3)(t.ones(2, 4))",
    "GLU()(t.ones(3))", "Embedding(3, 2, padding_idx=3)", "Embedding(3, 2, _weight=t.ones(2, 2))",
    "Embedding.from_pretrained(t.ones(3))", "Embedding(3, 2)(t.tensor([3]))",
    "Embedding(3, 2)(t.tensor([1.5]))", "HuberLoss(delta='x')", "MultiMarginLoss(p=3)",
    "MultiMarginLoss(weight=t.ones(2, 2))", "TripletMarginLoss(margin=0)",
    "TripletMarginWithDistanceLoss(margin=0)", "CrossEntropyLoss()(t.ones(2, 3), t.tensor([3, 0]))",
    "CrossEntropyLoss()(t.ones(2, 3), t.tensor([0]))",
    "CrossEntropyLoss(reduction='x')(t.ones(2, 3), t.tensor([0, 1]))", "NLLLoss()(t.ones(2, 3), t.ones(2))",
    "BCELoss()(t.ones(2), t.ones(3))", "BCELoss()(t.tensor([2.]), t.tensor([1.]))",
    "ReflectionPad2d(5)(t.ones(1, 3, 3))", "CircularPad1d(1)(t.ones(2))",
    "Upsample(scale_factor=2, size=3)(t.ones(1, 1, 2))",
    "Upsample(scale_factor=2, mode='bilinear')(t.ones(1, 1, 2))", "PixelShuffle(2)(t.ones(1, 3, 2, 2))",
    "LazyConv2d(3, 3)(t.ones(2))", "Parameter([1.0])", "Parameter(t.tensor([1]))", "ReLU(1, 2)", "ReLU()(5)",
    "ReLU()()", "SyncBatchNorm(3)(t.ones(3))", "FractionalMaxPool2d(2)",
    "FractionalMaxPool2d(2, 3, 0.5)", "FractionalMaxPool2d(2, output_ratio=2)", "FractionalMaxPool3d(0, 2)",
    "CrossMapLRN2d(2)(t.ones(3))", "LinearCrossEntropyLoss(2, 3, label_smoothing=2)", "Flatten()(t.ones(2), 3)",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("wrong", WRONG)
def test_refuses_the_same(wrong):
    errors = []
    for module in (rushlight, torch):
        with pytest.raises(Exception) as caught:
            made(module, wrong)
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1]), f"{errors[0]!r}, PyTorch's {errors[1]!r}"


NOT_YET = {
    "AdaptiveLogSoftmaxWithLoss", "CTCLoss", "EmbeddingBag",
    "MultiheadAttention", "Transformer", "TransformerDecoder", "TransformerDecoderLayer",
    "TransformerEncoder", "TransformerEncoderLayer",
}  # fmt: skip
CLASSES = sorted(name for name, value in vars(torch.nn).items() if inspect.isclass(value))


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in NOT_YET])
def test_takes_the_same_arguments(name):
    ours, theirs = (
        [(p.name, p.default, p.kind) for p in inspect.signature(getattr(module.nn, name)).parameters.values()]
        for module in (rushlight, torch)
    )
    if [p[0] for p in theirs] != ["args", "kwargs"]:  # Module's own, which takes none
        assert ours == theirs

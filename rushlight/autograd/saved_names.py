"""PyTorch's names of what nodes keep: `y.grad_fn._saved_self`. Numbers and shapes (`_saved_dim`) have no such name here."""

from functools import cache

_KEPT = {
    "self": """Abs Acos Acosh Aminmax Asin Asinh Atan Atanh Celu Clamp1 ClampMax ClampMin Cos Cosh Digamma Elu Erf Erfc
        Gelu Glu Hardshrink Hardsigmoid Hardswish Hardtanh I0 LeakyRelu Lgamma LinalgMatrixExp Log Log10 Log1P Log2
        LogSigmoid Logit Mish NanToNum Nansum Pow PreluKernel Renorm Silu Sin Sinc Sinh Softplus Softshrink
        SpecialEntr SpecialI0E SpecialI1 SpecialLogNdtr Threshold Var""",
    "result": """Cdist Dist Exp Exp2 Expm1 LogSoftmax Reciprocal Relu Rsqrt Sigmoid Softmax SpecialNdtri Sqrt Tan
        Tanh""",
    "result self": """Amax Amin Cumprod LinalgVectorNorm Logcumsumexp Logsumexp Max1 Median Min1 Prod Std""",
    "self other": "Atan2 Div Fmax Fmin Hypot Logaddexp Logaddexp2 Maximum Minimum Mul Xlogy",
    "self exponent": "Pow1",
    "self target": "BinaryCrossEntropy BinaryCrossEntropyWithLogits HuberLoss MseLoss SmoothL1Loss",
    "self target weight": "NllLoss",
    "self mat2": "Bmm Mm",
    "self tensor": "Dot",
    "self vec": "Mv",
    "mat1 mat2": "Addmm",
    "batch1 batch2": "Baddbmm",
    "input weight": "Convolution NativeBatchNorm NativeGroupNorm",
    "input weight bias": "NativeLayerNorm",
    "input grid": "GridSampler2D",
    "result1": "AdaptiveMaxPool2D MaxPool2DWithIndices",
    "index": "Gather IndexSelect Scatter Take",
    "indices": "Embedding",
    "mask": "MaskedFill MaskedSelect",
    "condition": "Where",
    "inverse": "LinalgInvEx",
    "result A": "LinalgDet LinalgSolveEx",
    "sign A": "LinalgSlogdet",
    "L": "LinalgCholeskyEx",
    "Q R": "LinalgQr",
    "U S Vh": "LinalgSvd",
    "eigenvalues eigenvectors": "LinalgEigh",
}
_NAMES = {
    f"{kind[:-1]}Backward1"
    if kind in ("Clamp1", "Max1", "Min1", "Pow1")
    else f"{kind}Backward0": names.split()
    for names, kinds in _KEPT.items()
    for kind in kinds.split()
}
_OUTPUTS = {
    "result",
    "result1",
    "inverse",
    "L",
    "Q",
    "R",
    "U",
    "S",
    "Vh",
    "eigenvalues",
    "eigenvectors",
    "sign",
}


@cache
def pack_order(name: str, count: int) -> tuple:
    """In which order hooks see what a node of this name keeps: inputs by PyTorch's names, then outputs."""
    names = _NAMES.get(name, ())
    if len(names) != count:
        return tuple(range(count))
    return tuple(sorted(range(count), key=lambda i: (names[i] in _OUTPUTS, names[i])))


def saved_attributes(name: str) -> dict[str, property]:
    """What a class of nodes of this name has beside its own: a property for each tensor that it keeps."""
    return {f"_saved_{kept}": _property(kept, i) for i, kept in enumerate(_NAMES.get(name, ()))}


def _property(kept: str, number: int) -> property:
    def read(node):
        tensors = node.unpack()
        if number >= len(tensors):
            raise AttributeError(f"{node.name()} keeps no {kept!r} here: its gradient needs none")
        if kept in ("result", "inverse", "L"):
            return node.unpack_output()
        t = tensors[number]
        if t is not None and type(t._node).__name__ == "AliasBackward0" and not t._node.edges[0].is_node:
            return t.detach().requires_grad_()  # a leaf that hooks gave back looks like a leaf
        return t

    return property(read, doc=f"The {kept!r} that the gradient needs.")

"""Every differentiable operation, by family; importing them makes them Tensor methods."""

from rushlight.ops import (  # noqa: F401
    activation,
    addmm,
    attention,
    calculus,
    classification,
    comparison,
    complex_parts,
    contraction,
    conv,
    convert,
    creation,
    ctc,
    cumulative,
    data,
    decompositions,
    distance,
    dropout,
    einsum,
    elementwise,
    embedding,
    embedding_bag,
    extremum,
    fft,
    fractional_pooling,
    functions_of_two,
    gather,
    grid,
    identity,
    index_ops,
    indexing,
    joining,
    least_squares,
    linalg,
    linear,
    loss,
    low_rank,
    lu,
    masks,
    matrix_functions,
    multihead,
    normalization,
    padding,
    parts,
    pooling,
    positions,
    python_functions,
    random,
    ranking,
    rearranging,
    recurrent,
    reduction,
    resize,
    scatter_reduce,
    searching,
    shape,
    softmax,
    solve,
    sorting,
    sparse,
    sparse_csr,
    sparse_math,
    sparse_mm,
    sparse_shape,
    special,
    special_sampling,
    spectral,
    splitting,
    statistics,
    triangular,
    unary,
    view_scatter,
    weight_norm,
    windows,
)
from rushlight.ops.aten_names import aten  # noqa: F401


class OpNamespace:
    """The operators of one namespace, as attributes: those that `torch.library` added."""

    def __init__(self, name: str):
        self.name = name

    def __getattr__(self, name: str):
        raise AttributeError(f"'_OpNamespace' '{self.name}' object has no attribute '{name}'")


_namespaces: dict[str, OpNamespace] = {}


def namespace(name: str) -> OpNamespace:
    """A namespace of operators of the user's own, made when it is first asked for."""
    return _namespaces.setdefault(name, OpNamespace(name))


def __getattr__(name: str) -> OpNamespace:
    if name in _namespaces:
        return _namespaces[name]
    raise AttributeError(
        f"module 'rushlight.ops' has no attribute {name!r}: no operator of that namespace was defined"
    )

"""Rushlight: a small, fast deep-learning framework for the CPU that speaks PyTorch's API.

import rushlight as torch
"""

import sys
from importlib import import_module
from math import (
    e,
    inf,
    nan,
    pi,
)
from typing import TYPE_CHECKING

from rushlight import (
    accelerator,
    amp,
    autograd,
    backends,
    compiler,
    cpu,
    cuda,
    fft,
    func,
    jit,
    linalg,
    mps,
    multiprocessing,
    nn,
    optim,
    profiler,
    random,
    return_types,
    serialization,
    signal,
    sparse,
    special,
    storage,
    testing,
    torch_version,
    utils,
    version,
    xpu,
)
from rushlight.amp import (
    GradScaler,
    autocast,
)
from rushlight.amp.state import (
    autocast_decrement_nesting,
    autocast_increment_nesting,
    clear_autocast_cache,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    get_autocast_gpu_dtype,
    is_autocast_cache_enabled,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
    set_autocast_cache_enabled,
    set_autocast_cpu_dtype,
    set_autocast_cpu_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
    set_autocast_gpu_dtype,
)
from rushlight.aten import (
    alpha_dropout,
    alpha_dropout_,
    batch_norm,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    ctc_loss,
    dropout,
    dropout_,
    embedding,
    embedding_bag,
    embedding_renorm_,
    feature_alpha_dropout_,
    feature_dropout_,
    hinge_embedding_loss,
    instance_norm,
    kl_div,
    margin_ranking_loss,
    poisson_nll_loss,
    triplet_margin_loss,
)
from rushlight.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from rushlight.autograd.anomaly_mode import (
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_anomaly_enabled,
)
from rushlight.autograd.grad_mode import (
    is_inference_mode_enabled,
)
from rushlight.compiler import compile
from rushlight.config import (
    _assert,
    _assert_async,
    _check,
    _check_index,
    _check_is_size,
    _check_not_implemented,
    _check_tensor_all,
    _check_type,
    _check_value,
    _check_with,
    are_deterministic_algorithms_enabled,
    finfo,
    get_default_device,
    get_deterministic_debug_mode,
    get_device_module,
    get_float32_matmul_precision,
    get_num_interop_threads,
    get_num_threads,
    iinfo,
    is_deterministic_algorithms_warn_only_enabled,
    is_warn_always_enabled,
    set_default_device,
    set_default_tensor_type,
    set_deterministic_debug_mode,
    set_float32_matmul_precision,
    set_flush_denormal,
    set_num_interop_threads,
    set_num_threads,
    set_warn_always,
    typename,
    use_deterministic_algorithms,
)
from rushlight.devices import (
    AcceleratorError,
    OutOfMemoryError,
    Size,
    channels_last,
    channels_last_3d,
    contiguous_format,
    device,
    jagged,
    layout,
    memory_format,
    preserve_format,
    sparse_coo,
    sparse_csr,
    strided,
)
from rushlight.dtypes import (
    bfloat16,
    can_cast,
    cdouble,
    cfloat,
    chalf,
    complex32,
    complex64,
    complex128,
    double,
    dtype,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    float8_e8m0fnu,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    set_default_dtype,
    short,
    uint8,
    uint16,
    uint32,
    uint64,
)
from rushlight.dtypes import bool_ as bool
from rushlight.dtypes import float_ as float
from rushlight.dtypes import int_ as int
from rushlight.func import (
    vmap,
)
from rushlight.jit import fork, wait
from rushlight.nn.functional import celu_, rrelu_, selu_, threshold_
from rushlight.nn.utils.rnn import _pack_padded_sequence, _pad_packed_sequence
from rushlight.ops.activation import (
    celu,
    hardshrink,
    prelu,
    rrelu,
    selu,
    threshold,
)
from rushlight.ops.addmm import (
    addbmm,
    addmm,
    addmv,
    addr,
    baddbmm,
)
from rushlight.ops.calculus import cumulative_trapezoid, gradient, trapezoid
from rushlight.ops.calculus import trapezoid as trapz
from rushlight.ops.common import (
    result_type,
)
from rushlight.ops.comparison import (
    addcdiv,
    addcmul,
    allclose,
    bitwise_and,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    clamp,
    clamp_max,
    clamp_min,
    eq,
    equal,
    ge,
    gt,
    isclose,
    isfinite,
    isinf,
    isnan,
    isneginf,
    isposinf,
    isreal,
    le,
    lerp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    nan_to_num,
    ne,
    signbit,
    where,
)
from rushlight.ops.comparison import clamp as clip
from rushlight.ops.comparison import ge as greater_equal
from rushlight.ops.comparison import gt as greater
from rushlight.ops.comparison import le as less_equal
from rushlight.ops.comparison import lt as less
from rushlight.ops.comparison import ne as not_equal
from rushlight.ops.complex_parts import (
    adjoint,
    angle,
    conj,
    conj_physical,
    imag,
    is_conj,
    is_neg,
    real,
    resolve_conj,
    resolve_neg,
    view_as_complex,
    view_as_real,
)
from rushlight.ops.contraction import (
    chain_matmul,
    cross,
    inner,
    kron,
    tensordot,
    trace,
)
from rushlight.ops.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_tbc,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from rushlight.ops.convert import (
    clone,
)
from rushlight.ops.creation import (
    arange,
    complex,
    empty,
    empty_like,
    empty_permuted,
    empty_strided,
    eye,
    full,
    full_like,
    linspace,
    logspace,
    ones,
    ones_like,
    polar,
    range,
    scalar_tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from rushlight.ops.cumulative import (
    cumprod,
    cumsum,
    diff,
    logcumsumexp,
)
from rushlight.ops.data import (
    BFloat16Tensor,
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    as_tensor,
    asarray,
    from_dlpack,
    from_numpy,
    frombuffer,
    is_tensor,
    numel,
    tensor,
)
from rushlight.ops.decompositions import cholesky, qr, svd
from rushlight.ops.distance import (
    cdist,
    cosine_similarity,
    dist,
    frobenius_norm,
    norm,
    nuclear_norm,
    pairwise_distance,
    pdist,
    renorm,
)
from rushlight.ops.dropout import (
    feature_alpha_dropout,
    feature_dropout,
)
from rushlight.ops.einsum import (
    einsum,
)
from rushlight.ops.elementwise import (
    add,
    atan2,
    div,
    floor_divide,
    fmax,
    fmin,
    fmod,
    hypot,
    maximum,
    minimum,
    mul,
    pow,
    remainder,
    rsub,
    sub,
    true_divide,
)
from rushlight.ops.elementwise import atan2 as arctan2
from rushlight.ops.elementwise import div as divide
from rushlight.ops.elementwise import mul as multiply
from rushlight.ops.elementwise import sub as subtract
from rushlight.ops.extremum import (
    amax,
    amin,
    aminmax,
    argmax,
    argmin,
    cummax,
    cummin,
    max,
    median,
    min,
    mode,
    nanmedian,
)
from rushlight.ops.foreach import FOREACH as _FOREACH
from rushlight.ops.functions_of_two import (
    copysign,
    deg2rad,
    float_power,
    gcd,
    heaviside,
    lcm,
    ldexp,
    logaddexp,
    logaddexp2,
    nextafter,
    rad2deg,
)
from rushlight.ops.gather import (
    gather,
    scatter,
    scatter_add,
    take_along_dim,
)
from rushlight.ops.grid import (
    affine_grid_generator,
    grid_sampler,
    grid_sampler_2d,
    grid_sampler_3d,
)
from rushlight.ops.identity import is_inference, is_nonzero, is_same_size
from rushlight.ops.index_ops import (
    index_add,
    index_copy,
    index_fill,
    index_put,
    index_select,
    put,
    take,
)
from rushlight.ops.indexing import (
    fill,
)
from rushlight.ops.joining import (
    block_diag,
    cartesian_prod,
    cat,
    column_stack,
    combinations,
    dstack,
    hstack,
    meshgrid,
    stack,
    vstack,
)
from rushlight.ops.joining import cat as concat
from rushlight.ops.joining import cat as concatenate
from rushlight.ops.joining import vstack as row_stack
from rushlight.ops.least_squares import pinverse
from rushlight.ops.linalg import (
    bmm,
    dot,
    matmul,
    mm,
    mv,
    outer,
    vdot,
)
from rushlight.ops.linalg import mm as spmm
from rushlight.ops.linalg import outer as ger
from rushlight.ops.linear import (
    bilinear,
)
from rushlight.ops.loss import (
    xlogy,
)
from rushlight.ops.low_rank import eig, lobpcg, lstsq, matrix_rank, pca_lowrank, solve, svd_lowrank, symeig
from rushlight.ops.lu import lu, lu_solve, lu_unpack
from rushlight.ops.masks import (
    masked_fill,
    masked_scatter,
    masked_select,
)
from rushlight.ops.matrix_functions import decreasing_vander as vander
from rushlight.ops.matrix_functions import geqrf, matrix_power, orgqr, ormqr
from rushlight.ops.matrix_functions import linalg_matrix_exp as matrix_exp
from rushlight.ops.normalization import (
    group_norm,
    layer_norm,
    rms_norm,
)
from rushlight.ops.padding import (
    constant_pad_nd,
)
from rushlight.ops.parts import (
    as_strided,
    broadcast_shapes,
    broadcast_tensors,
    broadcast_to,
    diagonal,
    narrow,
    select,
)
from rushlight.ops.pooling import (
    adaptive_avg_pool1d,
    adaptive_max_pool1d,
    avg_pool1d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool3d,
)
from rushlight.ops.random import (
    bernoulli,
    multinomial,
    normal,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from rushlight.ops.rearranging import (
    diag,
    diag_embed,
    diagflat,
    flip,
    fliplr,
    flipud,
    repeat_interleave,
    roll,
    rot90,
    tile,
    tril,
    triu,
)
from rushlight.ops.recurrent import (
    gru,
    gru_cell,
    lstm,
    lstm_cell,
    rnn_relu,
    rnn_relu_cell,
    rnn_tanh,
    rnn_tanh_cell,
)
from rushlight.ops.reduction import (
    all,
    any,
    count_nonzero,
    logsumexp,
    mean,
    nanmean,
    nansum,
    prod,
    std,
    std_mean,
    sum,
    var,
    var_mean,
)
from rushlight.ops.resize import (
    channel_shuffle,
    pixel_shuffle,
    pixel_unshuffle,
)
from rushlight.ops.resize import channel_shuffle as native_channel_shuffle
from rushlight.ops.scatter_reduce import (
    index_reduce,
    scatter_reduce,
)
from rushlight.ops.searching import (
    argwhere,
    nonzero,
    nonzero_static,
    unique,
    unique_consecutive,
    unravel_index,
)
from rushlight.ops.segment import segment_reduce
from rushlight.ops.segment import segment_reduce as _segment_reduce
from rushlight.ops.shape import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    flatten,
    movedim,
    permute,
    ravel,
    reshape,
    squeeze,
    swapaxes,
    t,
    transpose,
    unflatten,
    unsqueeze,
)
from rushlight.ops.shape import movedim as moveaxis
from rushlight.ops.shape import transpose as swapdims
from rushlight.ops.softmax import (
    log_softmax,
    softmax,
)
from rushlight.ops.solve import det, inverse, logdet, slogdet
from rushlight.ops.sorting import (
    argsort,
    bincount,
    bucketize,
    histc,
    isin,
    kthvalue,
    msort,
    nanquantile,
    quantile,
    searchsorted,
    sort,
    topk,
)
from rushlight.ops.sparse import sparse_coo_tensor
from rushlight.ops.sparse_csr import (
    _convert_indices_from_coo_to_csr,
    _convert_indices_from_csr_to_coo,
    sparse_csr_tensor,
)
from rushlight.ops.special import i0, igamma, igammac, logit, mvlgamma, polygamma, sinc
from rushlight.ops.special_sampling import (
    _dirichlet_grad,
    _sample_dirichlet,
    _standard_gamma,
    _standard_gamma_grad,
    binomial,
)
from rushlight.ops.spectral import istft, stft
from rushlight.ops.splitting import (
    chunk,
    dsplit,
    hsplit,
    split,
    split_with_sizes,
    tensor_split,
    unbind,
    unsafe_chunk,
    unsafe_split,
    unsafe_split_with_sizes,
    vsplit,
)
from rushlight.ops.statistics import corrcoef, cov, histogram, histogramdd
from rushlight.ops.triangular import cholesky_inverse, cholesky_solve, triangular_solve
from rushlight.ops.unary import (
    abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atanh,
    ceil,
    cos,
    cosh,
    digamma,
    erf,
    erfc,
    erfinv,
    exp,
    exp2,
    expm1,
    floor,
    frac,
    frexp,
    lgamma,
    log,
    log1p,
    log2,
    log10,
    neg,
    positive,
    reciprocal,
    relu,
    round,
    rsqrt,
    sgn,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    tan,
    tanh,
    trunc,
)
from rushlight.ops.unary import abs as absolute
from rushlight.ops.unary import acos as arccos
from rushlight.ops.unary import acosh as arccosh
from rushlight.ops.unary import asin as arcsin
from rushlight.ops.unary import asinh as arcsinh
from rushlight.ops.unary import atan as arctan
from rushlight.ops.unary import atanh as arctanh
from rushlight.ops.unary import neg as negative
from rushlight.ops.unary import trunc as fix
from rushlight.ops.view_scatter import (
    as_strided_scatter,
    diagonal_scatter,
    narrow_copy,
    select_scatter,
    slice_scatter,
)
from rushlight.ops.weight_norm import norm_except_dim
from rushlight.ops.weight_norm import weight_norm as _weight_norm
from rushlight.ops.windows import bartlett_window, blackman_window, hamming_window, hann_window, kaiser_window
from rushlight.printing import (
    set_printoptions,
)
from rushlight.random import (
    Generator,
    default_generator,
    fork_rng,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from rushlight.serialization import (
    load,
    save,
)
from rushlight.storage import (
    BFloat16Storage,
    BoolStorage,
    ByteStorage,
    CharStorage,
    ComplexDoubleStorage,
    ComplexFloatStorage,
    DoubleStorage,
    FloatStorage,
    HalfStorage,
    IntStorage,
    LongStorage,
    ShortStorage,
    TypedStorage,
    UntypedStorage,
    from_file,
    is_storage,
)
from rushlight.streams import Event, Stream
from rushlight.symbolic import SymBool, SymFloat, SymInt
from rushlight.tensor import (
    Tensor,
)

if TYPE_CHECKING:
    from rushlight import distributed, distributions, fx
from rushlight.utils.dlpack import to_dlpack

__version__ = "0.1.0"
newaxis = None
has_lapack = has_spectral = True  # linear algebra and Fourier transforms are there, by NumPy
has_mkl, has_mkldnn, has_openmp = False, backends.mkldnn.is_available(), backends.openmp.is_available()
dsmm = mm
# PyTorch's modules say `import torch`, and annotations out there `torch.torch.Tensor`.
torch = sys.modules[__name__]
globals().update(_FOREACH)
for _public in (Tensor, Size, device, dtype, layout, memory_format):
    _public.__module__ = __name__  # their printed names are PyTorch's: <class '….Tensor'>
detach, get_device = Tensor.detach, Tensor.get_device
is_complex, is_floating_point, is_signed = Tensor.is_complex, Tensor.is_floating_point, Tensor.is_signed

#: The in-place methods that PyTorch also has as functions, `torch.relu_(x)`; here without the last underscore.
_IN_PLACE = """
    abs acos acosh addmv arccos arccosh arcsin arcsinh arctan arctanh as_strided asin asinh atan atanh
    ceil clamp clamp_max clamp_min clip conj_physical cos cosh deg2rad detach erf erfc exp exp2 expm1
    fill fix floor frac gcd i0 index_put lcm ldexp log log10 log1p log2 logit nan_to_num neg negative rad2deg
    reciprocal relu resize_as round rsqrt sigmoid sin sinc sinh sqrt square tan tanh trunc xlogy zero
"""
globals().update({f"{name}_": getattr(Tensor, f"{name}_") for name in _IN_PLACE.split()})

#: Packages that few programs need are imported when they are first named, which keeps the start quick.
_LATER = (
    "_C", "__config__", "_dynamo", "_higher_order_ops", "_tensor", "_tensor_str", "_utils", "distributed",
    "distributions", "functional", "futures", "fx", "hub", "library", "masked", "nested", "onnx", "overrides", "types",
)  # fmt: skip
_CLASSES_LATER = {"Future": "futures", "Tag": "library"}  # and where they are


def __getattr__(name: str):
    if name in _LATER:
        return import_module(f"rushlight.{name}")
    if name in _CLASSES_LATER:
        return getattr(import_module(f"rushlight.{_CLASSES_LATER[name]}"), name)
    raise AttributeError(f"module 'rushlight' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})

"""Which functions have which rule for batches."""

import inspect

import rushlight as torch
from rushlight.func import batch_layers as layers
from rushlight.func import batch_rules as rules_of
from rushlight.func.batched import parameters
from rushlight.nn import functional as F
from rushlight.ops.common import conj, sum_to
from rushlight.tensor import Tensor

_POINTWISE = """
abs absolute acos acosh add addcdiv addcmul alias angle arccos arcsin arctan asin asinh atan atan2 atanh bfloat16 bitwise_and
bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor bool byte cdouble ceil celu cfloat chalf char
clamp clamp_max clamp_min clip clone complex conj conj_physical contiguous copysign cos cosh cpu cuda data deg2rad detach digamma
div divide double elu empty_like eq erf erfc erfcx erfinv exp exp2 expm1 fill fix float float_power floor floor_divide fmax
fmin fmod frac frexp full_like gcd ge gelu greater gt half hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 i0e
i1 i1e igamma igammac imag int isclose isfinite isinf isnan isneginf isposinf isreal lcm ldexp le leaky_relu lerp less
lgamma log log10 log1p log2 log_ndtr logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit
logsigmoid long lt maximum minimum mish mul multiply mvlgamma nan_to_num ndtr ndtri ne neg negative nextafter
not_equal ones_like polar polygamma positive pow rad2deg real reciprocal relu relu6 remainder requires_grad_ resolve_conj
resolve_neg round rsqrt rsub selu sgn short sigmoid sign signbit silu sin sinc sinh softplus softshrink softsign sqrt square
sub subtract tan tanh tanhshrink threshold to true_divide trunc type type_as where xlog1py xlogy zero zeros_like entr
zeta __add__ __sub__ __rsub__ __mul__ __truediv__ __rtruediv__ __floordiv__ __rfloordiv__ __mod__ __rmod__ __pow__ __rpow__
__and__ __or__ __xor__ __lshift__ __rshift__ __lt__ __le__ __gt__ __ge__ __eq__ __ne__
__invert__ __neg__ __abs__ __pos__
"""
_LOSSES = """
binary_cross_entropy binary_cross_entropy_with_logits huber_loss kl_div l1_loss margin_ranking_loss mse_loss
hinge_embedding_loss poisson_nll_loss smooth_l1_loss soft_margin_loss
"""
#: With dimensions among their arguments; without one where it may be left out, they take all elements.
_DIMS = """
all amax amin any argmax argmin argsort count_nonzero cummax cummin cumprod cumsum diff fft.fft fft.hfft fft.ifft fft.ihfft
fft.irfft fft.rfft flip glu kthvalue linalg.vector_norm log_softmax logcumsumexp logsumexp mean median mode nanmean nanmedian
nanquantile nansum norm prod quantile softmax softmin sort std std_mean sum topk var var_mean unfold
chunk diagonal flatten moveaxis movedim narrow select split split_with_sizes squeeze squeeze_multiple swapaxes swapdims
tensor_split transpose unbind unflatten aminmax nuclear_norm frobenius_norm trapezoid
cumulative_trapezoid adjoint mT mH diag_embed unsqueeze transpose_ swapaxes_ squeeze_ unsqueeze_ cumsum_ cumprod_
cat concat concatenate stack gather take_along_dim scatter scatter_add scatter_reduce scatter_ scatter_add_ scatter_reduce_
logsoftmax select_scatter slice_scatter diagonal_scatter linalg.vecdot
linalg.cross cosine_similarity normalize
"""
_SIZES = "view reshape expand broadcast_to repeat tile permute new_empty new_ones new_zeros new_full"
#: They work on the last dimensions, as many as stands here, and take any others as a batch.
_LAST = {
    1: "polyval vander",
    2: """
cholesky cholesky_inverse det inverse linalg.cholesky linalg.cond linalg.det linalg.eig linalg.eigh linalg.eigvals
linalg.eigvalsh linalg.inv linalg.matrix_exp linalg.matrix_power linalg.matrix_rank linalg.pinv linalg.qr linalg.slogdet
linalg.svd linalg.svdvals linalg.solve linalg.inv_ex linalg.cholesky_ex cholesky_solve linalg.solve_triangular logdet
matrix_exp matrix_power pinverse qr slogdet svd tril triu tril_ triu_ mT
""",
}
_FOLDED = {  # they treat the samples of (N, C, ...) alike: dimensions of such an input
    3: """
avg_pool1d adaptive_avg_pool1d adaptive_max_pool1d adaptive_max_pool1d_with_indices max_pool1d max_pool1d_with_indices
lp_pool1d max_unpool1d
""",
    4: """
avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d adaptive_max_pool2d_with_indices max_pool2d max_pool2d_with_indices
lp_pool2d max_unpool2d grid_sample affine_grid pixel_shuffle pixel_unshuffle im2col unfold channel_shuffle
""",
    5: """
avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d adaptive_max_pool3d_with_indices max_pool3d max_pool3d_with_indices
lp_pool3d max_unpool3d
""",
}
_FACTORIES = "rand randn randint randperm"
_RANDOM_LIKE = "rand_like randn_like randint_like bernoulli poisson normal binomial multinomial"
_RANDOM_INPLACE = "uniform_ normal_ random_ bernoulli_ exponential_ cauchy_ geometric_ log_normal_"
_DROPOUT = """
dropout alpha_dropout feature_dropout feature_alpha_dropout dropout1d dropout2d dropout3d rrelu dropout_ alpha_dropout_
feature_dropout_ feature_alpha_dropout_ rrelu_ fractional_max_pool2d fractional_max_pool3d
fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices gumbel_softmax
"""


def _functions(name: str):
    """The functions of this name."""
    space, _, short = name.rpartition(".")
    spaces = [getattr(torch, space)] if space else [torch, Tensor, F, torch.special]
    for holder in spaces:
        found = vars(holder).get(short)
        found = found.fget if isinstance(found, property) else found
        if inspect.isfunction(found):
            yield found


def rules() -> dict:
    """For each function that has one, its rule and whether it is random."""
    table: dict = {}

    def put(names, rule, make: bool = False, random: bool = False) -> None:
        for name in names.split() if isinstance(names, str) else names:
            for f in _functions(name):
                table[f] = (rule(f) if make else rule), random
                parameters(f)  # known from now on, also where a detour hides them

    put(_POINTWISE, rules_of.pointwise)
    put([name + "_" for name in _POINTWISE.split()], rules_of.inplace(rules_of.pointwise))
    put("copy_ __iadd__ __isub__ __imul__ __itruediv__", rules_of.inplace(rules_of.pointwise))
    put(_LOSSES, rules_of.loss)
    for name in _DIMS.split():
        inplace = name.endswith("_")
        put([name], (lambda f: rules_of.inplace(rules_of.dims(f))) if inplace else rules_of.dims, make=True)
    put(_SIZES, rules_of.sizes)
    put("view_as reshape_as", rules_of.as_shape(Tensor.reshape))
    put("expand_as", rules_of.as_shape(Tensor.expand))
    put("t", rules_of.transposed)
    put("T", rules_of.all_reversed)
    put("squeeze", rules_of.squeeze, make=True)
    for count, names in _LAST.items():
        put(names, rules_of.last(count))
    for rank, names in _FOLDED.items():
        put(names, rules_of.folded(rank))
    table[Tensor.unfold] = rules_of.dims(Tensor.unfold), False
    put("interpolate upsample", rules_of.interpolate)
    put("pad", rules_of.pad)
    put("matmul __matmul__", rules_of.matmul)
    put("__rmatmul__", lambda level, call, args, kwargs: rules_of.matmul(level, call, args[::-1], kwargs))
    put("mm", rules_of.product(2, 2))
    put("mv", rules_of.product(2, 1))
    put("dot inner", rules_of.product(1, 1))
    put("bmm", rules_of.product(3, 3))
    put("outer ger", rules_of.outer)
    put("addmm", rules_of.added(torch.mm))
    put("addmv", rules_of.added(torch.mv))
    put("addr", rules_of.added(torch.outer))
    put("baddbmm", rules_of.added(torch.bmm))
    put("addbmm", rules_of.added(lambda x, y: torch.bmm(x, y).sum(0)))
    put("linear", rules_of.linear)
    put("einsum", rules_of.einsum)
    put("tensordot", rules_of.tensordot)
    put("bilinear", rules_of.bilinear)
    for n in (1, 2, 3):
        put([f"conv{n}d"], layers.convolution(n, False))
        put([f"conv_transpose{n}d"], layers.convolution(n, True))
    put("embedding", layers.embedding)
    put("layer_norm", layers.layer_norm)
    put("group_norm", layers.group_norm)
    put("batch_norm", layers.batch_norm, make=True)
    put("max min", rules_of.extremum, make=True)
    put(
        "roll fft.fftn fft.ifftn fft.rfftn fft.irfftn fft.fftshift fft.ifftshift",
        rules_of.over_all_dims,
        make=True,
    )
    put("index_add index_copy", layers.index_write)
    put("index_add_ index_copy_", rules_of.inplace(layers.index_write))
    put("masked_fill", layers.masked_fill)
    put("trace", lambda level, call, args, kwargs: args[0].diagonal().sum(-1))
    put("as_strided", layers.as_strided)
    put("scaled_dot_product_attention", layers.attention)
    put("cross_entropy nll_loss", layers.class_loss)
    put("__getitem__", layers.getitem)
    put("__setitem__", layers.setitem)
    put("index_select", layers.index_select)
    put(_FACTORIES, layers.factory, random=True)
    put(_RANDOM_LIKE, layers.random_like, random=True)
    put(_RANDOM_INPLACE, layers.random_inplace, random=True)
    put(_DROPOUT, layers.dropout, make=True)
    table[sum_to] = (lambda level, call, args, kwargs: _sum_to(*args)), False
    table[conj] = (
        (lambda level, call, args, kwargs: args[0].conj() if args[0].is_complex() else args[0]),
        False,
    )
    return table


def _sum_to(grad: Tensor, shape: tuple) -> Tensor:
    """The gradient of something that was broadcast from `shape`."""
    lead = grad.ndim - len(shape)
    dims = [*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and grad.shape[lead + i] != 1)]
    return (grad.sum(dims, keepdim=True) if dims else grad).reshape(shape)

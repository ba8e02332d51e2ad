"""Attention whose scores and masks are written in Python: `flex_attention`, and masks by blocks.

Source: Dong et al., "Flex Attention: A Programming Model for Generating Optimized Attention Kernels" (2024).
"""

import inspect
import itertools
import math
import warnings
from typing import NamedTuple

from rushlight.dtypes import bool_, int32
from rushlight.dtypes import float32 as single
from rushlight.ops.creation import arange, zeros
from rushlight.tensor import Tensor

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "and_masks", "create_block_mask", "create_mask", "flex_attention",
    "noop_mask", "or_masks",
]  # fmt: skip

_DEFAULT_SPARSE_BLOCK_SIZE = 128  # queries and keys of a block of a mask


class AuxRequest(NamedTuple):
    """What `flex_attention` returns beside its result.

    Attributes:
        lse: the logarithm of the sum of the exponentials of each query's scores.
        max_scores: the largest score of each query.
    """

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What an `AuxRequest` asked for; None where it did not."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


def noop_mask(batch, head, token_q, token_kv) -> Tensor:
    """A mask that hides nothing."""
    return batch.new_ones((), dtype=bool_)


def _joined(mask_mods, start: bool, join):
    if not all(callable(mask) for mask in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")

    def joined(b, h, q_idx, kv_idx):
        result = b.new_full((), start, dtype=bool_)
        for mask in mask_mods:
            result = join(result, mask(b, h, q_idx, kv_idx))
        return result

    return joined


def or_masks(*mask_mods):
    """The union of masks.

    Args:
        mask_mods: functions of batch, head, query and key positions that say which keys are seen.
    """
    return _joined(mask_mods, False, lambda a, b: a | b)


def and_masks(*mask_mods):
    """The intersection of masks.

    Args:
        mask_mods: functions of batch, head, query and key positions that say which keys are seen.
    """
    return _joined(mask_mods, True, lambda a, b: a & b)


def _positions(*sizes: int) -> list[Tensor]:
    """The indices along each of four dimensions, so that they broadcast against each other."""
    return [
        arange(size, dtype=int32).reshape([size if i == at else 1 for i in range(4)])
        for at, size in enumerate(sizes)
    ]


def create_mask(mod_fn, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device=None) -> Tensor:
    """What a mask function says of every place, or where a score function leaves more than minus infinity.

    Args:
        mod_fn: a function of batch, head, query and key positions; of a score before these if it changes scores.
        B: how many samples; None for one.
        H: how many heads; None for one.
        Q_LEN: how many queries.
        KV_LEN: how many keys.
        device: the CPU.
    Returns:
        [B, H, Q_LEN, KV_LEN]: True where a key is seen.

    >>> import rushlight as torch
    >>> torch.nn.attention.flex_attention.create_mask(lambda b, h, q, k: q >= k, None, None, 2, 2)
    tensor([[[[ True, False],
              [ True,  True]]]])
    """
    sizes = (1 if B is None else B, 1 if H is None else H, Q_LEN, KV_LEN)
    taken = [p for p in inspect.signature(mod_fn).parameters.values() if p.default is p.empty]
    if len(taken) == 5:
        score = zeros(sizes, device=device)
        return _whole(mod_fn(score, *_positions(*sizes)), sizes, score) != -math.inf
    if len(taken) != 4:
        raise ValueError(
            f"create_mask: mod_fn takes (b, h, q_idx, kv_idx), or a score before these; this one takes {len(taken)} "
            "arguments"
        )
    return _whole(mod_fn(*_positions(*sizes)), sizes, zeros((), device=device)).contiguous()


def _whole(value, sizes, like: Tensor) -> Tensor:
    """What a function returned, a number or a tensor that broadcasts, at its full size."""
    value = value if isinstance(value, Tensor) else like.new_tensor(value)
    return value.expand(sizes)


class BlockMask:
    """Which blocks of keys each block of queries sees, and the mask inside the blocks that it sees in part.

    Args:
        seq_lengths: how many queries and keys.
        kv_num_blocks: [B, H, rows]: how many blocks each row sees in part.
        kv_indices: [B, H, rows, columns]: which ones these are, first.
        full_kv_num_blocks: the same of blocks that are seen as a whole.
        full_kv_indices: which ones these are, first.
        q_num_blocks: the same by columns.
        q_indices: which rows see a block of keys in part, first.
        full_q_num_blocks: how many see it as a whole.
        full_q_indices: which ones.
        BLOCK_SIZE: queries and keys of a block.
        mask_mod: the mask as a function of batch, head, query and key positions.
    """

    def __init__(
        self, seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, q_num_blocks, q_indices,
        full_q_num_blocks, full_q_indices, BLOCK_SIZE=(128, 128), mask_mod=noop_mask,
    ):  # fmt: skip
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        self.seq_lengths = tuple(seq_lengths)
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.BLOCK_SIZE = tuple(BLOCK_SIZE)
        self.mask_mod = mask_mod

    @classmethod
    def from_kv_blocks(
        cls, kv_num_blocks, kv_indices, full_kv_num_blocks=None, full_kv_indices=None, BLOCK_SIZE=128, mask_mod=None,
        seq_lengths=None, compute_q_blocks=True,
    ):  # fmt: skip
        """The mask of the blocks that each row sees; the other direction follows from it.

        Args:
            kv_num_blocks: [B, H, rows]: how many blocks each row sees in part.
            kv_indices: [B, H, rows, columns]: which ones these are, first.
            full_kv_num_blocks: the same of blocks that are seen as a whole.
            full_kv_indices: which ones these are, first.
            BLOCK_SIZE: queries and keys of a block, one number or two.
            mask_mod: the mask as a function of positions; nothing is hidden by default.
            seq_lengths: how many queries and keys; whole blocks by default.
            compute_q_blocks: whether the other direction is wanted.
        """
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError("full_kv_num_blocks and full_kv_indices must be both provided or omitted")
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
        if seq_lengths is None:
            rows, columns = kv_indices.shape[-2:]
            seq_lengths = (rows * size[0], columns * size[1])
        columns = [None] * 4
        if compute_q_blocks:
            columns[:2] = _ordered(_dense(kv_num_blocks, kv_indices).transpose(-2, -1))
            if full_kv_indices is not None:
                columns[2:] = _ordered(_dense(full_kv_num_blocks, full_kv_indices).transpose(-2, -1))
        return cls(
            seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, *columns, size,
            noop_mask if mask_mod is None else mask_mod,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples, heads, queries and keys."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """How many scores there are, seen or not."""
        return math.prod(self.shape)

    def sparsity(self) -> float:
        """How much is left out, in per cent."""
        blocks = self.kv_num_blocks.sum().item()
        if self.full_kv_num_blocks is not None:
            blocks += self.full_kv_num_blocks.sum().item()
        return 100 * (1 - blocks * math.prod(self.BLOCK_SIZE) / self.numel())

    def to_dense(self) -> Tensor:
        """[B, H, rows, columns]: 1 for the blocks that are seen."""
        dense = _dense(self.kv_num_blocks, self.kv_indices)
        if self.full_kv_num_blocks is not None:
            dense = dense | _dense(self.full_kv_num_blocks, self.full_kv_indices)
        return dense

    def to(self, device):
        """The same mask on a device, of which there is one: the CPU."""
        self.kv_num_blocks.to(device)
        return self

    def __getitem__(self, index):
        """The mask of some samples, heads or rows; its function is gone, as it does not know of the choice."""
        index = (*(index if isinstance(index, tuple) else (index,)), *[slice(None)] * 3)[:3]
        index = tuple(slice(i, i + 1 or None) if isinstance(i, int) else i for i in index)
        chosen = [
            part if part is None else part[index]
            for part in (self.kv_num_blocks, self.kv_indices, self.full_kv_num_blocks, self.full_kv_indices)
        ]
        return BlockMask.from_kv_blocks(
            *chosen, self.BLOCK_SIZE, _of_a_slice, self.seq_lengths, self.q_indices is not None
        )

    def __repr__(self) -> str:
        """Shapes of the parts."""
        parts = [(name, part) for name, part in vars(self).items() if name.endswith(("_blocks", "_indices"))]
        lines = [f"{name}={None if part is None else part.shape}" for name, part in parts]
        lines += [
            f"BLOCK_SIZE={self.BLOCK_SIZE}",
            f"shape={self.shape}",
            f"sparsity={self.sparsity():.2f}%",
            f"mask_mod={getattr(self.mask_mod, '__name__', self.mask_mod)}",
        ]
        return "BlockMask(\n" + "".join(f"    {line},\n" for line in lines[:-1]) + f"    {lines[-1]}\n)"

    def __str__(self) -> str:
        """A picture of the blocks."""
        return (
            f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, \n{self.to_string().strip()}\n)"
        )

    def to_string(self, grid_size=(20, 20), limit: int = 4) -> str:
        """A picture of the blocks: full where all are seen, light where some are.

        Args:
            grid_size: rows and columns of the picture at most; -1 for one per block.
            limit: how many pictures, of as many samples and heads.
        """
        dense = self.to_dense()
        *batch, rows, columns = dense.shape
        most = (rows, columns) if grid_size == -1 else grid_size
        most = (most, most) if isinstance(most, int) else most
        steps = [max(1, -(-count // at_most)) for count, at_most in zip((rows, columns), most, strict=True)]
        pictures = []
        for place in itertools.product(*map(range, batch)):
            if len(pictures) == limit:
                pictures += [
                    "...",
                    "To print out more, set BlockMask.to_string(limit=N)",
                    "You can also index (BlockMask[batch, head]) to choose a specific batch or head",
                ]
                break
            pictures.append(f"{place}\n" + _picture(dense[place], *steps))
        return "\n".join(pictures)


def _picture(dense: Tensor, row_step: int, column_step: int) -> str:
    rows, columns = dense.shape
    text = ""
    for r in range(0, rows, row_step):
        for c in range(0, columns, column_step):
            share = dense[r : r + row_step, c : c + column_step].to(single).mean().item()
            text += ("█" if share == 1 else "░" if share else " ") * 2
        text += "\n"
    return text


def _of_a_slice(b, h, q_idx, kv_idx):
    raise RuntimeError("Cannot use mask_mod from a sliced BlockMask")


def _dense(counts: Tensor, indices: Tensor) -> Tensor:
    """1 in the columns that the first `counts` entries of each row of `indices` name."""
    wanted = (arange(indices.shape[-1]) < counts.unsqueeze(-1)).to(int32)
    return zeros(indices.shape, dtype=int32).scatter(-1, indices.long(), wanted)


def _ordered(dense: Tensor) -> tuple[Tensor, Tensor]:
    """How many columns of each row are 1, and the columns, these first."""
    dense = dense.to(int32)
    return dense.sum(-1).to(int32), dense.argsort(dim=-1, descending=True, stable=True).to(int32)


def create_block_mask(
    mask_mod, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device=None, BLOCK_SIZE=128, _compile=False,
    separate_full_blocks: bool = True,
) -> BlockMask:  # fmt: skip
    """The blocks that a mask leaves, for `flex_attention`.

    Args:
        mask_mod: a function of batch, head, query and key positions, True where a key is seen; it is called once,
            with tensors of positions that broadcast.
        B: how many samples; None if the mask is the same for all.
        H: how many heads; None if the mask is the same for all.
        Q_LEN: how many queries.
        KV_LEN: how many keys.
        device: the CPU.
        BLOCK_SIZE: queries and keys of a block, one number or two.
        _compile: without effect.
        separate_full_blocks: whether blocks without a hidden place are listed apart.

    >>> import rushlight as torch
    >>> flex = torch.nn.attention.flex_attention
    >>> mask = flex.create_block_mask(lambda b, h, q, k: q >= k, None, None, 4, 4, BLOCK_SIZE=2)
    >>> mask.shape, mask.sparsity(), mask.to_dense().tolist()
    ((1, 1, 4, 4), 25.0, [[[[1, 0], [1, 1]]]])
    """
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    rows, columns = -(-Q_LEN // size[0]), -(-KV_LEN // size[1])
    padded = zeros((*mask.shape[:2], rows * size[0], columns * size[1]), dtype=bool_)
    padded[:, :, :Q_LEN, :KV_LEN] = mask
    seen = padded.reshape(*mask.shape[:2], rows, size[0], columns, size[1]).sum((-3, -1))
    full = seen == math.prod(size) if separate_full_blocks else seen < 0
    parts = _ordered((seen > 0) & ~full)
    whole = _ordered(full) if separate_full_blocks else (None, None)
    return BlockMask.from_kv_blocks(*parts, *whole, size, mask_mod, (Q_LEN, KV_LEN))


def flex_attention(
    query, key, value, score_mod=None, block_mask=None, scale=None, enable_gqa=False, return_lse=False,
    kernel_options=None, *, return_aux=None,
):  # fmt: skip
    """Attention with scores changed by a function and places hidden by a mask. Gradients are there on the CPU too.

    Args:
        query: [B, Hq, L, E].
        key: [B, H, S, E].
        value: [B, H, S, Ev].
        score_mod: a function of a score and its batch, head, query and key positions; it is called once with all
            scores, and positions that broadcast against them.
        block_mask: from `create_block_mask`.
        scale: of query @ key; 1 / sqrt(E) by default.
        enable_gqa: whether heads of key and value are shared among Hq / H heads of query each.
        return_lse: deprecated: `return_aux=AuxRequest(lse=True)`.
        kernel_options: without effect.
        return_aux: an `AuxRequest`.
    Returns:
        [B, Hq, L, Ev], with an `AuxOutput` if asked for. Queries that see nothing get zeros.
    Raises:
        ValueError: sizes that don't fit.

    >>> import rushlight as torch
    >>> x = torch.ones(1, 1, 3, 4)
    >>> y = torch.nn.attention.flex_attention.flex_attention(x, x, x, lambda s, b, h, q, k: s - (q - k).abs())
    >>> y.shape
    torch.Size([1, 1, 3, 4])
    """
    _check(query, key, value, block_mask, enable_gqa)
    if return_lse and return_aux is not None:
        raise ValueError(
            "Cannot specify both return_lse and return_aux. return_lse is deprecated, please use "
            "return_aux=AuxRequest(lse=True) instead."
        )
    if return_lse:
        warnings.warn(
            "return_lse is deprecated: use return_aux=AuxRequest(lse=True)", FutureWarning, stacklevel=2
        )
    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    dtype = query.dtype if query.dtype.itemsize > 2 else single
    scores = query.to(dtype) @ key.to(dtype).transpose(-2, -1)
    scores = scores * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    places = _positions(*scores.shape)
    if score_mod is not None:
        scores = _whole(score_mod(scores, *places), scores.shape, scores).to(dtype)
    if block_mask is not None:
        scores = scores.masked_fill(
            ~_whole(block_mask.mask_mod(*places), scores.shape, places[0]).bool(), -math.inf
        )
    lse = scores.logsumexp(-1)
    weights = scores.softmax(-1).masked_fill((lse == -math.inf).unsqueeze(-1), 0.0)
    out = (weights @ value.to(dtype)).to(query.dtype)
    if return_aux is not None:
        return out, AuxOutput(
            lse if return_aux.lse else None, scores.amax(-1) if return_aux.max_scores else None
        )
    return (out, lse) if return_lse else out


def _check(query, key, value, mask, enable_gqa) -> None:
    """Sizes that fit, or PyTorch's errors."""
    if not query.dim() == key.dim() == value.dim() == 4:
        raise NotImplementedError(
            f"NYI: query, key, and value must be 4D tensors; got {query.dim()}, {key.dim()} and {value.dim()} dimensions"
        )
    if query.size(-1) != key.size(-1):
        raise ValueError(
            "Expect query and key/value to have the same embedding dimension "
            f"but got E={query.size(-1)} and E={key.size(-1)}."
        )
    heads, shared = query.size(1), key.size(1)
    if not enable_gqa and heads != shared:
        raise ValueError(
            "Expect query and key/value to have the same number of heads "
            f"but got Hq={heads} and Hkv={shared}. Try setting enable_gqa=True for GQA."
        )
    if heads % shared:
        raise ValueError(
            "Expect number of query heads to be a multiple of kv heads for GQA "
            f"but got Hq={heads} and Hkv={shared}."
        )
    if query.size(0) != key.size(0) and (mask is None or mask.kv_num_blocks.size(0) != query.size(0)):
        raise ValueError(
            "Expect query and key/value to have the same batch size, or non-none block_mask, "
            f"but got Bq={query.size(0)}, and Bkv={key.size(0)}."
        )
    if mask is not None and mask.shape[-2:] != (query.size(-2), key.size(-2)):
        raise ValueError(
            f"block_mask was created for block_mask.shape={mask.shape} but got q_len={query.size(-2)} and "
            f"kv_len={key.size(-2)}: create one for these lengths."
        )

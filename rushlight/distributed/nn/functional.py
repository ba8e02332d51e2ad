"""Collectives that return new tensors and have gradients: that of each is the collective the other way round."""

from rushlight import distributed as dist
from rushlight.autograd.function import Function
from rushlight.distributed.group import ReduceOp
from rushlight.ops.creation import empty, empty_like, zeros_like
from rushlight.ops.joining import stack

__all__ = [
    "all_gather", "all_reduce", "all_to_all", "all_to_all_single", "broadcast", "gather", "reduce", "reduce_scatter",
    "scatter",
]  # fmt: skip


class _AllReduce(Function):
    @staticmethod
    def forward(ctx, op, group, tensor):
        ctx.op, ctx.group = op, group
        tensor = tensor.contiguous().clone()
        dist.all_reduce(tensor, op, group)
        return tensor

    @staticmethod
    def backward(ctx, grad):
        return None, None, _AllReduce.apply(ctx.op, ctx.group, grad)


class _Broadcast(Function):
    @staticmethod
    def forward(ctx, src, group, tensor):
        ctx.src, ctx.group = src, group
        tensor = tensor.contiguous().clone()
        dist.broadcast(tensor, src, group)
        return tensor

    @staticmethod
    def backward(ctx, grad):
        grad = _Reduce.apply(ctx.src, ReduceOp.SUM, ctx.group, grad)
        return None, None, grad if dist.get_rank() == ctx.src else zeros_like(grad)


class _Reduce(Function):
    @staticmethod
    def forward(ctx, dst, op, group, tensor):
        ctx.dst, ctx.group = dst, group
        tensor = tensor.contiguous().clone()
        dist.reduce(tensor, dst, op, group)
        return tensor

    @staticmethod
    def backward(ctx, grad):
        return None, None, None, _Broadcast.apply(ctx.dst, ctx.group, grad)


class _AllGather(Function):
    @staticmethod
    def forward(ctx, group, tensor):
        ctx.group = group
        parts = [empty_like(tensor) for _ in range(dist.get_world_size(group))]
        dist.all_gather(parts, tensor.contiguous(), group)
        return tuple(parts)

    @staticmethod
    def backward(ctx, *grads):
        back = _AllToAll.apply(ctx.group, [empty_like(g) for g in grads], *grads)
        return None, stack(back).sum(0)


class _ReduceScatter(Function):
    @staticmethod
    def forward(ctx, op, group, output, *tensors):
        ctx.group = group
        output = output.contiguous()
        dist.reduce_scatter(output, [t.contiguous() for t in tensors], op, group)
        return output

    @staticmethod
    def backward(ctx, grad):
        return None, None, None, *_AllGather.apply(ctx.group, grad)


class _AllToAll(Function):
    @staticmethod
    def forward(ctx, group, outputs, *tensors):
        ctx.group, ctx.sizes = group, [t.shape for t in tensors]
        dist.all_to_all(list(outputs), [t.contiguous() for t in tensors], group)
        return tuple(outputs)

    @staticmethod
    def backward(ctx, *grads):
        outputs = [empty(size, dtype=grads[0].dtype) for size in ctx.sizes]
        return None, None, *_AllToAll.apply(ctx.group, outputs, *grads)


class _AllToAllSingle(Function):
    @staticmethod
    def forward(ctx, group, output, output_sizes, input_sizes, tensor):
        ctx.group, ctx.shape, ctx.sizes = group, tensor.shape, (input_sizes, output_sizes)
        dist.all_to_all_single(output, tensor.contiguous(), output_sizes, input_sizes, group)
        return output

    @staticmethod
    def backward(ctx, grad):
        output = empty(ctx.shape, dtype=grad.dtype)
        return None, None, None, None, _AllToAllSingle.apply(ctx.group, output, *ctx.sizes, grad)


class _Gather(Function):
    @staticmethod
    def forward(ctx, dst, group, tensor):
        ctx.dst, ctx.group = dst, group
        parts = [zeros_like(tensor) for _ in range(dist.get_world_size(group))]
        dist.gather(tensor.contiguous(), parts if dist.get_rank() == dst else None, dst, group)
        return tuple(parts)

    @staticmethod
    def backward(ctx, *grads):
        return None, None, _Scatter.apply(ctx.dst, ctx.group, *grads)


class _Scatter(Function):
    @staticmethod
    def forward(ctx, src, group, *tensors):
        ctx.src, ctx.group = src, group
        if any(t.shape != tensors[0].shape for t in tensors):
            raise AssertionError(
                f"scatter: tensors of one shape are expected, got {[tuple(t.shape) for t in tensors]}"
            )
        output = zeros_like(tensors[0])
        mine = [t.contiguous() for t in tensors] if dist.get_rank() == src else None
        dist.scatter(output, mine, src, group)
        return output

    @staticmethod
    def backward(ctx, grad):
        return None, None, *_Gather.apply(ctx.src, ctx.group, grad)


def all_reduce(tensor, op=ReduceOp.SUM, group=None):
    """The reduction of every process's tensor, in all of them.

    Args:
        tensor: this process's.
        op: how to combine them; the gradient is combined in the same way.
        group: which processes; all by default.
    """
    return _AllReduce.apply(op, group, tensor)


def broadcast(tensor, src, group=None):
    """The tensor of one process, in all of them.

    Args:
        tensor: this process's, of the same shape everywhere.
        src: the rank whose tensor counts.
        group: which processes; all by default.
    """
    return _Broadcast.apply(src, group, tensor)


def reduce(tensor, dst, op=ReduceOp.SUM, group=None):
    """The reduction of every process's tensor, in one of them.

    Args:
        tensor: this process's.
        dst: the rank that gets the result.
        op: how to combine them.
        group: which processes; all by default.
    """
    return _Reduce.apply(dst, op, group, tensor)


def all_gather(tensor, group=None) -> tuple:
    """Every process's tensor, in all of them.

    Args:
        tensor: this process's, of the same shape everywhere.
        group: which processes; all by default.
    """
    return _AllGather.apply(group, tensor)


def gather(tensor, dst=0, group=None) -> tuple:
    """Every process's tensor, in one of them; zeros in the others.

    Args:
        tensor: this process's, of the same shape everywhere.
        dst: the rank that gets them.
        group: which processes; all by default.
    """
    return _Gather.apply(dst, group, tensor)


def scatter(tensors, src=0, group=None):
    """One of the tensors of one process, in each.

    Args:
        tensors: as many as processes; what counts are those of `src`.
        src: the rank that gives.
        group: which processes; all by default.
    """
    return _Scatter.apply(src, group, *tensors)


def reduce_scatter(output, input_list, op=ReduceOp.SUM, group=None):
    """The reduction of the tensors that all processes have for this one.

    Args:
        output: where it is put.
        input_list: a tensor for each process.
        op: how to combine them.
        group: which processes; all by default.
    """
    return _ReduceScatter.apply(op, group, output, *input_list)


def all_to_all(output_tensor_list, input_tensor_list, group=None) -> tuple:
    """What each process has for this one.

    Args:
        output_tensor_list: where it is put, a tensor from each process.
        input_tensor_list: a tensor for each process.
        group: which processes; all by default.
    """
    return _AllToAll.apply(group, output_tensor_list, *input_tensor_list)


def all_to_all_single(output, input, output_split_sizes=None, input_split_sizes=None, group=None):
    """What each process has for this one, in one tensor, by parts along the first dimension.

    Args:
        output: where it is put.
        input: the parts for each process.
        output_split_sizes: sizes of the parts of `output`; equal ones by default.
        input_split_sizes: sizes of the parts of `input`; equal ones by default.
        group: which processes; all by default.
    """
    return _AllToAllSingle.apply(group, output, output_split_sizes, input_split_sizes, input)

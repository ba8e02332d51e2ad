"""`DistributedDataParallel`: the same model in several processes, each with its part of the data."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from rushlight.autograd.grad_mode import MODE, no_grad
from rushlight.nn.module import Module
from rushlight.tensor import Tensor, wrap

_FIRST_BUCKET_BYTES = 1 << 20


class DistributedDataParallel(Module):
    """A module around a model whose gradients are averaged over all processes by every backward pass.

    The model begins with the values of rank 0. Gradients travel in buckets; a bucket is on its way while the next one is
    being filled, last parameters first.

    Args:
        module: the model, an attribute of that name (which begins the names in `state_dict`).
        device_ids, output_device: None: the model is on the CPU.
        dim: accepted, without effect.
        broadcast_buffers: before a forward pass, replace the buffers by those of rank 0.
        init_sync: begin with the values of rank 0, and check that the models are alike.
        process_group: which processes; all by default.
        bucket_cap_mb: the size of a bucket; 25 by default.
        find_unused_parameters: look in each forward pass for parameters that the outputs do not depend on.
        static_graph: the same ones are used in each pass; treated as `find_unused_parameters`.
        check_reduction, gradient_as_bucket_view: accepted, without effect.
    Raises:
        RuntimeError: no parameter requires gradients, or the models are not alike.
        ValueError: there is no default group, or there are `device_ids`.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> dist.init_process_group(store=dist.HashStore(), rank=0, world_size=1)
    >>> model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
    >>> model(torch.ones(3, 2)).sum().backward()
    >>> model.module.weight.grad
    tensor([[3., 3.]])
    >>> dist.destroy_process_group()
    """

    def __init__(
        self, module, device_ids=None, output_device=None, dim=0, broadcast_buffers=True, init_sync=True,
        process_group=None, bucket_cap_mb=None, find_unused_parameters=False, check_reduction=False,
        gradient_as_bucket_view=False, static_graph=False,
    ):  # fmt: skip
        from rushlight import distributed as dist

        super().__init__()
        self.process_group = process_group or dist.distributed_c10d._get_default_group()
        ignored = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad and n not in ignored]
        if not named:
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameters that require a "
                "gradient."
            )
        if device_ids or output_device is not None:
            raise ValueError(
                "DistributedDataParallel device_ids and output_device arguments only work with "
                "single-device/multiple-device GPU modules or CPU modules, but got device_ids "
                f"{device_ids}, output_device {output_device}, and module parameters {{device(type='cpu')}}. Leave "
                "both out: this version has no GPUs."
            )
        self.module = module
        self.device_ids, self.output_device, self.dim = None, None, dim
        self.broadcast_buffers = broadcast_buffers
        self.find_unused_parameters, self.static_graph = find_unused_parameters, static_graph
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.require_backward_grad_sync = self.require_forward_param_sync = True
        self.parameters_to_ignore = ignored
        everything = [*module.named_parameters(), *module.named_buffers()]
        self._states = [t for n, t in everything if n not in ignored]
        self._buffer_list = [b for n, b in module.named_buffers() if n not in ignored]
        if init_sync:
            _check_alike(named, self.process_group)
            self._broadcast(self._states)
        limit = 25 if bucket_cap_mb is None else bucket_cap_mb
        self._reducer = _Reducer(named, self.process_group, int(limit * (1 << 20)))

    def _broadcast(self, tensors) -> None:
        from rushlight import distributed as dist

        works = [
            dist.broadcast(t.detach(), group_src=0, group=self.process_group, async_op=True) for t in tensors
        ]
        for work in works:
            work.wait()

    def forward(self, *inputs, **kwargs):
        syncs = MODE.enabled and self.require_backward_grad_sync
        if syncs:
            self._reducer.check_finished()
        if self.broadcast_buffers and self.require_forward_param_sync and self._buffer_list:
            self._broadcast(self._buffer_list)
        outputs = self.module(*inputs, **kwargs)
        self.require_forward_param_sync = syncs
        if syncs:
            looks = self.find_unused_parameters or self.static_graph
            self._reducer.expect(list(_tensors_in(outputs)) if looks else None)
        else:
            self._reducer.expecting = False
        return outputs

    @contextmanager
    def no_sync(self):
        """A context whose backward passes only add to this process's gradients.

        The forward pass belongs into it too. The first backward pass after it averages everything that was added.
        """
        before = self.require_backward_grad_sync
        self.require_backward_grad_sync = False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before


class _Bucket:
    """Gradients that travel together: parameters of one type."""

    def __init__(self, numbers: list[int]):
        self.numbers = numbers
        self.missing: set[int] = set()
        self.flat: Tensor | None = None
        self.work = None


class _Reducer:
    """Averages gradients as a backward pass produces them.

    Args:
        named: the parameters with their names.
        group: the processes.
        limit: bytes in a bucket.
    """

    def __init__(self, named: list, group, limit: int):
        self.names = [name for name, _ in named]
        self.params = [p for _, p in named]
        self.group = group
        self.buckets = _buckets(self.params, limit)
        self.bucket_of = {i: bucket for bucket in self.buckets for i in bucket.numbers}
        self.expecting = False
        self.unused: set[int] | None = None  # None: nobody looked
        self.position = {id(p): i for i, p in enumerate(self.params)}
        for i, param in enumerate(self.params):
            param.register_post_accumulate_grad_hook(lambda _, i=i: self._ready(i))

    def expect(self, outputs: list[Tensor] | None) -> None:
        """A backward pass will follow; parameters that these outputs do not depend on get no gradient in it."""
        for bucket in self.buckets:
            bucket.missing, bucket.flat, bucket.work = set(bucket.numbers), None, None
        self.next = 0
        self.expecting = True
        self.unused = None if outputs is None else set(range(len(self.params))) - self._reached(outputs)
        for i in self.unused or ():
            self.bucket_of[i].missing.discard(i)

    def check_finished(self) -> None:
        """Refuse a new pass where the last one left parameters without a gradient.

        Raises:
            RuntimeError: it did.
        """
        missing = sorted(set().union(*(b.missing for b in self.buckets))) if self.expecting else []
        if missing and len(missing) < len(self.params):
            self.expecting = False
            raise RuntimeError(
                "Expected to have finished reduction in the prior iteration before starting a new one. This error "
                "indicates that your module has parameters that were not used in producing loss: "
                f"{', '.join(self.names[i] for i in missing)} (parameter indices {missing} on rank "
                f"{self.group.rank()}). You can enable unused parameter detection by passing the keyword argument "
                "`find_unused_parameters=True` to `torch.nn.parallel.DistributedDataParallel`, and by making sure "
                "all `forward` function outputs participate in calculating loss."
            )

    def _reached(self, outputs: list[Tensor]) -> set[int]:
        """The numbers of the parameters that outputs depend on."""
        found: set[int] = set()
        stack = [t.grad_fn if t.grad_fn is not None else t for t in outputs]
        seen: set[int] = set()
        while stack:
            place = stack.pop()
            if place is None or id(place) in seen:
                continue
            seen.add(id(place))
            if place.is_node:
                stack.extend(place.edges)
            elif id(place) in self.position:
                found.add(self.position[id(place)])
        return found

    def _ready(self, i: int) -> None:
        """The gradient of a parameter is there."""
        if not self.expecting:
            return
        self.bucket_of[i].missing.discard(i)
        while self.next < len(self.buckets) and not self.buckets[self.next].missing:
            self._launch(self.buckets[self.next])
            self.next += 1
        if self.next == len(self.buckets):
            self._finish()

    def _launch(self, bucket: _Bucket) -> None:
        from rushlight import distributed as dist

        parts = [self._gradient(i) for i in bucket.numbers]
        flat = np.concatenate(parts)
        flat *= flat.dtype.type(1 / self.group.size())
        bucket.flat = wrap(flat)
        bucket.work = dist.all_reduce(bucket.flat, group=self.group, async_op=True)

    def _gradient(self, i: int) -> np.ndarray:
        param = self.params[i]
        if param.grad is None:
            return np.zeros(param.numel(), param._array.dtype)
        return param.grad._strided().reshape(-1)

    def _finish(self) -> None:
        self.expecting = False
        used = self._used_anywhere()
        for bucket in self.buckets:
            bucket.work.wait()
            start = 0
            for i in bucket.numbers:
                size = self.params[i].numel()
                if used is None or used[i]:
                    self._put(self.params[i], bucket.flat._array[start : start + size])
                start += size
            bucket.flat = bucket.work = None

    def _used_anywhere(self) -> np.ndarray | None:
        """Which parameters got a gradient in some process."""
        if self.unused is None:
            return None
        used = np.ones(len(self.params), np.int32)
        used[sorted(self.unused)] = 0
        from rushlight import distributed as dist

        counts = wrap(used)
        dist.all_reduce(counts, group=self.group)
        return counts._array > 0

    @staticmethod
    def _put(param: Tensor, values: np.ndarray) -> None:
        with no_grad():
            if param.grad is None:
                param.grad = param.new_zeros(param.shape)
            np.copyto(param.grad._array, values.reshape(param.shape))
            param.grad._bump()


def _buckets(params: list[Tensor], limit: int) -> list[_Bucket]:
    """Last parameters first; the first bucket is small, so that it is soon on its way."""
    filling: dict = {}
    done: list[list[int]] = []
    for i in reversed(range(len(params))):
        kind = params[i].dtype
        numbers, size = filling.get(kind, ([], 0))
        numbers.append(i)
        size += params[i].nbytes
        filling[kind] = (numbers, size)
        if size >= (min(_FIRST_BUCKET_BYTES, limit) if not done else limit):
            done.append(numbers)
            del filling[kind]
    done.extend(numbers for numbers, _ in filling.values())
    return [_Bucket(numbers) for numbers in done]


def _check_alike(named: list, group) -> None:
    from rushlight import distributed as dist

    mine = [(name, tuple(p.shape), str(p.dtype)) for name, p in named]
    everybody: list = [None] * group.size()
    dist.all_gather_object(everybody, mine, group)
    first = everybody[0]
    for rank, theirs in enumerate(everybody):
        if len(theirs) != len(first):
            raise RuntimeError(
                f"DDP expects same model across all ranks, but Rank 0 has {len(first)} params, while rank {rank} "
                f"has inconsistent {len(theirs)} params."
            )
        for i, (a, b) in enumerate(zip(first, theirs, strict=True)):
            if a[1:] != b[1:]:
                raise RuntimeError(
                    f"DDP expects same model across all ranks: params[{i}] ({b[0]}) in rank {rank} with sizes "
                    f"{list(b[1])} and type {b[2]} appears not to match sizes {list(a[1])} and type {a[2]} of the same "
                    "param in process 0."
                )


def _tensors_in(value) -> Iterator[Tensor]:
    """The tensors in a module's output."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors_in(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _tensors_in(getattr(value, name))


__all__ = ["DistributedDataParallel"]

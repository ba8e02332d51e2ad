"""Optimizers of several processes."""

from rushlight import distributed as dist
from rushlight.optim.optimizer import Optimizer

__all__ = ["ZeroRedundancyOptimizer"]


class ZeroRedundancyOptimizer(Optimizer):
    """Another optimizer whose state is divided among the processes: each steps its part of the parameters and sends them
    to the others.

    Args:
        params: parameters, or dictionaries of groups, the same in all processes.
        optimizer_class: the optimizer that does the steps.
        process_group: which processes; all by default.
        parameters_as_bucket_view: accepted, without effect.
        overlap_with_ddp: False, the only value.
        defaults: arguments of `optimizer_class`.
    Raises:
        NotImplementedError: `overlap_with_ddp` is True.

    Source: Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models" (2020), stage 1.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> from rushlight.distributed.optim import ZeroRedundancyOptimizer
    >>> dist.init_process_group(store=dist.HashStore(), rank=0, world_size=1)
    >>> w = torch.ones(2, requires_grad=True)
    >>> optimizer = ZeroRedundancyOptimizer([w], torch.optim.SGD, lr=0.5)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.5000, 0.5000])
    >>> dist.destroy_process_group()
    """

    def __init__(
        self, params, optimizer_class, process_group=None, parameters_as_bucket_view=False, overlap_with_ddp=False,
        **defaults,
    ):  # fmt: skip
        if overlap_with_ddp:
            raise NotImplementedError(
                "ZeroRedundancyOptimizer: overlap_with_ddp is not supported; leave it out and call step() after backward()"
            )
        self.process_group = process_group
        self.rank, self.world_size = dist.get_rank(process_group), dist.get_world_size(process_group)
        self._defaults, self._all_states = defaults, None
        super().__init__(params, defaults)
        mine = [self._part(group, self.rank) for group in self.param_groups]
        self.optim = optimizer_class([g for g in mine if g["params"]] or [{"params": []}], **defaults)
        for group, own in zip(self._groups(), self.optim.param_groups, strict=False):
            for key, value in own.items():
                group.setdefault(key, value)

    def _groups(self) -> list[dict]:
        """The groups of which this process has parameters."""
        return [g for g in self.param_groups if self._part(g, self.rank)["params"]]

    def _part(self, group: dict, rank: int) -> dict:
        """A group with the parameters that a process steps."""
        owners = self._owners()
        return {**group, "params": [p for p in group["params"] if owners[p] == rank]}

    def _owners(self) -> dict:
        """The process of every parameter: the largest first, each to the one that has least."""
        loads, owners = [0] * self.world_size, {}
        every = [p for group in self.param_groups for p in group["params"]]
        for p in sorted(every, key=lambda p: -p.numel()):
            owner = loads.index(min(loads))
            owners[p] = owner
            loads[owner] += p.numel()
        return owners

    def step(self, closure=None, **kwargs):
        """Step the own part, and take the other processes' parts from them.

        Args:
            closure: computes the loss again.
        Returns:
            What `closure` returned, or None.
        """
        for group, own in zip(self._groups(), self.optim.param_groups, strict=False):
            own.update({key: value for key, value in group.items() if key != "params"})
        loss = self.optim.step(closure=closure, **kwargs)
        works = [
            dist.broadcast(p.detach(), group_src=owner, group=self.process_group, async_op=True)
            for p, owner in self._owners().items()
        ]
        for work in works:
            work.wait()
        return loss

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Collect the state of all processes in one, for `state_dict` there; called by all.

        Args:
            to: the rank of that process.
        """
        own = {self._index()[p]: state for p, state in self.optim.state.items()}
        gathered = [None] * self.world_size if self.rank == to else None
        dist.gather_object(own, gathered, group_dst=to, group=self.process_group)
        if gathered is not None:
            self._all_states = {index: state for part in gathered for index, state in part.items()}

    def _index(self) -> dict:
        every = [p for group in self.param_groups for p in group["params"]]
        return {p: i for i, p in enumerate(every)}

    def state_dict(self) -> dict:
        """The state of the whole, as `optimizer_class` would give it.

        Raises:
            RuntimeError: `consolidate_state_dict` was not called before.
        """
        if self._all_states is None:
            raise RuntimeError(
                f"Optimizer state has not been consolidated on this rank. Please call `consolidate_state_dict(to={self.rank})` "
                "on all ranks beforehand if you meant to save the global state."
            )
        index = self._index()
        groups = [{**g, "params": [index[p] for p in g["params"]]} for g in self.param_groups]
        return {"state": dict(sorted(self._all_states.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over the state of the whole; each process keeps its part.

        Args:
            state_dict: what `state_dict` gave.
        """
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})
        parts = [p for group in self.optim.param_groups for p in group["params"]]
        index = self._index()
        local = self.optim.state_dict()
        local["state"] = {
            i: state_dict["state"][index[p]] for i, p in enumerate(parts) if index[p] in state_dict["state"]
        }
        self.optim.load_state_dict(local)

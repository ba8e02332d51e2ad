"""`Join`, which lets processes with fewer batches than others wait for them; not supported here."""

from typing import Any, NoReturn

__all__ = ["Join", "JoinHook", "Joinable"]


class JoinHook:
    """What a process that ran out of batches does for the others."""

    def main_hook(self) -> None:
        """Called for every batch that others still have."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Called once, when all processes are through."""


class Joinable:
    """A class whose objects can tell what they do in `Join`: `join_hook`, `join_device` and `join_process_group`."""

    def join_hook(self, **kwargs) -> JoinHook:
        """What a process that ran out of batches does."""
        raise NotImplementedError


class Join:
    """Uneven numbers of batches in several processes.

    Raises:
        NotImplementedError: always; give every process as many batches (`DistributedSampler`, `drop_last=True`).
    """

    def __init__(
        self, joinables: list[Any], enable: bool = True, throw_on_early_termination: bool = False, **kwargs
    ):
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotImplementedError(
            "Join: uneven numbers of batches are not supported. Give every process as many: "
            "DataLoader(..., sampler=DistributedSampler(dataset), drop_last=True)"
        )

"""Where the parts of a tensor lie, as programs describe it."""

from dataclasses import dataclass

__all__ = ["Partial", "Placement", "Replicate", "Shard"]


class Placement:
    """How a tensor lies along a dimension of a mesh."""

    def is_shard(self, dim: int | None = None) -> bool:
        """Whether it is divided, along dimension `dim` where that is given."""
        return isinstance(self, Shard) and dim in (None, self.dim)

    def is_replicate(self) -> bool:
        """Whether every process has all of it."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Whether it is what `reduce_op` makes of the processes' tensors."""
        return isinstance(self, Partial) and reduce_op in (None, self.reduce_op)


@dataclass(frozen=True)
class Shard(Placement):
    """Divided along a dimension of the tensor."""

    dim: int


@dataclass(frozen=True)
class _StridedShard(Shard):
    """Divided along a dimension that is divided already."""

    split_factor: int = 1


@dataclass(frozen=True)
class Replicate(Placement):
    """All of it in every process."""


@dataclass(frozen=True)
class Partial(Placement):
    """What a reduction makes of the processes' tensors."""

    reduce_op: str = "sum"

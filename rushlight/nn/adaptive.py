"""The adaptive softmax, for very many classes of which some are far more frequent than others."""

from collections import namedtuple

from rushlight.nn import functional as F
from rushlight.nn.containers import ModuleList, Sequential
from rushlight.nn.linear import Linear
from rushlight.nn.module import Module
from rushlight.ops.joining import cat

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """The log likelihood of classes, sorted by frequency: frequent ones in a head, clusters of rare ones behind it.

    Each cluster projects the input to a smaller size first, and is computed only for the samples that need it.

    Args:
        in_features: the size of the input.
        n_classes: the number of classes; 0 is the most frequent one.
        cutoffs: where clusters begin, increasing: classes below the first are in the head.
        div_value: cluster i projects to in_features / div_value^i.
        head_bias: whether the head has a bias.
        device, dtype: where and of which type the parameters are.
    Raises:
        ValueError: the cutoffs do not increase from 1 to n_classes - 1.

    Source: Grave et al., Efficient softmax approximation for GPUs, ICML 2017.

    >>> import rushlight as torch
    >>> layer = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 100, [10, 50])
    >>> output, loss = layer(torch.rand(3, 16), torch.tensor([0, 20, 99]))
    >>> output.shape
    torch.Size([3])
    """

    def __init__(
        self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None
    ):
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(set(cutoffs))
            or cutoffs[0] <= 0
            or cutoffs[-1] > n_classes - 1
            or any(int(c) != c for c in cutoffs)
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                f"value is between 1 and n_classes-1: got {cutoffs} for {n_classes} classes"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = cutoffs[0]
        self.n_clusters = len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        made = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            inner = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(
                    Linear(in_features, inner, bias=False, **made), Linear(inner, size, bias=False, **made)
                )
            )

    def reset_parameters(self) -> None:
        """Draw new values."""
        self.head.reset_parameters()
        for into, out in self.tail:
            into.reset_parameters()
            out.reset_parameters()

    def forward(self, input_, target_):
        """The log probability of each sample's class, and the loss.

        Args:
            input_: (N, in_features), or (in_features,).
            target_: (N,) classes, or ().
        Returns:
            A named tuple: `output`, (N,) or (), and `loss`, minus its mean.
        Raises:
            RuntimeError: shapes do not go together, or a class is out of range.
        """
        if target_.dim() > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        batched = target_.dim() == 1
        if batched and input_.size(0) != target_.size(0):
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if input_.dim() != target_.dim() + 1:
            raise RuntimeError(
                f"{target_.dim()}D target tensor expects {target_.dim() + 1}D input tensors, but found inputs with "
                f"size {input_.size()}"
            )
        input, target = (input_, target_) if batched else (input_.unsqueeze(0), target_.unsqueeze(0))
        if target.numel() and not bool(((target >= 0) & (target < self.n_classes)).all()):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. "
            )
        output = input.new_zeros(target.size(0))
        place = target.clone()  # in the head: the class, or its cluster
        for i, cluster in enumerate(self.tail):
            first, last = self.cutoffs[i : i + 2]
            rows = ((target >= first) & (target < last)).nonzero().squeeze(1)
            if not rows.numel():
                continue
            scores = F.log_softmax(cluster(input.index_select(0, rows)), 1)
            found = scores.gather(1, (target.index_select(0, rows) - first).unsqueeze(1)).squeeze(1)
            output = output.index_copy(0, rows, found)
            place.index_fill_(0, rows, self.shortlist_size + i)
        head = F.log_softmax(self.head(input), 1)
        output = output + head.gather(1, place.unsqueeze(1)).squeeze(1)
        loss = (-output).mean()
        return _ASMoutput(output if batched else output.squeeze(0), loss)

    def _full(self, input, head_output):
        """The log probabilities of all classes."""
        head = F.log_softmax(head_output, 1)
        size = self.shortlist_size
        clusters = [
            F.log_softmax(cluster(input), 1) + head[:, size + i].unsqueeze(1)
            for i, cluster in enumerate(self.tail)
        ]
        return cat([head[:, :size], *clusters], 1)

    _get_full_log_prob = _full

    def log_prob(self, input):
        """The log probabilities (N, n_classes) of all classes, from inputs (N, in_features)."""
        return self._full(input, self.head(input))

    def predict(self, input):
        """The most probable class (N,) of inputs (N, in_features)."""
        head = self.head(input)
        output = head.argmax(1)
        rare = output >= self.shortlist_size
        if not rare.any():
            return output
        rows = rare.nonzero().squeeze(1)
        full = self._full(input.index_select(0, rows), head.index_select(0, rows))
        return output.index_copy(0, rows, full.argmax(1))


__all__ = ["AdaptiveLogSoftmaxWithLoss"]

"""Bags of embeddings, and connectionist temporal classification."""

from tests.ops.functional import F
from tests.ops.table import I, Row, T

INDEX, TABLE = I((8,), 6), T((6, 3))
STARTS = (0, 3, 3, 6)


def _bag(id, mode, inputs=(INDEX, TABLE), starts=STARTS, wrong=(), **options):
    def call(torch, index, table, *samples):
        more = {"per_sample_weights": samples[0]} if samples else {}
        offsets = None if starts is None else torch.tensor(starts)
        return F(torch).embedding_bag(index, table, offsets, mode=mode, **more, **options)

    # PyTorch has no second derivative; ours is compared with that of embedding in tests/nn/test_losses_more.py.
    return Row("embedding_bag", call, inputs, id="-".join(filter(None, (mode, id))), grad2=False, wrong=wrong)


def _bad(index=(1, 2, 3), starts=(0, 1), table=(4, 2), **options):
    """A call with these numbers, or what functions of the framework make."""

    def call(torch):
        made = {k: v(torch) if callable(v) else v for k, v in options.items()}
        x = index(torch) if callable(index) else torch.tensor(index)
        offsets = starts(torch) if callable(starts) else torch.tensor(starts)
        weight = table(torch) if callable(table) else torch.ones(*table)
        F(torch).embedding_bag(x, weight, offsets, **made)

    return call


WRONG = (
    _bad(index=(1, 2, 4)), _bad(index=(1, -1, 2)), _bad(starts=(1, 2)), _bad(starts=(0, 4)),
    _bad(starts=((0, 1),)), _bad(starts=lambda torch: None), _bad(index=((1, 2), (2, 3))),
    _bad(index=lambda torch: torch.ones(2, 2, 2).long()), _bad(index=lambda torch: torch.ones(3)),
    _bad(table=(4,)), _bad(table=lambda torch: torch.ones(4, 2).int()), _bad(mode="most"),
    _bad(mode="max", scale_grad_by_freq=True), _bad(mode="max", sparse=True), _bad(padding_idx=4),
    _bad(padding_idx=-5), _bad(per_sample_weights=lambda torch: torch.ones(3)),
    _bad(per_sample_weights=lambda torch: torch.ones(2), mode="sum"),
    _bad(per_sample_weights=lambda torch: torch.ones(3).double(), mode="sum"),
    _bad(starts=lambda torch: torch.ones(0).long(), include_last_offset=True),
)  # fmt: skip


def _scores(torch, x):
    return x.log_softmax(-1)


def _ctc(id, lengths, label_lengths, flat=False, tensor=True, wrong=(), shape=(9, 3, 5), **options):
    def call(torch, x):
        rows = torch.tensor([[1, 2, 2, 3], [4, 1, 3, 3], [1, 1, 2, 4]])
        targets = torch.cat([r[:n] for r, n in zip(rows, label_lengths, strict=True)]) if flat else rows
        both = (torch.tensor(lengths), torch.tensor(label_lengths)) if tensor else (lengths, label_lengths)
        return F(torch).ctc_loss(_scores(torch, x), targets, *both, **options)

    return Row("ctc_loss", call, (T(shape),), id=id, grad2=False, wrong=wrong)


def _unbatched(torch, x):
    return F(torch).ctc_loss(_scores(torch, x), torch.tensor([1, 2, 2]), (8,), (3,), reduction="none")


def _bad_ctc(**changes):
    def call(torch):
        given = {
            "log_probs": torch.zeros(5, 2, 4), "targets": torch.ones(2, 3).long(),
            "input_lengths": torch.tensor([5, 4]), "target_lengths": torch.tensor([2, 3]),
        }  # fmt: skip
        given.update({k: v(torch) if callable(v) else v for k, v in changes.items()})
        F(torch).ctc_loss(**given)

    return call


WRONG_CTC = (
    _bad_ctc(blank=4), _bad_ctc(blank=-1), _bad_ctc(reduction="most"), _bad_ctc(input_lengths=lambda t: t.tensor([5])),
    _bad_ctc(target_lengths=lambda t: t.tensor([1, 2, 3])), _bad_ctc(input_lengths=lambda t: t.tensor([5, 6])),
    _bad_ctc(target_lengths=lambda t: t.tensor([2, 4])), _bad_ctc(input_lengths=lambda t: t.tensor([5, -1])),
    _bad_ctc(target_lengths=lambda t: t.tensor([2, -1])), _bad_ctc(log_probs=lambda t: t.zeros(5, 2, 4).half()),
    _bad_ctc(log_probs=lambda t: t.zeros(5, 2, 4, 1)), _bad_ctc(log_probs=lambda t: t.zeros(0, 2, 4)),
    _bad_ctc(targets=lambda t: t.ones(4).long()), _bad_ctc(targets=lambda t: t.ones(1, 2, 3).long()),
    _bad_ctc(input_lengths=lambda t: t.ones(2)), _bad_ctc(input_lengths=5), _bad_ctc(log_probs=3),
    _bad_ctc(targets=lambda t: t.ones(3, 3).long()), _bad_ctc(input_lengths=(5, 4)),
    _bad_ctc(input_lengths=("a", 4), target_lengths=(2, 3)),
)  # fmt: skip

ROWS = [
    *[_bag("", mode, wrong=WRONG) for mode in ("sum", "mean", "max")],
    *[_bag("rows", mode, (I((4, 3), 6), TABLE), None) for mode in ("sum", "mean", "max")],
    *[_bag("padding", mode, padding_idx=2) for mode in ("sum", "mean", "max")],
    *[_bag("last", mode, starts=(0, 2, 2, 8), include_last_offset=True) for mode in ("sum", "mean", "max")],
    *[_bag("empty", mode, (I((0,), 6), TABLE), (0, 0)) for mode in ("sum", "mean", "max")],
    _bag("samples", "sum", (INDEX, TABLE, T((8,)))),
    _bag("samples-rows", "sum", (I((4, 3), 6), TABLE, T((4, 3))), None),
    _bag("samples-padding", "sum", (INDEX, TABLE, T((8,))), padding_idx=-4),
    _bag("int", "sum", (I((4, 3), 6, dtype="int32"), TABLE), None),
    _ctc("", (9, 7, 8), (4, 3, 2), wrong=WRONG_CTC),
    _ctc("none", (9, 7, 8), (4, 3, 0), reduction="none"),
    _ctc("sum", (9, 9, 9), (4, 4, 4), reduction="sum", blank=5, shape=(9, 3, 6)),
    _ctc("flat", (9, 7, 8), (4, 0, 2), flat=True, reduction="none"),
    _ctc("tuples", (9, 7, 8), (1, 3, 2), flat=True, tensor=False),
    _ctc("zero-infinity", (9, 2, 8), (4, 3, 4), zero_infinity=True),
    _ctc("zero-infinity-none", (9, 2, 8), (4, 3, 4), zero_infinity=True, reduction="none"),
    Row("ctc_loss", _unbatched, (T((9, 5)),), id="unbatched", grad2=False),
]

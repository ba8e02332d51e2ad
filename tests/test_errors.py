"""Wrong programs: each gets PyTorch's exception type and a message that says where, what was expected and what came."""

import pathlib
import subprocess
import sys

import pytest

import rushlight
from rushlight import kernels as K
from tests.error_table import document, error_of, rows

torch = pytest.importorskip("torch")


DOCUMENT = pathlib.Path(__file__).parent.parent / "docs" / "errors.md"


@pytest.mark.parametrize("row", rows(), ids=[row.name for row in rows()])
def test_wrong_program(row):
    ours, theirs = error_of(rushlight, row.program), error_of(torch, row.program)
    assert theirs is not None, "PyTorch runs this"
    assert ours is not None, f"no error; PyTorch says: {theirs!r}"
    if row.same_type:
        assert type(ours).__name__ == type(theirs).__name__, repr(ours)
    for part in row.parts:
        assert part in str(ours), f"{part!r} is not in: {ours}"


def test_names_differ():
    assert len({row.name for row in rows()}) == len(rows()) >= 80


@pytest.mark.skipif(K.NAME != "native", reason="written with the native kernels")
def test_document_is_up_to_date():
    assert DOCUMENT.read_text() == document(), "run: python -m tests.error_table > docs/errors.md"


def test_a_failed_update_changes_nothing():
    x = rushlight.ones(2, 3)
    for wrong in (
        lambda: x.add_(rushlight.ones(4)),
        lambda: x.copy_(rushlight.ones(5)),
        lambda: x.__setitem__(0, rushlight.ones(4)),
    ):
        with pytest.raises(RuntimeError):
            wrong()
    assert rushlight.equal(x, rushlight.ones(2, 3))


def test_a_failed_load_changes_nothing():
    layer = rushlight.nn.Linear(2, 3)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    with pytest.raises(RuntimeError):
        layer.load_state_dict({"weight": rushlight.zeros(9, 2)})
    for key, value in layer.state_dict().items():
        assert rushlight.equal(value, before[key])


def test_wrong_programs_do_not_crash_the_interpreter():
    """Shapes at the edge of what native code takes, in a process of their own."""
    program = """
import rushlight as torch, rushlight.nn.functional as F
for call in (
    lambda: torch.zeros(0, 3) @ torch.zeros(3, 0), lambda: torch.zeros(2, 0) @ torch.zeros(0, 3),
    lambda: F.conv2d(torch.zeros(0, 3, 8, 8), torch.zeros(4, 3, 3, 3)),
    lambda: F.conv2d(torch.zeros(2, 3, 2, 2), torch.zeros(4, 3, 3, 3)),
    lambda: F.conv2d(torch.zeros(2, 4, 8, 8), torch.zeros(4, 2, 3, 3), groups=3),
    lambda: F.max_pool2d(torch.zeros(1, 1, 4, 4), 2, padding=3), lambda: F.max_pool2d(torch.zeros(0, 1, 4, 4), 2),
    lambda: F.batch_norm(torch.zeros(0, 3, 2, 2), torch.zeros(3), torch.ones(3), training=True),
    lambda: F.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)),
    lambda: torch.zeros(0).softmax(0), lambda: torch.zeros(3, 0).max(1), lambda: torch.zeros(0).sum(),
    lambda: F.embedding(torch.tensor([-1]), torch.zeros(3, 2)), lambda: torch.zeros(2**40 * 4),
    lambda: torch.zeros(3)[torch.tensor([9])], lambda: torch.zeros(3).index_add(0, torch.tensor([7]), torch.zeros(1)),
):
    try:
        call()
    except (RuntimeError, IndexError, ValueError):
        pass
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "alive", done.stderr[-2000:]

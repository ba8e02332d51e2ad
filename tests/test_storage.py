"""Storages against PyTorch: conversions, bytes, files."""

import os
import sys
import warnings

import pytest

import rushlight

torch = pytest.importorskip("torch")

EXPRESSIONS = [
    "torch.FloatStorage(3).type()", "torch.FloatStorage([1, 2.5]).double().tolist()", "torch.FloatStorage([1, 2.5]).int().type()",
    "torch.UntypedStorage([1, 2]).float().tolist()", "torch.UntypedStorage(4).type()", "torch.TypedStorage([1.0, 2.0]).dtype",
    "torch.FloatStorage.from_buffer(b'abcdefgh', 'native').tolist()", "torch.FloatStorage.from_buffer(b'abcdefgh', 'big').tolist()",
    "torch.UntypedStorage.from_buffer(b'abc', dtype=torch.uint8).tolist()", "torch.asarray(torch.UntypedStorage([1, 2, 3])[1:], dtype=torch.uint8)", "torch.ones(2).untyped_storage().is_pinned()",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_as_pytorch(expression):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert str(eval(expression, {"torch": rushlight})) == str(eval(expression, {"torch": torch}))


def test_files(tmp_path):
    path = str(tmp_path / "file")
    with pytest.raises(RuntimeError, match="unable to open file"):
        rushlight.from_file(path, size=2)
    t = rushlight.from_file(path, shared=True, size=4)
    t.copy_(rushlight.tensor([1.0, 2.0, 3.0, 4.0]))
    assert os.path.getsize(path) == 16
    assert torch.from_file(path, False, 4).tolist() == [1.0, 2.0, 3.0, 4.0]
    own = rushlight.from_file(path, size=2)
    own.zero_()
    assert rushlight.from_file(path, size=2).tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="smaller than the required mapping size"):
        rushlight.UntypedStorage.from_file(path, False, 17)


def test_size_in_memory():
    assert sys.getsizeof(rushlight.ones(1000).untyped_storage()) >= 4000
    with pytest.raises(RuntimeError, match="not resizable"):
        rushlight.ones(2).untyped_storage().resize_(0)

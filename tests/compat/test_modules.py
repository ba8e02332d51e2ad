"""Every layer passes PyTorch's own samples; `python -m tests.compat.modules` runs all of them in both float types."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest")  # which PyTorch's own test helpers import

from tests.compat.modules import module_db, run, title
from tests.compat.translate import Untranslatable, resolve

#: Layers whose samples take long, so that fewer of them are tried here.
LONG = ("nn.Transformer", "nn.MultiheadAttention", "nn.CTCLoss", "nn.LinearCrossEntropyLoss")
#: Layers that do not pass all their samples yet.
KNOWN: set[str] = set()


@pytest.mark.parametrize("info", [i for i in module_db if title(i) not in KNOWN], ids=title)
def test_passes_its_samples(info):
    try:
        resolve(f"torch.nn.{info.module_cls.__name__}")
    except Untranslatable:
        pytest.skip("there is no such layer")
    long = title(info).startswith(LONG)
    for dtype, training, most in (("float64", True, 2 if long else 8), ("float32", False, 0 if long else 4)):
        if most:
            result = run(info, dtype, training, most)
            assert result.samples and not result.failures, "\n".join(result.failures)

"""Every operator passes PyTorch's own samples, in every form; `python -m tests.compat.ops` and `.forms` run more of them."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest")  # which PyTorch's own test helpers import

from tests.compat import forms, ops, signatures

#: Operators that do not pass, and why.
KNOWN = {
    "chalf": "there is no complex32",
    "as_strided_scatter": "PyTorch's own gradient of it fails its gradcheck",
    "histogramdd": "edges that do not increase are sorted by PyTorch in place",
}
OPERATORS = [op for op in ops.op_db if ops.in_scope(op) and forms.kind_of(op)]
#: Operators whose samples take long, so that one of them is tried.
LONG = (
    "grid_sampler_3d",
    "svd_lowrank",
    "pca_lowrank",
    "lu",
    "linalg.lu",
    "linalg.householder_product",
    "cholesky",
)


@pytest.mark.parametrize("op", [op for op in OPERATORS if ops.title(op) not in KNOWN], ids=ops.title)
def test_passes_its_samples(op):
    result = ops.run(op, forms.kind_of(op), 1 if op.name.startswith(LONG) else 3)
    assert not result.failures, "\n".join(result.failures)


@pytest.mark.parametrize("op", OPERATORS, ids=ops.title)
def test_forms(op):
    result = forms.run(op, most=1)
    assert not result.failures, "\n".join(result.failures)


def test_signatures():
    found = [
        f"{name}: {reason}"
        for name, *facts in signatures.everything()
        for reason in signatures.differences(name, *facts)
    ]
    assert not found, "\n".join(found)

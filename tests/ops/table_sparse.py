"""Rows of the ops that make sparse tensors; what sparse tensors do is in tests/test_sparse.py."""

import warnings

from tests.ops.table import Row, T

PLACES = [[0, 1, 1, 0], [2, 0, 2, 2]]


def matrix(torch, *args):
    """`sparse_coo_tensor`, without PyTorch's warning that it does not check invariants."""
    torch.sparse.check_sparse_tensor_invariants.disable()
    return torch.sparse_coo_tensor(*args)


def quiet(function, *args):
    """A call without PyTorch's warning that matrices in compressed rows are new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


ROWS = [
    Row(
        "sparse_coo_tensor",
        lambda torch, v: matrix(torch, torch.tensor(PLACES), v, (2, 3)).to_dense(),
        (T((4,)),),
        wrong=(
            lambda torch: matrix(torch, torch.tensor([0, 1]), torch.ones(2)),
            lambda torch: matrix(torch, torch.tensor([[0, 1]]), torch.ones(3)),
            lambda torch: matrix(torch, torch.tensor([[0, -1]]), torch.ones(2)),
            lambda torch: matrix(torch, torch.tensor([[0, 5]]), torch.ones(2), (3, 2)),
            lambda torch: matrix(torch, torch.tensor([[0, 1]]), torch.ones(2, 3), (3, 2)),
        ),
    ),
    Row(
        "sparse_coo_tensor",
        lambda torch, v: matrix(torch, torch.tensor(PLACES), v).coalesce().values(),
        (T((4, 2)),),
        id="hybrid",
    ),
    Row("to_sparse", lambda torch, x: x.to_sparse().values(), (T((3, 4)),), grad2=False),
    Row("to_sparse", lambda torch, x: x.to_sparse(1).to_dense(), (T((3, 4)),), id="rows", grad2=False),
    Row("to_dense", lambda torch, x: x.to_dense(), (T((3, 4)),), grad2=False, fd=False, grad=False),
    Row(
        "sparse_mask",
        lambda torch, x: x.sparse_mask(torch.eye(3).to_sparse()).to_dense(),
        (T((3, 3)),),
        grad2=False,
        wrong=(lambda torch: torch.ones(2, 2).sparse_mask(torch.ones(2, 2)),),
    ),
    Row(
        "sparse_csr_tensor",
        lambda torch, v, x: (
            quiet(torch.sparse_csr_tensor, torch.tensor([0, 1, 3]), torch.tensor([2, 0, 2]), v, (2, 3)) @ x
        ),
        (T((3,)), T((3, 2))),
        grad2=False,
        fd=False,
    ),
    Row("to_sparse_csr", lambda torch, x: quiet(x.to_sparse_csr).to_dense(), (T((3, 4)),), grad=False),
]

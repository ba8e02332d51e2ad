"""Paths in trees, beside PyTorch's."""

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

import rushlight
from rushlight.utils import _pytree as ours

torch = pytest.importorskip("torch")
Pair = namedtuple("Pair", "x y")


@pytest.fixture
def theirs():
    import torch.utils._pytree as theirs

    return theirs


TREE = [1, {"a": (2, 3), "b": Pair(4, deque([5]))}, OrderedDict(z=defaultdict(list, {3: 7})), None]


def test_paths(theirs):
    found, expected = (p.tree_flatten_with_path(TREE) for p in (ours, theirs))
    assert [(ours.keystr(k), v) for k, v in found[0]] == [(theirs.keystr(k), v) for k, v in expected[0]]
    assert repr(found[0]) == repr(expected[0]) and repr(found[1]) == repr(expected[1])
    assert [ours.key_get(TREE, k) for k, _ in found[0]] == [v for _, v in expected[0]]
    assert ours.tree_leaves_with_path(TREE) == found[0]
    add = []
    for p in (ours, theirs):
        join = p.keystr
        add.append(p.tree_map_with_path(lambda k, x, y: (join(k), x, y), [1, (2,)], [3, (4,)]))  # noqa: B023
    assert add[0] == add[1]


def test_sizes(theirs):
    found = [p.tree_flatten([t.Size([2, 3])]) for t, p in ((rushlight, ours), (torch, theirs))]
    assert found[0][0] == found[1][0] and repr(found[0][1]) == repr(found[1][1])
    assert type(ours.tree_map(lambda n: n + 1, rushlight.Size([1]))) is rushlight.Size


def test_own_class(theirs):
    for p in (ours, theirs):
        one, two = (type(name, (), {"__init__": lambda self, v=0: setattr(self, "v", v)}) for name in "AB")
        p.register_pytree_node(one, lambda a: ([a.v], None), lambda c, _: None)
        p.register_pytree_node(
            two, lambda a: ([a.v], None), lambda c, _: None,
            flatten_with_keys_fn=lambda a: ([(p.GetAttrKey("v"), a.v)], None),  # noqa: B023
        )  # fmt: skip
        assert p.keystr(p.tree_flatten_with_path([two(5)])[0][0][0]) == "[0].v"
        with pytest.raises(ValueError, match="flatten_with_keys_fn"):
            p.tree_flatten_with_path(one(5))

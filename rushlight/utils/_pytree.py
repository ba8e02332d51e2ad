"""Nested containers of tensors: taken apart into a list of leaves and put together again.

Containers are tuples, lists, sizes, dicts, OrderedDicts, defaultdicts, deques, named tuples, the named results of ops, and
what `register_pytree_node` adds; everything else, None included, is a leaf.
"""

from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from rushlight.devices import Size
from rushlight.return_types import _Fields

PyTree = Any
Context = Any


@dataclass(frozen=True, slots=True)
class MappingKey:
    """A step from a mapping to one of its values."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping):
        """The value in a mapping."""
        return mapping[self.key]


@dataclass(frozen=True, slots=True)
class SequenceKey:
    """A step from a sequence to one of its items."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence):
        """The item of a sequence."""
        return sequence[self.idx]


@dataclass(frozen=True, slots=True)
class GetAttrKey:
    """A step from an object to one of its attributes."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj):
        """The attribute of an object."""
        return getattr(obj, self.name)


@dataclass(frozen=True)
class _NodeType:
    """How one type of container is taken apart (to children and a context, or to keys with children) and put together."""

    flatten: Any
    unflatten: Any
    flatten_with_keys: Any = None


def _dict_flatten(d):
    return list(d.values()), list(d)


def _dict_unflatten(values, context) -> dict:
    return dict(zip(context, values, strict=True))


def _dict_flatten_with_keys(d):
    return [(MappingKey(k), v) for k, v in d.items()], list(d)


def _list_flatten_with_keys(items):
    return [(SequenceKey(i), v) for i, v in enumerate(items)], None


def _namedtuple_flatten_with_keys(t):
    return [(GetAttrKey(k), v) for k, v in zip(t._fields, t, strict=True)], type(t)


SUPPORTED_NODES: dict[type, _NodeType] = {
    tuple: _NodeType(lambda t: (list(t), None), lambda children, _: tuple(children), _list_flatten_with_keys),
    list: _NodeType(lambda t: (list(t), None), lambda children, _: list(children), _list_flatten_with_keys),
    dict: _NodeType(_dict_flatten, _dict_unflatten, _dict_flatten_with_keys),
    OrderedDict: _NodeType(
        _dict_flatten,
        lambda children, keys: OrderedDict(zip(keys, children, strict=True)),
        _dict_flatten_with_keys,
    ),
    defaultdict: _NodeType(
        lambda d: (list(d.values()), [d.default_factory, list(d)]),
        lambda children, context: defaultdict(context[0], zip(context[1], children, strict=True)),
        _dict_flatten_with_keys,
    ),
    deque: _NodeType(
        lambda d: (list(d), d.maxlen),
        lambda children, maxlen: deque(children, maxlen=maxlen),
        _list_flatten_with_keys,
    ),
    Size: _NodeType(lambda t: (list(t), None), lambda children, _: Size(children), _list_flatten_with_keys),
}
_NAMEDTUPLE = _NodeType(
    lambda t: (list(t), type(t)), lambda children, cls: cls(*children), _namedtuple_flatten_with_keys
)
_RESULT = _NodeType(
    lambda t: (list(t), type(t)), lambda children, cls: cls(children), _list_flatten_with_keys
)


def is_namedtuple(value) -> bool:
    """Whether this is a named tuple, or a class of them."""
    cls = value if isinstance(value, type) else type(value)
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def is_structseq(value) -> bool:
    """Whether this is the named result of an op, or a class of them."""
    return issubclass(value if isinstance(value, type) else type(value), _Fields)


def _node_type(value) -> _NodeType | None:
    found = SUPPORTED_NODES.get(type(value))
    if found is None and isinstance(value, tuple):
        if is_structseq(value):
            return _RESULT
        return _NAMEDTUPLE if is_namedtuple(value) else None
    return found


def _key(value) -> type:
    """The type that a container's spec names."""
    if type(value) in SUPPORTED_NODES or is_structseq(value):
        return type(value)
    return namedtuple_type


class namedtuple_type:
    """Stands for all named tuples in specs; the class is their context."""


@dataclass(frozen=True)
class TreeSpec:
    """The structure of a tree: the type of its root, what else is needed to make it, and its children's specs.

    A leaf has the type None.
    """

    type: Any
    context: Any
    children_specs: list = field(default_factory=list)

    @property
    def num_leaves(self) -> int:
        """How many leaves it has."""
        return 1 if self.is_leaf() else sum(c.num_leaves for c in self.children_specs)

    @property
    def num_children(self) -> int:
        """How many children its root has."""
        return len(self.children_specs)

    @property
    def num_nodes(self) -> int:
        """How many nodes it has, leaves included."""
        return 1 + sum(c.num_nodes for c in self.children_specs)

    def is_leaf(self) -> bool:
        """Whether it is a leaf."""
        return self.type is None

    def unflatten(self, leaves) -> PyTree:
        """The tree of this structure with these leaves."""
        return tree_unflatten(leaves, self)

    def __repr__(self, indent: int = 0) -> str:
        if self.is_leaf():
            return "*"
        name = "namedtuple" if self.type is namedtuple_type else self.type.__name__
        children = (",\n" + " " * (indent + 2)).join(c.__repr__(indent + 2) for c in self.children_specs)
        return f"TreeSpec({name}, {self.context}, [{children}])"


LeafSpec = TreeSpec
_LEAF = TreeSpec(None, None)


def register_pytree_node(
    cls: type,
    flatten_fn,
    unflatten_fn,
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context=None,
    from_dumpable_context=None,
    flatten_with_keys_fn=None,
) -> None:
    """Make a class a container.

    Args:
        cls: the class.
        flatten_fn: from an instance to (list of children, context).
        unflatten_fn: from (children, context) to an instance.
        serialized_type_name, to_dumpable_context, from_dumpable_context: accepted; specs are not written as text.
        flatten_with_keys_fn: from an instance to (list of (key, child), context), for paths.
    Raises:
        ValueError: it is one already.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node. Registration can be done only once.")
    SUPPORTED_NODES[cls] = _NodeType(flatten_fn, unflatten_fn, flatten_with_keys_fn)


def _is_leaf(value, is_leaf) -> bool:
    return (is_leaf is not None and is_leaf(value)) or _node_type(value) is None


def tree_is_leaf(tree: PyTree, is_leaf=None) -> bool:
    """Whether this is a leaf."""
    return _is_leaf(tree, is_leaf)


def tree_flatten(tree: PyTree, is_leaf=None) -> tuple[list, TreeSpec]:
    """The leaves of a tree, and its structure.

    Args:
        tree: nested containers.
        is_leaf: says of a container whether to take it for a leaf.

    >>> from rushlight.utils._pytree import tree_flatten
    >>> tree_flatten({"a": 1, "b": [2, 3]})[0]
    [1, 2, 3]
    """
    leaves: list = []
    return leaves, _flatten(tree, leaves, is_leaf)


def _flatten(tree, leaves: list, is_leaf) -> TreeSpec:
    if _is_leaf(tree, is_leaf):
        leaves.append(tree)
        return _LEAF
    children, context = _node_type(tree).flatten(tree)
    return TreeSpec(_key(tree), context, [_flatten(c, leaves, is_leaf) for c in children])


def tree_unflatten(leaves, treespec: TreeSpec) -> PyTree:
    """The tree with this structure and these leaves.

    Raises:
        ValueError: there are too few or too many leaves.
    """
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec refers to a pytree that "
            f"holds {treespec.num_leaves} items ({treespec})."
        )
    return _unflatten(iter(leaves), treespec)


def _unflatten(leaves, spec: TreeSpec):
    if spec.is_leaf():
        return next(leaves)
    children = [_unflatten(leaves, c) for c in spec.children_specs]
    if spec.type is namedtuple_type:
        return spec.context(*children)
    kind = _RESULT if is_structseq(spec.type) else SUPPORTED_NODES[spec.type]
    return kind.unflatten(children, spec.context)


def tree_leaves(tree: PyTree, is_leaf=None) -> list:
    """The leaves of a tree."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: PyTree, is_leaf=None):
    """The leaves of a tree, one after another."""
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree: PyTree, is_leaf=None) -> TreeSpec:
    """The structure of a tree."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func, tree: PyTree, *rests: PyTree, is_leaf=None) -> PyTree:
    """The tree with a function applied to every leaf, together with the leaves of further trees at its place.

    >>> from rushlight.utils._pytree import tree_map
    >>> tree_map(lambda x, y: x + y, {"a": 1}, {"a": 2})
    {'a': 3}
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *(_leaves_up_to(spec, rest) for rest in rests)]
    return tree_unflatten([func(*row) for row in zip(*columns, strict=True)], spec)


def tree_map_(func, tree: PyTree, *rests: PyTree, is_leaf=None) -> PyTree:
    """Call a function on every leaf, and return the tree itself."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_flatten_with_path(tree: PyTree, is_leaf=None) -> tuple[list[tuple], TreeSpec]:
    """The leaves of a tree, each with the keys that lead to it, and the tree's structure.

    Raises:
        ValueError: a class was registered without `flatten_with_keys_fn`.

    >>> from rushlight.utils._pytree import keystr, tree_flatten_with_path
    >>> [(keystr(path), leaf) for path, leaf in tree_flatten_with_path({"a": 1, "b": [2, 3]})[0]]
    [("['a']", 1), ("['b'][0]", 2), ("['b'][1]", 3)]
    """
    return list(_paths((), tree, is_leaf)), tree_structure(tree, is_leaf)


def tree_leaves_with_path(tree: PyTree, is_leaf=None) -> list[tuple]:
    """The leaves of a tree, each with the keys that lead to it."""
    return list(_paths((), tree, is_leaf))


def _paths(path: tuple, tree, is_leaf):
    if _is_leaf(tree, is_leaf):
        yield path, tree
        return
    flatten = _node_type(tree).flatten_with_keys
    if flatten is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {type(tree)}. "
            "Please pass a flatten_with_keys_fn argument to register_pytree_node."
        )
    for key, child in flatten(tree)[0]:
        yield from _paths((*path, key), child, is_leaf)


def tree_map_with_path(func, tree: PyTree, *rests: PyTree, is_leaf=None) -> PyTree:
    """`tree_map` with a function of (path, leaf, ...)."""
    found, spec = tree_flatten_with_path(tree, is_leaf)
    columns = [_leaves_up_to(spec, rest) for rest in rests]
    return tree_unflatten([func(*pair, *row) for pair, *row in zip(found, *columns, strict=True)], spec)


def keystr(kp) -> str:
    """A path as Python writes it."""
    return "".join(map(str, kp))


def key_get(obj, kp):
    """What stands at a path in an object."""
    for key in kp:
        obj = key.get(obj)
    return obj


def _leaves_up_to(spec: TreeSpec, tree) -> list:
    """The parts of a tree that stand where the leaves of a structure stand."""
    if spec.is_leaf():
        return [tree]
    kind = _node_type(tree)
    if kind is None or _key(tree) is not spec.type:
        raise ValueError(f"Type mismatch;\nexpected {spec.type!r}, but got {type(tree)!r}.")
    children, context = kind.flatten(tree)
    if len(children) != spec.num_children:
        raise ValueError(f"Node arity mismatch;\nexpected {spec.num_children}, but got {len(children)}.")
    if spec.type in (dict, OrderedDict, defaultdict):
        keys = spec.context[1] if spec.type is defaultdict else spec.context
        if set(keys) != set(tree):
            raise ValueError(f"Node keys mismatch;\nexpected {list(keys)}, but got {list(tree)}.")
        children = [tree[k] for k in keys]
    elif context != spec.context:
        raise ValueError(f"Node context mismatch;\nexpected {spec.context!r}, but got {context!r}.")
    return [leaf for s, c in zip(spec.children_specs, children, strict=True) for leaf in _leaves_up_to(s, c)]


def _only(types, func):
    matches = types if callable(types) and not isinstance(types, type) else lambda x: isinstance(x, types)
    return lambda x: func(x) if matches(x) else x


_MISSING = object()


def tree_map_only(types, func=_MISSING, tree: PyTree = _MISSING, is_leaf=None) -> PyTree:
    """`tree_map` on the leaves of some types (or for which a function is true); the others stay."""
    return tree_map(_only(types, func), tree, is_leaf=is_leaf)


def tree_map_only_(types, func, tree: PyTree, is_leaf=None) -> PyTree:
    """`tree_map_` on the leaves of some types."""
    tree_map(_only(types, func), tree, is_leaf=is_leaf)
    return tree


def tree_all(pred, tree: PyTree, is_leaf=None) -> bool:
    """Whether a condition holds for all leaves."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred, tree: PyTree, is_leaf=None) -> bool:
    """Whether a condition holds for a leaf."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(types, pred, tree: PyTree, is_leaf=None) -> bool:
    """Whether a condition holds for all leaves of some types."""
    return all(pred(x) for x in tree_iter(tree, is_leaf) if isinstance(x, types))


def tree_any_only(types, pred, tree: PyTree, is_leaf=None) -> bool:
    """Whether a condition holds for a leaf of some types."""
    return any(pred(x) for x in tree_iter(tree, is_leaf) if isinstance(x, types))


def _broadcast_to_and_flatten(tree: PyTree, treespec: TreeSpec, is_leaf=None) -> list | None:
    """One leaf of `tree` per leaf of the structure, a leaf of `tree` standing for all below; None where they differ."""
    if _is_leaf(tree, is_leaf):
        return [tree] * treespec.num_leaves
    if treespec.is_leaf() or _key(tree) is not treespec.type:
        return None
    children, context = _node_type(tree).flatten(tree)
    if len(children) != treespec.num_children or context != treespec.context:
        return None
    found: list = []
    for child, spec in zip(children, treespec.children_specs, strict=True):
        part = _broadcast_to_and_flatten(child, spec, is_leaf)
        if part is None:
            return None
        found += part
    return found

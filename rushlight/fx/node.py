"""One operation of a graph."""

from collections.abc import Callable
from typing import Any

from rushlight.fx.functions import in_pytorch, qualified_name

__all__ = ["Argument", "Node", "Target", "has_side_effect", "map_aggregate", "map_arg"]

Target = Callable[..., Any] | str
Argument = Any
_side_effects: set = set()


def has_side_effect(fn):
    """Say that a function does something besides giving a result, so that dead code elimination leaves its calls.

    >>> from rushlight import fx
    >>> fx.has_side_effect(print) is print
    True
    """
    _side_effects.add(fn)
    return fn


def map_aggregate(a, fn):
    """A value with `fn` applied to each item in tuples, lists, dictionaries and slices.

    >>> from rushlight.fx.node import map_aggregate
    >>> map_aggregate((1, [2, {"x": 3}]), lambda i: i + 1)
    (2, [3, {'x': 4}])
    """
    if isinstance(a, tuple):
        items = [map_aggregate(item, fn) for item in a]
        return type(a)(*items) if hasattr(a, "_fields") else tuple(items)
    if isinstance(a, list):
        return [map_aggregate(item, fn) for item in a]
    if isinstance(a, dict):
        return {key: map_aggregate(item, fn) for key, item in a.items()}
    if isinstance(a, slice):
        return slice(*(map_aggregate(item, fn) for item in (a.start, a.stop, a.step)))
    return fn(a)


def map_arg(a, fn):
    """A value with `fn` applied to the nodes in it."""
    return map_aggregate(a, lambda item: fn(item) if isinstance(item, Node) else item)


def base_name(target: Target) -> str:
    """What the name of a node with this target starts from."""
    if not callable(target):
        return target
    public = qualified_name(target)
    return public.rpartition(".")[2] if public.startswith("torch.") else target.__name__


def type_name(kind) -> str:
    """The name of a type in printed graphs."""
    if isinstance(kind, type) and kind.__module__ == "builtins":
        return kind.__qualname__
    if isinstance(kind, type):
        return in_pytorch(f"{kind.__module__}.{kind.__qualname__}")
    return "..." if kind is ... else repr(kind)


def _format(arg) -> str:
    if isinstance(arg, list):
        return f"[{', '.join(map(_format, arg))}]"
    if isinstance(arg, tuple):
        return f"({', '.join(map(_format, arg))}{',' if len(arg) == 1 else ''})"
    if isinstance(arg, dict):
        return "{" + ", ".join(f"{key}: {_format(value)}" for key, value in arg.items()) + "}"
    return f"%{arg}" if isinstance(arg, Node) else str(arg)


class Node:
    """One operation.

    Attributes:
        graph: that it is in.
        name: of its result, one of a kind in the graph.
        op: "placeholder", "get_attr", "call_function", "call_method", "call_module" or "output".
        target: the argument's, attribute's, module's or method's name, or the function.
        args, kwargs: its arguments, in which nodes stand for their results.
        users: the nodes that take its result, as keys.
        type: its annotation, if any.
        meta: a dictionary for whoever transforms the graph.
    """

    def __init__(self, graph, name, op, target, args, kwargs, return_type=None):
        self.graph, self.name, self.op, self.target, self.type = graph, name, op, target, return_type
        self.users: dict[Node, None] = {}
        self.meta: dict = {}
        self._inputs: dict[Node, None] = {}
        self._args, self._kwargs = (), {}
        self._prev = self._next = self
        self._erased = False
        self._set(args, kwargs)

    def _set(self, args, kwargs) -> None:
        for node in self._inputs:
            node.users.pop(self, None)
        self._args, self._kwargs = map_aggregate(tuple(args), _same), map_aggregate(dict(kwargs), _same)
        self._inputs = {}
        map_arg((self._args, self._kwargs), lambda node: self._inputs.setdefault(node))
        for node in self._inputs:
            node.users.setdefault(self)

    @property
    def args(self) -> tuple:
        """Its positional arguments."""
        return self._args

    @args.setter
    def args(self, args) -> None:
        self._set(args, self._kwargs)

    @property
    def kwargs(self) -> dict:
        """Its named arguments."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, kwargs) -> None:
        self._set(self._args, kwargs)

    @property
    def all_input_nodes(self) -> list["Node"]:
        """The nodes whose results it takes."""
        return list(self._inputs)

    @property
    def next(self) -> "Node":
        """The node after it."""
        return self._next

    @property
    def prev(self) -> "Node":
        """The node before it."""
        return self._prev

    def __repr__(self) -> str:
        return self.name

    def _unlink(self) -> None:
        self._prev._next, self._next._prev = self._next, self._prev

    def prepend(self, x: "Node") -> None:
        """Put `x` before this node.

        Raises:
            AssertionError: `x` is of another graph.
        """
        if x.graph is not self.graph:
            raise AssertionError("Attempting to move a Node into a different Graph")
        if x is self:
            return
        x._unlink()
        x._prev, x._next = self._prev, self
        self._prev._next = self._prev = x

    def append(self, x: "Node") -> None:
        """Put `x` after this node."""
        self._next.prepend(x)

    def update_arg(self, idx: int, arg) -> None:
        """Replace one positional argument."""
        self.args = (*self.args[:idx], arg, *self.args[idx + 1 :])

    def insert_arg(self, idx: int, arg) -> None:
        """Put an argument before the one at `idx`."""
        self.args = (*self.args[:idx], arg, *self.args[idx:])

    def update_kwarg(self, key: str, arg) -> None:
        """Set one named argument."""
        self.kwargs = {**self.kwargs, key: arg}

    def replace_input_with(self, old_input: "Node", new_input: "Node") -> None:
        """Take the result of another node instead of `old_input`'s."""
        args, kwargs = map_arg((self.args, self.kwargs), lambda n: new_input if n is old_input else n)
        self._set(args, kwargs)

    def replace_all_uses_with(
        self, replace_with: "Node", delete_user_cb=lambda user: True, *, propagate_meta: bool = False
    ) -> list["Node"]:
        """Have the users of this node take another node's result.

        Args:
            replace_with: the other node.
            delete_user_cb: which users to change; all by default.
            propagate_meta: whether the other node gets this one's `meta`.
        Returns:
            The users that were changed.
        """
        if propagate_meta:
            replace_with.meta.update(self.meta)
        users = [user for user in self.users if delete_user_cb(user)]
        for user in users:
            user.replace_input_with(self, replace_with)
        return users

    def is_impure(self, impure_random: bool = True) -> bool:
        """Whether dead code elimination must leave it."""
        if self.op == "call_module":
            module = self.graph.owning_module.get_submodule(self.target)
            return getattr(module, "_is_impure", False)
        if self.op == "call_function":
            name = base_name(self.target)
            in_place = (name.endswith("_") and not name.endswith("__")) or name in ("setitem", "_assert")
            return self.target in _side_effects or in_place or "out" in self.kwargs
        return self.op in ("placeholder", "output")

    def format_node(self, placeholder_names=None, maybe_return_typename=None, **_) -> str | None:
        """Its line in a printed graph."""
        kind = f"{type_name(self.type)} " if self.type is not None else ""
        start = f"%{self.name} : {kind}[num_users={len(self.users)}] = {self.op}"
        if self.op == "placeholder":
            return f"{start}[target={self.target}]{f'(default={self.args[0]})' if self.args else ''}"
        if self.op == "output":
            if self.type is not None and maybe_return_typename:
                maybe_return_typename[0] = f" -> {type_name(self.type)}"
            return f"return {self.args[0]}"
        if self.op == "get_attr":
            return f"{start}[target={self.target}]"
        return (
            f"{start}[target={_shown_target(self.target)}]"
            f"(args = {_format(self.args)}, kwargs = {_format(self.kwargs)})"
        )


def _same(item):
    return item


def _shown_target(target: Target) -> str:
    if isinstance(target, str):
        return target
    module = getattr(target, "__module__", None)
    if module == "builtins":
        return f"builtins.{target.__name__}"
    return f"operator.{target.__name__}" if module == "_operator" else qualified_name(target)

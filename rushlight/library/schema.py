"""Schemas of operators, such as `add(Tensor x, Tensor y, *, float k=1.0) -> Tensor`: read, and found from type hints."""

import collections.abc
import enum
import inspect
import re
import typing
from dataclasses import dataclass

from rushlight.devices import device
from rushlight.dtypes import dtype
from rushlight.tensor import Tensor

Number = int | float | complex | bool

Tag = enum.IntEnum(
    "Tag",
    "core cudagraph_unsafe data_dependent_output dynamic_output_shape flexible_layout generated inplace inplace_view "
    "maybe_aliasing_or_mutating needs_contiguous_strides needs_exact_strides needs_fixed_stride_order "
    "nondeterministic_bitwise nondeterministic_seeded out out_variant pointwise pt2_compliant_tag reduction view_copy",
    start=0,
)

_SCALARS = {
    Tensor: "Tensor", int: "SymInt", float: "float", bool: "bool", str: "str", Number: "Scalar", dtype: "ScalarType",
    device: "Device",
}  # fmt: skip
_RETURNS = ("Tensor", "Tensor[]", "SymInt", "float", "bool", "Scalar")

#: What a value of each type may be, besides tensors of one number for numbers.
_ACCEPTED = {
    "Tensor": Tensor, "int": int, "SymInt": int, "float": (int, float), "bool": bool, "str": str,
    "Scalar": (int, float, complex), "ScalarType": dtype, "Device": (device, str),
}  # fmt: skip


@dataclass(frozen=True)
class Argument:
    """One argument of an operator: its name and type, whether it is changed, given by name only, or has a default."""

    name: str
    type: str
    is_write: bool = False
    kwarg_only: bool = False
    default: object = inspect.Parameter.empty

    @property
    def is_tensors(self) -> bool:
        """Whether it is a list of tensors."""
        return self.type.startswith("Tensor") and "[" in self.type

    def accepts(self, value) -> bool:
        """Whether a value is of the argument's type."""
        kind, _, items = self.type.partition("[")
        if value is None:
            return self.type.endswith("?")
        if items:
            if isinstance(value, list | tuple):
                return all(Argument("", kind).accepts(item) for item in value)
            return items[0].isdigit() and Argument("", kind).accepts(value)  # int[2]: one for all
        accepted = _ACCEPTED.get(kind.rstrip("?"), object)
        numeric = kind.rstrip("?") in ("int", "SymInt", "float", "Scalar", "bool")
        return isinstance(value, accepted) or (numeric and isinstance(value, Tensor) and value.numel() == 1)


@dataclass(frozen=True)
class Schema:
    """The name, overload, arguments and results of an operator; `text` is how it was written."""

    name: str
    overload: str
    arguments: tuple[Argument, ...]
    returns: str
    text: str

    def __str__(self) -> str:
        return self.text

    def bind(self, args: tuple, kwargs: dict) -> tuple[list, dict]:
        """The values of all arguments, defaults included: those by position, and those by name.

        Raises:
            RuntimeError: they don't fit.
        """
        places = [a for a in self.arguments if not a.kwarg_only]
        told = f"{self.name}()"
        if len(args) > len(places):
            raise RuntimeError(
                f"{told} expected at most {len(places)} argument(s) but received {len(args)} argument(s). "
                f"Declaration: {self}"
            )
        given = {**kwargs}
        values = {}
        for i, argument in enumerate(self.arguments):
            if not argument.kwarg_only and i < len(args):
                value = args[i]
            elif argument.name in given:
                value = given.pop(argument.name)
            elif argument.default is not inspect.Parameter.empty:
                value = argument.default
            else:
                raise RuntimeError(
                    f"{told} is missing value for argument '{argument.name}'. Declaration: {self}"
                )
            if not argument.accepts(value):
                raise RuntimeError(
                    f"{told} Expected a value of type '{argument.type}' for argument '{argument.name}' but instead "
                    f"found type '{type(value).__name__}'.\nPosition: {i}\nValue: {value!r}\nDeclaration: {self}"
                )
            values[argument.name] = value
        if given:
            raise RuntimeError(
                f"Unknown keyword argument '{next(iter(given))}' for operator '{self.name}'. Schema: {self}"
            )
        by_name = {a.name: values.pop(a.name) for a in self.arguments if a.kwarg_only}
        return list(values.values()), by_name


_SCHEMA = re.compile(r"\s*([\w:]+)(?:\.(\w+))?\s*\((.*)\)\s*->\s*(.+?)\s*", re.S)
_ARGUMENT = re.compile(r"(\w+)(\([^)]*\))?((?:\?|\[\d*\])*)\s+(\w+)\s*(?:=\s*(.+))?", re.S)


def parse(text: str) -> Schema:
    """Read a schema.

    Raises:
        RuntimeError: it is none.

    >>> from rushlight.library.schema import parse
    >>> [(a.name, a.type, a.default) for a in parse("f(Tensor x, int[]? k=None) -> Tensor").arguments][1]
    ('k', 'int[]?', None)
    """
    found = _SCHEMA.fullmatch(text)
    if not found:
        raise RuntimeError(f"expected a schema such as 'name(Tensor x, int k=2) -> Tensor', got {text!r}")
    name, overload, inside, returns = found.groups()
    arguments, by_name = [], False
    for part in re.split(r",\s*(?![^\[(]*[\])])", inside) if inside.strip() else ():
        if part.strip() == "*":
            by_name = True
            continue
        argument = _ARGUMENT.fullmatch(part.strip())
        if not argument:
            raise RuntimeError(f"schema {text!r}: expected a type and a name, got {part.strip()!r}")
        kind, alias, suffix, called, default = argument.groups()
        value = inspect.Parameter.empty if default is None else _default(default.strip())
        arguments.append(Argument(called, kind + suffix, "!" in (alias or ""), by_name, value))
    return Schema(name, overload or "default", tuple(arguments), returns, text.strip())


def _default(text: str):
    import ast

    import rushlight

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        found = getattr(rushlight, text, None)  # a dtype
        if found is None:
            raise RuntimeError(f"schema: the default {text!r} is not understood") from None
        return found


def _type(hint) -> str | None:
    """The schema's word for a type hint; None where it has none."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if type(None) in parts and len(parts) > 1:
        rest = tuple(p for p in parts if p is not type(None))
        inner = _type(typing.Union[rest])  # noqa: UP007
        return inner and f"{inner}?"
    if origin in (list, collections.abc.Sequence) and len(parts) == 1:
        inner = _type(parts[0])
        return (
            f"{inner}[]"
            if inner and "[" not in inner and inner not in ("str", "ScalarType", "Device")
            else None
        )
    return None


def infer_schema(prototype_function, /, *, mutates_args, op_name: str | None = None, tags=()) -> str:
    """The schema of a function with type hints.

    Args:
        prototype_function: takes and returns tensors, numbers, text, dtypes, devices, lists and optionals of them.
        mutates_args: names of the arguments that it changes, or "unknown" for all tensors.
        op_name: to stand before the schema.
        tags: `torch.Tag.inplace` or `torch.Tag.out` for functions that return what they change.
    Raises:
        ValueError: a hint is missing or cannot be said in a schema.

    >>> import rushlight as torch
    >>> def scaled(x: torch.Tensor, k: float = 2.0) -> torch.Tensor: ...
    >>> torch.library.infer_schema(scaled, mutates_args=())
    '(Tensor x, float k=2.0) -> Tensor'
    """
    signature = inspect.signature(prototype_function)

    def refuse(why: str):
        raise ValueError(f"infer_schema(func): {why} Got func with signature {signature})")

    try:
        hints = typing.get_type_hints(prototype_function)
    except NameError as error:
        refuse(f"Unsupported type annotation. It is not a type. ({error}).")
    if isinstance(mutates_args, str) and mutates_args != "unknown":
        raise ValueError(
            "mutates_args must either be a sequence of the names of the arguments that are mutated or the string 'unknown'. "
        )
    parts, aliases, starred = [], [], False
    for i, (name, parameter) in enumerate(signature.parameters.items()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            refuse("We do not support positional-only args, varargs, or varkwargs.")
        if parameter.kind == parameter.KEYWORD_ONLY and not starred:
            starred = True
            parts.append("*")
        if name not in hints:
            refuse(f"Parameter {name} must have a type annotation.")
        kind = _type(hints[name])
        if kind is None:
            refuse(f"Parameter {name} has unsupported type {parameter.annotation}.")
        is_tensor = kind.startswith("Tensor")
        if (mutates_args == "unknown" and is_tensor) or (mutates_args != "unknown" and name in mutates_args):
            if not is_tensor:
                refuse(
                    f"Parameter {name} is in mutable_args but only Tensors or collections of Tensors can be mutated"
                )
            kind = f"Tensor(a{i}!){kind[len('Tensor') :]}"
            aliases.append(kind)
        default = parameter.default
        if default is parameter.empty:
            parts.append(f"{kind} {name}")
        elif isinstance(default, str | device):
            parts.append(f'{kind} {name}="{default}"')
        elif default is None or isinstance(default, int | float | dtype):
            parts.append(f"{kind} {name}={str(default).removeprefix('torch.')}")
        else:
            refuse(f"Parameter {name} has an unsupported default value type {type(default)}.")
    unseen = set() if mutates_args == "unknown" else set(mutates_args) - set(signature.parameters)
    if unseen:
        refuse(
            f"{unseen} in mutates_args were not found in the custom op's signature. mutates_args should contain the names "
            "of all args that the custom op mutates, or just the string 'unknown' if you don't know."
        )
    if signature.return_annotation is inspect.Signature.empty:
        refuse("No return type annotation was provided. Please add one.")
    returned = _returns(hints.get("return"), refuse)
    tags = (tags,) if isinstance(tags, Tag) else tags or ()
    if Tag.inplace in tags or Tag.out in tags:  # the arguments that are changed are what comes back
        returned = aliases[0] if len(aliases) == 1 else f"({', '.join(aliases)})"
    return f"{op_name or ''}({', '.join(parts)}) -> {returned}"


def _returns(hint, refuse) -> str:
    if hint is None or hint is type(None):
        return "()"
    is_tuple = typing.get_origin(hint) is tuple
    kinds = [_type(part) for part in (typing.get_args(hint) if is_tuple else (hint,))]
    if any(kind not in _RETURNS for kind in kinds):
        refuse(f"Return has unsupported type {hint}.")
    if not is_tuple:
        return kinds[0]
    return f"(({kinds[0]}))" if len(kinds) == 1 else f"({', '.join(kinds)})"

"""`rushlight check`: which names of PyTorch a script uses that are not here, without running it."""

import ast
import importlib
import importlib.util
import os
import sys
import warnings
from dataclasses import dataclass, field
from inspect import isclass, ismodule

from rushlight.aliases import ALIASES
from rushlight.cli.errors import CommandError

#: Packages that need PyTorch's own compiled code.
_FOREIGN = ("torchaudio", "torchtext", "torch_xla", "torchao", "torchrec")
_MISSING = object()


@dataclass
class Finding:
    """A name that is not here.

    Attributes:
        line: of the file.
        name: in full, as PyTorch has it.
        part: the part of it that is not here.
        optional: whether it is in a block that catches what happens then.
    """

    line: int
    name: str
    part: str
    optional: bool


def check(flags) -> int:
    """Print what is missing; returns 0 if nothing is that the scripts need, else 1."""
    files = _files(flags.paths)
    needed = 0
    for path in files:
        for found in findings(_source(path), path):
            needed += not found.optional
            where = f" ({found.part} is absent)" if found.part != found.name else ""
            note = "; the script may do without, it catches the error" if found.optional else ""
            print(f"{path}:{found.line}: {found.name} is not in Rushlight{where}{note}")
    print(f"{_count(len(files), 'file')}: {_count(needed, 'name')} missing", file=sys.stderr)
    return 1 if needed else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _files(paths: list[str]) -> list[str]:
    files = []
    for path in paths:
        if not os.path.exists(path):
            raise CommandError(f"{path}: no such file or folder")
        if os.path.isfile(path):
            files.append(path)
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            files += [os.path.join(folder, name) for name in sorted(names) if name.endswith(".py")]
    if not files:
        raise CommandError(f"{', '.join(paths)}: there are no Python files")
    return files


def _source(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def findings(source: str | bytes, path: str = "script") -> list[Finding]:
    """The names that a script uses and that are not here, by line.

    Args:
        source: the script.
        path: its name, for messages.
    Raises:
        CommandError: it is no Python.

    >>> from rushlight.cli.check import findings
    >>> [(f.line, f.name) for f in findings("import torch as t\\nt.ones(1)\\nt.no_such_name(1)")]
    [(3, 'torch.no_such_name')]
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source, path)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            raise CommandError(f"{path}:{line or 1}: {getattr(error, 'msg', error)}") from error
        checker = _Checker(_own_operators(tree))
        checker.visit(tree)
    unique = {(f.line, f.name): f for f in reversed(checker.found)}
    return sorted(unique.values(), key=lambda f: (f.line, f.name))


@dataclass
class _Scope:
    """Names of a module or function: the dotted path that each stands for, None for something else."""

    names: dict = field(default_factory=dict)
    is_class: bool = False


class _Checker(ast.NodeVisitor):
    """Follows imports, attributes, and names that are given to other names."""

    def __init__(self, own_operators: set[str]):
        self.own_operators = own_operators
        self.found: list[Finding] = []
        self.scopes = [_Scope()]
        self.caught = 0  # blocks around that catch the error

    # -- names --------------------------------------------------------------------------------------

    def _bind(self, name: str, path: str | None) -> None:
        self.scopes[-1].names[name] = path

    def _lookup(self, name: str) -> str | None:
        for depth, scope in enumerate(reversed(self.scopes)):
            if name in scope.names and not (scope.is_class and depth):
                return scope.names[name]
        return None

    def _path(self, node) -> str | None:
        """The dotted path that an expression stands for, if it is one below torch."""
        if isinstance(node, ast.Name):
            return self._lookup(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._path(node.value)
            return owner and f"{owner}.{node.attr}"
        if _is_call(node, "getattr") and len(node.args) == 2 and isinstance(node.args[1], ast.Constant):
            owner = self._path(node.args[0])
            return owner and f"{owner}.{node.args[1].value}"
        return None

    def _use(self, node, path: str) -> None:
        if path.startswith("torch.ops.") and path.split(".")[2] in self.own_operators:
            return
        part = absent(path)
        if part:
            self.found.append(Finding(node.lineno, path, part, self.caught > 0))

    # -- statements ---------------------------------------------------------------------------------

    def visit_Import(self, node) -> None:
        """import torch.nn as nn"""
        for alias in node.names:
            if _ours(alias.name):
                self._use(node, alias.name)
                self._bind(
                    alias.asname or alias.name.partition(".")[0],
                    alias.name if alias.asname else _root(alias.name),
                )
            else:
                self._bind(alias.asname or alias.name.partition(".")[0], None)

    def visit_ImportFrom(self, node) -> None:
        """from torch import nn as n"""
        ours = not node.level and node.module and _ours(node.module)
        for alias in node.names:
            path = f"{node.module}.{alias.name}" if ours and alias.name != "*" else None
            if ours:
                self._use(node, path or node.module)
            if alias.name == "*":
                self._bind_all(node.module if ours else None)
            else:
                self._bind(alias.asname or alias.name, path)

    def _bind_all(self, module: str | None) -> None:
        if module and absent(module) is None:
            value = _value(module)
            for name in getattr(value, "__all__", [n for n in dir(value) if not n.startswith("_")]):
                self._bind(name, f"{module}.{name}")

    def visit_Assign(self, node) -> None:
        """nn = torch.nn"""
        self.visit(node.value)
        path = self._path(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._bind(target.id, path)
            else:
                self._forget(target)
                self.visit(target)

    def visit_AnnAssign(self, node) -> None:
        """x: torch.Tensor = ..."""
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
        if isinstance(node.target, ast.Name):
            self._bind(node.target.id, self._path(node.value) if node.value is not None else None)

    def _forget(self, target) -> None:
        for part in ast.walk(target):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                self._bind(part.id, None)

    def visit_For(self, node) -> None:
        """for x in torch.arange(3)"""
        self._forget(node.target)
        self.generic_visit(node)

    visit_AsyncFor = visit_For

    def visit_withitem(self, node) -> None:
        """with torch.no_grad() as x"""
        self.visit(node.context_expr)
        if node.optional_vars is not None:
            self._forget(node.optional_vars)

    def visit_Try(self, node) -> None:
        """A block that catches what an absent name raises."""
        catches = any(_catches(handler.type) for handler in node.handlers)
        self.caught += catches
        for statement in node.body:
            self.visit(statement)
        self.caught -= catches
        before = dict(self.scopes[-1].names)
        for statement in [*node.handlers, *node.orelse, *node.finalbody]:
            self.visit(statement)
        if catches:  # `nn = None` in the handler doesn't hide the import
            self.scopes[-1].names.update({k: v for k, v in before.items() if v is not None})

    visit_TryStar = visit_Try

    def visit_If(self, node) -> None:
        """if hasattr(torch, "name")"""
        self._guarded(node.test, [node.body], [node.orelse])

    def visit_IfExp(self, node) -> None:
        """torch.a if hasattr(torch, "a") else torch.b"""
        self._guarded(node.test, [[node.body]], [[node.orelse]])

    def _guarded(self, test, body, orelse) -> None:
        self.visit(test)
        asks = any(_is_call(part, "hasattr") for part in ast.walk(test))
        self.caught += asks
        for statement in [s for block in [*body, *orelse] for s in block]:
            self.visit(statement)
        self.caught -= asks

    # -- scopes -------------------------------------------------------------------------------------

    def visit_FunctionDef(self, node) -> None:
        """def f(x: torch.Tensor)"""
        for outer in [*node.decorator_list, *_defaults(node.args), *_annotations(node)]:
            self.visit(outer)
        self._bind(node.name, None)
        self._inside(node.args, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node) -> None:
        """lambda x: x"""
        for default in _defaults(node.args):
            self.visit(default)
        self._inside(node.args, [node.body])

    def _inside(self, arguments, body) -> None:
        named = [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ]
        self.scopes.append(_Scope({argument.arg: None for argument in named if argument is not None}))
        for statement in body:
            self.visit(statement)
        self.scopes.pop()

    def visit_ClassDef(self, node) -> None:
        """class Net(nn.Module)"""
        for outer in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(outer)
        self._bind(node.name, None)
        self.scopes.append(_Scope(is_class=True))
        for statement in node.body:
            self.visit(statement)
        self.scopes.pop()

    def _comprehension(self, node) -> None:
        self.scopes.append(_Scope())
        for generator in node.generators:
            self.visit(generator.iter)
            self._forget(generator.target)
            for condition in generator.ifs:
                self.visit(condition)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(part)
        self.scopes.pop()

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension

    # -- expressions --------------------------------------------------------------------------------

    def visit_Attribute(self, node) -> None:
        """torch.nn.Linear"""
        path = self._path(node)
        if path and isinstance(node.ctx, ast.Load):
            self._use(node, path)
        else:
            self.visit(node.value)

    def visit_Name(self, node) -> None:
        """A name that an import failed to give was reported there."""

    def visit_Call(self, node) -> None:
        """getattr(torch, "name")"""
        path = self._path(node)
        if path:
            self._use(node, path)
        else:
            self.generic_visit(node)


def _is_call(node, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _own_operators(tree) -> set[str]:
    """The namespaces of operators that a script defines: `custom_op("mine::sin")`, `Library("mine", "DEF")`."""
    own = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("custom_op", "define", "Library", "triton_op"):
                own.add(str(node.args[0].value).partition("::")[0])
    return own


def _catches(kind) -> bool:
    """Whether a handler catches what an absent name raises."""
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    caught = ("ImportError", "ModuleNotFoundError", "AttributeError", "Exception", "BaseException")
    return any(isinstance(one, ast.Name) and one.id in caught for one in kinds)


def _defaults(arguments) -> list:
    return [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]


def _annotations(node) -> list:
    a = node.args
    named = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
    found = [one.annotation for one in named if one is not None and one.annotation is not None]
    return [*found, *([node.returns] if node.returns is not None else [])]


# -- what there is --------------------------------------------------------------------------------------


def _root(name: str) -> str:
    return name.partition(".")[0]


def _ours(name: str) -> bool:
    """Whether a module is one that Rushlight stands in for, or can't."""
    return _root(name) in (*_FOREIGN, *(alias for alias in ALIASES if "." not in alias))


def _module(path: str):
    """The module of that name, as scripts see it; `_MISSING` if there is none."""
    alias = max((a for a in ALIASES if f"{path}.".startswith(f"{a}.")), key=len, default=None)
    if alias is None:
        return _MISSING
    real = ALIASES[alias] + path[len(alias) :]
    try:
        return importlib.import_module(real) if importlib.util.find_spec(real) else _MISSING
    except ImportError:
        return _MISSING


def _value(path: str):
    """What a dotted path leads to; `_MISSING` if it is a name that is not here."""
    parts = path.split(".")
    value = _module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        if value is _MISSING or not (ismodule(value) or isclass(value)):
            return value  # of other objects nothing is known
        inner = _MISSING
        if ismodule(value):
            inner = vars(value).get(part, _MISSING)
            inner = _module(".".join(parts[:i])) if inner is _MISSING else inner
        if inner is _MISSING:
            try:
                inner = getattr(value, part, _MISSING)
            except Exception:  # a property that refuses: it is there
                return None
        value = inner
    return value


def absent(path: str) -> str | None:
    """The first part of a dotted path that is not here; None if all of it is.

    >>> from rushlight.cli.check import absent
    >>> absent("torch.nn.functional.relu"), absent("torch.nothing.more")
    (None, 'torch.nothing')
    """
    parts = path.split(".")
    for i in range(1, len(parts) + 1):
        if _value(".".join(parts[:i])) is _MISSING:
            return ".".join(parts[:i])
    return None

"""`Module`, the base of all layers and models: a tree of named parameters, buffers and submodules."""

from collections import OrderedDict

from rushlight.config import typename
from rushlight.nn.conversion import ConversionMixin
from rushlight.nn.hooks import (
    HOOK_TABLES,
    HookMixin,
    _global_buffer_registration_hooks,
    _global_module_registration_hooks,
    _global_parameter_registration_hooks,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
    registered,
)
from rushlight.nn.layer_errors import name_layer
from rushlight.nn.members import Members
from rushlight.nn.parameter import Buffer, Parameter
from rushlight.nn.state import _EXTRA_STATE_KEY_SUFFIX, StateMixin, _IncompatibleKeys  # noqa: F401  also asked for here
from rushlight.ops.registry import leave_unbound
from rushlight.tensor import Tensor

_TABLES = ("_parameters", "_buffers", "_modules")


_SCRIPTED = (
    ": a scripted or traced module is the module itself here, and runs as written. torch.fx.symbolic_trace(module) has "
    "`graph` and `code`"
)


class Module(HookMixin, StateMixin, ConversionMixin):
    """A layer or a model: subclass it, make its parts in `__init__`, and say in `forward` what it computes.

    Parameters and modules assigned to attributes are registered, and so belong to `parameters()`,
    `state_dict()` and `to()`. Call the module itself, not `forward`, so that hooks run.

    >>> import rushlight as torch
    >>> class Net(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc = torch.nn.Linear(2, 1)
    ...
    ...     def forward(self, x):
    ...         return self.fc(x)
    >>> Net()
    Net(
      (fc): Linear(in_features=2, out_features=1, bias=True)
    )
    """

    dump_patches = False
    call_super_init = False
    training: bool
    _compiled_call_impl = None
    # Members are plain attributes too; not where a class's own __getattr__ wants to hear of them.
    _plain_members = True

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls._plain_members = cls.__getattr__ is Module.__getattr__
        leave_unbound(cls)

    def __init__(self, *args, **kwargs):
        if not self.call_super_init:
            _refuse_arguments(type(self).__name__, args, kwargs)
        state = self.__dict__
        for table in _TABLES:
            if table in state:
                state[table].clear()  # called a second time
            state[table] = Members(self)
        state.update({table: OrderedDict() for table in HOOK_TABLES})
        state.update(training=True, _non_persistent_buffers_set=set(), _is_full_backward_hook=None)
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    # -- calling ------------------------------------------------------------------------------------

    def forward(self, *input):
        """What the module computes; to be written by the subclass."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args, **kwargs):
        try:
            if self._hooked:
                return self._call_hooked(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            name_layer(error, self)
            raise

    def compile(self, *args, **kwargs) -> None:
        """Have the calls of this module compiled, in place.

        Args:
            args, kwargs: as for `torch.compile`.

        >>> import rushlight as torch
        >>> model = torch.nn.Linear(2, 1)
        >>> model.compile()
        >>> model(torch.ones(3, 2)).shape
        torch.Size([3, 1])
        """
        from rushlight.compiler import compile

        self._compiled_call_impl = compile(self._call_impl, *args, **kwargs)
        self.__dict__["_hooked"] = True

    # -- members ------------------------------------------------------------------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, which can be None, under a name.

        Raises:
            KeyError: the name is empty, has a dot, or is taken. TypeError: `param` is not a Parameter.
            ValueError: `param` was computed rather than made.
        """
        self._check_name("parameter", "_parameters", name)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{typename(param)}' object to parameter '{name}' (torch.nn.Parameter or "
                    "None required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
                    f"explicitly. To express '{name}' as a function of another Tensor, compute the value in "
                    "the forward() method."
                )
            if _global_parameter_registration_hooks:
                param = registered(_global_parameter_registration_hooks, self, name, param)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module's state but is not learned.

        Args:
            name: its name.
            tensor: its values; None for none.
            persistent: whether it is part of `state_dict`.
        Raises:
            KeyError: the name is empty, has a dot, or is taken. TypeError: `tensor` is not a Tensor.

        >>> import rushlight as torch
        >>> module = torch.nn.Module()
        >>> module.register_buffer("steps", torch.zeros(1))
        >>> module.steps
        tensor([0.])
        """
        self._check_name("buffer", "_buffers", name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' (torch Tensor or None "
                "required)"
            )
        if _global_buffer_registration_hooks:
            tensor = registered(_global_buffer_registration_hooks, self, name, tensor)
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: "Module | None") -> None:
        """Add a submodule, which can be None, under a name.

        Raises:
            KeyError: the name is empty, has a dot, or is taken. TypeError: `module` is not a Module.
        """
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{typename(module)} is not a Module subclass{_module_hint(module)}")
        self._check_name("module", "_modules", name)
        self._modules[name] = registered(_global_module_registration_hooks, self, name, module)

    def register_module(self, name: str, module: "Module | None") -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def _check_name(self, what: str, table: str, name) -> None:
        members = self.__dict__.get(table)
        if members is None:
            raise AttributeError(_before_init(type(self).__name__, what))
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {typename(name)}")
        if name not in members and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain "."' + (f", got: {name}" if what == "module" else ""))
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')

    def __getattr__(self, name: str):
        # Members are plain attributes, except where their class has the name or their table was replaced.
        for table in _TABLES:
            members = self.__dict__.get(table)
            if members is not None and name in members:
                return members[name]
        hint = _SCRIPTED if name in ("code", "code_with_constants", "graph", "inlined_graph") else ""
        raise AttributeError(
            f"'{type(self).__name__}' object has no attribute '{name}'{hint}", name=name, obj=self
        )

    def __setattr__(self, name: str, value) -> None:
        state = self.__dict__
        if isinstance(value, Parameter):
            self._leave_only(name, "_parameters", "parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._leave_only(name, "_modules", "module")
            self._modules[name] = registered(_global_module_registration_hooks, self, name, value)
        elif name in state.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as parameter '{name}' (torch.nn.Parameter or None "
                    "expected)"
                )
            self.register_parameter(name, None)
        elif name in state.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as child module '{name}' (torch.nn.Module or None "
                    "expected)"
                )
            self._modules[name] = registered(_global_module_registration_hooks, self, name, None)
        elif name in state.get("_buffers", ()) or (isinstance(value, Tensor) and isinstance(value, Buffer)):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{typename(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor or "
                    "None expected)"
                )
            persistent = name not in state.get("_non_persistent_buffers_set", ())
            self.register_buffer(name, value, getattr(value, "persistent", persistent))
        elif name in _TABLES:
            for old in list(state.get(name, ())):
                del state[name][old]
            state[name] = Members(self, value)
        else:
            object.__setattr__(self, name, value)
            if name == "__class__" and not value._plain_members:
                for table in _TABLES:
                    for member in state.get(table, ()):
                        state.pop(member, None)

    def _leave_only(self, name: str, table: str, what: str) -> None:
        """Take a name away from everything but one table, in which it is about to be registered."""
        state = self.__dict__
        if table not in state:
            raise AttributeError(_before_init(type(self).__name__, what))
        for other in _TABLES:
            if other != table:
                state[other].pop(name, None)
        state.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __delattr__(self, name: str) -> None:
        for table in _TABLES:
            members = self.__dict__.get(table, ())
            if name in members:
                del members[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self):
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers}
        return sorted(name for name in names if not name[0].isdigit())

    def __getstate__(self):
        state = self.__dict__.copy()
        state.pop("_compiled_call_impl", None)
        for table in _TABLES:
            for name, member in state.get(table, {}).items():
                if state.get(name) is member:
                    state.pop(name, None)
            if table in state:
                state[table] = dict(state[table])
        return state

    def __setstate__(self, state) -> None:
        own = self.__dict__
        own.update(state)
        for table in HOOK_TABLES:
            own.setdefault(table, OrderedDict())
        for table in _TABLES:
            own[table] = Members(self, own.get(table, ()))
        own.setdefault("_non_persistent_buffers_set", set())
        own.setdefault("_is_full_backward_hook", None)
        if self._any_hooks():
            own["_hooked"] = True

    # -- the tree -----------------------------------------------------------------------------------

    def get_submodule(self, target: str) -> "Module":
        """The module of a dotted name such as "features.3".

        Raises:
            AttributeError: there is none, or it is no module.
        """
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: "Module", strict: bool = False) -> None:
        """Put a module in the place of the one of a dotted name.

        Args:
            target: the dotted name.
            module: the new module.
            strict: whether there must be one already.
        Raises:
            ValueError: `target` is empty or `module` is no module. AttributeError: there is no such place.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if not isinstance(getattr(parent, name, module), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name such as "features.3.weight"; AttributeError where there is none."""
        found, _, name = self._member(target)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a dotted name such as "norm.running_mean"; AttributeError where there is none."""
        found, module, name = self._member(target)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    def _member(self, target: str):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        return getattr(module, name), module, name

    def children(self):
        """The modules directly below this one, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self):
        """The modules directly below this one, each once, with their names."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self, remove_duplicate: bool = True):
        """This module and all below it, each once unless `remove_duplicate` is False."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True):
        """This module and all below it, with their dotted names.

        Args:
            memo: modules to leave out; those yielded are added.
            prefix: what names begin with.
            remove_duplicate: whether to give a module that has several names only once.

        >>> import rushlight as torch
        >>> net = torch.nn.Sequential(torch.nn.ReLU())
        >>> [name for name, _ in net.named_modules()]
        ['', '0']
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(
                    memo, f"{prefix}.{name}" if prefix else name, remove_duplicate
                )

    def parameters(self, recurse: bool = True):
        """The parameters of this module and, with `recurse`, of all below it, each once."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        """The parameters with their dotted names.

        Args:
            prefix: what names begin with.
            recurse: whether to go on to the modules below.
            remove_duplicate: whether to give a parameter that has several names only once.

        >>> import rushlight as torch
        >>> [name for name, _ in torch.nn.Linear(2, 1).named_parameters()]
        ['weight', 'bias']
        """
        yield from self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse: bool = True):
        """The buffers of this module and, with `recurse`, of all below it, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        """The buffers with their dotted names; arguments as for `named_parameters`."""
        yield from self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate: bool = True):
        seen = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, member in get_members_fn(module):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield f"{path}.{name}" if path else name, member

    def apply(self, fn) -> "Module":
        """Call `fn(module)` on all modules below this one and on itself; returns itself.

        >>> import rushlight as torch
        >>> net = torch.nn.Sequential(torch.nn.Linear(1, 1))
        >>> net.apply(lambda m: print(type(m).__name__)) is net
        Linear
        Sequential
        True
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # -- training -----------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> "Module":
        """Set training mode, which matters to Dropout and BatchNorm, here and below; returns itself."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> "Module":
        """Set evaluation mode here and below: `train(False)`; returns itself."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Set whether gradients flow to the parameters; returns itself."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or, with `set_to_none=False`, fill them with zeros."""
        for param in self.parameters():
            if param.grad is not None:
                if set_to_none:
                    param.grad = None
                else:
                    param.grad = param.grad.detach()
                    param.grad.zero_()

    # -- printing -----------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed, before its submodules."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        lines += [f"({name}): {_addindent(repr(module))}" for name, module in self._modules.items()]
        if not lines:
            return f"{self._get_name()}()"
        if len(lines) == 1 and not self._modules:
            return f"{self._get_name()}({lines[0]})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


def _addindent(text: str, spaces: int = 2) -> str:
    """The text with all its lines but the first and empty ones moved to the right."""
    first, *rest = text.split("\n")
    return "\n".join([first, *(" " * spaces + line if line.strip() else "" for line in rest)])


def _refuse_arguments(name: str, args: tuple, kwargs: dict) -> None:
    if kwargs:
        raise TypeError(f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'")
    if args:
        raise TypeError(f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given")


__all__ = [
    "Module",
    "_IncompatibleKeys",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]


def _before_init(name: str, what: str) -> str:
    return (
        f"cannot assign {what} before Module.__init__() call: the first line of {name}.__init__ should be "
        "super().__init__()"
    )


def _module_hint(value) -> str:
    """The likely fix where something else stands in a module's place."""
    if isinstance(value, list | tuple):
        return "; give the layers one by one: nn.Sequential(*layers)"
    if isinstance(value, type) and issubclass(value, Module):
        return f"; call it to make one: {value.__name__}()"
    return ""

"""Module against PyTorch: one program is run under both, and what it says must be the same."""

import copy
import gc
import pickle
import re
import warnings
import weakref
from collections import OrderedDict

import pytest

import rushlight
import rushlight.nn

torch = pytest.importorskip("torch")


def said(program, module) -> list:
    """What a program says, with its exceptions and warnings."""
    lines: list = []
    module.manual_seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            program(module, module.nn, lambda *what: lines.append(" ".join(map(str, what))))
        except Exception as error:
            # Ours may go on with the layer.
            lines.append(f"{type(error).__name__}: {str(error).split(' (in layer')[0]}")
    # PyTorch's advice against old backward hooks is left out.
    warned = [w for w in caught if "non-full backward hook" not in str(w.message)]
    return lines + [f"{w.category.__name__}: {w.message}" for w in warned]


PROGRAMS = []


def program(function):
    """List a program."""
    PROGRAMS.append(function)
    return function


def net(nn):
    """A small tree with a shared layer, a list, a dictionary and buffers."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 2)
            self.register_buffer("steps", self.fc.weight.new_zeros(3))
            self.register_buffer("scratch", self.fc.weight.new_zeros(1), persistent=False)
            self.nothing = None
            self.register_parameter("none", None)
            self.register_buffer("no_buffer", None)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = Block()
            self.layers = nn.ModuleList([nn.Linear(2, 2), nn.ReLU(), nn.ReLU()])
            self.by_name = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Identity()})
            self.again = self.layers[0]
            self.scale = nn.Parameter(self.first.steps.clone())
            self.tied = self.scale
            self.params = nn.ParameterList([nn.Parameter(self.first.steps.clone()), self.first.steps.clone()])
            self.table = nn.ParameterDict(
                {"w": nn.Parameter(self.first.steps.clone()), "v": self.first.steps}
            )

    return Net()


@program
def prints(t, nn, say):
    model = net(nn)
    say(model)
    say(nn.Sequential(nn.Sequential(), nn.Sequential(nn.ReLU())), nn.ModuleList(), nn.ModuleDict())
    say(nn.ParameterList([nn.Parameter(t.ones(2, 3)), t.ones(1), "word"]))
    say(nn.ParameterDict({"b": t.ones(2, 3), "a": 5}))
    say(nn.Parameter(t.ones(2)), nn.Parameter(t.ones(2), requires_grad=False), nn.Parameter())
    say(nn.Module())


@program
def walks(t, nn, say):
    model = net(nn)
    for name in ("named_parameters", "named_buffers", "named_children", "named_modules"):
        say(name, [n for n, _ in getattr(model, name)()])
    for name in ("named_parameters", "named_buffers", "named_modules"):
        say(name, [n for n, _ in getattr(model, name)(prefix="p", remove_duplicate=False)])
    say(
        [n for n, _ in model.named_parameters(recurse=False)], [n for n, _ in model.named_buffers("x", False)]
    )
    say(len(list(model.parameters())), len(list(model.buffers())), len(list(model.modules())))
    say(len(list(model.children())), [type(m).__name__ for m in model.modules(remove_duplicate=False)])
    model.apply(lambda m: say(type(m).__name__))
    say([k for k in dir(model) if k in ("scale", "first", "training", "forward", "tied", "_parameters")])


@program
def finds(t, nn, say):
    model = net(nn)
    say(
        model.get_submodule("layers.1"),
        model.get_submodule("") is model,
        model.get_parameter("first.fc.bias").shape,
    )
    say(model.get_buffer("first.steps").shape, model.get_parameter("scale") is model.tied)
    for find, name in (
        ("get_submodule", "layers.7"), ("get_submodule", "first.steps"), ("get_parameter", "first.nope"),
        ("get_parameter", "first.steps"), ("get_parameter", "first"), ("get_buffer", "first.fc"),
        ("get_buffer", "first.fc.weight"), ("get_submodule", "nope.x"), ("get_buffer", "steps"),
    ):  # fmt: skip
        try:
            getattr(model, find)(name)
        except AttributeError as error:
            say(error)
    model.set_submodule("first.fc", nn.Identity())
    model.set_submodule("first.new", nn.Tanh())
    say(model.first)
    for args in (("", nn.ReLU()), ("first", 5), ("first.steps", nn.ReLU()), ("first.x", nn.ReLU(), True)):
        try:
            model.set_submodule(*args)
        except (ValueError, AttributeError) as error:
            say(str(error).split("found")[0])


@program
def assigns(t, nn, say):
    module = nn.Module()
    module.p = nn.Parameter(t.ones(2))
    module.m = nn.Linear(1, 1)
    module.register_buffer("b", t.zeros(1))
    module.plain = 5
    say(list(module._parameters), list(module._modules), list(module._buffers))
    module.p = None
    module.m = None
    module.b = None
    say(module.p, module.m, module.b, module)
    module.p, module.m, module.b = nn.Parameter(t.zeros(1)), nn.ReLU(), t.ones(3)
    say(module.p, module.m, module.b, list(module.state_dict()))
    module.m = nn.Parameter(t.ones(1))
    module.b = nn.Tanh()
    say(list(module._parameters), list(module._modules), list(module._buffers))
    module.plain = nn.Parameter(t.ones(1))
    say(list(module._parameters), "plain" in module._parameters)
    del module.plain, module.b, module.p
    say(list(module._parameters), list(module._modules), hasattr(module, "plain"), hasattr(module, "p"))
    module._parameters["direct"] = nn.Parameter(t.ones(2))
    say(module.direct.shape, module._parameters.pop("direct").shape, hasattr(module, "direct"))
    module._modules = OrderedDict(x=nn.ReLU())
    say(module.x, hasattr(module, "m"), module)
    module.weight = t.ones(2)
    say(module.weight, "weight" in module._parameters)
    module.kept = nn.Buffer(t.ones(2))
    module.dropped = nn.Buffer(t.ones(2), persistent=False)
    say(list(module.state_dict()), [n for n, _ in module.named_buffers()], isinstance(module.kept, nn.Buffer))


@program
def refuses(t, nn, say):
    module = nn.Module()
    module.p, module.m = nn.Parameter(t.ones(2)), nn.ReLU()
    module.register_buffer("b", t.zeros(1))
    w = t.ones(2, requires_grad=True)
    for attempt in (
        lambda: setattr(module, "p", t.ones(2)),
        lambda: setattr(module, "p", 5),
        lambda: setattr(module, "m", 5),
        lambda: setattr(module, "m", t.ones(2)),
        lambda: setattr(module, "b", "x"),
        lambda: module.register_parameter("a.b", None),
        lambda: module.register_parameter("", None),
        lambda: module.register_parameter(5, None),
        lambda: module.register_parameter("train", None),
        lambda: module.register_parameter("m", None),
        lambda: module.register_parameter("q", t.ones(2)),
        lambda: module.register_parameter("q", w * 2),
        lambda: module.register_parameter("q", 5),
        lambda: module.register_buffer("a.b", None),
        lambda: module.register_buffer("", None),
        lambda: module.register_buffer(5, None),
        lambda: module.register_buffer("p", None),
        lambda: module.register_buffer("q", 5),
        lambda: module.add_module("a.b", None),
        lambda: module.add_module("", None),
        lambda: module.add_module(5, None),
        lambda: module.add_module("p", None),
        lambda: module.add_module("q", 5),
        lambda: module.add_module("q", t.ones(1)),
        lambda: module.nope,
        lambda: delattr(module, "nope"),
        lambda: nn.Module(5),
        lambda: nn.Module(x=5),
        lambda: nn.Module()(5),
        lambda: module.train("yes"),
        lambda: nn.ParameterList()(5),
        lambda: nn.ParameterDict()(5),
        lambda: nn.Sequential(5),
        lambda: nn.Sequential(nn.ReLU)(t.ones(1)),
        lambda: nn.ModuleList([5]),
        lambda: nn.ModuleList(5),
        lambda: nn.ModuleList([nn.ReLU()])[3],
        lambda: nn.ModuleList([nn.ReLU()])(t.ones(1)),
        lambda: nn.ModuleDict(5),
        lambda: nn.ModuleDict([5]),
        lambda: nn.ModuleDict([("a", nn.ReLU(), 3)]),
        lambda: nn.ModuleDict({"a.b": nn.ReLU()}),
        lambda: nn.ModuleDict({"keys": nn.ReLU()}),
        lambda: nn.ModuleDict()["x"],
        lambda: nn.ParameterList(5),
        lambda: nn.ParameterList()[0],
        lambda: nn.ParameterDict({5: t.ones(1)}),
        lambda: nn.ParameterDict(5),
        lambda: nn.Sequential() + 5,
        lambda: nn.Sequential() * 0,
        lambda: nn.Sequential() * "x",
        lambda: nn.Sequential().insert(3, nn.ReLU()),
        lambda: nn.Sequential(nn.ReLU())[2],
    ):
        try:
            say("nothing", attempt())
        except Exception as error:
            # Our messages may go on after PyTorch's, and layers have shorter paths.
            text = (
                str(error)
                .replace("rushlight.", "torch.")
                .replace("nn.modules.", "nn.")
                .replace("containers", "container")
            )
            say(type(error).__name__, text.split("(in layer")[0].strip().replace("; isint", "; is int"))


@program
def forgets_init(t, nn, say):
    class Early(nn.Module):
        def __init__(self, what):
            self.x = what

    for what in (nn.Parameter(t.ones(1)), nn.ReLU(), 5):
        try:
            Early(what)
            say("fine")
        except AttributeError as error:
            say(error)
    for method in ("register_parameter", "register_buffer"):
        try:
            getattr(nn.Module.__new__(nn.Module), method)("x", None)
        except AttributeError as error:
            say(error)


@program
def class_attribute_wins(t, nn, say):
    class Shadowed(nn.Module):
        down = None

        def __init__(self):
            super().__init__()
            self.down = nn.ReLU()

    module = Shadowed()
    say(module.down, module, list(module._modules))


@program
def containers(t, nn, say):
    s = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    say(s[1], s[-1], s[:2], len(s), [type(m).__name__ for m in s])
    del s[0]
    say(s)
    s.append(nn.ELU()).insert(1, nn.GELU())
    s[0] = nn.Identity()
    say(s, s.pop(1), s)
    say(s + nn.Sequential(nn.ReLU()), 2 * nn.Sequential(nn.ReLU(), nn.Tanh()))
    s += nn.Sequential(nn.Softmax(1))
    s *= 2
    s.extend([nn.ReLU()])
    del s[1:3]
    say(s, list(s._modules))
    named = nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh()))
    say(named, named.a, named[1], named[0:1])
    m = nn.ModuleList([nn.ReLU()]) + [nn.Tanh()]
    m.extend([nn.ELU(), nn.ELU()]).append(nn.ELU())
    m.insert(0, nn.Sigmoid())
    m += [nn.ReLU()]
    say(m, m[-1], m[1:3], len(m), m.pop(0), m)
    del m[1:3]
    say(m, list(m._modules))
    d = nn.ModuleDict([("x", nn.ReLU()), ("y", nn.Tanh())])
    d["z"] = nn.ELU()
    d.update({"x": nn.GELU()})
    say(
        d,
        list(d),
        "z" in d,
        list(d.keys()),
        [str(v) for v in d.values()],
        d.pop("y"),
        len(d),
        [k for k, _ in d.items()],
    )
    del d["x"]
    d.clear()
    say(d)
    p = nn.ParameterList([t.ones(1), 3])
    p.append(t.zeros(2))
    p += [nn.Parameter(t.ones(3))]
    p[0] = t.ones(5)
    say(p, p[1], p[-1], p[1:], len(p), len(list(p.parameters())))
    q = nn.ParameterDict({"b": t.ones(1)})
    q["a"] = t.ones(2)
    q.update({"d": t.ones(1), "c": 5})
    say(
        q,
        list(q),
        q.get("x", 7),
        q.setdefault("b"),
        q.pop("c"),
        "c" in q,
        q.popitem()[0],
        len(q),
        list(reversed(q)),
    )
    say(q | nn.ParameterDict({"z": t.ones(1)}), q.copy(), q.fromkeys(["k"], 1), [k for k, _ in q.items()])
    q.clear()
    say(q)


@program
def modes(t, nn, say):
    model = net(nn)
    say(model.training, model.eval() is model, model.first.fc.training, model.train().layers[1].training)
    model.requires_grad_(False)
    say([p.requires_grad for p in model.parameters()])
    model.requires_grad_()
    model.first.fc(t.ones(1, 2)).sum().backward()
    say(model.first.fc.bias.grad)
    model.zero_grad(set_to_none=False)
    say(model.first.fc.bias.grad)
    model.zero_grad()
    say(model.first.fc.bias.grad)


@program
def converts(t, nn, say):
    model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    weight = model[0].weight
    model[0](t.ones(1, 2)).sum().backward()
    for change in (
        lambda: model.double(), lambda: model.float(), lambda: model.half(), lambda: model.bfloat16(),
        lambda: model.to(t.float64), lambda: model.to(dtype=t.float32), lambda: model.to("cpu"),
        lambda: model.to(t.device("cpu"), t.float64), lambda: model.to(t.zeros(1)), lambda: model.cpu(),
        lambda: model.type(t.float64), lambda: model.to("cpu", non_blocking=True),
    ):  # fmt: skip
        say(change() is model, [str(v.dtype) for v in model.state_dict().values()], model[0].weight is weight)
        say(model[0].weight.grad.dtype, model[0].weight.requires_grad, model[0].weight.is_leaf)
    conv = nn.Conv2d(2, 2, 3).to(memory_format=t.channels_last)
    say(conv.weight.stride(), conv.weight.is_contiguous(memory_format=t.channels_last), conv.bias.stride())
    say([tuple(p.shape) for p in model.to_empty(device="cpu").parameters()])
    try:
        model.to(t.int64)
    except TypeError as error:
        say(error)


@program
def states(t, nn, say):
    model = net(nn)
    state = model.state_dict(prefix="p.")
    say(type(state).__name__, list(state), dict(state._metadata))
    say(state["p.scale"].requires_grad, model.state_dict(keep_vars=True)["scale"] is model.scale)
    say(state["p.scale"].data_ptr() == model.scale.data_ptr())
    mine = OrderedDict()
    say(model.state_dict(destination=mine) is mine, len(mine))
    say(nn.BatchNorm1d(2).state_dict()._metadata, nn.BatchNorm1d(2).state_dict(mine, "q."))


@program
def loads(t, nn, say):
    model, other = net(nn), net(nn)
    say(model.load_state_dict(other.state_dict()), t.equal(model.first.fc.weight, other.first.fc.weight))
    weight = model.first.fc.weight
    state = other.state_dict()
    state["extra"], state["first.fc.extra"], state["layers.9.x"] = t.ones(1), t.ones(1), t.ones(1)
    del state["scale"], state["first.steps"]
    say(model.load_state_dict(state, strict=False), model.first.fc.weight is weight)
    for wrong in (
        state,
        {**other.state_dict(), "scale": t.ones(5)},
        {**other.state_dict(), "scale": "word", "tied": 5},
        {},
        [1],
    ):
        try:
            say(model.load_state_dict(wrong))
        except (RuntimeError, TypeError) as error:
            say(type(error).__name__, error)
    try:
        model.load_state_dict({"scale": t.ones(5)}, strict=False)
    except RuntimeError as error:
        say(error)
    norm = nn.BatchNorm1d(2)
    say(norm.load_state_dict({k: v for k, v in nn.BatchNorm1d(2).state_dict().items() if "num" not in k}))
    scalar = nn.Module()
    scalar.x = nn.Parameter(t.tensor(1.0))
    say(scalar.load_state_dict({"x": t.tensor([3.0])}), scalar.x)
    double = nn.Linear(2, 1).double()
    single = nn.Linear(2, 1)
    say(single.load_state_dict(double.state_dict()), single.weight.dtype)
    say(
        single.load_state_dict(double.state_dict(), assign=True),
        single.weight.dtype,
        single.weight.requires_grad,
    )
    say(type(single.weight).__name__, single.weight.data_ptr() == double.weight.data_ptr())


@program
def extra_state(t, nn, say):
    class Extra(nn.Module):
        kept = 1

        def get_extra_state(self):
            return {"kept": self.kept}

        def set_extra_state(self, state):
            self.kept = state["kept"]

    a, b = nn.Sequential(Extra()), nn.Sequential(Extra())
    a[0].kept = 7
    say(list(a.state_dict()), b.load_state_dict(a.state_dict()), b[0].kept)
    for model, state in ((b, {}), (nn.Linear(1, 1), {**nn.Linear(1, 1).state_dict(), "_extra_state": 5})):
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            say(error)


@program
def state_hooks(t, nn, say):
    model = nn.Sequential(nn.Linear(1, 1))
    handles = [
        model.register_state_dict_pre_hook(lambda m, prefix, keep: say("pre", prefix, keep)),
        model[0].register_state_dict_post_hook(
            lambda m, state, prefix, meta: say("post", list(state), prefix, meta)
        ),
        model._register_state_dict_hook(lambda m, state, prefix, meta: OrderedDict(changed=1)),
        model.register_load_state_dict_post_hook(
            lambda m, keys: say("loaded", keys) or keys.missing_keys.clear()
        ),
        model[0].register_load_state_dict_pre_hook(
            lambda m, state, prefix, *rest: say("before", type(m).__name__, prefix)
        ),
        model._register_load_state_dict_pre_hook(lambda state, prefix, *rest: state.pop("0.bias", None)),
    ]
    say(dict(model.state_dict()), model.load_state_dict({"0.weight": t.ones(1, 1), "0.bias": t.ones(1)}))
    for handle in handles:
        handle.remove()
    say(list(model.state_dict()))
    model.register_state_dict_post_hook(lambda *args: 5)
    model.state_dict()


@program
def forward_hooks(t, nn, say):
    model = nn.Sequential(OrderedDict(a=nn.Linear(1, 1), b=nn.ReLU()))
    nn.init.ones_(model.a.weight), nn.init.zeros_(model.a.bias)
    x = t.ones(1, 1)
    h1 = model.a.register_forward_hook(lambda m, args, out: say("hook", args, out.detach()))
    h2 = model.a.register_forward_pre_hook(lambda m, args: say("pre", args))
    h3 = model.a.register_forward_hook(lambda m, args, out: out * 2, prepend=True)
    h4 = model.b.register_forward_pre_hook(lambda m, args: args[0] + 1)
    h5 = model.b.register_forward_pre_hook(lambda m, args: (args[0] * 3,), prepend=True)
    say(model(x).detach())
    for handle in (h1, h2, h3, h4, h5, h5):
        handle.remove()
    say(model(x).detach(), len(model.a._forward_hooks))
    with model.register_forward_hook(lambda m, args, out: out + 10):
        say(model(x).detach())
    say(model(x).detach())
    h = model.register_forward_hook(lambda m, args, out: 1 / 0)
    try:
        model(x)
    except ZeroDivisionError as error:
        say(error)
    h.remove()

    class Named(nn.Module):
        def forward(self, x, *, times=1):
            if times == 0:
                raise KeyError("times")
            return x * times

    named = Named()
    named.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"times": kwargs["times"] + 1}), with_kwargs=True
    )
    named.register_forward_hook(lambda m, args, kwargs, out: say("with", args, kwargs, out), with_kwargs=True)
    named.register_forward_hook(lambda m, args, out: say("always", args, out), always_call=True)
    say(named(x, times=4))
    try:
        named(x, times=-1)
    except KeyError as error:
        say(error)
    bad = Named()
    bad.register_forward_pre_hook(lambda m, args, kwargs: 5, with_kwargs=True)
    bad.register_forward_hook(lambda m, args, out: 1 / 0, always_call=True)
    bad(x)


@program
def backward_hooks(t, nn, say):
    class Two(nn.Module):
        def forward(self, a, b, c=None):
            return a * b, a + 1

    x = t.tensor([2.0], requires_grad=True)
    y = t.tensor([3.0])
    two = two_hooked = Two()
    two.register_full_backward_hook(lambda m, gi, go: say("hook", gi, go))
    two.register_full_backward_hook(lambda m, gi, go: tuple(None if g is None else g * 10 for g in gi))
    two.register_full_backward_pre_hook(lambda m, go: say("pre", go))
    two.register_full_backward_pre_hook(lambda m, go: tuple(g and g * 2 for g in go), prepend=True)
    a, b = two(x, y)
    say(a.requires_grad, b.requires_grad)
    (a + b).sum().backward()
    say(x.grad)
    x.grad = None
    two_hooked(x, y)[0].sum().backward()
    say(x.grad)
    model = nn.Linear(1, 1)
    nn.init.ones_(model.weight)
    model.register_full_backward_hook(lambda m, gi, go: say("no inputs", gi, go))
    model(t.ones(1, 1)).sum().backward()
    say(model.weight.grad)
    with t.no_grad():
        say(model(t.ones(1, 1)).requires_grad)
    wrong = nn.Identity()
    wrong.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    try:
        wrong(x).sum().backward()
    except RuntimeError as error:
        say(error)
    try:
        wrong.register_backward_hook(lambda m, gi, go: None)
    except RuntimeError as error:
        say(error)
    old = nn.ReLU()
    old.register_backward_hook(lambda m, gi, go: say("old", gi, go))
    old(x).sum().backward()
    odd = nn.Identity()
    odd.register_full_backward_hook(lambda m, gi, go: None)
    say(type(odd({"x": x})).__name__)


@program
def global_hooks(t, nn, say):
    where = nn.modules.module
    model = nn.Sequential(nn.Identity(), nn.Identity())
    x = t.ones(1, requires_grad=True)
    handles = [
        where.register_module_forward_pre_hook(lambda m, args: say("pre", type(m).__name__)),
        where.register_module_forward_hook(lambda m, args, out: say("hook", type(m).__name__)),
        where.register_module_full_backward_hook(lambda m, gi, go: say("backward", type(m).__name__, gi, go)),
        where.register_module_full_backward_pre_hook(lambda m, go: say("backward pre", type(m).__name__)),
        where.register_module_parameter_registration_hook(lambda m, name, p: say("parameter", name)),
        where.register_module_buffer_registration_hook(lambda m, name, b: say("buffer", name)),
        where.register_module_module_registration_hook(lambda m, name, sub: say("module", name)),
    ]
    try:
        model.register_forward_hook(lambda m, args, out: say("own"))
        model(x).sum().backward()
        nn.Sequential(nn.BatchNorm1d(1)).bn = nn.Identity()
    finally:
        for handle in handles:
            handle.remove()
    model(x).sum().backward()
    nn.Linear(1, 1)


@program
def copies(t, nn, say):
    model = net(nn)
    model.first.fc(t.ones(1, 2)).sum().backward()
    model.register_forward_pre_hook(lambda m, args: say("hook"))
    twin = copy.deepcopy(model)
    say(twin)
    say(twin.first.fc.weight is model.first.fc.weight, t.equal(twin.first.fc.weight, model.first.fc.weight))
    say(
        twin.tied is twin.scale,
        twin.again is twin.layers[0],
        twin.first.fc.bias.grad is None,
        len(twin._forward_pre_hooks),
    )
    twin.first.fc.weight.data.zero_()
    say(
        t.equal(twin.first.fc.weight, model.first.fc.weight),
        list(twin.state_dict()) == list(model.state_dict()),
    )
    shallow = copy.copy(model)
    say(shallow.first is model.first, shallow.scale is model.scale, shallow)
    twin.first.fc = nn.Identity()
    say(model.first.fc, twin.first.fc, [n for n, _ in twin.named_parameters()])
    p = nn.Parameter(t.ones(2), requires_grad=False)
    say(copy.deepcopy(p), copy.copy(p), pickle.loads(pickle.dumps(p)))


@program
def pickles(t, nn, say):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(True), nn.Sequential(nn.Dropout(0.2))
    )
    model.eval().requires_grad_(False)
    twin = pickle.loads(pickle.dumps(model))
    say(twin, twin.training, twin[0].weight.requires_grad, t.equal(twin[0].weight, model[0].weight))
    twin[0].weight = nn.Parameter(t.ones(1))
    say([tuple(p.shape) for p in twin.parameters()], twin[0].weight)


@program
def states_of_their_own(t, nn, say):
    """A subclass with __getstate__ and __getattr__ of the usual kinds."""

    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module, self.cache = module, [1]

        def __getstate__(self):
            state = self.__dict__.copy()
            state["cache"] = None
            return state

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(self.module, name)

    wrapper = Wrapper(nn.Linear(1, 2))
    say(wrapper.in_features, wrapper.weight.shape, wrapper)
    twin = copy.deepcopy(wrapper)
    say(twin, twin.cache, twin.module is wrapper.module, twin.out_features, list(twin.state_dict()))
    twin.module = nn.Identity()
    say(twin, wrapper, [n for n, _ in twin.named_parameters()])
    wrapper.nope  # noqa: B018


@program
def old_pickle(t, nn, say):
    """A state without what later versions added."""
    module = nn.Linear.__new__(nn.Linear)
    weight = nn.Parameter(t.ones(1, 1))
    module.__setstate__({
        "training": True, "_parameters": {"weight": weight, "bias": None}, "_buffers": {}, "_modules": {},
        "_backward_hooks": OrderedDict(), "_forward_hooks": OrderedDict(), "in_features": 1,
        "out_features": 1,
    })  # fmt: skip
    say(module, module(t.ones(1, 1)).detach(), list(module.state_dict()))


@program
def lazy(t, nn, say):
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    say(model, model[0].weight, model[1].running_mean, list(model.state_dict()))
    try:
        say(model[0].weight.shape)
    except RuntimeError as error:
        say(error)
    double = nn.Sequential(nn.LazyBatchNorm1d(), nn.LazyLinear(2)).double()
    say(double, double(t.ones(3, 2, dtype=t.float64)).dtype, double[0].running_mean.dtype)
    fresh = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    say(
        model(t.ones(2, 3, 6, 6)).shape,
        model,
        type(model[0]) is nn.Conv2d,
        [tuple(p.shape) for p in model.parameters()],
    )
    say(fresh.load_state_dict(model.state_dict()), fresh[0].weight.shape)
    say(fresh(t.ones(2, 3, 6, 6)).shape, fresh)


@program
def parameters(t, nn, say):
    data = t.ones(2)
    p = nn.Parameter(data)
    say(
        p.data_ptr() == data.data_ptr(),
        data.requires_grad,
        p.is_leaf,
        isinstance(p, t.Tensor),
        p.requires_grad,
    )
    with t.no_grad():
        p.add_(1)
    say(data, nn.Parameter(p).data_ptr() == p.data_ptr(), (p * 2).detach(), type(p.detach()).__name__)
    say(type(p * 2).__name__, type(p.data).__name__, nn.Parameter(t.tensor([1, 2]), requires_grad=False))
    p.note = "kept"
    say(p.note, p.grad, len({p, p}), nn.Parameter(data=t.ones(1), requires_grad=False).requires_grad)
    say(p.clone().requires_grad, p[0], p.sum())


@program
def register_twice(t, nn, say):
    """Assigning over and over leaves one of each."""
    model = nn.Module()
    for i in range(3):
        model.a = nn.Linear(1, 1)
        model.w = nn.Parameter(t.full((1,), float(i)))
    say(model, model.w, len(list(model.parameters())))


@program
def mixes_in(t, nn, say):
    """Classes beside Module get their own constructor's arguments."""

    class Named:
        def __init__(self, name):
            self.name = name

    class Both(nn.Module, Named):
        call_super_init = True

        def __init__(self, name):
            super().__init__(name)
            self.fc = nn.Linear(1, 1)

    say(Both("x").name, Both("x"))


@program
def properties(t, nn, say):
    """A property whose getter fails says so as PyTorch does."""

    class Odd(nn.Module):
        @property
        def device(self):
            return next(self.parameters()).device

        @property
        def broken(self):
            return self.missing

    say(isinstance(Odd.device, property))
    say(Odd().broken)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_same_as_pytorch(program):
    ours, theirs = said(program, rushlight), said(program, torch)
    for i, (mine, expected) in enumerate(zip(ours, theirs, strict=False)):
        if (
            isinstance(mine, str)
            and isinstance(expected, str)
            and re.match(re.escape(expected) + "[:;] ", mine)
        ):
            ours[i] = expected  # a message may end with a hint
    assert ours == theirs


# -- what PyTorch does not do ---------------------------------------------------------------------------


class Inner(rushlight.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = rushlight.nn.ModuleList(
            [rushlight.nn.Sequential(rushlight.nn.ReLU(), rushlight.nn.Linear(3, 4))]
        )

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Outer(rushlight.nn.Module):
    def __init__(self, error=None):
        super().__init__()
        self.inner, self.error = Inner(), error

    def forward(self, x):
        if self.error:
            raise self.error
        return self.inner(x)


def test_errors_name_the_layer():
    with pytest.raises(RuntimeError) as caught:
        Outer()(rushlight.ones(2, 5))
    text = str(caught.value)
    assert text.endswith("(in layer 'inner.blocks.0.1': Linear(in_features=3, out_features=4, bias=True))")
    assert text.count("in layer") == 1


def test_errors_of_a_single_layer_name_it():
    with pytest.raises(
        RuntimeError, match=r"\(in layer Linear\(in_features=3, out_features=4, bias=True\)\)"
    ):
        rushlight.nn.Linear(3, 4)(rushlight.ones(2, 5))


def test_errors_of_the_outermost_forward_stay():
    with pytest.raises(ValueError, match=r"^mine$"):
        Outer(ValueError("mine"))(rushlight.ones(1))


def test_errors_of_an_inner_forward_name_its_class():
    model = rushlight.nn.Sequential(Outer(ValueError("mine")))
    with pytest.raises(ValueError, match=r"^mine \(in layer '0': Outer\)$"):
        model(rushlight.ones(1))


def test_errors_of_broken_modules_are_not_hidden():
    class Broken(rushlight.nn.Module):
        def __init__(self):
            if self.start:
                super().__init__()

        def extra_repr(self):
            raise KeyError

        def forward(self, x):
            raise RuntimeError("mine")

    for start in (True, False):
        Broken.start = start
        with pytest.raises(RuntimeError, match="mine"):
            Broken()(3)


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    "error", [Stop("out"), KeyError("key"), ValueError(3), ValueError(), StopIteration("x")]
)
def test_other_exceptions_pass_unchanged(error):
    args = error.args
    with pytest.raises(type(error)) as caught:
        rushlight.nn.Sequential(Outer(error))(rushlight.ones(1))
    assert caught.value.args == args


def test_a_module_is_freed_at_once():
    model = Outer()
    gone = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert gone() is None
    finally:
        gc.enable()


def test_members_are_plain_attributes():
    layer = rushlight.nn.Linear(1, 1)
    assert layer.__dict__["weight"] is layer.weight
    assert "weight" not in layer.__getstate__()


def test_cuda_is_refused():
    for move in (lambda m: m.cuda(), lambda m: m.to("cuda")):
        with pytest.raises(AssertionError, match="CUDA"):
            move(rushlight.nn.Linear(1, 1))


def test_compile_does_no_harm():
    layer = rushlight.nn.Identity()
    layer.compile(mode="max-autotune")
    assert layer(3) == 3


def test_modules_have_pytorchs_paths():
    import importlib

    for name in ("module", "conv", "container", "utils", "activation", "pixelshuffle"):
        assert importlib.import_module(f"rushlight.nn.modules.{name}")
    assert rushlight.nn.modules.conv.Conv2d is rushlight.nn.Conv2d
    assert rushlight.nn.modules.module.Module is rushlight.nn.Module
    assert rushlight.nn.modules.utils._pair(3) == (3, 3)
    assert rushlight.nn.modules.batchnorm._BatchNorm in rushlight.nn.BatchNorm2d.__mro__


def test_what_a_forward_hook_keeps_shares_memory_with_what_goes_on():
    """With a backward hook too, also where a convolution laid its output out in its own way."""
    model = rushlight.nn.Sequential(rushlight.nn.Conv2d(1, 4, 3), rushlight.nn.ReLU())
    kept = []
    model[0].register_full_backward_hook(lambda *_: None)
    model[0].register_forward_hook(lambda module, inputs, output: kept.append(output))
    x = rushlight.randn(2, 1, 6, 6, requires_grad=True)
    out = model[0](x)
    assert out.flatten(1).data_ptr() == kept[0].data_ptr() == out.data_ptr()


def test_getattr_of_ones_own_hears_of_members():
    """As in PyTorch, whose members are no plain attributes."""

    def program(torch):
        class Counting(torch.nn.Module):
            asked: list = []

            def __getattr__(self, name):
                if name in ("weight", "layer", "absent"):
                    self.asked.append(name)
                return super().__getattr__(name)

        class Later(torch.nn.Linear):
            def __getattr__(self, name):
                Counting.asked.append("later " + name)
                return super().__getattr__(name)

        model = Counting()
        model.weight, model.layer = torch.nn.Parameter(torch.ones(2)), torch.nn.Linear(1, 1)
        found = [model.weight.sum().item(), model.layer.in_features, hasattr(model, "absent")]
        model.layer.__class__ = Later
        found.append(model.layer.weight.shape == (1, 1))
        return found, Counting.asked

    assert program(rushlight) == program(torch)


def test_ops_as_attributes_of_a_class_are_not_bound():
    from rushlight import nn

    class Net(nn.Module):
        activation = torch.relu
        conv = torch.conv2d

        def forward(self, x):
            return self.conv(self.activation(x), weight=x[:1])

    class Quiet(Net):
        activation = torch.tanh

    x = torch.arange(8.0).reshape(2, 1, 2, 2) - 3
    assert torch.equal(Net()(x), torch.conv2d(x.relu(), x[:1]))
    assert torch.equal(Quiet()(x), torch.conv2d(x.tanh(), x[:1]))
    assert Net.activation is torch.relu


@pytest.mark.parametrize("t", [rushlight, torch], ids=["rushlight", "torch"])
def test_full_backward_hooks_leave_memory_as_it_is(t):
    class Turn(t.nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 1)

    seen = []
    layers = [t.nn.Linear(3, 4), Turn(), t.nn.Softmax(1)]
    for layer in layers:
        layer.register_full_backward_hook(lambda *_: None)
        layer.register_forward_hook(
            lambda m, i, o: seen.append((i[0].data_ptr(), i[0].stride(), o.data_ptr()))
        )
    t.nn.Sequential(*layers)(t.ones(2, 5, 3))
    assert seen[0][2] == seen[1][0] == seen[1][2] == seen[2][0]
    assert seen[2][1] == (20, 1, 4)

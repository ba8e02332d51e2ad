"""Compiled functions give eager execution's bits, call after call, whatever changes between the calls."""

import copy
import gc
import textwrap
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rushlight as torch
from rushlight import kernels as K
from rushlight import nn

NATIVE = K.NAME == "native"
replays = pytest.mark.skipif(not NATIVE, reason="the reference kernels run eagerly")


class Twin:
    """The same program eagerly and compiled, each with its own state and its own random numbers."""

    def __init__(self, build, seed=0):
        torch.manual_seed(seed)
        self.eager, self.eager_state = build()
        self.eager_random = torch.get_rng_state()
        torch.manual_seed(seed)
        function, self.state = build()
        self.random = torch.get_rng_state()
        self.compiled = torch.compile(function)

    def call(self, *args):
        torch.set_rng_state(self.eager_random)
        expected = self.eager(*args)
        self.eager_random = torch.get_rng_state()
        torch.set_rng_state(self.random)
        found = self.compiled(*args)
        self.random = torch.get_rng_state()
        same(found, expected)
        same(self.state(), self.eager_state())
        same(self.random, self.eager_random)
        return found

    def replayed(self) -> int:
        return sum(plan.calls for plan in self.compiled._plans)


def same(found, expected):
    """Equality to the last bit."""
    if isinstance(expected, torch.Tensor):
        assert (
            found.dtype == expected.dtype
            and found.shape == expected.shape
            and found.stride() == expected.stride()
        )
        assert found.requires_grad == expected.requires_grad
        if found.dtype == torch.bfloat16:
            found, expected = found.float(), expected.float()
        assert found.detach().numpy().tobytes() == expected.detach().numpy().tobytes()
    elif isinstance(expected, (list, tuple)):
        assert type(found) is type(expected) and len(found) == len(expected)
        for f, e in zip(found, expected, strict=True):
            same(f, e)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        same(list(found.values()), list(expected.values()))
    else:
        assert type(found) is type(expected)
        assert found == expected or (found != found and expected != expected)


def training(make_model, make_optimizer, shape, classes=10, item=True):
    """A step of classification, and the state that it changes."""

    def build():
        model = make_model()
        optimizer = make_optimizer(model.parameters())
        criterion = nn.CrossEntropyLoss()

        def step(x, y):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.item() if item else loss.detach()

        def state():
            grads = [None if p.grad is None else p.grad for p in model.parameters()]
            versions = [p._version for p in model.parameters()]
            return model.state_dict(), grads, versions, repr(optimizer)

        step.model, step.optimizer = model, optimizer
        return step, state

    return build


def batch(n, *shape, classes=10):
    return torch.rand(n, *shape), torch.randint(0, classes, (n,))


def mlp():
    return nn.Sequential(
        nn.Linear(12, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(True),
        nn.Dropout(0.3),
        nn.Linear(16, 8),
        nn.GELU(),
        nn.Linear(8, 10),
    )


def conv_net():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.Tanh(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 10),
    )  # fmt: skip


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("item", [True, False])
def test_training_steps(optimizer, item):
    twin = Twin(training(mlp, OPTIMIZERS[optimizer], (12,), item=item))
    for _ in range(8):
        twin.call(*batch(6, 12))
    assert not NATIVE or twin.replayed() == 5, twin.compiled.report()


def test_convolutions_and_a_schedule():
    twin = Twin(training(conv_net, OPTIMIZERS["momentum"], (1, 8, 8)))
    schedules = [
        torch.optim.lr_scheduler.StepLR(f.optimizer, 2, 0.5) for f in (twin.eager, twin.compiled._function)
    ]
    for _ in range(9):
        twin.call(*batch(3, 1, 8, 8))
        for schedule in schedules:
            schedule.step()
    assert not NATIVE or twin.replayed() == 6, twin.compiled.report()


def test_sizes_of_batches_change():
    twin = Twin(training(mlp, OPTIMIZERS["adam"], (12,)))
    for n in (4, 4, 4, 6, 4, 6, 6, 4, 6, 4):
        twin.call(*batch(n, 12))
    assert not NATIVE or twin.replayed() == 4, twin.compiled.report()


def test_gradients_accumulate():
    def build():
        model = nn.Linear(3, 2)

        def step(x):
            loss = model(x).square().mean()
            loss.backward()
            return loss.item()

        step.model = model
        return step, lambda: [p.grad for p in model.parameters()]

    twin = Twin(build)
    for i in range(16):
        twin.call(torch.rand(4, 3))
        if i % 2:
            twin.eager.model.zero_grad()
            twin.compiled._function.model.zero_grad()
    assert not NATIVE or twin.replayed() > 6, twin.compiled.report()


def test_gradients_that_the_user_keeps_stay():
    twin = Twin(training(mlp, OPTIMIZERS["sgd"], (12,)))
    kept = []
    for _ in range(10):
        twin.call(*batch(6, 12))
        for function in (twin.eager, twin.compiled._function):
            grad = function.model[0].weight.grad
            kept.append((grad, grad.clone()))
    for grad, copied in kept:
        same(grad, copied)


def test_results_that_the_user_keeps_stay():
    double = torch.compile(lambda x: (x + x, x.sum()))
    results = [(i, double(torch.full((3,), float(i)))) for i in range(8)]
    for i, (twice, total) in results:
        same(twice, torch.full((3,), 2.0 * i))
        same(total, torch.tensor(3.0 * i))


def test_training_and_evaluation_alternate():
    def build():
        model = mlp()

        def predict(x):
            with torch.no_grad():
                return model(x)

        predict.model = model
        return predict, model.state_dict

    twin = Twin(build)
    for mode in (True, True, True, True, False, False, False, False, True, False, True):
        twin.eager.model.train(mode)
        twin.compiled._function.model.train(mode)
        twin.call(torch.rand(4, 12))
    assert not NATIVE or twin.replayed() == 6, twin.compiled.report()


CHANGES = {
    "data": lambda m: setattr(m.weight, "data", torch.ones(2, 3)),
    "parameter": lambda m: setattr(m, "weight", nn.Parameter(torch.ones(2, 3))),
    "in place": lambda m: m.weight.data.mul_(2),
    "load": lambda m: m.load_state_dict({"weight": torch.ones(2, 3), "bias": torch.ones(2)}),
    "assign": lambda m: m.load_state_dict({"weight": torch.ones(2, 3), "bias": torch.ones(2)}, assign=True),
    "no bias": lambda m: setattr(m, "bias", None),
    "hook": lambda m: m.register_forward_hook(lambda module, args, out: out * 3) and None,
    "attribute": lambda m: setattr(m, "scale", 5.0),
    "frozen": lambda m: [m.weight.requires_grad_(False)],
}


@pytest.mark.parametrize("change", CHANGES)
def test_guards(change):
    class Scaled(nn.Linear):
        scale = 2.0

        def forward(self, x):
            return super().forward(x) * self.scale

    def build():
        model = Scaled(3, 2)
        with_grad = torch.no_grad()(lambda x: model(x))
        with_grad.model = model
        return with_grad, model.state_dict

    twin = Twin(build)
    models = twin.eager.model, twin.compiled._function.model
    for i in range(9):
        if i == 5:
            for model in models:
                CHANGES[change](model)
        twin.call(torch.rand(4, 3))
    assert not NATIVE or twin.replayed() >= 3, twin.compiled.report()


scale = 1.0


def test_globals_closures_and_defaults_are_guarded():
    global scale
    shift = [1.0]

    def function(x, factor=2.0):
        return x * scale + shift[0] * factor

    compiled = torch.compile(function)
    x = torch.rand(3)
    try:
        for i in range(12):
            if i == 5:
                scale = 3.0
            if i == 9:
                shift[0] = -1.0
            same(compiled(x), function(x))
            same(compiled(x, factor=float(i // 4)), function(x, factor=float(i // 4)))
    finally:
        scale = 1.0


def some_views(x, y):
    a = x.reshape(2, 6).t()
    b = (a + y[:2].expand(6, 2)) * 2.0
    c = b.t().contiguous().view(3, 4)
    c.mul_(x).add_(1.5)
    d = torch.where(c > 2, c, -c).clamp(-3, 3)
    return d, d.sum(0), d.mean(), (c.max(1).values, torch.cat([c, x], 1)), torch.softmax(d, 1)


FUNCTIONS = {
    "views": (some_views, lambda: (torch.rand(3, 4), torch.rand(4))),
    "scalars": (lambda x: ((x * 2 + 1) ** 2 - x / 3, -x, x**0.5), lambda: (torch.rand(5),)),
    "zero size": (lambda x: x + 1, lambda: (torch.rand(0, 3),)),
    "no axes": (lambda x, y: (x * y + x) / y, lambda: (torch.rand(()), torch.rand(()) + 1)),
    "double": (lambda x: (x.exp() - x.sin()) * x, lambda: (torch.rand(33, dtype=torch.float64),)),
    "integers": (lambda x: (x * 3 - 1, x > 2, x.float() / 2), lambda: (torch.randint(0, 9, (4, 3)),)),
    "masks": (lambda x: (x > 0.5) & (x < 0.9), lambda: (torch.rand(40),)),
    "matmul": (lambda x, y: torch.relu(x @ y + 1) @ y.t(), lambda: (torch.rand(3, 4), torch.rand(4, 5))),
    "bfloat16": (lambda x: x * 2 + x.exp(), lambda: (torch.rand(9).bfloat16(),)),
    "strided": (lambda x, y: x + y, lambda: (torch.rand(4, 6)[:, ::2], torch.rand(3, 4).t())),
    "random": (lambda x: x + torch.rand(4) * torch.randn(4), lambda: (torch.rand(4),)),
    "large": (lambda x, y: ((x + y) * y - x).relu() * 0.5, lambda: (torch.rand(70001), torch.rand(70001))),
    "same": (lambda x: (x, x * 2), lambda: (torch.rand(3),)),
    "made": (
        lambda x: x + torch.arange(3.0) * torch.ones(3) - torch.full((3,), 0.5),
        lambda: (torch.rand(3),),
    ),
    "dict": (
        lambda d: {"a": d["x"] * 2, "b": [d["y"] + 1]},
        lambda: ({"x": torch.rand(2), "y": torch.rand(3)},),
    ),
    "embedding": (
        lambda i, w: torch.nn.functional.embedding(i, w),
        lambda: (torch.randint(0, 5, (3,)), torch.rand(5, 2)),
    ),
}
EAGER = {"integers", "zero size", "embedding", "masks"}  # that these may run eagerly is no error


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    function, inputs = FUNCTIONS[name]
    twin = Twin(lambda: (function, lambda: None))
    torch.manual_seed(1)
    given = [inputs() for _ in range(7)]
    for args in given:
        twin.call(*args)
    assert not NATIVE or name in EAGER or twin.replayed() == 4, twin.compiled.report()


def himmelblau():
    p = torch.tensor([1.0, 1.0], requires_grad=True)
    optimizer = torch.optim.Adam([p], lr=0.01)

    def step():
        optimizer.zero_grad()
        x, y = p[0], p[1]
        loss = (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, lambda: (p, p.grad)


def adversaries():
    models = nn.Linear(4, 1), nn.Linear(2, 4)
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.01) for m in models]

    def step(x, noise):
        judge, maker = models
        optimizers[0].zero_grad()
        loss = judge(x).sigmoid().log().mean() + (1 - judge(maker(noise).detach()).sigmoid()).log().mean()
        (-loss).backward()
        optimizers[0].step()
        optimizers[1].zero_grad()
        second = -judge(maker(noise)).sigmoid().log().mean()
        second.backward()
        optimizers[1].step()
        return loss.detach(), second.item()

    return step, lambda: [(m.state_dict(), [p.grad for p in m.parameters()]) for m in models]


def test_a_function_of_two_variables():
    twin = Twin(himmelblau)
    for _ in range(9):
        twin.call()
    assert not NATIVE or twin.replayed() == 6, twin.compiled.report()


def test_two_optimizers():
    twin = Twin(adversaries)
    for _ in range(9):
        twin.call(torch.rand(5, 4), torch.rand(5, 2))
    assert not NATIVE or twin.replayed() == 6, twin.compiled.report()


def losses(make_model, shape, classes=10):
    """A step in which only the loss is compiled, as most programs have it."""

    def build():
        model = make_model()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        criterion = nn.CrossEntropyLoss()
        loss_of = torch.compile(lambda x, y: criterion(model(x), y))

        def step(x, y):
            optimizer.zero_grad()
            loss = (loss_of if step.compiled else loss_of._function)(x, y)
            loss.backward()
            optimizer.step()
            return loss.item()

        step.compiled, step.loss_of = True, loss_of
        return step, lambda: [model.state_dict(), [p.grad for p in model.parameters()]]

    return build


@pytest.mark.parametrize("model", [mlp, conv_net])
def test_compiled_losses(model):
    shape = (12,) if model is mlp else (1, 8, 8)
    twin = Twin(losses(model, shape))
    twin.eager.compiled = False
    twin.compiled = twin.compiled._function
    for n in (4, 4, 4, 4, 3, 4, 3, 3, 3, 4, 4):
        twin.call(*batch(n, *shape))
    loss_of = twin.compiled.loss_of
    assert not NATIVE or sum(plan.calls for plan in loss_of._plans) >= 5, loss_of.report()


def test_compiled_modules_train():
    models = [copy.deepcopy(m) for m in [nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))] * 2]
    compiled = torch.compile(models[0])
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (compiled, models[1])]
    for _ in range(8):
        x = torch.rand(5, 3)
        for call, optimizer in zip((compiled, models[1]), optimizers, strict=True):
            optimizer.zero_grad()
            out = call(x)
            (out.square().mean() + out[:, 0].sum()).backward()
            optimizer.step()
        same(list(models[0].state_dict().values()), list(models[1].state_dict().values()))
    assert not NATIVE or compiled._compiled._plans[0].calls == 5, compiled.report()


def test_passes_may_overlap():
    w = torch.ones(3, requires_grad=True)

    def function(x):
        return (x * w).exp().sum()

    compiled = torch.compile(function)
    for _ in range(8):
        first, second, third = torch.rand(3), torch.rand(3), torch.rand(3)
        w.grad = None
        (compiled(first) + compiled(second)).backward()
        loss = compiled(third)
        loss.backward(retain_graph=True)
        loss.backward()
        found, w.grad = w.grad, None
        (function(first) + function(second)).backward()
        loss = function(third)
        loss.backward(retain_graph=True)
        loss.backward()
        same(found, w.grad)
        unused = compiled(first)
        del unused
        (grad,) = torch.autograd.grad(compiled(first) / 4, w)
        same(grad, torch.autograd.grad(function(first) / 4, w)[0])


@replays
def test_what_compiled_backward_passes_refuse():
    w = torch.ones(3, requires_grad=True)
    compiled = torch.compile(lambda x: (x * w * w).exp().sum())
    x = torch.rand(3)
    for _ in range(5):
        compiled(x).backward()
    loss = compiled(x)
    assert loss.grad_fn.name() == "CompiledFunctionBackward"
    with pytest.raises(RuntimeError, match="double backward"):
        torch.autograd.grad(loss, w, create_graph=True)
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()
    loss = compiled(x)
    with torch.no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        loss.backward()
    loss = compiled(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        loss.backward()


def branches(x):
    return x * 2 if x.sum() > 1.5 else x - 1


def appends(x, seen=[]):  # noqa: B006
    seen.append(len(seen))
    return x + len(seen)


class Counter:
    def __init__(self):
        self.count = 0

    def __call__(self, x):
        self.count += 1
        return x * self.count


def computes_with_item(x):
    return x * x.max().item()


def numpy_inside(x):
    return x + torch.from_numpy(x.numpy() * 2)


def sets_items(x):
    y = torch.zeros(3)
    y[:2] = x[:2]
    return y


def changes_argument(x):
    return x.add_(1).clone()


FALLBACKS = {
    "branch": (branches, "reads a tensor's data"),
    "list": (appends, "outlives"),
    "attribute": (Counter, "outlives"),
    "item": (computes_with_item, "item()"),
    "numpy": (numpy_inside, "numpy()"),
    "argument": (changes_argument, "in place"),
    "print": (lambda x: (print(end=""), x + 1)[1], "print"),
    "view of an argument": (lambda x: x[1:], "shares memory"),
    "subscript": (sets_items, ""),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_what_cannot_be_recorded_runs_eagerly(name):
    function, reason = FALLBACKS[name]
    eager, other = (function(), function()) if function is Counter else (function, copy.deepcopy(function))
    if name == "list":
        other = type(function)(function.__code__, function.__globals__, argdefs=([],))
        eager = type(function)(function.__code__, function.__globals__, argdefs=([],))
    compiled = torch.compile(other)
    for i in range(8):
        x = torch.rand(3) * (i % 3)
        same(compiled(x.clone()), eager(x.clone()))
    assert not NATIVE or reason in compiled.report()
    assert not NATIVE or not reason or not compiled._plans


@replays
def test_a_number_of_the_batch_that_a_kernel_returns():
    criterion = nn.CrossEntropyLoss(ignore_index=0)
    twin = Twin(lambda: ((lambda x, y: criterion(x, y)), lambda: None))
    for i in range(9):
        twin.call(torch.rand(4, 3), torch.tensor([1, 2, 0 if i == 6 else 1, 2]))
    assert twin.replayed() == 5, twin.compiled.report()


def test_errors_leave_nothing_behind():
    fails = [False]
    model = nn.Linear(2, 2)

    def function(x):
        y = model(x)
        if fails[0]:
            raise KeyError("of the user's")
        return y.detach()

    compiled = torch.compile(function)
    x = torch.rand(1, 2)
    for i in range(9):
        fails[0] = i in (1, 4)
        if fails[0]:
            with pytest.raises(KeyError):
                compiled(x)
        else:
            same(compiled(x), function(x))
    with pytest.raises(RuntimeError):
        compiled(torch.rand(1, 3))
    assert "np" not in vars(torch.Tensor.item) and torch.Tensor.item.__name__ == "item"
    same(compiled(x), function(x))


def test_indices_are_checked_in_replays():
    embed = torch.compile(lambda i, w: nn.functional.embedding(i, w))
    w = torch.rand(4, 2)
    for _ in range(5):
        embed(torch.tensor([1, 2]), w)
    with pytest.raises(IndexError):
        embed(torch.tensor([1, 7]), w)


def test_threads():
    errors = []

    def work(seed):
        try:
            generator = torch.Generator().manual_seed(seed)
            shared = torch.compile(lambda x, y: (x * y + x).exp().sum(1))
            for _ in range(60):
                x, y = torch.rand(8, 8, generator=generator), torch.rand(8, 8, generator=generator)
                same(shared(x, y), (x * y + x).exp().sum(1))
                same(together(x, y), (x - y).tanh())
        except BaseException as error:
            errors.append(error)

    together = torch.compile(lambda x, y: (x - y).tanh())
    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors


@replays
def test_memory_is_released():
    from rushlight import _native

    gc.collect()
    before = _native.arena_bytes()
    compiled = torch.compile(lambda x: (x * 2 + 1).reshape(100, -1).sum(1))
    for _ in range(5):
        result = compiled(torch.rand(1000, 100))
    assert _native.arena_bytes() > before
    del compiled
    gc.collect()
    assert _native.arena_bytes() == before
    assert result.shape == (100,)


def test_modules():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    compiled = torch.compile(model)
    assert isinstance(compiled, nn.Module) and compiled._orig_mod is model
    assert list(compiled.state_dict()) == ["_orig_mod.0.weight", "_orig_mod.0.bias"]
    assert compiled.eval() is compiled and not model.training and not model[1].training
    assert compiled[0] is model[0] if hasattr(type(compiled), "__getitem__") else True
    compiled.note = 3
    assert model.note == 3 and compiled.note == 3
    x = torch.rand(2, 3)
    with torch.no_grad():
        for _ in range(6):
            same(compiled(x), model(x))
    same(compiled(x), model(x))
    copied = copy.deepcopy(compiled)
    assert type(copied) is type(compiled) and copied._orig_mod is not model
    same(copied(x), model(x))
    compiled.load_state_dict({"_orig_mod.0.weight": torch.ones(2, 3), "_orig_mod.0.bias": torch.ones(2)})
    with torch.no_grad():
        same(compiled(x), model(x))
    assert "OptimizedModule" in repr(compiled)


def test_methods_and_decorators():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        @torch.compile
        def double(self, x):
            with torch.no_grad():
                return x * self.weight

    net, other = Net(), Net()
    for i in range(6):
        same(net.double(torch.full((3,), float(i))), torch.full((3,), float(i)))
        same(other.double(torch.ones(3)), torch.ones(3))

    @torch.compile(dynamic=True, mode="max-autotune")
    def named(x):
        """A docstring."""
        return x

    assert named.__name__ == "named" and named.__doc__ == "A docstring." and named.__wrapped__(1) == 1


class Branch(torch.nn.Module):
    def forward(self, x):
        return x + 1 if torch.compiler.is_compiling() else x - 1


def test_is_compiling():
    def function(x):
        return Branch()(x)

    one, minus_one = [1.0] * 5, [-1.0] * 5
    x, own = torch.zeros(1), Branch()
    own.compile()
    hidden = torch.compiler.disable(function)
    for made, expected in (
        (torch.compile(function), one), (torch.compile(function, backend="eager"), one), (torch.compile(Branch()), one),
        (own, one), (torch.compile(function, disable=True), minus_one), (hidden, minus_one), (Branch(), minus_one),
        (torch.compile(lambda x: hidden(x)), minus_one), (torch.compiler.disable(Branch()), minus_one),
    ):  # fmt: skip
        assert [made(x).item() for _ in range(5)] == expected
        with torch.compiler.set_stance("force_eager"):
            assert made(x).item() == -1
    assert not torch.compiler.is_compiling()


def test_modules_compiled_in_place():
    torch.manual_seed(0)
    model, x = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()), torch.randn(4, 3)
    expected = model(x)
    model.compile()
    with torch.no_grad():
        for _ in range(5):
            same(model(x), expected.detach())
    if NATIVE:
        assert "replayed" in model._compiled_call_impl.report()
    handle = model.register_forward_hook(lambda module, args, out: out * 2)
    for _ in range(5):
        same(model(x), expected * 2)
    handle.remove()
    for _ in range(5):
        same(model(x), expected)
    other = copy.deepcopy(model)
    other[0].weight.data.zero_()
    assert other._compiled_call_impl is None and not torch.equal(other(x), expected)
    assert list(model.state_dict()) == ["0.weight", "0.bias"]


def test_switches():
    calls = []

    def function(x):
        calls.append(1)
        return x + 1

    x = torch.ones(1)
    for options in ({"disable": True}, {"backend": "eager"}, {"backend": lambda graph, inputs: graph}):
        compiled = torch.compile(function, **options)
        for _ in range(5):
            same(compiled(x), torch.tensor([2.0]))
        assert len(calls) == 5
        calls.clear()
    quiet = torch.compiler.disable(lambda x: x * 2)
    compiled = torch.compile(lambda x: quiet(x) + 1)
    for _ in range(5):
        same(compiled(x), torch.tensor([3.0]))
    assert not compiled._plans
    compiled = torch.compile(lambda x: x + 1)
    for _ in range(4):
        compiled(x)
    torch.compiler.reset()
    assert not compiled._plans
    with pytest.raises(RuntimeError, match="Invalid backend"):
        torch.compile(function, backend="nothing")
    with pytest.raises(RuntimeError, match="Unrecognized mode"):
        torch.compile(function, mode="nothing")


@replays
def test_full_graphs():
    compiled = torch.compile(branches, fullgraph=True)
    with pytest.raises(RuntimeError, match="fullgraph"):
        compiled(torch.ones(3))
    compiled = torch.compile(lambda x: x.exp() + 1, fullgraph=True)
    for _ in range(5):
        same(compiled(torch.ones(3)), torch.ones(3).exp() + 1)


@replays
def test_operators_of_ones_own_may_read_data_in_full_graphs():
    @torch.library.custom_op("compile_tests::numpy_sin", mutates_args={"output"})
    def numpy_sin(input: torch.Tensor, output: torch.Tensor) -> None:
        np.sin(input.numpy(), out=output.numpy())

    @torch.library.custom_op("compile_tests::by_its_sum", mutates_args=())
    def by_its_sum(input: torch.Tensor) -> torch.Tensor:
        return input * input.sum().item()

    def function(x):
        out = torch.empty(3)
        numpy_sin(x, out)
        return by_its_sum(out) + 1

    compiled = torch.compile(function, fullgraph=True)
    for _ in range(4):
        x = torch.randn(3)
        same(compiled(x), function(x))

    with pytest.raises(RuntimeError, match="fullgraph"):
        torch.compile(lambda x: branches(x) + by_its_sum(x), fullgraph=True)(torch.ones(3))


_UNARY = [
    torch.exp,
    torch.sin,
    torch.relu,
    torch.neg,
    torch.sigmoid,
    torch.square,
    lambda t: t.clamp(-1, 1),
    lambda t: t * 2 - 1,
]
_BINARY = [
    torch.add,
    torch.sub,
    torch.mul,
    torch.maximum,
    lambda a, b: torch.where(a > b, a, b),
    lambda a, b: a.clone().mul_(b),
]


@replays
@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12),
       st.sampled_from([(4,), (3, 5), (2500,), ()]), st.sampled_from(["float32", "float64"]))  # fmt: skip
def test_random_programs(program, shape, kind):
    def function(x, y):
        values = [x, y, x.sum(), y.reshape(-1)[:1].sum()]
        for unary, which, first, second in program:
            a, b = values[first % len(values)], values[second % len(values)]
            values.append(
                _UNARY[which](a)
                if unary
                else _BINARY[which % len(_BINARY)](a, b)
                if a.shape == b.shape
                else a + b
            )
        return values[-1] * 1, values[len(values) // 2] + 0

    compiled = torch.compile(function)
    torch.manual_seed(0)
    for _ in range(6):
        x, y = (torch.randn(shape, dtype=getattr(torch, kind)) for _ in range(2))
        same(compiled(x, y), function(x, y))
    assert compiled._plans or shape == () or "float64" in compiled.report(), compiled.report()


def test_stances():
    calls = []

    def noted(x):
        calls.append(x.shape)
        return x * 2

    compiled = torch.compile(noted, backend="eager")
    for stance in ("force_eager", "eager_on_recompile", "fail_on_recompile"):
        with torch.compiler.set_stance(stance):
            assert compiled(torch.ones(2)).tolist() == [2, 2]
    assert len(calls) == 3
    for wrong in (
        {"stance": "nope"},
        {"stance": "force_eager", "force_backend": "eager"},
        {"force_backend": "nope"},
    ):
        with pytest.raises(RuntimeError):
            torch.compiler.set_stance(**wrong)

    @torch.compiler.set_stance("force_eager")
    def inner():
        return torch.compiler.set_stance._current[0]

    assert inner() == "force_eager" and torch.compiler.set_stance._current == ("default", None)


@replays
def test_stances_of_recordings():
    compiled = torch.compile(lambda x: x * 2 + 1)
    for _ in range(4):
        compiled(torch.ones(3))
    report = compiled.report()
    assert "1 recording, replayed" in report
    with torch.compiler.set_stance("force_eager"):
        compiled(torch.ones(3))
    assert compiled.report() == report
    with torch.compiler.set_stance("fail_on_recompile"):
        assert compiled(torch.ones(3)).tolist() == [3, 3, 3] and compiled.report() != report
        with pytest.raises(RuntimeError, match="Detected recompile"):
            compiled(torch.ones(4))
    with torch.compiler.set_stance("eager_on_recompile"):
        for _ in range(5):
            assert compiled(torch.ones(4)).tolist() == [3, 3, 3, 3]
    assert "1 recording," in compiled.report()
    torch.compiler.set_stance(force_backend="eager")
    report = compiled.report()
    compiled(torch.ones(3))
    torch.compiler.set_stance("default")
    assert compiled.report() == report
    compiled(torch.ones(3))
    assert compiled.report() != report


def test_a_step_may_return_its_loss():
    """The loss requires grad, but the step itself went through its graph."""

    def run(compiled):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        optimizer, criterion = torch.optim.SGD(model.parameters(), lr=0.1), nn.MSELoss()

        def step(x, y):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        call = torch.compile(step) if compiled else step
        losses = [call(torch.randn(4, 3), torch.randn(4, 2)) for _ in range(6)]
        assert all(loss.requires_grad for loss in losses)
        with pytest.raises(RuntimeError, match="second time"):
            losses[-1].backward()
        return [loss.item() for loss in losses], [p.tolist() for p in model.parameters()], call

    eager, compiled = run(False), run(True)
    assert eager[:2] == compiled[:2]
    if NATIVE:
        assert "replayed 3 times" in compiled[2].report()


def test_subclasses_and_modes_run_eagerly():
    class Named(torch.Tensor):
        pass

    class Seen(torch.overrides.TorchFunctionMode):
        names: list = []

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.names.append(func.__name__)
            return func(*args, **(kwargs or {}))

    double = torch.compile(lambda x: (x * 2).sum())
    x = torch.ones(4)
    for _ in range(5):
        assert double(x) == 8
    if NATIVE:
        assert "replayed 2 times" in double.report()  # although all functions take detours now
    assert type(double(x.as_subclass(Named))) is Named
    with Seen():
        double(x)
    assert Seen.names == ["mul", "sum"]


@replays
def test_a_global_with_the_name_of_a_method():
    """`step` calls `optimizer.step()`; it does not thereby reach itself."""
    scope = {"torch": torch, "nn": nn}
    program = """
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        @torch.compile
        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        for _ in range(5):
            step(torch.randn(4, 3), torch.randn(4, 2))
    """
    exec(compile(textwrap.dedent(program), "program.py", "exec"), scope)
    assert "replayed 2 times" in scope["step"].report()


@replays
def test_a_compiled_function_in_another():
    inner = torch.compile(lambda x: x.sin() * 2)
    outer = torch.compile(lambda x: inner(x).sum())
    for _ in range(6):
        outer(torch.ones(3))
    assert "replayed 3 times" in outer.report()

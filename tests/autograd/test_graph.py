"""Gradients on request, hooks on tensors, nodes and saved tensors, custom functions: each as in PyTorch."""

import pytest

from tests.autograd.compare import agree

CASES = {}


def case(function):
    """List a case: a function of the framework."""
    CASES[function.__name__] = function
    return function


def leaves(lib):
    """Two leaves that require gradients."""
    return [lib.tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0])]


def product(lib):
    """Two leaves, and the sum of their product."""
    x, y = leaves(lib)
    return x, y, (x * y).sum()


def request(name, function):
    """A case that asks for gradients of x * x or x * y."""
    CASES[name] = lambda L: function(L, L.autograd.grad, *leaves(L))


request("both", lambda L, grad, x, y: grad((x * y).sum(), (x, y)))
request("unused", lambda L, grad, x, y: grad((x * x).sum(), (x, y)))
request("unused allowed", lambda L, grad, x, y: grad((x * x).sum(), (x, y), allow_unused=True))
request("materialized", lambda L, grad, x, y: grad((x * x).sum(), (x, y), materialize_grads=True))
request(
    "contradiction",
    lambda L, grad, x, y: grad((x * x).sum(), (x, y), materialize_grads=True, allow_unused=False),
)
request("batched", lambda L, grad, x, y: grad(x * y, (x, y), L.eye(2), is_grads_batched=True))
request(
    "batched unused",
    lambda L, grad, x, y: grad(x * x, (x, y), L.eye(2), is_grads_batched=True, allow_unused=True),
)
request(
    "batched materialized",
    lambda L, grad, x, y: grad(x * x, (x, y), L.eye(2), is_grads_batched=True, materialize_grads=True),
)
request("no number", lambda L, grad, x, y: grad(x * x, x))
request("cut off", lambda L, grad, x, y: grad(x.detach().sum(), x))
request("no leaf", lambda L, grad, x, y: grad((x * x).sum(), L.ones(1)))
request("several outputs", lambda L, grad, x, y: grad([(x * y).sum(), x * x], [x], [None, L.ones(2)]))
request("wrong shape", lambda L, grad, x, y: grad((x * y).sum(), x, L.ones(2)))


@case
def intermediate(L):
    x, y = leaves(L)
    z = x * y
    return L.autograd.grad(z.sum(), z)


@case
def twice(L):
    s = product(L)[2]
    s.backward()
    s.backward()


@case
def only_some(L):
    x, y, s = product(L)
    s.backward(inputs=[x])
    return x.grad, y.grad


@case
def no_inputs(L):
    product(L)[2].backward(inputs=[])


@case
def post_accumulate(L):
    x, _, s = product(L)
    seen = []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.sum().item()))
    s.backward(inputs=[x], retain_graph=True)
    s.backward()
    return seen, x.grad


@case
def retained_input(L):
    x, y = leaves(L)
    z = x * y
    z.retain_grad()
    z.sum().backward(inputs=[z])
    return z.grad, x.grad


@case
def retained(L):
    x, y = leaves(L)
    z = x * y
    z.retain_grad()
    (z * z).sum().backward()
    return z.grad, x.grad, z.retains_grad, x.retains_grad


@case
def hooks(L):
    x, y = leaves(L)
    z = x * y
    z.register_hook(lambda g: g * 2)
    handle = x.register_hook(lambda g: g + 1)
    z.sum().backward()
    handle.remove()
    (x * 1).sum().backward()
    return x.grad, y.grad


@case
def hook_without_gradient(L):
    L.ones(2).register_hook(lambda g: g)


@case
def post_hook_on_inner(L):
    (leaves(L)[0] * 1).register_post_accumulate_grad_hook(lambda p: None)


@case
def node_hooks(L):
    x, y = leaves(L)
    z, seen = x * y, []
    z.grad_fn.register_hook(lambda inputs, outputs: seen.append((len(inputs), len(outputs))))
    z.grad_fn.register_prehook(lambda outputs: (outputs[0] * 2,))
    z.sum().backward()
    return seen, x.grad


@case
def changed_in_place(L):
    y = leaves(L)[0].exp()
    y.add_(1)
    y.sum().backward()


@case
def threads(L):
    with L.autograd.set_multithreading_enabled(False):
        x, _, s = product(L)
        s.backward()
    return x.grad


@case
def anomaly(L):
    x = L.tensor([-1.0], requires_grad=True)
    with L.autograd.detect_anomaly():
        x.sqrt().backward()


@case
def anomaly_unchecked(L):
    x = L.tensor([-1.0], requires_grad=True)
    with L.autograd.detect_anomaly(check_nan=False):
        inside = L.is_anomaly_enabled(), L.is_anomaly_check_nan_enabled()
        x.sqrt().backward()
    return x.grad.isnan(), inside, L.is_anomaly_enabled()


# -- hooks on saved tensors ------------------------------------------------------------------------------


@case
def saved_hooks(L):
    x, y = leaves(L)
    counts = [0, 0]

    def pack(t):
        counts[0] += 1
        return t.numpy().copy()

    def unpack(a):
        counts[1] += 1
        return L.from_numpy(a)

    with L.autograd.graph.saved_tensors_hooks(pack, unpack):
        z = (x.exp() * y).sum()
    (g,) = L.autograd.grad(z, x, create_graph=True)
    return g.detach(), L.autograd.grad(g.sum(), x), counts


@case
def saved_hooks_layers(L):
    model = L.nn.Sequential(L.nn.Linear(3, 4), L.nn.ReLU(), L.nn.Linear(4, 3), L.nn.LayerNorm(3))
    with L.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        loss = L.nn.functional.cross_entropy(model(L.ones(2, 3)), L.tensor([0, 2]))
    loss.backward()
    return [p.grad for p in model.parameters()]


@case
def saved_hooks_in_place(L):
    x = leaves(L)[0]
    y = x * 1
    with L.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        z = y * y
        y.exp_()
    return L.autograd.grad((y + z).sum(), x)


@case
def saved_hook_changes_its_input(L):
    with L.autograd.graph.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t):
        leaves(L)[0].exp() * 2


@case
def saved_hook_returns_no_tensor(L):
    x = leaves(L)[0]
    with L.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: 3):
        y = x.exp()
    y.sum().backward()


@case
def saved_on_cpu(L):
    x = leaves(L)[0]
    with L.autograd.graph.save_on_cpu(pin_memory=False):
        y = x.exp()
    y.sum().backward()
    y = y * 1
    return x.grad


@case
def saved_hooks_disabled(L):
    with L.autograd.graph.disable_saved_tensors_hooks("not here"), L.autograd.graph.save_on_cpu():
        pass


@case
def saved_hooks_freed(L):
    x = leaves(L)[0]
    with L.autograd.graph.save_on_cpu():
        y = x.exp().sum()
    y.backward()
    y.backward()


@case
def mutation_allowed(L):
    x = leaves(L)[0]
    with L.autograd.graph.allow_mutation_on_saved_tensors():
        y = x.clone()
        z = (y**2).sum()
        y.mul_(3)
        z.backward()
    return x.grad


@case
def multi_grad_hook(L):
    a, b = leaves(L)
    c, d, seen = a * b, a * b, []
    handle = L.autograd.graph.register_multi_grad_hook(
        (a, b, c, d), lambda gs: seen.append([g is None for g in gs])
    )
    c.sum().backward(retain_graph=True)
    c.sum().backward(inputs=(a,), retain_graph=True)
    handle.remove()
    c.sum().backward(retain_graph=True)
    L.autograd.graph.register_multi_grad_hook((a, b), lambda g: seen.append(g.sum().item() > 0), mode="any")
    (c + d).sum().backward()
    return seen


@case
def multi_grad_hook_mode(L):
    L.autograd.graph.register_multi_grad_hook(leaves(L), print, mode="some")


# -- custom functions ------------------------------------------------------------------------------------


def function(L, forward=None, backward=None, **more):
    """A custom function: by default the product, with wrong gradients."""
    methods = {
        "forward": forward or (lambda ctx, x, y: x * y),
        "backward": backward or (lambda ctx, g: (g, g)),
    }
    return type("Own", (L.autograd.Function,), {k: staticmethod(f) for k, f in (methods | more).items() if f})


@case
def needs_input_grad(L):
    x, y = leaves(L)
    seen = []

    def backward(ctx, grad):
        seen.append(ctx.needs_input_grad)
        return grad, None

    function(L, backward=backward).apply(x, y.detach()).sum().backward()
    return seen, x.grad


@case
def unmaterialized(L):
    x, seen = leaves(L)[0], []

    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 1, x * 2

    def backward(ctx, a, b):
        seen.append((a is None, b is None))
        return b

    function(L, forward, backward).apply(x)[1].sum().backward()
    return seen, x.grad


@case
def dirty_leaf(L):
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    return function(L, forward).apply(leaves(L)[0])


@case
def keyword_arguments(L):
    x, y = leaves(L)
    return function(L).apply(x, y=y)


@case
def only_once(L):
    x, y = leaves(L)
    backward = L.autograd.function.once_differentiable(lambda ctx, g: (g * 2, g))
    (g,) = L.autograd.grad(function(L, backward=backward).apply(x, y).sum(), x, create_graph=True)
    L.autograd.grad(g.sum(), x)


@case
def context_set_up_apart(L):
    def setup_context(ctx, inputs, output):
        ctx.count = len(inputs)
        ctx.save_for_backward(*inputs, output[0])

    def backward(ctx, a, b):
        _, first = ctx.saved_tensors
        return a * 2 + b * first * ctx.count

    x = leaves(L)[0]
    own = function(L, lambda x: (x * 2, x + 1), backward, setup_context=setup_context)
    a, b = own.apply(x)
    (a + b).sum().backward()
    return x.grad


@case
def vjp_instead_of_backward(L):
    class Twice(L.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def vjp(ctx, grad):
            return grad * 2

    x = leaves(L)[0]
    Twice.apply(x).sum().backward()
    return x.grad


@case
def no_backward(L):
    class Forward(L.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    Forward.apply(leaves(L)[0]).sum().backward()


@case
def saved_after_release(L):
    def forward(ctx, x, n):
        ctx.save_for_backward(x)
        return x * n

    out = function(L, forward, lambda ctx, g: (g * ctx.saved_tensors[0], None)).apply(leaves(L)[0], 3).sum()
    out.backward()
    out.backward()


@case
def outputs_that_are_no_tensors(L):
    own = function(L, lambda ctx, x, y: (x * y, "s", None, 3), lambda ctx, a, b, c, d: (a, b))
    return own.apply(*leaves(L))


@case
def input_returned(L):
    x, y = leaves(L)
    out = function(L, lambda ctx, x, y: x, lambda ctx, g: (g * 5, None)).apply(x, y)
    out.sum().backward()
    return out is x, x.grad, type(out.grad_fn).__name__, out.grad_fn.name()


@case
def saving_a_number(L):
    function(L, lambda ctx, x: ctx.save_for_backward(3)).apply(leaves(L)[0])


@case
def too_few_gradients(L):
    function(L, backward=lambda ctx, g: (g,)).apply(*leaves(L)).sum().backward()


@case
def gradient_of_wrong_shape(L):
    function(L, backward=lambda ctx, g: (g, L.ones(3))).apply(*leaves(L)).sum().backward()


@case
def not_differentiable(L):
    def forward(ctx, x):
        index = x.long()
        ctx.mark_non_differentiable(index)
        return x * 2, index

    return function(L, forward, lambda ctx, a, b: a * 2).apply(leaves(L)[0])


@case
def function_saves_through_hooks(L):
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        return grad * y, grad * x

    x, y = leaves(L)
    with L.autograd.graph.saved_tensors_hooks(lambda t: t * 1, lambda t: t):
        out = function(L, forward, backward).apply(x, y)
    return L.autograd.grad(out.sum(), (x, y))


# -- gradcheck -------------------------------------------------------------------------------------------


def checked(name, function, *values, check="gradcheck", **options):
    """A case of gradcheck."""
    CASES[name] = lambda L: getattr(L.autograd, check)(
        function, [L.tensor(v, dtype=L.float64, requires_grad=True) for v in values], **options
    )


checked("right", lambda x: x.sin(), [1.0, 2.0])
checked("right, fast", lambda x: x.sin(), [1.0, 2.0], fast_mode=True)
checked("right, batched", lambda x: x.sin(), [1.0, 2.0], check_batched_grad=True)
checked("wrong", lambda x: x.detach() * x, [1.0, 2.0])
checked("wrong, quiet", lambda x: x.detach() * x, [1.0, 2.0], raise_exception=False)
checked("twice right", lambda x: x**3, [1.0, 2.0], check="gradgradcheck")
checked("several", lambda x, y: (x * y, x.exp()), [1.0, 2.0], [0.5, 1.0], check="gradgradcheck")


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    agree(CASES[name])

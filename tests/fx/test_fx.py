"""torch.fx: graphs, code and results agree with PyTorch's."""

import copy
import gc
import operator
import pickle

import pytest

import rushlight
from rushlight import fx
from rushlight.fx.passes.shape_prop import ShapeProp

torch = pytest.importorskip("torch")


def network(t):
    class Net(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.p = t.nn.Parameter(t.ones(3, 4))
            self.linear = t.nn.Linear(4, 5)
            self.register_buffer("b", t.ones(4))
            self.c = t.zeros(4)
            self.seq = t.nn.Sequential(t.nn.Linear(5, 5), t.nn.ReLU())

        def forward(self, x: t.Tensor, scale: float = 2.0):
            y = self.linear(x + self.p * self.b - self.c).clamp(min=0.0, max=1.0)
            z = t.cat([self.seq(y), y], dim=-1)[:, 1:5] * scale
            a, b = z.chunk(2, dim=1)
            q = (a @ b.t()).view(x.shape[0], -1) / t.tensor([2.0])
            return -q.sum() + t.max(q)

    return Net()


def with_keyword(t):
    def f(x, *args, k=2, **more):
        return t.add(x, args[0]) * k + more["y"]

    return f


PROGRAMS = {
    "network": network,
    "keywords": with_keyword,
    "sequential": lambda t: t.nn.Sequential(t.nn.Conv2d(1, 2, 3), t.nn.BatchNorm2d(2), t.nn.Flatten()),
    "operators": lambda t: (
        lambda x, y: (-x, ~y, x**2, 2 - x, x // y, x == y, x[0], x[1:, None], abs(x), 1 / y)
    ),
    "structures": lambda t: lambda x: {"a": [x, (x + 1,)], "b": slice(x, None, 2)},
    "builtin names": lambda t: lambda x: t.max(t.sum(t.all(t.float_power(x, 2)))),
    "reflected": lambda t: lambda x: t.inverse(x) + t.relu(3 % x),
}


def traced(t, program):
    t.manual_seed(0)
    return t.fx.symbolic_trace(program(t))


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_in_pytorch(name):
    ours, theirs = traced(rushlight, PROGRAMS[name]), traced(torch, PROGRAMS[name])
    assert ours.code == theirs.code
    assert str(ours.graph) == str(theirs.graph)
    assert str(ours) == str(theirs)
    ours.graph.lint()
    for a, b in zip(ours.graph.nodes, theirs.graph.nodes, strict=True):
        assert (a.op, a.name, repr(a.args), repr(a.kwargs)) == (b.op, b.name, repr(b.args), repr(b.kwargs))
        assert list(map(str, a.users)) == list(map(str, b.users))


def test_results_copies_and_pickles():
    net = network(rushlight)
    x = rushlight.rand(3, 4)
    expected = net(x)
    made = fx.symbolic_trace(net)
    for module in (made, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert rushlight.equal(module(x), expected)
        assert rushlight.equal(fx.Interpreter(module).run(x), expected)
        assert module.code == made.code
    assert rushlight.equal(fx.Transformer(made).transform()(x), expected)
    assert rushlight.equal(net(x), expected)
    made.linear.weight.data.zero_()  # parts are shared
    assert not net.linear.weight.any()


FUNCTIONS = """
F.relu(x)
F.relu(x, True)
F.max_pool2d(x, kernel_size=2, stride=2)
F.avg_pool2d(x, 2)
F.adaptive_avg_pool2d(x, (1, 1))
F.dropout(x, 0.1, False)
F.leaky_relu(x, 0.1)
F.selu(x)
F.gelu(x)
F.logsigmoid(x)
F.softmax(x, 1)
torch.softmax(x, 1)
torch.relu(x)
F.embedding(x, y)
F.batch_norm(x, y, y)
F.layer_norm(x, (3,))
F.cross_entropy(x, y)
F.interpolate(x, scale_factor=2)
F.pad(x, (1, 1))
F.linear(x, y)
F.conv2d(x, y)
F.scaled_dot_product_attention(x, x, x)
torch.einsum("ij->i", x)
torch.einsum("ij,jk->ik", [x, y])
torch.meshgrid(x, y, indexing="ij")
torch.tensordot(x, y, 1)
torch.cdist(x, y)
torch.atleast_2d(x, y)
torch.flatten(x, 1)
torch.add(x, y, alpha=2)
B + x
B / x
B == x
B[x]
x - B
""".strip().split("\n")


def test_calls_are_recorded_as_in_pytorch():
    """By their public names, and with the arguments that PyTorch's functions hand on."""

    def graph(t, call):
        scope = {"torch": t, "F": t.nn.functional, "B": t.ones(3)}
        made = t.fx.symbolic_trace(eval(f"lambda x, y: {call}", scope))
        return str(made.graph), made.code

    for call in FUNCTIONS:
        assert graph(rushlight, call) == graph(torch, call), call


def test_results_of_calls_with_all_arguments():
    x = rushlight.rand(2, 3, 4, 4) - 0.5
    calls = [
        "relu(x)",
        "max_pool2d(x, 2)",
        "softmax(x, 1)",
        "gelu(x)",
        "layer_norm(x, (4,))",
        "dropout(x, 0.5, False)",
    ]
    for call in calls:
        function = eval(f"lambda x: F.{call}", {"F": rushlight.nn.functional})
        made = fx.symbolic_trace(function)
        assert rushlight.equal(made(x), function(x)), call


def halved(x):
    return x / 2 if x.sum() > 0 else x


def test_wrapped_functions_are_found_wherever_they_were_imported():
    scope = {"halved": halved}
    elsewhere = eval("lambda x: halved(x) + 1", scope)
    graph = fx.Tracer(autowrap_functions=(halved,)).trace(lambda x: elsewhere(x))
    assert [n.target for n in graph.nodes] == ["x", halved, operator.add, "output"]
    with pytest.raises(fx.proxy.TraceError):
        fx.symbolic_trace(elsewhere)


def test_parts_of_traced_modules_are_pytorchs():
    ours, theirs = traced(rushlight, network), traced(torch, network)
    assert list(ours.state_dict()) == list(theirs.state_dict())


def edited(t):
    net = t.fx.symbolic_trace(lambda x, y: (x + y, t.add(x, y), x.add(y)))
    for node in net.graph.nodes:
        if node.target in (operator.add, t.add, "add"):
            with net.graph.inserting_after(node):
                new = net.graph.call_function(t.bitwise_and, node.args, node.kwargs)
                node.replace_all_uses_with(new)
            net.graph.erase_node(node)
    net.graph.lint()
    net.recompile()
    return net


def rewritten(t):
    def f(x, w1, w2):
        first = t.cat([t.neg(w1), w2]).sum()
        return x + t.max(first) + t.max(t.cat([t.neg(w1), w2]).sum())

    net = t.fx.symbolic_trace(f)
    t.fx.replace_pattern(net, lambda a, b: t.cat([t.neg(a), b]).sum(), lambda a, b: t.stack([a, b]))
    return net


def inlined(t):
    net = t.fx.symbolic_trace(t.nn.Sequential(t.nn.ReLU(), t.nn.Tanh()))
    for node in net.graph.nodes:
        if node.op == "call_module" and node.target == "1":
            with net.graph.inserting_before(node):
                out = t.sigmoid(t.fx.Proxy(node.args[0]))
                node.replace_all_uses_with(out.node)
                net.graph.erase_node(node)
    net.delete_all_unused_submodules()
    net.recompile()
    return net


def by_hand(t):
    graph = t.fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_module("layer.0", (x,))
    graph.call_function(t.sin, (x,))
    graph.output(graph.call_method("add", (y, graph.get_attr("layer.0.weight"))))
    parts = {"layer.0": t.nn.Linear(2, 2), "layer.0.weight": t.nn.Parameter(t.ones(2, 2))}
    net = t.fx.GraphModule(parts, graph, "Mine")
    assert graph.eliminate_dead_code() is True
    net.recompile()
    assert net.add_submodule("a.b", t.nn.ReLU())
    assert net.delete_submodule("a.b")
    return net


@pytest.mark.parametrize("change", [edited, rewritten, inlined, by_hand])
def test_changes(change):
    ours, theirs = change(rushlight), change(torch)
    assert ours.code == theirs.code
    assert {n for n, _ in ours.named_modules()} == {n for n, _ in theirs.named_modules()}


class Tagging(fx.Tracer):
    def is_leaf_module(self, m, module_qualified_name):
        return isinstance(m, rushlight.nn.Linear)

    def create_node(self, *args, **kwargs):
        node = super().create_node(*args, **kwargs)
        node.tag = "seen"
        return node


def test_tracers_can_be_changed():
    net = rushlight.nn.Sequential(rushlight.nn.Linear(2, 2), rushlight.nn.ReLU())
    graph = Tagging().trace(net)
    assert [n.op for n in graph.nodes] == ["placeholder", "call_module", "call_function", "output"]
    assert all(n.tag == "seen" for n in graph.nodes)


def test_shapes():
    net = fx.symbolic_trace(network(rushlight))
    ShapeProp(net).propagate(rushlight.ones(3, 4))
    (node,) = net.graph.find_nodes(op="call_module", target="linear")
    assert node.meta["tensor_meta"].shape == (3, 5)


REFUSED = {
    "condition": lambda x: 1 if x.sum() > 0 else 2,
    "loop": lambda x: [i + 1 for i in x],
    "length": lambda x: len(x),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_traced(name):
    with pytest.raises((ValueError, RuntimeError)) as ours:
        fx.symbolic_trace(REFUSED[name])
    with pytest.raises((ValueError, RuntimeError)) as theirs:
        torch.fx.symbolic_trace(REFUSED[name])
    assert str(ours.value) == str(theirs.value)
    assert type(ours.value).__name__ == type(theirs.value).__name__


def test_graphs_are_checked():
    graph = fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_function(rushlight.relu, (x,))
    graph.output(y)
    with pytest.raises(RuntimeError, match="still had 1 users"):
        graph.erase_node(y)
    y.append(x)
    with pytest.raises(RuntimeError, match="used before it has been defined"):
        graph.lint()


def test_nothing_is_left_behind():
    gc.collect()
    plain = rushlight.relu.__code__
    proxy = fx.Proxy(fx.Graph().placeholder("x"))
    assert rushlight.relu.__code__ is not plain
    del proxy
    fx.symbolic_trace(network(rushlight))
    with pytest.raises(fx.proxy.TraceError):
        fx.symbolic_trace(REFUSED["condition"])
    gc.collect()
    assert rushlight.relu.__code__ is plain


def test_autocast_holds_while_there_are_stand_ins():
    proxy = fx.Proxy(fx.Graph().placeholder("x"))
    a = rushlight.ones(2, 2)
    with rushlight.autocast("cpu", rushlight.bfloat16):
        assert rushlight.mm(a, a).dtype == rushlight.bfloat16
        del proxy
        inner = fx.Proxy(fx.Graph().placeholder("y"))
        assert rushlight.mm(a, a).dtype == rushlight.bfloat16
    assert rushlight.mm(a, a).dtype == rushlight.float32
    assert isinstance(rushlight.mm(inner, inner), fx.Proxy)

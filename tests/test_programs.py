"""Snippets of users' programs print the same under PyTorch and here."""

import contextlib
import io
import textwrap

import pytest

import rushlight

torch = pytest.importorskip("torch")

SNIPPETS = {
    "views under no_grad require grad": """
        w = torch.ones(3, 2, requires_grad=True)
        with torch.no_grad():
            print(w[:2], w[0], w.t(), w.view(6), w.split(1)[0], w.detach()[0], w[[0]], w * 1)
            w[0].zero_()
            print(w[:1].numpy())
        print(w.grad_fn, w.is_leaf, w[0])
    """,
    "optimizers with several groups": """
        a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        print(torch.optim.SGD([{"params": a.parameters()}, {"params": b.parameters(), "lr": 0.5}], lr=0.1))
    """,
    "a binomial that cannot succeed": """
        d = torch.distributions.Binomial(100, torch.tensor([0.0, 0.2]))
        print(d.log_prob(torch.tensor([0.0, 16.0])))
    """,
    "numbers of tensors, resizing, odd indices": """
        x = torch.arange(6.0).view(2, 3)
        for wrong in (lambda: int(x), lambda: float(x), lambda: complex(x), lambda: x.item(), lambda: x["a"], lambda: x[{}]):
            try:
                print(wrong())
            except Exception as error:
                print(type(error).__name__, str(error)[:30])
        print(x.t_().resize_(2, 2), torch.gradient(torch.tensor([1.0, 4, 9, 16])))
    """,
    "operators name their node": """
        x, y = torch.tensor([0.3, 1.7], requires_grad=True), torch.tensor([0.1, 0.2])
        print(1 - x, y - x, 3 / x, 2**x, torch.pow(2, x), torch.rsub(x, y), x.clamp_min(1), x.clamp_max(y))
        print(x.lerp(y, 0.3), x.lerp(y, y), torch.addcmul(y, x, y), torch.addcdiv(y, x, y, value=2))
    """,
    "numbers before tensors, the old order": """
        import warnings
        a, b, c, v = torch.arange(3.0), torch.ones(3) * 2, torch.ones(3) * 3, torch.ones(2)
        k, m, n, t = torch.eye(2), torch.ones(2, 3), torch.ones(3, 2), torch.ones(2, 2, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            print(torch.add(a, 2, b), a.add(2, b), a.clone().add_(2, b), torch.sub(a, 2, b), a.clone().sub_(2, b))
            print(a.addcmul(0.5, b, c), a.clone().addcdiv_(-0.5, b, c), torch.addcdiv(a, 2, b, c))
            print(torch.addmm(2, k, m, n), torch.addmm(2, k, 3, m, n), k.addmm(2, m, n), k.clone().addmm_(2, 3, m, n))
            print(v.addmv(2, k, v), torch.addr(2, k, 3, v, v), t.baddbmm(2, t, t), torch.addbmm(2, k, 3, t, t))
        for wrong in (lambda: torch.add(a, b, c), lambda: torch.addcmul(a, b, c, c), lambda: torch.addmm(k, m, n, 1, 2)):
            try:
                print(wrong())
            except TypeError:
                print("TypeError")
    """,
    "names that graph libraries import": """
        import numpy as np
        from importlib import import_module
        strings = import_module(torch.__name__ + "._tensor_str")
        print(strings._tensor_str(torch.arange(3.0), 0), strings.PRINT_OPTS.threshold)
        print(torch.ops.aten.add.Tensor(torch.ones(2), 2), torch.ops.aten.clone.default(torch.ones(1)))
        print({torch.ops.aten.add.Tensor: 1}[torch.ops.aten.add.Tensor], torch.onnx.is_in_onnx_export())
        future = torch.futures.Future()
        later = future.then(lambda f: f.value() + 1)
        bad = future.then(lambda f: 1 / 0)
        both = torch.futures.collect_all([future, later])
        print(future.done(), later.done())
        future.set_result(2)
        print(later.wait(), both.wait()[1].value(), torch.futures.wait_all([future, later]), bad.done())
        x = torch.arange(3)
        y = torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(x))
        x[0] = 7
        print(y, type(torch.__config__.show()), torch.jit._overload(len)([1]) if torch.__name__ != "torch" else 1)
    """,
    "walking the graph of a linear layer": """
        def tree(node, depth=0):
            print(" " * depth + (type(node).__name__ if node else "None"))
            for following, _ in node.next_functions if node else ():
                tree(following, depth + 1)
        w, b = torch.ones(3, 2, requires_grad=True), torch.ones(3, requires_grad=True)
        for shape in ((4, 2), (2, 4, 2)):
            for x in (torch.ones(shape), torch.ones(shape, requires_grad=True)):
                for bias in (b, None, b.detach()):
                    tree(torch.nn.functional.linear(x, w, bias).relu().grad_fn)
                    tree(torch.nn.functional.linear(x, w.detach(), b).grad_fn)
        b2 = b.clone()
        b2[0] = 1
        print(b.sum().grad_fn.next_functions[0][0].name(), b2, b2.grad_fn.name())
    """,
    "losses name their node": """
        F = torch.nn.functional
        torch.manual_seed(0)
        x, y, t = torch.randn(4, 5, requires_grad=True), torch.rand(4, 5), torch.tensor([1, 0, 4, 2])
        for reduction in ("mean", "sum", "none"):
            print(F.cross_entropy(x, t, label_smoothing=0.1, reduction=reduction))
            print(F.cross_entropy(x, y, reduction=reduction))
            print(F.multi_margin_loss(x, t, reduction=reduction))
            print(F.multilabel_margin_loss(x, torch.tensor([[0, 2, -1, 1, 1]] * 4), reduction=reduction))
        print(F.pairwise_distance(x, y), torch.pdist(x), torch.cdist(x, y)[0], torch.dist(x, y))
        print(x.trace(), torch.linalg.cross(x[:, :3], y[:, :3])[0], x.renorm(2, 0, 1.0)[0])
        print(torch.distributions.MultivariateNormal(x[0, :2], torch.eye(2) * x[0, 0] ** 2).entropy())
    """,
}


@pytest.mark.parametrize("name", SNIPPETS)
def test_prints_the_same(name):
    source, printed = textwrap.dedent(SNIPPETS[name]), []
    for module in (torch, rushlight):
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream):
            exec(compile(source, name, "exec"), {"torch": module})
        printed.append(stream.getvalue().replace("torch.", "").replace("rushlight.", ""))
    assert printed[1] == printed[0]


def test_versions_compare_as_pytorchs():
    versions = [
        "2.13.0+cpu",
        "2.13",
        "2.0",
        "2.13.0a0",
        "2.13.0.post1",
        "2.13.0rc1",
        "10.0",
        "2.14.0.dev3",
        "1.8.1+cu111",
    ]
    for a in versions:
        for b in (*versions, (2, 4), (2, 13, 0), "parrot"):
            for method in ("__lt__", "__le__", "__eq__", "__ge__", "__gt__"):
                ours, theirs = (m.torch_version.TorchVersion(a) for m in (rushlight, torch))
                assert getattr(ours, method)(b) == getattr(theirs, method)(b), (a, method, b)


def test_names_that_other_packages_ask_for():
    rushlight._C._log_api_usage_once("a metric")
    assert rushlight._C.Generator is rushlight.Generator and rushlight._C._get_tracing_state() is None
    assert not isinstance(rushlight.nn.Linear(1, 1), rushlight.jit.ScriptModule)
    assert type("Net", (rushlight.jit.ScriptModule,), {})().original_name == "Net"

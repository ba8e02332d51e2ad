"""Reductions: what the op table cannot say: names of nodes, printed forms, warnings, messages."""

import copy
import pickle

import pytest

import rushlight

torch = pytest.importorskip("torch")

NODES = {
    "x.sum()": "SumBackward0",
    "x.sum(0)": "SumBackward1",
    "x.mean()": "MeanBackward0",
    "x.mean(0)": "MeanBackward1",
    "x.prod()": "ProdBackward0",
    "x.prod(0)": "ProdBackward1",
    "x.std()": "StdBackward0",
    "x.var(0)": "VarBackward0",
    "x.max()": "MaxBackward1",
    "x.max(0)[0]": "MaxBackward0",
    "x.min()": "MinBackward1",
    "x.max(x)": "MaximumBackward0",
    "x.amax(0)": "AmaxBackward0",
    "x.aminmax()[0]": "AminmaxBackward0",
    "x.nansum()": "NansumBackward0",
    "x.nanmean()": "DivBackward0",
    "x.median()": "MedianBackward0",
    "x.median(0)[0]": "MedianBackward1",
    "x.nanmedian()": "NanmedianBackward0",
    "x.mode(0)[0]": "ModeBackward0",
    "x.logsumexp(0)": "LogsumexpBackward0",
    "x.cumsum(0)": "CumsumBackward0",
    "x.cumprod(0)": "CumprodBackward0",
    "x.cummax(0)[0]": "CummaxBackward0",
    "x.logcumsumexp(0)": "LogcumsumexpBackward0",
    "x.diff()": "SubBackward0",
    "x.softmax(0)": "SoftmaxBackward0",
    "x.log_softmax(0)": "LogSoftmaxBackward0",
    "x.sort()[0]": "SortBackward0",
    "x.sort(stable=True)[0]": "SortBackward1",
    "x.topk(2)[0]": "TopkBackward0",
    "x.kthvalue(2)[0]": "KthvalueBackward0",
    "x.norm()": "LinalgVectorNormBackward0",
    "torch.var_mean(x)[1]": "VarMeanBackward0",
    "torch.std_mean(x, 0)[0]": "StdMeanBackward0",
}


@pytest.mark.parametrize("code", NODES)
def test_gradient_functions_have_pytorchs_names(code):
    for module in (rushlight, torch):
        x = module.ones(3, 4, requires_grad=True)
        result = eval(code, {"x": x, "torch": module})
        assert type(result.grad_fn).__name__ == NODES[code]


PRINTED = [
    "torch.tensor([[1, 2], [4, 3]]).max(1)",
    "torch.tensor([[1.0, 2.0], [4.0, 3.0]]).sort(0)",
    "torch.tensor([1.0, 2.0], requires_grad=True).median(0)",
    "torch.aminmax(torch.tensor([3, 1]))",
    "torch.tensor([1.0, 3.0, 2.0]).topk(2)",
    "torch.tensor([1, 2]).cummax(0)",
]


@pytest.mark.parametrize("code", PRINTED)
def test_named_results_print_as_pytorchs(code):
    ours, theirs = eval(code, {"torch": rushlight}), eval(code, {"torch": torch})
    assert repr(ours) == repr(theirs)
    assert type(ours).__name__ == type(theirs).__name__


def test_named_results_are_tuples():
    result = rushlight.tensor([3, 1, 2]).sort()
    values, indices = result
    assert result.values is values
    assert result.indices is indices
    assert len(result) == 2
    assert result[1] is indices
    assert pickle.loads(pickle.dumps(result)).indices.tolist() == [1, 2, 0]
    assert copy.deepcopy(result).values.tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match="2-sequence"):
        rushlight.return_types.sort([1])


WARNINGS = [
    ("torch.ones(1).std()", r"std\(\): degrees of freedom is <= 0"),
    ("torch.ones(2).var(correction=2)", r"var\(\): degrees of freedom is <= 0"),
    ("torch.var_mean(torch.ones(1))", r"var_mean\(\): degrees of freedom is <= 0"),
]


@pytest.mark.parametrize(("code", "message"), WARNINGS)
def test_warnings(code, message):
    results = []
    for module in (rushlight, torch):
        with pytest.warns(UserWarning, match=message):
            results.append(eval(code, {"torch": module}))
    ours, theirs = (r if isinstance(r, tuple) else (r,) for r in results)
    assert [str(x.item()) for x in ours] == [str(x.item()) for x in theirs]


MESSAGES = [
    (
        "torch.tensor([1]).mean()",
        "mean(): could not infer output dtype. Input dtype must be either a floating point or",
    ),
    ("torch.zeros(2, 3).sum(2)", "Dimension out of range (expected to be in range of [-2, 1], but got 2)"),
    ("torch.zeros(2, 3).sum((0, 0))", "dim 0 appears multiple times in the list of dims"),
    ("torch.zeros(0).max()", "max(): Expected reduction dim to be specified for input.numel() == 0"),
    ("torch.zeros(0, 2).argmax(0)", "argmax(): Expected reduction dim 0 to have non-zero size."),
    ("torch.ones(3).topk(4)", "selected index k out of range"),
    ("torch.tensor([1]).std()", "std and var only support floating point and complex dtypes"),
    ("torch.tensor([1]).softmax(0)", "\"softmax_lastdim_kernel_impl\" not implemented for 'Long'"),
]


@pytest.mark.parametrize(("code", "message"), MESSAGES)
def test_messages_begin_as_pytorchs(code, message):
    for module in (rushlight, torch):
        with pytest.raises(Exception) as error:
            eval(code, {"torch": module})
        assert str(error.value).startswith(message)


def test_gradient_of_a_sum_is_not_shared_memory_that_writes_reach():
    x = rushlight.ones(3, 4, requires_grad=True)
    x.sum().backward()
    x.grad[0, 0] = 7
    assert x.grad.sum().item() == 18
    x.mean(0).sum().backward()
    assert x.grad[0, 0].item() == pytest.approx(7 + 1 / 3)


def test_cases_of_low_precision():
    for kind in ("float16", "bfloat16"):
        results = []
        for module in (rushlight, torch):
            x = module.arange(12).reshape(3, 4).to(getattr(module, kind)).requires_grad_()
            outputs = (
                x.sum(),
                x.mean(1),
                x.max(),
                x.max(0)[0],
                x.softmax(1),
                x.cumsum(0),
                x.sort(1, True)[0],
                x.std(0),
            )
            total = sum((out.float() * 0.5).sum() for out in outputs)
            total.backward()
            assert {str(out.dtype) for out in outputs} == {f"torch.{kind}"}
            results.append([out.float().tolist() for out in (*outputs, x.grad)])
        for ours, theirs in zip(*results, strict=True):
            torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=2e-2, atol=2e-2)


def test_out_is_resized_with_a_warning_and_checked():
    x = rushlight.ones(2, 3)
    with pytest.warns(UserWarning, match="was resized"):
        assert rushlight.sum(x, 0, out=rushlight.zeros(1)).tolist() == [2, 2, 2]
    values, indices = rushlight.empty(3), rushlight.empty(3, dtype=rushlight.int64)
    result = rushlight.max(x, 0, out=(values, indices))
    assert result.values is values
    assert values.tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="to have dtype"):
        rushlight.max(x, 0, out=(values, rushlight.empty(3)))
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        rushlight.sum(x.requires_grad_(), 0, out=rushlight.empty(3))

"""Names that programs written after PyTorch's own optimizers, schedules and layers import, and what they do with them."""

import importlib

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
BOTH = (rushlight, torch)


def _optimizer(t):
    """An optimizer as many papers publish theirs, made from PyTorch's SGD."""
    o = importlib.import_module(f"{t.__name__}.optim.optimizer")

    class Sgd(o.Optimizer):
        def __init__(self, params, lr=o.required, differentiable=False):
            if lr is o.required or lr < 0.0:
                raise ValueError(f"Invalid learning rate: {lr}")
            super().__init__(params, {"lr": lr, "differentiable": differentiable})

        @o._use_grad_for_differentiable
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state.setdefault("step", t.zeros((), dtype=o._get_scalar_dtype()))
                    state["step"] += 1
                    step = o._get_value(state["step"])
                    fused, _ = o._default_to_fused_or_foreach([p], group["differentiable"], False)
                    assert not fused
                    p.add_(p.grad, alpha=-o._to_scalar(group["lr"]) / step)

    return Sgd


def test_optimizers():
    results = []
    for t in BOTH:
        p = t.ones(3, requires_grad=True)
        o = _optimizer(t)([p], lr=0.1)
        for _ in range(3):
            o.zero_grad()
            (p**2).sum().backward()
            o.step()
        results.append(p.detach().numpy())
        with pytest.raises(ValueError, match="<required parameter>"):
            _optimizer(t)([p])
        params, moments = [t.ones(2, dtype=t.complex64)], [t.zeros(2, dtype=t.complex64)]
        importlib.import_module(f"{t.__name__}.optim.optimizer")._view_as_real(params, moments)
        assert params[0].shape == moments[0].shape == (2, 2) and params[0].dtype is t.float32
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_schedules():
    for t in BOTH:
        schedules = t.optim.lr_scheduler

        class Half(schedules.LRScheduler):
            def get_lr(self, warn=schedules._warn_get_lr_called_within_step):
                warn(self)
                return [lr / 2**self.last_epoch for lr in self.base_lrs]

        schedule = Half(t.optim.SGD([t.ones(1, requires_grad=True)], lr=1.0))
        schedule.optimizer.step()
        schedule.step()
        assert schedule.get_last_lr() == [0.5]
        with pytest.warns(UserWarning, match="get_last_lr"):
            schedule.get_lr()
        with schedules._enable_get_lr_call(schedule):
            assert schedule.get_lr() == [0.5]


def test_functions_may_be_made():
    """The gradient reversal of domain adaptation, which is often applied through an instance."""
    for t in BOTH:

        class Reverse(t.autograd.Function):
            @staticmethod
            def forward(ctx, x, scale):
                ctx.scale = scale
                return x.view_as(x)

            @staticmethod
            def backward(ctx, grad):
                return -ctx.scale * grad, None

        x = t.ones(2, requires_grad=True)
        with pytest.warns(DeprecationWarning, match="should not be instantiated"):
            reverse = Reverse()
        reverse.apply(x, 0.5).sum().backward()
        assert x.grad.tolist() == [-0.5, -0.5]
        with pytest.raises(RuntimeError, match="Legacy autograd function"):
            reverse(x, 0.5)
        with pytest.warns(DeprecationWarning):
            assert t.autograd.function.InplaceFunction(True).inplace


def test_states_of_devices():
    """What reversible networks keep of random states, to run their layers again."""
    for t in BOTH:
        c = t.utils.checkpoint
        devices, states = c.get_device_states(t.ones(1))
        assert (devices, states) == ([], [])
        c.set_device_states(devices, states)
        assert not t.cuda._initialized and not t.cuda._is_in_bad_fork() and t.cuda._lazy_call(int) is None
        with pytest.raises(AssertionError, match="CUDA"):
            t.cuda._lazy_init()
        assert c.DefaultDeviceType.get_device_type() == "cpu"


def test_layers_and_errors():
    for t in BOTH:
        layers = t.nn.modules.transformer
        assert layers._get_activation_fn("gelu") is t.nn.functional.gelu
        with pytest.raises(RuntimeError):
            layers._get_activation_fn("tanh")
        assert len(layers._get_clones(t.nn.Linear(1, 1), 3)) == 3
        assert issubclass(t.cuda.OutOfMemoryError, RuntimeError) and t.OutOfMemoryError
        assert issubclass(t.AcceleratorError, RuntimeError)
        amp = importlib.import_module(f"{t.__name__}.cuda.amp.grad_scaler")
        assert amp.OptState.READY and amp.GradScaler is t.cuda.amp.GradScaler
        hub = importlib.import_module(f"{t.__name__}.hub")
        assert hub.HASH_REGEX.search("resnet18-5c106cde.pth")[1] == "5c106cde"
        assert hub.get_dir().startswith(hub._get_torch_home()) and hub.urlparse("http://a/b").path == "/b"


def test_marks_for_the_compiler():
    dynamo = importlib.import_module("rushlight._dynamo")
    x = rushlight.ones(2)
    assert dynamo.allow_in_graph(len) is dynamo.disallow_in_graph(len) is dynamo.assume_constant_result(len)
    dynamo.mark_dynamic(x, 0, min=1)
    dynamo.maybe_mark_dynamic(x, 0)
    dynamo.mark_static(x)
    dynamo.graph_break()
    assert isinstance(rushlight.compile(rushlight.nn.Linear(1, 1)), dynamo.OptimizedModule)


@pytest.mark.parametrize("name", ("numel", "dim", "stride"))
def test_parameters_without_a_shape_are_not_counted(name):
    for t in BOTH:
        with pytest.raises(ValueError, match="uninitialized parameter"):
            getattr(t.nn.LazyLinear(3).weight, name)()


def test_settings_of_divided_models():
    ours, theirs = (importlib.import_module(f"{t.__name__}.distributed.fsdp") for t in BOTH)
    for name in (
        "CPUOffload", "CPUOffloadPolicy", "FullOptimStateDictConfig", "FullStateDictConfig", "LocalStateDictConfig",
        "MixedPrecisionPolicy", "OffloadPolicy", "ShardedStateDictConfig", "ShardedOptimStateDictConfig",
    ):  # fmt: skip
        assert repr(getattr(ours, name)()) == repr(getattr(theirs, name)()).replace("torch.", "rushlight.")
    for name in ("BackwardPrefetch", "OptimStateKeyType", "ShardingStrategy", "StateDictType"):
        assert repr(list(getattr(ours, name))) == repr(list(getattr(theirs, name)))
    with pytest.raises(NotImplementedError, match="DistributedDataParallel"):
        ours.fully_shard(rushlight.nn.Linear(1, 1))
    with pytest.raises(NotImplementedError, match="DistributedDataParallel"):
        ours.FullyShardedDataParallel(rushlight.nn.Linear(1, 1))


def test_policies_of_divided_models():
    for t in BOTH:
        wrap = importlib.import_module(f"{t.__name__}.distributed.fsdp.wrap")
        net = t.nn.Linear(2, 2)
        assert wrap.ModuleWrapPolicy([t.nn.Linear])(net, recurse=False) and wrap.always_wrap_policy(net)
        assert not wrap.transformer_auto_wrap_policy(net, False, 6, {t.nn.Conv2d})
        assert wrap.lambda_auto_wrap_policy(net, False, 6, lambda m: isinstance(m, t.nn.Linear))  # noqa: B023
        assert [wrap.size_based_auto_wrap_policy(net, r, 6, n) for r in (True, False) for n in (6, 7)] == [
            True,
            False,
        ] * 2
        assert not wrap.size_based_auto_wrap_policy(t.nn.ModuleList([net]), False, 6, 1)


def test_associative_scan():
    def states(left, right):
        return left[0] * right[0], right[0] * left[1] + right[1]

    for length in (1, 2, 5, 8):
        results = []
        for t in BOTH:
            scan = importlib.import_module(
                f"{t.__name__}._higher_order_ops.associative_scan"
            ).associative_scan
            a = t.linspace(0.5, 1.5, 2 * length).reshape(2, length)
            b = t.linspace(-1, 2, 2 * length).reshape(2, length)
            results.append(
                [x.numpy() for x in scan(states, (a, b), 1, length % 2 == 0, combine_mode="generic")]
            )
        np.testing.assert_allclose(*results, rtol=1e-6)

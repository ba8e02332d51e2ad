"""Autocast and gradient scaling against PyTorch's: types, values to bfloat16's rounding, gradients, manners."""

import copy
import pickle
import threading

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")


def fill(lib, *shape, dtype="float32", grad=False, seed=0):
    values = np.random.default_rng(seed).uniform(0.1, 0.9, shape)
    return lib.tensor(values).to(getattr(lib, dtype)).requires_grad_(grad)


# Calls on three square matrices, of which the last is bfloat16.
OPS = {
    "linear": lambda t, x, y, b: t.nn.functional.linear(x, y, y[0]),
    "matmul": lambda t, x, y, b: x @ y,
    "matmul of two types": lambda t, x, y, b: t.matmul(x, b),
    "matmul of vectors": lambda t, x, y, b: t.matmul(x[0], y[0]),
    "mm": lambda t, x, y, b: x.mm(y),
    "mv": lambda t, x, y, b: t.mv(x, y[0]),
    "dot": lambda t, x, y, b: t.dot(x[0], y[0]),
    "bmm": lambda t, x, y, b: t.bmm(x[None], b[None]),
    "addmm": lambda t, x, y, b: t.addmm(x, y, b, beta=0.5),
    "baddbmm": lambda t, x, y, b: t.baddbmm(x[None], y[None], b[None]),
    "einsum": lambda t, x, y, b: t.einsum("ij,jk->ik", x, y),
    "tensordot": lambda t, x, y, b: t.tensordot(x, y, 1),
    "conv1d": lambda t, x, y, b: t.nn.functional.conv1d(x[None], y[:, :, None]),
    "conv2d": lambda t, x, y, b: t.nn.functional.conv2d(x[None, None], y[None, None, :2, :2], padding=1),
    "conv3d": lambda t, x, y, b: t.nn.functional.conv3d(x[None, None, None], b[None, None, None, :2, :2]),
    "conv_transpose2d": lambda t, x, y, b: t.nn.functional.conv_transpose2d(x[None, None], y[None, None]),
    "prelu": lambda t, x, y, b: t.nn.functional.prelu(x, y[0]),
    "attention": lambda t, x, y, b: t.nn.functional.scaled_dot_product_attention(x[None], y[None], x[None]),
    "float64 stays": lambda t, x, y, b: t.mm(x.double(), y.double()),
    "integers stay": lambda t, x, y, b: t.mm(x.long(), y.long()),
    "bce": lambda t, x, y, b: t.nn.functional.binary_cross_entropy(x, y),
    "bce with logits": lambda t, x, y, b: t.nn.functional.binary_cross_entropy_with_logits(b, y),
    "mse": lambda t, x, y, b: t.nn.functional.mse_loss(b, y),
    "l1": lambda t, x, y, b: t.nn.functional.l1_loss(b, b),
    "huber": lambda t, x, y, b: t.nn.functional.huber_loss(b, y),
    "smooth l1": lambda t, x, y, b: t.nn.functional.smooth_l1_loss(b, y),
    "kl_div": lambda t, x, y, b: t.nn.functional.kl_div(b.log(), y, reduction="sum"),
    "cross entropy": lambda t, x, y, b: t.nn.functional.cross_entropy(b, t.tensor([0, 1, 2, 3])),
    "nll": lambda t, x, y, b: t.nn.functional.nll_loss(b, t.tensor([0, 1, 2, 3])),
    "cosine": lambda t, x, y, b: t.nn.functional.cosine_embedding_loss(b, y, t.ones(4)),
    "triplet": lambda t, x, y, b: t.nn.functional.triplet_margin_loss(b, y, x),
    "prod": lambda t, x, y, b: b.prod(),
    "trace": lambda t, x, y, b: b.trace(),
    "quantile": lambda t, x, y, b: b.quantile(t.tensor(0.5)),
    "cdist": lambda t, x, y, b: t.cdist(b, y),
    "avg_pool3d": lambda t, x, y, b: t.nn.functional.avg_pool3d(b[None, None, None], (1, 2, 2)),
    "max_pool3d": lambda t, x, y, b: t.nn.functional.max_pool3d(b[None, None, None], (1, 2, 2)),
    "adaptive_avg_pool3d": lambda t, x, y, b: t.nn.functional.adaptive_avg_pool3d(b[None, None, None], 1),
    "grid_sample": lambda t, x, y, b: t.nn.functional.grid_sample(
        b[None, None], y[:, :2][None, None], align_corners=False
    ),
    "cat": lambda t, x, y, b: t.cat([x, b]),
    "cat of short ones": lambda t, x, y, b: t.cat([b, b]),
    "stack": lambda t, x, y, b: t.stack((b, x)),
    "index_copy": lambda t, x, y, b: x.index_copy(0, t.tensor([0]), b[:1]),
    "relu": lambda t, x, y, b: b.relu(),
    "softmax": lambda t, x, y, b: x.softmax(-1),
    "softmax of a short one": lambda t, x, y, b: b.softmax(-1),
    "layer_norm": lambda t, x, y, b: t.nn.functional.layer_norm(x, (4,)),
    "add": lambda t, x, y, b: x + b,
    "sum": lambda t, x, y, b: b.sum(),
    "max_pool2d": lambda t, x, y, b: t.nn.functional.max_pool2d(b[None], 2),
    "LSTM": lambda t, x, y, b: t.nn.LSTM(4, 2)(x[None])[0] * 0 + 1,
    "GRU": lambda t, x, y, b: t.nn.GRU(4, 2)(x[None])[0] * 0 + 1,
    "RNN": lambda t, x, y, b: t.nn.RNN(4, 2)(x[None])[0] * 0 + 1,
    "MultiheadAttention": lambda t, x, y, b: t.nn.MultiheadAttention(4, 2)(x[None], x[None], x[None])[0] * 0 + 1,
    "inv": lambda t, x, y, b: t.linalg.inv(b + t.eye(4).bfloat16()),
    "Linear": lambda t, x, y, b: t.nn.Linear(4, 4)(x) * 0 + 1,
    "Conv2d": lambda t, x, y, b: t.nn.Conv2d(1, 2, 3)(x[None, None]) * 0 + 1,
}  # fmt: skip


def result(lib, call, dtype):
    x, y, b = (fill(lib, 4, 4, seed=i) for i in range(3))
    with lib.autocast("cpu", dtype=getattr(lib, dtype)):
        return call(lib, x, y, b.to(getattr(lib, dtype) if dtype == "bfloat16" else lib.bfloat16))


@pytest.mark.parametrize("name", OPS)
def test_types_and_values(name):
    ours, theirs = result(rl, OPS[name], "bfloat16"), result(torch, OPS[name], "bfloat16")
    assert str(ours.dtype) == str(theirs.dtype)
    loose = 2e-2 if "bfloat16" in str(theirs.dtype) else 1e-2
    np.testing.assert_allclose(
        ours.detach().double().numpy(), theirs.detach().double().numpy(), rtol=loose, atol=loose
    )


def network(lib):
    lib.manual_seed(0)
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
    )


def train(lib, dtype, scaled=False):
    net = network(lib)
    opt = lib.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    scaler = lib.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3, enabled=scaled)
    x, y = lib.randn(6, 1, 8, 8), lib.randint(5, (6,))
    losses = []
    for _ in range(6):
        opt.zero_grad()
        with lib.autocast("cpu", dtype=getattr(lib, dtype)):
            loss = lib.nn.functional.cross_entropy(net(x), y)
        scaler.scale(loss).backward()
        scaler.step(opt)
        scaler.update()
        losses.append(loss.item())
    return losses, net, scaler


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_training(dtype, scaled):
    (ours, net, scaler), (theirs, _, expected) = train(rl, dtype, scaled), train(torch, dtype, scaled)
    np.testing.assert_allclose(ours, theirs, rtol=3e-2)
    assert all(p.dtype is rl.float32 and p.grad.dtype is rl.float32 for p in net.parameters())
    assert scaler.state_dict() == expected.state_dict()


def test_off_again():
    """Outside a region nothing casts, and the ops are as they were."""
    code = rl.nn.functional.linear.__code__
    x = fill(rl, 4, 4)
    for leave in (lambda: None, lambda: 1 / 0):
        try:
            with rl.autocast("cpu"):
                assert (x @ x).dtype is rl.bfloat16
                leave()
        except ZeroDivisionError:
            pass
        assert (x @ x).dtype is rl.float32
        assert rl.nn.functional.linear.__code__ is code
        assert not rl.is_autocast_enabled("cpu")


def test_nesting_and_decorator():
    def types(lib):
        x = fill(lib, 4, 4)
        found = []

        @lib.autocast("cpu", dtype=lib.float16)
        def product(a, b):
            return a @ b

        with lib.autocast(device_type="cpu"):
            found.append((x @ x).dtype)
            with lib.autocast("cpu", enabled=False):
                found.append((x @ x).dtype)
                with lib.autocast("cpu", dtype=lib.float16):
                    found.append((x @ x).dtype)
            found.append((x @ x).dtype)
            found.append(product(x, x).dtype)
            found.append(lib.get_autocast_dtype("cpu"))
        found.append(product(x, b=x).dtype)
        found.append((x @ x).dtype)
        return [str(f) for f in found]

    assert types(rl) == types(torch)


def test_threads_have_their_own():
    x, seen = fill(rl, 4, 4), []
    with rl.autocast("cpu"):
        thread = threading.Thread(target=lambda: seen.append((x @ x).dtype))
        thread.start()
        thread.join()
        assert (x @ x).dtype is rl.bfloat16
    assert seen == [rl.float32]


def test_names_imported_earlier_cast_too():
    from rushlight.nn.functional import linear

    held = rl.Tensor.matmul
    x = fill(rl, 4, 4)
    with rl.autocast("cpu"):
        assert linear(x, x).dtype is rl.bfloat16
        assert held(x, x).dtype is rl.bfloat16


@pytest.mark.parametrize("cache", [True, False])
def test_weights_are_cast_once(cache):
    weight = fill(rl, 3, 3, grad=True)
    x = fill(rl, 2, 3)
    with rl.autocast("cpu", cache_enabled=cache):
        first, second = (rl.nn.functional.linear(x, weight) for _ in range(2))
        with rl.no_grad():
            weight.mul_(2)
        third = rl.nn.functional.linear(x, weight)
    transposed = [y.grad_fn.next_functions[1][0] for y in (first, second)]
    casts = {id(t.next_functions[0][0]) for t in transposed}
    assert len(casts) == (1 if cache else 2)
    np.testing.assert_allclose(third.float().tolist(), (first.float() * 2).tolist())
    (first.sum() + second.sum()).backward()
    assert weight.grad.dtype is rl.float32
    np.testing.assert_allclose(weight.grad.tolist(), [(2 * x).sum(0).tolist()] * 3, rtol=1e-2)


def test_out_is_not_cast():
    x, out = fill(rl, 4, 4), rl.empty(4, 4)
    with rl.autocast("cpu"):
        assert rl.mm(x, x, out=out).dtype is rl.float32


def test_second_derivatives():
    w = fill(rl, 3, 3, grad=True)
    with rl.autocast("cpu"):
        y = ((w @ w) ** 2).sum()
    (g,) = rl.autograd.grad(y, w, create_graph=True)
    g.sum().backward()
    assert w.grad.dtype is rl.float32


def functions(lib, cast_inputs):
    class Double(lib.autograd.Function):
        @staticmethod
        @lib.amp.custom_fwd(device_type="cpu", cast_inputs=cast_inputs)
        def forward(ctx, x):
            ctx.seen = x.dtype, lib.is_autocast_enabled("cpu"), (x @ x).dtype
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        @lib.amp.custom_bwd(device_type="cpu")
        def backward(ctx, grad):
            log.append((*ctx.seen, grad.dtype, lib.is_autocast_enabled("cpu"), (grad @ grad).dtype))
            return grad * 2

    log = []
    for enabled in (True, False):
        x = fill(lib, 2, 2, grad=True)
        with lib.autocast("cpu", enabled=enabled):
            y = Double.apply(x)
        y.float().sum().backward()
        log.append(x.grad.dtype)
    return [tuple(map(str, entry)) if isinstance(entry, tuple) else str(entry) for entry in log]


@pytest.mark.parametrize("cast", [None, "bfloat16", "float32"])
def test_custom_functions(cast):
    assert functions(rl, cast and getattr(rl, cast)) == functions(torch, cast and getattr(torch, cast))


def test_settings():
    def answers(lib):
        found = [lib.is_autocast_enabled("cpu"), lib.is_autocast_enabled(), lib.is_autocast_cache_enabled()]
        found += [str(lib.get_autocast_dtype(d)) for d in ("cpu", "cuda", "xpu", "mps")]
        found += [lib.amp.is_autocast_available(d) for d in ("cpu", "cuda", "meta")]
        lib.set_autocast_enabled("cpu", True)
        lib.set_autocast_dtype("cpu", lib.float16)
        x = fill(lib, 2, 2)
        found.append(str((x @ x).dtype))
        lib.set_autocast_enabled("cpu", False)
        lib.set_autocast_dtype("cpu", lib.bfloat16)
        lib.clear_autocast_cache()
        found += [lib.autocast_increment_nesting(), lib.autocast_decrement_nesting()]
        found.append(str((x @ x).dtype))
        return found

    assert answers(rl) == answers(torch)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_settings():
    assert rl.is_autocast_cpu_enabled() is False
    assert rl.get_autocast_cpu_dtype() is rl.bfloat16 and rl.get_autocast_gpu_dtype() is rl.float16
    rl.set_autocast_cpu_enabled(True)
    rl.set_autocast_cpu_dtype(rl.float16)
    assert rl.is_autocast_enabled("cpu") and rl.get_autocast_dtype("cpu") is rl.float16
    rl.set_autocast_cpu_enabled(False)
    rl.set_autocast_cpu_dtype(rl.bfloat16)


def test_old_names_warn():
    future = pytest.warns(FutureWarning, match=r"torch\.cuda\.amp\.autocast\(args")
    with future, pytest.warns(UserWarning, match="CUDA is not available"):
        region = rl.cuda.amp.autocast()
    with region:
        assert (fill(rl, 2, 2) @ fill(rl, 2, 2)).dtype is rl.float32
    with (
        pytest.warns(FutureWarning, match=r"torch\.amp\.GradScaler\('cuda'"),
        pytest.warns(UserWarning, match="Disabling"),
    ):
        assert not rl.cuda.amp.GradScaler().is_enabled()
    with pytest.warns(FutureWarning), rl.cpu.amp.autocast():
        assert (fill(rl, 2, 2) @ fill(rl, 2, 2)).dtype is rl.bfloat16
    with pytest.warns(FutureWarning):
        assert rl.cpu.amp.GradScaler().is_enabled()
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not rl.autocast("cuda")._enabled
    with pytest.warns(UserWarning, match="only supports dtypes of torch.bfloat16, torch.float16"):
        assert not rl.autocast("cpu", dtype=rl.float32)._enabled
    with pytest.warns(UserWarning, match="Disabling"):
        assert not rl.GradScaler().is_enabled()
    with pytest.warns(FutureWarning):
        rl.cuda.amp.custom_fwd(lambda ctx: None)
    with pytest.warns(FutureWarning):
        rl.cuda.amp.custom_bwd(lambda ctx: None)


def scaler_and_parts(lib, **options):
    w = lib.tensor([1.0, 2.0], requires_grad=True)
    return (
        w,
        lib.optim.SGD([w], lr=0.5),
        lib.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2, **options),
    )


def scaled_steps(lib, gradients, between=None):
    w, opt, scaler = scaler_and_parts(lib)
    found = []
    for g in gradients:
        opt.zero_grad()
        scaler.scale((w * lib.tensor(g)).sum()).backward()
        if between:
            between(scaler, opt, w)
        scaler.step(opt)
        scaler.update()
        found.append((w.tolist(), scaler.get_scale(), scaler._get_growth_tracker()))
    return found


@pytest.mark.parametrize("unscale", [False, True])
def test_scale_follows_overflows(unscale):
    steps = [[1.0, 1.0], [np.inf, 1.0], [1.0, 2.0], [1.0, 1.0], [0.5, np.nan], [1.0, 1.0]]
    between = (lambda scaler, opt, w: scaler.unscale_(opt)) if unscale else None
    ours, theirs = scaled_steps(rl, steps, between), scaled_steps(torch, steps, between)
    assert ours == theirs


def test_scaling_of_sequences_and_new_scales():
    def answers(lib):
        w, _, scaler = scaler_and_parts(lib)
        scaled = scaler.scale([w.detach(), (w.detach(),)])
        found = [scaled[0].tolist(), scaled[1][0].tolist(), type(scaled[1]).__name__]
        scaler.update(8.0)
        found.append(scaler.get_scale())
        scaler.update(lib.tensor(16.0))
        found += [scaler.get_scale(), scaler.get_growth_factor(), scaler.get_backoff_factor()]
        scaler.set_growth_factor(3.0)
        scaler.set_backoff_factor(0.1)
        scaler.set_growth_interval(7)
        state = scaler.state_dict()
        other = lib.amp.GradScaler("cpu")
        other.load_state_dict(state)
        again = pickle.loads(pickle.dumps(copy.deepcopy(other)))
        return [*found, state, other.state_dict(), again.state_dict(), again.get_growth_interval()]

    assert answers(rl) == answers(torch)


def test_optimizer_that_scales_itself():
    class Own(rl.optim.SGD):
        _step_supports_amp_scaling = True

        def step(self, closure=None):
            seen.append((self.grad_scale.item(), self.found_inf.item()))

    seen = []
    w, _, scaler = scaler_and_parts(rl)
    opt = Own([w], lr=1)
    scaler.scale(w.sum()).backward()
    scaler.step(opt)
    assert seen == [(4.0, 0.0)] and not hasattr(opt, "grad_scale") and w.grad.tolist() == [4, 4]


def wrong(lib):
    w, opt, scaler = scaler_and_parts(lib)

    def after(*calls):
        for name in ("scale", *calls):
            if name == "scale":
                scaler.scale(w.sum()).backward()
            else:
                getattr(scaler, name)(opt)

    return {
        "device": lambda: lib.autocast("foo"),
        "device type": lambda: lib.autocast(lib.device("cpu")),
        "not callable": lambda: lib.autocast("cpu")(3),
        "function's device": lambda: lib.amp.custom_fwd(lambda: 0, device_type=3),
        "gradient's device": lambda: lib.amp.custom_bwd(lambda: 0, device_type=3),
        "growth": lambda: lib.amp.GradScaler("cpu", growth_factor=1.0),
        "backoff": lambda: lib.amp.GradScaler("cpu", backoff_factor=1.0),
        "step first": lambda: scaler.step(opt),
        "unscale first": lambda: scaler.unscale_(opt),
        "update first": lambda: scaler.update(),
        "closure": lambda: scaler.step(opt, closure=lambda: 0),
        "twice unscaled": lambda: after("unscale_", "unscale_"),
        "twice stepped": lambda: after("step", "step"),
        "unscaled after the step": lambda: after("step", "unscale_"),
        "no checks": lambda: (scaler.scale(w.sum()), scaler.update()),
        "no gradients": lambda: (scaler.scale(w.sum()), scaler.step(opt)),
        "not a tensor": lambda: scaler.scale(3),
        "empty state": lambda: scaler.load_state_dict({}),
        "pickled in the middle": lambda: (after("unscale_"), pickle.dumps(scaler)),
        "short gradients": lambda: short(lib),
    }


def short(lib):
    w = lib.tensor([1.0], dtype=lib.float16, requires_grad=True)
    scaler = lib.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale(w.sum()).backward()
    scaler.step(lib.optim.SGD([w]))


@pytest.mark.parametrize("case", wrong(rl))
def test_errors(case):
    with pytest.raises(Exception) as theirs:
        wrong(torch)[case]()
    with pytest.raises(type(theirs.value)) as ours:
        wrong(rl)[case]()
    assert str(theirs.value).rstrip(".")[:20] in str(ours.value)

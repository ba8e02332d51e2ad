"""Devices that aren't there, switches that change nothing, names of compilers: answered as PyTorch's CPU build does."""

import warnings

import pytest

import rushlight

torch = pytest.importorskip("torch")

SAME = {
    "accelerator": lambda t: (t.accelerator.is_available(), t.accelerator.device_count(), t.accelerator.current_accelerator()),
    "accelerator index": lambda t: t.accelerator.current_device_index(),
    "accelerator wait": lambda t: t.accelerator.synchronize(),
    "cuda memory": lambda t: (t.cuda.memory_allocated(), t.cuda.max_memory_allocated(), t.cuda.memory_reserved()),
    "cuda stream": lambda t: t.cuda.current_stream(),
    "cuda streams": lambda t: t.cuda.Stream(),
    "cuda event": lambda t: t.cuda.Event(enable_timing=True),
    "cuda graph": lambda t: t.cuda.CUDAGraph(),
    "cuda figures": lambda t: (dict(t.cuda.host_memory_stats()), t.cuda.get_gencode_flags()),
    "cuda debug": lambda t: t.cuda.set_sync_debug_mode(0),
    "stream": lambda t: repr(t.Stream()),
    "stream of the cpu": lambda t: (lambda s: (s.device_type, s.query(), s.synchronize(), s == t.Stream("cpu")))(t.Stream("cpu")),
    "stream of cuda": lambda t: t.Stream("cuda"),
    "stream event": lambda t: t.Stream().record_event(),
    "stream waits": lambda t: t.Stream().wait_event(t.Event()),
    "event": lambda t: (repr(t.Event(enable_timing=True)), t.Event().query(), t.Event().wait()),
    "event record": lambda t: t.Event().record(),
    "event time": lambda t: t.Event().elapsed_time(t.Event()),
    "cpu stream": lambda t: (t.cpu.current_stream().wait_stream(None), t.cpu.Event().query(), t.cpu.is_initialized()),
    "cpu chosen": lambda t: (lambda s: (t.cpu.stream(s).__enter__(), t.cpu.current_stream() is s)[1])(t.cpu.Stream()),
    "cuda no stream": lambda t: t.cuda.stream(None).__enter__(),
    "cuda no device": lambda t: t.cuda.device(-1).__enter__(),
    "cuda tensor type": lambda t: t.cuda.FloatTensor(2),
    "cuda set cpu": lambda t: t.cuda.set_device("cpu"),
    "cuda properties": lambda t: t.cuda.get_device_properties(0),
    "cuda states": lambda t: (t.cuda.get_rng_state_all(), t.cuda.get_arch_list(), t.cuda.is_bf16_supported()),
    "cuda init": lambda t: t.cuda.init(),
    "to cuda": lambda t: t.ones(2).to("cuda"),
    "pinned": lambda t: t.ones(2).is_pinned(),
    "pin": lambda t: t.ones(2).pin_memory(),
    "mps": lambda t: (t.backends.mps.is_available(), t.backends.mps.is_built(), t.mps.is_available(), t.xpu.is_available()),
    "cudnn": lambda t: (t.backends.cudnn.is_available(), t.backends.cudnn.version(), t.backends.cudnn.benchmark),
    "mkldnn": lambda t: t.backends.mkldnn.is_available() or rushlight.kernels.NAME != "native",
    "version": lambda t: t.version.cuda,
    "default device": lambda t: str(t.get_default_device()),
    "scripting": lambda t: (t.jit.is_scripting(), t.jit.is_tracing(), t.compiler.is_compiling()),
    "precision": lambda t: t.get_float32_matmul_precision(),
    "debug mode": lambda t: t.set_deterministic_debug_mode("x"),
    "warn always": lambda t: t.is_warn_always_enabled(),
    "interop": lambda t: t.set_num_interop_threads(0),
    "both": lambda t: t.compile(abs, mode="default", options={}),
    "same size": lambda t: (t.is_same_size(t.ones(2), t.ones(2)), t.is_nonzero(t.tensor([1])), t.ones(1).is_inference()),
    "nonzero of two": lambda t: t.is_nonzero(t.ones(2)),
    "set to": lambda t: (lambda x: (x.is_set_to(x.view(2)), x.is_set_to(x[:1])))(t.ones(2)),
    "storage": lambda t: (t.arange(6)[2:].storage().tolist(), t.ones(2, dtype=t.float64).untyped_storage().nbytes()),
    "storage repr": lambda t: repr(t.tensor([1.5, 2]).storage()),
    "untyped repr": lambda t: repr(t.tensor([1, 2], dtype=t.uint8).untyped_storage()),
    "resize": lambda t: t.arange(4).resize(2, 2).tolist(),
    "resize more": lambda t: t.arange(4).resize(3, 2),
    "set": lambda t: t.zeros(2).set_(t.ones(3)).tolist(),
    "set type": lambda t: t.zeros(2).set_(t.ones(3).long()),
    "set storage": lambda t: t.zeros(2).set_(t.arange(6.0).storage(), 1, (2, 2), (2, 1)).tolist(),
    "set nothing": lambda t: t.zeros(2).set_().shape == t.Size([0]),
    "storage type": lambda t: (t.ones(1).storage_type().__name__, t.FloatStorage([1.0, 2.0]).tolist(), len(t.LongStorage(3))),
    "is storage": lambda t: (t.is_storage(t.ones(1).storage()), t.is_storage(t.ones(1))),
}  # fmt: skip


def outcome(function, framework):
    """What a call returns, or the type of what it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(framework)
        except Exception as e:
            return type(e).__name__


@pytest.mark.parametrize("name", SAME)
def test_answers_as_pytorch_without_a_device(name):
    assert outcome(SAME[name], rushlight) == outcome(SAME[name], torch)


def test_storage_is_the_tensors_memory():
    x = rushlight.zeros(4)
    x[2:].storage()[0] = 7.0
    x.untyped_storage()[4:8] = 0
    assert x.tolist() == [7, 0, 0, 0]
    assert x.storage().data_ptr() == x.data_ptr()


def test_switches_keep_what_they_are_given():
    rushlight.backends.cudnn.benchmark = True
    assert rushlight.backends.cudnn.benchmark
    with rushlight.backends.cudnn.flags(enabled=False):
        assert not rushlight.backends.cudnn.enabled
    assert rushlight.backends.cudnn.enabled
    rushlight.backends.cudnn.benchmark = False
    with rushlight.backends.cuda.sdp_kernel(enable_flash=False):
        assert not rushlight.backends.cuda.flash_sdp_enabled()
    assert rushlight.backends.cuda.flash_sdp_enabled()
    rushlight.use_deterministic_algorithms(True, warn_only=True)
    assert rushlight.get_deterministic_debug_mode() == 1
    rushlight.use_deterministic_algorithms(False)
    assert not rushlight.are_deterministic_algorithms_enabled()
    rushlight.set_default_tensor_type("torch.DoubleTensor")
    assert rushlight.ones(1).dtype == rushlight.float64
    rushlight.set_default_tensor_type(rushlight.FloatTensor)
    assert rushlight.ones(1).dtype == rushlight.float32
    with rushlight.device("cpu"):
        assert rushlight.ones(1).device.type == "cpu"
    with pytest.warns(UserWarning, match="no effect"):
        rushlight.set_float32_matmul_precision("low")


def test_compiled_functions_are_the_functions():
    net = rushlight.nn.Linear(2, 2)
    assert rushlight.compile(net)._orig_mod is net and rushlight.jit.script(net) is net
    assert rushlight.jit.trace(net, rushlight.ones(1, 2)) is net

    @rushlight.compile(mode="reduce-overhead")
    def double(x):
        return x * 2

    assert double(rushlight.ones(1)).item() == 2
    with pytest.raises(RuntimeError, match="Linear"):
        rushlight.jit.trace(net, rushlight.ones(1, 3))
    with pytest.raises(NotImplementedError, match="state_dict"):
        rushlight.jit.save(net, "model.pt")
    with pytest.raises(AttributeError, match="symbolic_trace"):
        rushlight.jit.trace(net, rushlight.ones(1, 2)).graph  # noqa: B018


CLOSE = {
    "far": lambda t: t.testing.assert_close(t.ones(2), t.zeros(2)),
    "dtype": lambda t: t.testing.assert_close(t.ones(2), t.ones(2, dtype=t.float64)),
    "dtype unchecked": lambda t: t.testing.assert_close(
        t.ones(2), t.ones(2, dtype=t.float64), check_dtype=False
    ),
    "shape": lambda t: t.testing.assert_close(t.ones(2), t.ones(3)),
    "numbers": lambda t: t.testing.assert_close([1, 2.0], [1, 2.5]),
    "integers": lambda t: t.testing.assert_close(t.tensor([[1, 2]]), t.tensor([[1, 3]])),
    "keys": lambda t: t.testing.assert_close({"a": 1}, {"b": 1}),
    "length": lambda t: t.testing.assert_close([1], [1, 2]),
    "nan": lambda t: t.testing.assert_close(t.tensor([float("nan")]), t.tensor([float("nan")])),
    "equal nan": lambda t: t.testing.assert_close(
        t.tensor([float("nan")]), t.tensor([float("nan")]), equal_nan=True
    ),
    "infinity": lambda t: t.testing.assert_close(t.tensor([float("inf")]), t.tensor([float("inf")])),
    "tolerance": lambda t: t.testing.assert_close(
        t.tensor([1.0, 5.0]), t.tensor([1.1, 5.0]), rtol=0.2, atol=0
    ),
    "one tolerance": lambda t: t.testing.assert_close(t.ones(1), t.ones(1), rtol=0.2),
    "types": lambda t: t.testing.assert_close(t.ones(1), "x"),
    "stride": lambda t: t.testing.assert_close(t.ones(2, 3), t.ones(3, 2).t(), check_stride=True),
    "message": lambda t: t.testing.assert_close(t.ones(1), t.zeros(1), msg="mine"),
    "nested": lambda t: t.testing.assert_close({"a": [t.ones(1)]}, {"a": [t.zeros(1)]}),
}


@pytest.mark.parametrize("name", CLOSE)
def test_assert_close_says_what_pytorch_says(name):
    said = []
    for framework in (rushlight, torch):
        try:
            said.append(("passed", CLOSE[name](framework)))
        except Exception as e:
            said.append((type(e).__name__, "" if isinstance(e, TypeError) else str(e)))
    assert said[0] == said[1]


def test_make_tensor():
    for dtype in ("float32", "int64", "bool", "complex64", "uint8"):
        t = rushlight.testing.make_tensor(
            3, 4, dtype=getattr(rushlight, dtype), device="cpu", exclude_zero=True
        )
        assert str(t.dtype) == f"torch.{dtype}" and bool((t != 0).all())
    assert not rushlight.testing.make_tensor(
        3, 4, dtype=rushlight.float32, device="cpu", noncontiguous=True
    ).is_contiguous()


CHECKS = {
    "index": lambda t: t._check_index(False),
    "value": lambda t: t._check_value(False, lambda: "a"),
    "type": lambda t: t._check_type(False),
    "not implemented": lambda t: t._check_not_implemented(False),
    "all": lambda t: t._check_tensor_all(t.tensor([True, False]), lambda: "m"),
    "all of a number": lambda t: t._check_tensor_all(1),
    "size": lambda t: t._check_is_size(-1),
    "size above": lambda t: t._check_is_size(3, max=2),
    "sizes": lambda t: t._check_is_size(2, max=2),
    "with": lambda t: t._check_with(KeyError, False, lambda: "x"),
    "holds": lambda t: t._check(True),
    "rows": lambda t: t._convert_indices_from_coo_to_csr(t.tensor([0, 0, 2, 5]), 7).tolist(),
    "no rows": lambda t: t._convert_indices_from_coo_to_csr(t.tensor([], dtype=t.long), 3).tolist(),
    "short rows": lambda t: str(t._convert_indices_from_coo_to_csr(t.tensor([0, 2]), 3, out_int32=True)),
    "places": lambda t: t._convert_indices_from_csr_to_coo(t.tensor([0, 2, 3]), t.tensor([1, 0, 2])).tolist(),
    "places turned": lambda t: t._convert_indices_from_csr_to_coo(
        t.tensor([0, 2, 3]), t.tensor([1, 0, 2]), transpose=True
    ).tolist(),
    "coalesced": lambda t: (lambda x: (x._coalesced_(True) is x, x.is_coalesced(), x.indices().tolist()))(
        t.sparse_coo_tensor([[0, 2]], [1.0, 2.0], (3,))
    ),
    "segments": lambda t: [
        t._segment_reduce(t.arange(5.0), how, offsets=t.tensor([0, 2, 2, 5])).tolist() for how in ("sum", "amax", "min")
    ],
    "fusion": lambda t: (t.jit.onednn_fusion_enabled(), t.jit.set_fusion_strategy([("STATIC", 20), ("DYNAMIC", 0)])),
    "tensors told apart": lambda t: (lambda x: (x._cdata == x._cdata, x._cdata == (x * 1)._cdata))(t.ones(1)),
    "warnings": lambda t: [issubclass(t.jit.TracerWarning, Warning), issubclass(t.jit.Error, Exception)],
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_checks_as_pytorch(name):
    assert outcome(CHECKS[name], rushlight) == outcome(CHECKS[name], torch)

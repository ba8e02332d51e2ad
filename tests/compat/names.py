"""PyTorch's public names that Rushlight has, by namespace: `python -m tests.compat.names`."""

import importlib
import inspect
import sys
import types

#: The namespaces that are compared: PyTorch's documented ones of what Rushlight covers.
NAMESPACES = (
    "torch", "torch.Tensor", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils",
    "torch.nn.utils.rnn", "torch.nn.utils.parametrize", "torch.nn.utils.parametrizations", "torch.nn.utils.prune",
    "torch.optim", "torch.optim.lr_scheduler", "torch.optim.swa_utils", "torch.autograd", "torch.autograd.functional",
    "torch.autograd.graph", "torch.func", "torch.linalg", "torch.fft", "torch.special", "torch.signal.windows",
    "torch.sparse", "torch.distributions", "torch.utils.data", "torch.utils.checkpoint", "torch.amp", "torch.random",
    "torch.nested", "torch.masked", "torch.multiprocessing", "torch.profiler", "torch.accelerator", "torch.testing",
)  # fmt: skip
#: Names of quantised, compiled, symbolic, device and foreign-kernel machinery, which is out of scope.
OUTSIDE = (
    "quantize", "q_", "qint", "quint", "qscheme", "fake_quantize", "fbgemm", "mkldnn", "cudnn", "miopen", "sym_",
    "Sym", "int_repr", "dequantize", "cuda", "sparse_compressed", "sparse_bs", "sparse_csc", "to_sparse_bs",
    "to_sparse_csc", "ccol_indices", "row_indices", "is_vulkan", "is_mkldnn", "to_mkldnn", "is_xla", "is_ipu",
    "is_maia", "is_mtia", "is_xpu", "is_hpu", "ipu", "xpu", "mtia", "hpu", "batch_norm_", "quantized", "choose_q",
    "bits", "uint1", "uint2", "uint3", "uint4", "uint5", "uint6", "uint7", "int1", "int2", "int3", "int4", "int5",
    "int6", "int7", "float4", "complex32", "chalf", "export", "cond", "import_ir", "parse_", "merge_type", "unify_",
    "native_", "fused_moving", "empty_quantized", "rename", "refine_names", "align_", "names", "has_names", "slice_inverse",
    "module_load", "const_data_ptr", "grad_dtype", "dim_order", "hash_tensor", "slice_copy", "BroadcastingList",
    "Callable", "DType", "Optional", "TYPE_CHECKING", "Any", "ScalingType", "SwizzleType", "assert_int_or_pair",
    "boolean_dispatch", "has_torch_function", "handle_torch_function", "reproducibility_notes", "tf32_notes",
    "sparse_support_notes", "common_notes", "scaled_", "SparseSemi", "to_sparse_semi", "DFIter", "DataChunk",
    "IterDataPipe", "MapDataPipe", "argument_validation", "functional_datapipe", "guaranteed_datapipes",
    "non_deterministic", "runtime_validation", "DeviceType", "FileCheck", "GRID_SAMPLE", "set_override_stale",
    "set_warn_on_accumulate", "get_autocast_ipu", "get_autocast_xla", "is_autocast_ipu", "is_autocast_xla",
    "set_autocast_ipu", "set_autocast_xla", "thread_safe_generator", "BenchmarkConfig", "DisableTorchFunction",
)  # fmt: skip


def public(namespace: str) -> list[str]:
    """PyTorch's public functions, classes and values of a namespace."""
    module = _find("torch", namespace)
    if isinstance(module, type):
        return [n for n in dir(module) if not n.startswith("_") and not n.startswith(OUTSIDE)]
    listed = getattr(module, "__all__", None)
    if namespace == "torch":
        listed = [n for n in dir(module) if _documented(module, n)]
    names = listed or [n for n in dir(module) if not isinstance(getattr(module, n), types.ModuleType)]
    return sorted(
        {n for n in names if not n.startswith("_") and not n.startswith(OUTSIDE) and not n.endswith("_copy")}
    )


def _documented(module, name: str) -> bool:
    """Whether a name of `torch` itself is meant for users: an op, a type, or in its `__all__`."""
    found = getattr(module, name)
    if isinstance(found, types.ModuleType) or name.startswith("_"):
        return False
    internal = hasattr(module._C, name) and (isinstance(found, type) or "AggregationType" in str(type(found)))
    if internal:  # of the compiler, and of the few that are not
        return name in ("Generator", "device", "dtype", "finfo", "iinfo", "layout", "memory_format")
    return name in module.__all__ or (inspect.isbuiltin(found) and bool(found.__doc__))


def _find(root: str, namespace: str):
    path = namespace.split(".")[1:]
    found = importlib.import_module(root)
    for i, part in enumerate(path):
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module(".".join([root, *path[: i + 1]]))
    return found


def results() -> list[tuple[str, int, list[str]]]:
    """For each namespace: its name, the number of PyTorch's names, and those that are missing."""
    found = []
    for namespace in NAMESPACES:
        names = public(namespace)
        try:
            ours = _find("rushlight", namespace)
        except ImportError:
            ours = None
        found.append((namespace, len(names), [n for n in names if not hasattr(ours, n)]))
    return found


def main() -> int:
    """Print the names that are missing."""
    for namespace, count, missing in results():
        print(f"{namespace}: {count - len(missing)}/{count}", *missing)
    return 0


if __name__ == "__main__":
    sys.exit(main())

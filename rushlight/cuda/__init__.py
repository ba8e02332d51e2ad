"""CUDA, of which this version has no devices: scripts may ask, and are told the truth."""

from typing import NoReturn

from rushlight.cuda import amp as amp
from rushlight.devices import AcceleratorError as AcceleratorError
from rushlight.devices import OutOfMemoryError as OutOfMemoryError
from rushlight.devices import check_device
from rushlight.devices import device as device_class


def is_available() -> bool:
    """Whether there is a CUDA device: False.

    >>> import rushlight as torch
    >>> torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device(type='cpu')
    """
    return False


def device_count() -> int:
    """The number of CUDA devices: 0."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA has been started: False."""
    return False


_initialized = False  # read by programs that keep random states, as reversible networks do


def _is_in_bad_fork() -> bool:
    """Whether this process was forked from one that used CUDA: False."""
    return False


def _lazy_init() -> None:
    """Start CUDA: raises AssertionError, as there is no device."""
    check_device("cuda")


def _lazy_call(callable, **kwargs) -> None:
    """Call a function once CUDA has started, which it never does."""


def manual_seed(seed: int) -> None:
    """Seed the random numbers of the CUDA device; as there is none, nothing is done, as in PyTorch."""


def manual_seed_all(seed: int) -> None:
    """Seed the random numbers of all CUDA devices; as there is none, nothing is done, as in PyTorch."""


def empty_cache() -> None:
    """Give unused CUDA memory back; as there is none, nothing is done, as in PyTorch."""


def current_device() -> int:
    """The number of the current CUDA device: raises AssertionError, as there is none."""
    check_device("cuda")
    return -1


def synchronize(device=None) -> None:
    """Wait for a CUDA device: raises AssertionError, as there is none."""
    check_device("cuda")


def get_device_name(device=None) -> str:
    """The name of a CUDA device: raises AssertionError, as there is none."""
    check_device("cuda")
    return ""


def set_device(device) -> None:
    """Choose a CUDA device: raises AssertionError, as there is none.

    Raises:
        ValueError: it is no CUDA device.
    """
    if isinstance(device, int):
        if device < 0:
            return
        device = f"cuda:{device}"
    elif device_class(device).type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {device}")
    check_device(device)


class device:
    """A block on a CUDA device: None and negative numbers change nothing, others raise AssertionError.

    >>> import rushlight as torch
    >>> with torch.cuda.device(None):
    ...     torch.zeros(1).device
    device(type='cpu')
    """

    def __init__(self, device):
        self.idx = device

    def __enter__(self):
        if self.idx is not None:
            set_device(self.idx)

    def __exit__(self, *exc):
        return False


class device_of(device):
    """A block on the device of a tensor: the CPU, so that nothing changes."""

    def __init__(self, obj):
        super().__init__(None)


class StreamContext:
    """A block on a stream: None changes nothing, as there are no streams.

    >>> import rushlight as torch
    >>> with torch.cuda.stream(None):
    ...     pass
    """

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            check_device("cuda")

    def __exit__(self, *exception) -> None:
        pass


def stream(stream) -> StreamContext:
    """A block on a stream: None changes nothing, as there are no streams."""
    return StreamContext(stream)


def _absent(name: str, doc: str):
    def function(*args, **kwargs) -> NoReturn:
        check_device("cuda")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}: raises AssertionError, as there is no CUDA device."
    return function


def _nothing(name: str, value, doc: str):
    def function(*args, **kwargs):
        return type(value)(value)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}: {value!r}, as there is no CUDA device."
    return function


class Stream:
    """A queue of work on a CUDA device: raises RuntimeError, as there is none."""

    def __init__(self, *args, **kwargs):
        name = type(self).__name__
        raise RuntimeError(
            f"torch.cuda.{name} requires CUDA support: Rushlight runs on the CPU. Guard with torch.cuda.is_available()."
        )


class ExternalStream(Stream):
    """A queue of work that another library made: raises RuntimeError, as there is no CUDA device."""


class Event(Stream):
    """A mark in a queue of work on a CUDA device: raises RuntimeError, as there is none."""


class CUDAGraph(Stream):
    """Recorded work of a CUDA device: raises RuntimeError, as there is none."""


class MemPool(Stream):
    """Memory of a CUDA device set apart: raises RuntimeError, as there is none."""


class graph(Stream):
    """A block that records the work of a CUDA device: raises RuntimeError, as there is none."""


class CudaError(RuntimeError):
    """A call of CUDA failed; raised by none here, for programs that catch it."""


class DeferredCudaCallError(Exception):
    """A call put off until CUDA starts failed; raised by none here, for programs that catch it."""


current_stream = _absent("current_stream", "The current stream")
default_stream = _absent("default_stream", "The default stream")
set_stream = _absent("set_stream", "Choose a stream")
get_device_properties = _absent("get_device_properties", "A device's properties")
get_device_capability = _absent("get_device_capability", "A device's capability")
mem_get_info = _absent("mem_get_info", "A device's free and total memory")
init = _absent("init", "Start CUDA")
ipc_collect = _absent("ipc_collect", "Give shared memory back")
initial_seed = _absent("initial_seed", "The seed of a device")
get_rng_state = _absent("get_rng_state", "The random state of a device")
set_rng_state = _absent("set_rng_state", "Set the random state of a device")
set_per_process_memory_fraction = _absent("set_per_process_memory_fraction", "Limit the memory")
reset_peak_memory_stats = _absent("reset_peak_memory_stats", "Count the most memory anew")
reset_max_memory_allocated = _absent("reset_max_memory_allocated", "Count the most memory anew")
reset_max_memory_cached = _absent("reset_max_memory_cached", "Count the most memory anew")

cudart = _absent("cudart", "The library of CUDA")
current_blas_handle = _absent("current_blas_handle", "The handle of cuBLAS")
make_graphed_callables = _absent("make_graphed_callables", "Modules whose work is recorded")
graph_pool_handle = _absent("graph_pool_handle", "The memory of recorded work")
is_current_stream_capturing = _absent("is_current_stream_capturing", "Whether work is being recorded")
get_sync_debug_mode = _absent("get_sync_debug_mode", "What is said of operations that wait")
set_sync_debug_mode = _absent("set_sync_debug_mode", "Choose what is said of operations that wait")
get_per_process_memory_fraction = _absent("get_per_process_memory_fraction", "The limit of memory")
caching_allocator_alloc = _absent("caching_allocator_alloc", "Take memory")
caching_allocator_delete = _absent("caching_allocator_delete", "Give memory back")
memory_snapshot = _absent("memory_snapshot", "Where memory was taken")
reset_accumulated_memory_stats = _absent("reset_accumulated_memory_stats", "Count memory anew")
reset_accumulated_host_memory_stats = _absent("reset_accumulated_host_memory_stats", "Count memory anew")
reset_peak_host_memory_stats = _absent("reset_peak_host_memory_stats", "Count the most memory anew")
device_memory_used = _absent("device_memory_used", "Bytes in use on the whole device")
memory_usage = _absent("memory_usage", "The share of time in which memory was used")
utilization = _absent("utilization", "The share of time in which the device worked")
temperature = _absent("temperature", "The device's temperature")
power_draw = _absent("power_draw", "The device's power")
clock_rate = _absent("clock_rate", "The device's clock")

memory_stats_as_nested_dict = _nothing("memory_stats_as_nested_dict", {}, "Memory in figures")
host_memory_stats = _nothing("host_memory_stats", {}, "The computer's memory in figures")
host_memory_stats_as_nested_dict = _nothing("host_memory_stats_as_nested_dict", {}, "The same, nested")
get_gencode_flags = _nothing("get_gencode_flags", "", "Flags of the compiler of CUDA")
memory_allocated = _nothing("memory_allocated", 0, "Bytes in use")
max_memory_allocated = _nothing("max_memory_allocated", 0, "The most bytes in use")
memory_reserved = memory_cached = _nothing("memory_reserved", 0, "Bytes held")
max_memory_reserved = max_memory_cached = _nothing("max_memory_reserved", 0, "The most bytes held")
memory_stats = _nothing("memory_stats", {}, "Memory in figures")
get_rng_state_all = _nothing("get_rng_state_all", [], "The random states of all devices")
get_arch_list = _nothing("get_arch_list", [], "The architectures that there are kernels for")
is_bf16_supported = _nothing("is_bf16_supported", False, "Whether devices compute in bfloat16")
is_tf32_supported = _nothing("is_tf32_supported", False, "Whether devices compute in TF32")
can_device_access_peer = _nothing("can_device_access_peer", False, "Whether devices reach each other")


def memory_summary(device=None, abbreviated: bool = False) -> str:
    """Memory as a text: that there is no CUDA device.

    >>> import rushlight as torch
    >>> torch.cuda.memory_summary()
    'No CUDA device: Rushlight runs on the CPU.'
    """
    return "No CUDA device: Rushlight runs on the CPU."


def seed() -> None:
    """Seed the CUDA device at random; as there is none, nothing is done, as in PyTorch."""


def seed_all() -> None:
    """Seed all CUDA devices at random; as there is none, nothing is done, as in PyTorch."""


def set_rng_state_all(new_states) -> None:
    """Set the random states of all CUDA devices, of which there are none."""
    if len(new_states):
        check_device("cuda")


def _tensor_type(name: str):
    """A constructor of old, `torch.cuda.FloatTensor`, that says why it can't be called."""

    def new(cls, *args, **kwargs):
        raise TypeError(
            f"type torch.cuda.{name} not available: Rushlight runs on the CPU. Use torch.{name}, or "
            "torch.cuda.is_available() to choose."
        )

    doc = f"`torch.cuda.{name}`: can be named and compared with, and raises TypeError when called."
    return type(name, (), {"__new__": new, "__doc__": doc, "__module__": __name__})


BFloat16Tensor = _tensor_type("BFloat16Tensor")
BoolTensor = _tensor_type("BoolTensor")
ByteTensor = _tensor_type("ByteTensor")
CharTensor = _tensor_type("CharTensor")
DoubleTensor = _tensor_type("DoubleTensor")
FloatTensor = _tensor_type("FloatTensor")
HalfTensor = _tensor_type("HalfTensor")
IntTensor = _tensor_type("IntTensor")
LongTensor = _tensor_type("LongTensor")
ShortTensor = _tensor_type("ShortTensor")

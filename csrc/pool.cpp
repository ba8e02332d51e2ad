// A caching allocator behind NumPy's data memory (NEP 49).
//
// Blocks are aligned to 64 bytes and come in size classes: steps of 64 bytes up to 512, then eight classes for each
// doubling. A freed block goes on its class's list; the lists together are capped. Each block is preceded by a
// header with its class, so the size that NumPy tells on freeing (wrong after a change of shape or type) is not used.
//
// NumPy keeps the handler in a context variable: threads and contexts that start after import have NumPy's own one.
// Arrays made by rushlight's native kernels (new_array) are in the pool everywhere; those that NumPy itself makes in
// another thread are so after pool_install() there. An array remembers its handler, so it may be freed anywhere, also
// while the interpreter ends: the pool is never destroyed.
#include "pool.h"

#include "arena.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>

namespace rushlight {
namespace {

constexpr std::size_t kAlign = kPoolAlign;
constexpr std::size_t kHeader = kPoolHeader;
constexpr int kSmallClasses = 8;
constexpr int kClasses = kSmallClasses + 8 * 40;
// From this size on blocks are mapped by themselves, with huge pages where the system has them.
constexpr std::size_t kMapped = std::size_t{1} << 20;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

using Header = PoolHeader;

// Size class of a request, and the bytes that blocks of a class hold.
int class_of(std::size_t bytes) {
  if (bytes <= kSmallClasses * kAlign) return bytes ? static_cast<int>((bytes - 1) / kAlign) : 0;
  const int top = 63 - __builtin_clzll(bytes - 1);  // 2^top <= bytes - 1 < 2^(top+1)
  const int eighth = static_cast<int>(((bytes - 1) >> (top - 3)) & 7);
  return kSmallClasses + (top - 9) * 8 + eighth;
}

std::size_t class_bytes(int size) {
  if (size < kSmallClasses) return (static_cast<std::size_t>(size) + 1) * kAlign;
  const int top = 9 + (size - kSmallClasses) / 8, eighth = (size - kSmallClasses) % 8;
  return (std::size_t{8} + eighth + 1) << (top - 3);
}

class Lock {
 public:
  explicit Lock(std::atomic_flag& flag) : flag_(flag) {
    while (flag_.test_and_set(std::memory_order_acquire)) __builtin_ia32_pause();
  }
  ~Lock() { flag_.clear(std::memory_order_release); }
  Lock(const Lock&) = delete;

 private:
  std::atomic_flag& flag_;
};

struct Pool {
  std::atomic_flag flag = ATOMIC_FLAG_INIT;
  Header* free[kClasses] = {};
  std::size_t current = 0, peak = 0, cached = 0, limit = 0;
  std::size_t requests = 0, system_allocations = 0;
  bool enabled = false;
};

// Never destroyed: arrays may be freed after static destructors ran.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

constexpr std::size_t kPage = 4096;
std::size_t mapped_bytes(std::size_t bytes) { return (bytes + kHeader + 2 * kPage - 1) / kPage * kPage; }

Header* system_allocate(int size) {
  const std::size_t bytes = class_bytes(size);
  if (bytes < kMapped) return static_cast<Header*>(std::aligned_alloc(kAlign, bytes + kHeader));
  // Map more than is wanted and cut it to start on a huge page.
  const std::size_t wanted = mapped_bytes(bytes), mapped = wanted + kHugePage;
  void* raw = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  char* start = static_cast<char*>(raw);
  char* aligned = start + (kHugePage - reinterpret_cast<std::uintptr_t>(start) % kHugePage) % kHugePage;
  if (aligned > start) munmap(start, static_cast<std::size_t>(aligned - start));
  char* end = start + mapped;
  if (end > aligned + wanted) munmap(aligned + wanted, static_cast<std::size_t>(end - aligned - wanted));
  madvise(aligned, wanted, MADV_HUGEPAGE);
  // Blocks start at different places in their first page: a loop that reads one and writes another at the same
  // distance from a page would wait for its own stores (a fifth of the time of a large addition).
  static std::atomic<unsigned> turn{0};
  return reinterpret_cast<Header*>(aligned + turn++ * 5 % 16 * (kPage / 16));
}

void system_free(Header* block) {
  const std::size_t bytes = class_bytes(block->size);
  if (bytes < kMapped)
    std::free(block);
  else
    munmap(reinterpret_cast<char*>(block) - reinterpret_cast<std::uintptr_t>(block) % kPage, mapped_bytes(bytes));
}

// Takes all free blocks off their lists; the caller holds the lock and frees them after letting it go.
Header* take_cached(Pool& p) {
  Header* all = nullptr;
  for (Header*& list : p.free) {
    while (Header* block = list) {
      list = block->next;
      block->next = all;
      all = block;
    }
  }
  p.cached = 0;
  return all;
}

void free_list(Header* block) {
  while (block) {
    Header* next = block->next;
    system_free(block);
    block = next;
  }
}

void release() {
  Pool& p = pool();
  Header* all;
  {
    Lock lock(p.flag);
    all = take_cached(p);
  }
  free_list(all);
}

// A class with a free block that fits: the request's own, or for large blocks one of up to twice its size.
int class_with_block(const Pool& p, int size) {
  const int last = class_bytes(size) < kMapped ? size : std::min(size + 8, kClasses - 1);
  for (int wider = size; wider <= last; ++wider)
    if (p.free[wider]) return wider;
  return size;
}

// A block for `bytes`; `fresh` tells whether it is new from the system.
Header* allocate(std::size_t bytes, bool& fresh) {
  if (bytes > std::size_t{1} << 46) return nullptr;
  const int asked = class_of(bytes);
  int size;
  Pool& p = pool();
  Header* block;
  {
    Lock lock(p.flag);
    size = class_with_block(p, asked);
    ++p.requests;
    p.current += class_bytes(asked);
    p.peak = std::max(p.peak, p.current);
    if ((block = p.free[size])) {
      p.free[size] = block->next;
      p.cached -= class_bytes(size);
    } else {
      ++p.system_allocations;
    }
  }
  fresh = !block;
  if (!block) {
    block = system_allocate(size);
    if (!block) {  // what other classes hold may be what is missing
      release();
      block = system_allocate(size);
    }
    if (!block) {
      Lock lock(p.flag);
      p.current -= class_bytes(asked);
      return nullptr;
    }
    block->size = size;
  }
  block->asked = asked;
  return block;
}

void* handler_malloc(void*, std::size_t bytes) { return pool_allocate(bytes); }

void* handler_calloc(void*, std::size_t count, std::size_t each) {
  std::size_t bytes;
  if (__builtin_mul_overflow(count, each, &bytes)) return nullptr;
  if (arenas_in_use()) {
    if (void* data = arena_allocate(bytes)) return std::memset(data, 0, bytes);
  }
  bool fresh;
  Header* block = allocate(bytes, fresh);
  if (!block) return nullptr;
  char* data = reinterpret_cast<char*>(block) + kHeader;
  if (!fresh || class_bytes(block->size) < kMapped)  // fresh mappings are zero already
    parallel_for(static_cast<std::int64_t>(bytes), std::int64_t{1} << 20, [data](std::int64_t begin, std::int64_t end) {
      std::memset(data + begin, 0, static_cast<std::size_t>(end - begin));
    });
  return data;
}

void handler_free(void*, void* data, std::size_t) { pool_free(data); }

void* handler_realloc(void*, void* data, std::size_t bytes) {
  if (!data) return pool_allocate(bytes);
  Header* block = reinterpret_cast<Header*>(static_cast<char*>(data) - kHeader);
  const std::size_t held = class_bytes(block->size < 0 ? -1 - block->size : block->size);
  if (block->size >= 0 && bytes <= held && bytes >= held / 2) return data;
  void* moved = pool_allocate(bytes);
  if (!moved) return nullptr;
  std::memcpy(moved, data, std::min(bytes, held));
  pool_free(data);
  return moved;
}

PyDataMem_Handler handler = {
    "rushlight_pool", 1, {nullptr, handler_malloc, handler_calloc, handler_realloc, handler_free}};
PyObject* handler_capsule = nullptr;  // kept for ever: arrays refer to it

void install() {
  if (!pool().enabled) return;
  PyObject* previous = PyDataMem_SetHandler(handler_capsule);
  if (!previous) nb::raise_python_error();
  Py_DECREF(previous);
}

std::size_t default_limit() {
  if (const char* text = std::getenv("RUSHLIGHT_POOL_MB")) return std::strtoull(text, nullptr, 10) << 20;
  const std::size_t memory = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return std::min(memory / 4, std::size_t{4} << 30);
}

nb::dict stats() {
  Pool& p = pool();
  std::size_t current, peak, cached, limit, requests, system;
  {
    Lock lock(p.flag);
    current = p.current, peak = p.peak, cached = p.cached, limit = p.limit;
    requests = p.requests, system = p.system_allocations;
  }
  nb::dict d;
  d["enabled"] = p.enabled;
  d["current_bytes"] = current;
  d["peak_bytes"] = peak;
  d["cached_bytes"] = cached;
  d["limit_bytes"] = limit;
  d["requests"] = requests;
  d["system_allocations"] = system;
  return d;
}

// No thread may hold the lock while the process forks, or the child would wait for ever.
void before_fork() {
  while (pool().flag.test_and_set(std::memory_order_acquire)) __builtin_ia32_pause();
}
void after_fork() { pool().flag.clear(std::memory_order_release); }

}  // namespace

int pool_class(std::size_t bytes) { return class_of(bytes); }
std::size_t pool_class_bytes(int size) { return class_bytes(size); }

void* pool_allocate(std::size_t bytes) {
  if (arenas_in_use()) {
    if (void* data = arena_allocate(bytes)) return data;
  }
  bool fresh;
  Header* block = allocate(bytes, fresh);
  return block ? reinterpret_cast<char*>(block) + kHeader : nullptr;
}

void pool_free(void* data) {
  if (!data) return;
  Header* block = reinterpret_cast<Header*>(static_cast<char*>(data) - kHeader);
  if (block->size < 0) return arena_free(data);
  const std::size_t held = class_bytes(block->size);
  Pool& p = pool();
  Header* spill = nullptr;
  {
    Lock lock(p.flag);
    p.current -= class_bytes(block->asked);
    if (p.cached + held > p.limit) spill = take_cached(p);  // start afresh: sizes in use change over time
    if (held <= p.limit) {
      block->next = p.free[block->size];
      p.free[block->size] = block;
      p.cached += held;
      block = nullptr;
    }
  }
  if (spill) free_list(spill);
  if (block) system_free(block);
}

PyObject* new_array(PyArray_Descr* type, int ndim, const npy_intp* shape, const npy_intp* strides) {
  npy_intp count = 1;
  for (int i = 0; i < ndim; ++i) count *= shape[i];
  if (!pool().enabled) {
    return PyArray_NewFromDescr(&PyArray_Type, type, ndim, shape, count ? strides : nullptr, nullptr, 0, nullptr);
  }
  void* data = pool_allocate(static_cast<std::size_t>(count) * static_cast<std::size_t>(PyDataType_ELSIZE(type)));
  if (!data) {
    Py_DECREF(type);
    return PyErr_NoMemory();
  }
  PyObject* made =
      PyArray_NewFromDescr(&PyArray_Type, type, ndim, shape, strides, data, NPY_ARRAY_WRITEABLE, nullptr);
  if (!made) {
    pool_free(data);
    return nullptr;
  }
  // NumPy has no call for "own this memory, it came from that handler".
  auto* fields = reinterpret_cast<PyArrayObject_fields*>(made);
  fields->flags |= NPY_ARRAY_OWNDATA;
  fields->mem_handler = Py_NewRef(handler_capsule);
  return made;
}

void bind_memory_pool(nb::module_& m) {
  Pool& p = pool();
  const char* wanted = std::getenv("RUSHLIGHT_POOL");
  p.enabled = !(wanted && std::string(wanted) == "0");
  p.limit = default_limit();
  handler_capsule = PyCapsule_New(&handler, "mem_handler", nullptr);
  if (!handler_capsule) nb::raise_python_error();
  pthread_atfork(before_fork, after_fork, after_fork);
  install();
  m.def("pool_install", &install, "Use the pool for the arrays that NumPy makes in this thread or context.");
  m.def("pool_stats", &stats, "Bytes in use, their peak, bytes cached, and numbers of requests, as a dict.");
  m.def("pool_release", &release, "Give all cached blocks back to the system.");
  m.def("pool_reset_peak", [] {
    Pool& q = pool();
    Lock lock(q.flag);
    q.peak = q.current;
  }, "Start measuring the peak afresh.");
  m.def("pool_set_limit", [](std::size_t bytes) {
    Pool& q = pool();
    {
      Lock lock(q.flag);
      q.limit = bytes;
    }
    release();
  }, nb::arg("bytes"), "Cap the bytes that are cached.");
}

}  // namespace rushlight

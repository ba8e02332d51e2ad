// What every native source shares: NumPy's C API, array access and the one thread pool.
#pragma once

#include <nanobind/nanobind.h>

#define PY_ARRAY_UNIQUE_SYMBOL rushlight_ARRAY_API
#ifndef RUSHLIGHT_IMPORT_ARRAY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include <cstddef>
#include <cstdint>

namespace nb = nanobind;

namespace rushlight {

// Each source file of csrc/ adds its functions to the module here.
void bind_threads(nb::module_& m);
void bind_memory_pool(nb::module_& m);
void bind_levels(nb::module_& m);
void bind_elementwise(nb::module_& m);
void bind_reduce(nb::module_& m);
void bind_lowprec(nb::module_& m);
void bind_optim(nb::module_& m);
void bind_dnn_cache(nb::module_& m);
void bind_dnn_conv(nb::module_& m);
void bind_dnn_matmul(nb::module_& m);
void bind_attention(nb::module_& m);
void bind_ctc(nb::module_& m);
void bind_norm(nb::module_& m);
void bind_pool(nb::module_& m);
void bind_resample(nb::module_& m);
void bind_grid(nb::module_& m);
void bind_incomplete(nb::module_& m);
void bind_handle(nb::module_& m);
void bind_random(nb::module_& m);
void bind_rnn(nb::module_& m);
void bind_sparse(nb::module_& m);
void bind_vision(nb::module_& m);
void bind_deform(nb::module_& m);
void bind_replay(nb::module_& m);

extern int bfloat16_type;  // NumPy's number for ml_dtypes.bfloat16; -1 before it is known

// An array in another type, its memory in the same order. Invalid, with an exception set, where that fails.
nb::object converted(PyArrayObject* a, int type);

// Threads that a parallel region may use: set_num_threads' number.
int num_threads();

// Below this many elements a second thread costs more than it saves.
constexpr std::int64_t kGrain = 32768;

inline PyArrayObject* array(nb::handle h) { return reinterpret_cast<PyArrayObject*>(h.ptr()); }
template <class T> inline T* data(nb::handle h) { return static_cast<T*>(PyArray_DATA(array(h))); }

// body(begin, end) over [0, n) in chunks; where chunks are cut never changes a result.
template <class Body> void parallel_for(std::int64_t n, std::int64_t grain, const Body& body) {
  const int threads = num_threads();
  if (n <= grain || threads == 1) {
    if (n > 0) body(std::int64_t{0}, n);
    return;
  }
  const std::int64_t pieces = (n + grain - 1) / grain < threads ? (n + grain - 1) / grain : threads;
#pragma omp parallel for num_threads(static_cast<int>(pieces)) schedule(static, 1)
  for (std::int64_t p = 0; p < pieces; ++p) body(n * p / pieces, n * (p + 1) / pieces);
}

}  // namespace rushlight

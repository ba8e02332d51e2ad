// Loops over the elements of one or two arrays, whatever their shapes and strides: what to write to, and how to walk there.
#pragma once

#include <algorithm>

#include "elementwise_loops.h"
#include "kernel.h"
#include "layout.h"

namespace rushlight {

// loop(begin, out, count, stream) over n elements, in threads; results of `item` bytes each go to `out`.
template <class Loop> void run_flat(std::int64_t n, npy_intp item, char* out, bool fresh, const Loop& loop) {
  if (n <= kGrain) {
    loop(0, out, n, false);
    return;
  }
  const bool stream = fresh && n * item >= kStreamBytes && reinterpret_cast<std::uintptr_t>(out) % 64 == 0;
  parallel_for((n + kLoopBlock - 1) / kLoopBlock, kGrain / kLoopBlock, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t begin = first * kLoopBlock, end = std::min(n, last * kLoopBlock);
    loop(begin, out + begin * item, end - begin, stream);
  });
}

// What to write to: a new array laid out as `like`, or `out` where it fits. Null without an exception: it does not.
PyArrayObject* target(PyObject* out, PyArrayObject* like, int type, bool& fresh);

// Whether writing `out` element by element would change elements of `a` that are still to be read.
bool clobbers(PyArrayObject* out, PyArrayObject* a);

inline PyObject* done(PyArrayObject* a) { return reinterpret_cast<PyObject*>(a); }

inline PyObject* give_up(PyArrayObject* a) {
  Py_XDECREF(a);
  return nullptr;
}

// A loop over two operands.
struct Pair {
  BinaryLoop loop;
  const double* params;
  npy_intp x_item, y_item, out_item;
  int low;  // the type of operands of 2 bytes, which go to the loop as float32, or -1

  Pair(BinaryLoop loop, const double* params, npy_intp x_item, npy_intp y_item, npy_intp out_item, int low)
      : loop(loop), params(params), x_item(x_item), y_item(y_item), out_item(out_item), low(low) {}

  // Operands one after the other in memory, or (in `mode`) a single one, which is of the loop's type.
  void run(const char* x, const char* y, char* out, std::int64_t n, Mode mode, bool stream) const {
    if (low < 0)
      loop(x, y, out, n, mode, params, stream);
    else
      run_low(x, mode == kFirstSingle ? 0 : x_item, y, mode == kSecondSingle ? 0 : y_item, out, n, mode);
  }

 private:
  void run_low(const char* x, npy_intp x_step, const char* y, npy_intp y_step, char* out, std::int64_t n, Mode mode) const;
};

// One array and one number.
PyObject* run_single(const Pair& p, PyArrayObject* x, const void* single, Mode mode, PyObject* out, int type);

// Two arrays, broadcast to a common shape. Null without an exception: the shapes don't broadcast, or the result doesn't fit.
PyObject* run_binary(const Pair& p, PyArrayObject* x, PyArrayObject* y, PyObject* out, int type);

}  // namespace rushlight

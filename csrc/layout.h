// Strided layouts: which memory order a result takes, and how operands are walked together.
#pragma once

#include "common.h"

namespace rushlight {

constexpr int kMaxDims = 12;

// Whether its elements fill one stretch of memory without gaps or overlaps, in whatever order of axes.
inline bool dense(PyArrayObject* a) {
  if (PyArray_IS_C_CONTIGUOUS(a) || PyArray_IS_F_CONTIGUOUS(a)) return true;
  const int nd = PyArray_NDIM(a);
  if (nd > kMaxDims) return false;
  npy_intp expected = PyArray_ITEMSIZE(a);
  bool done[kMaxDims] = {};
  for (int round = 0; round < nd; ++round) {
    int next = -1;
    for (int i = 0; i < nd && next < 0; ++i)
      if (!done[i] && (PyArray_DIM(a, i) == 1 || PyArray_STRIDE(a, i) == expected)) next = i;
    if (next < 0) return false;
    done[next] = true;
    expected *= PyArray_DIM(a, next);
  }
  return true;
}

inline bool same_shape(PyArrayObject* a, PyArrayObject* b) {
  const int nd = PyArray_NDIM(a);
  if (nd != PyArray_NDIM(b)) return false;
  for (int i = 0; i < nd; ++i)
    if (PyArray_DIM(a, i) != PyArray_DIM(b, i)) return false;
  return true;
}

// Whether two dense arrays of one shape have their elements in the same order.
inline bool same_order(PyArrayObject* a, PyArrayObject* b) {
  if (PyArray_IS_C_CONTIGUOUS(a) && PyArray_IS_C_CONTIGUOUS(b)) return true;
  const npy_intp sa = PyArray_ITEMSIZE(a), sb = PyArray_ITEMSIZE(b);
  for (int i = 0; i < PyArray_NDIM(a); ++i)
    if (PyArray_DIM(a, i) != 1 && PyArray_STRIDE(a, i) * sb != PyArray_STRIDE(b, i) * sa) return false;
  return true;
}

// Axes of `a` from the outermost in memory to the innermost. Axes of size 1, whose strides mean nothing, stay put.
inline void memory_order(PyArrayObject* a, int* order) {
  const int nd = PyArray_NDIM(a);
  for (int i = 0; i < nd; ++i) {
    int at = i;
    order[at] = i;
    if (PyArray_DIM(a, i) == 1) continue;
    const npy_intp stride = std::abs(PyArray_STRIDE(a, i));
    for (int before = at - 1; before >= 0 && stride; --before) {
      const int axis = order[before];
      if (PyArray_DIM(a, axis) == 1) continue;
      const npy_intp other = std::abs(PyArray_STRIDE(a, axis));
      if (!other || other >= stride) break;
      for (; at > before; --at) order[at] = order[at - 1];
      order[at] = i;
    }
  }
}

// Strides of a dense array with these axes from outermost to innermost.
inline void dense_strides(int nd, const npy_intp* shape, const int* order, npy_intp item, npy_intp* strides) {
  for (int k = nd - 1; k >= 0; --k) {
    strides[order[k]] = item;
    item *= shape[order[k]] ? shape[order[k]] : 1;
  }
}

// Whether the memory of two arrays, each dense, has a byte in common.
inline bool overlap(PyArrayObject* a, PyArrayObject* b) {
  const char *a0 = PyArray_BYTES(a), *b0 = PyArray_BYTES(b);
  return a0 < b0 + PyArray_NBYTES(b) && b0 < a0 + PyArray_NBYTES(a);
}

}  // namespace rushlight

// NumPy arrays (N, C, *spatial) as the kernels of layers see them. A kernel that meets something it does not
// cover returns None, and Python calls the reference instead.
#pragma once

#include "common.h"
#include "simd.h"

#include <array>
#include <vector>

namespace rushlight {

using i64 = std::int64_t;

inline bool is_array(nb::handle h) { return h.is_valid() && PyArray_Check(h.ptr()); }

// Whether the elements can be read as they lie: native byte order, aligned, of this type.
inline bool has_type(nb::handle h, int type) {
  return is_array(h) && PyArray_TYPE(array(h)) == type && PyArray_ISBEHAVED_RO(array(h));
}

inline i64 dim(nb::handle h, int axis) { return PyArray_DIM(array(h), axis); }
inline int ndim(nb::handle h) { return PyArray_NDIM(array(h)); }

// Whether memory order is (N, *spatial, C); where one is as good as the other, both this and C order hold.
bool is_channels_last(nb::handle x);

inline bool is_contiguous(nb::handle x) { return PyArray_IS_C_CONTIGUOUS(array(x)); }

nb::object new_array(int ndim, const npy_intp* dims, int type, bool channels_last);

// `x` itself if it is contiguous in either order, else a C-ordered copy.
nb::object dense(nb::handle x);

// `x` in the given order, copied if need be.
nb::object in_layout(nb::handle x, bool channels_last);

// A C-ordered copy, whatever the strides.
nb::object copy_of(nb::handle x);

// The integers of a tuple. Throws a TypeError for anything else.
std::vector<i64> integers(nb::handle tuple);

inline bool same_shape(nb::handle a, nb::handle b) { return PyArray_SAMESHAPE(array(a), array(b)); }

// A vector of `n` elements of this type, contiguous: what weights, biases and statistics must be.
bool is_vector(nb::handle h, int type, i64 n);

template <class T> constexpr int type_of();
template <> constexpr int type_of<float>() { return NPY_FLOAT; }
template <> constexpr int type_of<double>() { return NPY_DOUBLE; }
template <> constexpr int type_of<std::int32_t>() { return NPY_INT32; }

// body(T{}) for float32 and float64 arrays, None for others.
template <class Body> nb::object for_floats(nb::handle x, const Body& body) {
  if (has_type(x, NPY_FLOAT)) return body(float{});
  if (has_type(x, NPY_DOUBLE)) return body(double{});
  return nb::none();
}

}  // namespace rushlight

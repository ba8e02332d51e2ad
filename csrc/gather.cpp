// Elements at positions along one dimension: gather reads them, scatter_add adds to them in the order of the index.
#include "nn_arrays.h"

#include <algorithm>

#include "layout.h"
#include "positions.h"

namespace rushlight {
namespace {

using Position = std::int64_t;

// An array and an index with as many dimensions, nowhere else larger; positions are in range.
struct Places {
  int nd, axis;
  i64 shape[kMaxDims];    // of the index
  i64 strides[kMaxDims];  // of the array, in elements
  const Position* index;  // in C order
  i64 rows, width;        // of the index: its last dimension is a row
  // The array's first element for a row of the index, but for the position along `axis`.
  i64 start(i64 row) const {
    i64 at = 0;
    for (int d = nd - 2; d >= 0; row /= shape[d], --d)
      if (d != axis) at += row % shape[d] * strides[d];
    return at;
  }
};

// False where native code does not cover it.
bool places_of(nb::handle x, nb::handle index, int axis, Places& p) {
  if (!is_array(x) || !has_type(index, NPY_INT64) || !is_contiguous(index) || ndim(x) != ndim(index)) return false;
  p.nd = ndim(x);
  p.axis = axis;
  if (p.nd < 1 || p.nd > kMaxDims || axis < 0 || axis >= p.nd || !PyArray_ISBEHAVED_RO(array(x))) return false;
  const npy_intp item = PyArray_ITEMSIZE(array(x));
  for (int d = 0; d < p.nd; ++d) {
    if (PyArray_STRIDE(array(x), d) % item || (d != axis && dim(index, d) > dim(x, d))) return false;
    p.shape[d] = dim(index, d);
    p.strides[d] = PyArray_STRIDE(array(x), d) / item;
  }
  p.index = data<const Position>(index);
  p.width = p.shape[p.nd - 1];
  p.rows = p.width ? PyArray_SIZE(array(index)) / p.width : 0;
  const i64 n = dim(x, axis);
  std::uint64_t most = 0;
  for (i64 i = 0; i < p.rows * p.width; ++i) most = std::max(most, static_cast<std::uint64_t>(p.index[i]));
  return p.rows == 0 || most < static_cast<std::uint64_t>(n);
}

// visit(number of the element in the index, its place in the array) for rows [begin, end).
template <class Visit> RUSHLIGHT_INLINE void each_place(const Places& p, i64 begin, i64 end, const Visit& visit) {
  const i64 step = p.strides[p.axis], last = p.axis == p.nd - 1 ? 0 : p.strides[p.nd - 1];
  for (i64 row = begin; row < end; ++row) {
    const i64 start = p.start(row);
    const Position* index = p.index + row * p.width;
    for (i64 i = 0; i < p.width; ++i) visit(row * p.width + i, start + i * last + index[i] * step);
  }
}

template <class T> void take(const Places& p, nb::handle x, nb::handle out) {
  const T* from = data<const T>(x);
  T* to = data<T>(out);
  parallel_for(p.rows, std::max<i64>(1, kGrain / 4 / std::max<i64>(1, p.width)), [&](i64 begin, i64 end) {
    each_place(p, begin, end, [&](i64 i, i64 at) __attribute__((always_inline)) { to[i] = from[at]; });
  });
}

nb::object gather(nb::handle x, nb::handle index, int axis) {
  Places p;
  if (!places_of(x, index, axis, p) || PyDataType_REFCHK(PyArray_DESCR(array(x)))) return nb::none();
  PyArray_Descr* descr = PyArray_DESCR(array(x));
  const npy_intp item = PyArray_ITEMSIZE(array(x));
  if (item != 1 && item != 2 && item != 4 && item != 8) return nb::none();
  Py_INCREF(descr);
  nb::object out = nb::steal(PyArray_NewFromDescr(&PyArray_Type, descr, p.nd, PyArray_DIMS(array(index)), nullptr, nullptr, 0, nullptr));
  if (!out.is_valid()) nb::raise_python_error();
  item == 1   ? take<std::uint8_t>(p, x, out)
  : item == 2 ? take<std::uint16_t>(p, x, out)
  : item == 4 ? take<std::uint32_t>(p, x, out)
              : take<std::uint64_t>(p, x, out);
  return out;
}

template <class T> void add(const Places& p, nb::handle x, nb::handle values) {
  T* to = data<T>(x);
  const T* from = data<const T>(values);
  each_place(p, 0, p.rows, [&](i64 i, i64 at) __attribute__((always_inline)) { to[at] += from[i]; });
}

// x += values at the places, one after another; x itself where that was done.
nb::object scatter_add(nb::handle x, nb::handle index, nb::handle values, int axis) {
  Places p;
  if (!places_of(x, index, axis, p) || !PyArray_ISWRITEABLE(array(x))) return nb::none();
  if (!is_array(values) || ndim(values) != p.nd || !same_shape(values, index)) return nb::none();
  if (!is_contiguous(values) || overlap(array(x), array(values))) return nb::none();
  return for_floats(x, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    if (!has_type(values, type_of<T>())) return nb::none();
    add<T>(p, x, values);
    return nb::borrow(x);
  });
}

}  // namespace

void bind_gather(nb::module_& m) {
  m.def("gather", &gather, nb::arg(), nb::arg("index"), nb::arg("axis"));
  m.def("scatter_add", &scatter_add, nb::arg(), nb::arg("index"), nb::arg("values"), nb::arg("axis"));
}

}  // namespace rushlight

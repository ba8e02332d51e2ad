// The few largest or smallest elements of rows, in order; of equal ones the first come first, nan counts as the largest.
#include <algorithm>

#include "nn_arrays.h"
#include "positions.h"

namespace rushlight {
namespace {

constexpr i64 kMost = 64;    // elements kept in order
constexpr i64 kBlock = 32;   // elements looked at together: most blocks hold none that is wanted

template <class T> RUSHLIGHT_INLINE bool wanted(T x, T bound, bool largest) {
  return largest ? (x > bound) | ((x != x) & (bound == bound)) : (x < bound) | ((bound != bound) & (x == x));
}

template <class T> RUSHLIGHT_INLINE void best_of(const T* x, i64 n, i64 k, bool largest, std::int64_t* index) {
  T value[kMost];
  i64 count = 0;
  const auto consider = [&](i64 i) __attribute__((always_inline)) {
    const T v = x[i];
    if (count == k && !wanted(v, value[k - 1], largest)) return;
    i64 at = count < k ? count++ : k - 1;
    for (; at > 0 && wanted(v, value[at - 1], largest); --at) value[at] = value[at - 1], index[at] = index[at - 1];
    value[at] = v;
    index[at] = i;
  };
  i64 i = 0;
  for (; i < std::min(n, k); ++i) consider(i);
  for (; i + kBlock <= n; i += kBlock) {
    const T bound = value[k - 1];
    int any = 0;
    for (i64 j = 0; j < kBlock; ++j) any |= wanted(x[i + j], bound, largest);
    for (i64 j = 0; j < kBlock && any; ++j) consider(i + j);
  }
  for (; i < n; ++i) consider(i);
}

#define RUSHLIGHT_TOPK(T)                                                                                      \
  RUSHLIGHT_CLONES void best_of_rows(const T* x, i64 rows, i64 n, i64 k, bool largest, std::int64_t* index) {  \
    if (largest)                                                                                               \
      for (i64 r = 0; r < rows; ++r) best_of<T>(x + r * n, n, k, true, index + r * k);                         \
    else                                                                                                       \
      for (i64 r = 0; r < rows; ++r) best_of<T>(x + r * n, n, k, false, index + r * k);                        \
  }
RUSHLIGHT_TOPK(float)
RUSHLIGHT_TOPK(double)
#undef RUSHLIGHT_TOPK

// Where they are in the rows of the last dimension.
nb::object topk(nb::handle x, i64 k, bool largest) {
  if (!is_array(x) || ndim(x) < 1 || !is_contiguous(x) || PyArray_SIZE(array(x)) == 0) return nb::none();
  const i64 n = dim(x, ndim(x) - 1), rows = PyArray_SIZE(array(x)) / n;
  if (k < 1 || k > kMost || k > n) return nb::none();
  return for_floats(x, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    std::vector<npy_intp> shape(PyArray_DIMS(array(x)), PyArray_DIMS(array(x)) + ndim(x));
    shape.back() = k;
    nb::object index = new_array(ndim(x), shape.data(), NPY_INT64, false);
    parallel_for(rows, std::max<i64>(1, kGrain / n), [&](i64 begin, i64 end) {
      best_of_rows(data<const T>(x) + begin * n, end - begin, n, k, largest, data<std::int64_t>(index) + begin * k);
    });
    return index;
  });
}

}  // namespace

void bind_topk(nb::module_& m) { m.def("topk", &topk, nb::arg(), nb::arg("k"), nb::arg("largest")); }

}  // namespace rushlight

// Running sums and products along one dimension of contiguous arrays. Floats run in float64, as in PyTorch.
#include "nn_arrays.h"
#include "positions.h"

#include <algorithm>

namespace rushlight {
namespace {

constexpr i64 kTile = 512;  // columns worked on together

template <class T> struct Accumulator {
  using type = double;
};
template <> struct Accumulator<std::int64_t> {
  using type = std::uint64_t;  // wraps around
};

template <bool kProduct, class A> RUSHLIGHT_INLINE A joined(A a, A b) { return kProduct ? a * b : a + b; }

// `kRows` rows of n elements, each with its own chain of dependent steps.
template <bool kProduct, int kRows, class T> RUSHLIGHT_INLINE void scan_rows(const T* x, T* y, i64 n, bool reverse) {
  using A = typename Accumulator<T>::type;
  A total[kRows];
  for (int r = 0; r < kRows; ++r) total[r] = kProduct;
  for (i64 i = 0; i < n; ++i) {
    const i64 j = reverse ? n - 1 - i : i;
    for (int r = 0; r < kRows; ++r) {
      total[r] = joined<kProduct>(total[r], static_cast<A>(x[r * n + j]));
      y[r * n + j] = static_cast<T>(total[r]);
    }
  }
}

// `width` neighbouring columns, whose n elements lie `stride` apart.
template <bool kProduct, class T> RUSHLIGHT_INLINE void scan_columns(const T* x, T* y, i64 n, i64 stride, i64 width, bool reverse) {
  using A = typename Accumulator<T>::type;
  A total[kTile];
  for (i64 j = 0; j < width; ++j) total[j] = kProduct;
  for (i64 i = 0; i < n; ++i) {
    const i64 at = (reverse ? n - 1 - i : i) * stride;
    for (i64 j = 0; j < width; ++j) {
      total[j] = joined<kProduct>(total[j], static_cast<A>(x[at + j]));
      y[at + j] = static_cast<T>(total[j]);
    }
  }
}

#define RUSHLIGHT_SCAN_LOOPS(T)                                                                                     \
  RUSHLIGHT_CLONES void columns(const T* x, T* y, i64 n, i64 stride, i64 width, bool product, bool reverse) {       \
    product ? scan_columns<true>(x, y, n, stride, width, reverse) : scan_columns<false>(x, y, n, stride, width, reverse); \
  }                                                                                                                 \
  void rows(const T* x, T* y, i64 count, i64 n, bool product, bool reverse) {                                       \
    i64 r = 0;                                                                                                      \
    for (; r + 4 <= count; r += 4)                                                                                  \
      product ? scan_rows<true, 4>(x + r * n, y + r * n, n, reverse) : scan_rows<false, 4>(x + r * n, y + r * n, n, reverse); \
    for (; r < count; ++r)                                                                                          \
      product ? scan_rows<true, 1>(x + r * n, y + r * n, n, reverse) : scan_rows<false, 1>(x + r * n, y + r * n, n, reverse); \
  }
RUSHLIGHT_SCAN_LOOPS(float)
RUSHLIGHT_SCAN_LOOPS(double)
RUSHLIGHT_SCAN_LOOPS(std::int64_t)
#undef RUSHLIGHT_SCAN_LOOPS

template <class T> nb::object run(nb::handle x, int type, int axis, bool product, bool reverse) {
  nb::object y = new_array(ndim(x), PyArray_DIMS(array(x)), type, false);
  i64 outer = 1, inner = 1;
  const i64 n = dim(x, axis);
  for (int i = 0; i < ndim(x); ++i) (i < axis ? outer : inner) *= i == axis ? 1 : dim(x, i);
  const T* from = data<const T>(x);
  T* to = data<T>(y);
  if (inner == 1) {
    parallel_for(outer, std::max<i64>(4, kGrain / 4 / std::max<i64>(1, n)), [&](i64 begin, i64 end) {
      rows(from + begin * n, to + begin * n, end - begin, n, product, reverse);
    });
    return y;
  }
  const i64 tiles = (inner + kTile - 1) / kTile;
  parallel_for(outer * tiles, std::max<i64>(1, kGrain / 4 / (n * std::min(inner, kTile) + 1)), [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; ++i) {
      const i64 first = i % tiles * kTile, at = i / tiles * n * inner + first;
      columns(from + at, to + at, n, inner, std::min(kTile, inner - first), product, reverse);
    }
  });
  return y;
}

// The running sum (or product) along an axis, from its start or from its end.
nb::object scan(nb::handle x, int axis, bool product, bool reverse) {
  if (!is_array(x) || ndim(x) < 1 || axis < 0 || axis >= ndim(x) || !is_contiguous(x)) return nb::none();
  if (has_type(x, NPY_FLOAT)) return run<float>(x, NPY_FLOAT, axis, product, reverse);
  if (has_type(x, NPY_DOUBLE)) return run<double>(x, NPY_DOUBLE, axis, product, reverse);
  if (has_type(x, NPY_INT64)) return run<std::int64_t>(x, NPY_INT64, axis, product, reverse);
  return nb::none();
}

}  // namespace

void bind_scan(nb::module_& m) {
  m.def("scan", &scan, nb::arg(), nb::arg("axis"), nb::arg("product") = false, nb::arg("reverse") = false);
}

}  // namespace rushlight

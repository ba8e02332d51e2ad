// Products of sparse matrices in compressed rows with dense ones, and of dense ones at the places of a sparse one.
#include "nn_arrays.h"

#include <algorithm>

namespace rushlight {
namespace {

using Index = std::int64_t;

// y[c ... c + 8 * N) of one row: the sums stay in registers while the row's entries pass.
template <int N, class T>
RUSHLIGHT_INLINE void add_rows(const Index* col, const T* value, i64 entries, const T* x, i64 width, T* y) {
  Values<T> sum[N] = {};
  for (i64 e = 0; e < entries; ++e) {
    const T* from = x + col[e] * width;
    Values<T> v, part;
    fill(v, value[e]);
    for (int i = 0; i < N; ++i) {
      load(part, from + i * kEight);
      sum[i] += v * part;
    }
  }
  for (int i = 0; i < N; ++i) store(y + i * kEight, sum[i]);
}

template <class T>
RUSHLIGHT_INLINE void multiply(const Index* crow, const Index* col, const T* value, const T* x, T* y, i64 width, i64 from,
                               i64 to) {
  for (i64 row = from; row < to; ++row) {
    const i64 first = crow[row], entries = crow[row + 1] - first;
    const Index* columns = col + first;
    const T* values = value + first;
    T* result = y + row * width;
    i64 c = 0;
    for (; c + 4 * kEight <= width; c += 4 * kEight) add_rows<4>(columns, values, entries, x + c, width, result + c);
    for (; c + kEight <= width; c += kEight) add_rows<1>(columns, values, entries, x + c, width, result + c);
    for (; c < width; ++c) {
      T sum = 0;
      for (i64 e = 0; e < entries; ++e) sum += values[e] * x[columns[e] * width + c];
      result[c] = sum;
    }
  }
}

template <class T>
RUSHLIGHT_INLINE void sample(const Index* row, const Index* col, const T* x, const T* y, T* out, i64 width, i64 from,
                             i64 to) {
  for (i64 e = from; e < to; ++e) {
    const T *a = x + row[e] * width, *b = y + col[e] * width;
    Values<T> sum = {}, u, v;
    i64 c = 0;
    for (; c + kEight <= width; c += kEight) {
      load(u, a + c);
      load(v, b + c);
      sum += u * v;
    }
    T total = ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
    for (; c < width; ++c) total += a[c] * b[c];
    out[e] = total;
  }
}

#define RUSHLIGHT_SPARSE_LOOPS(T)                                                                                     \
  RUSHLIGHT_CLONES void run_multiply(const Index* crow, const Index* col, const T* value, const T* x, T* y, i64 width, \
                                     i64 from, i64 to) {                                                              \
    multiply<T>(crow, col, value, x, y, width, from, to);                                                             \
  }                                                                                                                   \
  RUSHLIGHT_CLONES void run_sample(const Index* row, const Index* col, const T* x, const T* y, T* out, i64 width,      \
                                   i64 from, i64 to) {                                                                \
    sample<T>(row, col, x, y, out, width, from, to);                                                                  \
  }
RUSHLIGHT_SPARSE_LOOPS(float)
RUSHLIGHT_SPARSE_LOOPS(double)
#undef RUSHLIGHT_SPARSE_LOOPS

bool is_index(nb::handle h) { return has_type(h, NPY_INT64) && ndim(h) == 1 && is_contiguous(h); }

bool inside(const Index* index, i64 count, i64 limit) {
  for (i64 i = 0; i < count; ++i)
    if (index[i] < 0 || index[i] >= limit) return false;
  return true;
}

// (n, width): the matrix with row starts `crow` (n + 1), columns `col` and their `values`, times `x` (m, width).
nb::object csr_matmul(nb::handle crow, nb::handle col, nb::handle values, nb::handle x_in) {
  if (!is_index(crow) || !is_index(col) || !is_array(x_in) || ndim(x_in) != 2) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    const i64 entries = dim(col, 0), rows = dim(crow, 0) - 1, width = dim(x_in, 1);
    if (!is_vector(values, type_of<T>(), entries)) return nb::none();
    const Index* start = data<const Index>(crow);
    if (rows < 0 || start[0] != 0 || start[rows] != entries || !std::is_sorted(start, start + rows + 1) ||
        !inside(data<const Index>(col), entries, dim(x_in, 0)))
      throw nb::value_error("csr_matmul: the indices are no compressed rows of a matrix of this size");
    nb::object x = in_layout(x_in, false);
    const npy_intp shape[2] = {rows, width};
    nb::object y = new_array(2, shape, type_of<T>(), false);
    const i64 work = std::max<i64>(1, (entries + rows) * width / std::max<i64>(1, rows));
    parallel_for(rows, std::max<i64>(1, kGrain / work), [&](i64 from, i64 to) {
      run_multiply(start, data<const Index>(col), data<const T>(values), data<const T>(x), data<T>(y), width, from, to);
    });
    return y;
  });
}

// (nnz,): for each entry, the product of row `row` of x with row `col` of y.
nb::object sampled_matmul(nb::handle row, nb::handle col, nb::handle x_in, nb::handle y_in) {
  if (!is_index(row) || !is_index(col) || !same_shape(row, col)) return nb::none();
  if (!is_array(x_in) || !is_array(y_in) || ndim(x_in) != 2 || ndim(y_in) != 2) return nb::none();
  if (PyArray_TYPE(array(x_in)) != PyArray_TYPE(array(y_in)) || dim(x_in, 1) != dim(y_in, 1)) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    if (!has_type(y_in, type_of<T>())) return nb::none();
    const npy_intp entries[1] = {dim(row, 0)};
    const i64 width = dim(x_in, 1);
    if (!inside(data<const Index>(row), entries[0], dim(x_in, 0)) ||
        !inside(data<const Index>(col), entries[0], dim(y_in, 0)))
      throw nb::value_error("sampled_matmul: an index is out of range");
    nb::object x = in_layout(x_in, false), y = in_layout(y_in, false);
    nb::object out = new_array(1, entries, type_of<T>(), false);
    parallel_for(entries[0], std::max<i64>(1, kGrain / std::max<i64>(1, width)), [&](i64 from, i64 to) {
      run_sample(data<const Index>(row), data<const Index>(col), data<const T>(x), data<const T>(y), data<T>(out), width,
                 from, to);
    });
    return out;
  });
}

}  // namespace

void bind_sparse(nb::module_& m) {
  m.def("csr_matmul", &csr_matmul);
  m.def("sampled_matmul", &sampled_matmul);
}

}  // namespace rushlight

// Matrix products through oneDNN, operands read as they lie wherever their strides can be expressed.
#include "dnn_cache.h"
#include "dnn_few.h"
#include "dnn_vector.h"

#include <algorithm>

namespace rushlight {
namespace {

// One operand of a product: batch dimensions, then rows and columns, strides in elements.
struct Matrix {
  memory::dims dims, strides;
  void* data = nullptr;
};

// Whether oneDNN reads the last two dimensions without a copy: one of them is contiguous, rows don't overlap.
bool readable(const Matrix& m) {
  const size_t n = m.dims.size();
  const i64 rows = m.dims[n - 2], columns = m.dims[n - 1], down = m.strides[n - 2], across = m.strides[n - 1];
  if (down < 1 || across < 1) return false;
  return (across == 1 && down >= columns) || (down == 1 && across >= rows);
}

// Strides of dimensions of length 1 say nothing; here they become what a contiguous matrix would have.
void settle(Matrix& m) {
  const size_t n = m.dims.size();
  i64 &down = m.strides[n - 2], &across = m.strides[n - 1];
  const i64 rows = m.dims[n - 2], columns = m.dims[n - 1];
  if (columns == 1) across = 1;
  if (rows == 1) down = across == 1 ? columns : 1;
  for (size_t i = 0; i + 2 < n; ++i)
    if (m.dims[i] == 1) m.strides[i] = 1;
}

// The operand as it lies, its leading dimensions padded to `nd`; nothing if a copy is needed.
std::optional<Matrix> matrix(nb::handle x, int nd) {
  PyArrayObject* a = array(x);
  const int own = PyArray_NDIM(a);
  const npy_intp size = PyArray_ITEMSIZE(a);
  Matrix m;
  m.data = PyArray_DATA(a);
  m.dims.assign(static_cast<size_t>(nd - own), 1);
  m.strides.assign(static_cast<size_t>(nd - own), 1);
  for (int i = 0; i < own; ++i) {
    const npy_intp stride = PyArray_STRIDE(a, i), n = PyArray_DIM(a, i);
    const bool repeated = i < own - 2 && stride == 0;  // a broadcast batch dimension
    if (!repeated && n > 1 && (stride < 0 || stride % size != 0)) return std::nullopt;
    m.dims.push_back(repeated ? 1 : n);
    m.strides.push_back(stride / size);
  }
  settle(m);
  if (!readable(m)) return std::nullopt;
  return m;
}

struct Product {
  std::optional<Call> call;
};

void add_to(Key& key, const Matrix& m) {
  key.add(m.dims);
  key.add(m.strides);
}

// Below this many multiplications a loop is done before a primitive has started.
constexpr i64 kTiny = 400;

bool is_tiny(const Matrix& a, const Matrix& b, memory::data_type type) {
  return type == memory::data_type::f32 && a.dims.size() == 2 && a.dims[0] * a.dims[1] * b.dims[1] <= kTiny;
}

void multiply_tiny(const Matrix& a, const Matrix& b, const Matrix& c, const float* bias, bool relu) {
  const auto *x = static_cast<const float*>(a.data), *y = static_cast<const float*>(b.data);
  float* to = static_cast<float*>(c.data);
  for (i64 i = 0; i < c.dims[0]; ++i)
    for (i64 j = 0; j < c.dims[1]; ++j) {
      float sum = 0;
      for (i64 k = 0; k < a.dims[1]; ++k)
        sum += x[i * a.strides[0] + k * a.strides[1]] * y[k * b.strides[0] + j * b.strides[1]];
      if (bias) sum += bias[j];
      to[i * c.strides[0] + j * c.strides[1]] = relu && sum < 0 ? 0 : sum;
    }
}

// c = a b (+ bias) (then max(0, .)); false if oneDNN can't.
bool multiply(const Matrix& a, const Matrix& b, const Matrix& c, void* bias, bool relu, memory::data_type type) {
  if (is_tiny(a, b, type)) {
    multiply_tiny(a, b, c, static_cast<const float*>(bias), relu);
    return true;
  }
  if (type == memory::data_type::f32 && a.dims.size() == 2 && (a.dims[0] == 1 || b.dims[1] == 1)) {
    const bool row = a.dims[0] == 1;
    const Matrix &m = row ? b : a, &v = row ? a : b;
    const auto* from = static_cast<const float*>(v.data);
    const VectorProduct product = {m.dims[row ? 1 : 0],    m.dims[row ? 0 : 1],   static_cast<const float*>(m.data),
                                   m.strides[row ? 1 : 0], m.strides[row ? 0 : 1], from, v.strides[row ? 1 : 0]};
    multiply_vector(product, static_cast<const float*>(bias), !row, relu, static_cast<float*>(c.data), c.strides[row ? 1 : 0]);
    return true;
  }
  Key key;
  key.add(static_cast<i64>(type));
  key.add(relu * 2 + (bias != nullptr));
  add_to(key, a);
  add_to(key, b);
  add_to(key, c);
  Product* op = cached<Product>(key, [&] {
    const memory::desc x(a.dims, type, a.strides), y(b.dims, type, b.strides), z(c.dims, type, c.strides);
    memory::dims bias_dims(c.dims.size(), 1), bias_strides(c.dims.size(), 1);
    bias_dims.back() = c.dims.back();
    const memory::desc add(bias_dims, type, memory::dims(bias_strides));
    const auto pd = bias ? dnnl::matmul::primitive_desc(engine(), x, y, add, z, attributes(relu))
                         : dnnl::matmul::primitive_desc(engine(), x, y, z, attributes(relu));
    Call::Arguments arguments = {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, y}, {DNNL_ARG_DST, z}};
    if (bias) arguments.push_back({DNNL_ARG_BIAS, add});
    auto made = std::make_unique<Product>();
    made->call.emplace(dnnl::matmul(pd), pd.scratchpad_desc(), arguments);
    return made;
  });
  if (!op) return false;
  if (bias)
    op->call->run({a.data, b.data, c.data, bias});
  else
    op->call->run({a.data, b.data, c.data});
  return true;
}

// A matrix of `rows` x `columns` elements, one row after the other.
Matrix row_major(void* data, i64 rows, i64 columns) {
  Matrix m;
  m.dims = {rows, columns};
  m.strides = {columns, 1};
  m.data = data;
  return m;
}

Matrix transposed(Matrix m) {
  const size_t n = m.dims.size();
  std::swap(m.dims[n - 2], m.dims[n - 1]);
  std::swap(m.strides[n - 2], m.strides[n - 1]);
  settle(m);
  return m;
}

// A 2-D array as a matrix; copied, and kept alive by `owner`, if its strides can't be read.
Matrix operand(nb::handle x, nb::object& owner, int nd = 2) {
  owner = nb::borrow(x);
  if (const auto as_it_lies = matrix(x, nd)) return *as_it_lies;
  owner = copy_of(x);
  return matrix(owner, nd).value();
}

bool usable(nb::handle b, memory::data_type type) {
  return type != memory::data_type::undef && data_type(b) == type;
}

// Where only rows differ between the batches of `a`, and b is one matrix: one larger product.
void merge_batches(Matrix& a, Matrix& b, Matrix& c) {
  for (size_t n = a.dims.size(); n > 2; n = a.dims.size()) {
    const size_t last = n - 3;
    const bool rows_follow = a.strides[n - 1] == 1 && a.strides[last] == a.strides[n - 2] * a.dims[n - 2] &&
                             c.strides[last] == c.strides[n - 2] * c.dims[n - 2];
    if (b.dims[last] != 1 || (a.dims[last] != 1 && !rows_follow)) return;
    for (Matrix* m : {&a, &c}) {
      if (m->dims[last] != 1) m->dims[n - 2] *= m->dims[last];
      m->dims.erase(m->dims.begin() + static_cast<std::ptrdiff_t>(last));
      m->strides.erase(m->strides.begin() + static_cast<std::ptrdiff_t>(last));
    }
    b.dims.erase(b.dims.begin() + static_cast<std::ptrdiff_t>(last));
    b.strides.erase(b.strides.begin() + static_cast<std::ptrdiff_t>(last));
  }
}

nb::object matmul(nb::handle x, nb::handle y, nb::handle out) {
  if (!is_array(x) || !is_array(y)) return nb::none();
  const auto type = data_type(x);
  const int nd = std::max(ndim(x), ndim(y));
  if (!usable(y, type) || ndim(x) < 2 || ndim(y) < 2 || nd > 6) return nb::none();
  if (PyArray_SIZE(array(x)) == 0 || PyArray_SIZE(array(y)) == 0) return nb::none();
  npy_intp shape[6];
  for (int i = 0; i < nd - 2; ++i) {
    const int in_x = i - (nd - ndim(x)), in_y = i - (nd - ndim(y));
    const npy_intp n = in_x >= 0 ? dim(x, in_x) : 1, m = in_y >= 0 ? dim(y, in_y) : 1;
    if (n != m && n != 1 && m != 1) return nb::none();
    shape[i] = n == 1 ? m : n;
  }
  shape[nd - 2] = dim(x, ndim(x) - 2);
  shape[nd - 1] = dim(y, ndim(y) - 1);
  if (dim(x, ndim(x) - 1) != dim(y, ndim(y) - 2)) return nb::none();

  const int number = PyArray_TYPE(array(x));
  nb::object result;
  if (out.is_none()) {
    result = new_array(nd, shape, number, false);
  } else {
    if (!has_type(out, number) || ndim(out) != nd || !PyArray_ISWRITEABLE(array(out))) return nb::none();
    if (!PyArray_CompareLists(shape, PyArray_DIMS(array(out)), nd)) return nb::none();
    if (!is_contiguous(out) || out.is(x) || out.is(y)) return nb::none();
    result = nb::borrow(out);
  }
  nb::object keep_a, keep_b;
  Matrix a = operand(x, keep_a, nd), b = operand(y, keep_b, nd), c = matrix(result, nd).value();
  for (int i = 0; i < nd - 2; ++i) {  // both repeat along a batch dimension: oneDNN has no such product
    const auto at = static_cast<size_t>(i);
    if (a.dims[at] == 1 && b.dims[at] == 1 && c.dims[at] != 1) return nb::none();
  }
  merge_batches(a, b, c);
  if (!multiply(a, b, c, nullptr, false, type)) return nb::none();
  return result;
}

// x @ w^T for few rows as w @ x^T, turned: oneDNN lays out the transposed operand anew, and x is the smaller one.
bool few_rows(const Matrix& x, const Matrix& w, void* y, void* bias, bool relu) {
  const i64 rows = x.dims[0], columns = w.dims[0], inner = x.dims[1];
  if (rows < 32 || rows > 128 || columns < 2 * rows || columns * inner > (1 << 19) || rows * columns * inner < (1 << 20)) return false;
  float* t = static_cast<float*>(scratch(Scratch::kFirst, static_cast<size_t>(rows * columns) * sizeof(float)));
  if (!multiply(w, transposed(x), row_major(t, columns, rows), nullptr, false, memory::data_type::f32)) return false;
  parallel_for(columns, std::max<i64>(16, kGrain / 4 / rows), [&](i64 begin, i64 end) {
    turn(t, static_cast<const float*>(bias), static_cast<float*>(y), rows, columns, begin, end, relu);
  });
  return true;
}

nb::object linear(nb::handle x, nb::handle w, nb::handle b, bool relu) {
  if (!is_array(x) || !is_array(w)) return nb::none();
  const auto type = data_type(x);
  if (!usable(w, type) || ndim(x) != 2 || ndim(w) != 2 || dim(x, 1) != dim(w, 1)) return nb::none();
  const int number = PyArray_TYPE(array(x));
  const npy_intp shape[2] = {dim(x, 0), dim(w, 0)};
  if (shape[0] == 0 || shape[1] == 0 || dim(x, 1) == 0) return nb::none();
  if (!b.is_none() && !is_vector(b, number, shape[1])) return nb::none();
  nb::object keep_x, keep_w, y = new_array(2, shape, number, false);
  const Matrix a = operand(x, keep_x), rows = operand(w, keep_w), c = row_major(data<void>(y), shape[0], shape[1]);
  void* bias = b.is_none() ? nullptr : data<void>(b);
  if (type == memory::data_type::f32 && few_rows(a, rows, c.data, bias, relu)) return y;
  if (!multiply(a, transposed(rows), c, bias, relu, type)) return nb::none();
  return y;
}

nb::object linear_backward_input(nb::handle g, nb::handle w) { return matmul(g, w, nb::none()); }

// The sum of the rows of a contiguous matrix, for columns [from, to): floats within 64 rows, doubles beyond.
constexpr i64 kTile = 64;
RUSHLIGHT_CLONES void sum_tile(const float* g, float* total, i64 rows, i64 columns, i64 from, i64 width) {
  double sums[kTile] = {};
  for (i64 first = 0; first < rows; first += 64) {
    float part[kTile] = {};
    const i64 end = first + 64 < rows ? first + 64 : rows;
    for (i64 i = first; i < end; ++i)
      for (i64 j = 0; j < width; ++j) part[j] += g[i * columns + from + j];
    for (i64 j = 0; j < width; ++j) sums[j] += part[j];
  }
  for (i64 j = 0; j < width; ++j) total[from + j] = static_cast<float>(sums[j]);
}

void sum_columns(const float* g, float* total, i64 rows, i64 columns) {
  const i64 tiles = (columns + kTile - 1) / kTile;
  parallel_for(tiles, std::max<i64>(1, kGrain / (kTile * rows)), [&](i64 begin, i64 end) {
    for (i64 t = begin; t < end; ++t)
      sum_tile(g, total, rows, columns, t * kTile, std::min(kTile, columns - t * kTile));
  });
}


nb::object linear_backward_weight(nb::handle g_in, nb::handle x, bool with_bias) {
  if (!is_array(g_in) || !is_array(x)) return nb::none();
  const auto type = data_type(g_in);
  const int number = PyArray_TYPE(array(g_in));
  if (!usable(x, type) || ndim(g_in) != 2 || ndim(x) != 2) return nb::none();
  const npy_intp shape[2] = {dim(g_in, 1), dim(x, 1)}, rows = dim(g_in, 0);
  if (rows != dim(x, 0) || rows == 0 || shape[0] == 0 || shape[1] == 0) return nb::none();
  nb::object g = in_layout(g_in, false), keep_x, gw = new_array(2, shape, number, false), gb = nb::none();
  const Matrix left = transposed(row_major(data<void>(g), rows, shape[0])), right = operand(x, keep_x);
  if (!multiply(left, right, row_major(data<void>(gw), shape[0], shape[1]), nullptr, false, type)) return nb::none();
  if (with_bias) {
    gb = new_array(1, shape, NPY_FLOAT, false);
    if (number != NPY_FLOAT) g = converted(array(g), NPY_FLOAT);
    if (!g.is_valid()) nb::raise_python_error();
    sum_columns(data<float>(g), data<float>(gb), rows, shape[0]);
    if (number != NPY_FLOAT) gb = converted(array(gb), number);
    if (!gb.is_valid()) nb::raise_python_error();
  }
  return nb::make_tuple(gw, gb);
}

}  // namespace

void bind_dnn_matmul(nb::module_& m) {
  m.def("matmul", &matmul, nb::arg(), nb::arg(), nb::arg("out").none() = nb::none());
  m.def("linear", &linear, nb::arg(), nb::arg(), nb::arg("b").none() = nb::none(), nb::arg("relu") = false);
  m.def("linear_backward_input", &linear_backward_input, nb::arg(), nb::arg());
  m.def("linear_backward_weight", &linear_backward_weight, nb::arg(), nb::arg(), nb::arg("with_bias") = true);
}

}  // namespace rushlight

// Elementwise kernels: operands of one floating-point type, dense in any order of axes or broadcast along them. Those of
// 16 bits are widened a block at a time; where operands are broadcast, kernel.cpp widens them as a whole.
#include "elementwise_loops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include <nanobind/stl/string.h>

#include "arena.h"
#include "fusion.h"
#include "kernel.h"
#include "layout.h"
#include "levels.h"
#include "lowprec.h"
#include "pool.h"
#include "special.h"

namespace rushlight {

RUSHLIGHT_LEVELS(ElementwiseLoops, elementwise_table)
const ElementwiseLoops& elementwise_loops() {
  static const ElementwiseLoops& table = RUSHLIGHT_PICK(elementwise_table);
  return table;
}

namespace {

constexpr int kTypes[3] = {NPY_FLOAT, NPY_DOUBLE, NPY_INT64};
constexpr npy_intp kItems[3] = {4, 8, 8};

PyObject* new_like(PyArrayObject* like, int type) {
  const int nd = PyArray_NDIM(like);
  PyArray_Descr* descr = PyArray_DescrFromType(type);
  if (PyArray_IS_C_CONTIGUOUS(like)) return new_array(descr, nd, PyArray_DIMS(like));
  int order[kMaxDims];
  npy_intp strides[kMaxDims];
  memory_order(like, order);
  dense_strides(nd, PyArray_DIMS(like), order, PyDataType_ELSIZE(descr), strides);
  return new_array(descr, nd, PyArray_DIMS(like), strides);
}

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
PyArrayObject* target(PyObject* out, PyArrayObject* like, int type, bool& fresh) {
  fresh = !out || out == Py_None;
  if (fresh) return reinterpret_cast<PyArrayObject*>(new_like(like, type));
  PyArrayObject* a = as_array(out);
  if (!a || PyArray_TYPE(a) != type || !PyArray_ISBEHAVED(a) || !same_shape(a, like) || !dense(a) || !same_order(a, like))
    return nullptr;
  Py_INCREF(a);
  return a;
}

// Whether writing `out` element by element would change elements of `a` that are still to be read.
bool clobbers(PyArrayObject* out, PyArrayObject* a) {
  if (!overlap(out, a)) return false;
  return PyArray_BYTES(out) != PyArray_BYTES(a) || PyArray_ITEMSIZE(out) != PyArray_ITEMSIZE(a);
}

PyObject* done(PyArrayObject* a) { return reinterpret_cast<PyObject*>(a); }

PyObject* give_up(PyArrayObject* a) {
  Py_XDECREF(a);
  return nullptr;
}

// -- one operand ------------------------------------------------------------------------------------------

// The float32 loop on operands of 16 bits, a block at a time; results have 16 bits too where they are numbers.
void low_unary(UnaryLoop loop, int low, bool numbers, const char* x, char* out, std::int64_t n, const double* params) {
  alignas(64) float block[kLowBlock];
  for (std::int64_t i = 0; i < n; i += kLowBlock) {
    const std::int64_t count = std::min(kLowBlock, n - i);
    low_loops().widen[low](reinterpret_cast<const std::uint16_t*>(x) + i, block, count);
    loop(block, numbers ? reinterpret_cast<char*>(block) : out + i, count, params, false);
    if (numbers) low_loops().narrow[low](block, reinterpret_cast<std::uint16_t*>(out) + i, count);
  }
}

PyObject* run_unary(UnaryLoop loop, PyArrayObject* x, PyObject* out, int type, const double* params) {
  const int low = low_kind(x);
  const bool numbers = type != NPY_BOOL;
  if (low >= 0 && numbers) type = PyArray_TYPE(x);
  if (!dense(x)) {  // then a dense copy is changed in place
    if (out && out != Py_None) return nullptr;
    PyArrayObject* copy = reinterpret_cast<PyArrayObject*>(PyArray_NewCopy(x, NPY_KEEPORDER));
    if (!copy) return nullptr;
    PyObject* result = run_unary(loop, copy, type == PyArray_TYPE(copy) ? done(copy) : nullptr, type, params);
    Py_DECREF(copy);
    return result;
  }
  bool fresh;
  PyArrayObject* o = target(out, x, type, fresh);
  if (!o || (!fresh && clobbers(o, x))) return give_up(o);
  const char* from = PyArray_BYTES(x);
  const npy_intp item = PyArray_ITEMSIZE(x);
  if (arenas_in_use() && low < 0) note_unary(loop, params, from, PyArray_BYTES(o), PyArray_SIZE(x), item, PyArray_ITEMSIZE(o));
  run_flat(PyArray_SIZE(x), PyArray_ITEMSIZE(o), PyArray_BYTES(o), fresh,
           [=](std::int64_t begin, char* to, std::int64_t count, bool stream) {
             if (low >= 0)
               low_unary(loop, low, numbers, from + begin * item, to, count, params);
             else
               loop(from + begin * item, to, count, params, stream);
           });
  return done(o);
}

// The first operand where native code covers it, and the kind of the loops for it in `kind`: float32's for 16 bits.
PyArrayObject* float_operand(PyObject* o, int& kind) {
  PyArrayObject* x = as_array(o);
  if (!x) return nullptr;
  if ((kind = float_kind(x)) < 0 && low_kind(x) >= 0) kind = 0;
  return kind >= 0 && readable(x) && PyArray_NDIM(x) <= kMaxDims ? x : nullptr;
}

// Numbers at places first .. first + count; an absent one keeps its default.
bool read_params(const Call& call, int first, int count, double* params) {
  for (int i = 0; i < count; ++i) {
    PyObject* o = call[first + i];
    if (o && !number(o, params[i])) return false;
  }
  return true;
}

// The place of `out`: the last parameter.
PyObject* out_of(const Call& call) { return call[call.kernel.out]; }

struct Defaults {
  int count;
  double values[3];
};

// Numbers that follow the operands in the call, and their defaults, by name of the kernel.
const std::unordered_map<std::string, Defaults>& parameter_table() {
  static const auto* const table = new std::unordered_map<std::string, Defaults>{
      {"softplus", {2, {1, 20, 0}}},          {"softplus_backward", {2, {1, 20, 0}}},
      {"elu", {3, {1, 1, 1}}},                {"elu_backward", {3, {1, 1, 1}}},
      {"leaky_relu", {1, {0.01, 0, 0}}},      {"leaky_relu_backward", {1, {0.01, 0, 0}}},
      {"softshrink", {1, {0.5, 0, 0}}},       {"hardshrink", {1, {0.5, 0, 0}}},
      {"hardshrink_backward", {1, {0.5, 0, 0}}}, {"threshold", {2, {0, 0, 0}}},
      {"threshold_backward", {1, {0, 0, 0}}}, {"hardtanh_backward", {2, {-1, 1, 0}}},
      {"mul_add", {1, {1, 0, 0}}},
  };
  return *table;
}

Defaults defaults_of(const std::string& name) {
  const auto found = parameter_table().find(name);
  return found == parameter_table().end() ? Defaults{0, {0, 0, 0}} : found->second;
}

std::vector<Defaults>& defaults_by_option() {
  static auto* const list = new std::vector<Defaults>;
  return *list;
}

PyObject* unary_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x) return nullptr;
  const UnaryLoop loop = elementwise_loops().unary[call.kernel.op][kind];
  const Defaults& defaults = defaults_by_option()[static_cast<std::size_t>(call.kernel.option)];
  double params[3] = {defaults.values[0], defaults.values[1], defaults.values[2]};
  if (defaults.count && !read_params(call, 1, defaults.count, params)) return nullptr;
  return run_unary(loop, x, out_of(call), kTypes[kind], params);
}

PyObject* test_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x) return nullptr;
  const double params[3] = {};
  return run_unary(elementwise_loops().test[call.kernel.op][kind], x, out_of(call), NPY_BOOL, params);
}

// -- functions of libm and its like, element by element ------------------------------------------------------

template <class T, double (*F)(double)> void special_loop(const void* x, void* out, std::int64_t n, const double*, bool) {
  const T* a = static_cast<const T*>(x);
  T* o = static_cast<T*>(out);
  for (std::int64_t i = 0; i < n; ++i) o[i] = static_cast<T>(F(static_cast<double>(a[i])));
}

enum Special { kErfc, kErfinv, kLgamma, kDigamma, kTrigamma, kErfcx, kLogNdtr, kNdtri };

constexpr UnaryLoop kSpecial[][2] = {
    {special_loop<float, erfc_of>, special_loop<double, erfc_of>},
    {special_loop<float, erfinv_of<1>>, special_loop<double, erfinv_of<2>>},
    {special_loop<float, lgamma_of>, special_loop<double, lgamma_of>},
    {special_loop<float, digamma_of>, special_loop<double, digamma_of>},
    {special_loop<float, trigamma_of>, special_loop<double, trigamma_of>},
    {special_loop<float, erfcx_of>, special_loop<double, erfcx_of>},
    {special_loop<float, log_ndtr_of>, special_loop<double, log_ndtr_of>},
    {special_loop<float, ndtri_of>, special_loop<double, ndtri_of>},
};

PyObject* special_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x) return nullptr;
  const double params[3] = {};
  return run_unary(kSpecial[call.kernel.op][kind], x, out_of(call), kTypes[kind], params);
}

UnaryLoop unary(Unary op, int kind) { return elementwise_loops().unary[static_cast<int>(op)][kind]; }

// clamp, hardtanh (limits -1 and 1 by default) and relu6 (limits 0 and 6).
enum Limits { kNone, kUnit, kSix };

PyObject* clamp_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x) return nullptr;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double limits[3][2] = {{-infinity, infinity}, {-1, 1}, {0, 6}};
  double params[3] = {limits[call.kernel.option][0], limits[call.kernel.option][1], 0};
  for (int i = 0; i < 2 && call.kernel.option != kSix; ++i) {
    PyObject* o = call[i + 1];
    if (o && o != Py_None && (!number(o, params[i]) || std::isnan(params[i]))) return nullptr;
  }
  return run_unary(unary(Unary::clamp, kind), x, out_of(call), kTypes[kind], params);
}

PyObject* celu_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  double params[3] = {1, 1, 1};
  if (!x || !read_params(call, 1, 1, params)) return nullptr;
  params[2] = 1 / params[0];
  return run_unary(unary(Unary::elu, kind), x, out_of(call), kTypes[kind], params);
}

PyObject* selu_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x) return nullptr;
  const double params[3] = {1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1};
  return run_unary(unary(Unary::elu, kind), x, out_of(call), kTypes[kind], params);
}

// Whether the argument `approximate` asks for the tanh form; false in `known` where it is something else.
bool approximate_tanh(PyObject* text, bool& known) {
  known = true;
  if (!text) return false;
  if (PyUnicode_Check(text)) {
    if (PyUnicode_CompareWithASCIIString(text, "tanh") == 0) return true;
    if (PyUnicode_CompareWithASCIIString(text, "none") == 0) return false;
  }
  known = false;
  return false;
}

PyObject* gelu_attempt(const Call& call) {
  int kind = -1;
  bool known;
  PyArrayObject* x = float_operand(call[0], kind);
  const bool approximate = approximate_tanh(call[1], known);
  if (!x || !known) return nullptr;
  const double params[3] = {};
  return run_unary(unary(approximate ? Unary::gelu_tanh : Unary::gelu, kind), x, out_of(call), kTypes[kind], params);
}

// -- two operands -----------------------------------------------------------------------------------------

// How two operands are walked: nested axes, the innermost last, with byte strides for x, y and the result.
struct Walk {
  int axes = 0;
  std::int64_t size[kMaxDims];
  npy_intp x[kMaxDims], y[kMaxDims], out[kMaxDims];
};

// Both operands' strides in a common shape (0 along broadcast axes); false where the shapes do not broadcast.
bool broadcast(PyArrayObject* x, PyArrayObject* y, int& nd, npy_intp* shape, npy_intp* sx, npy_intp* sy) {
  nd = std::max(PyArray_NDIM(x), PyArray_NDIM(y));
  for (int i = 0; i < nd; ++i) {
    const int ix = i - nd + PyArray_NDIM(x), iy = i - nd + PyArray_NDIM(y);
    const npy_intp dx = ix < 0 ? 1 : PyArray_DIM(x, ix), dy = iy < 0 ? 1 : PyArray_DIM(y, iy);
    if (dx != dy && dx != 1 && dy != 1) return false;
    shape[i] = dx == 1 ? dy : dx;
    sx[i] = dx == 1 ? 0 : PyArray_STRIDE(x, ix);
    sy[i] = dy == 1 ? 0 : PyArray_STRIDE(y, iy);
  }
  return true;
}

bool has_shape(PyArrayObject* a, int nd, const npy_intp* shape) {
  return PyArray_NDIM(a) == nd && std::equal(shape, shape + nd, PyArray_DIMS(a));
}

// Joins axes that all operands step through as one.
Walk coalesce(int nd, const npy_intp* shape, const int* order, const npy_intp* sx, const npy_intp* sy, const npy_intp* so) {
  Walk w;
  for (int k = 0; k < nd; ++k) {
    const int i = order[k];
    if (shape[i] == 1) continue;
    const int last = w.axes - 1;
    if (last >= 0 && w.x[last] == sx[i] * shape[i] && w.y[last] == sy[i] * shape[i] && w.out[last] == so[i] * shape[i]) {
      w.size[last] *= shape[i];
    } else {
      w.size[++w.axes - 1] = shape[i];
    }
    const int at = w.axes - 1;
    w.x[at] = sx[i], w.y[at] = sy[i], w.out[at] = so[i];
  }
  if (w.axes == 0) {
    w.axes = 1;
    w.size[0] = 1;
    w.x[0] = w.y[0] = w.out[0] = 0;
  }
  return w;
}

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
  void run_low(const char* x, npy_intp x_step, const char* y, npy_intp y_step, char* out, std::int64_t n, Mode mode) const {
    alignas(64) float wide_x[kLowBlock], wide_y[kLowBlock];
    const auto operand = [&](const char* from, npy_intp step, std::int64_t i, std::int64_t count, float* wide) -> const void* {
      if (step != 2) return from + i * step;
      low_loops().widen[low](reinterpret_cast<const std::uint16_t*>(from) + i, wide, count);
      return wide;
    };
    for (std::int64_t i = 0; i < n; i += kLowBlock) {
      const std::int64_t count = std::min(kLowBlock, n - i);
      const void *px = operand(x, x_step, i, count, wide_x), *py = operand(y, y_step, i, count, wide_y);
      loop(px, py, out_item == 2 ? reinterpret_cast<char*>(wide_x) : out + i * out_item, count, mode, params, false);
      if (out_item == 2) low_loops().narrow[low](wide_x, reinterpret_cast<std::uint16_t*>(out) + i, count);
    }
  }
};

// body(row, x, y, out) with pointers for rows [first, last) of the outer axes.
template <class Body> void each_row(const Walk& w, const char* x, const char* y, char* out, std::int64_t first, std::int64_t last, const Body& body) {
  const int outer = w.axes - 1;
  std::int64_t index[kMaxDims];
  std::int64_t rest = first;
  for (int k = outer - 1; k >= 0; --k) {
    index[k] = rest % w.size[k];
    rest /= w.size[k];
    x += index[k] * w.x[k], y += index[k] * w.y[k], out += index[k] * w.out[k];
  }
  for (std::int64_t row = first; row < last; ++row) {
    body(x, y, out);
    for (int k = outer - 1; k >= 0; --k) {
      x += w.x[k], y += w.y[k], out += w.out[k];
      if (++index[k] < w.size[k]) break;
      x -= w.size[k] * w.x[k], y -= w.size[k] * w.y[k], out -= w.size[k] * w.out[k];
      index[k] = 0;
    }
  }
}

// Copies of one broadcast operand's elements for `rows` rows of n, so that short rows are done many at a time.
template <class T> void spread(const char* from, npy_intp row_step, npy_intp step, std::int64_t rows, std::int64_t n, void* to) {
  T* t = static_cast<T*>(to);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < n; ++i) *t++ = *reinterpret_cast<const T*>(from + r * row_step + i * step);
}

// Short rows of a two-axis walk in which one operand is contiguous throughout and the other broadcast.
void run_short_rows(const Walk& w, const Pair& p, const char* x, const char* y, char* out) {
  const std::int64_t n = w.size[1], rows = w.size[0];
  const bool spread_y = w.x[0] == n * p.x_item && w.x[1] == p.x_item;
  const std::int64_t at_once = kLoopBlock / 2 / n;
  const npy_intp item = spread_y ? p.y_item : p.x_item;
  const char* source = spread_y ? y : x;
  const npy_intp row_step = spread_y ? w.y[0] : w.x[0], step = spread_y ? w.y[1] : w.x[1];
  parallel_for((rows + at_once - 1) / at_once, std::max<std::int64_t>(1, kGrain / (at_once * n)), [&](std::int64_t first, std::int64_t last) {
    alignas(64) char block[kLoopBlock * 8];
    for (std::int64_t b = first; b < last; ++b) {
      const std::int64_t start = b * at_once, count = std::min(at_once, rows - start);
      if (row_step != 0 || b == first) {
        const char* from = source + start * row_step;
        if (item == 4)
          spread<std::uint32_t>(from, row_step, step, row_step ? count : at_once, n, block);
        else if (item == 8)
          spread<std::uint64_t>(from, row_step, step, row_step ? count : at_once, n, block);
      }
      const char* px = spread_y ? x + start * w.x[0] : block;
      const char* py = spread_y ? block : y + start * w.y[0];
      p.loop(px, py, out + start * w.out[0], count * n, kBoth, p.params, false);
    }
  });
}

// False where the innermost axis is neither contiguous nor broadcast in some operand.
bool run_walk(const Walk& w, const Pair& p, const char* x, const char* y, char* out) {
  const int inner = w.axes - 1;
  const std::int64_t n = w.size[inner];
  if (n > 1 && ((w.x[inner] && w.x[inner] != p.x_item) || (w.y[inner] && w.y[inner] != p.y_item) || w.out[inner] != p.out_item))
    return false;
  if (n > 1 && !w.x[inner] && !w.y[inner]) return false;  // both broadcast: the loops read at least one in full
  const Mode mode = n == 1 || (w.x[inner] && w.y[inner]) ? kBoth : w.x[inner] ? kSecondSingle : kFirstSingle;
  std::int64_t rows = 1;
  for (int k = 0; k < inner; ++k) rows *= w.size[k];
  if (rows == 1) {
    parallel_for(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
      p.loop(x + begin * w.x[inner], y + begin * w.y[inner], out + begin * p.out_item, end - begin, mode, p.params, false);
    });
    return true;
  }
  const bool x_flat = w.x[0] == n * p.x_item && w.x[inner] == p.x_item, y_flat = w.y[0] == n * p.y_item && w.y[inner] == p.y_item;
  const npy_intp spread_item = x_flat ? p.y_item : p.x_item;
  if (w.axes == 2 && n <= 64 && (x_flat || y_flat) && w.out[0] == n * p.out_item && spread_item >= 4) {
    run_short_rows(w, p, x, y, out);
    return true;
  }
  parallel_for(rows, std::max<std::int64_t>(1, kGrain / n), [&](std::int64_t first, std::int64_t last) {
    each_row(w, x, y, out, first, last,
             [&](const char* px, const char* py, char* po) { p.loop(px, py, po, n, mode, p.params, false); });
  });
  return true;
}

// `a` broadcast to a shape and laid out with these strides.
PyArrayObject* laid_out(PyArrayObject* a, int nd, const npy_intp* shape, const int* order) {
  npy_intp strides[kMaxDims];
  dense_strides(nd, shape, order, PyArray_ITEMSIZE(a), strides);
  PyArray_Descr* descr = PyArray_DESCR(a);
  Py_INCREF(descr);
  PyArrayObject* copy = reinterpret_cast<PyArrayObject*>(new_array(descr, nd, shape, strides));
  if (copy && PyArray_CopyInto(copy, a) < 0) return reinterpret_cast<PyArrayObject*>(give_up(copy));
  return copy;
}

// Operands of different shapes or layouts.
PyObject* run_broadcast(const Pair& p, PyArrayObject* x, PyArrayObject* y, PyObject* out, int type) {
  int nd, order[kMaxDims];
  npy_intp shape[kMaxDims] = {}, sx[kMaxDims], sy[kMaxDims], so[kMaxDims];
  if (p.low >= 0 || !broadcast(x, y, nd, shape, sx, sy)) return nullptr;
  PyArrayObject* leader = has_shape(x, nd, shape) ? x : has_shape(y, nd, shape) ? y : nullptr;
  if (leader)
    memory_order(leader, order);
  else
    for (int i = 0; i < nd; ++i) order[i] = i;
  dense_strides(nd, shape, order, p.out_item, so);
  PyArrayObject* o;
  if (out && out != Py_None) {
    o = as_array(out);
    if (!o || PyArray_TYPE(o) != type || !PyArray_ISBEHAVED(o) || !has_shape(o, nd, shape) || !dense(o)) return nullptr;
    if ((overlap(o, x) && !(o == x && dense(x))) || (overlap(o, y) && !(o == y && dense(y)))) return nullptr;
    memory_order(o, order);
    dense_strides(nd, shape, order, p.out_item, so);
    Py_INCREF(o);
  } else {
    o = reinterpret_cast<PyArrayObject*>(new_array(PyArray_DescrFromType(type), nd, shape, so));
    if (!o) return nullptr;
  }
  if (PyArray_SIZE(o) == 0) return done(o);
  const Walk w = coalesce(nd, shape, order, sx, sy, so);
  if (run_walk(w, p, PyArray_BYTES(x), PyArray_BYTES(y), PyArray_BYTES(o))) return done(o);
  // An operand is strided along the innermost axis: lay it out first.
  const int inner = w.axes - 1;
  const bool bad_x = w.x[inner] && w.x[inner] != p.x_item, bad_y = w.y[inner] && w.y[inner] != p.y_item;
  PyArrayObject* px = bad_x ? laid_out(x, nd, shape, order) : x;
  PyArrayObject* py = bad_y ? laid_out(y, nd, shape, order) : y;
  bool ok = px && py;
  if (ok) {
    const npy_intp* ax = bad_x ? PyArray_STRIDES(px) : sx;
    const npy_intp* ay = bad_y ? PyArray_STRIDES(py) : sy;
    ok = run_walk(coalesce(nd, shape, order, ax, ay, so), p, PyArray_BYTES(px), PyArray_BYTES(py), PyArray_BYTES(o));
  }
  if (bad_x) Py_XDECREF(px);
  if (bad_y) Py_XDECREF(py);
  return ok ? done(o) : give_up(o);
}

// One array and one number.
PyObject* run_single(const Pair& p, PyArrayObject* x, const void* single, Mode mode, PyObject* out, int type) {
  if (!dense(x)) return nullptr;
  bool fresh;
  PyArrayObject* o = target(out, x, type, fresh);
  if (!o || (!fresh && clobbers(o, x))) return give_up(o);
  const char* from = PyArray_BYTES(x);
  if (arenas_in_use() && p.low < 0) {
    const char* one = static_cast<const char*>(single);
    note_binary(p.loop, p.params, mode == kSecondSingle ? from : one, mode == kSecondSingle ? one : from, PyArray_BYTES(o), PyArray_SIZE(x),
                p.x_item, p.y_item, p.out_item, mode);
  }
  run_flat(PyArray_SIZE(x), p.out_item, PyArray_BYTES(o), fresh, [=](std::int64_t begin, char* to, std::int64_t count, bool stream) {
    const char* one = static_cast<const char*>(single);
    if (mode == kSecondSingle)
      p.run(from + begin * p.x_item, one, to, count, mode, stream);
    else
      p.run(one, from + begin * p.y_item, to, count, mode, stream);
  });
  return done(o);
}

PyObject* run_binary(const Pair& p, PyArrayObject* x, PyArrayObject* y, PyObject* out, int type) {
  if (same_shape(x, y) && dense(x) && dense(y) && same_order(x, y)) {
    bool fresh;
    PyArrayObject* o = target(out, x, type, fresh);
    if (!o || (!fresh && (clobbers(o, x) || clobbers(o, y)))) {
      give_up(o);
      return fresh ? nullptr : run_broadcast(p, x, y, out, type);
    }
    const char *px = PyArray_BYTES(x), *py = PyArray_BYTES(y);
    if (arenas_in_use() && p.low < 0) note_binary(p.loop, p.params, px, py, PyArray_BYTES(o), PyArray_SIZE(x), p.x_item, p.y_item, p.out_item, kBoth);
    run_flat(PyArray_SIZE(x), p.out_item, PyArray_BYTES(o), fresh, [=](std::int64_t begin, char* to, std::int64_t count, bool stream) {
      p.run(px + begin * p.x_item, py + begin * p.y_item, to, count, kBoth, stream);
    });
    return done(o);
  }
  return run_broadcast(p, x, y, out, type);
}

union Scalar {
  std::uint16_t h;
  float f;
  double d;
  std::int64_t i;
};

// A Python number as an element of a kind; false where it is none, or loses something as an int64.
bool scalar_of(PyObject* o, int kind, Scalar& s) {
  if (kind == 2) {
    if (!PyLong_CheckExact(o)) return false;
    int overflow;
    s.i = PyLong_AsLongLongAndOverflow(o, &overflow);
    return !overflow;
  }
  double value;
  if (!number(o, value)) return false;
  if (kind == 0)
    s.f = static_cast<float>(value);
  else
    s.d = value;
  return true;
}

// The element of an array without axes, in the loop's type.
const void* single_of(PyArrayObject* a, int low, Scalar& s) {
  if (low < 0) return PyArray_DATA(a);
  low_loops().widen[low](static_cast<const std::uint16_t*>(PyArray_DATA(a)), &s.f, 1);
  return &s;
}

// Sorts out the operands of x, y: arrays of one kind, or one array and one number.
PyObject* apply(const BinaryLoop* loops, int kinds, const Call& call, bool to_bool, const double* params) {
  PyArrayObject *x = as_array(call[0]), *y = as_array(call[1]);
  PyArrayObject* first = x ? x : y;
  if (!first || !call[0] || !call[1]) return nullptr;
  const int low = low_kind(first);
  int kind = low >= 0 ? 0 : float_kind(first);
  if (kind < 0 && PyArray_TYPE(first) == NPY_INT64) kind = 2;
  if (kind < 0 || kind >= kinds || !loops[kind] || !readable(first) || PyArray_NDIM(first) > kMaxDims) return nullptr;
  const npy_intp item = PyArray_ITEMSIZE(first);
  const int type = to_bool ? NPY_BOOL : PyArray_TYPE(first);
  const Pair p(loops[kind], params, item, item, to_bool ? 1 : item, low);
  Scalar s;
  PyObject* out = out_of(call);
  if (x && y) {
    if (low >= 0 && PyArray_TYPE(y) == NPY_FLOAT && PyArray_NDIM(y) == 0 && dense(x))  // a number, not rounded to 16 bits
      return run_single(p, x, PyArray_DATA(y), kSecondSingle, out, type);
    if (PyArray_TYPE(x) != PyArray_TYPE(y) || !readable(y) || PyArray_NDIM(y) > kMaxDims) return nullptr;
    if (PyArray_NDIM(y) == 0 && PyArray_NDIM(x) > 0 && dense(x)) return run_single(p, x, single_of(y, low, s), kSecondSingle, out, type);
    if (PyArray_NDIM(x) == 0 && PyArray_NDIM(y) > 0 && dense(y)) return run_single(p, y, single_of(x, low, s), kFirstSingle, out, type);
    return run_binary(p, x, y, out, type);
  }
  if (!scalar_of(x ? call[1] : call[0], kind, s)) return nullptr;
  return run_single(p, first, &s, x ? kSecondSingle : kFirstSingle, out, type);
}

PyObject* binary_attempt(const Call& call) {
  const Defaults& defaults = defaults_by_option()[static_cast<std::size_t>(call.kernel.option)];
  double params[3] = {defaults.values[0], defaults.values[1], defaults.values[2]};
  if (defaults.count && !read_params(call, 2, defaults.count, params)) return nullptr;
  return apply(elementwise_loops().binary[call.kernel.op], 2, call, false, params);
}

// add, sub, mul, which are native on int64 too.
PyObject* arithmetic_attempt(const Call& call) {
  const ElementwiseLoops& all = elementwise_loops();
  const BinaryLoop loops[3] = {all.binary[call.kernel.op][0], all.binary[call.kernel.op][1], all.integer[call.kernel.option]};
  const double params[3] = {};
  return apply(loops, 3, call, false, params);
}

// Whether integers are divided by something that may be 0, which the reference kernel reports.
bool divides_by_zero(PyObject* o) {
  PyArrayObject* y = as_array(o);
  if (!y) return PyLong_CheckExact(o) && PyObject_IsTrue(o) != 1;
  if (PyArray_TYPE(y) != NPY_INT64) return false;
  if (!PyArray_IS_C_CONTIGUOUS(y) || !readable(y)) return true;
  const std::int64_t* v = static_cast<const std::int64_t*>(PyArray_DATA(y));
  return std::find(v, v + PyArray_SIZE(y), 0) != v + PyArray_SIZE(y);
}

// fmod, remainder and floor_divide of float32 (and of 16 bits, by it) and int64.
PyObject* rest_attempt(const Call& call) {
  PyArrayObject *x = as_array(call[0]), *y = as_array(call[1]), *first = x ? x : y;
  if (!first || !call[1] || (PyArray_TYPE(first) == NPY_INT64 && divides_by_zero(call[1]))) return nullptr;
  const double params[3] = {};
  return apply(elementwise_loops().rest[call.kernel.op], 3, call, false, params);
}

PyObject* compare_attempt(const Call& call) {
  const double params[3] = {};
  return apply(elementwise_loops().compare[call.kernel.op], 3, call, true, params);
}

PyObject* clamp_backward_attempt(const Call& call) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double params[3] = {-infinity, infinity, 0};
  for (int i = 0; i < 2; ++i) {
    PyObject* o = call[i + 2];
    if (o && o != Py_None && !number(o, params[i])) return nullptr;
  }
  return apply(elementwise_loops().binary[static_cast<int>(Binary::clamp_backward)], 2, call, false, params);
}

PyObject* gelu_backward_attempt(const Call& call) {
  bool known;
  const Binary op = approximate_tanh(call[2], known) ? Binary::gelu_tanh_backward : Binary::gelu_backward;
  const double params[3] = {};
  return known ? apply(elementwise_loops().binary[static_cast<int>(op)], 2, call, false, params) : nullptr;
}

// Powers with these exponents are products and roots, as in PyTorch; the others are NumPy's.
PyObject* pow_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x || !call[1]) return nullptr;
  double exponent;
  PyArrayObject* y = as_array(call[1]);
  if (y) {
    if (PyArray_NDIM(y) || PyArray_TYPE(y) != PyArray_TYPE(x) || float_kind(y) < 0 || !readable(y)) return nullptr;
    exponent = kind == 0 ? *static_cast<float*>(PyArray_DATA(y)) : *static_cast<double*>(PyArray_DATA(y));
  } else if (!number(call[1], exponent)) {
    return nullptr;
  }
  constexpr struct {
    double exponent;
    Unary op;
  } known[] = {{2, Unary::square},      {3, Unary::cube},   {0.5, Unary::sqrt},
               {-1, Unary::reciprocal}, {-0.5, Unary::rsqrt}, {-2, Unary::inverse_square}};
  const double params[3] = {};
  for (const auto& k : known)
    if (k.exponent == exponent) return run_unary(unary(k.op, kind), x, out_of(call), kTypes[kind], params);
  return nullptr;
}

PyObject* mask_scale_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject *x = float_operand(call[0], kind), *mask = as_array(call[1]);
  double params[3] = {1, 0, 0};
  if (!x || !mask || PyArray_ITEMSIZE(mask) != 1 || !call[2] || !number(call[2], params[0])) return nullptr;
  const npy_intp item = PyArray_ITEMSIZE(x);
  const Pair p(elementwise_loops().mask_scale[kind], params, item, 1, item, low_kind(x));
  if (!same_shape(x, mask)) return nullptr;
  return run_binary(p, x, mask, out_of(call), PyArray_TYPE(x));
}

// -- where and copy -----------------------------------------------------------------------------------------

// A branch of `where`: an array laid out as the test, or a single element.
bool where_branch(PyObject* o, PyArrayObject* test, int kind, int low, Scalar& s, const char*& from, bool& single) {
  PyArrayObject* a = as_array(o);
  single = !a || PyArray_NDIM(a) == 0;
  if (!a) {
    from = reinterpret_cast<const char*>(&s);
    if (!scalar_of(o, kind, s)) return false;
    if (low >= 0) {
      const float value = s.f;
      low_loops().narrow[low](&value, &s.h, 1);
    }
    return true;
  }
  from = PyArray_BYTES(a);
  return readable(a) && (single || (same_shape(a, test) && dense(a) && same_order(a, test)));
}

PyObject* where_attempt(const Call& call) {
  PyArrayObject *test = as_array(call[0]), *x = as_array(call[1]), *y = as_array(call[2]);
  PyArrayObject* typed = x ? x : y;
  if (!test || !typed || PyArray_TYPE(test) != NPY_BOOL || !dense(test) || (x && y && PyArray_TYPE(x) != PyArray_TYPE(y))) return nullptr;
  const int type = PyArray_TYPE(typed);
  const int low = low_kind(type);
  int kind = low >= 0 ? 0 : float_kind(typed);
  if (kind < 0 && type == NPY_INT64) kind = 2;
  if (kind < 0) return nullptr;
  Scalar sx, sy;
  const char *px, *py;
  bool single_x, single_y, fresh;
  if (!where_branch(call[1], test, kind, low, sx, px, single_x) || !where_branch(call[2], test, kind, low, sy, py, single_y)) return nullptr;
  if (out_of(call) && out_of(call) != Py_None) return nullptr;
  PyArrayObject* o = target(nullptr, test, type, fresh);
  if (!o) return nullptr;
  const npy_intp item = PyArray_ITEMSIZE(typed);
  const WhereLoop loop = elementwise_loops().where[item == 2 ? 1 : item == 4 ? 2 : 3];
  const std::uint8_t* bytes = static_cast<const std::uint8_t*>(PyArray_DATA(test));
  if (PyArray_SIZE(o))
    run_flat(PyArray_SIZE(o), item, PyArray_BYTES(o), false, [=](std::int64_t begin, char* to, std::int64_t count, bool) {
      loop(bytes + begin, px + (single_x ? 0 : begin * item), py + (single_y ? 0 : begin * item), to, count, single_x, single_y);
    });
  return done(o);
}

PyObject* copy_attempt(const Call& call) {
  PyArrayObject *to = as_array(call[0]), *from = as_array(call[1]);
  if (!to || !from || !PyArray_ISWRITEABLE(to) || PyArray_NDIM(to) > kMaxDims) return nullptr;
  if (!readable(to) || !readable(from) || PyDataType_REFCHK(PyArray_DESCR(to))) return nullptr;
  if (PyArray_TYPE(to) != PyArray_TYPE(from)) return convert(to, from) ? Py_NewRef(call[0]) : nullptr;
  if (same_shape(to, from) && dense(to) && dense(from) && same_order(to, from) && !overlap(to, from)) {
    const char* source = PyArray_BYTES(from);
    const UnaryLoop loop = elementwise_loops().copy;
    run_flat(PyArray_NBYTES(to), 1, PyArray_BYTES(to), true, [=](std::int64_t begin, char* into, std::int64_t count, bool stream) {
      loop(source + begin, into, count, nullptr, stream);
    });
  } else if (PyArray_CopyInto(to, from) < 0) {
    return nullptr;
  }
  return Py_NewRef(call[0]);
}

// -- the module ---------------------------------------------------------------------------------------------

struct Entry {
  Attempt attempt;
  int op, option;
};

const std::unordered_map<std::string, Entry>& entries() {
  static const auto* const table = [] {
    auto* t = new std::unordered_map<std::string, Entry>;
    auto with_defaults = [](const char* name) {
      defaults_by_option().push_back(defaults_of(name));
      return static_cast<int>(defaults_by_option().size()) - 1;
    };
#define ENTRY(name) (*t)[#name] = {unary_attempt, static_cast<int>(Unary::name), with_defaults(#name)};
    RUSHLIGHT_UNARY(ENTRY)
#undef ENTRY
#define ENTRY(name) (*t)[#name] = {test_attempt, static_cast<int>(Test::name), 0};
    RUSHLIGHT_TEST(ENTRY)
#undef ENTRY
#define ENTRY(name) (*t)[#name] = {binary_attempt, static_cast<int>(Binary::name), with_defaults(#name)};
    RUSHLIGHT_BINARY(ENTRY)
#undef ENTRY
#define ENTRY(name) (*t)[#name] = {compare_attempt, static_cast<int>(Compare::name), 0};
    RUSHLIGHT_COMPARE(ENTRY)
#undef ENTRY
    (*t)["add"] = {arithmetic_attempt, static_cast<int>(Binary::add), 0};
    (*t)["sub"] = {arithmetic_attempt, static_cast<int>(Binary::sub), 1};
    (*t)["mul"] = {arithmetic_attempt, static_cast<int>(Binary::mul), 2};
    (*t)["fmod"] = {rest_attempt, 0, 0};
    (*t)["remainder"] = {rest_attempt, 1, 0};
    (*t)["floor_divide"] = {rest_attempt, 2, 0};
    (*t)["sgn"] = (*t)["sign"];
    (*t)["erfc"] = {special_attempt, kErfc, 0};
    (*t)["erfinv"] = {special_attempt, kErfinv, 0};
    (*t)["lgamma"] = {special_attempt, kLgamma, 0};
    (*t)["digamma"] = {special_attempt, kDigamma, 0};
    (*t)["trigamma"] = {special_attempt, kTrigamma, 0};
    (*t)["erfcx"] = {special_attempt, kErfcx, 0};
    (*t)["log_ndtr"] = {special_attempt, kLogNdtr, 0};
    (*t)["ndtri"] = {special_attempt, kNdtri, 0};
    (*t)["clamp"] = {clamp_attempt, 0, kNone};
    (*t)["hardtanh"] = {clamp_attempt, 0, kUnit};
    (*t)["relu6"] = {clamp_attempt, 0, kSix};
    (*t)["celu"] = {celu_attempt, 0, 0};
    (*t)["selu"] = {selu_attempt, 0, 0};
    (*t)["gelu"] = {gelu_attempt, 0, 0};
    (*t)["gelu_backward"] = {gelu_backward_attempt, 0, 0};
    (*t)["clamp_backward"] = {clamp_backward_attempt, 0, 0};
    (*t)["pow"] = {pow_attempt, 0, 0};
    (*t)["mask_scale"] = {mask_scale_attempt, 0, 0};
    (*t)["where"] = {where_attempt, 0, 0};
    (*t)["copy"] = {copy_attempt, 0, 0};
    (*t)["cast"] = {cast_attempt, 0, 0};
    for (const char* internal : {"gelu_tanh", "gelu_tanh_backward", "cube", "inverse_square"}) t->erase(internal);
    return t;
  }();
  return *table;
}

// The native form of a reference kernel; where there is none, that kernel with 16-bit operands widened by native code.
nb::object elementwise(nb::object reference) {
  const auto found = entries().find(nb::cast<std::string>(reference.attr("__name__")));
  if (found == entries().end()) return make_kernel(nullptr, 0, 0, reference, true, true);
  const bool converts = found->second.attempt == copy_attempt || found->second.attempt == cast_attempt;
  return make_kernel(found->second.attempt, found->second.op, found->second.option, reference, true, !converts);
}

}  // namespace

void bind_elementwise(nb::module_& m) {
  m.def("elementwise", &elementwise, nb::arg("reference"), "The native form of a reference kernel, where there is one.");
}

}  // namespace rushlight

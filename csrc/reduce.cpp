// Reductions over any axes of float32 and float64 arrays, arg-reductions and softmax along one.
//
// Work is cut into pieces whose size depends on the shape alone, and partial results are joined in order: a result
// does not depend on the number of threads.
#include "reduce_loops.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "kernel.h"
#include "layout.h"
#include "levels.h"
#include "pool.h"

namespace rushlight {

RUSHLIGHT_LEVELS(ReduceLoops, reduce_table)
const ReduceLoops& reduce_loops() {
  static const ReduceLoops& table = RUSHLIGHT_PICK(reduce_table);
  return table;
}

namespace {

constexpr std::int64_t kPiece = 16384;  // elements that make one partial result
constexpr std::int64_t kColumns = 4096;
constexpr std::size_t kKept = std::size_t{1} << 20;  // doubles

struct Axis {
  std::int64_t size;
  npy_intp stride;
};

// An array's axes from the outermost in memory to the innermost, neighbours joined: kept ones, and reduced ones.
struct Plan {
  std::vector<Axis> kept, reduced;
  bool rows = false;  // the innermost axis is reduced, and contiguous
  std::int64_t outputs = 1, combined = 1;
};

std::int64_t product(const std::vector<Axis>& axes) {
  std::int64_t n = 1;
  for (const Axis& a : axes) n *= a.size;
  return n;
}

// Byte offset of the i-th index tuple of nested axes.
npy_intp offset(const std::vector<Axis>& axes, std::int64_t i) {
  npy_intp at = 0;
  for (std::size_t k = axes.size(); k-- > 0;) {
    at += (i % axes[k].size) * axes[k].stride;
    i /= axes[k].size;
  }
  return at;
}

// False where the innermost axis is not contiguous.
bool make_plan(PyArrayObject* x, const bool* reduce, const int* order, Plan& plan) {
  const int nd = PyArray_NDIM(x);
  bool last_reduced = false;
  npy_intp last_stride = PyArray_ITEMSIZE(x);
  const Axis* previous = nullptr;
  for (int k = 0; k < nd; ++k) {
    const int i = order[k];
    const std::int64_t n = PyArray_DIM(x, i);
    if (n == 1) continue;
    const npy_intp stride = PyArray_STRIDE(x, i);
    if (stride <= 0) return false;
    std::vector<Axis>& list = reduce[i] ? plan.reduced : plan.kept;
    if (previous && last_reduced == reduce[i] && previous->stride == stride * n) {
      list.back() = {list.back().size * n, stride};
    } else {
      list.push_back({n, stride});
    }
    previous = &list.back();
    last_reduced = reduce[i];
    last_stride = stride;
  }
  plan.rows = last_reduced;
  plan.outputs = product(plan.kept);
  plan.combined = product(plan.reduced);
  return last_stride == PyArray_ITEMSIZE(x);
}

double join(Reduce op, double a, double b) {
  if (op == Reduce::sum || op == Reduce::squares) return a + b;
  if (op == Reduce::prod) return a * b;
  if (a != a) return a;
  if (op == Reduce::max) return a >= b ? a : b;
  return a <= b ? a : b;
}

double start_of(Reduce op) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return op == Reduce::max ? -infinity : op == Reduce::min ? infinity : op == Reduce::prod;
}

// The innermost axis is reduced: runs of it, gathered into pieces of about kPiece elements, for each output.
void reduce_rows(const Plan& plan, Reduce op, int kind, const char* x, const double* means, double* result) {
  const ReduceLoop loop = reduce_loops().rows[static_cast<int>(op)][kind];
  const npy_intp item = kind == 0 ? 4 : 8;
  std::vector<Axis> outer = plan.reduced;
  const std::int64_t n = outer.empty() ? 1 : outer.back().size;
  if (!outer.empty()) outer.pop_back();
  if (outer.empty() && plan.kept.size() <= 1 && n <= kPiece) {  // plain rows
    const npy_intp stride = plan.kept.empty() ? 0 : plan.kept[0].stride;
    parallel_for(plan.outputs, std::max<std::int64_t>(1, kGrain / n), [&](std::int64_t first, std::int64_t last) {
      std::fill(result + first, result + last, start_of(op));
      loop(x + first * stride, last - first, stride / item, n, result + first, means ? means + first : nullptr);
    });
    return;
  }
  const std::int64_t runs = product(outer);
  const std::int64_t grouped = std::max<std::int64_t>(1, kPiece / n);  // runs in a piece
  const std::int64_t cuts = (n + kPiece - 1) / kPiece;                 // pieces of a run
  const std::int64_t pieces = cuts > 1 ? runs * cuts : (runs + grouped - 1) / grouped;
  std::vector<double> partial(static_cast<std::size_t>(pieces > 1 ? plan.outputs * pieces : 0));
  double* to = pieces > 1 ? partial.data() : result;
  const std::int64_t elements = std::max<std::int64_t>(1, plan.combined / pieces);
  parallel_for(plan.outputs * pieces, std::max<std::int64_t>(1, kGrain / elements), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t w = first; w < last; ++w) {
      const std::int64_t k = w / pieces, piece = w % pieces;
      const char* base = x + offset(plan.kept, k);
      const double* mean = means ? means + k : nullptr;
      to[w] = start_of(op);
      if (cuts > 1) {
        const std::int64_t begin = piece % cuts * kPiece;
        loop(base + offset(outer, piece / cuts) + begin * item, 1, 0, std::min(kPiece, n - begin), to + w, mean);
      } else {
        for (std::int64_t r = piece * grouped; r < std::min(runs, (piece + 1) * grouped); ++r)
          loop(base + offset(outer, r), 1, 0, n, to + w, mean);
      }
    }
  });
  if (pieces == 1) return;
  for (std::int64_t k = 0; k < plan.outputs; ++k) {
    double total = start_of(op);
    for (std::int64_t p = 0; p < pieces; ++p) total = join(op, total, to[k * pieces + p]);
    result[k] = total;
  }
}

// The innermost axis is kept: rows are added up side by side, in groups of rows.
void reduce_columns(const Plan& plan, Reduce op, int kind, const char* x, const double* means, double* result) {
  const ReduceLoop loop = reduce_loops().columns[static_cast<int>(op)][kind];
  const npy_intp item = kind == 0 ? 4 : 8;
  std::vector<Axis> above = plan.kept, outer = plan.reduced;
  const std::int64_t n = above.back().size;
  above.pop_back();
  const Axis inner = outer.empty() ? Axis{1, item} : outer.back();
  if (!outer.empty()) outer.pop_back();
  const std::int64_t blocks = (n + kColumns - 1) / kColumns, tops = product(above), outers = product(outer);
  // Enough rows in a group for a piece, and not more than 64 groups.
  const std::int64_t group = std::max({std::int64_t{1}, kPiece / std::min(n, kColumns), (inner.size + 63) / 64});
  const std::int64_t groups = (inner.size + group - 1) / group, pieces = outers * groups;
  std::vector<double> partial(static_cast<std::size_t>(pieces > 1 ? pieces * tops * n : 0));
  double* to = pieces > 1 ? partial.data() : result;
  const std::int64_t elements = std::max<std::int64_t>(1, std::min(n, kColumns) * std::min(group, inner.size));
  parallel_for(pieces * tops * blocks, std::max<std::int64_t>(1, kGrain / elements), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t w = first; w < last; ++w) {
      const std::int64_t block = w % blocks, top = w / blocks % tops, piece = w / blocks / tops;
      const std::int64_t begin = block * kColumns, count = std::min(kColumns, n - begin);
      const std::int64_t row = piece % groups * group;
      const char* base = x + offset(above, top) + offset(outer, piece / groups) + row * inner.stride + begin * item;
      double* into = to + (piece * tops + top) * n + begin;
      std::fill(into, into + count, start_of(op));
      loop(base, std::min(group, inner.size - row), inner.stride / item, count, into, means ? means + top * n + begin : nullptr);
    }
  });
  if (pieces == 1) return;
  std::copy(to, to + tops * n, result);
  for (std::int64_t p = 1; p < pieces; ++p)
    for (std::int64_t j = 0; j < tops * n; ++j) result[j] = join(op, result[j], to[p * tops * n + j]);
}

// Few columns, one after another in memory: several rows are taken as one, and the columns folded at the end.
void reduce_narrow(const Plan& plan, Reduce op, int kind, const char* x, const double* means, double* result) {
  const npy_intp item = kind == 0 ? 4 : 8;
  const std::int64_t n = plan.outputs, rows = plan.combined, taken = 64, whole = rows / taken * taken;
  Plan wide;
  wide.kept = {{n * taken, item}};
  wide.reduced = {{whole / taken, n * taken * item}};
  wide.outputs = n * taken;
  wide.combined = whole / taken;
  std::vector<double> repeated, columns(static_cast<std::size_t>(wide.outputs));
  for (std::int64_t r = 0; r < taken && means; ++r) repeated.insert(repeated.end(), means, means + n);
  reduce_columns(wide, op, kind, x, means ? repeated.data() : nullptr, columns.data());
  std::fill(result, result + n, start_of(op));
  for (std::int64_t j = 0; j < wide.outputs; ++j) result[j % n] = join(op, result[j % n], columns[static_cast<std::size_t>(j)]);
  if (whole < rows)
    reduce_loops().columns[static_cast<int>(op)][kind](x + whole * n * item, rows - whole, n, n, result, means);
}

void reduce(const Plan& plan, Reduce op, int kind, const char* x, const double* means, double* result) {
  const npy_intp item = kind == 0 ? 4 : 8;
  const bool flat = plan.kept.size() == 1 && plan.reduced.size() == 1 && plan.reduced[0].stride == plan.kept[0].size * item;
  if (plan.rows || plan.kept.empty())
    reduce_rows(plan, op, kind, x, means, result);
  else if (flat && plan.outputs < 64 && plan.combined >= 512)
    reduce_narrow(plan, op, kind, x, means, result);
  else
    reduce_columns(plan, op, kind, x, means, result);
}

// Which axes an argument names: None for all, a number, or a tuple; false where it is not understood.
bool read_axes(PyObject* axes, int nd, bool* reduce) {
  std::fill(reduce, reduce + nd, !axes || axes == Py_None);
  if (!axes || axes == Py_None) return true;
  PyObject* const* items = &axes;
  Py_ssize_t count = 1;
  if (PyTuple_CheckExact(axes)) {
    items = reinterpret_cast<PyTupleObject*>(axes)->ob_item;
    count = PyTuple_GET_SIZE(axes);
  }
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (!PyLong_CheckExact(items[i])) return false;
    long axis = PyLong_AsLong(items[i]);
    if (axis < 0) axis += nd;
    if (axis < 0 || axis >= nd || reduce[axis]) return false;
    reduce[axis] = true;
  }
  return true;
}

bool flag(PyObject* o) { return o && o != Py_False && (o == Py_True || PyObject_IsTrue(o) == 1); }

PyArrayObject* operand(PyObject* o, int& kind) {
  PyArrayObject* x = as_array(o);
  if (!x || (kind = float_kind(x)) < 0 || !readable(x) || PyArray_NDIM(x) > kMaxDims || PyArray_SIZE(x) == 0) return nullptr;
  return x;
}

// The array for the result; its kept axes nested as those of x in memory.
PyObject* result_array(PyArrayObject* x, const bool* reduce, const int* order, bool keepdims, int type, bool& c_order) {
  const int nd = PyArray_NDIM(x);
  npy_intp shape[kMaxDims], strides[kMaxDims];
  npy_intp step = type == NPY_FLOAT ? 4 : 8;
  int place[kMaxDims], kept = 0;
  for (int i = 0; i < nd; ++i) {
    place[i] = kept;
    if (keepdims || !reduce[i]) shape[kept++] = reduce[i] ? 1 : PyArray_DIM(x, i);
  }
  c_order = true;
  int previous = nd;
  for (int k = nd - 1; k >= 0; --k) {
    const int i = order[k];
    if (reduce[i] && !keepdims) continue;
    strides[place[i]] = step;
    if (!reduce[i] && PyArray_DIM(x, i) > 1) {
      step *= PyArray_DIM(x, i);
      c_order = c_order && i < previous;
      previous = i;
    }
  }
  return new_array(PyArray_DescrFromType(type), kept, shape, c_order ? nullptr : strides);
}

template <class T> void store(const double* from, void* to, std::int64_t n, double divisor) {
  T* t = static_cast<T*>(to);
  if (divisor == 1)
    for (std::int64_t i = 0; i < n; ++i) t[i] = static_cast<T>(from[i]);
  else
    for (std::int64_t i = 0; i < n; ++i) t[i] = static_cast<T>(from[i] / divisor);
}

enum Kind { kSum, kMean, kMax, kMin, kVar, kNorm, kProd };

PyObject* reduction_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = operand(call[0], kind);
  if (!x) return nullptr;
  const int what = call.kernel.op, nd = PyArray_NDIM(x);
  bool over[kMaxDims] = {};
  double correction = 1;
  if (!read_axes(call[1], nd, over)) return nullptr;
  if (what == kVar && call[2] && !number(call[2], correction)) return nullptr;
  const bool keepdims = flag(call[what == kVar ? 3 : 2]);
  int order[kMaxDims];
  memory_order(x, order);
  Plan plan;
  nb::object copied;
  if (!make_plan(x, over, order, plan)) {
    copied = nb::steal(PyArray_NewCopy(x, NPY_KEEPORDER));
    if (!copied.is_valid()) return nullptr;
    x = array(copied);
    memory_order(x, order);
    plan = Plan{};
    if (!make_plan(x, over, order, plan)) return nullptr;
  }
  const int type = kind == 0 ? NPY_FLOAT : NPY_DOUBLE;
  bool c_order;
  nb::object made = nb::steal(result_array(x, over, order, keepdims, type, c_order));
  if (!made.is_valid()) return nullptr;
  double few[64];
  std::vector<double> many;
  double* result = few;
  if (plan.outputs > 32) {
    // Kept between calls where it is small enough: fresh pages cost more than the reduction.
    static thread_local std::vector<double> kept;
    const std::size_t wanted = static_cast<std::size_t>(plan.outputs) * (what == kVar ? 2 : 1);
    std::vector<double>& space = wanted <= kKept ? kept : many;
    if (space.size() < wanted) space.resize(wanted);
    result = space.data();
  }
  const char* data = PyArray_BYTES(x);
  const double count = static_cast<double>(plan.combined);
  double divisor = 1;
  if (what == kVar) {
    double* means = result + plan.outputs;
    reduce(plan, Reduce::sum, kind, data, nullptr, means);
    std::vector<double> lost(static_cast<std::size_t>(plan.outputs));
    for (std::int64_t i = 0; i < plan.outputs; ++i) {
      const double mean = means[i] / count;
      means[i] = kind == 0 ? static_cast<double>(static_cast<float>(mean)) : mean;  // loops subtract it in x's type
      lost[static_cast<std::size_t>(i)] = std::isfinite(means[i]) ? mean - means[i] : 0;
    }
    reduce(plan, Reduce::squares, kind, data, means, result);
    for (std::int64_t i = 0; i < plan.outputs; ++i) {
      const double off = lost[static_cast<std::size_t>(i)];
      if (off != 0) result[i] = std::max(0.0, result[i] - count * off * off);
    }
    divisor = std::max(0.0, count - correction);
  } else {
    constexpr Reduce ops[] = {Reduce::sum, Reduce::sum, Reduce::max, Reduce::min, Reduce::squares, Reduce::squares, Reduce::prod};
    const Reduce op = ops[what];
    reduce(plan, op, kind, data, nullptr, result);
    for (std::int64_t i = 0; i < plan.outputs && what == kNorm; ++i) result[i] = std::sqrt(result[i]);
    if (what == kMean) divisor = count;
  }
  if (kind == 0)
    store<float>(result, PyArray_DATA(array(made)), plan.outputs, divisor);
  else
    store<double>(result, PyArray_DATA(array(made)), plan.outputs, divisor);
  return c_order ? made.release().ptr() : PyArray_NewCopy(array(made), NPY_CORDER);
}

// -- along one axis -----------------------------------------------------------------------------------------

bool read_axis(PyObject* o, int nd, int& axis) {
  if (!o || !PyLong_CheckExact(o)) return false;
  long value = PyLong_AsLong(o);
  if (value < 0) value += nd;
  axis = static_cast<int>(value);
  return value >= 0 && value < nd;
}

// `x` with `axis` innermost in memory and the others in C order: x itself, or a copy.
nb::object with_rows(PyArrayObject* x, int axis) {
  const int nd = PyArray_NDIM(x);
  int order[kMaxDims], k = 0;
  npy_intp strides[kMaxDims];
  for (int i = 0; i < nd; ++i)
    if (i != axis) order[k++] = i;
  order[k] = axis;
  dense_strides(nd, PyArray_DIMS(x), order, PyArray_ITEMSIZE(x), strides);
  bool same = true;
  for (int i = 0; i < nd; ++i) same = same && (PyArray_DIM(x, i) == 1 || PyArray_STRIDE(x, i) == strides[i]);
  if (same) return nb::borrow(reinterpret_cast<PyObject*>(x));
  PyArray_Descr* descr = PyArray_DESCR(x);
  Py_INCREF(descr);
  nb::object copy = nb::steal(new_array(descr, nd, PyArray_DIMS(x), strides));
  if (!copy.is_valid() || PyArray_CopyInto(array(copy), x) < 0) return nb::object();
  return copy;
}

enum Arg { kArgmax, kArgmin, kMaxIndex, kMinIndex };

// argmax, argmin (of the flattened array without an axis), and those that return the values too.
PyObject* arg_attempt(const Call& call) {
  int kind = -1, axis = 0;
  PyArrayObject* x = operand(call[0], kind);
  if (!x) return nullptr;
  const int what = call.kernel.op, nd = PyArray_NDIM(x);
  const bool flat = what <= kArgmin && (!call[1] || call[1] == Py_None), keepdims = what <= kArgmin && flag(call[2]);
  if (nd == 0 || (!flat && !read_axis(call[1], nd, axis))) return nullptr;
  if (flat && (nd > 1 || keepdims) && !PyArray_IS_C_CONTIGUOUS(x)) return nullptr;
  nb::object rows_first = flat && nd > 1 ? nb::borrow(call[0]) : with_rows(x, axis);
  if (!rows_first.is_valid()) return nullptr;
  const std::int64_t n = flat ? PyArray_SIZE(x) : PyArray_DIM(x, axis), rows = PyArray_SIZE(x) / n;
  npy_intp shape[kMaxDims];
  int kept = 0;
  for (int i = 0; i < nd; ++i) {
    const bool gone = flat || i == axis;
    if (!gone || keepdims) shape[kept++] = gone ? 1 : PyArray_DIM(x, i);
  }
  const bool values = what >= kMaxIndex, largest = what == kArgmax || what == kMaxIndex;
  nb::object indices = nb::steal(new_array(PyArray_DescrFromType(NPY_INT64), kept, shape));
  nb::object found;
  if (values) found = nb::steal(new_array(PyArray_DescrFromType(kind == 0 ? NPY_FLOAT : NPY_DOUBLE), kept, shape));
  if (!indices.is_valid() || (values && !found.is_valid())) return nullptr;
  const auto loop = largest ? reduce_loops().argmax[kind] : reduce_loops().argmin[kind];
  const npy_intp item = PyArray_ITEMSIZE(x);
  const char* from = data<char>(rows_first);
  std::int64_t* index = data<std::int64_t>(indices);
  char* value = values ? data<char>(found) : nullptr;
  parallel_for(rows, std::max<std::int64_t>(1, kGrain / n), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      index[r] = loop(from + r * n * item, n);
      if (value) std::copy_n(from + (r * n + index[r]) * item, item, value + r * item);
    }
  });
  if (!values) return indices.release().ptr();
  return PyTuple_Pack(2, found.ptr(), indices.ptr());
}

enum Soft { kSoftmax, kLogSoftmax, kSoftmaxBackward, kLogSoftmaxBackward };

// Along an axis that is not the innermost: neighbouring columns together, the result laid out as x. Invalid without an
// exception where that does not pay.
nb::object softmax_columns(PyArrayObject* x, PyArrayObject* y, int what, int kind, int axis) {
  const npy_intp item = PyArray_ITEMSIZE(x), stride = PyArray_STRIDE(x, axis);
  const std::int64_t n = PyArray_DIM(x, axis), inner = stride / item;
  if (inner < 16 || n < 2 || !dense(x)) return nb::object();
  if (x != y && !(dense(y) && same_order(x, y))) return nb::object();
  nb::object out = nb::steal(PyArray_NewLikeArray(x, NPY_KEEPORDER, nullptr, 0));
  if (!out.is_valid() || !same_order(array(out), x)) return nb::object();
  const ReduceLoops& loops = reduce_loops();
  const ColumnsLoop loop = what == kSoftmax           ? loops.softmax_columns[kind]
                           : what == kLogSoftmax      ? loops.log_softmax_columns[kind]
                           : what == kSoftmaxBackward ? loops.softmax_columns_backward[kind]
                                                      : loops.log_softmax_columns_backward[kind];
  const char *from = PyArray_BYTES(x), *second = PyArray_BYTES(y);
  char* to = data<char>(out);
  const std::int64_t tiles = (inner + kColumnTile - 1) / kColumnTile, outer = PyArray_SIZE(x) / (n * inner);
  const std::int64_t work = n * std::min(inner, kColumnTile);
  parallel_for(outer * tiles, std::max<std::int64_t>(1, kGrain / 4 / work), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t begin = i % tiles * kColumnTile;
      const npy_intp at = (i / tiles * n * inner + begin) * item;
      loop(from + at, to + at, n, inner, std::min(kColumnTile, inner - begin), second + at);
    }
  });
  return out;
}

// softmax and log_softmax of x; their gradients from g and the output y.
PyObject* softmax_attempt(const Call& call) {
  const ReduceLoops& loops = reduce_loops();
  const int what = call.kernel.op;
  const bool backward = what >= kSoftmaxBackward;
  int kind = -1, axis = 0;
  PyArrayObject *x = operand(call[0], kind), *y = backward ? as_array(call[1]) : x;
  if (!x || !y || PyArray_NDIM(x) == 0 || !read_axis(call[backward ? 2 : 1], PyArray_NDIM(x), axis)) return nullptr;
  if (backward && (!same_shape(x, y) || PyArray_TYPE(y) != PyArray_TYPE(x) || !readable(y))) return nullptr;
  if (nb::object out = softmax_columns(x, y, what, kind, axis); out.is_valid()) return out.release().ptr();
  if (PyErr_Occurred()) return nullptr;
  nb::object px = with_rows(x, axis), py = backward ? with_rows(y, axis) : px;
  if (!px.is_valid() || !py.is_valid()) return nullptr;
  const RowsLoop loop = what == kSoftmax           ? loops.softmax[kind]
                        : what == kLogSoftmax      ? loops.log_softmax[kind]
                        : what == kSoftmaxBackward ? loops.softmax_backward[kind]
                                                   : loops.log_softmax_backward[kind];
  PyArray_Descr* descr = PyArray_DescrFromType(kind == 0 ? NPY_FLOAT : NPY_DOUBLE);
  const bool plain = PyArray_IS_C_CONTIGUOUS(array(px));
  nb::object out = nb::steal(new_array(descr, PyArray_NDIM(x), PyArray_DIMS(x), plain ? nullptr : PyArray_STRIDES(array(px))));
  if (!out.is_valid()) return nullptr;
  const std::int64_t n = PyArray_DIM(x, axis), rows = PyArray_SIZE(x) / n;
  const npy_intp item = PyArray_ITEMSIZE(x);
  const char *from = data<char>(px), *second = data<char>(py);
  char* to = data<char>(out);
  parallel_for(rows, std::max<std::int64_t>(1, kGrain / 4 / n), [&](std::int64_t first, std::int64_t last) {
    const npy_intp at = first * n * item;
    loop(from + at, to + at, last - first, n, second + at);
  });
  if (!dense(y) || px.ptr() == call[0] || (backward && py.ptr() == call[1])) return out.release().ptr();
  nb::object laid_out = nb::steal(PyArray_NewLikeArray(y, NPY_KEEPORDER, nullptr, 0));  // as the operand was
  if (!laid_out.is_valid() || PyArray_CopyInto(array(laid_out), array(out)) < 0) return nullptr;
  return laid_out.release().ptr();
}

// -- classification losses ----------------------------------------------------------------------------------

struct Rows {
  PyArrayObject* x;
  int kind;
  std::int64_t count, classes;
  CrossEntropy how;
};

// The operands that losses have in common: x[N, C], target[N], weight[C] or None, ignore_index. False: not covered,
// or a target is out of range, which the reference kernel reports.
bool read_rows(const Call& call, Rows& rows) {
  int kind = -1;
  PyArrayObject *x = operand(call[0], kind), *target = as_array(call[1]), *weight = as_array(call[2]);
  if (!x || !target || PyArray_NDIM(x) != 2 || !PyArray_IS_C_CONTIGUOUS(x) || PyArray_TYPE(target) != NPY_INT64) return false;
  if (PyArray_NDIM(target) != 1 || PyArray_DIM(target, 0) != PyArray_DIM(x, 0) || !PyArray_IS_C_CONTIGUOUS(target) || !readable(target)) return false;
  if (!call[2] || !call[3] || !PyLong_CheckExact(call[3])) return false;
  if (call[2] != Py_None && (!weight || PyArray_TYPE(weight) != PyArray_TYPE(x) || !PyArray_IS_C_CONTIGUOUS(weight) ||
                             PyArray_SIZE(weight) != PyArray_DIM(x, 1) || !readable(weight)))
    return false;
  rows = {x, kind, PyArray_DIM(x, 0), PyArray_DIM(x, 1), {static_cast<std::int64_t*>(PyArray_DATA(target)),
          weight ? PyArray_DATA(weight) : nullptr, PyLong_AsLongLong(call[3]), 0}};
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const std::int64_t t = rows.how.target[r];
    if (t != rows.how.ignore && (t < 0 || t >= rows.classes)) return false;
  }
  return true;
}

nb::object new_rows(const Rows& rows, int ndim) {
  return nb::steal(new_array(PyArray_DescrFromType(rows.kind == 0 ? NPY_FLOAT : NPY_DOUBLE), ndim, PyArray_DIMS(rows.x)));
}

CrossEntropy from_row(CrossEntropy how, std::int64_t r) {
  how.target += r;
  return how;
}

PyObject* cross_entropy_attempt(const Call& call) {
  Rows rows;
  if (!read_rows(call, rows) || !call[4] || !number(call[4], rows.how.smoothing)) return nullptr;
  nb::object loss = new_rows(rows, 1), probabilities = new_rows(rows, 2);
  if (!loss.is_valid() || !probabilities.is_valid()) return nullptr;
  const npy_intp item = PyArray_ITEMSIZE(rows.x);
  const std::int64_t piece = std::max<std::int64_t>(1, kPiece / rows.classes), pieces = (rows.count + piece - 1) / piece;
  std::vector<double> weights(static_cast<std::size_t>(pieces));
  const auto loop = reduce_loops().cross_entropy[rows.kind];
  const char* x = PyArray_BYTES(rows.x);
  char *l = data<char>(loss), *p = data<char>(probabilities);
  parallel_for(pieces, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t begin = i * piece, count = std::min(piece, rows.count - begin);
      const npy_intp at = begin * rows.classes * item;
      weights[static_cast<std::size_t>(i)] = loop(x + at, l + begin * item, p + at, count, rows.classes, from_row(rows.how, begin));
    }
  });
  double sum = 0;
  for (double w : weights) sum += w;
  nb::object total = nb::steal(PyFloat_FromDouble(sum));
  return total.is_valid() ? PyTuple_Pack(3, loss.ptr(), probabilities.ptr(), total.ptr()) : nullptr;
}

// One scale for all rows, or one for each; false where the argument is neither.
bool read_scales(PyObject* o, const Rows& rows, double* single, const void*& scales, std::int64_t& step) {
  double value;
  if (!o) return false;
  if (number(o, value)) {
    if (rows.kind == 0)
      *reinterpret_cast<float*>(single) = static_cast<float>(value);
    else
      *single = value;
    scales = single;
    step = 0;
    return true;
  }
  PyArrayObject* a = as_array(o);
  if (!a || PyArray_TYPE(a) != PyArray_TYPE(rows.x) || !readable(a) || !PyArray_IS_C_CONTIGUOUS(a)) return false;
  const bool one = PyArray_NDIM(a) == 0;
  if (!one && (PyArray_NDIM(a) != 1 || PyArray_DIM(a, 0) != rows.count)) return false;
  scales = PyArray_DATA(a);
  step = one ? 0 : 1;
  return true;
}

PyObject* cross_entropy_backward_attempt(const Call& call) {
  Rows rows;
  double single;
  const void* scales;
  std::int64_t step;
  if (!read_rows(call, rows) || !call[4] || !number(call[4], rows.how.smoothing) || !read_scales(call[5], rows, &single, scales, step))
    return nullptr;
  nb::object grad = new_rows(rows, 2);
  if (!grad.is_valid()) return nullptr;
  const npy_intp item = PyArray_ITEMSIZE(rows.x);
  const auto loop = reduce_loops().cross_entropy_backward[rows.kind];
  const char* p = PyArray_BYTES(rows.x);
  char* g = data<char>(grad);
  parallel_for(rows.count, std::max<std::int64_t>(1, kGrain / rows.classes), [&](std::int64_t first, std::int64_t last) {
    const npy_intp at = first * rows.classes * item;
    loop(p + at, g + at, last - first, rows.classes, from_row(rows.how, first), static_cast<const char*>(scales) + first * step * item, step);
  });
  return grad.release().ptr();
}

template <class T> double nll(const Rows& rows, void* losses) {
  const T *x = static_cast<const T*>(PyArray_DATA(rows.x)), *weight = static_cast<const T*>(rows.how.weight);
  T* loss = static_cast<T*>(losses);
  double total = 0;
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const std::int64_t t = rows.how.target[r];
    if (t == rows.how.ignore) {
      loss[r] = 0;
      continue;
    }
    const T w = weight ? weight[t] : T(1);
    total += static_cast<double>(w);
    loss[r] = -w * x[r * rows.classes + t];
  }
  return total;
}

PyObject* nll_loss_attempt(const Call& call) {
  Rows rows;
  if (!read_rows(call, rows)) return nullptr;
  nb::object loss = new_rows(rows, 1);
  if (!loss.is_valid()) return nullptr;
  const double sum = rows.kind == 0 ? nll<float>(rows, data<void>(loss)) : nll<double>(rows, data<void>(loss));
  nb::object total = nb::steal(PyFloat_FromDouble(sum));
  return total.is_valid() ? PyTuple_Pack(2, loss.ptr(), total.ptr()) : nullptr;
}

template <class T> void nll_backward(const Rows& rows, void* result, const void* scales, std::int64_t step) {
  const T *weight = static_cast<const T*>(rows.how.weight), *scale = static_cast<const T*>(scales);
  T* grad = static_cast<T*>(result);
  std::fill(grad, grad + rows.count * rows.classes, T(0));
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const std::int64_t t = rows.how.target[r];
    if (t != rows.how.ignore) grad[r * rows.classes + t] = -(weight ? weight[t] : T(1)) * scale[r * step];
  }
}

PyObject* nll_loss_backward_attempt(const Call& call) {
  Rows rows;
  double single;
  const void* scales;
  std::int64_t step;
  if (!read_rows(call, rows) || !read_scales(call[4], rows, &single, scales, step)) return nullptr;
  nb::object grad = new_rows(rows, 2);
  if (!grad.is_valid()) return nullptr;
  if (rows.kind == 0)
    nll_backward<float>(rows, data<void>(grad), scales, step);
  else
    nll_backward<double>(rows, data<void>(grad), scales, step);
  return grad.release().ptr();
}

struct Entry {
  const char* name;
  Attempt attempt;
  int op;
};

constexpr Entry kEntries[] = {
    {"sum", reduction_attempt, kSum},
    {"mean", reduction_attempt, kMean},
    {"amax", reduction_attempt, kMax},
    {"amin", reduction_attempt, kMin},
    {"var", reduction_attempt, kVar},
    {"norm", reduction_attempt, kNorm},
    {"prod", reduction_attempt, kProd},
    {"argmax", arg_attempt, kArgmax},
    {"argmin", arg_attempt, kArgmin},
    {"max_with_index", arg_attempt, kMaxIndex},
    {"min_with_index", arg_attempt, kMinIndex},
    {"softmax", softmax_attempt, kSoftmax},
    {"log_softmax", softmax_attempt, kLogSoftmax},
    {"softmax_backward", softmax_attempt, kSoftmaxBackward},
    {"log_softmax_backward", softmax_attempt, kLogSoftmaxBackward},
    {"cross_entropy", cross_entropy_attempt, 0},
    {"cross_entropy_backward", cross_entropy_backward_attempt, 0},
    {"nll_loss", nll_loss_attempt, 0},
    {"nll_loss_backward", nll_loss_backward_attempt, 0},
};

// The native form of a reference kernel; where there is none, that kernel with 16-bit operands widened by native code.
nb::object reduction(nb::object reference) {
  nb::object name = reference.attr("__name__");
  for (const Entry& e : kEntries)
    if (PyUnicode_CompareWithASCIIString(name.ptr(), e.name) == 0) return make_kernel(e.attempt, e.op, 0, reference, false, true);
  return make_kernel(nullptr, 0, 0, reference, false, true);
}

}  // namespace

void bind_reduce(nb::module_& m) {
  m.def("reduction", &reduction, nb::arg("reference"), "The native form of a reference kernel, where there is one.");
}

}  // namespace rushlight

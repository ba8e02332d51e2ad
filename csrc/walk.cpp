#include "walk.h"

#include <cstring>
#include <vector>

#include "arena.h"
#include "fusion.h"
#include "lowprec.h"
#include "pool.h"

namespace rushlight {
namespace {

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

}  // namespace

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

void Pair::run_low(const char* x, npy_intp x_step, const char* y, npy_intp y_step, char* out, std::int64_t n, Mode mode) const {
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

}  // namespace rushlight

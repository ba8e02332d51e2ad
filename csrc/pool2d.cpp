// Pooling over windows listed by Python: for every spatial dimension the first position, the end and the step (max)
// or the count (mean) of each window. One and two dimensions are three with leading ones.
#include "nn_arrays.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace rushlight {
namespace {

using Index = std::int32_t;

struct Windows {
  i64 channels;
  i64 size[3], out[3], step[3];
  const Index *first[3], *end[3], *count[3];

  i64 plane() const { return size[0] * size[1] * size[2]; }
  i64 out_plane() const { return out[0] * out[1] * out[2]; }
};

constexpr Index kZero[1] = {0}, kOne[1] = {1};
constexpr i64 kLanes = 2 * kEight;  // channels worked on together
constexpr i64 kChannelBlock = 256;  // channels that a thread takes at a time in backward passes

const Index* table(nb::handle h, i64& length) {
  if (!has_type(h, NPY_INT32) || ndim(h) != 1 || !is_contiguous(h)) throw nb::type_error("expected int32 windows");
  length = dim(h, 0);
  return data<const Index>(h);
}

// Reads and checks (first, end, step or counts) for each dimension of `sizes`.
Windows windows(nb::handle tables, const std::vector<i64>& sizes, i64 channels) {
  Windows w;
  w.channels = channels;
  const size_t dims = sizes.size(), skip = 3 - dims;
  if (!PyTuple_Check(tables.ptr()) || nb::len(tables) != dims) throw nb::value_error("expected one window table per dimension");
  for (size_t i = 0; i < 3; ++i) {
    w.size[i] = w.out[i] = w.step[i] = 1;
    w.first[i] = kZero, w.end[i] = w.count[i] = kOne;
    if (i < skip) continue;
    w.size[i] = sizes[i - skip];
    nb::handle entry = PyTuple_GET_ITEM(tables.ptr(), static_cast<Py_ssize_t>(i - skip));
    if (!PyTuple_Check(entry.ptr()) || PyTuple_GET_SIZE(entry.ptr()) != 3) throw nb::value_error("expected a window table");
    i64 ends = 0, counts = 0;
    w.first[i] = table(PyTuple_GET_ITEM(entry.ptr(), 0), w.out[i]);
    w.end[i] = table(PyTuple_GET_ITEM(entry.ptr(), 1), ends);
    nb::handle last = PyTuple_GET_ITEM(entry.ptr(), 2);
    if (PyLong_Check(last.ptr())) {
      w.step[i] = nb::cast<i64>(last);
      counts = w.out[i];
    } else {
      w.count[i] = table(last, counts);
    }
    bool good = ends == w.out[i] && counts == w.out[i] && w.step[i] >= 1;
    for (i64 o = 0; good && o < w.out[i]; ++o) good = w.first[i][o] >= 0 && w.end[i][o] <= w.size[i];
    if (!good) throw nb::value_error("windows lie outside the input");
  }
  return w;
}

// The bounds of one window.
struct Box {
  i64 first[3], end[3];
};

inline Box box(const Windows& w, i64 d, i64 h, i64 x) {
  return {{w.first[0][d], w.first[1][h], w.first[2][x]}, {w.end[0][d], w.end[1][h], w.end[2][x]}};
}

// visit(position) for each position of a window in the flat plane.
template <class Visit> RUSHLIGHT_INLINE void each_position(const Windows& w, const Box& b, const Visit& visit) {
  for (i64 d = b.first[0]; d < b.end[0]; d += w.step[0])
    for (i64 h = b.first[1]; h < b.end[1]; h += w.step[1]) {
      const i64 row = (d * w.size[1] + h) * w.size[2];
      for (i64 x = b.first[2]; x < b.end[2]; x += w.step[2]) visit(row + x);
    }
}

inline i64 start(const Windows& w, const Box& b) {
  i64 at = 0;
  for (int i = 0; i < 3; ++i) at = at * w.size[i] + (b.first[i] < w.size[i] ? b.first[i] : w.size[i] - 1);
  return at;
}

// Where kLanes results may be written: the place itself if what comes later overwrites the surplus, else `spare`.
template <class T> RUSHLIGHT_INLINE T* lanes_for(T* place, i64 room, T* spare) { return room >= kLanes ? place : spare; }

template <class T> RUSHLIGHT_INLINE void settle(T* place, const T* lanes, i64 wanted) {
  if (lanes != place)
    for (i64 l = 0; l < wanted; ++l) place[l] = lanes[l];
}

// Rows of outputs, a row being (n, d, h), whose channels lie last. Chunk is called for each output and each kLanes
// channels: chunk(window, first element of the channel in the image, result's place, wanted lanes, room for results).
template <class Chunk> RUSHLIGHT_INLINE void each_chunk(const Windows& w, i64 begin, i64 end, const Chunk& chunk) {
  const i64 stop = end * w.out[2] * w.channels;
  for (i64 row = begin; row < end; ++row) {
    const i64 h = row % w.out[1], d = row / w.out[1] % w.out[0], n = row / (w.out[1] * w.out[0]);
    for (i64 o = 0; o < w.out[2]; ++o) {
      const Box b = box(w, d, h, o);
      const i64 count = i64{w.count[0][d]} * w.count[1][h] * w.count[2][o];
      for (i64 c = 0; c < w.channels; c += kLanes) {
        const i64 to = (row * w.out[2] + o) * w.channels + c;
        const i64 wanted = w.channels - c < kLanes ? w.channels - c : kLanes;
        chunk(b, count, n * w.plane() * w.channels + c, to, wanted, stop - to);
      }
    }
  }
}

// Whether there is something in a window, and reading kLanes channels at any of its positions stays in the array.
RUSHLIGHT_INLINE bool stays_inside(const Windows& w, const Box& b, i64 base, i64 total) {
  if (b.first[0] >= b.end[0] || b.first[1] >= b.end[1] || b.first[2] >= b.end[2]) return false;
  const i64 last = ((b.end[0] - 1) * w.size[1] + b.end[1] - 1) * w.size[2] + b.end[2] - 1;
  return base + last * w.channels + kLanes <= total;
}

// Steps from position to position, row to row and layer to layer of a window, in every lane: making such vectors
// costs as much as comparing, so positions are counted on, not made anew.
template <class T> struct Steps {
  Integers<T> across = {}, down = {}, deep = {};
  RUSHLIGHT_INLINE explicit Steps(const Windows& w) {
    fill(across, w.step[2]);
    fill(down, w.step[1] * w.size[2]);
    fill(deep, w.step[0] * w.size[1] * w.size[2]);
  }
};

template <class T>
RUSHLIGHT_INLINE void max_chunk(const Windows& w, const Steps<T>& steps, const Box& b, const T* x, T* best, Index* at) {
  Values<T> best0 = {}, best1, v0, v1;
  Integers<T> at0, at1, layer = {}, row, here;
  const i64 channels = w.channels, corner = (b.first[0] * w.size[1] + b.first[1]) * w.size[2] + b.first[2];
  fill(best0, -std::numeric_limits<T>::infinity());
  best1 = best0;
  fill(layer, corner);
  at0 = at1 = layer;
  const T* from_layer = x + corner * channels;
  for (i64 d = b.first[0]; d < b.end[0]; d += w.step[0]) {
    const T* from_row = from_layer;
    row = layer;
    for (i64 h = b.first[1]; h < b.end[1]; h += w.step[1]) {
      const T* from = from_row;
      here = row;
      for (i64 i = b.first[2]; i < b.end[2]; i += w.step[2]) {
        load(v0, from);
        load(v1, from + kEight);
        const Integers<T> better0 = (v0 > best0) | (v0 != v0), better1 = (v1 > best1) | (v1 != v1);
        best0 = better0 ? v0 : best0;
        best1 = better1 ? v1 : best1;
        at0 = better0 ? here : at0;
        at1 = better1 ? here : at1;
        here += steps.across;
        from += w.step[2] * channels;
      }
      row += steps.down;
      from_row += w.step[1] * w.size[2] * channels;
    }
    layer += steps.deep;
    from_layer += w.step[0] * w.size[1] * w.size[2] * channels;
  }
  store(best, best0);
  store(best + kEight, best1);
  store(at, __builtin_convertvector(at0, Indices));
  store(at + kEight, __builtin_convertvector(at1, Indices));
}

// A single channel, its positions `across` elements apart.
template <class T>
RUSHLIGHT_INLINE void max_one(const Windows& w, const Box& b, const T* x, i64 across, i64 first, T& best, Index& at) {
  T value = -std::numeric_limits<T>::infinity();
  i64 where = first;
  each_position(w, b, [&](i64 position) __attribute__((always_inline)) {
    const T v = x[position * across];
    const bool better = (v > value) | (v != v);
    value = better ? v : value;
    where = better ? position : where;
  });
  best = value;
  at = static_cast<Index>(where);
}

// Whether each window is 2x2 and beside the next, in pictures of so few channels that lanes would be empty.
bool halves_few_channels(const Windows& w) {
  if (w.channels >= kLanes || (2 * w.out[2] - 1) * w.channels < kEight || w.size[0] != 1 || w.step[1] != 1 || w.step[2] != 1) return false;
  for (int axis = 1; axis < 3; ++axis)
    for (i64 o = 0; o < w.out[axis]; ++o)
      if (w.first[axis][o] != 2 * o || w.end[axis][o] != 2 * o + 2) return false;
  return true;
}

// For these windows, lanes run along rows: each position meets its right neighbour, then the pair below, and of the
// results every second pixel is taken.
template <class T> RUSHLIGHT_INLINE void max_halved(const Windows& w, const T* x, T* y, Index* index, i64 begin, i64 end) {
  constexpr i64 kSpan = 512;
  T best[kSpan + 2 * kLanes];
  Index offset[kSpan + 2 * kLanes];
  Integers<T> down = {};
  fill(down, w.size[2]);
  const i64 channels = w.channels, width = w.size[2], pieces = (2 * channels * w.out[2] + kSpan - 1) / kSpan;
  for (i64 row = begin; row < end; ++row) {
    const i64 image = row / w.out[1], h = row % w.out[1];
    for (i64 piece = 0; piece < pieces; ++piece) {
      const i64 first = w.out[2] * piece / pieces, outputs = w.out[2] * (piece + 1) / pieces - first;
      const i64 span = (2 * outputs - 1) * channels;
      const i64 corner = 2 * h * width + 2 * first;
      const T *above = x + (image * w.plane() + corner) * channels, *below = above + width * channels;
      for (i64 next = 0; next < span; next += kEight) {
        const i64 i = next + kEight <= span ? next : span - kEight;  // the last vector may repeat some of the one before
        Values<T> a, b, c, d;
        load(a, above + i);
        load(b, above + i + channels);
        load(c, below + i);
        load(d, below + i + channels);
        const Integers<T> right = (b > a) | (b != b), under_right = (d > c) | (d != d);
        const Values<T> top = right ? b : a, bottom = under_right ? d : c;
        const Integers<T> under = (bottom > top) | (bottom != bottom);
        store(best + i, under ? bottom : top);
        store(offset + i, __builtin_convertvector(under ? down - under_right : -right, Indices));
      }
      const i64 to = (row * w.out[2] + first) * channels;
      for (i64 o = 0; o < outputs; ++o)
        for (i64 c = 0; c < channels; ++c) {
          y[to + o * channels + c] = best[2 * o * channels + c];
          index[to + o * channels + c] = static_cast<Index>(corner + 2 * o) + offset[2 * o * channels + c];
        }
    }
  }
}

template <class T>
RUSHLIGHT_INLINE void max_rows(const Windows& w, const T* x, T* y, Index* index, i64 begin, i64 end, i64 images) {
  if (halves_few_channels(w)) return max_halved(w, x, y, index, begin, end);
  const i64 total = images * w.plane() * w.channels;
  const Steps<T> steps(w);
  each_chunk(w, begin, end, [&](const Box& b, i64, i64 base, i64 to, i64 wanted, i64 room) __attribute__((always_inline)) {
    T spare[kLanes];
    Index spare_at[kLanes];
    T* best = lanes_for(y + to, room, spare);
    Index* at = lanes_for(index + to, room, spare_at);
    const i64 first = start(w, b);
    if (stays_inside(w, b, base, total))
      max_chunk(w, steps, b, x + base, best, at);
    else
      for (i64 l = 0; l < wanted; ++l) max_one(w, b, x + base + l, w.channels, first, best[l], at[l]);
    settle(y + to, best, wanted);
    settle(index + to, at, wanted);
  });
}

template <class T>
RUSHLIGHT_INLINE void mean_rows(const Windows& w, i64 divisor, const T* x, T* y, i64 begin, i64 end, i64 images) {
  const i64 total = images * w.plane() * w.channels;
  each_chunk(w, begin, end, [&](const Box& b, i64 count, i64 base, i64 to, i64 wanted, i64 room) __attribute__((always_inline)) {
    T spare[kLanes];
    T* mean = lanes_for(y + to, room, spare);
    const T by = static_cast<T>(divisor ? divisor : count);
    if (stays_inside(w, b, base, total)) {
      Values<T> sum0 = {}, sum1 = {}, v0, v1;
      each_position(w, b, [&](i64 position) __attribute__((always_inline)) {
        load(v0, x + base + position * w.channels);
        load(v1, x + base + position * w.channels + kEight);
        sum0 += v0;
        sum1 += v1;
      });
      store(mean, sum0 / by);
      store(mean + kEight, sum1 / by);
    } else {
      for (i64 l = 0; l < wanted; ++l) {
        T sum = 0;
        each_position(w, b, [&](i64 position) __attribute__((always_inline)) { sum += x[base + position * w.channels + l]; });
        mean[l] = sum / by;
      }
    }
    settle(y + to, mean, wanted);
  });
}

// -- forward, contiguous: planes [begin, end) -------------------------------------------------------

template <class T> RUSHLIGHT_INLINE void max_planes(const Windows& w, const T* x, T* y, Index* index, i64 begin, i64 end) {
  for (i64 plane = begin; plane < end; ++plane) {
    const T* from = x + plane * w.plane();
    i64 to = plane * w.out_plane();
    for (i64 d = 0; d < w.out[0]; ++d)
      for (i64 h = 0; h < w.out[1]; ++h)
        for (i64 o = 0; o < w.out[2]; ++o, ++to) {
          const Box b = box(w, d, h, o);
          max_one(w, b, from, 1, start(w, b), y[to], index[to]);
        }
  }
}

template <class T> RUSHLIGHT_INLINE void mean_planes(const Windows& w, i64 divisor, const T* x, T* y, i64 begin, i64 end) {
  for (i64 plane = begin; plane < end; ++plane) {
    const T* from = x + plane * w.plane();
    i64 to = plane * w.out_plane();
    for (i64 d = 0; d < w.out[0]; ++d)
      for (i64 h = 0; h < w.out[1]; ++h)
        for (i64 o = 0; o < w.out[2]; ++o, ++to) {
          const i64 count = divisor ? divisor : i64{w.count[0][d]} * w.count[1][h] * w.count[2][o];
          T sum = 0;
          each_position(w, box(w, d, h, o), [&](i64 position) { sum += from[position]; });
          y[to] = sum / static_cast<T>(count);
        }
  }
}

// -- backward: channels [from, to) of one image (channels last), or one plane (a single channel) ----

template <class T> inline void clear_channels(T* gx, i64 plane, i64 channels, i64 from, i64 to) {
  if (to - from == channels) {
    std::memset(gx, 0, static_cast<size_t>(plane * channels) * sizeof(T));
    return;
  }
  for (i64 p = 0; p < plane; ++p) std::memset(gx + p * channels + from, 0, static_cast<size_t>(to - from) * sizeof(T));
}

template <class T>
RUSHLIGHT_INLINE void mean_spread(const Windows& w, i64 divisor, const T* g, T* gx, i64 channels, i64 from, i64 to) {
  clear_channels(gx, w.plane(), channels, from, to);
  i64 out = 0;
  for (i64 d = 0; d < w.out[0]; ++d)
    for (i64 h = 0; h < w.out[1]; ++h)
      for (i64 o = 0; o < w.out[2]; ++o, ++out) {
        const T count = static_cast<T>(divisor ? divisor : i64{w.count[0][d]} * w.count[1][h] * w.count[2][o]);
        each_position(w, box(w, d, h, o), [&](i64 position) {
          const T* share = g + out * channels;
          T* at = gx + position * channels;
          for (i64 c = from; c < to; ++c) at[c] += share[c] / count;
        });
      }
}

template <class T>
inline void max_spread(const T* g, const Index* index, T* gx, i64 plane, i64 out_plane, i64 channels, i64 from, i64 to) {
  clear_channels(gx, plane, channels, from, to);
  for (i64 o = 0; o < out_plane; ++o)
    for (i64 c = from; c < to; ++c) {
      const i64 position = index[o * channels + c];
      if (position >= 0 && position < plane) gx[position * channels + c] += g[o * channels + c];
    }
}

// The same loops for each type, compiled for each instruction set.
#define RUSHLIGHT_POOL_LOOPS(T)                                                                                        \
  RUSHLIGHT_CLONES void max_rows_of(const Windows& w, const T* x, T* y, Index* i, i64 begin, i64 end, i64 images) {     \
    max_rows<T>(w, x, y, i, begin, end, images);                                                                       \
  }                                                                                                                    \
  RUSHLIGHT_CLONES void mean_rows_of(const Windows& w, i64 div, const T* x, T* y, i64 begin, i64 end, i64 images) {     \
    mean_rows<T>(w, div, x, y, begin, end, images);                                                                    \
  }                                                                                                                    \
  RUSHLIGHT_CLONES void mean_spread_of(const Windows& w, i64 div, const T* g, T* gx, i64 ch, i64 from, i64 to) {        \
    mean_spread<T>(w, div, g, gx, ch, from, to);                                                                       \
  }
RUSHLIGHT_POOL_LOOPS(float)
RUSHLIGHT_POOL_LOOPS(double)
#undef RUSHLIGHT_POOL_LOOPS

// -- entry points -----------------------------------------------------------------------------------

std::vector<i64> spatial(nb::handle x) {
  return std::vector<i64>(PyArray_DIMS(array(x)) + 2, PyArray_DIMS(array(x)) + ndim(x));
}

bool poolable(nb::handle x) { return is_array(x) && ndim(x) >= 3 && ndim(x) <= 5 && PyArray_SIZE(array(x)) > 0; }

std::vector<npy_intp> pooled_shape(nb::handle x, const Windows& w) {
  std::vector<npy_intp> shape = {dim(x, 0), dim(x, 1)};
  for (int i = 5 - ndim(x); i < 3; ++i) shape.push_back(w.out[i]);
  return shape;
}

// How many tasks of `each` elements a thread takes at least.
i64 grain(i64 each) { return std::max<i64>(1, kGrain / std::max<i64>(1, each)); }

nb::object max_over(nb::handle x_in, nb::handle tables) {
  if (!poolable(x_in)) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object x = dense(x_in);
    const Windows w = windows(tables, spatial(x), dim(x, 1));
    const auto shape = pooled_shape(x, w);
    const bool last = is_channels_last(x);
    nb::object y = new_array(ndim(x), shape.data(), type_of<T>(), last);
    nb::object index = new_array(ndim(x), shape.data(), NPY_INT32, last);
    const T* from = data<const T>(x);
    T* to = data<T>(y);
    Index* at = data<Index>(index);
    const i64 images = dim(x, 0);
    const i64 each = w.plane() * w.channels / std::max<i64>(1, w.out[0] * w.out[1]);
    if (last)
      parallel_for(images * w.out[0] * w.out[1], grain(each),
                   [&](i64 begin, i64 end) { max_rows_of(w, from, to, at, begin, end, images); });
    else
      parallel_for(images * w.channels, grain(w.plane()),
                   [&](i64 begin, i64 end) { max_planes<T>(w, from, to, at, begin, end); });
    return nb::make_tuple(y, index);
  });
}

nb::object mean_over(nb::handle x_in, nb::handle tables, nb::handle divisor) {
  if (!poolable(x_in)) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object x = dense(x_in);
    const Windows w = windows(tables, spatial(x), dim(x, 1));
    const i64 fixed = divisor.is_none() ? 0 : nb::cast<i64>(divisor);
    const auto shape = pooled_shape(x, w);
    const bool last = is_channels_last(x);
    nb::object y = new_array(ndim(x), shape.data(), type_of<T>(), last);
    const T* from = data<const T>(x);
    T* to = data<T>(y);
    const i64 images = dim(x, 0);
    const i64 each = w.plane() * w.channels / std::max<i64>(1, w.out[0] * w.out[1]);
    if (last)
      parallel_for(images * w.out[0] * w.out[1], grain(each),
                   [&](i64 begin, i64 end) { mean_rows_of(w, fixed, from, to, begin, end, images); });
    else
      parallel_for(images * w.channels, grain(w.plane()),
                   [&](i64 begin, i64 end) { mean_planes<T>(w, fixed, from, to, begin, end); });
    return y;
  });
}

// task(image, from, to) for blocks of channels where they lie last, else task(plane, 0, 1) on planes of their own.
template <class Task> void each_block(i64 images, i64 channels, i64 plane, bool last, const Task& task) {
  const i64 blocks = last ? (channels + kChannelBlock - 1) / kChannelBlock : channels;
  parallel_for(images * blocks, grain(plane * (last ? std::min(channels, kChannelBlock) : 1)), [&](i64 begin, i64 end) {
    for (i64 t = begin; t < end; ++t) {
      if (last) {
        const i64 from = t % blocks * kChannelBlock;
        task(t / blocks, from, std::min(channels, from + kChannelBlock));
      } else {
        task(t, i64{0}, i64{1});
      }
    }
  });
}

// Whether `shape` is an input shape that could have given `g`.
bool matches(nb::handle g, const std::vector<i64>& shape) {
  if (!is_array(g) || static_cast<int>(shape.size()) != ndim(g) || ndim(g) < 3 || ndim(g) > 5) return false;
  if (shape[0] != dim(g, 0) || shape[1] != dim(g, 1) || PyArray_SIZE(array(g)) == 0) return false;
  return std::all_of(shape.begin(), shape.end(), [](i64 n) { return n > 0; });
}

nb::object mean_over_backward(nb::handle g_in, nb::handle x_shape, nb::handle tables, nb::handle divisor) {
  const auto shape = integers(x_shape);
  if (!matches(g_in, shape)) return nb::none();
  return for_floats(g_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object g = dense(g_in);
    const Windows w = windows(tables, {shape.begin() + 2, shape.end()}, shape[1]);
    const auto out = spatial(g);
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i] != w.out[3 - out.size() + i]) return nb::none();
    const i64 fixed = divisor.is_none() ? 0 : nb::cast<i64>(divisor);
    const bool last = is_channels_last(g);
    nb::object gx = new_array(ndim(g), shape.data(), type_of<T>(), last);
    const i64 across = last ? w.channels : 1;
    const T* from = data<const T>(g);
    T* to = data<T>(gx);
    each_block(shape[0], w.channels, w.plane(), last, [&](i64 image, i64 begin, i64 end) {
      mean_spread_of(w, fixed, from + image * w.out_plane() * across, to + image * w.plane() * across, across, begin, end);
    });
    return gx;
  });
}

nb::object max_pool_backward(nb::handle g_in, nb::handle index_in, nb::handle x_shape) {
  const auto shape = integers(x_shape);
  if (!matches(g_in, shape) || !has_type(index_in, NPY_INT32) || ndim(index_in) != ndim(g_in)) return nb::none();
  if (!same_shape(g_in, index_in)) return nb::none();
  return for_floats(g_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    const bool last = is_channels_last(index_in);
    nb::object g = in_layout(g_in, last), index = in_layout(index_in, last);
    nb::object gx = new_array(ndim(g), shape.data(), type_of<T>(), last);
    i64 plane = 1, out_plane = 1;
    for (int i = 2; i < ndim(g); ++i) plane *= shape[static_cast<size_t>(i)], out_plane *= dim(g, i);
    const i64 channels = shape[1], across = last ? channels : 1;
    const T* from = data<const T>(g);
    const Index* at = data<const Index>(index);
    T* to = data<T>(gx);
    each_block(shape[0], channels, plane, last, [&](i64 image, i64 begin, i64 end) {
      const i64 skip = image * out_plane * across;
      max_spread(from + skip, at + skip, to + image * plane * across, plane, out_plane, across, begin, end);
    });
    return gx;
  });
}

}  // namespace

void bind_pool(nb::module_& m) {
  m.def("max_over", &max_over);
  m.def("mean_over", &mean_over, nb::arg(), nb::arg(), nb::arg("divisor").none() = nb::none());
  m.def("mean_over_backward", &mean_over_backward, nb::arg(), nb::arg(), nb::arg(), nb::arg("divisor").none() = nb::none());
  m.def("max_pool_backward", &max_pool_backward);
}

}  // namespace rushlight

// Resampling by tables of taps (input position and weight of each output, for every dimension), and scatter-add of rows.
#include "nn_arrays.h"

#include <algorithm>
#include <cstring>

namespace rushlight {
namespace {

using Index = std::int32_t;
constexpr i64 kChannelBlock = 256;
constexpr i64 kMaxTaps = 64;  // of one output, all dimensions together

// One and two dimensions are three with leading ones.
template <class T> struct Taps {
  i64 size[3], out[3], count[3];
  const Index* index[3];
  const T* weight[3];
  i64 plane() const { return size[0] * size[1] * size[2]; }
  i64 out_plane() const { return out[0] * out[1] * out[2]; }
};

template <class T> const T kOne[1] = {1};
constexpr Index kZero[1] = {0};

template <class T> Taps<T> taps(nb::handle tables, const std::vector<i64>& sizes) {
  Taps<T> t;
  const size_t dims = sizes.size(), skip = 3 - dims;
  if (!PyTuple_Check(tables.ptr()) || nb::len(tables) != dims) throw nb::value_error("expected one table per dimension");
  for (size_t i = 0; i < 3; ++i) {
    t.size[i] = t.out[i] = t.count[i] = 1;
    t.index[i] = kZero;
    t.weight[i] = kOne<T>;
    if (i < skip) continue;
    t.size[i] = sizes[i - skip];
    nb::handle entry = PyTuple_GET_ITEM(tables.ptr(), static_cast<Py_ssize_t>(i - skip));
    if (!PyTuple_Check(entry.ptr()) || PyTuple_GET_SIZE(entry.ptr()) != 2) throw nb::value_error("expected a table");
    nb::handle index = PyTuple_GET_ITEM(entry.ptr(), 0), weight = PyTuple_GET_ITEM(entry.ptr(), 1);
    if (!has_type(index, NPY_INT32) || !has_type(weight, type_of<T>()) || ndim(index) != 2 || ndim(weight) != 2 ||
        !same_shape(index, weight))
      throw nb::type_error("expected int32 positions and weights of the input's type");
    if (!is_contiguous(index) || !is_contiguous(weight)) throw nb::type_error("expected contiguous tables");
    t.out[i] = dim(index, 0);
    t.count[i] = dim(index, 1);
    t.index[i] = data<const Index>(index);
    t.weight[i] = data<const T>(weight);
    for (i64 j = 0; j < t.out[i] * t.count[i]; ++j)
      if (t.index[i][j] < 0 || t.index[i][j] >= t.size[i]) throw nb::value_error("a tap lies outside the input");
  }
  if (t.count[0] * t.count[1] * t.count[2] > kMaxTaps) throw nb::value_error("too many taps");
  return t;
}

// -- channels last: channels [from, to) of one image --------------------------------------------------

// The taps of one output, all dimensions together.
template <class T> struct Point {
  i64 count = 0;
  i64 position[kMaxTaps];
  T weight[kMaxTaps];
};

template <class T> RUSHLIGHT_INLINE void point(const Taps<T>& t, i64 d, i64 h, i64 w, Point<T>& p) {
  p.count = 0;
  for (i64 i = d * t.count[0]; i < (d + 1) * t.count[0]; ++i)
    for (i64 j = h * t.count[1]; j < (h + 1) * t.count[1]; ++j)
      for (i64 k = w * t.count[2]; k < (w + 1) * t.count[2]; ++k) {
        p.position[p.count] = (i64{t.index[0][i]} * t.size[1] + t.index[1][j]) * t.size[2] + t.index[2][k];
        p.weight[p.count++] = t.weight[0][i] * t.weight[1][j] * t.weight[2][k];
      }
}

template <class T, class Visit> RUSHLIGHT_INLINE void each_point(const Taps<T>& t, const Visit& visit) {
  Point<T> p;
  i64 out = 0;
  for (i64 d = 0; d < t.out[0]; ++d)
    for (i64 h = 0; h < t.out[1]; ++h)
      for (i64 w = 0; w < t.out[2]; ++w, ++out) {
        point(t, d, h, w, p);
        visit(out, p);
      }
}

// One tap, of weight 1, per output: copies. An output row that comes from the same input row as the one before is its copy.
template <class T> RUSHLIGHT_INLINE void repeat(const Taps<T>& t, const T* x, T* y, i64 channels, i64 from, i64 to) {
  const i64 width = t.out[2] * channels;
  i64 previous = -1;
  for (i64 d = 0; d < t.out[0]; ++d)
    for (i64 h = 0; h < t.out[1]; ++h, y += width) {
      const i64 row = i64{t.index[0][d]} * t.size[1] + t.index[1][h];
      const T* line = x + row * t.size[2] * channels;
      if (row == previous && to - from == channels) {
        std::memcpy(y, y - width, static_cast<size_t>(width) * sizeof(T));
      } else if (channels == 1) {
        for (i64 w = 0; w < t.out[2]; ++w) y[w] = line[t.index[2][w]];
      } else {
        for (i64 w = 0; w < t.out[2]; ++w) {
          const T* source = line + t.index[2][w] * channels;
          for (i64 c = from; c < to; ++c) y[w * channels + c] = source[c];
        }
      }
      previous = row;
    }
}

template <class T> bool one_tap(const Taps<T>& t) { return t.count[0] * t.count[1] * t.count[2] == 1; }

// Two taps in each of the last two dimensions: what does not change along a row is looked up once.
template <class T> RUSHLIGHT_INLINE void sample_four(const Taps<T>& t, const T* x, T* y, i64 channels, i64 from, i64 to) {
  const Index* index = t.index[2];
  for (i64 d = 0; d < t.out[0]; ++d)
    for (i64 h = 0; h < t.out[1]; ++h) {
      const T *line[2], above = t.weight[0][d] * t.weight[1][2 * h], below = t.weight[0][d] * t.weight[1][2 * h + 1];
      for (int j = 0; j < 2; ++j)
        line[j] = x + (i64{t.index[0][d]} * t.size[1] + t.index[1][2 * h + j]) * t.size[2] * channels;
      for (i64 w = 0; w < t.out[2]; ++w, y += channels) {
        const i64 left = index[2 * w] * channels, right = index[2 * w + 1] * channels;
        const T *a = line[0] + left, *b = line[0] + right, *c = line[1] + left, *e = line[1] + right;
        const T near = t.weight[2][2 * w], far = t.weight[2][2 * w + 1];
        const T wa = above * near, wb = above * far, wc = below * near, we = below * far;
        for (i64 i = from; i < to; ++i) y[i] = ((a[i] * wa + b[i] * wb) + c[i] * wc) + e[i] * we;
      }
    }
}

template <class T> RUSHLIGHT_INLINE void sample(const Taps<T>& t, const T* x, T* y, i64 channels, i64 from, i64 to) {
  if (one_tap(t)) return repeat(t, x, y, channels, from, to);
  if (t.count[0] == 1 && t.count[1] == 2 && t.count[2] == 2) return sample_four(t, x, y, channels, from, to);
  each_point(t, [&](i64 out, const Point<T>& p) __attribute__((always_inline)) {
    T* result = y + out * channels;
    i64 c = from;
    for (; c + kEight <= to; c += kEight) {
      Values<T> sum = {}, v;
      for (i64 i = 0; i < p.count; ++i) {
        load(v, x + p.position[i] * channels + c);
        sum += v * p.weight[i];
      }
      store(result + c, sum);
    }
    for (; c < to; ++c) {
      result[c] = 0;
      for (i64 i = 0; i < p.count; ++i) result[c] += x[p.position[i] * channels + c] * p.weight[i];
    }
  });
}

template <class T> RUSHLIGHT_INLINE void spread(const Taps<T>& t, const T* g, T* gx, i64 channels, i64 from, i64 to) {
  for (i64 p = 0; p < t.plane(); ++p) std::memset(gx + p * channels + from, 0, static_cast<size_t>(to - from) * sizeof(T));
  each_point(t, [&](i64 out, const Point<T>& p) __attribute__((always_inline)) {
    const T* v = g + out * channels;
    for (i64 i = 0; i < p.count; ++i) {
      T* at = gx + p.position[i] * channels;
      for (i64 c = from; c < to; ++c) at[c] += p.weight[i] * v[c];
    }
  });
}

// -- contiguous: one plane, by rows; `row` holds one row of the input or output -----------------------

// visit(row number, weight) for the input rows of one output row.
template <class T, class Visit> RUSHLIGHT_INLINE void each_row(const Taps<T>& t, i64 d, i64 h, const Visit& visit) {
  for (i64 i = d * t.count[0]; i < (d + 1) * t.count[0]; ++i)
    for (i64 j = h * t.count[1]; j < (h + 1) * t.count[1]; ++j)
      visit(i64{t.index[0][i]} * t.size[1] + t.index[1][j], t.weight[0][i] * t.weight[1][j]);
}

template <class T> RUSHLIGHT_INLINE void sample_plane(const Taps<T>& t, const T* x, T* y, T* row) {
  if (one_tap(t)) return repeat(t, x, y, 1, 0, 1);
  const i64 n = t.size[2], taps = t.count[2];
  const Index* index = t.index[2];
  const T* weights = t.weight[2];
  for (i64 d = 0; d < t.out[0]; ++d)
    for (i64 h = 0; h < t.out[1]; ++h, y += t.out[2]) {
      for (i64 k = 0; k < n; ++k) row[k] = 0;
      each_row(t, d, h, [&](i64 number, T weight) __attribute__((always_inline)) {
        const T* from = x + number * n;
        for (i64 k = 0; k < n; ++k) row[k] += weight * from[k];
      });
      if (taps == 2) {
        for (i64 w = 0; w < t.out[2]; ++w)
          y[w] = row[index[2 * w]] * weights[2 * w] + row[index[2 * w + 1]] * weights[2 * w + 1];
        continue;
      }
      for (i64 w = 0; w < t.out[2]; ++w) {
        T sum = 0;
        for (i64 k = w * taps; k < (w + 1) * taps; ++k) sum += row[index[k]] * weights[k];
        y[w] = sum;
      }
    }
}

template <class T> RUSHLIGHT_INLINE void spread_plane(const Taps<T>& t, const T* g, T* gx, T* row) {
  const i64 n = t.size[2], taps = t.count[2];
  std::memset(gx, 0, static_cast<size_t>(t.plane()) * sizeof(T));
  if (one_tap(t)) {  // output rows that come from one input row are added up before they are folded
    const i64 width = t.out[2], last = t.out[0] * t.out[1];
    for (i64 i = 0; i < last;) {
      const auto input_row = [&](i64 o) { return i64{t.index[0][o / t.out[1]]} * t.size[1] + t.index[1][o % t.out[1]]; };
      const i64 number = input_row(i);
      std::memcpy(row, g + i * width, static_cast<size_t>(width) * sizeof(T));
      for (++i; i < last && input_row(i) == number; ++i)
        for (i64 w = 0; w < width; ++w) row[w] += g[i * width + w];
      T* to = gx + number * n;
      for (i64 w = 0; w < width; ++w) to[t.index[2][w]] += row[w];
    }
    return;
  }
  for (i64 d = 0; d < t.out[0]; ++d)
    for (i64 h = 0; h < t.out[1]; ++h, g += t.out[2]) {
      for (i64 k = 0; k < n; ++k) row[k] = 0;
      for (i64 w = 0; w < t.out[2]; ++w)
        for (i64 k = w * taps; k < (w + 1) * taps; ++k) row[t.index[2][k]] += g[w] * t.weight[2][k];
      each_row(t, d, h, [&](i64 number, T weight) __attribute__((always_inline)) {
        T* to = gx + number * n;
        for (i64 k = 0; k < n; ++k) to[k] += weight * row[k];
      });
    }
}

template <class T> RUSHLIGHT_INLINE void add_row(T* to, const T* from, i64 n) {
  for (i64 i = 0; i < n; ++i) to[i] += from[i];
}

#define RUSHLIGHT_RESAMPLE_LOOPS(T)                                                                        \
  RUSHLIGHT_CLONES void run_sample(const Taps<T>& t, const T* x, T* y, i64 channels, i64 from, i64 to) {   \
    sample<T>(t, x, y, channels, from, to);                                                                \
  }                                                                                                        \
  RUSHLIGHT_CLONES void run_spread(const Taps<T>& t, const T* g, T* gx, i64 channels, i64 from, i64 to) {  \
    spread<T>(t, g, gx, channels, from, to);                                                               \
  }                                                                                                        \
  RUSHLIGHT_CLONES void run_sample_plane(const Taps<T>& t, const T* x, T* y, T* row) {                     \
    sample_plane<T>(t, x, y, row);                                                                         \
  }                                                                                                        \
  RUSHLIGHT_CLONES void run_spread_plane(const Taps<T>& t, const T* g, T* gx, T* row) {                    \
    spread_plane<T>(t, g, gx, row);                                                                        \
  }                                                                                                        \
  RUSHLIGHT_CLONES void run_add_row(T* to, const T* from, i64 n) { add_row<T>(to, from, n); }
RUSHLIGHT_RESAMPLE_LOOPS(float)
RUSHLIGHT_RESAMPLE_LOOPS(double)
#undef RUSHLIGHT_RESAMPLE_LOOPS

// last(image, from, to) for blocks of channels where they lie last, else plane(number, a row of memory).
template <class T, class Last, class Plane>
void each_part(const Taps<T>& t, i64 images, i64 channels, bool channels_last, const Last& last, const Plane& plane) {
  const i64 blocks = channels_last ? (channels + kChannelBlock - 1) / kChannelBlock : channels;
  const i64 each = std::max(t.out_plane(), t.plane()) * (channels_last ? std::min(channels, kChannelBlock) : 1);
  parallel_for(images * blocks, std::max<i64>(1, kGrain / each), [&](i64 begin, i64 end) {
    std::vector<T> row(static_cast<size_t>(std::max(t.size[2], t.out[2])));
    for (i64 part = begin; part < end; ++part) {
      if (channels_last) {
        const i64 from = part % blocks * kChannelBlock;
        last(part / blocks, from, std::min(channels, from + kChannelBlock));
      } else {
        plane(part, row.data());
      }
    }
  });
}

bool sampled(nb::handle x) { return is_array(x) && ndim(x) >= 3 && ndim(x) <= 5 && PyArray_SIZE(array(x)) > 0; }

nb::object resample(nb::handle x_in, nb::handle tables) {
  if (!sampled(x_in)) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object x = dense(x_in);
    const Taps<T> t = taps<T>(tables, {PyArray_DIMS(array(x)) + 2, PyArray_DIMS(array(x)) + ndim(x)});
    std::vector<npy_intp> shape = {dim(x, 0), dim(x, 1)};
    for (int i = 5 - ndim(x); i < 3; ++i) shape.push_back(t.out[i]);
    const bool last = is_channels_last(x);
    const i64 channels = shape[1], from_image = t.plane() * channels, to_image = t.out_plane() * channels;
    nb::object y = new_array(ndim(x), shape.data(), type_of<T>(), last);
    const T* from = data<const T>(x);
    T* to = data<T>(y);
    each_part(
        t, shape[0], channels, last,
        [&](i64 image, i64 begin, i64 end) {
          run_sample(t, from + image * from_image, to + image * to_image, channels, begin, end);
        },
        [&](i64 p, T* row) { run_sample_plane(t, from + p * t.plane(), to + p * t.out_plane(), row); });
    return y;
  });
}

nb::object resample_backward(nb::handle g_in, nb::handle x_shape, nb::handle tables) {
  const auto shape = integers(x_shape);
  if (!sampled(g_in) || static_cast<int>(shape.size()) != ndim(g_in)) return nb::none();
  if (shape[0] != dim(g_in, 0) || shape[1] != dim(g_in, 1)) return nb::none();
  if (std::any_of(shape.begin(), shape.end(), [](i64 n) { return n < 1; })) return nb::none();
  return for_floats(g_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object g = dense(g_in);
    const Taps<T> t = taps<T>(tables, {shape.begin() + 2, shape.end()});
    for (int i = 2; i < ndim(g); ++i)
      if (dim(g, i) != t.out[5 - ndim(g) + i - 2]) return nb::none();
    const bool last = is_channels_last(g);
    const i64 channels = shape[1], from_image = t.out_plane() * channels, to_image = t.plane() * channels;
    nb::object gx = new_array(ndim(g), shape.data(), type_of<T>(), last);
    const T* from = data<const T>(g);
    T* to = data<T>(gx);
    each_part(
        t, shape[0], channels, last,
        [&](i64 image, i64 begin, i64 end) {
          run_spread(t, from + image * from_image, to + image * to_image, channels, begin, end);
        },
        [&](i64 p, T* row) { run_spread_plane(t, from + p * t.out_plane(), to + p * t.plane(), row); });
    return gx;
  });
}

// Each thread owns a range of rows, so the order of the sums is that of `index`.
template <class T, class I> nb::object scatter_rows(nb::handle g, const I* index, i64 rows) {
  const i64 n = dim(g, 0), width = dim(g, 1);
  const npy_intp shape[2] = {rows, width};
  nb::object result = new_array(2, shape, type_of<T>(), false);
  T* total = data<T>(result);
  const T* from = data<const T>(g);
  for (i64 i = 0; i < n; ++i)
    if (index[i] < 0 || index[i] >= rows) throw nb::index_error("a row number lies outside the table");
  parallel_for(rows, std::max<i64>(1, kGrain / std::max<i64>(1, width)), [&](i64 begin, i64 end) {
    std::memset(total + begin * width, 0, static_cast<size_t>((end - begin) * width) * sizeof(T));
    for (i64 i = 0; i < n; ++i)
      if (index[i] >= begin && index[i] < end) run_add_row(total + i64{index[i]} * width, from + i * width, width);
  });
  return result;
}

nb::object embedding_backward(nb::handle g_in, nb::handle index, i64 rows) {
  if (!is_array(g_in) || !is_array(index) || ndim(g_in) != 2 || ndim(index) != 1 || rows < 1) return nb::none();
  if (dim(g_in, 0) != dim(index, 0) || !is_contiguous(index)) return nb::none();
  return for_floats(g_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object g = in_layout(g_in, false);
    if (has_type(index, NPY_INT64)) return scatter_rows<T>(g, data<const std::int64_t>(index), rows);
    if (has_type(index, NPY_INT32)) return scatter_rows<T>(g, data<const std::int32_t>(index), rows);
    return nb::none();
  });
}

}  // namespace

void bind_resample(nb::module_& m) {
  m.def("resample", &resample);
  m.def("resample_backward", &resample_backward);
  m.def("embedding_backward", &embedding_backward);
}

}  // namespace rushlight

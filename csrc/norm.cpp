// Batch and layer normalisation. Sums are taken in float64 over blocks that depend on the shape alone, so results
// don't depend on the number of threads.
#include "norm_loops.h"

#include <algorithm>
#include <cmath>

namespace rushlight {
namespace {

constexpr i64 kBlock = 16384;  // elements summed by one task

// An activation seen as rows of channels (channels last), or as planes of one channel each.
struct View {
  bool last;
  i64 images, channels, plane;
  i64 rows() const { return images * plane; }
  i64 size() const { return images * plane * channels; }
};

View view(nb::handle x, bool last) {
  View v{last, dim(x, 0), dim(x, 1), 1};
  for (int i = 2; i < ndim(x); ++i) v.plane *= dim(x, i);
  return v;
}

// -- two sums per channel ---------------------------------------------------------------------------
// Moments: x - p and its square, of which p (a value near the mean) keeps the precision.
// Products: g and g (x - p).
// Eight terms are added in the type itself, everything beyond that in float64.

constexpr i64 kRun = 8;

template <bool kProducts, class V>
RUSHLIGHT_INLINE void add_terms(const V& x, const V& g, const V& pivot, V& first, V& second) {
  const V shifted = x - pivot;
  first += kProducts ? g : shifted;
  second += (kProducts ? g : shifted) * shifted;
}

// Eight neighbouring columns over all rows, `stride` elements apart.
template <bool kProducts, class T>
RUSHLIGHT_INLINE void sum_strip(const T* x, const T* g, const T* pivot, i64 rows, i64 stride, double* first,
                                double* second) {
  Values<T> p, u, v;
  load(p, pivot);
  Doubles a = {}, b = {};
  for (i64 r = 0; r < rows;) {
    Values<T> short_a = {}, short_b = {};
    for (const i64 stop = r + kRun < rows ? r + kRun : rows; r < stop; ++r) {
      load(u, x + r * stride);
      load(v, g + r * stride);
      add_terms<kProducts>(u, v, p, short_a, short_b);
    }
    add_wide<T>(a, short_a);
    add_wide<T>(b, short_b);
  }
  store(first, a);
  store(second, b);
}

// Rows [0, rows) of `width` columns: sets first[width], second[width].
template <bool kProducts, class T>
RUSHLIGHT_INLINE void sum_rows(const T* x, const T* g, const T* pivot, i64 rows, i64 width, double* first,
                               double* second) {
  if (width < kEight) {
    for (i64 c = 0; c < width; ++c) {
      first[c] = second[c] = 0;
      for (i64 r = 0; r < rows; ++r)
        add_terms<kProducts, double>(x[r * width + c], g[r * width + c], pivot[c], first[c], second[c]);
    }
    return;
  }
  for (i64 c = 0; c < width; c += kEight) {  // the last strip may overlap the one before
    const i64 at = c + kEight <= width ? c : width - kEight;
    sum_strip<kProducts, T>(x + at, g + at, pivot + at, rows, width, first + at, second + at);
  }
}

// One plane of a single channel.
template <bool kProducts, class T>
RUSHLIGHT_INLINE void sum_plane(const T* x, const T* g, T pivot, i64 n, double& first, double& second) {
  Values<T> p = {}, u, v;
  fill(p, pivot);
  Doubles a = {}, b = {};
  i64 i = 0;
  while (i + kEight <= n) {
    Values<T> short_a = {}, short_b = {};
    for (const i64 stop = i + kRun * kEight; i < stop && i + kEight <= n; i += kEight) {
      load(u, x + i);
      load(v, g + i);
      add_terms<kProducts>(u, v, p, short_a, short_b);
    }
    add_wide<T>(a, short_a);
    add_wide<T>(b, short_b);
  }
  first = sum_of(a);
  second = sum_of(b);
  for (; i < n; ++i) add_terms<kProducts, double>(x[i], g[i], pivot, first, second);
}

// y = x scale + shift, over rows of channels.
template <class T>
RUSHLIGHT_INLINE void scale_rows(const T* x, const T* scale, const T* shift, T* y, i64 rows, i64 width) {
  for (i64 r = 0; r < rows; ++r)
    for (i64 c = 0; c < width; ++c) y[r * width + c] = x[r * width + c] * scale[c] + shift[c];
}

template <class T> RUSHLIGHT_INLINE void scale_plane(const T* x, T scale, T shift, T* y, i64 n) {
  for (i64 i = 0; i < n; ++i) y[i] = x[i] * scale + shift;
}

// gx = (g - a - (x - mean) k) s, over rows of channels.
template <class T>
RUSHLIGHT_INLINE void gradient_rows(const T* g, const T* x, const T* a, const T* mean, const T* k, const T* s, T* gx, i64 rows,
                          i64 width) {
  for (i64 r = 0; r < rows; ++r)
    for (i64 c = 0; c < width; ++c) {
      const i64 i = r * width + c;
      gx[i] = (g[i] - a[c] - (x[i] - mean[c]) * k[c]) * s[c];
    }
}

template <class T> RUSHLIGHT_INLINE void gradient_plane(const T* g, const T* x, T a, T mean, T k, T s, T* gx, i64 n) {
  for (i64 i = 0; i < n; ++i) gx[i] = (g[i] - a - (x[i] - mean) * k) * s;
}

// -- layer normalisation, one row -------------------------------------------------------------------

template <class T>
RUSHLIGHT_INLINE void layer_row(const T* x, const T* w, const T* b, double eps, T* y, T* mean, T* rstd, i64 n) {
  const double count = static_cast<double>(n);
  double sum = 0, squares = 0, unused = 0;
  sum_plane<false, T>(x, x, x[0], n, sum, unused);
  const T m = static_cast<T>(static_cast<double>(x[0]) + sum / count);
  sum_plane<false, T>(x, x, m, n, sum, squares);
  const double rest = sum / count;  // what rounding left of the mean
  const T s = static_cast<T>(1 / std::sqrt((squares / count - rest * rest < 0 ? 0 : squares / count - rest * rest) + eps));
  if (w && b)
    for (i64 i = 0; i < n; ++i) y[i] = (x[i] - m) * s * w[i] + b[i];
  else
    for (i64 i = 0; i < n; ++i) y[i] = (x[i] - m) * s * (w ? w[i] : T(1)) + (b ? b[i] : T(0));
  *mean = m;
  *rstd = s;
}

// Sums over a row of v = g w and of v times the normalised x.
template <class T>
RUSHLIGHT_INLINE void layer_sums(const T* g, const T* x, T mean, T rstd, const T* w, i64 n, double& sum, double& dot) {
  Values<T> u, v, k = {}, m = {}, s = {};
  fill(k, T(1));
  fill(m, mean);
  fill(s, rstd);
  Doubles a = {}, b = {};
  i64 i = 0;
  while (i + kEight <= n) {
    Values<T> short_a = {}, short_b = {};
    for (const i64 stop = i + kRun * kEight; i < stop && i + kEight <= n; i += kEight) {
      load(u, x + i);
      load(v, g + i);
      if (w) load(k, w + i);
      v *= k;
      short_a += v;
      short_b += v * ((u - m) * s);
    }
    add_wide<T>(a, short_a);
    add_wide<T>(b, short_b);
  }
  sum = sum_of(a);
  dot = sum_of(b);
  for (; i < n; ++i) {
    const double v = w ? g[i] * w[i] : g[i];
    sum += v;
    dot += v * ((x[i] - mean) * rstd);
  }
}

// gx of one row; adds to the weight's and the bias' gradients.
template <class T>
RUSHLIGHT_INLINE void layer_row_backward(const T* g, const T* x, T mean, T rstd, const T* w, T* gx, double* gw,
                                         double* gb, i64 n) {
  double sum = 0, dot = 0;
  layer_sums(g, x, mean, rstd, w, n, sum, dot);
  const T a = static_cast<T>(sum / static_cast<double>(n)), k = static_cast<T>(dot / static_cast<double>(n));
  for (i64 j = 0; j < n; ++j) {
    const T normal = (x[j] - mean) * rstd;
    gw[j] += g[j] * normal;
    gb[j] += g[j];
    gx[j] = ((w ? g[j] * w[j] : g[j]) - a - normal * k) * rstd;
  }
}

}  // namespace

#define RUSHLIGHT_NORM_LOOPS(T)                                                                                         \
  RUSHLIGHT_CLONES void moments(const T* x, const T* p, i64 rows, i64 width, double* a, double* b) {               \
    sum_rows<false, T>(x, x, p, rows, width, a, b);                                                                     \
  }                                                                                                                     \
  RUSHLIGHT_CLONES void products(const T* x, const T* g, const T* p, i64 rows, i64 width, double* a, double* b) {  \
    sum_rows<true, T>(x, g, p, rows, width, a, b);                                                                      \
  }                                                                                                                     \
  RUSHLIGHT_CLONES void plane_moments(const T* x, T p, i64 n, double& a, double& b) {                              \
    sum_plane<false, T>(x, x, p, n, a, b);                                                                              \
  }                                                                                                                     \
  RUSHLIGHT_CLONES void plane_products(const T* x, const T* g, T p, i64 n, double& a, double& b) {                 \
    sum_plane<true, T>(x, g, p, n, a, b);                                                                               \
  }                                                                                                                     \
  RUSHLIGHT_CLONES void normalise_rows(const T* x, const T* s, const T* t, T* y, i64 rows, i64 width) {                 \
    scale_rows<T>(x, s, t, y, rows, width);                                                                             \
  }                                                                                                                     \
  RUSHLIGHT_CLONES void normalise_plane(const T* x, T s, T t, T* y, i64 n) { scale_plane<T>(x, s, t, y, n); }           \
  RUSHLIGHT_CLONES static void backward_rows(const T* g, const T* x, const T* a, const T* m, const T* k, const T* s, T* gx,    \
                                      i64 rows, i64 width) {                                                            \
    gradient_rows<T>(g, x, a, m, k, s, gx, rows, width);                                                                \
  }                                                                                                                     \
  RUSHLIGHT_CLONES static void backward_plane(const T* g, const T* x, T a, T m, T k, T s, T* gx, i64 n) {                      \
    gradient_plane<T>(g, x, a, m, k, s, gx, n);                                                                         \
  }                                                                                                                     \
  RUSHLIGHT_CLONES static void layer_rows(const T* x, const T* w, const T* b, double eps, T* y, T* mean, T* rstd, i64 n,       \
                                   i64 begin, i64 end) {                                                                \
    for (i64 r = begin; r < end; ++r) layer_row<T>(x + r * n, w, b, eps, y + r * n, mean + r, rstd + r, n);             \
  }                                                                                                                     \
  RUSHLIGHT_CLONES static void layer_rows_backward(const T* g, const T* x, const T* mean, const T* rstd, const T* w, T* gx,    \
                                            double* gw, double* gb, i64 n, i64 begin, i64 end) {                        \
    for (i64 r = begin; r < end; ++r)                                                                                   \
      layer_row_backward<T>(g + r * n, x + r * n, mean[r], rstd[r], w, gx + r * n, gw, gb, n);                          \
  }
RUSHLIGHT_NORM_LOOPS(float)
RUSHLIGHT_NORM_LOOPS(double)
#undef RUSHLIGHT_NORM_LOOPS

namespace {

// -- per-channel coefficients -----------------------------------------------------------------------

// With few channels, several rows are worked on as one wide row: how many.
i64 rows_at_once(i64 channels) { return channels >= 64 ? 1 : (64 + channels - 1) / channels; }

template <class V> std::vector<V> repeated(const std::vector<V>& values, i64 times) {
  std::vector<V> result;
  result.reserve(values.size() * static_cast<size_t>(times));
  for (i64 i = 0; i < times; ++i) result.insert(result.end(), values.begin(), values.end());
  return result;
}

// wide(first row, rows) over the part of [0, rows) that comes in groups of `at_once`, narrow over what is left.
template <class Wide, class Narrow>
void each_rows(i64 rows, i64 channels, i64 at_once, const Wide& wide, const Narrow& narrow) {
  const i64 groups = rows / at_once, per_task = std::max<i64>(1, kBlock / (channels * at_once));
  parallel_for((groups + per_task - 1) / per_task, std::max<i64>(1, kGrain / kBlock), [&](i64 begin, i64 end) {
    const i64 first = begin * per_task, last = std::min(groups, end * per_task);
    wide(first * at_once, last - first);
  });
  if (rows > groups * at_once) narrow(groups * at_once, rows - groups * at_once);
}

struct Sums {
  std::vector<double> first, second;
};

// The two sums of each channel: of x - pivot and its square, or (with g) of g and g (x - pivot).
template <class T> Sums channel_sums(const T* x, const T* g, const View& v, const std::vector<T>& pivot) {
  const auto channels = static_cast<size_t>(v.channels);
  Sums total{std::vector<double>(channels), std::vector<double>(channels)};
  if (!v.last) {
    const i64 planes = v.images * v.channels;
    std::vector<double> part(static_cast<size_t>(2 * planes));
    parallel_for(planes, std::max<i64>(1, kGrain / v.plane), [&](i64 begin, i64 end) {
      for (i64 p = begin; p < end; ++p) {
        double *a = &part[static_cast<size_t>(2 * p)], *b = a + 1;
        const T at = pivot[static_cast<size_t>(p % v.channels)];
        g ? plane_products(x + p * v.plane, g + p * v.plane, at, v.plane, *a, *b)
          : plane_moments(x + p * v.plane, at, v.plane, *a, *b);
      }
    });
    for (size_t p = 0; p < static_cast<size_t>(planes); ++p) {
      total.first[p % channels] += part[2 * p];
      total.second[p % channels] += part[2 * p + 1];
    }
    return total;
  }
  const i64 at_once = rows_at_once(v.channels), width = v.channels * at_once, groups = v.rows() / at_once;
  const i64 per_block = std::max<i64>(1, kBlock / width), blocks = (groups + per_block - 1) / per_block;
  const auto wide_pivot = repeated(pivot, at_once);
  std::vector<double> part(static_cast<size_t>(2 * blocks * width));
  const auto sum = [&](i64 first_row, i64 rows, i64 across, double* a, double* b) {
    const i64 skip = first_row * v.channels;
    g ? products(x + skip, g + skip, wide_pivot.data(), rows, across, a, b)
      : moments(x + skip, wide_pivot.data(), rows, across, a, b);
  };
  parallel_for(blocks, std::max<i64>(1, kGrain / kBlock), [&](i64 begin, i64 end) {
    for (i64 block = begin; block < end; ++block) {
      const i64 from = block * per_block;
      double* a = &part[static_cast<size_t>(2 * block * width)];
      sum(from * at_once, std::min(per_block, groups - from), width, a, a + width);
    }
  });
  const i64 left = v.rows() - groups * at_once;
  for (i64 row = 0; row < left; ++row) {  // fewer rows than are worked on at once
    std::vector<double> a(channels), b(channels);
    sum((groups * at_once) + row, 1, v.channels, a.data(), b.data());
    for (size_t c = 0; c < channels; ++c) total.first[c] += a[c], total.second[c] += b[c];
  }
  for (i64 block = 0; block < blocks; ++block) {
    const double* a = &part[static_cast<size_t>(2 * block * width)];
    for (i64 c = 0; c < width; ++c) {
      total.first[static_cast<size_t>(c % v.channels)] += a[c];
      total.second[static_cast<size_t>(c % v.channels)] += a[width + c];
    }
  }
  return total;
}

template <class T> std::vector<T> values(nb::handle h, i64 n, T missing) {
  if (h.is_none()) return std::vector<T>(static_cast<size_t>(n), missing);
  return std::vector<T>(data<const T>(h), data<const T>(h) + n);
}

template <class T> nb::object vector_of(const std::vector<T>& source) {
  const npy_intp n = static_cast<npy_intp>(source.size());
  nb::object result = new_array(1, &n, type_of<T>(), false);
  std::copy(source.begin(), source.end(), data<T>(result));
  return result;
}

bool optional_vector(nb::handle h, int type, i64 n) { return h.is_none() || is_vector(h, type, n); }

bool normalisable(nb::handle x) { return is_array(x) && ndim(x) >= 2 && PyArray_SIZE(array(x)) > 0; }

template <class T>
nb::object scaled(nb::handle x, const View& v, const std::vector<T>& scale, const std::vector<T>& shift) {
  nb::object y = new_array(ndim(x), PyArray_DIMS(array(x)), type_of<T>(), v.last);
  const T* from = data<const T>(x);
  T* to = data<T>(y);
  if (v.last) {
    const i64 at_once = rows_at_once(v.channels), c = v.channels;
    const auto s = repeated(scale, at_once), t = repeated(shift, at_once);
    const auto run = [&](i64 first, i64 rows, i64 width) {
      normalise_rows(from + first * c, s.data(), t.data(), to + first * c, rows, width);
    };
    each_rows(v.rows(), c, at_once, [&](i64 first, i64 rows) { run(first, rows, c * at_once); },
              [&](i64 first, i64 rows) { run(first, rows, c); });
  } else {
    parallel_for(v.images * v.channels, std::max<i64>(1, kGrain / v.plane), [&](i64 begin, i64 end) {
      for (i64 p = begin; p < end; ++p) {
        const auto c = static_cast<size_t>(p % v.channels);
        normalise_plane(from + p * v.plane, scale[c], shift[c], to + p * v.plane, v.plane);
      }
    });
  }
  return y;
}

// A value of each channel near its mean: the mean of a few elements spread over the whole.
template <class T> std::vector<T> pivots(const T* x, const View& v) {
  constexpr i64 kSamples = 32;
  const i64 samples = std::min(kSamples, v.rows());
  std::vector<double> sums(static_cast<size_t>(v.channels));
  for (i64 sample = 0; sample < samples; ++sample) {
    const i64 row = v.rows() * sample / samples, image = row / v.plane, at = row % v.plane;
    const T* from = v.last ? x + row * v.channels : x + image * v.channels * v.plane + at;
    for (i64 c = 0; c < v.channels; ++c) sums[static_cast<size_t>(c)] += from[v.last ? c : c * v.plane];
  }
  std::vector<T> result(sums.size());
  for (size_t c = 0; c < sums.size(); ++c) {
    const double mean = sums[c] / static_cast<double>(samples);
    result[c] = std::isfinite(mean) ? static_cast<T>(mean) : T(0);
  }
  return result;
}

nb::object batch_norm_train(nb::handle x_in, nb::handle w, nb::handle b, double eps) {
  if (!normalisable(x_in)) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object x = dense(x_in);
    const View v = view(x, is_channels_last(x));
    if (!optional_vector(w, type_of<T>(), v.channels) || !optional_vector(b, type_of<T>(), v.channels)) return nb::none();
    const auto pivot = pivots(data<const T>(x), v);
    const Sums sums = channel_sums<T>(data<const T>(x), nullptr, v, pivot);
    const auto weight = values<T>(w, v.channels, 1), bias = values<T>(b, v.channels, 0);
    std::vector<T> mean(pivot.size()), rstd(pivot.size()), var(pivot.size()), scale(pivot.size()), shift(pivot.size());
    const double count = static_cast<double>(v.rows());
    for (size_t c = 0; c < pivot.size(); ++c) {
      const double offset = sums.first[c] / count;
      const double variance = std::max(0.0, sums.second[c] / count - offset * offset);
      mean[c] = static_cast<T>(static_cast<double>(pivot[c]) + offset);
      var[c] = static_cast<T>(std::isnan(offset) ? offset : variance);
      rstd[c] = static_cast<T>(1 / std::sqrt((std::isnan(offset) ? offset : variance) + eps));
      scale[c] = rstd[c] * weight[c];
      shift[c] = bias[c] - mean[c] * scale[c];
    }
    return nb::make_tuple(scaled<T>(x, v, scale, shift), vector_of(mean), vector_of(rstd), vector_of(var));
  });
}

nb::object batch_norm_eval(nb::handle x_in, nb::handle mean, nb::handle var, nb::handle w, nb::handle b, double eps) {
  if (!normalisable(x_in)) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object x = dense(x_in);
    const View v = view(x, is_channels_last(x));
    constexpr int type = type_of<T>();
    if (!is_vector(mean, type, v.channels) || !is_vector(var, type, v.channels)) return nb::none();
    if (!optional_vector(w, type, v.channels) || !optional_vector(b, type, v.channels)) return nb::none();
    auto scale = values<T>(w, v.channels, 1), shift = values<T>(b, v.channels, 0);
    for (size_t c = 0; c < scale.size(); ++c) {
      scale[c] *= 1 / std::sqrt(data<const T>(var)[c] + static_cast<T>(eps));
      shift[c] -= data<const T>(mean)[c] * scale[c];
    }
    return scaled<T>(x, v, scale, shift);
  });
}

nb::object batch_norm_backward(nb::handle g_in, nb::handle x_in, nb::handle mean_in, nb::handle rstd_in, nb::handle w,
                               bool train) {
  if (!normalisable(x_in) || !is_array(g_in) || ndim(g_in) != ndim(x_in) || !same_shape(g_in, x_in)) return nb::none();
  if (PyArray_TYPE(array(g_in)) != PyArray_TYPE(array(x_in)) || !PyArray_ISBEHAVED_RO(array(g_in))) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object x = dense(x_in);
    const View v = view(x, is_channels_last(x));
    nb::object g = in_layout(g_in, v.last);
    constexpr int type = type_of<T>();
    if (!is_vector(mean_in, type, v.channels) || !is_vector(rstd_in, type, v.channels)) return nb::none();
    if (!optional_vector(w, type, v.channels)) return nb::none();
    const auto mean = values<T>(mean_in, v.channels, 0), rstd = values<T>(rstd_in, v.channels, 1);
    const T *gradient = data<const T>(g), *from = data<const T>(x);
    const Sums sums = channel_sums<T>(from, gradient, v, mean);
    const auto n = mean.size();
    std::vector<T> gw(n), gb(n), offset(n), slope(n), scale = values<T>(w, v.channels, 1);
    const double count = static_cast<double>(v.rows());
    for (size_t c = 0; c < n; ++c) {
      gb[c] = static_cast<T>(sums.first[c]);
      gw[c] = static_cast<T>(sums.second[c] * rstd[c]);
      scale[c] *= rstd[c];
      if (!train) continue;
      offset[c] = static_cast<T>(sums.first[c] / count);
      slope[c] = static_cast<T>(sums.second[c] * rstd[c] * rstd[c] / count);
    }
    nb::object gx = new_array(ndim(x), PyArray_DIMS(array(x)), type, v.last);
    T* to = data<T>(gx);
    if (v.last) {
      const i64 at_once = rows_at_once(v.channels), c = v.channels;
      const auto a = repeated(offset, at_once), m = repeated(mean, at_once), k = repeated(slope, at_once),
                 s = repeated(scale, at_once);
      const auto run = [&](i64 first, i64 rows, i64 width) {
        const i64 skip = first * c;
        backward_rows(gradient + skip, from + skip, a.data(), m.data(), k.data(), s.data(), to + skip, rows, width);
      };
      each_rows(v.rows(), c, at_once, [&](i64 first, i64 rows) { run(first, rows, c * at_once); },
                [&](i64 first, i64 rows) { run(first, rows, c); });
    } else {
      parallel_for(v.images * v.channels, std::max<i64>(1, kGrain / v.plane), [&](i64 begin, i64 end) {
        for (i64 p = begin; p < end; ++p) {
          const auto c = static_cast<size_t>(p % v.channels);
          const i64 skip = p * v.plane;
          backward_plane(gradient + skip, from + skip, offset[c], mean[c], slope[c], scale[c], to + skip, v.plane);
        }
      });
    }
    return nb::make_tuple(gx, vector_of(gw), vector_of(gb));
  });
}

nb::object layer_norm(nb::handle x_in, nb::handle w, nb::handle b, double eps) {
  if (!normalisable(x_in) || ndim(x_in) != 2) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object x = in_layout(x_in, false);
    const i64 rows = dim(x, 0), n = dim(x, 1);
    if (!optional_vector(w, type_of<T>(), n) || !optional_vector(b, type_of<T>(), n)) return nb::none();
    const npy_intp count = rows;
    nb::object y = new_array(2, PyArray_DIMS(array(x)), type_of<T>(), false);
    nb::object mean = new_array(1, &count, type_of<T>(), false), rstd = new_array(1, &count, type_of<T>(), false);
    const T *weight = w.is_none() ? nullptr : data<const T>(w), *bias = b.is_none() ? nullptr : data<const T>(b);
    parallel_for(rows, std::max<i64>(1, kGrain / 2 / n), [&](i64 begin, i64 end) {
      layer_rows(data<const T>(x), weight, bias, eps, data<T>(y), data<T>(mean), data<T>(rstd), n, begin, end);
    });
    return nb::make_tuple(y, mean, rstd);
  });
}

nb::object layer_norm_backward(nb::handle g_in, nb::handle x_in, nb::handle mean, nb::handle rstd, nb::handle w) {
  if (!normalisable(x_in) || ndim(x_in) != 2 || !is_array(g_in) || ndim(g_in) != 2) return nb::none();
  if (!same_shape(g_in, x_in)) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    constexpr int type = type_of<T>();
    if (!has_type(g_in, type)) return nb::none();
    nb::object x = in_layout(x_in, false), g = in_layout(g_in, false);
    const i64 rows = dim(x, 0), n = dim(x, 1);
    if (!is_vector(mean, type, rows) || !is_vector(rstd, type, rows) || !optional_vector(w, type, n)) return nb::none();
    nb::object gx = new_array(2, PyArray_DIMS(array(x)), type, false);
    const T* weight = w.is_none() ? nullptr : data<const T>(w);
    const i64 per_block = std::max<i64>(64, kBlock / n), blocks = (rows + per_block - 1) / per_block;
    std::vector<double> part(static_cast<size_t>(2 * blocks * n));
    parallel_for(blocks, std::max<i64>(1, kGrain / 2 / (per_block * n)), [&](i64 begin, i64 end) {
      for (i64 block = begin; block < end; ++block) {
        double* sums = &part[static_cast<size_t>(2 * block * n)];
        layer_rows_backward(data<const T>(g), data<const T>(x), data<const T>(mean), data<const T>(rstd), weight,
                            data<T>(gx), sums, sums + n, n, block * per_block, std::min(rows, (block + 1) * per_block));
      }
    });
    std::vector<T> gw(static_cast<size_t>(n)), gb(gw.size());
    for (size_t i = 0; i < gw.size(); ++i) {
      double first = 0, second = 0;
      for (size_t block = 0; block < static_cast<size_t>(blocks); ++block) {
        first += part[2 * block * gw.size() + i];
        second += part[(2 * block + 1) * gw.size() + i];
      }
      gw[i] = static_cast<T>(first);
      gb[i] = static_cast<T>(second);
    }
    return nb::make_tuple(gx, vector_of(gw), vector_of(gb));
  });
}

}  // namespace

void bind_norm(nb::module_& m) {
  m.def("batch_norm_train", &batch_norm_train, nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg("eps"));
  m.def("batch_norm_eval", &batch_norm_eval, nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(),
        nb::arg("eps"));
  m.def("batch_norm_backward", &batch_norm_backward, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(),
        nb::arg("train"));
  m.def("layer_norm", &layer_norm, nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg("eps"));
  m.def("layer_norm_backward", &layer_norm_backward, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none());
}

}  // namespace rushlight

// Group normalisation of arrays in either order, channels first or last. Sums are taken in float64 over blocks that depend
// on the shape alone, so results don't depend on the number of threads.
#include "norm_loops.h"

#include <algorithm>
#include <cmath>

namespace rushlight {
namespace {

struct Groups {
  bool last;  // channels last
  i64 images, channels, plane, groups;
  i64 each() const { return channels / groups; }  // channels of a group
  i64 size() const { return each() * plane; }     // elements of a group in one image
  // What one task works on: an image, or (channels first) one group of it.
  i64 tasks() const { return last ? images : images * groups; }
  i64 task_groups() const { return last ? groups : 1; }
};

Groups groups_of(nb::handle x, i64 groups) {
  Groups s{false, dim(x, 0), dim(x, 1), 1, groups};
  for (int i = 2; i < ndim(x); ++i) s.plane *= dim(x, i);
  s.last = s.plane == 1 || !is_contiguous(x);
  return s;
}

// A value near the mean of group `first`, `first` + 1 ... of a task, for each of their channels.
template <class T> void pivots(const T* x, const Groups& s, T* pivot) {
  constexpr i64 kSamples = 16;
  const i64 samples = std::min(kSamples, s.size());
  for (i64 group = 0; group < s.task_groups(); ++group) {
    double sum = 0;
    for (i64 sample = 0; sample < samples; ++sample) {
      const i64 i = s.size() * sample / samples, c = group * s.each() + i / s.plane, at = i % s.plane;
      sum += static_cast<double>(x[s.last ? at * s.channels + c : c * s.plane + at]);
    }
    const double mean = sum / static_cast<double>(samples);
    std::fill(pivot + group * s.each(), pivot + (group + 1) * s.each(), std::isfinite(mean) ? static_cast<T>(mean) : T(0));
  }
}

// The two sums of each channel of a task: moments of x, or (with g) products of g and x.
template <class T> void channel_sums(const T* x, const T* g, const T* pivot, const Groups& s, double* first, double* second) {
  const i64 channels = s.task_groups() * s.each();
  if (!s.last) {
    for (i64 c = 0; c < channels; ++c, x += s.plane, g += g ? s.plane : 0)
      g ? plane_products(x, g, pivot[c], s.plane, first[c], second[c]) : plane_moments(x, pivot[c], s.plane, first[c], second[c]);
    return;
  }
  const i64 rows = std::max<i64>(8, 4096 / channels);  // that stay in the first cache
  std::vector<double> part(static_cast<size_t>(2 * channels));
  double *a = part.data(), *b = a + channels;
  std::fill(first, first + channels, 0.0);
  std::fill(second, second + channels, 0.0);
  for (i64 r = 0; r < s.plane; r += rows) {
    const i64 count = std::min(rows, s.plane - r), skip = r * channels;
    g ? products(x + skip, g + skip, pivot, count, channels, a, b) : moments(x + skip, pivot, count, channels, a, b);
    for (i64 c = 0; c < channels; ++c) first[c] += a[c], second[c] += b[c];
  }
}

// gx = g p + (x - m) q + r, over rows of channels or over one plane of a channel.
template <class T>
RUSHLIGHT_INLINE void combine_rows(const T* g, const T* x, const T* p, const T* m, const T* q, const T* r, T* gx, i64 rows, i64 width) {
  for (i64 i = 0; i < rows; ++i, g += width, x += width, gx += width)
    for (i64 c = 0; c < width; ++c) gx[c] = g[c] * p[c] + (x[c] - m[c]) * q[c] + r[c];
}
template <class T> RUSHLIGHT_INLINE void combine_plane(const T* g, const T* x, T p, T m, T q, T r, T* gx, i64 n) {
  for (i64 i = 0; i < n; ++i) gx[i] = g[i] * p + (x[i] - m) * q + r;
}
#define RUSHLIGHT_COMBINE(T)                                                                                              \
  RUSHLIGHT_CLONES void combine(const T* g, const T* x, const T* p, const T* m, const T* q, const T* r, T* gx, i64 rows,  \
                                i64 width) {                                                                              \
    combine_rows<T>(g, x, p, m, q, r, gx, rows, width);                                                                   \
  }                                                                                                                       \
  RUSHLIGHT_CLONES void combine(const T* g, const T* x, T p, T m, T q, T r, T* gx, i64 n) {                               \
    combine_plane<T>(g, x, p, m, q, r, gx, n);                                                                            \
  }
RUSHLIGHT_COMBINE(float)
RUSHLIGHT_COMBINE(double)
#undef RUSHLIGHT_COMBINE

// Mean and 1 / sqrt(variance + eps) of the groups of a task.
template <class T>
void statistics(const Groups& s, const T* pivot, const double* first, const double* second, double eps, T* mean, T* rstd) {
  const double count = static_cast<double>(s.size());
  for (i64 group = 0; group < s.task_groups(); ++group) {
    double sum = 0, squares = 0;
    for (i64 c = group * s.each(); c < (group + 1) * s.each(); ++c) sum += first[c], squares += second[c];
    const double offset = sum / count, variance = squares / count - offset * offset;
    mean[group] = static_cast<T>(static_cast<double>(pivot[group * s.each()]) + offset);
    rstd[group] = static_cast<T>(1 / std::sqrt((variance < 0 ? 0 : variance) + eps));
  }
}

template <class T> const T* given(nb::handle h) { return h.is_none() ? nullptr : data<const T>(h); }

bool fits(nb::handle h, int type, i64 n) { return h.is_none() || is_vector(h, type, n); }

nb::object group_norm(nb::handle x_in, nb::handle w, nb::handle b, i64 groups, double eps) {
  if (!is_array(x_in) || ndim(x_in) < 2 || PyArray_SIZE(array(x_in)) == 0 || groups < 1 || dim(x_in, 1) % groups) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object x = dense(x_in);
    const Groups s = groups_of(x, groups);
    if (!fits(w, type_of<T>(), s.channels) || !fits(b, type_of<T>(), s.channels)) return nb::none();
    const npy_intp rows = s.images * s.groups;
    nb::object y = new_array(ndim(x), PyArray_DIMS(array(x)), type_of<T>(), s.last);
    nb::object mean = new_array(1, &rows, type_of<T>(), false), rstd = new_array(1, &rows, type_of<T>(), false);
    const T *weight = given<T>(w), *bias = given<T>(b);
    const i64 channels = s.task_groups() * s.each(), elements = channels * s.plane;
    parallel_for(s.tasks(), std::max<i64>(1, kGrain / 2 / elements), [&](i64 begin, i64 end) {
      const auto count = static_cast<size_t>(channels);
      std::vector<T> pivot(count), scale(count), shift(count);
      std::vector<double> first(count), second(count);
      for (i64 task = begin; task < end; ++task) {
        const T* from = data<const T>(x) + task * elements;
        T *to = data<T>(y) + task * elements, *m = data<T>(mean) + task * s.task_groups(), *r = data<T>(rstd) + task * s.task_groups();
        pivots(from, s, pivot.data());
        channel_sums<T>(from, nullptr, pivot.data(), s, first.data(), second.data());
        statistics(s, pivot.data(), first.data(), second.data(), eps, m, r);
        const i64 skip = s.last ? 0 : task % s.groups * s.each();  // the first channel
        for (size_t c = 0; c < count; ++c) {
          const i64 group = static_cast<i64>(c) / s.each(), channel = skip + static_cast<i64>(c);
          scale[c] = weight ? r[group] * weight[channel] : r[group];
          shift[c] = (bias ? bias[channel] : T(0)) - m[group] * scale[c];
          if (!s.last) normalise_plane(from + static_cast<i64>(c) * s.plane, scale[c], shift[c], to + static_cast<i64>(c) * s.plane, s.plane);
        }
        if (s.last) normalise_rows(from, scale.data(), shift.data(), to, s.plane, channels);
      }
    });
    return nb::make_tuple(y, mean, rstd);
  });
}

// Gradients of x, weight and bias.
nb::object group_norm_backward(nb::handle g_in, nb::handle x_in, nb::handle mean, nb::handle rstd, nb::handle w, i64 groups) {
  if (!is_array(x_in) || ndim(x_in) < 2 || PyArray_SIZE(array(x_in)) == 0 || groups < 1 || dim(x_in, 1) % groups) return nb::none();
  if (!is_array(g_in) || ndim(g_in) != ndim(x_in) || !same_shape(g_in, x_in)) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    constexpr int type = type_of<T>();
    if (!has_type(g_in, type)) return nb::none();
    nb::object x = dense(x_in);
    const Groups s = groups_of(x, groups);
    nb::object g = in_layout(g_in, s.last);
    const npy_intp rows = s.images * s.groups, all = s.channels;
    if (!is_vector(mean, type, rows) || !is_vector(rstd, type, rows) || !fits(w, type, s.channels)) return nb::none();
    nb::object gx = new_array(ndim(x), PyArray_DIMS(array(x)), type, s.last);
    const T* weight = given<T>(w);
    const i64 channels = s.task_groups() * s.each(), elements = channels * s.plane;
    std::vector<double> part(static_cast<size_t>(2 * s.images * s.channels));
    double *firsts = part.data(), *seconds = firsts + s.images * s.channels;  // [images][channels]
    const T *means = data<const T>(mean), *rstds = data<const T>(rstd);
    parallel_for(s.tasks(), std::max<i64>(1, kGrain / 2 / elements), [&](i64 begin, i64 end) {
      const auto count = static_cast<size_t>(channels);
      std::vector<T> p(count), m(count), q(count), r(count);
      for (i64 task = begin; task < end; ++task) {
        const T *grad = data<const T>(g) + task * elements, *from = data<const T>(x) + task * elements;
        T* to = data<T>(gx) + task * elements;
        double *first = firsts + task * channels, *second = seconds + task * channels;
        for (i64 c = 0; c < channels; ++c) m[static_cast<size_t>(c)] = means[task * s.task_groups() + c / s.each()];
        channel_sums<T>(from, grad, m.data(), s, first, second);
        const i64 skip = s.last ? 0 : task % s.groups * s.each();
        for (i64 group = 0; group < s.task_groups(); ++group) {
          const double scale = rstds[task * s.task_groups() + group], n = static_cast<double>(s.size());
          const i64 begin_c = group * s.each(), end_c = begin_c + s.each();
          double sum = 0, dot = 0;
          for (i64 c = begin_c; c < end_c; ++c) {
            const double factor = weight ? weight[skip + c] : 1;
            sum += factor * first[c];
            dot += factor * second[c];
          }
          for (i64 c = begin_c; c < end_c; ++c) {
            const auto i = static_cast<size_t>(c);
            p[i] = static_cast<T>(weight ? weight[skip + c] * scale : scale);
            q[i] = static_cast<T>(-dot * scale * scale * scale / n);
            r[i] = static_cast<T>(-sum * scale / n);
            if (!s.last) combine(grad + c * s.plane, from + c * s.plane, p[i], m[i], q[i], r[i], to + c * s.plane, s.plane);
          }
        }
        if (s.last) combine(grad, from, p.data(), m.data(), q.data(), r.data(), to, s.plane, channels);
      }
    });
    nb::object gw = new_array(1, &all, type, false), gb = new_array(1, &all, type, false);
    for (i64 c = 0; c < s.channels; ++c) {
      double of_weight = 0, of_bias = 0;
      for (i64 image = 0; image < s.images; ++image) {
        of_bias += firsts[image * s.channels + c];
        of_weight += seconds[image * s.channels + c] * static_cast<double>(rstds[image * s.groups + c / s.each()]);
      }
      data<T>(gw)[c] = static_cast<T>(of_weight);
      data<T>(gb)[c] = static_cast<T>(of_bias);
    }
    return nb::make_tuple(gx, gw, gb);
  });
}

}  // namespace

void bind_group_norm(nb::module_& m) {
  m.def("group_norm", &group_norm, nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg("groups"), nb::arg("eps"));
  m.def("group_norm_backward", &group_norm_backward, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg("groups"));
}

}  // namespace rushlight

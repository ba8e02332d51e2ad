// What detectors need: suppression of overlapping boxes, and pooling of regions of feature maps.
#include "nn_arrays.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nanobind/stl/string.h>
#include <numeric>
#include <string>

namespace rushlight {
namespace {

// -- suppression ------------------------------------------------------------------------------------------

// Boxes, best first, each coordinate on its own.
template <class T> struct Boxes {
  std::vector<T> x1, y1, x2, y2, area;
};

// Marks the boxes in [first, count) that box `best` overlaps by more than the threshold.
template <class T>
RUSHLIGHT_INLINE void suppress(const Boxes<T>& boxes, i64 best, i64 first, i64 count, T threshold, unsigned char* gone) {
  const T *x1 = boxes.x1.data(), *y1 = boxes.y1.data(), *x2 = boxes.x2.data(), *y2 = boxes.y2.data();
  const T *area = boxes.area.data(), left = x1[best], top = y1[best], right = x2[best], bottom = y2[best], own = area[best];
  for (i64 j = first; j < count; ++j) {
    const T width = std::min(right, x2[j]) - std::max(left, x1[j]), height = std::min(bottom, y2[j]) - std::max(top, y1[j]);
    const T both = std::max(width, T(0)) * std::max(height, T(0));
    gone[j] |= both / (own + area[j] - both) > threshold;
  }
}
RUSHLIGHT_CLONES void run_suppress(const Boxes<float>& b, i64 best, i64 first, i64 count, float threshold, unsigned char* gone) {
  suppress<float>(b, best, first, count, threshold, gone);
}
RUSHLIGHT_CLONES void run_suppress(const Boxes<double>& b, i64 best, i64 first, i64 count, double threshold,
                                   unsigned char* gone) {
  suppress<double>(b, best, first, count, threshold, gone);
}

// The largest T that is not above x: v > x and v > floor_to<T>(x) are then the same for every T v.
template <class T> T floor_to(double x) {
  const T near = static_cast<T>(x);
  return static_cast<double>(near) > x ? std::nextafter(near, -std::numeric_limits<T>::infinity()) : near;
}

nb::object nms(nb::handle boxes_in, nb::handle scores_in, double threshold) {
  if (!is_array(boxes_in) || !is_array(scores_in) || ndim(boxes_in) != 2 || dim(boxes_in, 1) != 4) return nb::none();
  return for_floats(boxes_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    const i64 count = dim(boxes_in, 0);
    if (!has_type(scores_in, type_of<T>()) || ndim(scores_in) != 1 || dim(scores_in, 0) != count) return nb::none();
    nb::object boxes = in_layout(boxes_in, false), scores = in_layout(scores_in, false);
    const T *from = data<const T>(boxes), *score = data<const T>(scores);
    for (i64 i = 0; i < count; ++i)
      if (std::isnan(score[i])) return nb::none();  // no order
    std::vector<i64> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), i64{0});
    std::stable_sort(order.begin(), order.end(), [&](i64 a, i64 b) { return score[a] > score[b]; });
    Boxes<T> sorted;
    for (auto* part : {&sorted.x1, &sorted.y1, &sorted.x2, &sorted.y2, &sorted.area}) part->reserve(order.size());
    for (i64 i : order) {
      const T* b = from + 4 * i;
      sorted.x1.push_back(b[0]), sorted.y1.push_back(b[1]), sorted.x2.push_back(b[2]), sorted.y2.push_back(b[3]);
      sorted.area.push_back((b[2] - b[0]) * (b[3] - b[1]));
    }
    std::vector<unsigned char> gone(order.size(), 0);
    std::vector<i64> kept;
    for (i64 i = 0; i < count; ++i) {
      if (gone[static_cast<size_t>(i)]) continue;
      kept.push_back(order[static_cast<size_t>(i)]);
      run_suppress(sorted, i, i + 1, count, floor_to<T>(threshold), gone.data());
    }
    const npy_intp shape[1] = {static_cast<npy_intp>(kept.size())};
    nb::object result = new_array(1, shape, NPY_INT64, false);
    std::copy(kept.begin(), kept.end(), data<std::int64_t>(result));
    return result;
  });
}

// -- regions ----------------------------------------------------------------------------------------------

enum Mode { kCorner, kCentre, kCells };

// What positions contribute to the bins of a region along one dimension: bin k has the taps [begin[k], begin[k + 1]).
template <class T> struct Line {
  std::vector<i64> begin, position;
  std::vector<T> weight;

  void clear() { begin.assign(1, 0), position.clear(), weight.clear(); }
  void close() { begin.push_back(static_cast<i64>(position.size())); }
  // Samples come in order, so a position that comes again is one of the last two.
  void add(i64 at, T share) {
    const size_t n = position.size(), first = static_cast<size_t>(begin.back());
    for (size_t i = n; i > first && i + 2 > n; --i)
      if (position[i - 1] == at) {
        weight[i - 1] += share;
        return;
      }
    position.push_back(at), weight.push_back(share);
  }
};

i64 rounded(double x) {
  constexpr double kMost = 1 << 30;
  return std::isnan(x) ? 0 : static_cast<i64>(std::round(std::min(std::max(x, -kMost), kMost)));
}

// The pixels [first, last) that bin k of a region touches, the region rounded to pixels; `least` is added to its length.
template <class T> struct Cells {
  i64 low, limit;
  T each;
  Cells(T start, T end, i64 bins, i64 limit, i64 least) : low(rounded(start)), limit(limit) {
    each = static_cast<T>(std::max<i64>(rounded(end) - low + least, 1)) / static_cast<T>(bins);
  }
  i64 clipped(T at) const { return std::min(std::max<i64>(static_cast<i64>(at) + low, 0), limit); }
  i64 first(i64 k) const { return clipped(std::floor(static_cast<T>(k) * each)); }
  i64 last(i64 k) const { return clipped(std::ceil(static_cast<T>(k + 1) * each)); }
};

template <class T> void add_samples(T first, T step, i64 count, i64 size, Line<T>& line) {
  i64 low = 0, high = count;
  if (step > 0) {  // samples beyond the picture count as zeros
    low = static_cast<i64>(std::min(std::max(std::floor((-1 - first) / step) - 1, T(0)), T(count)));
    high = static_cast<i64>(std::min(std::max(std::ceil((static_cast<T>(size) - first) / step) + 1, T(0)), T(count)));
  }
  for (i64 s = low; s < high; ++s) {
    T at = first + (static_cast<T>(s) + T(0.5)) * step;
    if (!(at >= -1 && at <= static_cast<T>(size))) continue;
    at = std::max(at, T(0));
    const i64 below = std::min(static_cast<i64>(at), size - 1);
    const T part = below == size - 1 ? 0 : at - static_cast<T>(below);
    line.add(below, (1 - part) / static_cast<T>(count));
    if (part != 0) line.add(below + 1, part / static_cast<T>(count));
  }
}

struct Pooling {
  i64 bins[2];
  double scale;
  i64 ratio;
  Mode mode;
  bool by_place;
  i64 count() const { return bins[0] * bins[1]; }
};

template <class T> void fill_line(T start, T end, i64 bins, i64 size, const Pooling& how, Line<T>& line) {
  line.clear();
  if (how.mode == kCells) {
    const Cells<T> cells(start, end, bins, size - 1, 0);
    for (i64 k = 0; k < bins; ++k, line.close())
      for (i64 first = cells.first(k), last = cells.last(k), at = first; at < last; ++at)
        line.add(at, 1 / static_cast<T>(last - first));
    return;
  }
  const T shift = how.mode == kCentre ? T(0.5) : T(0);
  start -= shift, end -= shift;
  const T length = how.mode == kCentre ? end - start : std::max(end - start, T(1)), each = length / static_cast<T>(bins);
  const T count = how.ratio > 0 ? static_cast<T>(how.ratio) : std::ceil(each);
  const bool none = !std::isfinite(start) || !std::isfinite(each) || !(count > 0) || count > T(1e9);
  for (i64 k = 0; k < bins; ++k, line.close())
    if (!none) add_samples(start + static_cast<T>(k) * each, each / count, static_cast<i64>(count), size, line);
}

// A feature map, and one region of it: its image, and what rows and columns contribute.
struct Map {
  i64 channels, height, width;
  bool last;  // channels lie last
  i64 plane() const { return height * width; }
};

template <class T> struct Region {
  i64 image;
  Line<T> rows, columns;
  void locate(const T* roi, const Map& map, const Pooling& how) {
    const T scale = static_cast<T>(how.scale);
    image = static_cast<i64>(roi[0]);
    fill_line(roi[2] * scale, roi[4] * scale, how.bins[0], map.height, how, rows);
    fill_line(roi[1] * scale, roi[3] * scale, how.bins[1], map.width, how, columns);
  }
};

// visit(bin, position, weight) for every tap of every bin; start(bin) before those of each.
template <class T, class Start, class Visit>
RUSHLIGHT_INLINE void each_tap(const Region<T>& region, const Map& map, const Pooling& how, const Start& start,
                               const Visit& visit) {
  const Line<T>&rows = region.rows, &columns = region.columns;
  for (i64 p = 0, bin = 0; p < how.bins[0]; ++p)
    for (i64 q = 0; q < how.bins[1]; ++q, ++bin) {
      start(bin);
      for (i64 i = rows.begin[p]; i < rows.begin[p + 1]; ++i)
        for (i64 j = columns.begin[q]; j < columns.begin[q + 1]; ++j)
          visit(bin, rows.position[i] * map.width + columns.position[j], rows.weight[i] * columns.weight[j]);
    }
}

// x is one image; y is one region, in the same order as x.
template <class T> RUSHLIGHT_INLINE void gather(const Region<T>& region, const Map& map, const Pooling& how, const T* x, T* y) {
  const i64 channels = map.channels, bins = how.count();
  if (map.last) {
    each_tap(
        region, map, how,
        [&](i64 bin) __attribute__((always_inline)) { std::memset(y + bin * channels, 0, static_cast<size_t>(channels) * sizeof(T)); },
        [&](i64 bin, i64 at, T weight) __attribute__((always_inline)) {
          T* __restrict to = y + bin * channels;
          const T* from = x + at * channels;
          for (i64 c = 0; c < channels; ++c) to[c] += weight * from[c];
        });
    return;
  }
  for (i64 c = 0; c < channels / (how.by_place ? bins : 1); ++c)
    each_tap(
        region, map, how, [&](i64 bin) __attribute__((always_inline)) { y[c * bins + bin] = 0; },
        [&](i64 bin, i64 at, T weight) __attribute__((always_inline)) {
          y[c * bins + bin] += weight * x[(how.by_place ? c * bins + bin : c) * map.plane() + at];
        });
}

// The adjoint, for the output channels [first, last).
template <class T>
RUSHLIGHT_INLINE void spread(const Region<T>& region, const Map& map, const Pooling& how, const T* g, T* gx, i64 first, i64 last) {
  const i64 channels = map.channels, bins = how.count();
  const auto nothing = [](i64) __attribute__((always_inline)) {};
  if (map.last) {
    each_tap(region, map, how, nothing, [&](i64 bin, i64 at, T weight) __attribute__((always_inline)) {
      T* __restrict to = gx + at * channels;
      const T* from = g + bin * channels;
      for (i64 c = first; c < last; ++c) to[c] += weight * from[c];
    });
    return;
  }
  for (i64 c = first; c < last; ++c)
    each_tap(region, map, how, nothing, [&](i64 bin, i64 at, T weight) __attribute__((always_inline)) {
      gx[(how.by_place ? c * bins + bin : c) * map.plane() + at] += weight * g[c * bins + bin];
    });
}

#define RUSHLIGHT_REGION_LOOPS(T)                                                                                      \
  RUSHLIGHT_CLONES void run_gather(const Region<T>& region, const Map& map, const Pooling& how, const T* x, T* y) {    \
    gather<T>(region, map, how, x, y);                                                                                 \
  }                                                                                                                    \
  RUSHLIGHT_CLONES void run_spread(const Region<T>& region, const Map& map, const Pooling& how, const T* g, T* gx,     \
                                   i64 first, i64 last) {                                                              \
    spread<T>(region, map, how, g, gx, first, last);                                                                   \
  }
RUSHLIGHT_REGION_LOOPS(float)
RUSHLIGHT_REGION_LOOPS(double)
#undef RUSHLIGHT_REGION_LOOPS

Pooling pooling(nb::handle size, double scale, i64 ratio, const std::string& mode, bool by_place) {
  const std::vector<i64> bins = integers(size);
  if (bins.size() != 2) throw nb::value_error("expected two numbers of bins");
  return {{bins[0], bins[1]}, scale, ratio, mode == "cells" ? kCells : mode == "centre" ? kCentre : kCorner, by_place};
}

// Where there are several channels to be worked on together, they lie last.
nb::object in_order(nb::handle x, bool by_place) { return in_layout(x, !by_place && dim(x, 1) >= kEight); }

// Whether every region names an image; what is not the same type or empty is left to the reference.
template <class T> bool covered(nb::handle rois, const std::vector<i64>& shape) {
  if (!has_type(rois, type_of<T>()) || ndim(rois) != 2 || dim(rois, 1) != 5 || !is_contiguous(rois) || shape.size() != 4) return false;
  const T* roi = data<const T>(rois);
  for (i64 k = 0; k < dim(rois, 0); ++k)
    if (!(roi[5 * k] >= 0 && roi[5 * k] < static_cast<T>(shape[0]))) return false;
  return *std::min_element(shape.begin(), shape.end()) > 0;
}

std::vector<i64> shape_of(nb::handle x) { return std::vector<i64>(PyArray_DIMS(array(x)), PyArray_DIMS(array(x)) + ndim(x)); }

nb::object roi_mean(nb::handle x_in, nb::handle rois, nb::handle size, double scale, i64 ratio, const std::string& mode,
                    bool by_place) {
  if (!is_array(x_in) || !is_array(rois) || ndim(x_in) != 4) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    const Pooling how = pooling(size, scale, ratio, mode, by_place);
    const std::vector<i64> shape = shape_of(x_in);
    if (!covered<T>(rois, shape)) return nb::none();
    nb::object x = in_order(x_in, by_place);
    const Map map = {shape[1], shape[2], shape[3], !by_place && shape[1] >= kEight};
    const i64 channels = map.channels / (by_place ? how.count() : 1), each = channels * how.count();
    const npy_intp out[4] = {dim(rois, 0), channels, how.bins[0], how.bins[1]};
    nb::object y = new_array(4, out, type_of<T>(), map.last);
    const T *from = data<const T>(x), *roi = data<const T>(rois);
    T* to = data<T>(y);
    parallel_for(out[0], std::max<i64>(1, kGrain / 8 / std::max<i64>(each, 1)), [&](i64 begin, i64 end) {
      Region<T> region;
      for (i64 k = begin; k < end; ++k) {
        region.locate(roi + 5 * k, map, how);
        run_gather(region, map, how, from + region.image * map.channels * map.plane(), to + k * each);
      }
    });
    return y;
  });
}

// Channels are shared out among threads, as regions may lie over one another.
nb::object roi_mean_backward(nb::handle g_in, nb::handle rois, nb::handle shape_in, double scale, i64 ratio,
                             const std::string& mode, bool by_place) {
  if (!is_array(g_in) || !is_array(rois) || ndim(g_in) != 4 || dim(g_in, 0) != dim(rois, 0)) return nb::none();
  return for_floats(g_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    const std::vector<i64> shape = integers(shape_in);
    if (!covered<T>(rois, shape)) return nb::none();
    nb::object g = in_order(g_in, by_place);
    const Pooling how = {{dim(g, 2), dim(g, 3)}, scale, ratio, mode == "cells" ? kCells : mode == "centre" ? kCentre : kCorner, by_place};
    const Map map = {shape[1], shape[2], shape[3], !by_place && shape[1] >= kEight};
    const i64 channels = dim(g, 1), count = dim(g, 0), each = channels * how.count();
    const npy_intp out[4] = {shape[0], shape[1], shape[2], shape[3]};
    nb::object gx = new_array(4, out, type_of<T>(), map.last);
    const T *in = data<const T>(g), *roi = data<const T>(rois);
    T* to = data<T>(gx);
    std::memset(to, 0, static_cast<size_t>(PyArray_NBYTES(array(gx))));
    parallel_for(channels, std::max<i64>(16, kGrain / 8 / std::max<i64>(count * how.count(), 1)), [&](i64 begin, i64 end) {
      Region<T> region;
      for (i64 k = 0; k < count; ++k) {
        region.locate(roi + 5 * k, map, how);
        run_spread(region, map, how, in + k * each, to + region.image * map.channels * map.plane(), begin, end);
      }
    });
    return gx;
  });
}

// The largest value of each bin of one plane, and where it is.
template <class T>
void largest(const T* plane, const Map& map, const Pooling& how, const Cells<T>& rows, const Cells<T>& columns, T* y, i64* where) {
  for (i64 p = 0, bin = 0; p < how.bins[0]; ++p)
    for (i64 q = 0; q < how.bins[1]; ++q, ++bin) {
      i64 best = -1;
      for (i64 i = rows.first(p); i < rows.last(p); ++i)
        for (i64 j = columns.first(q); j < columns.last(q); ++j) {
          const i64 at = i * map.width + j;
          if (best < 0 || plane[at] > plane[best] || (std::isnan(plane[at]) && !std::isnan(plane[best]))) best = at;
        }
      y[bin] = best < 0 ? T(0) : plane[best];
      where[bin] = best;
    }
}

nb::object roi_max(nb::handle x_in, nb::handle rois, nb::handle size, double scale) {
  if (!is_array(x_in) || !is_array(rois) || ndim(x_in) != 4) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    const Pooling how = pooling(size, scale, 0, "cells", false);
    const std::vector<i64> shape = shape_of(x_in);
    if (!covered<T>(rois, shape)) return nb::none();
    nb::object x = in_layout(x_in, false);
    const Map map = {shape[1], shape[2], shape[3], false};
    const npy_intp out[4] = {dim(rois, 0), map.channels, how.bins[0], how.bins[1]};
    nb::object y = new_array(4, out, type_of<T>(), false), where = new_array(4, out, NPY_INT64, false);
    const T *from = data<const T>(x), *roi = data<const T>(rois), factor = static_cast<T>(scale);
    T* to = data<T>(y);
    i64* position = data<i64>(where);
    parallel_for(out[0] * map.channels, std::max<i64>(1, kGrain / 8 / std::max<i64>(how.count(), 1)), [&](i64 begin, i64 end) {
      for (i64 i = begin; i < end; ++i) {
        const T* r = roi + 5 * (i / map.channels);
        const Cells<T> rows(r[2] * factor, r[4] * factor, how.bins[0], map.height, 1);
        const Cells<T> columns(r[1] * factor, r[3] * factor, how.bins[1], map.width, 1);
        const T* plane = from + (static_cast<i64>(r[0]) * map.channels + i % map.channels) * map.plane();
        largest(plane, map, how, rows, columns, to + i * how.count(), position + i * how.count());
      }
    });
    return nb::make_tuple(y, where);
  });
}

}  // namespace

void bind_vision(nb::module_& m) {
  m.def("nms", &nms);
  m.def("roi_mean", &roi_mean);
  m.def("roi_mean_backward", &roi_mean_backward);
  m.def("roi_max", &roi_max);
}

}  // namespace rushlight

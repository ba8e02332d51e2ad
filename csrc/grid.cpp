// Bilinear sampling of images at given places, and its gradient.
#include "nn_arrays.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nanobind/stl/string.h>
#include <string>

namespace rushlight {
namespace {

constexpr i64 kPoints = 128;  // places worked on together

enum Padding { kZeros, kBorder, kReflection };

struct Image {
  i64 channels, height, width;
  Padding padding;
  bool align_corners;
  i64 plane() const { return height * width; }
};

// Where the places of a block lie along one dimension: two neighbours each, the lower and the upper.
template <class T> struct Line {
  std::int32_t position[2][kPoints];
  T weight[2][kPoints], slope[2][kPoints];  // both zero where the neighbour is outside; how weights change with coordinates
};

template <class T> RUSHLIGHT_INLINE void reflect(T& at, T& change, T low, T high) {
  if (low == high) {
    at = change = 0;
    return;
  }
  const T span = high - low, off = std::abs(at - low), times = std::floor(off / span), rest = std::fmod(off, span);
  const bool even = std::fmod(times, T(2)) == 0;
  if (even != (at >= low)) change = -change;
  at = (even ? rest : span - rest) + low;
}

// Coordinates lie two apart. Without branches where nothing is reflected, so that several are worked on at a time.
template <class T> RUSHLIGHT_INLINE void locate(const Image& image, const T* coordinates, i64 size, i64 count, Line<T>& line) {
  const T last = static_cast<T>(size - 1), scale = image.align_corners ? last / 2 : static_cast<T>(size) / 2;
  const T shift = image.align_corners ? 0 : T(0.5);
  T at[kPoints], change[kPoints];
  for (i64 i = 0; i < count; ++i) at[i] = (coordinates[2 * i] + 1) * scale - shift, change[i] = scale;
  if (image.padding == kReflection)
    for (i64 i = 0; i < count; ++i) reflect(at[i], change[i], -shift, last + shift);
  if (image.padding != kZeros)
    for (i64 i = 0; i < count; ++i) {
      change[i] = at[i] > 0 && at[i] < last ? change[i] : 0;
      at[i] = at[i] > 0 ? at[i] : 0;  // no number becomes 0
      at[i] = at[i] < last ? at[i] : last;
    }
  for (i64 i = 0; i < count; ++i) {
    const T low = std::floor(at[i]), part = at[i] - low;
    const T first = low >= 0 && low <= last ? low : 0, second = low >= -1 && low < last ? low + 1 : 0;
    const T inside0 = low >= 0 && low <= last ? 1 : 0, inside1 = low >= -1 && low < last ? 1 : 0;
    line.position[0][i] = static_cast<std::int32_t>(first);
    line.position[1][i] = static_cast<std::int32_t>(second);
    line.weight[0][i] = (1 - part) * inside0, line.weight[1][i] = part * inside1;
    line.slope[0][i] = -change[i] * inside0, line.slope[1][i] = change[i] * inside1;
  }
}

// The four neighbours of each place of a block: upper left, upper right, lower left, lower right.
template <class T> struct Block {
  Line<T> x, y;
  std::int32_t position[4][kPoints];
  T weight[4][kPoints];
};

template <class T> RUSHLIGHT_INLINE void locate(const Image& image, const T* grid, i64 count, Block<T>& b) {
  locate(image, grid, image.width, count, b.x);
  locate(image, grid + 1, image.height, count, b.y);
  const auto width = static_cast<std::int32_t>(image.width);
  for (int k = 0; k < 4; ++k)
    for (i64 i = 0; i < count; ++i) {
      b.position[k][i] = b.y.position[k / 2][i] * width + b.x.position[k % 2][i];
      b.weight[k][i] = b.x.weight[k % 2][i] * b.y.weight[k / 2][i];
    }
}

// One block of places of one image, whose channels lie last, or one after the other.
template <class T>
RUSHLIGHT_INLINE void sample(const Image& image, const T* x, const T* grid, T* y, i64 count, i64 points, bool last) {
  Block<T> b;
  locate(image, grid, count, b);
  const i64 channels = image.channels;
  if (last) {
    for (i64 i = 0; i < count; ++i) {
      const T* from[4];
      for (int k = 0; k < 4; ++k) from[k] = x + b.position[k][i] * channels;
      const T w0 = b.weight[0][i], w1 = b.weight[1][i], w2 = b.weight[2][i], w3 = b.weight[3][i];
      for (i64 c = 0; c < channels; ++c)
        y[i * channels + c] = w0 * from[0][c] + w1 * from[1][c] + w2 * from[2][c] + w3 * from[3][c];
    }
    return;
  }
  for (i64 c = 0; c < channels; ++c) {
    const T* plane = x + c * image.plane();
    T* __restrict to = y + c * points;
    for (i64 i = 0; i < count; ++i)
      to[i] = b.weight[0][i] * plane[b.position[0][i]] + b.weight[1][i] * plane[b.position[1][i]] +
              b.weight[2][i] * plane[b.position[2][i]] + b.weight[3][i] * plane[b.position[3][i]];
  }
}

// Adds to gx, where it is wanted, and writes ggrid.
template <class T>
RUSHLIGHT_INLINE void spread(const Image& image, const T* g, const T* x, const T* grid, T* gx, T* ggrid, i64 count,
                             i64 points, bool last) {
  Block<T> b;
  locate(image, grid, count, b);
  const i64 channels = image.channels;
  T dot[4][kPoints] = {};  // of the gradient with each neighbour
  if (last) {
    for (i64 i = 0; i < count; ++i) {
      const T* in = g + i * channels;
      for (int k = 0; k < 4; ++k) {
        const i64 at = b.position[k][i] * channels;
        T total = 0;
        for (i64 c = 0; c < channels; ++c) total += in[c] * x[at + c];
        dot[k][i] = total;
        const T weight = b.weight[k][i];
        if (gx && weight != 0)
          for (i64 c = 0; c < channels; ++c) gx[at + c] += weight * in[c];
      }
    }
  } else {
    for (i64 c = 0; c < channels; ++c) {
      const T *plane = x + c * image.plane(), *in = g + c * points;
      for (int k = 0; k < 4; ++k)
        for (i64 i = 0; i < count; ++i) dot[k][i] += in[i] * plane[b.position[k][i]];
      if (!gx) continue;
      T* to = gx + c * image.plane();
      for (i64 i = 0; i < count; ++i)
        for (int k = 0; k < 4; ++k) to[b.position[k][i]] += b.weight[k][i] * in[i];
    }
  }
  for (i64 i = 0; i < count; ++i) {
    T across = 0, down = 0;
    for (int k = 0; k < 4; ++k) {
      across += dot[k][i] * b.x.slope[k % 2][i] * b.y.weight[k / 2][i];
      down += dot[k][i] * b.y.slope[k / 2][i] * b.x.weight[k % 2][i];
    }
    ggrid[2 * i] = across, ggrid[2 * i + 1] = down;
  }
}

#define RUSHLIGHT_GRID_LOOPS(T)                                                                               \
  RUSHLIGHT_CLONES void run_sample(const Image& image, const T* x, const T* grid, T* y, i64 count, i64 points, \
                                   bool last) {                                                               \
    sample<T>(image, x, grid, y, count, points, last);                                                        \
  }                                                                                                           \
  RUSHLIGHT_CLONES void run_spread(const Image& image, const T* g, const T* x, const T* grid, T* gx, T* ggrid, \
                                   i64 count, i64 points, bool last) {                                        \
    spread<T>(image, g, x, grid, gx, ggrid, count, points, last);                                             \
  }
RUSHLIGHT_GRID_LOOPS(float)
RUSHLIGHT_GRID_LOOPS(double)
#undef RUSHLIGHT_GRID_LOOPS

bool covered(nb::handle x, nb::handle grid, const std::string& mode) {
  if (!is_array(x) || !is_array(grid) || mode != "bilinear" || ndim(x) != 4 || ndim(grid) != 4) return false;
  return dim(grid, 3) == 2 && dim(grid, 0) == dim(x, 0) && PyArray_TYPE(array(x)) == PyArray_TYPE(array(grid)) &&
         PyArray_SIZE(array(x)) > 0 && PyArray_SIZE(array(grid)) > 0 && dim(x, 2) * dim(x, 3) < (i64{1} << 31);
}

Image image_of(nb::handle x, const std::string& padding, bool align_corners) {
  const Padding how = padding == "zeros" ? kZeros : padding == "border" ? kBorder : kReflection;
  return {dim(x, 1), dim(x, 2), dim(x, 3), how, align_corners};
}

nb::object grid_sample(nb::handle x_in, nb::handle grid_in, const std::string& mode, const std::string& padding,
                       bool align_corners) {
  if (!covered(x_in, grid_in, mode)) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object x = dense(x_in), grid = in_layout(grid_in, false);
    const bool last = is_channels_last(x);
    const Image image = image_of(x, padding, align_corners);
    const npy_intp shape[4] = {dim(x, 0), image.channels, dim(grid, 1), dim(grid, 2)};
    nb::object y = new_array(4, shape, type_of<T>(), last);
    const i64 points = shape[2] * shape[3], blocks = (points + kPoints - 1) / kPoints;
    const T *from = data<const T>(x), *at = data<const T>(grid);
    T* to = data<T>(y);
    parallel_for(shape[0] * blocks, std::max<i64>(1, kGrain / 4 / (kPoints * image.channels)), [&](i64 begin, i64 end) {
      for (i64 part = begin; part < end; ++part) {
        const i64 n = part / blocks, first = part % blocks * kPoints;
        T* result = to + n * points * image.channels + first * (last ? image.channels : 1);
        run_sample(image, from + n * image.plane() * image.channels, at + (n * points + first) * 2, result,
                   std::min(kPoints, points - first), points, last);
      }
    });
    return y;
  });
}

// (gx or None, ggrid); images are shared out among threads, as every place may add to any position of its image.
nb::object grid_sample_backward(nb::handle g_in, nb::handle x_in, nb::handle grid_in, const std::string& mode,
                                const std::string& padding, bool align_corners, bool need_x) {
  if (!covered(x_in, grid_in, mode)) return nb::none();
  if (!is_array(g_in) || ndim(g_in) != 4 || PyArray_TYPE(array(g_in)) != PyArray_TYPE(array(x_in))) return nb::none();
  for (int i = 0; i < 4; ++i)
    if (dim(g_in, i) != (i < 2 ? dim(x_in, i) : dim(grid_in, i - 1))) return nb::none();
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object x = dense(x_in), grid = in_layout(grid_in, false);
    const bool last = is_channels_last(x);
    nb::object g = in_layout(g_in, last);
    const Image image = image_of(x, padding, align_corners);
    const i64 points = dim(grid, 1) * dim(grid, 2), each = image.plane() * image.channels;
    nb::object gx = need_x ? new_array(4, PyArray_DIMS(array(x)), type_of<T>(), last) : nb::none();
    nb::object ggrid = new_array(4, PyArray_DIMS(array(grid)), type_of<T>(), false);
    const T *in = data<const T>(g), *from = data<const T>(x), *at = data<const T>(grid);
    T *to_x = need_x ? data<T>(gx) : nullptr, *to_grid = data<T>(ggrid);
    parallel_for(dim(x, 0), std::max<i64>(1, kGrain / 8 / (points * image.channels)), [&](i64 begin, i64 end) {
      for (i64 n = begin; n < end; ++n) {
        T* spread_to = need_x ? to_x + n * each : nullptr;
        if (need_x) std::memset(spread_to, 0, static_cast<size_t>(each) * sizeof(T));
        for (i64 first = 0; first < points; first += kPoints) {
          const T* incoming = in + n * points * image.channels + first * (last ? image.channels : 1);
          run_spread(image, incoming, from + n * each, at + (n * points + first) * 2, spread_to,
                     to_grid + (n * points + first) * 2, std::min(kPoints, points - first), points, last);
        }
      }
    });
    return nb::make_tuple(gx, ggrid);
  });
}

}  // namespace

void bind_grid(nb::module_& m) {
  m.def("grid_sample", &grid_sample);
  m.def("grid_sample_backward", &grid_sample_backward);
}

}  // namespace rushlight

// What the taps of deformable convolutions see, and the gradients of that.
#include "nn_arrays.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rushlight {
namespace {

constexpr i64 kPoints = 128;  // places worked on together

struct Shape {
  i64 channels, height, width, groups, kernel[2], out[2], stride[2], padding[2], dilation[2];
  i64 plane() const { return height * width; }
  i64 taps() const { return kernel[0] * kernel[1]; }
  i64 places() const { return out[0] * out[1]; }
  i64 in_group() const { return channels / groups; }
};

// The four pixels around each place of a block: upper left, upper right, lower left, lower right. What lies outside weighs nothing.
template <class T> struct Block {
  std::int32_t position[4][kPoints];
  T weight[4][kPoints], down[4][kPoints], across[4][kPoints];  // and how weights change with the place
};

// `rows` and `columns` are the offsets of one tap; the block has the places [first, first + count).
template <class T>
RUSHLIGHT_INLINE void locate(const Shape& s, i64 tap, const T* rows, const T* columns, i64 first, i64 count, Block<T>& b) {
  const T y0 = static_cast<T>(tap / s.kernel[1] * s.dilation[0] - s.padding[0]);
  const T x0 = static_cast<T>(tap % s.kernel[1] * s.dilation[1] - s.padding[1]);
  const T height = static_cast<T>(s.height), width = static_cast<T>(s.width);
  for (i64 i = 0; i < count; ++i) {
    const i64 at = first + i;
    const T y = y0 + static_cast<T>(at / s.out[1] * s.stride[0]) + rows[at];
    const T x = x0 + static_cast<T>(at % s.out[1] * s.stride[1]) + columns[at];
    const bool inside = y > -1 && y < height && x > -1 && x < width;
    const T top = inside ? std::floor(y) : 0, left = inside ? std::floor(x) : 0;
    const T part[2] = {inside ? y - top : 0, inside ? x - left : 0};
    for (int k = 0; k < 4; ++k) {
      const T row = top + static_cast<T>(k / 2), column = left + static_cast<T>(k % 2);
      const T there = inside && row >= 0 && row < height && column >= 0 && column < width ? T(1) : T(0);
      const T by_row = k / 2 ? part[0] : 1 - part[0], by_column = k % 2 ? part[1] : 1 - part[1];
      b.position[k][i] = there != 0 ? static_cast<std::int32_t>(row * width + column) : 0;
      b.weight[k][i] = by_row * by_column * there;
      b.down[k][i] = (k / 2 ? by_column : -by_column) * there;
      b.across[k][i] = (k % 2 ? by_row : -by_row) * there;
    }
  }
}

// The arrays of one image and one group; mask may be null.
template <class T> struct Part {
  const T *x, *offset, *mask;
  const T* row_offsets(const Shape& s, i64 tap) const { return offset + 2 * tap * s.places(); }
  const T* column_offsets(const Shape& s, i64 tap) const { return offset + (2 * tap + 1) * s.places(); }
};

template <class T> RUSHLIGHT_INLINE void sample(const Shape& s, const Part<T>& part, T* y, Block<T>& b) {
  for (i64 tap = 0; tap < s.taps(); ++tap)
    for (i64 first = 0; first < s.places(); first += kPoints) {
      const i64 count = std::min(kPoints, s.places() - first);
      locate(s, tap, part.row_offsets(s, tap), part.column_offsets(s, tap), first, count, b);
      if (part.mask)
        for (int k = 0; k < 4; ++k)
          for (i64 i = 0; i < count; ++i) b.weight[k][i] *= part.mask[tap * s.places() + first + i];
      for (i64 c = 0; c < s.in_group(); ++c) {
        const T* plane = part.x + c * s.plane();
        T* __restrict to = y + (c * s.taps() + tap) * s.places() + first;
        for (i64 i = 0; i < count; ++i)
          to[i] = b.weight[0][i] * plane[b.position[0][i]] + b.weight[1][i] * plane[b.position[1][i]] +
                  b.weight[2][i] * plane[b.position[2][i]] + b.weight[3][i] * plane[b.position[3][i]];
      }
    }
}

// Adds to gx; writes goffset and, unless it is null, gmask.
template <class T>
RUSHLIGHT_INLINE void spread(const Shape& s, const Part<T>& part, const T* g, T* gx, T* goffset, T* gmask, Block<T>& b) {
  for (i64 tap = 0; tap < s.taps(); ++tap)
    for (i64 first = 0; first < s.places(); first += kPoints) {
      const i64 count = std::min(kPoints, s.places() - first);
      locate(s, tap, part.row_offsets(s, tap), part.column_offsets(s, tap), first, count, b);
      const T* mask = part.mask ? part.mask + tap * s.places() + first : nullptr;
      T dot[4][kPoints] = {};  // of the gradient with each pixel
      for (i64 c = 0; c < s.in_group(); ++c) {
        const T *plane = part.x + c * s.plane(), *in = g + (c * s.taps() + tap) * s.places() + first;
        T* to = gx + c * s.plane();
        for (int k = 0; k < 4; ++k)
          for (i64 i = 0; i < count; ++i) dot[k][i] += in[i] * plane[b.position[k][i]];
        for (i64 i = 0; i < count; ++i) {
          const T share = mask ? in[i] * mask[i] : in[i];
          for (int k = 0; k < 4; ++k) to[b.position[k][i]] += b.weight[k][i] * share;
        }
      }
      T* rows = goffset + 2 * tap * s.places() + first;
      T* columns = rows + s.places();
      for (i64 i = 0; i < count; ++i) {
        T down = 0, across = 0, value = 0;
        for (int k = 0; k < 4; ++k) {
          down += dot[k][i] * b.down[k][i], across += dot[k][i] * b.across[k][i];
          value += dot[k][i] * b.weight[k][i];
        }
        rows[i] = mask ? down * mask[i] : down;
        columns[i] = mask ? across * mask[i] : across;
        if (gmask) gmask[tap * s.places() + first + i] = value;
      }
    }
}

#define RUSHLIGHT_DEFORM_LOOPS(T)                                                                                \
  RUSHLIGHT_CLONES void run_sample(const Shape& s, const Part<T>& part, T* y, Block<T>& b) { sample<T>(s, part, y, b); } \
  RUSHLIGHT_CLONES void run_spread(const Shape& s, const Part<T>& part, const T* g, T* gx, T* goffset, T* gmask,  \
                                   Block<T>& b) {                                                                \
    spread<T>(s, part, g, gx, goffset, gmask, b);                                                                \
  }
RUSHLIGHT_DEFORM_LOOPS(float)
RUSHLIGHT_DEFORM_LOOPS(double)
#undef RUSHLIGHT_DEFORM_LOOPS

// Nothing where the arrays are not all of one type, or too large to count with 32 bits.
bool covered(nb::handle x, nb::handle offset, nb::handle mask, int type) {
  if (!has_type(x, type) || !has_type(offset, type) || ndim(x) != 4 || ndim(offset) != 4) return false;
  if (!mask.is_none() && (!has_type(mask, type) || ndim(mask) != 4)) return false;
  return PyArray_SIZE(array(x)) > 0 && PyArray_SIZE(array(offset)) > 0 && dim(x, 2) * dim(x, 3) < (i64{1} << 31);
}

Shape shape_of(nb::handle x, nb::handle offset, nb::handle kernel, nb::handle stride, nb::handle padding, nb::handle dilation) {
  const auto k = integers(kernel), s = integers(stride), p = integers(padding), d = integers(dilation);
  if (k.size() != 2 || s.size() != 2 || p.size() != 2 || d.size() != 2) throw nb::value_error("expected pairs");
  const i64 groups = dim(offset, 1) / (2 * k[0] * k[1]);
  return {dim(x, 1), dim(x, 2), dim(x, 3), groups, {k[0], k[1]}, {dim(offset, 2), dim(offset, 3)},
          {s[0], s[1]}, {p[0], p[1]}, {d[0], d[1]}};
}

// body(part number, arrays of it, memory for a block) for every image and group.
template <class T, class Body>
void each_part(const Shape& s, i64 images, nb::handle x, nb::handle offset, nb::handle mask, const Body& body) {
  const T *from = data<const T>(x), *moved = data<const T>(offset), *strength = mask.is_none() ? nullptr : data<const T>(mask);
  const i64 work = s.in_group() * s.taps() * s.places();
  parallel_for(images * s.groups, std::max<i64>(1, kGrain / 8 / work), [&](i64 begin, i64 end) {
    Block<T> b;
    for (i64 i = begin; i < end; ++i) {
      const i64 points = i * s.taps() * s.places();
      const Part<T> part = {from + i * s.in_group() * s.plane(), moved + 2 * points, strength ? strength + points : nullptr};
      body(i, part, b);
    }
  });
}

nb::object contiguous(nb::handle h) { return h.is_none() ? nb::none() : in_layout(h, false); }

nb::object deform_columns(nb::handle x_in, nb::handle offset_in, nb::handle mask_in, nb::handle kernel, nb::handle stride,
                          nb::handle padding, nb::handle dilation) {
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    if (!covered(x_in, offset_in, mask_in, type_of<T>())) return nb::none();
    const Shape s = shape_of(x_in, offset_in, kernel, stride, padding, dilation);
    nb::object x = contiguous(x_in), offset = contiguous(offset_in), mask = contiguous(mask_in);
    const npy_intp out[3] = {dim(x, 0), s.channels * s.taps(), s.places()};
    nb::object y = new_array(3, out, type_of<T>(), false);
    T* to = data<T>(y);
    each_part<T>(s, out[0], x, offset, mask, [&](i64 i, const Part<T>& part, Block<T>& b) {
      run_sample(s, part, to + i * s.in_group() * s.taps() * s.places(), b);
    });
    return y;
  });
}

nb::object deform_columns_backward(nb::handle g_in, nb::handle x_in, nb::handle offset_in, nb::handle mask_in, nb::handle kernel,
                                   nb::handle stride, nb::handle padding, nb::handle dilation) {
  return for_floats(x_in, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    if (!covered(x_in, offset_in, mask_in, type_of<T>()) || !has_type(g_in, type_of<T>())) return nb::none();
    const Shape s = shape_of(x_in, offset_in, kernel, stride, padding, dilation);
    nb::object g = contiguous(g_in), x = contiguous(x_in), offset = contiguous(offset_in), mask = contiguous(mask_in);
    nb::object gx = new_array(4, PyArray_DIMS(array(x)), type_of<T>(), false);
    nb::object goffset = new_array(4, PyArray_DIMS(array(offset)), type_of<T>(), false);
    nb::object gmask = mask.is_none() ? nb::none() : new_array(4, PyArray_DIMS(array(mask)), type_of<T>(), false);
    const T* in = data<const T>(g);
    T *to_x = data<T>(gx), *to_offset = data<T>(goffset), *to_mask = mask.is_none() ? nullptr : data<T>(gmask);
    std::memset(to_x, 0, static_cast<size_t>(PyArray_NBYTES(array(gx))));
    each_part<T>(s, dim(x, 0), x, offset, mask, [&](i64 i, const Part<T>& part, Block<T>& b) {
      const i64 points = i * s.taps() * s.places();
      run_spread(s, part, in + points * s.in_group(), to_x + i * s.in_group() * s.plane(), to_offset + 2 * points,
                 to_mask ? to_mask + points : nullptr, b);
    });
    return nb::make_tuple(gx, goffset, gmask);
  });
}

}  // namespace

void bind_deform(nb::module_& m) {
  m.def("deform_columns", &deform_columns, nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg(), nb::arg());
  m.def("deform_columns_backward", &deform_columns_backward, nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(),
        nb::arg(), nb::arg(), nb::arg());
}

}  // namespace rushlight

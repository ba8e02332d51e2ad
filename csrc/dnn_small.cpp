// Compiled with fused multiply-add.
#include "dnn_small.h"

#include <dnnl.hpp>

#include <algorithm>
#include <cstring>
#include <vector>

namespace rushlight {
namespace {

#define RUSHLIGHT_FMA_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

typedef float Sixteen __attribute__((vector_size(64)));
typedef float EightFloats __attribute__((vector_size(32)));
constexpr i64 kMaxLanes = 16;
constexpr i64 kGroups = 16;  // partial sums, whatever the number of threads

// -- the convolution: pixels of a row are the lanes, and the sums of all output channels stay in registers ---------

constexpr i64 kSpan = 2 * kMaxLanes;  // pixels worked on together
constexpr i64 kRows = 16;             // rows of outputs in one task

// y[j, o] of one row of outputs, from the padded lines of each channel, with room to read past their end.
template <int kOutputs>
RUSHLIGHT_INLINE void row_of_outputs(const FewChannels& f, const float* lines, const float* w, const float* bias, bool relu,
                                     i64 row, float* y) {
  const i64 width = f.w + 2 * f.pad_w, plane = (kRows + f.kh - 1) * width;
  for (i64 first = 0; first < f.ow; first += kSpan) {
    Sixteen left[kOutputs], right[kOutputs];
#pragma GCC unroll 8
    for (int o = 0; o < kOutputs; ++o) left[o] = right[o] = Sixteen{} + (bias ? bias[o] : 0.f);
    const float* weight = w;
    for (i64 c = 0; c < f.c; ++c)
      for (i64 i = 0; i < f.kh; ++i) {
        const float* from = lines + c * plane + (row + i) * width + first;
        for (i64 j = 0; j < f.kw; ++j, weight += kOutputs) {
          Sixteen a, b;
          load(a, from + j);
          load(b, from + j + kMaxLanes);
#pragma GCC unroll 8
          for (int o = 0; o < kOutputs; ++o) {
            left[o] += a * weight[o];
            right[o] += b * weight[o];
          }
        }
      }
    float turned[kOutputs][kSpan];
#pragma GCC unroll 8
    for (int o = 0; o < kOutputs; ++o) {
      store(turned[o], relu ? (left[o] < 0 ? Sixteen{} : left[o]) : left[o]);
      store(turned[o] + kMaxLanes, relu ? (right[o] < 0 ? Sixteen{} : right[o]) : right[o]);
    }
    const i64 count = std::min(kSpan, f.ow - first);
    for (i64 j = 0; j < count; ++j)
#pragma GCC unroll 8
      for (int o = 0; o < kOutputs; ++o) y[(first + j) * kOutputs + o] = turned[o][j];
  }
}

RUSHLIGHT_FMA_CLONES void rows_of_outputs(const FewChannels& f, const float* lines, const float* w, const float* bias,
                                          bool relu, i64 rows, float* y) {
  for (i64 row = 0; row < rows; ++row, y += f.ow * f.o) switch (f.o) {
      case 1: row_of_outputs<1>(f, lines, w, bias, relu, row, y); break;
      case 2: row_of_outputs<2>(f, lines, w, bias, relu, row, y); break;
      case 3: row_of_outputs<3>(f, lines, w, bias, relu, row, y); break;
      case 4: row_of_outputs<4>(f, lines, w, bias, relu, row, y); break;
      case 5: row_of_outputs<5>(f, lines, w, bias, relu, row, y); break;
      case 6: row_of_outputs<6>(f, lines, w, bias, relu, row, y); break;
      case 7: row_of_outputs<7>(f, lines, w, bias, relu, row, y); break;
      case 8: row_of_outputs<8>(f, lines, w, bias, relu, row, y); break;
    }
}

// The lines of each channel that the outputs from `row` on look at, padded with zeros.
void gather_lines(const FewChannels& f, const float* image, i64 row, float* lines) {
  const i64 width = f.w + 2 * f.pad_w, count = kRows + f.kh - 1;
  for (i64 c = 0; c < f.c; ++c)
    for (i64 l = 0; l < count; ++l, lines += width) {
      const i64 h = row + l - f.pad_h;
      if (h < 0 || h >= f.h) {
        std::fill(lines, lines + width, 0.f);
        continue;
      }
      for (i64 i = 0; i < f.w; ++i) lines[f.pad_w + i] = image[(h * f.w + i) * f.c + c];
      std::fill(lines, lines + f.pad_w, 0.f);
      std::fill(lines + f.pad_w + f.w, lines + width, 0.f);
    }
}

// -- the weight's gradient: output channels are the lanes, an image with its padding fits the first cache ---------

// sums[k] += over one row of outputs of g times the input k positions on; ones += g.
template <class V, int kTaps>
RUSHLIGHT_INLINE void row_of_taps(const float* x, const float* g, i64 n, i64 step, i64 channels, float* sums, float* ones) {
  constexpr i64 kWidth = sizeof(V) / sizeof(float);
  V even[kTaps] = {}, odd[kTaps] = {}, a, b, total = {};
  i64 i = 0;
  for (; i + 2 <= n; i += 2) {
    load(a, g + i * channels);
    load(b, g + (i + 1) * channels);
    total += a + b;
    for (int k = 0; k < kTaps; ++k) {
      even[k] += a * x[i * step + k];
      odd[k] += b * x[(i + 1) * step + k];
    }
  }
  if (i < n) {
    load(a, g + i * channels);
    total += a;
    for (int k = 0; k < kTaps; ++k) even[k] += a * x[i * step + k];
  }
  for (int k = 0; k < kTaps; ++k) {
    load(a, sums + k * kWidth);
    store(sums + k * kWidth, V(a + (even[k] + odd[k])));
  }
  if (ones) {
    load(a, ones);
    store(ones, V(a + total));
  }
}

template <class V>
RUSHLIGHT_INLINE void row_sums(i64 taps, const float* x, const float* g, i64 n, i64 step, i64 channels, float* sums,
                               float* ones) {
  switch (taps) {
    case 1: return row_of_taps<V, 1>(x, g, n, step, channels, sums, ones);
    case 2: return row_of_taps<V, 2>(x, g, n, step, channels, sums, ones);
    case 3: return row_of_taps<V, 3>(x, g, n, step, channels, sums, ones);
    case 4: return row_of_taps<V, 4>(x, g, n, step, channels, sums, ones);
    case 5: return row_of_taps<V, 5>(x, g, n, step, channels, sums, ones);
    case 6: return row_of_taps<V, 6>(x, g, n, step, channels, sums, ones);
    case 7: return row_of_taps<V, 7>(x, g, n, step, channels, sums, ones);
  }
}

RUSHLIGHT_FMA_CLONES void row_sums_8(i64 taps, const float* x, const float* g, i64 n, i64 step, i64 channels, float* sums,
                                     float* ones) {
  row_sums<EightFloats>(taps, x, g, n, step, channels, sums, ones);
}
RUSHLIGHT_FMA_CLONES void row_sums_16(i64 taps, const float* x, const float* g, i64 n, i64 step, i64 channels,
                                      float* sums, float* ones) {
  row_sums<Sixteen>(taps, x, g, n, step, channels, sums, ones);
}

// One image with its padding, and the gradients of one image with room to read past the end.
struct Buffers {
  std::vector<float> padded, gradient, sums;
};

// Adds one image's part to total[chunk][taps + 1][lanes], of which the last row is the bias'.
void add_image(const FewChannels& f, const float* x, const float* g, bool last_image, Buffers& work, double* total) {
  const i64 width = f.w + 2 * f.pad_w, taps = f.kh * f.kw, lanes = f.o <= 8 ? 8 : 16, chunks = (f.o + lanes - 1) / lanes;
  for (i64 h = 0; h < f.h; ++h)
    std::memcpy(&work.padded[static_cast<size_t>((h + f.pad_h) * width + f.pad_w)], x + h * f.w,
                static_cast<size_t>(f.w) * sizeof(float));
  if (last_image) {
    work.gradient.assign(static_cast<size_t>(f.oh * f.ow * f.o + kMaxLanes), 0.f);
    std::copy(g, g + f.oh * f.ow * f.o, work.gradient.begin());
    g = work.gradient.data();
  }
  for (i64 chunk = 0; chunk < chunks; ++chunk) {
    std::fill(work.sums.begin(), work.sums.end(), 0.f);
    for (i64 h = 0; h < f.oh; ++h)
      for (i64 i = 0; i < f.kh; ++i) {
        const float* row = &work.padded[static_cast<size_t>((h * f.stride_h + i) * width)];
        const float* from = g + h * f.ow * f.o + chunk * lanes;
        float *sums = &work.sums[static_cast<size_t>(i * f.kw * lanes)];
        float* ones = i == 0 ? &work.sums[static_cast<size_t>(taps * lanes)] : nullptr;
        (lanes == 8 ? row_sums_8 : row_sums_16)(f.kw, row, from, f.ow, f.stride_w, f.o, sums, ones);
      }
    double* to = total + chunk * (taps + 1) * lanes;
    for (i64 k = 0; k < (taps + 1) * lanes; ++k) to[k] += work.sums[static_cast<size_t>(k)];
  }
}

// -- the input's gradient: one matrix product for each image, whose rows are added where the windows lie ------------

// windows[oh, ow, kh, kw * c] onto image[h, w, c]; a window's row is contiguous in both.
RUSHLIGHT_CLONES void add_windows(const FewChannels& f, const float* windows, float* image) {
  const i64 width = (f.w + 2 * f.pad_w) * f.c, length = f.kw * f.c;
  for (i64 h = 0; h < f.oh; ++h)
    for (i64 w = 0; w < f.ow; ++w)
      for (i64 i = 0; i < f.kh; ++i, windows += length) {
        float* to = image + (h * f.stride_h + i) * width + w * f.stride_w * f.c;
        for (i64 k = 0; k < length; ++k) to[k] += windows[k];
      }
}

}  // namespace

bool small_convolution_pays(const FewChannels& f) {
  return f.o <= 8 && f.c <= 8 && f.stride_h == 1 && f.stride_w == 1 && f.kh * f.kw > 1 &&
         4 * f.ow >= 3 * ((f.ow + kSpan - 1) / kSpan * kSpan);
}

void small_convolution(const FewChannels& f, const float* x, const float* w, const float* bias, bool relu, float* y) {
  const i64 taps = f.kh * f.kw, blocks = (f.oh + kRows - 1) / kRows;
  std::vector<float> weight(static_cast<size_t>(f.c * taps * f.o));  // [c, kh, kw, o]
  for (i64 o = 0; o < f.o; ++o)
    for (i64 k = 0; k < f.c * taps; ++k) weight[static_cast<size_t>(k * f.o + o)] = w[o * f.c * taps + k];
  parallel_for(f.n * blocks, std::max<i64>(1, kGrain / (kRows * f.ow * f.c * taps)), [&](i64 begin, i64 end) {
    std::vector<float> lines(static_cast<size_t>(f.c * (kRows + f.kh - 1) * (f.w + 2 * f.pad_w) + 2 * kSpan));
    for (i64 task = begin; task < end; ++task) {
      const i64 n = task / blocks, row = task % blocks * kRows;
      gather_lines(f, x + n * f.h * f.w * f.c, row, lines.data());
      rows_of_outputs(f, lines.data(), weight.data(), bias, relu, std::min(kRows, f.oh - row),
                      y + (n * f.oh + row) * f.ow * f.o);
    }
  });
}

bool small_weight_gradient_pays(const FewChannels& f) { return f.c == 1 && f.kw <= 7 && f.o <= 64; }

bool small_input_gradient_pays(const FewChannels& f) { return f.c <= 8 && (f.c == 1 || f.o >= 8) && f.kh * f.kw > 1; }

void small_input_gradient(const FewChannels& f, const float* g, const float* w, float* gx) {
  const i64 length = f.kh * f.kw * f.c, places = f.oh * f.ow, width = f.w + 2 * f.pad_w, height = f.h + 2 * f.pad_h;
  std::vector<float> weight(static_cast<size_t>(f.o * length));  // [o, kh, kw, c]
  for (i64 o = 0; o < f.o; ++o)
    for (i64 c = 0; c < f.c; ++c)
      for (i64 k = 0; k < f.kh * f.kw; ++k)
        weight[static_cast<size_t>(o * length + k * f.c + c)] = w[(o * f.c + c) * f.kh * f.kw + k];
  parallel_for(f.n, std::max<i64>(1, kGrain / (places * length)), [&](i64 begin, i64 end) {
    std::vector<float> windows(static_cast<size_t>(places * length)), image(static_cast<size_t>(height * width * f.c));
    for (i64 n = begin; n < end; ++n) {
      const auto status = dnnl_sgemm('N', 'N', places, length, f.o, 1.f, g + n * places * f.o, f.o, weight.data(), length,
                                     0.f, windows.data(), length);
      if (status != dnnl_success) throw dnnl::error(status, "could not multiply matrices");
      std::fill(image.begin(), image.end(), 0.f);
      add_windows(f, windows.data(), image.data());
      for (i64 h = 0; h < f.h; ++h)
        std::memcpy(gx + (n * f.h + h) * f.w * f.c, &image[static_cast<size_t>(((h + f.pad_h) * width + f.pad_w) * f.c)],
                    static_cast<size_t>(f.w * f.c) * sizeof(float));
    }
  });
}

void small_weight_gradient(const FewChannels& f, const float* g, const float* x, float* gw, float* gb) {
  const i64 taps = f.kh * f.kw, lanes = f.o <= 8 ? 8 : 16, size = (f.o + lanes - 1) / lanes * (taps + 1) * lanes;
  const i64 groups = std::min(kGroups, f.n);
  std::vector<double> totals(static_cast<size_t>(groups * size));
  parallel_for(groups, std::max<i64>(1, kGrain * groups / (f.n * f.oh * f.ow * f.o * f.kh)), [&](i64 begin, i64 end) {
    Buffers work;
    work.padded.assign(static_cast<size_t>((f.h + 2 * f.pad_h) * (f.w + 2 * f.pad_w)), 0.f);
    work.sums.resize(static_cast<size_t>((taps + 1) * lanes));
    for (i64 group = begin; group < end; ++group)
      for (i64 image = f.n * group / groups; image < f.n * (group + 1) / groups; ++image)
        add_image(f, x + image * f.h * f.w, g + image * f.oh * f.ow * f.o, image == f.n - 1, work,
                  &totals[static_cast<size_t>(group * size)]);
  });
  for (i64 o = 0; o < f.o; ++o)
    for (i64 k = 0; k <= taps; ++k) {
      const i64 at = (o / lanes * (taps + 1) + k) * lanes + o % lanes;
      double sum = 0;
      for (i64 group = 0; group < groups; ++group) sum += totals[static_cast<size_t>(group * size + at)];
      if (k < taps)
        gw[o * taps + k] = static_cast<float>(sum);
      else if (gb)
        gb[o] = static_cast<float>(sum);
    }
}

}  // namespace rushlight

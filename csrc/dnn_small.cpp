// The weight gradient of a 2-d convolution of one-channel images, which oneDNN is slow at. Output channels are the
// lanes; an image with its padding fits the first cache. Compiled with fused multiply-add.
#include "dnn_small.h"

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
void add_image(const OneChannel& f, const float* x, const float* g, bool last_image, Buffers& work, double* total) {
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

}  // namespace

bool one_channel_pays(const OneChannel& f) { return f.kw <= 7 && f.o <= 64 && f.oh >= 1 && f.ow >= 1; }

void one_channel_weight_gradient(const OneChannel& f, const float* g, const float* x, float* gw, float* gb) {
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

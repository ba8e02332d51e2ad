#include "dnn_few.h"

#include "dnn_cache.h"

#include <algorithm>
#include <cstring>

namespace rushlight {
namespace {

constexpr i64 kRows = 64;  // output channels in one product, whatever the number of threads

// plane[c][i] = x[i][c] for channels [from, to).
RUSHLIGHT_CLONES void to_planes(const float* x, i64 pixels, i64 channels, i64 from, i64 to, float* planes) {
  for (i64 i = 0; i < pixels; ++i)
    for (i64 c = from; c < to; ++c) planes[c * pixels + i] = x[i * channels + c];
}

// One row of col: what the weight's element (kh, kw) of a channel is multiplied with, for all outputs.
void taps(const FewChannels& f, const float* plane, i64 kh, i64 kw, float* row) {
  const i64 first = std::max<i64>(0, (f.pad_w - kw + f.stride_w - 1) / f.stride_w);  // the first output inside
  const i64 room = f.w - 1 + f.pad_w - kw, last = room < 0 ? 0 : std::min(f.ow, room / f.stride_w + 1);
  for (i64 image = 0; image < f.n; ++image, plane += f.h * f.w)
    for (i64 i = 0; i < f.oh; ++i, row += f.ow) {
      const i64 h = i * f.stride_h + kh - f.pad_h;
      if (h < 0 || h >= f.h || first >= last) {
        std::fill(row, row + f.ow, 0.0f);
        continue;
      }
      std::fill(row, row + first, 0.0f);
      const float* from = plane + h * f.w + kw - f.pad_w;
      for (i64 j = first; j < last; ++j) row[j] = from[j * f.stride_w];
      std::fill(row + last, row + f.ow, 0.0f);
    }
}

}  // namespace

RUSHLIGHT_CLONES void turn(const float* t, const float* bias, float* y, i64 rows, i64 columns, i64 from, i64 to, bool relu) {
  constexpr i64 block = 16;  // columns whose values for all rows stay in the first cache
  for (i64 first = from; first < to; first += block) {
    const i64 last = first + block < to ? first + block : to;
    for (i64 m = 0; m < rows; ++m) {
      for (i64 n = first; n < last; ++n) {
        const float value = t[n * rows + m] + (bias ? bias[n] : 0.0f);
        y[m * columns + n] = relu && value < 0 ? 0.0f : value;
      }
    }
  }
}

bool few_outputs_pay(const FewChannels& f) {
  return f.n * f.oh * f.ow <= 128 && f.kh * f.kw > 1 && f.c * f.kh * f.kw >= 256 && f.o >= kRows;
}

void convolve_few_outputs(const FewChannels& f, const float* x, const float* w, const float* bias, bool relu, float* y) {
  const i64 pixels = f.n * f.h * f.w, outputs = f.n * f.oh * f.ow, depth = f.c * f.kh * f.kw;
  const auto bytes = [](i64 floats) { return static_cast<size_t>(floats) * sizeof(float); };
  float* planes = static_cast<float*>(scratch(Scratch::kSecond, bytes(f.c * pixels)));
  float* col = static_cast<float*>(scratch(Scratch::kPad, bytes(depth * outputs)));
  float* t = static_cast<float*>(scratch(Scratch::kResult, bytes(f.o * outputs)));
  parallel_for(f.c, std::max<i64>(16, kGrain / (outputs * f.kh * f.kw)), [&](i64 begin, i64 end) {
    to_planes(x, pixels, f.c, begin, end, planes);
    for (i64 c = begin; c < end; ++c)
      for (i64 k = 0; k < f.kh * f.kw; ++k)
        taps(f, planes + c * pixels, k / f.kw, k % f.kw, col + (c * f.kh * f.kw + k) * outputs);
  });
  parallel_for((f.o + kRows - 1) / kRows, 1, [&](i64 begin, i64 end) {
    for (i64 first = begin * kRows; first < std::min(f.o, end * kRows); first += kRows) {
      const i64 rows = std::min(kRows, f.o - first);
      const auto status = dnnl_sgemm('N', 'N', rows, outputs, depth, 1.f, w + first * depth, depth, col, outputs, 0.f,
                                     t + first * outputs, outputs);
      if (status != dnnl_success) throw dnnl::error(status, "could not multiply matrices");
      turn(t, bias, y, outputs, f.o, first, first + rows, relu);
    }
  });
}

}  // namespace rushlight

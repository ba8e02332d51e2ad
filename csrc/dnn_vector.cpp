// Each output is summed in an order that depends on the shape alone, whatever the number of threads.
#include "dnn_vector.h"

#include <algorithm>
#include <vector>

#include "simd.h"

namespace rushlight {
namespace {

using i64 = std::int64_t;
typedef float Sixteen __attribute__((vector_size(64)));
constexpr i64 kLanes = 16;
constexpr i64 kStrip = 256;  // outputs whose sums stay in the first cache

// Rows of the matrix lie together: `kRows` dot products at a time.
template <int kRows> RUSHLIGHT_INLINE void dots(const float* m, i64 down, const float* v, i64 inner, float* y) {
  Sixteen even[kRows] = {}, odd[kRows] = {}, x, w;
  i64 k = 0;
  for (; k + 2 * kLanes <= inner; k += 2 * kLanes) {
    load(x, v + k);
    for (int r = 0; r < kRows; ++r) {
      load(w, m + r * down + k);
      even[r] += w * x;
    }
    load(x, v + k + kLanes);
    for (int r = 0; r < kRows; ++r) {
      load(w, m + r * down + k + kLanes);
      odd[r] += w * x;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    const Sixteen all = even[r] + odd[r];
    float part[8], sum;
    for (int i = 0; i < 8; ++i) part[i] = all[i] + all[i + 8];
    sum = ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
    for (i64 i = k; i < inner; ++i) sum += m[r * down + i] * v[i];
    y[r] = sum;
  }
}

RUSHLIGHT_CLONES void row_dots(const float* m, i64 down, const float* v, i64 inner, float* y, i64 outputs) {
  i64 i = 0;
  for (; i + 4 <= outputs; i += 4) dots<4>(m + i * down, down, v, inner, y + i);
  for (; i < outputs; ++i) dots<1>(m + i * down, down, v, inner, y + i);
}

// Columns lie together: their multiples are added up, eight at a time.
RUSHLIGHT_CLONES void add_columns(const float* m, i64 across, const float* v, i64 inner, float* y, i64 outputs) {
  for (i64 i = 0; i < outputs; ++i) y[i] = 0;
  i64 k = 0;
  for (; k + 8 <= inner; k += 8) {
    const float* c = m + k * across;
    for (i64 i = 0; i < outputs; ++i) {
      const float* at = c + i;
      const float a = at[0] * v[k] + at[across] * v[k + 1], b = at[2 * across] * v[k + 2] + at[3 * across] * v[k + 3];
      const float d = at[4 * across] * v[k + 4] + at[5 * across] * v[k + 5], e = at[6 * across] * v[k + 6] + at[7 * across] * v[k + 7];
      y[i] += (a + b) + (d + e);
    }
  }
  for (; k < inner; ++k)
    for (i64 i = 0; i < outputs; ++i) y[i] += m[k * across + i] * v[k];
}

}  // namespace

void multiply_vector(const VectorProduct& p, const float* bias, bool one_bias, bool relu, float* y, i64 y_stride) {
  std::vector<float> gathered;
  const float* v = p.v;
  if (p.v_stride != 1 && p.inner > 1) {
    gathered.resize(static_cast<std::size_t>(p.inner));
    for (i64 k = 0; k < p.inner; ++k) gathered[static_cast<std::size_t>(k)] = p.v[k * p.v_stride];
    v = gathered.data();
  }
  const i64 strips = (p.outputs + kStrip - 1) / kStrip;
  parallel_for(strips, std::max<i64>(1, kGrain / (kStrip * p.inner)), [&](i64 begin, i64 end) {
    float part[kStrip];
    for (i64 s = begin; s < end; ++s) {
      const i64 first = s * kStrip, count = std::min(kStrip, p.outputs - first);
      if (p.across == 1)
        row_dots(p.m + first * p.down, p.down, v, p.inner, part, count);
      else
        add_columns(p.m + first, p.across, v, p.inner, part, count);
      for (i64 i = 0; i < count; ++i) {
        const float value = bias ? part[i] + bias[one_bias ? 0 : first + i] : part[i];
        y[(first + i) * y_stride] = relu && value < 0 ? 0 : value;
      }
    }
  });
}

}  // namespace rushlight

// A matrix times one vector: read once, as it lies.
#pragma once

#include "common.h"

namespace rushlight {

// y[i] = sum over k of m[i][k] v[k]; one of the matrix' strides (in elements) is 1.
struct VectorProduct {
  std::int64_t outputs, inner;
  const float* m;
  std::int64_t down, across;  // strides of i and of k
  const float* v;
  std::int64_t v_stride;
};

// With `bias` (null for none): one for each output, or one for all. max(0, .) of it where `relu`.
void multiply_vector(const VectorProduct& p, const float* bias, bool one_bias, bool relu, float* y, std::int64_t y_stride);

}  // namespace rushlight

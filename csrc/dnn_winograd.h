// 3x3 convolutions of stride 1 by Winograd's minimal filtering F(2x2, 3x3): 2.25 times fewer multiplications.
#pragma once

#include "nn_arrays.h"

namespace rushlight {

// x[n, c, h, w] with w[o, c, 3, 3] gives y[n, o, oh, ow]; activations channels-last, weights contiguous.
struct Filter3x3 {
  i64 n, c, h, w, o, oh, ow, pad_h, pad_w;
  i64 tiles_h() const { return (oh + 1) / 2; }
  i64 tiles_w() const { return (ow + 1) / 2; }
  i64 tiles() const { return n * tiles_h() * tiles_w(); }
  i64 weight_floats() const { return 16 * c * o; }
};

// Whether it is faster than oneDNN's direct convolution.
bool winograd_pays(const Filter3x3& f);

// The gradient of x is a convolution of the gradient of y: these are its sizes.
Filter3x3 winograd_backward(const Filter3x3& f);

// The weight as the convolution wants it, u[16, c, o]. For backward, `f` is winograd_backward's and `w` still the
// forward weight.
void winograd_weight(const Filter3x3& f, const float* w, bool backward, float* u);

void winograd_convolve(const Filter3x3& f, const float* x, const float* u, const float* bias, bool relu, float* y);

void winograd_weight_gradient(const Filter3x3& f, const float* g, const float* x, float* gw, float* gb);

}  // namespace rushlight

// 2-d convolutions of images with few channels and their gradients, for which oneDNN's kernels are too wide.
#pragma once

#include "nn_arrays.h"

namespace rushlight {

// x[n, c, h, w] with w[o, c, kh, kw] gave y[n, o, oh, ow]; activations channels last.
struct FewChannels {
  i64 n, c, h, w, o, oh, ow, kh, kw, stride_h, stride_w, pad_h, pad_w;
};

// To few channels, with lanes along the rows of the image.
bool small_convolution_pays(const FewChannels& f);
void small_convolution(const FewChannels& f, const float* x, const float* w, const float* bias, bool relu, float* y);

bool small_weight_gradient_pays(const FewChannels& f);
bool small_input_gradient_pays(const FewChannels& f);

// For one channel.
void small_weight_gradient(const FewChannels& f, const float* g, const float* x, float* gw, float* gb);

void small_input_gradient(const FewChannels& f, const float* g, const float* w, float* gx);

}  // namespace rushlight

// The weight gradient of convolutions of one-channel images.
#pragma once

#include "nn_arrays.h"

namespace rushlight {

// x[n, 1, h, w] with w[o, 1, kh, kw] gave y[n, o, oh, ow], channels last.
struct OneChannel {
  i64 n, h, w, o, oh, ow, kh, kw, stride_h, stride_w, pad_h, pad_w;
};

bool one_channel_pays(const OneChannel& f);

void one_channel_weight_gradient(const OneChannel& f, const float* g, const float* x, float* gw, float* gb);

}  // namespace rushlight

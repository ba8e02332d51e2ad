// Products with few rows and large weights, which are read as they lie instead of being laid out anew.
#pragma once

#include "dnn_small.h"

namespace rushlight {

// y[m][n] = t[n][m] + bias[n], for n in [from, to); and max(0, .) of it where `relu`.
void turn(const float* t, const float* bias, float* y, i64 rows, i64 columns, i64 from, i64 to, bool relu);

// A convolution that has few outputs per channel, as in the last layers of a network that looks at one picture.
bool few_outputs_pay(const FewChannels& f);
void convolve_few_outputs(const FewChannels& f, const float* x, const float* w, const float* bias, bool relu, float* y);

}  // namespace rushlight

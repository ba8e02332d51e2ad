// Connectionist temporal classification of one sample, for one CPU level. See ctc_loops.inc.
#pragma once

#include <cstdint>

namespace rushlight {

template <class T> struct CtcSample {
  const T* log_probs;  // of step 0; steps are `step` elements apart
  std::int64_t step, classes;
  std::int64_t length;            // steps of this sample
  const std::int64_t* labels;     // `count` of them
  std::int64_t count, blank;
  T* alpha;                       // forward variables [steps, states]
  std::int64_t states;            // of the longest sample: a row of alpha
};

template <class T> struct CtcKernels {
  // Sets alpha, as far as the sample goes; returns the negative log likelihood. `work`: 4 * states + 10.
  T (*forward)(const CtcSample<T>& sample, T* work);
  // Writes the gradient of the sample's steps, likewise `step` apart, times g. `work`: 4 * states + 10.
  void (*backward)(const CtcSample<T>& sample, T loss, T g, T* grad, T* work);
};

struct CtcLoops {
  CtcKernels<float> floats;
  CtcKernels<double> doubles;
};

}  // namespace rushlight

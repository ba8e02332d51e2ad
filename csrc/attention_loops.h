// What attention needs of one CPU level: one head, forward and backward. See attention_loops.inc.
#pragma once

#include <cstdint>

namespace rushlight {

// Rows of contiguous elements, `step` elements apart.
template <class T> struct Rows {
  T* at;
  std::int64_t step;
};

template <class T> struct AttentionHead {
  std::int64_t queries, keys, size, value_size;
  Rows<const T> q, k, v;
  Rows<const T> bias;  // added to the scores [queries, keys]; may be null
  std::int64_t bias_across;  // between the elements of a row of it
  const T* keep;             // ones and zeros [queries, keys], of weights that are kept, times `kept`; may be null
  T kept, scale;
  bool causal;
  Rows<T> out;
  T* lse;  // logarithms of the rows' sums of exponentials
  // backward: `out` and `lse` are inputs too
  Rows<const T> g;
  Rows<T> gq, gk, gv;
};

template <class T> struct AttentionKernels {
  std::int64_t (*work)(const AttentionHead<T>& head);  // elements that the others need at `work`
  void (*forward)(const AttentionHead<T>& head, T* work);
  void (*backward)(const AttentionHead<T>& head, T* work);
};

struct AttentionLoops {
  AttentionKernels<float> floats;
  AttentionKernels<double> doubles;
};

}  // namespace rushlight

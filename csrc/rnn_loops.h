// What recurrent layers need of one CPU level: a matrix product with packed weights, and the gates. See rnn_loops.inc.
#pragma once

#include <cstdint>

namespace rushlight {

enum class Cell { tanh, relu, lstm, gru };

// Packed columns come in vectors, several of which make a panel. Vector v holds `lanes[v]` columns from `at[v]` on.
struct Columns {
  const std::int64_t* at;
  const std::int64_t* lanes;
  std::int64_t count;  // a multiple of the panel's size; vectors without lanes fill the last one
};

// One sample at one step: pointers to its first unit, gates lie `hidden` apart.
template <class T> struct Row {
  T* gates;         // in: from the input; out: activated. Backward: activated
  const T* gh;      // GRU: from the hidden state
  const T* bias;    // GRU: of the new gate, or null
  T *h, *c;         // states, updated; backward: their gradients
  T* y;             // the new hidden state once more
  T* extra;         // LSTM: the cell state before; GRU: the new gate's part from the hidden state. May be null forward
  const T* before;  // GRU backward: the hidden state before
  T *to_input, *to_hidden;  // backward: gradients of the gates; the second for GRU
};

template <class T> struct RnnKernels {
  std::int64_t lanes, panel;  // columns of a vector, vectors of a panel
  // Element (k, column) of the matrix is w[k * down + column * across].
  void (*pack)(const T* w, std::int64_t depth, std::int64_t down, std::int64_t across, const Columns& columns, T* panels);
  // c (+)= a times the packed columns of vectors [first, last), both multiples of a panel's size.
  void (*multiply)(const T* a, std::int64_t lda, std::int64_t rows, std::int64_t depth, const T* panels,
                   const Columns& columns, std::int64_t first, std::int64_t last, T* c, std::int64_t ldc, bool add);
  void (*forward)(Cell cell, const Row<T>& row, std::int64_t hidden, std::int64_t from, std::int64_t to);
  void (*backward)(Cell cell, const Row<T>& row, std::int64_t hidden, std::int64_t from, std::int64_t to);
};

struct RnnLoops {
  RnnKernels<float> floats;
  RnnKernels<double> doubles;
};

}  // namespace rushlight

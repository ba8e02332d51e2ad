// What the reduction, softmax, loss and optimizer loops of one CPU level offer. See reduce_loops.inc, optim_loops.inc.
#pragma once

#include <cstdint>

namespace rushlight {

// `squares` adds up squared deviations from a mean.
enum class Reduce { sum, squares, prod, max, min, count };

// Rows of n elements, `stride` elements apart: each row, or each column, is joined to its accumulator, which holds a
// start already. `means` (null for none): one for each accumulator.
using ReduceLoop = void (*)(const void* x, std::int64_t rows, std::int64_t stride, std::int64_t n, double* into, const double* means);

// Rows of n contiguous elements. The last argument is unused, or a second input.
using RowsLoop = void (*)(const void* x, void* out, std::int64_t rows, std::int64_t n, const void* second);

// `width` columns (512 at most) of n elements, `stride` elements apart; the last argument as above.
using ColumnsLoop = void (*)(const void* x, void* out, std::int64_t n, std::int64_t stride, std::int64_t width, const void* second);
constexpr std::int64_t kColumnTile = 512;

struct CrossEntropy {
  const std::int64_t* target;
  const void* weight;  // one for each class, or null
  std::int64_t ignore;
  double smoothing;
};

struct ReduceLoops {
  ReduceLoop rows[static_cast<int>(Reduce::count)][2], columns[static_cast<int>(Reduce::count)][2];
  std::int64_t (*argmax[2])(const void* x, std::int64_t n);
  std::int64_t (*argmin[2])(const void* x, std::int64_t n);
  RowsLoop softmax[2], log_softmax[2], softmax_backward[2], log_softmax_backward[2];
  ColumnsLoop softmax_columns[2], log_softmax_columns[2], softmax_columns_backward[2], log_softmax_columns_backward[2];
  // Loss and probabilities of rows; returns the sum of their weights. Targets are in range or ignored.
  double (*cross_entropy[2])(const void* x, void* loss, void* probabilities, std::int64_t rows, std::int64_t n,
                             const CrossEntropy& how);
  // `scales`: one for each row (step 1) or one for all (step 0).
  void (*cross_entropy_backward[2])(const void* probabilities, void* grad, std::int64_t rows, std::int64_t n,
                                    const CrossEntropy& how, const void* scales, std::int64_t step);
};

const ReduceLoops& reduce_loops();  // of this machine's level

}  // namespace rushlight

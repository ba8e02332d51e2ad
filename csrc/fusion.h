// Chains of elementwise loops that run together, a block of elements at a time: what one loop leaves in the cache, the
// next one takes from there, and results that nobody reads afterwards are never written to memory. The loops are those of
// the eager kernels and run in the same order, so that results are the same to the last bit.
#pragma once

#include <vector>

#include "elementwise_loops.h"

namespace rushlight {

// One loop over n elements in a row, as an elementwise kernel ran it.
struct Loop {
  UnaryLoop unary;    // or null, and
  BinaryLoop binary;
  Mode mode;
  double params[3];
  const char *x, *y;  // y is null for one operand
  char* out;
  std::int64_t n, x_item, y_item, out_item;
  std::uint64_t number;  // of the single operand, at the time of the call
};

// Called by the elementwise kernels while somebody records.
void note_unary(UnaryLoop loop, const double* params, const char* x, char* out, std::int64_t n, std::int64_t x_item, std::int64_t out_item);
void note_binary(BinaryLoop loop, const double* params, const char* x, const char* y, char* out, std::int64_t n, std::int64_t x_item,
                 std::int64_t y_item, std::int64_t out_item, Mode mode);

// A place that an operand of a fused loop lies in.
struct Place {
  char* base = nullptr;    // memory; null: at `offset` of the thread's scratch memory
  std::int64_t step = 0;   // bytes per element; 0 for a single one and for scratch
  std::int64_t offset = 0;
  const char* at(char* scratch, std::int64_t first) const { return base ? base + first * step : scratch + offset; }
};

struct FusedLoop {
  UnaryLoop unary;
  BinaryLoop binary;
  Mode mode;
  bool stream;
  double params[3];
  Place x, y, out;
};

class FusedChain {
 public:
  std::vector<FusedLoop> loops;
  std::vector<std::uint64_t> numbers;  // single operands that are no arrays; places point here
  std::int64_t n = 0, block = 0, scratch_bytes = 0;
  void run() const;
};

}  // namespace rushlight

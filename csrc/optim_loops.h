// One optimizer step on a run of elements of one parameter. See optim_loops.inc.
#pragma once

#include <cstdint>

namespace rushlight {

// `data` has the parameter, its gradient and its state (null where absent); `x` the rule's numbers.
using StepLoop = void (*)(char* const* data, std::int64_t n, const double* x);

struct StepRule {
  const char* name;  // that of the reference kernel, whose arguments are in the same order
  int lists;         // how many of the arguments are lists of arrays
  int required;      // how many of these are always there
  int numbers;       // how many arguments are numbers
  StepLoop loops[2]; // for float32 and float64
};

constexpr int kStepRules = 10;

struct OptimLoops {
  StepRule rules[kStepRules];
};

}  // namespace rushlight

// What the conversion loops of one CPU level offer: see lowprec_loops.inc.
#pragma once

#include <cstdint>

namespace rushlight {

// The 16-bit floating-point types, whose arithmetic is done in float32.
enum Low { kHalf, kBfloat16, kLowTypes };

struct LowLoops {
  void (*widen[kLowTypes])(const std::uint16_t* from, float* to, std::int64_t n);
  void (*narrow[kLowTypes])(const float* from, std::uint16_t* to, std::int64_t n);  // to nearest, ties to even
};

const LowLoops& low_loops();  // of this machine's level

}  // namespace rushlight

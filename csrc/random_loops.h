// What the random number loops of one CPU level offer. See random_loops.inc.
#pragma once

#include <cstdint>

namespace rushlight {

constexpr int kTwisterWords = 624;  // of the Mersenne twister's state

// A draw, of the state's word.
static inline std::uint32_t tempered(std::uint32_t y) {
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

// From raw 32-bit draws to n numbers. The number types: 0 is float, 1 double.
// A float takes one draw and a double two, except in `transform`, which always works in double.
using FromDraws = void (*)(const std::uint32_t* draws, void* out, std::int64_t n, double a, double b);

// Distributions that are a function of one double in [0, 1), with two parameters.
enum class Transform { exponential, cauchy, geometric, count };

struct RandomLoops {
  void (*twist)(std::uint32_t* state);  // the next kTwisterWords words of state
  void (*temper)(const std::uint32_t* state, std::uint32_t* out, std::int64_t n);
  FromDraws uniform[2];        // in [a, b)
  FromDraws normal_blocks[2];  // mean a, standard deviation b; n is a multiple of 16
  FromDraws transform[static_cast<int>(Transform::count)][2];
  void (*normal_pairs)(const std::uint32_t* draws, double* out, std::int64_t pairs);  // mean 0, deviation 1
  void (*scale[2])(const double* x, void* out, std::int64_t n, double a, double b);      // a + b x
  void (*scale_exp[2])(const double* x, void* out, std::int64_t n, double a, double b);  // e^(a + b x)
  // Whether the double of two draws is below p, as bytes.
  void (*below)(const std::uint32_t* draws, std::uint8_t* out, std::int64_t n, double p);
  // Whether each is below its own p: 0 is float, 1 double.
  void (*below_each[2])(const std::uint32_t* draws, const void* p, std::uint8_t* out, std::int64_t n);
  // base + draw % span, the draw of 32 bits (below 2^32 spans only), or of 64; span 0 is 2^64.
  void (*integers)(const std::uint32_t* draws, std::int64_t* out, std::int64_t n, std::int64_t base, std::uint64_t span);
  void (*wide_integers)(const std::uint32_t* draws, std::int64_t* out, std::int64_t n, std::int64_t base,
                        std::uint64_t span);
};

const RandomLoops& random_loops();  // of this machine's level

}  // namespace rushlight

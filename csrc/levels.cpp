#include "levels.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "common.h"

namespace rushlight {
namespace {

Level best_level() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return Level::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) return Level::avx2;
  return Level::sse2;
}

Level chosen_level() {
  const Level best = best_level();
  const char* text = std::getenv("RUSHLIGHT_CPU");
  if (!text) return best;
  const std::string wanted = text;
  const Level level = wanted == "sse2" ? Level::sse2 : wanted == "avx2" ? Level::avx2 : wanted == "avx512" ? Level::avx512 : best;
  return level < best ? level : best;
}

}  // namespace

Level cpu_level() {
  static const Level level = chosen_level();
  return level;
}

void bind_levels(nb::module_& m) {
  m.def("cpu_level", [] {
    constexpr const char* names[] = {"sse2", "avx2", "avx512"};
    return names[static_cast<int>(cpu_level())];
  }, "The instruction set that the loops use: sse2, avx2 or avx512.");
}

}  // namespace rushlight

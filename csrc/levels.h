// CPU levels: hot loops are compiled once for each, and the best one the machine has is chosen at run time.
#pragma once

namespace rushlight {

enum class Level { sse2, avx2, avx512 };

// This machine's level, or a lower one that RUSHLIGHT_CPU names.
Level cpu_level();

// Declares `function` of each level's namespace, returning a const Table&; RUSHLIGHT_PICK calls this machine's.
#define RUSHLIGHT_LEVELS(Table, function) \
  namespace sse2 {                        \
  const Table& function();                \
  }                                       \
  namespace avx2 {                        \
  const Table& function();                \
  }                                       \
  namespace avx512 {                      \
  const Table& function();                \
  }
#define RUSHLIGHT_PICK(function)                                                                      \
  (::rushlight::cpu_level() == ::rushlight::Level::avx512 ? ::rushlight::avx512::function()           \
   : ::rushlight::cpu_level() == ::rushlight::Level::avx2 ? ::rushlight::avx2::function()             \
                                                          : ::rushlight::sse2::function())

}  // namespace rushlight

// Eight numbers at a time, in whatever registers the CPU has: the compiler splits them where those are narrower.
// Used inside functions that are compiled for each instruction set (RUSHLIGHT_CLONES).
#pragma once

#include <cstdint>
#include <type_traits>

namespace rushlight {

// A vectorised loop, compiled for each instruction set and chosen once at load time.
#define RUSHLIGHT_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#define RUSHLIGHT_INLINE inline __attribute__((always_inline))

constexpr std::int64_t kEight = 8;

template <class T> struct Eight;
template <> struct Eight<float> {
  typedef float Values __attribute__((vector_size(32)));
  typedef std::int32_t Integers __attribute__((vector_size(32)));
};
template <> struct Eight<double> {
  typedef double Values __attribute__((vector_size(64)));
  typedef std::int64_t Integers __attribute__((vector_size(64)));
};
template <class T> using Values = typename Eight<T>::Values;
template <class T> using Integers = typename Eight<T>::Integers;
using Doubles = Eight<double>::Values;
typedef std::int32_t Indices __attribute__((vector_size(32)));

// By reference: passing vectors by value would depend on the instruction set.
template <class V, class T> RUSHLIGHT_INLINE void load(V& v, const T* from) { __builtin_memcpy(&v, from, sizeof(V)); }
template <class V, class T> RUSHLIGHT_INLINE void store(T* to, const V& v) { __builtin_memcpy(to, &v, sizeof(V)); }
template <class V, class T> RUSHLIGHT_INLINE void fill(V& v, T value) {
  const auto one = static_cast<std::decay_t<decltype(v[0])>>(value);
  v = V{one, one, one, one, one, one, one, one};
}

template <class T> RUSHLIGHT_INLINE void add_wide(Doubles& total, const Values<T>& v) {
  total += __builtin_convertvector(v, Doubles);
}

RUSHLIGHT_INLINE double sum_of(const Doubles& v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

}  // namespace rushlight

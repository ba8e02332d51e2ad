// Special functions of one double; float32 results are rounded from them.
#pragma once

#include <cmath>
#include <limits>

namespace rushlight {

inline double erfc_of(double x) { return std::erfc(x); }

inline double lgamma_of(double x) {
  int sign;
  return lgamma_r(x, &sign);  // std::lgamma writes a global
}

// Recurrence up to 10, reflection below 0, then the asymptotic series (Abramowitz & Stegun 6.3.18).
inline double digamma_of(double x) {
  constexpr double kPi = 3.14159265358979323846;
  if (x == 0) return std::copysign(std::numeric_limits<double>::infinity(), -x);
  if (x != x || (x < 0 && x == std::floor(x))) return std::numeric_limits<double>::quiet_NaN();
  if (x == std::numeric_limits<double>::infinity()) return x;
  if (x < 0) return digamma_of(1 - x) - kPi / std::tan(kPi * std::fmod(x, 1.0));
  double shift = 0;
  for (; x < 10; x += 1) shift += 1 / x;
  const double r = 1 / (x * x);
  const double series =
      r * (1. / 12 - r * (1. / 120 - r * (1. / 252 - r * (1. / 240 - r * (1. / 132 - r * (691. / 32760 - r / 12))))));
  return std::log(x) - 0.5 / x - series - shift;
}

// Giles's single-precision start (2010), then Newton on erf or, in the tails, on erfc: a step for float32, two for float64.
template <int kSteps> double erfinv_of(double y) {
  if (!(y > -1 && y < 1)) return y == 1 || y == -1 ? y * std::numeric_limits<double>::infinity() : std::nan("");
  constexpr double kCentre[] = {2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 2.1858087e-04,
                                -1.25372503e-03, -4.17768164e-03, 0.246640727, 1.50140941};
  constexpr double kTail[] = {-2.00214257e-04, 1.00950558e-04, 1.34934322e-03, -3.67342844e-03, 5.73950773e-03,
                              -7.6224613e-03, 9.43887047e-03, 1.00167406, 2.83297682};
  const double w = -std::log1p(-y * y);
  const double t = w < 5 ? w - 2.5 : std::sqrt(w) - 3;
  double x = 0;
  for (int i = 0; i < 9; ++i) x = x * t + (w < 5 ? kCentre : kTail)[i];
  x *= y;
  for (int step = 0; step < kSteps; ++step) {
    const double error = w < 5 ? std::erf(x) - y : std::copysign((1 - std::fabs(y)) - std::erfc(std::fabs(x)), y);
    x -= error / (1.12837916709551257390 * std::exp(-x * x));
  }
  return x;
}

// Recurrence up to 10, then the asymptotic series (DLMF 5.15.8); reflection below 1/2.
inline double trigamma_of(double x) {
  constexpr double kPi = 3.14159265358979323846;
  if (x < 0.5) {
    const double s = kPi / std::sin(kPi * x);
    return s * s - trigamma_of(1 - x);
  }
  double sum = 0;
  for (; x < 10; x += 1) sum += 1 / (x * x);
  const double r = 1 / (x * x);
  const double series =
      r * (1. / 6 - r * (1. / 30 - r * (1. / 42 - r * (1. / 30 - r * (5. / 66 - r * (691. / 2730 - r * 7 / 6))))));
  return sum + 1 / x + r / 2 + series / x;
}

// exp(x * x) erfc(x): beyond 2.5 by a continued fraction (DLMF 7.9.2).
inline double erfcx_of(double x) {
  if (!(x > 2.5)) return std::exp(x * x) * std::erfc(x);
  if (x > 1e8) return 0.56418958354775628695 / x;
  double f = 0;
  for (int k = 10 + static_cast<int>(600 / (x * x)); k > 0; --k) f = 0.5 * k / (x + f);
  return 0.56418958354775628695 / (x + f);
}

inline double log_ndtr_of(double x) {
  constexpr double kRoot = 0.70710678118654752440;
  const double t = x * kRoot;
  return x < -1 ? std::log(erfcx_of(-t) / 2) - t * t : std::log1p(-std::erfc(t) / 2);
}

// In the tails, Newton on the logarithm, from Abramowitz & Stegun 26.2.23.
inline double ndtri_of(double p) {
  if (!(p > 0 && p < 1)) {
    const double infinity = std::numeric_limits<double>::infinity();
    return p == 0 ? -infinity : p == 1 ? infinity : std::numeric_limits<double>::quiet_NaN();
  }
  if (p > 0.1 && p < 0.9) return 1.41421356237309504880 * erfinv_of<2>(2 * p - 1);
  if (p > 0.5) return -ndtri_of(1 - p);
  const double target = std::log(p), t = std::sqrt(-2 * target);
  double x = (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
  for (int step = 0; step < 3; ++step) {
    const double ratio = erfcx_of(-x * 0.70710678118654752440);
    x -= (std::log(ratio / 2) - x * x / 2 - target) * ratio * 1.25331413731550025121;
  }
  return x;
}

}  // namespace rushlight

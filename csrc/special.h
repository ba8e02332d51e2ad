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

// Giles's single-precision start (2010), then Newton on erf or, in the tails, on erfc.
inline double erfinv_of(double y) {
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
  for (int step = 0; step < 2; ++step) {
    const double error = w < 5 ? std::erf(x) - y : std::copysign((1 - std::fabs(y)) - std::erfc(std::fabs(x)), y);
    x -= error / (1.12837916709551257390 * std::exp(-x * x));
  }
  return x;
}

}  // namespace rushlight

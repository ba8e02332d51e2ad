// The incomplete gamma function, and how gamma and beta numbers change with their parameters, element by element.
// The formulas are those of the reference kernels `special` and `implicit`.
#include "common.h"
#include "special.h"

#include <cmath>
#include <limits>

namespace rushlight {
namespace {

using i64 = std::int64_t;
constexpr int kMost = 100000;  // terms
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// log(1 + x) - x.
double log1p_minus(double x) {
  if (std::fabs(x) >= 0.2) return std::log1p(x) - x;
  const double r = x / (2 + x), s = r * r;
  double sum = 0;
  for (int k = 13; k >= 0; --k) sum = sum * s + 1.0 / (2 * k + 3);
  return 2 * r * s * sum - x * r;
}

// x ** a * exp(-x) / gamma(a).
double gamma_density(double a, double x) {
  if (a <= 10) return std::exp(a * std::log(x) - x - lgamma_of(a));
  const double r = 1 / a, s = r * r;
  const double stirling =
      r * (1. / 12 - s * (1. / 360 - s * (1. / 1260 - s * (1. / 1680 - s * (1. / 1188 - s * 691. / 360360)))));
  return std::sqrt(a * 0.15915494309189533577) * std::exp(a * log1p_minus((x - a) / a) - stirling);
}

double lower_series(double a, double x) {
  double term = 1 / a, total = term;
  for (int i = 1; i < kMost && term > 1e-17 * total; ++i) total += term *= x / (a + i);
  return total;
}

double upper_fraction(double a, double x) {
  double b = x + 1 - a, c = 1e300, d = 1 / (b == 0 ? 1e-300 : b), f = d;
  for (int i = 1; i < kMost; ++i) {
    const double n = -i * (i - a);
    b += 2;
    d = 1 / (n * d + b);
    c = b + n / (c == 0 ? 1e-300 : c);
    f *= c * d;
    if (std::fabs(c * d - 1) < 1e-16) break;
  }
  return f;
}

// 1 - P without cancellation, for small x.
double small_upper(double a, double x) {
  double total = 0, term = 1;
  for (int n = 1; n < 40; ++n) {
    term *= -x / n;
    total += term / (a + n);
  }
  const double log_x = std::log(x);
  return -std::expm1(a * log_x - lgamma_of(1 + a)) - std::exp(a * log_x - lgamma_of(a)) * total;
}

template <bool upper> double incomplete(double a, double x) {
  if (!(a >= 0 && x >= 0) || (a == 0 && x == 0) || (std::isinf(a) && std::isinf(x))) return kNan;
  if (a == 0 || std::isinf(x)) return upper ? 0 : 1;
  if (x == 0 || std::isinf(a)) return upper ? 1 : 0;
  if (upper && x <= 1.1 && (x <= 0.5 ? -0.4 / std::log(x) >= a : x * 1.1 >= a)) return small_upper(a, x);
  const bool by_upper = x > 1.1 && x > a;
  const double value = gamma_density(a, x) * (by_upper ? upper_fraction(a, x) : lower_series(a, x));
  return by_upper == upper ? value : 1 - value;
}

// Cornish and Fisher's expansion, for large a.
double large_gamma_gradient(double a, double x) {
  const double root = std::sqrt(a);
  double z = (x - a) / root;
  for (int step = 0; step < 4; ++step) {
    const double value = a + root * z + (z * z - 1) / 3 + (z * z * z - 7 * z) / (36 * root);
    z -= (value - x) / (root + 2. / 3 * z + (3 * z * z - 7) / (36 * root));
  }
  return 1 + z / (2 * root) - (z * z * z - 7 * z) / (72 * root * root * root);
}

double gamma_gradient(double a, double x) {
  if (x == 0) return 0;
  if (a > 1e5) return large_gamma_gradient(a, x);
  if (x <= a + 1) {
    double term = 1, slope = 0, total = 1, slopes = 0;
    for (int i = 1; i < kMost; ++i) {
      term *= x / (a + i);
      slope -= 1 / (a + i);
      total += term;
      slopes += term * slope;
      if (!(term * (1 - slope) > 1e-17 * std::fabs(slopes))) break;
    }
    return -x / a * (total * (std::log(x) - digamma_of(a + 1)) + slopes);
  }
  if (!(x > a + 1)) return kNan;
  double b = x + 1 - a, c = 1e300, d = 1 / b, f = d, dc = 0, dd = d * d, df = dd;
  for (int i = 1; i < kMost; ++i) {
    const double n = -i * (i - a);
    b += 2;
    dd = -(i * d + n * dd - 1);
    d = 1 / (n * d + b);
    dd *= d * d;
    dc = -1 + i / c - n * dc / (c * c);
    c = b + n / c;
    const double delta = c * d, change = dc * d + c * dd;
    df = df * delta + f * change;
    f *= delta;
    if (!(std::fabs(delta - 1) + std::fabs(change) > 1e-16)) break;
  }
  return x * (f * (std::log(x) - digamma_of(a)) + df);
}

// The F in I(a, b; x) = x ** a * (1 - x) ** b / (a * B(a, b)) * F (DLMF 8.17.22), and its slope along (da, db).
void beta_fraction(double a, double b, double x, double da, double db, double& value, double& slope) {
  double c = 1, d = 0, f = 1, dc = 0, dd = 0, df = 0;
  for (int i = 1; i < kMost; ++i) {
    const double m = i / 2, low = a + i - 1, high = a + i;
    double n, dn;
    if (i % 2) {
      n = -(a + m) * (a + b + m) * x / (low * high);
      dn = n * (da / (a + m) + (da + db) / (a + b + m) - da * (1 / low + 1 / high));
    } else {
      n = m * (b - m) * x / (low * high);
      dn = m * db * x / (low * high) - n * da * (1 / low + 1 / high);
    }
    const double t = 1 + n * d;
    dd = -(dn * d + n * dd) / (t * t);
    d = 1 / t;
    dc = dn / c - n * dc / (c * c);
    c = 1 + n / c;
    const double delta = c * d, change = dc * d + c * dd;
    df = df * delta + f * change;
    f *= delta;
    if (!(std::fabs(delta - 1) + std::fabs(change) > 1e-16)) break;
  }
  value = 1 / f;
  slope = -df / (f * f);
}

double dirichlet_gradient(double x, double a, double total) {
  if (x == 0) return 0;
  const double b = total - a;
  double f, df;
  if (x <= (a + 1) / (total + 2)) {
    beta_fraction(a, b, x, 1, 0, f, df);
    return -x / a * (f * (std::log(x) - digamma_of(a + 1) + digamma_of(total)) + df);
  }
  beta_fraction(b, a, 1 - x, 0, 1, f, df);
  return x / b * (f * (std::log(x) - digamma_of(a) + digamma_of(total)) + df);
}

double* flat(nb::handle h, i64 n) {
  PyArrayObject* a = array(h);
  if (!PyArray_Check(h.ptr()) || !PyArray_ISCARRAY_RO(a) || PyArray_TYPE(a) != NPY_DOUBLE || PyArray_SIZE(a) != n)
    throw nb::value_error("incomplete: expected contiguous float64 arrays of one size");
  return data<double>(h);
}

template <class Each> nb::object over(nb::handle like, const Each& each) {
  npy_intp n = PyArray_Check(like.ptr()) ? PyArray_SIZE(array(like)) : 0;
  nb::object out = nb::steal(PyArray_SimpleNew(1, &n, NPY_DOUBLE));
  if (!out.is_valid()) nb::raise_python_error();
  double* to = data<double>(out);
  parallel_for(n, 256, [&](i64 first, i64 last) {
    for (i64 i = first; i < last; ++i) to[i] = each(i);
  });
  return out;
}

template <double (*F)(double, double)> nb::object of_two(nb::handle x, nb::handle y) {
  const i64 n = PyArray_Check(x.ptr()) ? PyArray_SIZE(array(x)) : 0;
  const double *a = flat(x, n), *b = flat(y, n);
  return over(x, [=](i64 i) { return F(a[i], b[i]); });
}

nb::object of_three(nb::handle x, nb::handle y, nb::handle z) {
  const i64 n = PyArray_Check(x.ptr()) ? PyArray_SIZE(array(x)) : 0;
  const double *a = flat(x, n), *b = flat(y, n), *c = flat(z, n);
  return over(x, [=](i64 i) { return dirichlet_gradient(a[i], b[i], c[i]); });
}

}  // namespace

void bind_incomplete(nb::module_& m) {
  m.def("igamma", &of_two<incomplete<false>>, "The lower regularised incomplete gamma function of flat float64 arrays.");
  m.def("igammac", &of_two<incomplete<true>>, "The upper regularised incomplete gamma function of flat float64 arrays.");
  m.def("gamma_gradient", &of_two<gamma_gradient>, "The implicit gradient of gamma numbers, of flat float64 arrays.");
  m.def("dirichlet_gradient", &of_three, "The implicit gradient of beta numbers, of flat float64 arrays.");
}

}  // namespace rushlight

// Elementary functions, written so that compilers vectorise loops over them: no branches, no calls.
//
// float: own polynomials (fitted by weighted least squares to the errors noted), within 2 ulp; nan, infinities, signed
// zeros and denormals as in C. double: libm. Included once for each CPU level inside its own namespace, and therefore
// without any standard header: an inline function of those would be compiled for one level and run on another.

#ifdef __FMA__
static inline float madd(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline double madd(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
static inline float madd(float a, float b, float c) { return a * b + c; }
static inline double madd(double a, double b, double c) { return a * b + c; }
#endif

static inline std::int32_t bits(float x) { return __builtin_bit_cast(std::int32_t, x); }
static inline std::int64_t bits(double x) { return __builtin_bit_cast(std::int64_t, x); }
static inline float from_bits(std::int32_t b) { return __builtin_bit_cast(float, b); }

static inline float vabs(float x) { return __builtin_fabsf(x); }
static inline double vabs(double x) { return __builtin_fabs(x); }
static inline float vsqrt(float x) { return __builtin_sqrtf(x); }
static inline double vsqrt(double x) { return __builtin_sqrt(x); }
static inline float vfloor(float x) { return __builtin_floorf(x); }
static inline double vfloor(double x) { return __builtin_floor(x); }
static inline float vceil(float x) { return __builtin_ceilf(x); }
static inline double vceil(double x) { return __builtin_ceil(x); }
static inline float vtrunc(float x) { return __builtin_truncf(x); }
static inline double vtrunc(double x) { return __builtin_trunc(x); }
static inline float vrint(float x) { return __builtin_rintf(x); }
static inline double vrint(double x) { return __builtin_rint(x); }
static inline float vcopysign(float x, float s) { return __builtin_copysignf(x, s); }

// nan in either operand gives nan.
template <class T> static inline T vmax(T a, T b) { return (a > b) | (a != a) ? a : b; }
template <class T> static inline T vmin(T a, T b) { return (a < b) | (a != a) ? a : b; }

// 2^k for -126 <= k <= 127.
static inline float power_of_two(std::int32_t k) { return from_bits((k + 127) << 23); }

constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, held in the low bits
constexpr float kLog2e = 1.44269504088896341f;
constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;  // the high part times an exponent is exact

// e^x = 2^n e^r with |r| <= ln(2)/2: n, and e^r - 1 (relative error of e^r 2^-28).
struct Reduced {
  std::int32_t n;
  float e;
};
static inline Reduced reduce_exp(float x) {
  const float t = madd(x, kLog2e, kRound), n = t - kRound;
  const float r = madd(n, -kLn2Low, madd(n, -kLn2High, x));
  float p = madd(1.38131426e-3f, r, 8.36941927e-3f);
  p = madd(p, r, 4.16684568e-2f);
  p = madd(p, r, 1.66665148e-1f);
  p = madd(p, r, 4.99999931e-1f);
  return {bits(t) - bits(kRound), madd(r * r, p, r)};
}

static inline float vexp(float x) {
  float c = x > 88.8f ? 88.8f : x;
  c = c < -104.5f ? -104.5f : c;
  const Reduced d = reduce_exp(c);
  const std::int32_t half = d.n >> 1;  // two steps, so that the ends of the range come out right
  return (1.0f + d.e) * power_of_two(half) * power_of_two(d.n - half);
}
static inline double vexp(double x) { return __builtin_exp(x); }

static inline float vexpm1(float x) {
  float c = x > 88.8f ? 88.8f : x;
  c = c < -18.0f ? -18.0f : c;
  const Reduced d = reduce_exp(c);
  const float s = power_of_two(d.n - 1);
  const float y = 2.0f * madd(s, d.e, s - 0.5f);
  return vabs(x) < 5.9e-8f ? x : y;
}
static inline double vexpm1(double x) { return __builtin_expm1(x); }

// Mantissa in [sqrt(1/2), sqrt(2)), then a polynomial (relative error 2^-30).
static inline float vlog(float x) {
  const bool tiny = x < 1.17549435e-38f;
  const float scaled = tiny ? x * 8388608.0f : x;
  const std::int32_t shifted = bits(scaled) - 0x3f3504f3;
  const float e = static_cast<float>((shifted >> 23) - (tiny ? 23 : 0));
  const float f = from_bits((shifted & 0x7fffff) + 0x3f3504f3) - 1.0f, z = f * f;
  float p = madd(6.74660797e-2f, f, -1.16756531e-1f);
  p = madd(p, f, 1.18881781e-1f);
  p = madd(p, f, -1.24055899e-1f);
  p = madd(p, f, 1.42195503e-1f);
  p = madd(p, f, -1.66679957e-1f);
  p = madd(p, f, 2.00021188e-1f);
  p = madd(p, f, -2.50000096e-1f);
  p = madd(p, f, 3.33333126e-1f);
  float y = madd(e, kLn2Low, f * z * p);
  y = madd(-0.5f, z, y);
  y = madd(e, kLn2High, f + y);
  y = x < __builtin_inff() ? y : x;  // infinity and nan
  y = x < 0.0f ? __builtin_nanf("") : y;
  return x == 0.0f ? -__builtin_inff() : y;
}
static inline double vlog(double x) { return __builtin_log(x); }

static inline float vlog1p(float x) {
  const float u = 1.0f + x;
  const float lost = u > 0.0f && u < __builtin_inff() ? (x - (u - 1.0f)) / u : 0.0f;
  const float y = vlog(u) + lost;
  return vabs(x) < 5.9e-8f ? x : y;
}
static inline double vlog1p(double x) { return __builtin_log1p(x); }

template <class T> static inline T vsigmoid(T x) { return T(1) / (T(1) + vexp(-x)); }

// An odd polynomial below 0.625 (relative error 2^-27), exp above.
static inline float vtanh(float x) {
  const float a = vabs(x), z = x * x;
  float p = madd(-5.70497435e-3f, z, 2.06390753e-2f);
  p = madd(p, z, -5.37397111e-2f);
  p = madd(p, z, 1.33314421e-1f);
  p = madd(p, z, -3.33332819e-1f);
  const float near = madd(x * z, p, x);
  const float far = vcopysign(1.0f - 2.0f / (vexp(a + a) + 1.0f), x);
  return a < 0.625f ? near : far;
}
static inline double vtanh(double x) { return __builtin_tanh(x); }

// An odd polynomial below 0.92, 1 - exp(-polynomial) above; from 4 on it is 1.
static inline float verf(float x) {
  const float a = vabs(x), z = x * x;
  float p = madd(-5.95373944e-4f, z, 4.98594027e-3f);
  p = madd(p, z, -2.67617198e-2f);
  p = madd(p, z, 1.12816825e-1f);
  p = madd(p, z, -3.76124811e-1f);
  p = madd(p, z, 1.28379148e-1f);
  const float near = madd(x, p, x);
  const float t = a > 4.0f ? 4.0f : a;
  float q = madd(1.07632641e-5f, t, -3.18060514e-4f);
  q = madd(q, t, 3.62292178e-3f);
  q = madd(q, t, -2.37201917e-2f);
  q = madd(q, t, 1.06187617e-1f);
  q = madd(q, t, 6.35181495e-1f);
  q = madd(q, t, 1.12864096f);
  const float far = vcopysign(1.0f - vexp(-t * q), x);
  return a < 0.92f ? near : far;
}
static inline double verf(double x) { return __builtin_erf(x); }

// Sine of x + quarter * pi/2, reduced and summed in double (relative error 2^-37). Right for |x| <= kTrigLimit.
constexpr float kTrigLimit = 1e6f;
static inline double sine_quarter(float x, std::int64_t quarter) {
  constexpr double round = 6755399441055744.0, high = 1.57079632673412561417, low = 6.07710050650619224932e-11;
  const double t = madd(static_cast<double>(x), 0.636619772367581343, round), n = t - round;
  const double r = madd(n, -low, madd(n, -high, static_cast<double>(x))), z = r * r;
  double s = madd(2.7182371037e-6, z, -1.9839327116503554e-4);
  s = madd(s, z, 8.33332936220877e-3);
  s = madd(s, z, -1.666666664142577e-1);
  double c = madd(-2.72050439411792e-7, z, 2.479945151827622e-5);
  c = madd(c, z, -1.3888888346711698e-3);
  c = madd(c, z, 4.166666661910486e-2);
  const std::int64_t q = (bits(t) - bits(round)) + quarter;
  const double sine = r * madd(s, z, 1.0), cosine = madd(z * z, c, madd(-0.5, z, 1.0));
  const double y = q & 1 ? cosine : sine;
  return q & 2 ? -y : y;
}
static inline float vsin(float x) { return static_cast<float>(sine_quarter(x, 0)); }
static inline float vcos(float x) { return static_cast<float>(sine_quarter(x, 1)); }
static inline float vtan(float x) { return static_cast<float>(sine_quarter(x, 0) / sine_quarter(x, 1)); }
static inline double vsin(double x) { return __builtin_sin(x); }
static inline double vcos(double x) { return __builtin_cos(x); }
static inline double vtan(double x) { return __builtin_tan(x); }

// PyTorch's CPU random streams: the Mersenne twister and what is drawn from it.
//
// Draws are made in order by one thread; it also turns them into numbers, except for those that cost a logarithm in
// double, which all threads make. So results depend on the seed alone.
#include "common.h"
#include "levels.h"
#include "pool.h"
#include "random_loops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <nanobind/stl/optional.h>

namespace rushlight {

RUSHLIGHT_LEVELS(RandomLoops, random_table)
const RandomLoops& random_loops() {
  static const RandomLoops& table = RUSHLIGHT_PICK(random_table);
  return table;
}

namespace {

using i64 = std::int64_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// Draws made before they are turned into numbers: few enough for the first cache, or where threads share the work,
// enough to make up for waiting for each other. Numbers that are cheap to make gain nothing from threads: making the
// draws is most of the work.
constexpr i64 kChunk = i64{1} << 12, kSharedChunk = i64{1} << 21;
constexpr i64 kSlowGrain = 2048;  // as kGrain, for numbers that cost a logarithm or more
enum class Cost { cheap, slow };

void check(bool good, const char* message) {
  if (!good) throw nb::value_error(message);
}

template <class T> T* vector_of(nb::handle h, int type) {
  check(PyArray_Check(h.ptr()) && PyArray_ISCARRAY_RO(array(h)) && PyArray_TYPE(array(h)) == type,
        "random: expected a contiguous array of another type");
  return data<T>(h);
}
i64 size_of(nb::handle h) { return PyArray_SIZE(array(h)); }

// 0 for float32, 1 for float64.
int kind_of(nb::handle h) {
  check(PyArray_Check(h.ptr()) && PyArray_ISCARRAY(array(h)), "random: expected a contiguous array");
  const int type = PyArray_TYPE(array(h));
  check(type == NPY_FLOAT || type == NPY_DOUBLE, "random: expected float32 or float64");
  return type == NPY_DOUBLE;
}

// Room for this many draws, from the memory pool.
struct Draws {
  u32* const data;
  explicit Draws(i64 n) : data(static_cast<u32*>(pool_allocate(static_cast<std::size_t>(n) * sizeof(u32)))) {}
  ~Draws() { pool_free(data); }
  Draws(const Draws&) = delete;
  Draws& operator=(const Draws&) = delete;
};

class Engine {
 public:
  Engine() { seed(5489); }

  // The state after this seed, of which the low 32 bits count.
  void seed(u64 value) {
    state_[0] = static_cast<u32>(value);
    for (u32 i = 1; i < kTwisterWords; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
    left_ = 1;
    next_ = 0;
    normal_.reset();
  }

  // The words of the state, how many draws are left before it is renewed (and one), which word is next, and the
  // second normal number of a pair where only the first was asked for.
  nb::tuple state() const {
    npy_intp n = kTwisterWords;
    nb::object words = nb::steal(PyArray_SimpleNew(1, &n, NPY_UINT32));
    std::copy(state_, state_ + kTwisterWords, data<u32>(words));
    return nb::make_tuple(words, left_, next_, normal_);
  }
  void set_state(nb::handle words, int left, int next, std::optional<double> normal) {
    const u32* from = vector_of<const u32>(words, NPY_UINT32);
    check(size_of(words) == kTwisterWords && left >= 1 && left <= kTwisterWords && next >= 0 &&
              next + left - 1 <= kTwisterWords,
          "random: invalid state");
    std::copy(from, from + kTwisterWords, state_);
    left_ = left;
    next_ = next;
    normal_ = normal;
  }

  nb::object raw(i64 n) {
    npy_intp size = n;
    nb::object out = nb::steal(PyArray_SimpleNew(1, &size, NPY_UINT32));
    if (!out.is_valid()) nb::raise_python_error();
    draw(data<u32>(out), n);
    return out;
  }

  void from_draws(const FromDraws* loops, Cost cost, nb::handle out, double a, double b) {
    const int kind = kind_of(out);
    char* to = data<char>(out);
    const i64 item = kind ? 8 : 4;
    each(size_of(out), kind ? 2 : 1, cost, [&](const u32* draws, i64 begin, i64 n) {
      loops[kind](draws, to + begin * item, n, a, b);
    });
  }

  void transform(Transform which, nb::handle out, double a, double b) {
    const FromDraws loop = random_loops().transform[static_cast<int>(which)][kind_of(out)];
    char* to = data<char>(out);
    const i64 item = kind_of(out) ? 8 : 4;
    each(size_of(out), 2, Cost::slow,
         [&](const u32* draws, i64 begin, i64 n) { loop(draws, to + begin * item, n, a, b); });
  }

  // Normal numbers made in pairs, scaled, and perhaps made log-normal.
  void pairs(nb::handle out, double mean, double deviation, bool log_normal) {
    const int kind = kind_of(out);
    const auto scale = (log_normal ? random_loops().scale_exp : random_loops().scale)[kind];
    char* to = data<char>(out);
    const i64 item = kind ? 8 : 4, n = size_of(out);
    i64 done = 0;
    if (n > 0 && normal_) {
      scale(&*normal_, to, 1, mean, deviation);
      normal_.reset();
      done = 1;
    }
    each((n - done) / 2, 4, Cost::slow, [&](const u32* draws, i64 begin, i64 count) {
      constexpr i64 block = 64;
      double x[2 * block];
      for (i64 i = 0; i < count; i += block) {
        const i64 some = std::min(block, count - i);
        random_loops().normal_pairs(draws + 4 * i, x, some);
        scale(x, to + (done + 2 * (begin + i)) * item, 2 * some, mean, deviation);
      }
    });
    if ((n - done) % 2) {
      u32 draws[4];
      double x[2];
      draw(draws, 4);
      random_loops().normal_pairs(draws, x, 1);
      scale(x, to + (n - 1) * item, 1, mean, deviation);
      normal_ = x[1];
    }
  }

  void bernoulli(nb::handle out, double p) {
    std::uint8_t* to = vector_of<std::uint8_t>(out, NPY_BOOL);
    each(size_of(out), 2, Cost::cheap,
         [&](const u32* draws, i64 begin, i64 n) { random_loops().below(draws, to + begin, n, p); });
  }
  void bernoulli_each(nb::handle out, nb::handle p) {
    std::uint8_t* to = vector_of<std::uint8_t>(out, NPY_BOOL);
    const int kind = kind_of(p);
    check(size_of(p) == size_of(out), "random: expected as many probabilities as results");
    const char* from = data<const char>(p);
    const i64 item = kind ? 8 : 4;
    each(size_of(out), kind ? 2 : 1, Cost::cheap, [&](const u32* draws, i64 begin, i64 n) {
      random_loops().below_each[kind](draws, from + begin * item, to + begin, n);
    });
  }

  void integers(nb::handle out, i64 base, u64 span, bool wide) {
    i64* to = vector_of<i64>(out, NPY_INT64);
    check(wide || (span > 0 && span >> 32 == 0), "random: the range is too wide for 32 bits");
    const auto loop = wide ? random_loops().wide_integers : random_loops().integers;
    each(size_of(out), wide ? 2 : 1, Cost::cheap,
         [&](const u32* draws, i64 begin, i64 n) { loop(draws, to + begin, n, base, span); });
  }

  // Fisher and Yates' shuffle of 0 ... n-1; 64-bit draws where a remainder of 32 bits would be uneven.
  void permutation(nb::handle out) {
    i64* to = vector_of<i64>(out, NPY_INT64);
    const i64 n = size_of(out);
    for (i64 i = 0; i < n; ++i) to[i] = i;
    const bool narrow = n < static_cast<i64>(~u32{0} / 20);
    for (i64 i = 0; i < n - 1; ++i) {
      const u64 rest = static_cast<u64>(n - i);
      u64 z = one_draw();
      z = narrow ? static_cast<u32>(z) % static_cast<u32>(rest) : (z << 32 | one_draw()) % rest;
      std::swap(to[i], to[i + static_cast<i64>(z)]);
    }
  }

  // Indices, each as probable as its weight: where numbers fall among the running sums. Returns false where weights are
  // negative, not finite or all zero.
  bool choices(nb::handle out, nb::handle weights) {
    i64* to = vector_of<i64>(out, NPY_INT64);
    const int kind = kind_of(weights);
    check(PyArray_NDIM(array(out)) == 2 && PyArray_NDIM(array(weights)) == 2 &&
              PyArray_DIM(array(out), 0) == PyArray_DIM(array(weights), 0),
          "random: expected as many rows of weights as of results");
    const i64 rows = PyArray_DIM(array(out), 0), count = PyArray_DIM(array(out), 1), n = PyArray_DIM(array(weights), 1);
    for (i64 row = 0; row < rows; ++row) {
      const bool good = kind ? choose(data<const double>(weights) + row * n, n, to + row * count, count)
                             : choose(data<const float>(weights) + row * n, n, to + row * count, count);
      if (!good) return false;
    }
    return true;
  }

  // In place: each rate gives way to a number drawn with it.
  void poisson(nb::handle rates) {
    const int kind = kind_of(rates);
    for (i64 i = 0, n = size_of(rates); i < n; ++i) {
      if (kind) {
        double* x = data<double>(rates) + i;
        *x = one_poisson(*x);
      } else {
        float* x = data<float>(rates) + i;
        *x = static_cast<float>(one_poisson(*x));
      }
    }
  }

  // In place: each shape parameter gives way to a number of its gamma distribution.
  void gamma(nb::handle shapes) {
    if (kind_of(shapes))
      each_gamma(data<double>(shapes), size_of(shapes));
    else
      each_gamma(data<float>(shapes), size_of(shapes));
  }

  // In place: each number of trials gives way to one of successes.
  void binomial(nb::handle counts, nb::handle probabilities) {
    check(kind_of(counts) == kind_of(probabilities) && size_of(counts) == size_of(probabilities),
          "random: expected counts and probabilities of one type and number");
    if (kind_of(counts))
      each_binomial(data<double>(counts), data<const double>(probabilities), size_of(counts));
    else
      each_binomial(data<float>(counts), data<const float>(probabilities), size_of(counts));
  }

 private:
  u32 state_[kTwisterWords];
  int left_, next_;
  std::optional<double> normal_;

  void draw(u32* out, i64 n) {
    const RandomLoops& loops = random_loops();
    while (n > 0) {
      if (left_ == 1) {
        loops.twist(state_);
        left_ = kTwisterWords + 1;
        next_ = 0;
      }
      const i64 some = std::min<i64>(left_ - 1, n);
      loops.temper(state_ + next_, out, some);
      left_ -= static_cast<int>(some);
      next_ += static_cast<int>(some);
      out += some;
      n -= some;
    }
  }

  template <class T> bool choose(const T* weights, i64 n, i64* to, i64 count) {
    std::vector<T> sums(static_cast<std::size_t>(n));
    T sum = 0;
    bool good = n > 0;
    for (i64 i = 0; i < n; ++i) {
      good &= weights[i] >= 0;
      sums[static_cast<std::size_t>(i)] = sum += weights[i];
    }
    if (!good || !(sum > 0 && std::isfinite(sum))) return false;
    for (T& s : sums) s /= sum;
    sums.back() = 1;
    for (i64 i = 0; i < count; ++i) to[i] = std::lower_bound(sums.begin(), sums.end(), one_unit()) - sums.begin();
    return true;
  }

  u32 one_draw() {
    if (left_ == 1) {
      random_loops().twist(state_);
      left_ = kTwisterWords + 1;
      next_ = 0;
    }
    --left_;
    return tempered(state_[next_++]);
  }
  double one_unit() {
    const u64 high = one_draw();
    return static_cast<double>((high << 32 | one_draw()) & ((u64{1} << 53) - 1)) * 0x1p-53;
  }

  double one_normal() {
    if (normal_) {
      const double x = *normal_;
      normal_.reset();
      return x;
    }
    u32 draws[4];
    double pair[2];
    draw(draws, 4);
    random_loops().normal_pairs(draws, pair, 1);
    normal_ = pair[1];
    return pair[0];
  }

  // Source: Marsaglia and Tsang, ACM TOMS 26 (2000); in T where PyTorch is.
  template <class T> void each_gamma(T* values, i64 n) {
    for (i64 i = 0; i < n; ++i) values[i] = static_cast<T>(one_gamma(values[i]));
  }
  template <class T> double one_gamma(T alpha) {
    double scale = 1;
    if (alpha < 1) {
      if (alpha == 0) return 0;
      scale = std::pow(1 - one_unit(), static_cast<double>(T(1) / alpha));
      alpha += T(1);
    }
    const double d = alpha - static_cast<T>(1.0f / 3.0f), c = 1 / std::sqrt(9 * d);
    for (;;) {
      double x, y;
      do {
        x = one_normal();
        y = 1 + c * x;
      } while (y <= 0);
      const double v = y * y * y, u = 1 - one_unit(), xx = x * x;
      if (u < 1 - static_cast<double>(0.0331f) * xx * xx || std::log(u) < 0.5 * xx + d * (1 - v + std::log(v)))
        return scale * d * v;
    }
  }

  template <class T> void each_binomial(T* counts, const T* probabilities, i64 n) {
    for (i64 i = 0; i < n; ++i) counts[i] = one_binomial(counts[i], probabilities[i]);
  }
  template <class T> T one_binomial(T count, T p) {
    if (count <= 0 || p <= 0) return 0;
    if (p >= 1) return count;
    if (p > T(0.5)) return count - rare(count, static_cast<T>(1.0 - static_cast<double>(p)));
    return p <= T(0.5) ? rare(count, p) : std::numeric_limits<T>::quiet_NaN();
  }
  // Few successes are counted from one to the next, many found by rejection.
  template <class T> T rare(T count, T p) {
    if (count * p >= 10) return many_successes(count, p);
    const double log_failure = std::log1p(-p);
    double trials = 0;
    for (T successes = 0;; ++successes) {
      trials += std::ceil(std::log(one_unit()) / log_failure);
      if (trials > static_cast<double>(count)) return successes;
    }
  }
  static double stirling_rest(double k) {  // log(k!) less Stirling's formula
    constexpr double few[] = {0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
                              0.0166446911898211, 0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
                              0.00925546218271273, 0.00833056343336287};
    if (k < 10) return few[static_cast<int>(k)];
    const double square = (k + 1) * (k + 1);
    return (1. / 12 - (1. / 360 - 1. / 1260 / square) / square) / (k + 1);
  }
  // Transformed rejection. Source: Hörmann, J. Statist. Comput. Simul. 46 (1993), algorithm BTRS.
  template <class T> T many_successes(T count, T p) {
    const double n = count, deviation = std::sqrt(count * p * (1 - p));
    const double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * static_cast<double>(p);
    const double centre = static_cast<double>(count * p) + 0.5, limit = 0.92 - 4.2 / b;
    const double odds = p / (1 - p), m = std::floor((count + 1) * p), alpha = (2.83 + 5.1 / b) * deviation;
    for (;;) {
      const double u = one_unit() - 0.5, v = one_unit(), us = 0.5 - std::fabs(u);
      const double k = std::floor((2 * a / us + b) * u + centre);
      if (!(k >= 0 && k <= n)) continue;
      if (us >= 0.07 && v <= limit) return static_cast<T>(k);
      const double left = std::log(v * alpha / (a / (us * us) + b));
      const double right = (m + 0.5) * std::log((m + 1) / (odds * (n - m + 1))) +
                           (n + 1) * std::log((n - m + 1) / (n - k + 1)) +
                           (k + 0.5) * std::log(odds * (n - k + 1) / (k + 1)) + stirling_rest(m) +
                           stirling_rest(n - m) - stirling_rest(k) - stirling_rest(n - k);
      if (left <= right) return static_cast<T>(k);
    }
  }

  // body(draws, begin, count) for runs of the n numbers, `per` draws each; runs begin at multiples of 16.
  template <class Body> void each(i64 n, i64 per, Cost cost, const Body& body) {
    if (n <= 0) return;
    constexpr i64 block = 16;
    const i64 most = (cost == Cost::slow ? kSharedChunk : kChunk) / per;
    const Draws draws(std::min(n, most) * per);
    u32* const buffer = draws.data;
    for (i64 start = 0; start < n; start += most) {
      const i64 count = std::min(most, n - start);
      draw(buffer, count * per);
      if (cost == Cost::cheap) {
        body(buffer, start, count);
        continue;
      }
      parallel_for((count + block - 1) / block, kSlowGrain / block, [&](i64 first, i64 last) {
        const i64 begin = first * block, end = std::min(last * block, count);
        body(buffer + begin * per, start + begin, end - begin);
      });
    }
  }

  // Below a rate of 10 by multiplying, else by transformed rejection. Source: Hörmann, Insurance: Mathematics and
  // Economics 12 (1993), algorithm PTRS.
  double one_poisson(double rate) {
    if (rate == 0) return 0;
    if (rate < 10) {
      const double limit = std::exp(-rate);
      double product = one_unit();
      i64 k = 0;
      for (; product > limit; ++k) product *= one_unit();
      return static_cast<double>(k);
    }
    const double log_rate = std::log(rate);
    const double b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b;
    const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
      const double u = one_unit() - 0.5, v = one_unit(), us = 0.5 - std::fabs(u);
      const double k = std::floor((2 * a / us + b) * u + rate + 0.43);
      if (us >= 0.07 && v <= v_r) return k;
      if (k < 0 || (us < 0.013 && v > us)) continue;
      if (std::log(v) + std::log(inverse_alpha) - std::log(a / (us * us) + b) <=
          -rate + k * log_rate - std::lgamma(k + 1))
        return k;
    }
  }
};

}  // namespace

void bind_random(nb::module_& m) {
  nb::class_<Engine>(m, "MT19937")
      .def(nb::init<>())
      .def("_seed", &Engine::seed)
      .def("_state", &Engine::state)
      .def("_set_state", &Engine::set_state, nb::arg(), nb::arg(), nb::arg(), nb::arg().none())
      .def("raw", &Engine::raw)
      .def("_uniform", [](Engine& e, nb::handle out, double a, double b) {
        e.from_draws(random_loops().uniform, Cost::cheap, out, a, b);
      })
      .def("_normal_blocks", [](Engine& e, nb::handle out, double mean, double deviation) {
        check(size_of(out) % 16 == 0, "random: expected a multiple of 16");
        e.from_draws(random_loops().normal_blocks, kind_of(out) ? Cost::slow : Cost::cheap, out, mean, deviation);
      })
      .def("_normal_pairs", [](Engine& e, nb::handle out, double a, double b) { e.pairs(out, a, b, false); })
      .def("_log_normal", [](Engine& e, nb::handle out, double a, double b) { e.pairs(out, a, b, true); })
      .def("_exponential", [](Engine& e, nb::handle out, double a) { e.transform(Transform::exponential, out, a, 0); })
      .def("_cauchy", [](Engine& e, nb::handle out, double a, double b) { e.transform(Transform::cauchy, out, a, b); })
      .def("_geometric", [](Engine& e, nb::handle out, double p) { e.transform(Transform::geometric, out, p, 0); })
      .def("_bernoulli", &Engine::bernoulli)
      .def("_bernoulli_each", &Engine::bernoulli_each)
      .def("_integers", &Engine::integers)
      .def("_choices", &Engine::choices)
      .def("_permutation", &Engine::permutation)
      .def("_gamma", &Engine::gamma)
      .def("_binomial", &Engine::binomial)
      .def("_poisson", &Engine::poisson);
}

}  // namespace rushlight

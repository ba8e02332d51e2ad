// Connectionist temporal classification of float32 and float64; samples are shared out among threads.
#include "ctc_loops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "levels.h"
#include "nn_arrays.h"

namespace rushlight {

RUSHLIGHT_LEVELS(CtcLoops, ctc_table)

namespace {

const CtcKernels<float>& kernels(float) { return RUSHLIGHT_PICK(ctc_table).floats; }
const CtcKernels<double>& kernels(double) { return RUSHLIGHT_PICK(ctc_table).doubles; }

// What both passes are given: log_probs [T, N, C], targets [N, S], lengths [N].
struct Arguments {
  nb::handle log_probs, targets, lengths, counts;
  i64 blank;

  bool covered() const {
    if (!is_array(log_probs) || !is_contiguous(log_probs) || ndim(log_probs) != 3 || !is_contiguous(targets)) return false;
    for (nb::handle x : {targets, lengths, counts})
      if (!has_type(x, NPY_INT64) || !is_contiguous(x)) return false;
    return true;
  }
  i64 states() const { return 2 * dim(targets, 1) + 1; }

  template <class T> CtcSample<T> sample(i64 n, T* alpha) const {
    const i64 steps = dim(log_probs, 0), batch = dim(log_probs, 1), classes = dim(log_probs, 2);
    return {data<const T>(log_probs) + n * classes, batch * classes, classes, data<const i64>(lengths)[n],
            data<const i64>(targets) + n * dim(targets, 1), data<const i64>(counts)[n], blank, alpha + n * steps * states(),
            states()};
  }

  // body(n, work) for every sample.
  template <class T, class Body> void each(const Body& body) const {
    const i64 work = dim(log_probs, 0) * states();
    parallel_for(dim(log_probs, 1), std::max<i64>(1, kGrain / 16 / std::max<i64>(1, work)), [&](i64 begin, i64 end) {
      std::vector<T> space(static_cast<size_t>(4 * states() + 16));
      for (i64 n = begin; n < end; ++n) body(n, space.data());
    });
  }
};

nb::object ctc_loss(nb::handle log_probs, nb::handle targets, nb::handle lengths, nb::handle counts, i64 blank) {
  const Arguments given{log_probs, targets, lengths, counts, blank};
  if (!given.covered()) return nb::none();
  return for_floats(log_probs, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    const npy_intp batch = dim(log_probs, 1), shape[3] = {batch, dim(log_probs, 0), given.states()};
    nb::object loss = new_array(1, &batch, type_of<T>(), false), alpha = new_array(3, shape, type_of<T>(), false);
    given.each<T>([&](i64 n, T* work) {
      data<T>(loss)[n] = kernels(T{}).forward(given.sample<T>(n, data<T>(alpha)), work);
    });
    return nb::make_tuple(loss, alpha);
  });
}

nb::object ctc_loss_backward(nb::handle g, nb::handle log_probs, nb::handle targets, nb::handle lengths, nb::handle counts,
                             nb::handle loss, nb::handle alpha, i64 blank, bool zero_infinity) {
  const Arguments given{log_probs, targets, lengths, counts, blank};
  if (!given.covered()) return nb::none();
  return for_floats(log_probs, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object grad = new_array(3, PyArray_DIMS(array(log_probs)), type_of<T>(), false);
    std::memset(data<T>(grad), 0, static_cast<size_t>(PyArray_NBYTES(array(grad))));
    given.each<T>([&](i64 n, T* work) {
      const CtcSample<T> sample = given.sample<T>(n, data<T>(alpha));
      const T value = data<const T>(loss)[n];
      T* to = data<T>(grad) + n * sample.classes;
      if (value < std::numeric_limits<T>::infinity() || value != value) {
        kernels(T{}).backward(sample, value, data<const T>(g)[n], to, work);
      } else if (!zero_infinity) {
        for (i64 t = 0; t < sample.length; ++t)
          std::fill_n(to + t * sample.step, sample.classes, std::numeric_limits<T>::quiet_NaN());
      }
    });
    return grad;
  });
}

}  // namespace

void bind_ctc(nb::module_& m) {
  m.def("ctc_loss", &ctc_loss);
  m.def("ctc_loss_backward", &ctc_loss_backward);
}

}  // namespace rushlight

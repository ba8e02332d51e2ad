// Scaled dot product attention of float32 and float64 heads, wherever they lie in memory. Heads are shared out among
// threads, which changes no result.
#include "attention_loops.h"

#include <algorithm>
#include <vector>

#include "levels.h"
#include "nn_arrays.h"

namespace rushlight {

RUSHLIGHT_LEVELS(AttentionLoops, attention_table)

namespace {

const AttentionKernels<float>& kernels(float) { return RUSHLIGHT_PICK(attention_table).floats; }
const AttentionKernels<double>& kernels(double) { return RUSHLIGHT_PICK(attention_table).doubles; }

template <class T> i64 stride(nb::handle x, int axis) { return PyArray_STRIDE(array(x), axis) / static_cast<i64>(sizeof(T)); }

// [N, H, rows, columns] of one type, with contiguous rows.
bool is_heads(nb::handle x, int type) {
  if (!has_type(x, type) || ndim(x) != 4) return false;
  const i64 item = PyArray_ITEMSIZE(array(x));
  for (int i = 0; i < 3; ++i)
    if (PyArray_STRIDE(array(x), i) % item) return false;
  return dim(x, 3) == 1 || PyArray_STRIDE(array(x), 3) == item;
}

template <class T> Rows<T> rows(nb::handle x, i64 n, i64 h) {
  using Plain = std::remove_const_t<T>;
  return {data<T>(x) + n * stride<Plain>(x, 0) + h * stride<Plain>(x, 1), stride<Plain>(x, 2)};
}

// Everything that the two passes share.
struct Arguments {
  nb::handle q, k, v, bias, keep;
  double kept, scale;
  bool causal;

  bool covered() const {
    if (!is_array(q)) return false;
    const int type = PyArray_TYPE(array(q));
    if (type != NPY_FLOAT && type != NPY_DOUBLE) return false;
    for (nb::handle x : {q, k, v})
      if (!is_heads(x, type) || !PyArray_SIZE(array(x))) return false;
    if (!bias.is_none() && (!has_type(bias, type) || ndim(bias) != 4)) return false;
    return keep.is_none() || (has_type(keep, type) && is_contiguous(keep));
  }

  template <class T> AttentionHead<T> head(i64 n, i64 h) const {
    AttentionHead<T> made{};
    made.queries = dim(q, 2), made.keys = dim(k, 2), made.size = dim(q, 3), made.value_size = dim(v, 3);
    made.q = rows<const T>(q, n, h), made.k = rows<const T>(k, n, h), made.v = rows<const T>(v, n, h);
    if (!bias.is_none()) made.bias = rows<const T>(bias, n, h), made.bias_across = stride<T>(bias, 3);
    if (!keep.is_none()) made.keep = data<const T>(keep) + (n * dim(q, 1) + h) * made.queries * made.keys;
    made.kept = static_cast<T>(kept), made.scale = static_cast<T>(scale), made.causal = causal;
    return made;
  }

  // body(head, n, h, work) for every head, shared out among threads.
  template <class T, class Body> void each(const Body& body) const {
    const i64 heads = dim(q, 1), weights = dim(q, 2) * dim(k, 2);
    const auto elements = static_cast<size_t>(kernels(T{}).work(head<T>(0, 0)));
    parallel_for(dim(q, 0) * heads, std::max<i64>(1, kGrain / 8 / weights), [&](i64 begin, i64 end) {
      std::vector<T> work(elements);
      for (i64 i = begin; i < end; ++i) {
        AttentionHead<T> one = head<T>(i / heads, i % heads);
        body(one, i / heads, i % heads, work.data());
      }
    });
  }
};

nb::object attention(nb::handle q, nb::handle k, nb::handle v, nb::handle bias, nb::handle keep, double kept, double scale,
                     bool causal, nb::handle out) {
  const Arguments given{q, k, v, bias, keep, kept, scale, causal};
  if (!given.covered() || !is_heads(out, PyArray_TYPE(array(q)))) return nb::none();
  return for_floats(q, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    nb::object lse = new_array(3, PyArray_DIMS(array(q)), type_of<T>(), false);
    given.each<T>([&](AttentionHead<T>& head, i64 n, i64 h, T* work) {
      head.out = rows<T>(out, n, h);
      head.lse = data<T>(lse) + (n * dim(q, 1) + h) * head.queries;
      kernels(T{}).forward(head, work);
    });
    return lse;
  });
}

// True, or None where the reference is to do it.
nb::object attention_backward(nb::handle g, nb::handle q, nb::handle k, nb::handle v, nb::handle out, nb::handle lse,
                              nb::handle bias, nb::handle keep, double kept, double scale, bool causal, nb::handle gq,
                              nb::handle gk, nb::handle gv) {
  const Arguments given{q, k, v, bias, keep, kept, scale, causal};
  if (!given.covered()) return nb::none();
  for (nb::handle x : {g, out, gq, gk, gv})
    if (!is_heads(x, PyArray_TYPE(array(q)))) return nb::none();
  return for_floats(q, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    given.each<T>([&](AttentionHead<T>& head, i64 n, i64 h, T* work) {
      head.g = rows<const T>(g, n, h), head.out = rows<T>(out, n, h);
      head.lse = data<T>(lse) + (n * dim(q, 1) + h) * head.queries;
      head.gq = rows<T>(gq, n, h), head.gk = rows<T>(gk, n, h), head.gv = rows<T>(gv, n, h);
      kernels(T{}).backward(head, work);
    });
    return nb::bool_(true);
  });
}

}  // namespace

void bind_attention(nb::module_& m) {
  m.def("attention", &attention, nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg(), nb::arg(),
        nb::arg(), nb::arg());
  m.def("attention_backward", &attention_backward, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
        nb::arg().none(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg());
}

}  // namespace rushlight

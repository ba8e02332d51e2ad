// Convolutions through oneDNN, activations channels-last. Weights are laid out as the primitive likes them best, at every
// call: they may have been written to, and a stale copy would be worse than a slow one.
#include "dnn_cache.h"
#include "dnn_few.h"
#include "dnn_small.h"
#include "dnn_winograd.h"

#include <omp.h>

#include <algorithm>

namespace rushlight {
namespace {

enum Kind : i64 { kForward, kForwardRelu, kBackwardInput, kBackwardWeight };

// A gradient, part by part of the batch, each on one thread: oneDNN itself would share a batch out differently, and so round
// differently, for each number of threads.
class BatchParts {
 public:
  // Adds a part of `images`; make(images) gives the call.
  template <class Make> void add(i64 images, const Make& make) {
    const OneThread one;
    calls_.push_back(make(images));
    first_.push_back(next_);
    next_ += images;
    scratch_bytes_ = std::max(scratch_bytes_, (calls_.back().scratch_bytes() + 4095) / 4096 * 4096);
  }

  // Image i of the gradient and of the input begins i * g_step and i * x_step floats in.
  void input_gradient(float* g, i64 g_step, float* w, float* gx, i64 x_step) {
    each([&](Call& call, i64, i64 first, void* work) { call.run({g + first * g_step, w, gx + first * x_step}, work); });
  }

  // `bytes`: of the weight as the calls lay it out. The parts are added in their order.
  void weight_gradient(float* g, i64 g_step, float* x, i64 x_step, size_t bytes, float* gw, float* gb, i64 outputs) {
    const i64 parts = static_cast<i64>(calls_.size()), size = static_cast<i64>(bytes / sizeof(float)), step = size + outputs + 16;
    float* sums = static_cast<float*>(scratch(Scratch::kParts, static_cast<size_t>(parts * step) * sizeof(float)));
    each([&](Call& call, i64 p, i64 first, void* work) {
      float* sum = sums + p * step;
      if (gb)
        call.run({g + first * g_step, x + first * x_step, sum, sum + size}, work);
      else
        call.run({g + first * g_step, x + first * x_step, sum}, work);
    });
    add_up(sums, parts, step, size, gw);
    if (gb) add_up(sums + size, parts, step, outputs, gb);
  }

 private:
  // body(call, number, first image, scratch memory) in threads.
  template <class Body> void each(const Body& body) {
    char* work = static_cast<char*>(scratch(Scratch::kPad, scratch_bytes_ * static_cast<size_t>(num_threads()) + 1));
    parallel_for(static_cast<i64>(calls_.size()), 1, [&](i64 begin, i64 end) {
      void* own = work + scratch_bytes_ * static_cast<size_t>(omp_get_thread_num());
      for (i64 p = begin; p < end; ++p) body(calls_[static_cast<size_t>(p)], p, first_[static_cast<size_t>(p)], own);
    });
  }

  static void add_up(const float* from, i64 parts, i64 step, i64 n, float* to) {
    parallel_for(n, kGrain, [&](i64 begin, i64 end) {
      for (i64 i = begin; i < end; ++i) {
        float sum = from[i];
        for (i64 p = 1; p < parts; ++p) sum += from[p * step + i];
        to[i] = sum;
      }
    });
  }

  std::vector<Call> calls_;
  std::vector<i64> first_;
  i64 next_ = 0;
  size_t scratch_bytes_ = 0;
};

// A convolution: a primitive between copies of its operands to and from the layouts it works on, or one of our own.
struct Conv {
  std::optional<Filter3x3> winograd;
  std::optional<FewChannels> small, few;
  std::optional<Call> main, before[2], after;
  std::optional<BatchParts> parts;
  size_t bytes[3] = {0, 0, 0};

  // One call for the whole batch, or for each of at most `parts` of it; make(images) gives a call.
  template <class Make> void make_calls(memory::data_type type, i64 images, i64 parts, const Make& make) {
    const i64 count = std::min(images, parts);
    if (type != memory::data_type::f32 || count < 2) {
      main.emplace(make(images));
      return;
    }
    this->parts.emplace();
    for (i64 p = 0; p < count; ++p) this->parts->add(images * (p + 1) / count - images * p / count, make);
  }

  // Puts the layouts given and wanted of operand `which` on record.
  void stage(int which, const memory::desc& given, const memory::desc& wanted) {
    before[which] = reorder(given, wanted);
    bytes[which] = wanted.get_size();
  }
  void stage_result(const memory::desc& made, const memory::desc& wanted) {
    after = reorder(made, wanted);
    bytes[2] = made.get_size();
  }

  void* operand(int which, void* given) {
    if (!before[which]) return given;
    void* place = scratch(which == 0 ? Scratch::kFirst : Scratch::kSecond, bytes[which]);
    before[which]->run({given, place});
    return place;
  }

  const float* winograd_weight(const float* given, bool backward) {
    const size_t size = static_cast<size_t>(winograd->weight_floats()) * sizeof(float);
    float* place = static_cast<float*>(scratch(Scratch::kSecond, size));
    rushlight::winograd_weight(*winograd, given, backward, place);
    return place;
  }
};

// The settings of a convolution as oneDNN wants them.
struct Settings {
  std::vector<i64> stride, padding, dilation;
  i64 groups;

  Settings(nb::handle s, nb::handle p, nb::handle d, i64 g)
      : stride(integers(s)), padding(integers(p)), dilation(integers(d)), groups(g) {
    for (i64& step : dilation) step -= 1;
  }

  // The sizes for Winograd's algorithm where it is the faster one.
  std::optional<Filter3x3> winograd(const std::vector<i64>& x, const std::vector<i64>& w, const std::vector<i64>& y,
                                    memory::data_type type) const {
    if (type != memory::data_type::f32 || x.size() != 4 || groups != 1 || w[2] != 3 || w[3] != 3) return std::nullopt;
    for (size_t i = 0; i < 2; ++i)
      if (stride[i] != 1 || dilation[i] != 0 || padding[i] > 2) return std::nullopt;
    const Filter3x3 f{x[0], x[1], x[2], x[3], w[0], y[2], y[3], padding[0], padding[1]};
    return winograd_pays(f) ? std::optional(f) : std::nullopt;
  }

  // The sizes for our own gradients of images with few channels, where they are the faster ones.
  std::optional<FewChannels> small(const std::vector<i64>& x, const std::vector<i64>& w, const std::vector<i64>& y,
                                   memory::data_type type, bool (*pays)(const FewChannels&)) const {
    if (type != memory::data_type::f32 || x.size() != 4 || groups != 1) return std::nullopt;
    if (dilation[0] != 0 || dilation[1] != 0) return std::nullopt;
    const FewChannels f{x[0], x[1], x[2],      x[3],      w[0],       y[2],      y[3],
                        w[2], w[3], stride[0], stride[1], padding[0], padding[1]};
    return pays(f) ? std::optional(f) : std::nullopt;
  }

  bool valid(size_t dims) const {
    if (stride.size() != dims || padding.size() != dims || dilation.size() != dims || groups < 1) return false;
    for (size_t i = 0; i < dims; ++i)
      if (stride[i] < 1 || padding[i] < 0 || dilation[i] < 0) return false;
    return true;
  }

  void add_to(Key& key) const {
    key.add(stride);
    key.add(padding);
    key.add(dilation);
    key.add(groups);
  }
};

memory::desc channels_last(const std::vector<i64>& shape, memory::data_type type) {
  memory::dims strides(shape.size());
  i64 step = shape[1];
  strides[1] = 1;
  for (size_t axis = shape.size() - 1; axis >= 2; step *= shape[axis], --axis) strides[axis] = step;
  strides[0] = step;
  return memory::desc(shape, type, strides);
}

std::vector<i64> shape_of(nb::handle x) {
  return std::vector<i64>(PyArray_DIMS(array(x)), PyArray_DIMS(array(x)) + ndim(x));
}

memory::desc activation(nb::handle x) {
  return is_channels_last(x) ? channels_last(shape_of(x), data_type(x)) : describe(x).value();
}

std::vector<i64> weight_dims(const std::vector<i64>& shape, i64 groups) {
  std::vector<i64> dims = shape;
  if (groups == 1) return dims;
  dims[0] /= groups;
  dims.insert(dims.begin(), groups);
  return dims;
}

memory::desc plain_weight(const std::vector<i64>& dims, memory::data_type type) {
  memory::dims strides(dims.size());
  i64 step = 1;
  for (size_t axis = dims.size(); axis-- > 0; step *= dims[axis]) strides[axis] = step;
  return memory::desc(dims, type, strides);
}

memory::desc any(const std::vector<i64>& dims, memory::data_type type) {
  return memory::desc(dims, type, memory::format_tag::any);
}

// oneDNN can read it: else a copy is taken.
nb::object readable(nb::handle x) { return is_channels_last(x) || describe(x) ? nb::borrow(x) : copy_of(x); }

nb::object plain(nb::handle w) { return is_contiguous(w) ? nb::borrow(w) : copy_of(w); }

i64 out_size(i64 n, i64 k, i64 stride, i64 padding, i64 dilation) {
  return (n + 2 * padding - (dilation + 1) * (k - 1) - 1) / stride + 1;
}

std::vector<i64> out_shape(const std::vector<i64>& x, const std::vector<i64>& w, const Settings& how) {
  std::vector<i64> shape = {x[0], w[0]};
  for (size_t i = 0; i + 2 < x.size(); ++i)
    shape.push_back(out_size(x[i + 2], w[i + 2], how.stride[i], how.padding[i], how.dilation[i]));
  return shape;
}

// Whether these shapes make a convolution with something to compute.
bool valid_shapes(const std::vector<i64>& x, const std::vector<i64>& w, const std::vector<i64>& y, const Settings& how) {
  if (x.size() < 3 || x.size() > 5 || w.size() != x.size() || y.size() != x.size()) return false;
  if (!how.valid(x.size() - 2)) return false;
  if (x[1] != w[1] * how.groups || w[0] % how.groups != 0 || y != out_shape(x, w, how)) return false;
  for (size_t i = 0; i < x.size(); ++i)
    if (x[i] < 1 || w[i] < 1 || y[i] < 1) return false;
  return true;
}

using dnnl::convolution_backward_data;
using dnnl::convolution_backward_weights;
using dnnl::convolution_forward;
constexpr auto kDirect = dnnl::algorithm::convolution_direct;

convolution_forward::primitive_desc forward(const memory::desc& x, const memory::desc& w, const memory::desc& b,
                                            const memory::desc& y, const Settings& how, bool relu) {
  // "training" keeps Winograd and other approximations away.
  return convolution_forward::primitive_desc(engine(), dnnl::prop_kind::forward_training, kDirect, x, w, b, y,
                                             how.stride, how.dilation, how.padding, how.padding, attributes(relu));
}

i64 product(const std::vector<i64>& shape) {
  i64 n = 1;
  for (const i64 d : shape) n *= d;
  return n;
}

// Into how many parts a batch is divided at most, each of which costs some microseconds; by the work, not by the threads.
i64 batch_parts(const std::vector<i64>& w_shape, const std::vector<i64>& y_shape) {
  const i64 multiplications = product(y_shape) / w_shape[0] * product(w_shape);
  return std::clamp<i64>(multiplications >> 25, 4, 8);
}

// Fewer of a large weight's gradient, of which each part makes one.
i64 weight_parts(const std::vector<i64>& w_shape, const std::vector<i64>& y_shape) {
  return std::clamp<i64>((i64{1} << 22) / product(w_shape), 2, batch_parts(w_shape, y_shape));
}

memory::desc bias_desc(bool given, i64 n, memory::data_type type) {
  return given ? memory::desc({n}, type, memory::format_tag::a) : memory::desc();
}

nb::object conv(nb::handle x_in, nb::handle w_in, nb::handle b, nb::handle stride, nb::handle padding,
                nb::handle dilation, i64 groups, bool relu) {
  if (!is_array(x_in) || !is_array(w_in)) return nb::none();
  const auto type = data_type(x_in);
  if (type == memory::data_type::undef || data_type(w_in) != type) return nb::none();
  const Settings how(stride, padding, dilation, groups);
  const auto x_shape = shape_of(x_in), w_shape = shape_of(w_in);
  if (x_shape.size() != w_shape.size() || x_shape.size() < 3 || !how.valid(x_shape.size() - 2)) return nb::none();
  const auto y_shape = out_shape(x_shape, w_shape, how);
  if (!valid_shapes(x_shape, w_shape, y_shape, how)) return nb::none();
  const int type_number = PyArray_TYPE(array(x_in));
  if (!b.is_none() && !is_vector(b, type_number, w_shape[0])) return nb::none();
  nb::object x = readable(x_in), w = plain(w_in);

  Key key;
  key.add(relu ? kForwardRelu : kForward);
  key.add_array(x);
  key.add(w_shape);
  key.add(!b.is_none());
  how.add_to(key);
  Conv* op = cached<Conv>(key, [&] {
    auto made = std::make_unique<Conv>();
    const auto dims = weight_dims(w_shape, groups);
    const auto bias = bias_desc(!b.is_none(), w_shape[0], type);
    const auto src = channels_last(x_shape, type), dst = channels_last(y_shape, type);
    made->stage(0, activation(x), src);
    made->winograd = how.winograd(x_shape, w_shape, y_shape, type);
    made->few = how.small(x_shape, w_shape, y_shape, type, few_outputs_pay);
    made->small = how.small(x_shape, w_shape, y_shape, type, small_convolution_pays);
    if (made->winograd || made->few || made->small) return made;
    const auto pd = forward(src, any(dims, type), bias, dst, how, relu);
    made->stage(1, plain_weight(dims, type), pd.weights_desc());
    Call::Arguments arguments = {{DNNL_ARG_SRC, src}, {DNNL_ARG_WEIGHTS, pd.weights_desc()}, {DNNL_ARG_DST, dst}};
    if (!b.is_none()) arguments.push_back({DNNL_ARG_BIAS, bias});
    made->main.emplace(convolution_forward(pd), pd.scratchpad_desc(), arguments);
    return made;
  });
  if (!op) return nb::none();
  nb::object y = new_array(ndim(x), y_shape.data(), type_number, true);
  void* source = op->operand(0, data<void>(x));
  const float *bias = b.is_none() ? nullptr : data<const float>(b), *from = static_cast<const float*>(source);
  if (op->winograd) {
    winograd_convolve(*op->winograd, from, op->winograd_weight(data<const float>(w), false), bias, relu, data<float>(y));
    return y;
  }
  if (op->few || op->small) {
    const auto convolve = op->few ? convolve_few_outputs : small_convolution;
    convolve(op->few ? *op->few : *op->small, from, data<const float>(w), bias, relu, data<float>(y));
    return y;
  }
  void* weight = op->operand(1, data<void>(w));
  if (b.is_none())
    op->main->run({source, weight, data<void>(y)});
  else
    op->main->run({source, weight, data<void>(y), data<void>(b)});
  return y;
}

nb::object conv_backward_input(nb::handle g_in, nb::handle w_in, nb::handle x_dims, nb::handle stride,
                               nb::handle padding, nb::handle dilation, i64 groups) {
  if (!is_array(g_in) || !is_array(w_in)) return nb::none();
  const auto type = data_type(g_in);
  if (type == memory::data_type::undef || data_type(w_in) != type) return nb::none();
  const Settings how(stride, padding, dilation, groups);
  const auto x_shape = integers(x_dims), w_shape = shape_of(w_in), y_shape = shape_of(g_in);
  if (!valid_shapes(x_shape, w_shape, y_shape, how)) return nb::none();
  nb::object g = readable(g_in), w = plain(w_in);

  Key key;
  key.add(kBackwardInput);
  key.add_array(g);
  key.add(x_shape);
  key.add(w_shape);
  how.add_to(key);
  Conv* op = cached<Conv>(key, [&] {
    auto made = std::make_unique<Conv>();
    const auto dims = weight_dims(w_shape, groups);
    const auto src = channels_last(x_shape, type), dst = channels_last(y_shape, type);
    made->stage(0, activation(g), dst);
    made->winograd = how.winograd(x_shape, w_shape, y_shape, type);
    if (made->winograd) {
      made->winograd = winograd_backward(*made->winograd);
      return made;
    }
    made->small = how.small(x_shape, w_shape, y_shape, type, small_input_gradient_pays);
    if (made->small) return made;
    memory::desc weight = any(dims, type);
    made->make_calls(type, x_shape[0], batch_parts(w_shape, y_shape), [&](i64 images) {
      auto in = x_shape, out = y_shape;
      in[0] = out[0] = images;
      const auto src = channels_last(in, type), dst = channels_last(out, type);
      const auto hint = forward(src, weight, memory::desc(), dst, how, false);
      const convolution_backward_data::primitive_desc pd(engine(), kDirect, src, weight, dst, how.stride, how.dilation,
                                                         how.padding, how.padding, hint, attributes());
      weight = pd.weights_desc();
      return Call(convolution_backward_data(pd), pd.scratchpad_desc(),
                  {{DNNL_ARG_DIFF_DST, dst}, {DNNL_ARG_WEIGHTS, weight}, {DNNL_ARG_DIFF_SRC, src}});
    });
    made->stage(1, plain_weight(dims, type), weight);
    return made;
  });
  if (!op) return nb::none();
  nb::object gx = new_array(ndim(g), x_shape.data(), PyArray_TYPE(array(g)), true);
  void* gradient = op->operand(0, data<void>(g));
  if (op->winograd) {
    const float* u = op->winograd_weight(data<const float>(w), true);
    winograd_convolve(*op->winograd, static_cast<const float*>(gradient), u, nullptr, false, data<float>(gx));
    return gx;
  }
  if (op->small) {
    small_input_gradient(*op->small, static_cast<const float*>(gradient), data<const float>(w), data<float>(gx));
    return gx;
  }
  void* weight = op->operand(1, data<void>(w));
  if (op->parts)
    op->parts->input_gradient(static_cast<float*>(gradient), PyArray_SIZE(array(g)) / x_shape[0], static_cast<float*>(weight),
                              data<float>(gx), PyArray_SIZE(array(gx)) / x_shape[0]);
  else
    op->main->run({gradient, weight, data<void>(gx)});
  return gx;
}

nb::object conv_backward_weight(nb::handle g_in, nb::handle x_in, nb::handle w_dims, nb::handle stride,
                                nb::handle padding, nb::handle dilation, i64 groups, bool with_bias) {
  if (!is_array(g_in) || !is_array(x_in)) return nb::none();
  const auto type = data_type(g_in);
  if (type == memory::data_type::undef || data_type(x_in) != type) return nb::none();
  const Settings how(stride, padding, dilation, groups);
  const auto x_shape = shape_of(x_in), w_shape = integers(w_dims), y_shape = shape_of(g_in);
  if (!valid_shapes(x_shape, w_shape, y_shape, how)) return nb::none();
  nb::object g = readable(g_in), x = readable(x_in);

  Key key;
  key.add(kBackwardWeight);
  key.add_array(g);
  key.add_array(x);
  key.add(w_shape);
  key.add(with_bias);
  how.add_to(key);
  Conv* op = cached<Conv>(key, [&] {
    auto made = std::make_unique<Conv>();
    const auto dims = weight_dims(w_shape, groups);
    const auto bias = bias_desc(with_bias, w_shape[0], type);
    const auto src = channels_last(x_shape, type), dst = channels_last(y_shape, type);
    made->stage(0, activation(g), dst);
    made->stage(1, activation(x), src);
    made->winograd = how.winograd(x_shape, w_shape, y_shape, type);
    made->small = how.small(x_shape, w_shape, y_shape, type, small_weight_gradient_pays);
    if (made->winograd || made->small) return made;
    memory::desc weight = any(dims, type);  // that of the first part is that of all
    const auto call = [&](i64 images) {
      auto in = x_shape, out = y_shape;
      in[0] = out[0] = images;
      const auto src = channels_last(in, type), dst = channels_last(out, type);
      const auto hint = forward(src, weight, bias, dst, how, false);
      const convolution_backward_weights::primitive_desc pd(engine(), kDirect, src, weight, bias, dst, how.stride,
                                                            how.dilation, how.padding, how.padding, hint, attributes());
      weight = pd.diff_weights_desc();
      Call::Arguments arguments = {{DNNL_ARG_DIFF_DST, dst}, {DNNL_ARG_SRC, src}, {DNNL_ARG_DIFF_WEIGHTS, weight}};
      if (with_bias) arguments.push_back({DNNL_ARG_DIFF_BIAS, bias});
      return Call(convolution_backward_weights(pd), pd.scratchpad_desc(), arguments);
    };
    made->make_calls(type, x_shape[0], weight_parts(w_shape, y_shape), call);
    made->stage_result(weight, plain_weight(dims, type));
    return made;
  });
  if (!op) return nb::none();
  const int type_number = PyArray_TYPE(array(g));
  nb::object gw = new_array(ndim(g), w_shape.data(), type_number, false), gb = nb::none();
  if (with_bias) gb = new_array(1, w_shape.data(), type_number, false);
  void* gradient = op->operand(0, data<void>(g));
  void* source = op->operand(1, data<void>(x));
  if (op->winograd || op->small) {
    const auto from = static_cast<const float*>(gradient), seen = static_cast<const float*>(source);
    float* bias = with_bias ? data<float>(gb) : nullptr;
    if (op->winograd)
      winograd_weight_gradient(*op->winograd, from, seen, data<float>(gw), bias);
    else
      small_weight_gradient(*op->small, from, seen, data<float>(gw), bias);
    return nb::make_tuple(gw, gb);
  }
  void* made = op->after ? scratch(Scratch::kResult, op->bytes[2]) : data<void>(gw);
  if (op->parts)
    op->parts->weight_gradient(static_cast<float*>(gradient), PyArray_SIZE(array(g)) / x_shape[0], static_cast<float*>(source),
                   PyArray_SIZE(array(x)) / x_shape[0], op->bytes[2], static_cast<float*>(made),
                   with_bias ? data<float>(gb) : nullptr, w_shape[0]);
  else if (with_bias)
    op->main->run({gradient, source, made, data<void>(gb)});
  else
    op->main->run({gradient, source, made});
  if (op->after) op->after->run({made, data<void>(gw)});
  return nb::make_tuple(gw, gb);
}

}  // namespace

void bind_dnn_conv(nb::module_& m) {
  m.def("conv", &conv, nb::arg(), nb::arg(), nb::arg().none(), nb::arg("stride"), nb::arg("padding"),
        nb::arg("dilation"), nb::arg("groups"), nb::arg("relu") = false);
  m.def("conv_backward_input", &conv_backward_input, nb::arg(), nb::arg(), nb::arg(), nb::arg("stride"),
        nb::arg("padding"), nb::arg("dilation"), nb::arg("groups"));
  m.def("conv_backward_weight", &conv_backward_weight, nb::arg(), nb::arg(), nb::arg(), nb::arg("stride"),
        nb::arg("padding"), nb::arg("dilation"), nb::arg("groups"), nb::arg("with_bias") = true);
}

}  // namespace rushlight

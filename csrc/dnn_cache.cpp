#include "dnn_cache.h"

#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace rushlight {
namespace {

struct Region {
  void* data = nullptr;
  size_t bytes = 0;
};

}  // namespace

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  static dnnl::stream in_order(engine());
  return in_order;
}

memory::data_type data_type(nb::handle x) {
  if (has_type(x, NPY_FLOAT)) return memory::data_type::f32;
  if (bfloat16_type >= 0 && has_type(x, bfloat16_type)) return memory::data_type::bf16;
  return memory::data_type::undef;
}

Key::Key() {
  values_.reserve(48);
  values_.push_back(num_threads());
}

void Key::add(i64 value) { values_.push_back(value); }

void Key::add(const std::vector<i64>& values) {
  values_.push_back(static_cast<i64>(values.size()));
  values_.insert(values_.end(), values.begin(), values.end());
}

void Key::add_array(nb::handle x) {
  PyArrayObject* a = array(x);
  const int nd = PyArray_NDIM(a);
  values_.push_back(PyArray_TYPE(a) * 64 + nd);
  for (int i = 0; i < nd; ++i) {
    values_.push_back(PyArray_DIM(a, i));
    values_.push_back(PyArray_DIM(a, i) == 1 ? 0 : PyArray_STRIDE(a, i));
  }
}

size_t Key::hash() const {
  std::uint64_t h = 0x9e3779b97f4a7c15u;
  for (const i64 value : values_) h = (h ^ static_cast<std::uint64_t>(value)) * 0x2127599bf4325c37u + (h >> 29);
  return static_cast<size_t>(h ^ (h >> 32));
}

void* scratch(Scratch use, size_t bytes) {
  static Region regions[static_cast<int>(Scratch::kCount)];
  Region& region = regions[static_cast<int>(use)];
  if (region.bytes < bytes) {
    std::free(region.data);
    region = Region{};
    const size_t rounded = (bytes + 4095) / 4096 * 4096;
    region.data = std::aligned_alloc(4096, rounded);
    if (!region.data) throw std::bad_alloc();
    region.bytes = rounded;
  }
  return region.data;
}

Call::Call(const dnnl::primitive& primitive, const memory::desc& scratchpad, const Arguments& arguments)
    : primitive_(primitive), scratch_bytes_(scratchpad.get_size()) {
  memories_.reserve(arguments.size() + 1);
  const auto add = [&](int name, const memory::desc& layout) {
    memories_.emplace_back(layout, engine(), nullptr);
    arguments_.push_back({name, memories_.back().get()});
  };
  for (const auto& [name, layout] : arguments) add(name, layout);
  // oneDNN's "ref" implementations are for tests: NumPy is faster.
  const char* name = nullptr;
  dnnl_primitive_desc_query(primitive_.get_primitive_desc(), dnnl_query_impl_info_str, 0, &name);
  if (name && std::strncmp(name, "ref", 3) == 0) throw dnnl::error(dnnl_unimplemented, "only a reference implementation");
  if (scratch_bytes_ > 0) add(DNNL_ARG_SCRATCHPAD, scratchpad);
}

void Call::run(std::initializer_list<void*> pointers, void* work) {
  // The C interface: the C++ one builds a hash map at every call.
  size_t i = 0;
  for (void* pointer : pointers) dnnl_memory_set_data_handle(arguments_[i++].memory, pointer);
  if (scratch_bytes_ > 0) dnnl_memory_set_data_handle(arguments_[i++].memory, work);
  dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive_.get(), stream().get(), static_cast<int>(i), arguments_.data()),
                          "could not run a primitive");
}

OneThread::OneThread() { omp_set_num_threads(1); }
OneThread::~OneThread() { omp_set_num_threads(num_threads()); }

dnnl::primitive_attr attributes(bool relu) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (relu) {
    dnnl::post_ops after;
    after.append_eltwise(dnnl::algorithm::eltwise_relu, 0.f, 0.f);
    attr.set_post_ops(after);
  }
  return attr;
}

std::optional<Call> reorder(const memory::desc& from, const memory::desc& to) {
  if (from == to) return std::nullopt;
  const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to, attributes());
  return Call(dnnl::reorder(pd), pd.scratchpad_desc(), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

// Whether each dimension's steps lead over all of those below it, which oneDNN asks for: the rows of x[:, ::2] need
// not, where their number is odd.
static bool nested(const memory::dims& dims, const memory::dims& strides) {
  std::vector<std::pair<i64, i64>> steps;  // of each dimension, and where they lead to
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] > 1) steps.push_back({strides[i], strides[i] * dims[i]});
  std::sort(steps.begin(), steps.end());
  for (size_t i = 1; i < steps.size(); ++i)
    if (steps[i].first < steps[i - 1].second) return false;
  return true;
}

std::optional<memory::desc> describe(nb::handle x) {
  PyArrayObject* a = array(x);
  const int nd = PyArray_NDIM(a);
  const npy_intp size = PyArray_ITEMSIZE(a);
  memory::dims dims, strides;
  for (int i = 0; i < nd; ++i) {
    const npy_intp n = PyArray_DIM(a, i), stride = PyArray_STRIDE(a, i);
    if (n == 0 || (n > 1 && (stride <= 0 || stride % size != 0))) return std::nullopt;
    dims.push_back(n);
    strides.push_back(n == 1 ? 1 : stride / size);
  }
  if (!nested(dims, strides)) return std::nullopt;
  return memory::desc(dims, data_type(x), strides);
}

Stats& stats() {
  static Stats counts;
  return counts;
}

void bind_dnn_cache(nb::module_& m) {
  m.def("dnn_stats", [] {
    nb::dict result;
    result["created"] = stats().created;
    result["cached"] = stats().cached;
    return result;
  });
}

}  // namespace rushlight

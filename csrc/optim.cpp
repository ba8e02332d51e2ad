// Optimizer steps over all parameters in one call, in place: lists of dense arrays of one type.
#include "optim_loops.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernel.h"
#include "layout.h"
#include "levels.h"
#include "lowprec.h"

namespace rushlight {

RUSHLIGHT_LEVELS(OptimLoops, optim_table)

namespace {

const OptimLoops& optim_loops() {
  static const OptimLoops& table = RUSHLIGHT_PICK(optim_table);
  return table;
}

constexpr int kLists = 5;  // at most

// The arrays that belong to one parameter: itself, its gradient, its state.
struct Item {
  char* data[kLists];
  std::int64_t size, start;  // elements, and those of the parameters before it
};

bool sequence(PyObject* o) { return o && (PyList_CheckExact(o) || PyTuple_CheckExact(o)); }

// Reads up to five parallel lists (null: absent) of arrays that agree in type, shape and layout. Where they have 16 bits,
// `low` tells their type, and `kind` is float32's.
bool read_lists(PyObject* const* lists, int& kind, int& low, std::vector<Item>& items) {
  int type = -1;
  if (!sequence(lists[0])) return false;
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(lists[0]);
  std::int64_t start = 0;
  items.resize(static_cast<std::size_t>(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    Item& item = items[static_cast<std::size_t>(i)];
    PyArrayObject* first = nullptr;
    for (int k = 0; k < kLists; ++k) {
      item.data[k] = nullptr;
      if (!lists[k] || lists[k] == Py_None) continue;
      if (!sequence(lists[k]) || PySequence_Fast_GET_SIZE(lists[k]) != count) return false;
      PyArrayObject* a = as_array(PySequence_Fast_GET_ITEM(lists[k], i));
      if (!a || !readable(a) || !dense(a) || (k != 1 && !PyArray_ISWRITEABLE(a))) return false;
      if (!first) {
        if (i == 0) {
          type = PyArray_TYPE(a);
          low = low_kind(a);
          kind = low >= 0 ? 0 : float_kind(a);
        }
        first = a;
      }
      if (kind < 0 || PyArray_TYPE(a) != type || !same_shape(a, first) || !same_order(a, first)) return false;
      item.data[k] = PyArray_BYTES(a);
    }
    item.size = PyArray_SIZE(first);
    item.start = start;
    start += item.size;
  }
  return true;
}

// body(item, from, count) over all elements of all parameters, in threads.
template <class Body> void each_run(const std::vector<Item>& items, const Body& body) {
  if (items.empty()) return;
  const std::int64_t total = items.back().start + items.back().size;
  parallel_for(total, kGrain / 2, [&](std::int64_t begin, std::int64_t end) {
    auto next = std::upper_bound(items.begin(), items.end(), begin, [](std::int64_t at, const Item& i) { return at < i.start; });
    for (std::size_t i = static_cast<std::size_t>(next - items.begin()) - 1; i < items.size() && items[i].start < end; ++i) {
      const std::int64_t from = std::max<std::int64_t>(0, begin - items[i].start);
      const std::int64_t to = std::min(items[i].size, end - items[i].start);
      if (to > from) body(i, from, to - from);
    }
  });
}

char* at(char* data, std::int64_t from, int kind) { return data ? data + from * (kind == 0 ? 4 : 8) : nullptr; }

// A step on arrays of 16 bits: blocks of them are widened, and what the step changed is narrowed. The second is the gradient.
void low_step(StepLoop loop, int low, char* const* data, std::int64_t from, std::int64_t count, const double* numbers) {
  alignas(64) float wide[kLists][kLowBlock];
  for (std::int64_t i = from; i < from + count; i += kLowBlock) {
    const std::int64_t n = std::min(kLowBlock, from + count - i);
    char* blocks[kLists] = {};
    for (int k = 0; k < kLists; ++k) {
      if (!data[k]) continue;
      low_loops().widen[low](reinterpret_cast<std::uint16_t*>(data[k]) + i, wide[k], n);
      blocks[k] = reinterpret_cast<char*>(wide[k]);
    }
    loop(blocks, n, numbers);
    for (int k = 0; k < kLists; ++k)
      if (data[k] && k != 1) low_loops().narrow[low](wide[k], reinterpret_cast<std::uint16_t*>(data[k]) + i, n);
  }
}

// A number, or a truth value as 1 or 0.
bool value_of(PyObject* o, double& value) {
  if (!PyBool_Check(o)) return number(o, value);
  value = o == Py_True;
  return true;
}

// The numbers of a rule: one row for all parameters, or one for each where some argument is a list.
class Numbers {
 public:
  bool read(const Call& call, int from, int width, std::size_t items) {
    width_ = width;
    for (int k = 0; k < width; ++k) {
      PyObject* o = call[from + k];
      if (!o) return false;
      if (sequence(o)) each_ = true;
    }
    values_.resize(static_cast<std::size_t>(width) * (each_ ? items : 1));
    for (int k = 0; k < width; ++k)
      if (!fill(call[from + k], k)) return false;
    return true;
  }
  const double* row(std::size_t item) const { return values_.data() + (each_ ? item * static_cast<std::size_t>(width_) : 0); }

 private:
  bool fill(PyObject* o, int k) {
    const std::size_t width = static_cast<std::size_t>(width_), rows = values_.size() / width;
    double value = 0;
    if (!sequence(o)) {
      if (!value_of(o, value)) return false;
      for (std::size_t i = 0; i < rows; ++i) values_[i * width + static_cast<std::size_t>(k)] = value;
      return true;
    }
    if (static_cast<std::size_t>(PySequence_Fast_GET_SIZE(o)) != rows) return false;
    for (std::size_t i = 0; i < rows; ++i)
      if (!value_of(PySequence_Fast_GET_ITEM(o, static_cast<Py_ssize_t>(i)), values_[i * width + static_cast<std::size_t>(k)]))
        return false;
    return true;
  }

  std::vector<double> values_;
  int width_ = 0;
  bool each_ = false;
};

// Arguments: lists of arrays, then numbers, as the rule named by the kernel's `op` says.
PyObject* step_attempt(const Call& call) {
  const StepRule& rule = optim_loops().rules[call.kernel.op];
  PyObject* lists[kLists] = {};
  for (int k = 0; k < rule.lists; ++k) lists[k] = call[k];
  std::vector<Item> items;
  Numbers numbers;
  int kind = -1, low = -1;
  if (call.count != rule.lists + rule.numbers || !read_lists(lists, kind, low, items)) return nullptr;
  for (int k = 0; k < rule.required; ++k)
    if (!items.empty() && !items[0].data[k]) return nullptr;
  if (!numbers.read(call, rule.lists, rule.numbers, items.size())) return nullptr;
  const StepLoop loop = rule.loops[std::max(kind, 0)];
  each_run(items, [&](std::size_t i, std::int64_t from, std::int64_t count) {
    if (low >= 0) return low_step(loop, low, items[i].data, from, count, numbers.row(i));
    char* data[kLists];
    for (int k = 0; k < kLists; ++k) data[k] = at(items[i].data[k], from, kind);
    loop(data, count, numbers.row(i));
  });
  Py_RETURN_NONE;
}

nb::object optim_kernel(const char* name, nb::object reference) {
  const OptimLoops& loops = optim_loops();
  for (int i = 0; i < kStepRules; ++i)
    if (!std::strcmp(name, loops.rules[i].name)) return make_kernel(step_attempt, i, 0, reference, false, false);
  throw nb::key_error(name);
}

}  // namespace

void bind_optim(nb::module_& m) { m.def("optim_kernel", optim_kernel, nb::arg("name"), nb::arg("reference")); }

}  // namespace rushlight

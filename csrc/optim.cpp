// Optimizer steps over all parameters in one call, in place: lists of dense arrays of one type.
#include "optim_loops.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernel.h"
#include "layout.h"
#include "levels.h"

namespace rushlight {

RUSHLIGHT_LEVELS(OptimLoops, optim_table)

namespace {

const OptimLoops& optim_loops() {
  static const OptimLoops& table = RUSHLIGHT_PICK(optim_table);
  return table;
}

constexpr int kLists = 5;

// The arrays that belong to one parameter: itself, its gradient, its state.
struct Item {
  char* data[kLists];
  std::int64_t size, start;  // elements, and those of the parameters before it
};

bool sequence(PyObject* o) { return o && (PyList_CheckExact(o) || PyTuple_CheckExact(o)); }

// Reads up to five parallel lists (null: absent) of arrays that agree in type, shape and layout.
bool read_lists(PyObject* const* lists, int& kind, std::vector<Item>& items) {
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
        if (i == 0) kind = float_kind(a);
        first = a;
      }
      if (kind < 0 || float_kind(a) != kind || !same_shape(a, first) || !same_order(a, first)) return false;
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

bool truth(PyObject* o, bool& value) {
  if (!o) return false;
  const int t = PyObject_IsTrue(o);
  value = t == 1;
  if (t < 0) PyErr_Clear();
  return t >= 0;
}

// One value for each parameter, from one or from a list.
template <class T, class Read> bool each(PyObject* o, std::size_t count, std::vector<T>& values, const Read& read) {
  values.resize(count);
  if (!sequence(o)) {
    T one{};
    if (!o || !read(o, one)) return false;
    std::fill(values.begin(), values.end(), one);
    return true;
  }
  if (static_cast<std::size_t>(PySequence_Fast_GET_SIZE(o)) != count) return false;
  for (std::size_t i = 0; i < count; ++i)
    if (!read(PySequence_Fast_GET_ITEM(o, static_cast<Py_ssize_t>(i)), values[i])) return false;
  return true;
}

PyObject* sgd_attempt(const Call& call) {
  PyObject* const lists[kLists] = {call[0], call[1], call[2], nullptr, nullptr};
  std::vector<Item> items;
  std::vector<char> first;
  SgdStep how;
  int kind = -1;
  double* const numbers[] = {&how.lr, &how.weight_decay, &how.momentum, &how.dampening};
  for (int i = 0; i < 4; ++i)
    if (!call[3 + i] || !number(call[3 + i], *numbers[i])) return nullptr;
  if (!truth(call[7], how.nesterov) || !truth(call[8], how.maximize) || !call[1] || !read_lists(lists, kind, items)) return nullptr;
  const auto read_first = [](PyObject* o, char& value) {
    bool b = false;
    const bool ok = truth(o, b);
    value = b;
    return ok;
  };
  if (!each(call[9], items.size(), first, read_first)) return nullptr;
  if (how.momentum != 0 && !items.empty() && !items[0].data[2]) return nullptr;
  const auto loop = optim_loops().sgd[std::max(kind, 0)];
  const bool buffers = how.momentum != 0;
  each_run(items, [&](std::size_t i, std::int64_t from, std::int64_t count) {
    const Item& item = items[i];
    loop(at(item.data[0], from, kind), at(item.data[1], from, kind), buffers ? at(item.data[2], from, kind) : nullptr, count, first[i] != 0, how);
  });
  Py_RETURN_NONE;
}

PyObject* adam_attempt(const Call& call) {
  PyObject* const lists[kLists] = {call[0], call[1], call[2], call[3], call[4]};
  std::vector<Item> items;
  std::vector<double> steps;
  AdamStep how;
  int kind = -1;
  double* const numbers[] = {&how.lr, &how.beta1, &how.beta2, &how.eps, &how.weight_decay};
  for (int i = 0; i < 5; ++i)
    if (!call[6 + i] || !number(call[6 + i], *numbers[i])) return nullptr;
  if (!truth(call[11], how.decoupled) || !truth(call[12], how.maximize) || !call[1] || !call[2] || !call[3]) return nullptr;
  if (!read_lists(lists, kind, items) || !each(call[5], items.size(), steps, number)) return nullptr;
  if (!items.empty() && (!items[0].data[2] || !items[0].data[3])) return nullptr;
  std::vector<AdamStep> by_item(items.size(), how);
  for (std::size_t i = 0; i < items.size(); ++i) {
    by_item[i].step_size = how.lr / (1 - std::pow(how.beta1, steps[i]));
    by_item[i].root_correction = std::sqrt(1 - std::pow(how.beta2, steps[i]));
  }
  const auto loop = optim_loops().adam[std::max(kind, 0)];
  each_run(items, [&](std::size_t i, std::int64_t from, std::int64_t count) {
    const Item& item = items[i];
    loop(at(item.data[0], from, kind), at(item.data[1], from, kind), at(item.data[2], from, kind), at(item.data[3], from, kind),
         at(item.data[4], from, kind), count, by_item[i]);
  });
  Py_RETURN_NONE;
}

}  // namespace

void bind_optim(nb::module_& m) {
  m.def("sgd_kernel", [](nb::object reference) { return make_kernel(sgd_attempt, 0, 0, reference, false); }, nb::arg("reference"));
  m.def("adam_kernel", [](nb::object reference) { return make_kernel(adam_attempt, 0, 0, reference, false); }, nb::arg("reference"));
}

}  // namespace rushlight

// When a recorded step may be replayed, and what Python sees of it: guards on arguments and on everything that the
// function reaches, arguments at their new addresses, results as tensors of their own. See rushlight/capture.
#include <cstring>
#include <memory>

#include <nanobind/stl/string.h>

#include "handle.h"
#include "tape.h"

namespace rushlight {

bool unchanged(PyObject* now, PyObject* then) {
  if (now == then) return true;
  if (!now || !then || Py_TYPE(now) != Py_TYPE(then)) return false;
  if (PyFloat_CheckExact(now)) {  // 0.0 is not -0.0, and nan is nan
    const double a = PyFloat_AS_DOUBLE(now), b = PyFloat_AS_DOUBLE(then);
    return std::memcmp(&a, &b, sizeof a) == 0;
  }
  if (!PyLong_CheckExact(now) && !PyUnicode_CheckExact(now) && !PyBytes_CheckExact(now) && !PyArray_IsScalar(now, Generic)) return false;
  return PyObject_RichCompareBool(now, then, Py_EQ) == 1;
}

namespace {

// What an argument or a result looks like.
struct Shape {
  enum Kind { kTensor, kSame, kValue, kTuple, kList, kDict, kArgument, kNumber } kind;
  nb::object object;  // kSame, kValue: it; kTensor: the array when recorded; kTensor and kNumber of results: the arena's array
  nb::object type;    // of a tensor
  nb::object format;
  bool rg = false;
  int number = -1;    // of the input; of the output that chains write at once
  std::vector<Shape> parts;
  std::vector<nb::object> keys;
};

Shape read_shape(nb::handle spec) {
  nb::tuple t = nb::cast<nb::tuple>(spec);
  const std::string kind = nb::cast<std::string>(t[0]);
  Shape s;
  if (kind == "tensor") {
    s.kind = Shape::kTensor;
    s.number = nb::cast<int>(t[1]);
    s.object = t[2], s.type = t[3], s.format = t[5];
    s.rg = nb::cast<bool>(t[4]);
  } else if (kind == "number") {
    s.kind = Shape::kNumber;
    s.object = t[1];
  } else if (kind == "same" || kind == "value") {
    s.kind = kind == "same" ? Shape::kSame : Shape::kValue;
    s.object = t[1];
  } else if (kind == "argument") {
    s.kind = Shape::kArgument;
    s.number = nb::cast<int>(t[1]);
  } else {
    s.kind = kind == "tuple" ? Shape::kTuple : kind == "list" ? Shape::kList : Shape::kDict;
    for (nb::handle part : nb::cast<nb::list>(t[1])) s.parts.push_back(read_shape(part));
    if (s.kind == Shape::kDict)
      for (nb::handle key : nb::cast<nb::list>(t[2])) s.keys.push_back(nb::borrow(key));
  }
  return s;
}

bool same_layout(PyArrayObject* a, PyArrayObject* b) {
  const int nd = PyArray_NDIM(a);
  if (nd != PyArray_NDIM(b) || PyArray_TYPE(a) != PyArray_TYPE(b) || PyArray_ISWRITEABLE(a) != PyArray_ISWRITEABLE(b)) return false;
  const std::size_t bytes = sizeof(npy_intp) * static_cast<std::size_t>(nd);
  return std::memcmp(PyArray_DIMS(a), PyArray_DIMS(b), bytes) == 0 && std::memcmp(PyArray_STRIDES(a), PyArray_STRIDES(b), bytes) == 0;
}

bool present(PyObject* o) { return o && o != Py_None; }

class Plan {
 public:
  Plan(nb::object tape, nb::handle arguments, nb::handle keywords)
      : tape_object_(tape), tape_(nb::cast<Tape*>(tape)), arguments_(read_shape(arguments)), keywords_(read_shape(keywords)) {}

  // -- guards
  void guard_tensor(nb::object t) {
    auto* fields = reinterpret_cast<TensorObject*>(t.ptr());
    tensors_.push_back({t, nb::borrow(fields->array), fields->rg != 0, nb::borrow(fields->node ? fields->node : Py_None)});
  }
  void guard_grad(nb::object t, bool is_there) {
    for (Watched& w : tensors_)
      if (w.tensor.is(t)) w.grad = true, w.grad_there = is_there;
  }
  void guard_dict(nb::object dict) {
    Entries e{dict, {}};
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict.ptr(), &at, &key, &value)) e.items.emplace_back(nb::borrow(key), nb::borrow(value));
    dicts_.push_back(std::move(e));
  }
  void guard_list(nb::object list) {
    Entries e{list, {}};
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list.ptr()); ++i) e.items.emplace_back(nb::object(), nb::borrow(PyList_GET_ITEM(list.ptr(), i)));
    lists_.push_back(std::move(e));
  }
  void guard_cell(nb::object cell) {
    PyObject* content = PyCell_GET(cell.ptr());
    cells_.push_back({cell, {{nb::object(), content ? nb::borrow(content) : nb::object()}}});
  }
  void guard_item(nb::object dict, nb::object key) {
    PyObject* value = PyDict_GetItemWithError(dict.ptr(), key.ptr());
    items_.push_back({dict, {{key, value ? nb::borrow(value) : nb::object()}}});
  }
  void guard_attribute(nb::object owner, nb::object name) { attributes_.push_back({owner, {{name, nb::object(owner.attr(name))}}}); }
  void guard_equal(nb::object set, nb::object copy) { equal_.push_back({set, {{nb::object(), copy}}}); }

  // -- effects
  void input_gradient(nb::object t, int number, nb::object a) { gradients_in_.push_back({t, a, number}); }
  // From the stage on (a call of Python code, or after all of them the end) the tensor has this gradient, or None.
  void set_gradient(nb::object t, nb::object a, int stage) {
    gradients_out_.push_back({t, a, stage});
    last_stage_ = std::max(last_stage_, stage);
  }
  void apply(int stage) const {
    for (const Gradient& g : gradients_out_) {
      if (g.number != stage) continue;
      auto* t = reinterpret_cast<TensorObject*>(g.tensor.ptr());
      PyObject* grad = g.array.is_none() ? Py_NewRef(Py_None) : make_tensor(g.array.ptr());
      if (!grad) nb::raise_python_error();
      Py_XSETREF(t->grad, grad);
    }
  }
  void bump(nb::object t, int by) { bumps_.emplace_back(t, by); }
  void result(nb::handle spec) { result_ = read_shape(spec); }

  // `gradients`: also that the same tensors have gradients as before the recorded call.
  bool guards_hold(bool gradients = true) const {
    for (const Watched& w : tensors_) {
      auto* t = reinterpret_cast<TensorObject*>(w.tensor.ptr());
      if (t->array != w.array.ptr() || (t->rg != 0) != w.rg || present(t->node) != !w.node.is_none()) return false;
      if (gradients && w.grad && present(t->grad) != w.grad_there) return false;
    }
    for (const Entries& e : dicts_) {
      if (PyDict_GET_SIZE(e.owner.ptr()) != static_cast<Py_ssize_t>(e.items.size())) return false;
      PyObject *key, *value;
      Py_ssize_t at = 0;
      std::size_t i = 0;
      while (PyDict_Next(e.owner.ptr(), &at, &key, &value)) {
        if (!unchanged(key, e.items[i].first.ptr()) || !unchanged(value, e.items[i].second.ptr())) return false;
        ++i;
      }
    }
    for (const Entries& e : lists_) {
      if (PyList_GET_SIZE(e.owner.ptr()) != static_cast<Py_ssize_t>(e.items.size())) return false;
      for (std::size_t i = 0; i < e.items.size(); ++i)
        if (!unchanged(PyList_GET_ITEM(e.owner.ptr(), static_cast<Py_ssize_t>(i)), e.items[i].second.ptr())) return false;
    }
    for (const Entries& e : cells_)
      if (!unchanged(PyCell_GET(e.owner.ptr()), e.items[0].second.ptr())) return false;
    for (const Entries& e : items_)
      if (!unchanged(PyDict_GetItemWithError(e.owner.ptr(), e.items[0].first.ptr()), e.items[0].second.ptr())) return false;
    for (const Entries& e : equal_)
      if (PyObject_RichCompareBool(e.owner.ptr(), e.items[0].second.ptr(), Py_EQ) != 1) return false;
    for (const Entries& e : attributes_) {
      nb::object now = nb::steal(PyObject_GetAttr(e.owner.ptr(), e.items[0].first.ptr()));
      if (!now.is_valid()) {
        PyErr_Clear();
        return false;
      }
      if (!unchanged(now.ptr(), e.items[0].second.ptr())) return false;
    }
    return true;
  }

  // Whether arguments look as they did; the tensors among them that may be others go to `found`.
  bool fits(const Shape& s, PyObject* o, std::vector<TensorObject*>& found) const {
    switch (s.kind) {
      case Shape::kTensor: {
        if (reinterpret_cast<PyObject*>(Py_TYPE(o)) != s.type.ptr()) return false;
        auto* t = reinterpret_cast<TensorObject*>(o);
        if (!t->array || !PyArray_CheckExact(t->array) || (t->rg != 0) != s.rg || present(t->node)) return false;
        if ((present(t->format) ? t->format : Py_None) != s.format.ptr()) return false;
        PyArrayObject* a = reinterpret_cast<PyArrayObject*>(t->array);
        if (!same_layout(a, array(s.object))) return false;
        if (tape_->arena->at(PyArray_BYTES(a)) || tape_->writes(span_of(a))) return false;
        found.push_back(t);
        return true;
      }
      case Shape::kSame: return o == s.object.ptr();
      case Shape::kValue: return unchanged(o, s.object.ptr());
      case Shape::kTuple:
        if (!PyTuple_CheckExact(o) || PyTuple_GET_SIZE(o) != static_cast<Py_ssize_t>(s.parts.size())) return false;
        for (std::size_t i = 0; i < s.parts.size(); ++i)
          if (!fits(s.parts[i], PyTuple_GET_ITEM(o, static_cast<Py_ssize_t>(i)), found)) return false;
        return true;
      case Shape::kList:
        if (!PyList_CheckExact(o) || PyList_GET_SIZE(o) != static_cast<Py_ssize_t>(s.parts.size())) return false;
        for (std::size_t i = 0; i < s.parts.size(); ++i)
          if (!fits(s.parts[i], PyList_GET_ITEM(o, static_cast<Py_ssize_t>(i)), found)) return false;
        return true;
      case Shape::kDict: {
        if (!PyDict_CheckExact(o) || PyDict_GET_SIZE(o) != static_cast<Py_ssize_t>(s.parts.size())) return false;
        PyObject *key, *value;
        Py_ssize_t at = 0;
        std::size_t i = 0;
        while (PyDict_Next(o, &at, &key, &value)) {
          if (!unchanged(key, s.keys[i].ptr()) || !fits(s.parts[i], value, found)) return false;
          ++i;
        }
        return true;
      }
      default: return false;
    }
  }

  // Whether nobody else holds the memory that a replay writes gradients to.
  bool gradients_free() const {
    for (const Gradient& g : gradients_out_) {
      if (g.array.is_none()) continue;
      auto* t = reinterpret_cast<TensorObject*>(g.tensor.ptr());
      Py_ssize_t expected = 0;
      for (const Gradient& other : gradients_out_) expected += other.array.is(g.array);
      if (present(t->grad) && Py_REFCNT(t->grad) == 1 && reinterpret_cast<TensorObject*>(t->grad)->array == g.array.ptr()) ++expected;
      if (Py_REFCNT(g.array.ptr()) != expected) return false;
    }
    return true;
  }

  bool matches(nb::handle args, nb::handle kwargs) const {
    std::vector<TensorObject*> found;
    return fits(arguments_, args.ptr(), found) && fits(keywords_, kwargs.ptr(), found) && guards_hold();
  }

  // Points the tape at these arguments; false where they or what is guarded have changed.
  bool prepare(nb::handle args, nb::handle kwargs, std::vector<TensorObject*>& found) {
    if (!fits(arguments_, args.ptr(), found) || !fits(keywords_, kwargs.ptr(), found) || !guards_hold() || !gradients_free()) return false;
    for (const Gradient& g : gradients_in_) {
      auto* t = reinterpret_cast<TensorObject*>(g.tensor.ptr());
      if (!present(t->grad)) return false;
      auto* grad = reinterpret_cast<TensorObject*>(t->grad);
      if (!same_layout(reinterpret_cast<PyArrayObject*>(grad->array), array(g.array)) || grad->rg) return false;
    }
    for (std::size_t i = 0; i < found.size(); ++i) tape_->shift(static_cast<int>(i), PyArray_BYTES(reinterpret_cast<PyArrayObject*>(found[i]->array)));
    for (const Gradient& g : gradients_in_) {
      auto* grad = reinterpret_cast<TensorObject*>(reinterpret_cast<TensorObject*>(g.tensor.ptr())->grad);
      tape_->shift(g.number, PyArray_BYTES(reinterpret_cast<PyArrayObject*>(grad->array)));
    }
    return true;
  }

  nb::object call(nb::handle args, nb::handle kwargs) {
    std::vector<TensorObject*> found;
    if (busy_ || !prepare(args, kwargs, found)) return nb::borrow(Py_NotImplemented);
    busy_ = true;
    struct Free {
      bool& flag;
      ~Free() { flag = false; }
    } free{busy_};
    std::vector<nb::object> fresh;
    reserve(result_, fresh);
    const int ran = tape_->run(segment);
    if (ran < 0) nb::raise_python_error();
    if (ran > 0) return nb::borrow(Py_NotImplemented);
    apply(last_stage_);
    for (const auto& [tensor, by] : bumps_) bump_now(reinterpret_cast<TensorObject*>(tensor.ptr()), by);
    ++calls_;
    std::size_t next = 0;
    return build(result_, found, fresh, next);
  }

 public:
  long calls_ = 0;
  int segment = -1;  // what a call runs, see Tape::run

 private:
  struct Watched {
    nb::object tensor, array;
    bool rg;
    nb::object node;
    bool grad = false, grad_there = false;  // whether it matters that there is a gradient
  };
  struct Entries {
    nb::object owner;
    std::vector<std::pair<nb::object, nb::object>> items;
  };
  struct Gradient {
    nb::object tensor, array;
    int number;
  };

  static void bump_now(TensorObject* t, int by) {
    long before = 0;
    if (present(t->vc)) before = PyLong_AsLong(PyList_GET_ITEM(t->vc, 0));
    PyObject* after = PyLong_FromLong(before + by);
    if (present(t->vc)) {
      PyList_SetItem(t->vc, 0, after);
    } else {
      PyObject* counter = PyList_New(1);
      PyList_SET_ITEM(counter, 0, after);
      Py_XSETREF(t->vc, counter);
    }
  }

  // New memory for the results that chains write at once.
  void reserve(const Shape& s, std::vector<nb::object>& fresh) {
    if (s.kind == Shape::kTensor && s.number >= 0) {
      nb::object made = nb::steal(PyArray_NewLikeArray(array(s.object), NPY_KEEPORDER, nullptr, 0));
      if (!made.is_valid()) nb::raise_python_error();
      tape_->rebase(s.number, PyArray_BYTES(array(made)));
      fresh.push_back(made);
    }
    for (const Shape& part : s.parts) reserve(part, fresh);
  }

  nb::object build(const Shape& s, const std::vector<TensorObject*>& found, std::vector<nb::object>& fresh, std::size_t& next) {
    switch (s.kind) {
      case Shape::kTensor: {
        nb::object made = s.number >= 0 ? fresh[next++] : nb::steal(PyArray_NewCopy(array(s.object), NPY_KEEPORDER));
        if (!made.is_valid()) nb::raise_python_error();
        nb::object tensor = nb::steal(make_tensor(made.ptr(), s.type.ptr()));
        if (!tensor.is_valid()) nb::raise_python_error();
        if (!s.format.is_none()) Py_XSETREF(reinterpret_cast<TensorObject*>(tensor.ptr())->format, nb::object(s.format).release().ptr());
        return tensor;
      }
      case Shape::kNumber: {
        nb::object number = nb::steal(PyArray_GETITEM(array(s.object), PyArray_BYTES(array(s.object))));
        if (!number.is_valid()) nb::raise_python_error();
        return number;
      }
      case Shape::kArgument: return nb::borrow(reinterpret_cast<PyObject*>(found[static_cast<std::size_t>(s.number)]));
      case Shape::kTuple:
      case Shape::kList: {
        nb::list parts;
        for (const Shape& part : s.parts) parts.append(build(part, found, fresh, next));
        return s.kind == Shape::kTuple ? nb::object(nb::tuple(parts)) : nb::object(parts);
      }
      case Shape::kDict: {
        nb::dict made;
        for (std::size_t i = 0; i < s.parts.size(); ++i) made[s.keys[i]] = build(s.parts[i], found, fresh, next);
        return made;
      }
      default: return s.object;
    }
  }

  nb::object tape_object_;
  Tape* tape_;
  Shape arguments_, keywords_, result_;
  std::vector<Watched> tensors_;
  std::vector<Entries> dicts_, lists_, cells_, items_, attributes_, equal_;
  std::vector<Gradient> gradients_in_, gradients_out_;
  std::vector<std::pair<nb::object, int>> bumps_;
  int last_stage_ = -1;
  bool busy_ = false;
};

}  // namespace

void bind_plan(nb::module_& m) {
  nb::class_<Plan>(m, "Plan", "A recorded step with its guards and its effects.")
      .def(nb::init<nb::object, nb::handle, nb::handle>())
      .def("guard_tensor", &Plan::guard_tensor)
      .def("guard_grad", &Plan::guard_grad)
      .def("guard_dict", &Plan::guard_dict)
      .def("guard_list", &Plan::guard_list)
      .def("guard_cell", &Plan::guard_cell)
      .def("guard_item", &Plan::guard_item)
      .def("guard_attribute", &Plan::guard_attribute)
      .def("guard_equal", &Plan::guard_equal)
      .def("input_gradient", &Plan::input_gradient)
      .def("set_gradient", &Plan::set_gradient, nb::arg("tensor"), nb::arg("array").none(), nb::arg("stage"))
      .def("apply", &Plan::apply)
      .def("bump", &Plan::bump)
      .def("result", &Plan::result)
      .def("guards_hold", [](const Plan& p) { return p.guards_hold(); })
      .def("unchanged", [](const Plan& p) { return p.guards_hold(false); })
      .def("matches", &Plan::matches)
      .def("prepare", [](Plan& p, nb::handle args, nb::handle kwargs) {
        std::vector<TensorObject*> found;
        return p.prepare(args, kwargs, found);
      })
      .def_rw("segment", &Plan::segment)
      .def_prop_ro("calls", [](const Plan& p) { return p.calls_; })
      .def("call", &Plan::call);
}

}  // namespace rushlight

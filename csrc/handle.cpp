// The fields of tensors and graph nodes, and the three functions that every recorded operation calls.
//
// The tape itself is Python. These few lines are what it does most: a tensor object costs 0.08 us here against 0.23 us
// as a plain Python object, a node's place in the graph 0.15 us against 0.5 us. rushlight/handle.py is the same in
// Python, for the reference kernels, and says what each field means.
#include "handle.h"

#include <structmember.h>

namespace rushlight {

PyTypeObject* tensor_base = nullptr;

namespace {

struct NodeObject {
  PyObject_HEAD
  PyObject *edges, *edge_outputs, *saved, *versions, *hooks;
  long long seq;
};

PyObject* tensor_type = nullptr;
PyObject* refresh_name = nullptr;
long long last_seq = 0;

bool present(PyObject* field) { return field && field != Py_None; }

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
  auto* t = reinterpret_cast<TensorObject*>(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(t->array);
  Py_VISIT(t->node);
  Py_VISIT(t->vc);
  Py_VISIT(t->base);
  Py_VISIT(t->grad);
  Py_VISIT(t->format);
  return 0;
}

int tensor_clear(PyObject* self) {
  auto* t = reinterpret_cast<TensorObject*>(self);
  Py_CLEAR(t->array);
  Py_CLEAR(t->node);
  Py_CLEAR(t->vc);
  Py_CLEAR(t->base);
  Py_CLEAR(t->grad);
  Py_CLEAR(t->format);
  return 0;
}

int node_traverse(PyObject* self, visitproc visit, void* arg) {
  auto* n = reinterpret_cast<NodeObject*>(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(n->edges);
  Py_VISIT(n->edge_outputs);
  Py_VISIT(n->saved);
  Py_VISIT(n->versions);
  Py_VISIT(n->hooks);
  return 0;
}

int node_clear(PyObject* self) {
  auto* n = reinterpret_cast<NodeObject*>(self);
  Py_CLEAR(n->edges);
  Py_CLEAR(n->edge_outputs);
  Py_CLEAR(n->saved);
  Py_CLEAR(n->versions);
  Py_CLEAR(n->hooks);
  return 0;
}

// Instances are always of Python subclasses, whose own deallocation keeps long chains from recursing.
template <int (*Clear)(PyObject*)> void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* node_new(PyTypeObject* type, PyObject*, PyObject*) {
  auto* n = reinterpret_cast<NodeObject*>(type->tp_alloc(type, 0));
  if (!n) return nullptr;
  n->edges = PyTuple_New(0);
  n->saved = PyTuple_New(0);
  return reinterpret_cast<PyObject*>(n);
}

#define FIELD(type, name, field) \
  { name, T_OBJECT, offsetof(type, field), 0, nullptr }

PyMemberDef tensor_members[] = {
    FIELD(TensorObject, "_array", array),
    FIELD(TensorObject, "_node", node),
    FIELD(TensorObject, "_vc", vc),
    FIELD(TensorObject, "_base", base),
    FIELD(TensorObject, "_grad", grad),
    FIELD(TensorObject, "_format", format),
    {"_nr", T_INT, offsetof(TensorObject, nr), 0, nullptr},
    {"_rg", T_BOOL, offsetof(TensorObject, rg), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyMemberDef node_members[] = {
    FIELD(NodeObject, "edges", edges),
    FIELD(NodeObject, "edge_outputs", edge_outputs),
    FIELD(NodeObject, "saved", saved),
    FIELD(NodeObject, "versions", versions),
    FIELD(NodeObject, "hooks", hooks),
    {"seq", T_LONGLONG, offsetof(NodeObject, seq), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

template <class F> void* slot(F* f) { return reinterpret_cast<void*>(f); }

PyType_Slot tensor_slots[] = {
    {Py_tp_new, slot(PyType_GenericNew)},
    {Py_tp_traverse, slot(tensor_traverse)},
    {Py_tp_clear, slot(tensor_clear)},
    {Py_tp_dealloc, slot(dealloc<tensor_clear>)},
    {Py_tp_members, tensor_members},
    {0, nullptr},
};

PyType_Slot node_slots[] = {
    {Py_tp_new, slot(node_new)},
    {Py_tp_traverse, slot(node_traverse)},
    {Py_tp_clear, slot(node_clear)},
    {Py_tp_dealloc, slot(dealloc<node_clear>)},
    {Py_tp_members, node_members},
    {0, nullptr},
};

constexpr unsigned kFlags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC;
PyType_Spec tensor_spec = {"rushlight._native.TensorBase", sizeof(TensorObject), 0, kFlags, tensor_slots};
PyType_Spec node_spec = {"rushlight._native.NodeBase", sizeof(NodeObject), 0, kFlags, node_slots};

// wrap(array, cls=Tensor)
PyObject* wrap(PyObject*, PyObject* const* args, Py_ssize_t count) {
  auto* type = reinterpret_cast<PyTypeObject*>(count > 1 ? args[1] : tensor_type);
  if (count < 1 || !type || !PyType_IsSubtype(type, tensor_base)) {
    PyErr_SetString(PyExc_TypeError, "wrap(): expected an array and a tensor class");
    return nullptr;
  }
  PyObject* array = args[0];
  if (PyArray_CheckExact(array)) {
    Py_INCREF(array);
  } else {  // a number, or an array without data (rushlight/phantom.py), which stays what it is
    array = PyArray_FromAny(array, nullptr, 0, 0, 0, nullptr);
    if (!array) return nullptr;
  }
  auto* t = reinterpret_cast<TensorObject*>(type->tp_alloc(type, 0));
  if (!t) {
    Py_DECREF(array);
    return nullptr;
  }
  t->array = array;
  return reinterpret_cast<PyObject*>(t);
}

TensorObject* as_tensor(PyObject* object) {
  if (PyObject_TypeCheck(object, tensor_base)) return reinterpret_cast<TensorObject*>(object);
  PyErr_Format(PyExc_TypeError, "expected a Tensor, got %s", Py_TYPE(object)->tp_name);
  return nullptr;
}

// Where the gradient of a tensor goes (a new reference), or null with an error.
PyObject* edge_of(PyObject* object) {
  TensorObject* t = as_tensor(object);
  if (!t) return nullptr;
  if (!t->rg) Py_RETURN_NONE;
  if (present(t->base)) {
    PyObject* done = PyObject_CallMethodNoArgs(object, refresh_name);
    if (!done) return nullptr;
    Py_DECREF(done);
  }
  PyObject* target = present(t->node) ? t->node : object;
  Py_INCREF(target);
  return target;
}

PyObject* edge(PyObject*, PyObject* object) { return edge_of(object); }

// connect(node, inputs): number a new node and set its edges.
PyObject* connect(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "connect(): expected a node and its inputs");
    return nullptr;
  }
  PyObject* inputs = PySequence_Fast(args[1], "connect(): expected a sequence of tensors");
  if (!inputs) return nullptr;
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(inputs);
  PyObject* edges = PyTuple_New(n);
  bool numbered = false;
  for (Py_ssize_t i = 0; edges && i < n; ++i) {
    PyObject* input = PySequence_Fast_GET_ITEM(inputs, i);
    PyObject* target = input == Py_None ? Py_NewRef(input) : edge_of(input);
    if (!target) {
      Py_CLEAR(edges);
      break;
    }
    if (input != Py_None) numbered |= reinterpret_cast<TensorObject*>(input)->nr != 0;
    PyTuple_SET_ITEM(edges, i, target);
  }
  PyObject* numbers = nullptr;
  if (edges && numbered) {
    numbers = PyTuple_New(n);
    for (Py_ssize_t i = 0; numbers && i < n; ++i) {
      PyObject* input = PySequence_Fast_GET_ITEM(inputs, i);
      PyTuple_SET_ITEM(numbers, i,
                       PyLong_FromLong(input == Py_None ? 0 : reinterpret_cast<TensorObject*>(input)->nr));
    }
  }
  Py_DECREF(inputs);
  if (!edges) return nullptr;
  auto* node = reinterpret_cast<NodeObject*>(args[0]);
  Py_XSETREF(node->edges, edges);
  if (numbers) Py_XSETREF(node->edge_outputs, numbers);
  node->seq = ++last_seq;
  return Py_NewRef(args[0]);
}

PyObject* tick(PyObject*, PyObject*) { return PyLong_FromLongLong(++last_seq); }

PyObject* set_tensor_type(PyObject*, PyObject* type) {
  tensor_type = Py_NewRef(type);
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"wrap", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(wrap)), METH_FASTCALL, nullptr},
    {"edge", edge, METH_O, nullptr},
    {"connect", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(connect)), METH_FASTCALL, nullptr},
    {"tick", tick, METH_NOARGS, nullptr},
    {"set_tensor_type", set_tensor_type, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

PyObject* make_tensor(PyObject* array, PyObject* type) {
  PyObject* const args[] = {array, type};
  return wrap(nullptr, args, type ? 2 : 1);
}

void bind_handle(nb::module_& m) {
  refresh_name = PyUnicode_InternFromString("_refresh");
  PyObject* tensor = PyType_FromSpec(&tensor_spec);
  PyObject* node = PyType_FromSpec(&node_spec);
  if (!refresh_name || !tensor || !node || PyModule_AddFunctions(m.ptr(), functions) < 0) nb::raise_python_error();
  tensor_base = reinterpret_cast<PyTypeObject*>(tensor);
  m.attr("TensorBase") = nb::steal(tensor);
  m.attr("NodeBase") = nb::steal(node);
}

}  // namespace rushlight

// Kernel: a callable that tries native code and otherwise calls the reference kernel with the same arguments.
// A plain vectorcall object: a call on four numbers costs a third of a microsecond.
#pragma once

#include "common.h"

namespace rushlight {

struct Kernel;

// One call's arguments by position; those given by name are put in their places.
struct Call {
  const Kernel& kernel;
  PyObject* const* args;  // null where absent
  int count;              // places filled or passed over
  PyObject* operator[](int i) const { return i < count ? args[i] : nullptr; }
};

// Returns the result, or null: with an exception set, or without one where native code does not cover the call.
using Attempt = PyObject* (*)(const Call& call);

constexpr int kMaxArgs = 16;

struct Kernel {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  Attempt attempt;
  int op;               // what `attempt` makes of it
  int option;           // likewise
  int out;              // the place of the parameter `out`, or -1
  bool widens;          // operands of 16 bits may be given to `attempt` as float32
  PyObject* name;       // str
  PyObject* doc;        // str or None
  PyObject* fallback;   // the reference kernel
  PyObject* parameters; // tuple of names, interned
};

// No `attempt`: the kernel is the reference, but for operands of 16 bits. `option` tells kernels apart that share an attempt; `fallback` gives the name, the doc and the names of parameters,
// after which comes `out` where the kernel takes it.
nb::object make_kernel(Attempt attempt, int op, int option, nb::handle fallback, bool takes_out, bool widens);

// A NumPy array (no subclass), or null.
inline PyArrayObject* as_array(PyObject* o) {
  return o && Py_TYPE(o) == &PyArray_Type ? reinterpret_cast<PyArrayObject*>(o) : nullptr;
}

// Whether `o` is a Python number, and its value.
inline bool number(PyObject* o, double& value) {
  if (PyFloat_CheckExact(o)) {
    value = PyFloat_AS_DOUBLE(o);
    return true;
  }
  if (!PyLong_CheckExact(o)) return false;
  value = PyLong_AsDouble(o);
  if (value == -1.0 && PyErr_Occurred()) {
    PyErr_Clear();
    return false;
  }
  return true;
}

// 0 for float32, 1 for float64, -1 for any other type.
inline int float_kind(const PyArrayObject* a) {
  const int type = PyArray_DESCR(const_cast<PyArrayObject*>(a))->type_num;
  return type == NPY_FLOAT ? 0 : type == NPY_DOUBLE ? 1 : -1;
}

// Native byte order and aligned: what loops may read.
inline bool readable(const PyArrayObject* a) {
  return PyArray_ISALIGNED(a) && PyDataType_ISNOTSWAPPED(PyArray_DESCR(const_cast<PyArrayObject*>(a)));
}

}  // namespace rushlight

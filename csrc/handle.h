// The fields of a tensor; rushlight/handle.py says what each one means.
#pragma once

#include "common.h"

namespace rushlight {

struct TensorObject {
  PyObject_HEAD
  PyObject *array, *node, *vc, *base, *grad, *format;
  int nr;
  char rg;
};

extern PyTypeObject* tensor_base;

// A tensor on an array, of the given class or of class Tensor. A new reference, or null with an exception.
PyObject* make_tensor(PyObject* array, PyObject* type = nullptr);

inline TensorObject* tensor_or_null(PyObject* o) {
  return PyObject_TypeCheck(o, tensor_base) ? reinterpret_cast<TensorObject*>(o) : nullptr;
}

}  // namespace rushlight

#include "nn_arrays.h"

namespace rushlight {
bool is_channels_last(nb::handle x) {
  PyArrayObject* a = array(x);
  const int nd = PyArray_NDIM(a);
  if (nd < 2) return false;
  npy_intp expected = PyArray_ITEMSIZE(a);
  const auto matches = [&](int axis) {
    const npy_intp n = PyArray_DIM(a, axis);
    if (n != 1 && PyArray_STRIDE(a, axis) != expected) return false;
    expected *= n;
    return true;
  };
  if (!matches(1)) return false;
  for (int axis = nd - 1; axis >= 2; --axis)
    if (!matches(axis)) return false;
  return matches(0);
}

nb::object new_array(int nd, const npy_intp* dims, int type, bool channels_last) {
  PyArray_Descr* descr = PyArray_DescrFromType(type);
  if (!descr) nb::raise_python_error();
  npy_intp strides[NPY_MAXDIMS];
  if (channels_last && nd > 2) {
    npy_intp step = PyDataType_ELSIZE(descr);
    strides[1] = step;
    step *= dims[1];
    for (int axis = nd - 1; axis >= 2; step *= dims[axis], --axis) strides[axis] = step;
    strides[0] = step;
  }
  PyObject* result = PyArray_NewFromDescr(&PyArray_Type, descr, nd, const_cast<npy_intp*>(dims),
                                          channels_last && nd > 2 ? strides : nullptr, nullptr, 0, nullptr);
  if (!result) nb::raise_python_error();
  return nb::steal(result);
}

nb::object copy_of(nb::handle x) {
  PyObject* result = PyArray_NewCopy(array(x), NPY_CORDER);
  if (!result) nb::raise_python_error();
  return nb::steal(result);
}

nb::object dense(nb::handle x) {
  return is_contiguous(x) || is_channels_last(x) ? nb::borrow(x) : copy_of(x);
}

nb::object in_layout(nb::handle x, bool channels_last) {
  if (channels_last ? is_channels_last(x) : is_contiguous(x)) return nb::borrow(x);
  if (!channels_last) return copy_of(x);
  nb::object result = new_array(ndim(x), PyArray_DIMS(array(x)), PyArray_TYPE(array(x)), true);
  if (PyArray_CopyInto(array(result), array(x)) < 0) nb::raise_python_error();
  return result;
}

std::vector<i64> integers(nb::handle tuple) {
  if (!PyTuple_Check(tuple.ptr())) throw nb::type_error("expected a tuple of integers");
  std::vector<i64> result(static_cast<size_t>(PyTuple_GET_SIZE(tuple.ptr())));
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(i)));
    if (result[i] == -1 && PyErr_Occurred()) nb::raise_python_error();
  }
  return result;
}

bool is_vector(nb::handle h, int type, i64 n) {
  return has_type(h, type) && ndim(h) == 1 && dim(h, 0) == n && is_contiguous(h);
}

}  // namespace rushlight

// Conversions between float32 and the 16-bit types, and calls of float32 kernels for operands of 16 bits.
#include "lowprec.h"

#include <algorithm>

#include "layout.h"
#include "levels.h"
#include "pool.h"

namespace rushlight {

int bfloat16_type = -1;

RUSHLIGHT_LEVELS(LowLoops, low_table)
const LowLoops& low_loops() {
  static const LowLoops& table = RUSHLIGHT_PICK(low_table);
  return table;
}

namespace {

// Two arrays with gaps (a slice, say) as runs of elements that lie side by side in both.
struct Runs {
  int axes = 0;  // outside a run, the innermost last
  std::int64_t size[kMaxDims], count = 1, length = 1;
  npy_intp in[kMaxDims], out[kMaxDims];

  // A length of 0 where the innermost axis has gaps itself.
  Runs(PyArrayObject* to, PyArrayObject* from) {
    int order[kMaxDims];
    memory_order(from, order);
    bool inside = true;
    for (int k = PyArray_NDIM(to) - 1; k >= 0; --k) {
      const int i = order[k];
      const std::int64_t n = PyArray_DIM(to, i);
      if (n == 1) continue;
      const npy_intp a = PyArray_STRIDE(from, i), b = PyArray_STRIDE(to, i);
      inside = inside && a == PyArray_ITEMSIZE(from) * length && b == PyArray_ITEMSIZE(to) * length;
      if (inside)
        length *= n;
      else
        size[axes] = n, in[axes] = a, out[axes] = b, count *= n, ++axes;
    }
    if (length == 1 && count > 1) length = 0;
    std::reverse(size, size + axes), std::reverse(in, in + axes), std::reverse(out, out + axes);
  }

  void place(std::int64_t run, npy_intp& from, npy_intp& to) const {
    for (int k = axes - 1; k >= 0; --k) {
      from += run % size[k] * in[k], to += run % size[k] * out[k];
      run /= size[k];
    }
  }
};

// An array of another type, its memory in the order of `like`.
nb::object like(PyArrayObject* like, PyArray_Descr* type) {
  const int nd = PyArray_NDIM(like);
  if (nd > kMaxDims) {
    Py_DECREF(type);
    return nb::object();
  }
  if (PyArray_IS_C_CONTIGUOUS(like)) return nb::steal(new_array(type, nd, PyArray_DIMS(like)));
  int order[kMaxDims];
  npy_intp strides[kMaxDims];
  memory_order(like, order);
  dense_strides(nd, PyArray_DIMS(like), order, PyDataType_ELSIZE(type), strides);
  return nb::steal(new_array(type, nd, PyArray_DIMS(like), strides));
}

// The results of a kernel: those in float32 become arrays of `type`; indices, truth values and numbers stay.
nb::object narrowed(nb::object result, int type) {
  if (PyTuple_CheckExact(result.ptr())) {
    nb::object all = nb::steal(PyTuple_New(PyTuple_GET_SIZE(result.ptr())));
    for (Py_ssize_t i = 0; all.is_valid() && i < PyTuple_GET_SIZE(result.ptr()); ++i) {
      nb::object one = narrowed(nb::borrow(PyTuple_GET_ITEM(result.ptr(), i)), type);
      if (!one.is_valid()) return one;
      PyTuple_SET_ITEM(all.ptr(), i, one.release().ptr());
    }
    return all;
  }
  PyArrayObject* a = as_array(result.ptr());
  return a && PyArray_TYPE(a) == NPY_FLOAT ? converted(a, type) : result;
}

// Writes a kernel's result into the array that the caller gave for it; false where the two don't go together.
bool put(PyObject* out, nb::object result) {
  PyArrayObject *to = as_array(out), *from = as_array(result.ptr());
  if (!to || !from || !same_shape(to, from) || !PyArray_ISWRITEABLE(to)) return false;
  return convert(to, from) || PyArray_CopyInto(to, from) == 0;
}

// The reference kernel on these arguments, of which only the last may be absent.
nb::object reference(const Kernel& kernel, PyObject* const* args, int count) {
  while (count && !args[count - 1]) --count;
  if (std::find(args, args + count, nullptr) != args + count) return nb::object();
  return nb::steal(PyObject_Vectorcall(kernel.fallback, args, static_cast<std::size_t>(count), nullptr));
}

}  // namespace

nb::object converted(PyArrayObject* a, int type) {
  nb::object made = like(a, PyArray_DescrFromType(type));
  if (!made.is_valid()) return made;
  if (!convert(array(made), a) && PyArray_CopyInto(array(made), a) < 0) return nb::object();
  return made;
}

bool convert(PyArrayObject* to, PyArrayObject* from) {
  const int widens = PyArray_TYPE(to) == NPY_FLOAT ? low_kind(from) : -1;
  const int narrows = PyArray_TYPE(from) == NPY_FLOAT ? low_kind(to) : -1;
  if ((widens < 0 && narrows < 0) || !readable(to) || !readable(from) || PyArray_NDIM(to) > kMaxDims) return false;
  if (!same_shape(to, from) || PyArray_DATA(to) == PyArray_DATA(from)) return false;
  char* const target = PyArray_BYTES(to);
  const char* const source = PyArray_BYTES(from);
  const LowLoops& loops = low_loops();
  const auto run = [&](const char* in, char* out, std::int64_t n) {
    if (widens >= 0)
      loops.widen[widens](reinterpret_cast<const std::uint16_t*>(in), reinterpret_cast<float*>(out), n);
    else
      loops.narrow[narrows](reinterpret_cast<const float*>(in), reinterpret_cast<std::uint16_t*>(out), n);
  };
  const npy_intp in_item = PyArray_ITEMSIZE(from), out_item = PyArray_ITEMSIZE(to);
  if (dense(to) && dense(from) && same_order(to, from)) {
    parallel_for(PyArray_SIZE(to), kGrain, [&](std::int64_t begin, std::int64_t end) {
      run(source + begin * in_item, target + begin * out_item, end - begin);
    });
    return true;
  }
  const Runs runs(to, from);
  if (!runs.length) return false;
  parallel_for(runs.count, std::max<std::int64_t>(1, kGrain / runs.length), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      npy_intp in = 0, out = 0;
      runs.place(r, in, out);
      run(source + in, target + out, runs.length);
    }
  });
  return true;
}

PyObject* attempt_widened(const Call& call) {
  const int out = call.kernel.out;
  int type = -1;
  for (int i = 0; i < call.count; ++i) {
    PyArrayObject* a = i == out ? nullptr : as_array(call.args[i]);
    if (!a) continue;
    const int own = PyArray_TYPE(a);
    if (own == NPY_FLOAT && PyArray_NDIM(a) == 0) continue;     // a number
    if (own == NPY_FLOAT || own == NPY_DOUBLE) return nullptr;  // of mixed types: not for native code
    if (low_kind(own) < 0) continue;
    if (type >= 0 && type != own) return nullptr;
    type = own;
  }
  if (type < 0) return nullptr;
  PyObject* args[kMaxArgs];
  nb::object kept[kMaxArgs];
  for (int i = 0; i < call.count; ++i) {
    args[i] = i == out ? nullptr : call.args[i];
    PyArrayObject* a = as_array(args[i]);
    if (!a || low_kind(a) < 0) continue;
    kept[i] = converted(a, NPY_FLOAT);
    if (!kept[i].is_valid()) return nullptr;
    args[i] = kept[i].ptr();
  }
  nb::object result;
  if (call.kernel.attempt) result = nb::steal(call.kernel.attempt({call.kernel, args, call.count}));
  if (!result.is_valid() && !PyErr_Occurred()) result = reference(call.kernel, args, call.count);
  if (!result.is_valid()) return nullptr;
  PyObject* target = out >= 0 ? call[out] : nullptr;
  if (target && target != Py_None) return put(target, result) ? Py_NewRef(target) : nullptr;
  return narrowed(result, type).release().ptr();
}

PyObject* cast_attempt(const Call& call) {
  PyArrayObject* a = as_array(call[0]);
  if (!a || !call[1] || !PyArray_DescrCheck(call[1]) || !readable(a)) return nullptr;
  const int wanted = reinterpret_cast<PyArray_Descr*>(call[1])->type_num;
  const bool covered = wanted == NPY_FLOAT ? low_kind(a) >= 0 : PyArray_TYPE(a) == NPY_FLOAT && low_kind(wanted) >= 0;
  return covered ? converted(a, wanted).release().ptr() : nullptr;
}

void bind_lowprec(nb::module_& m) {
  m.def("set_bfloat16", [](int type) { bfloat16_type = type; });
}

}  // namespace rushlight

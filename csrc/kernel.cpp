#include "kernel.h"

#include "arena.h"
#include "lowprec.h"

#include <structmember.h>

namespace rushlight {
namespace {

PyObject* call_fallback(const Kernel* k, PyObject* const* args, size_t nargsf, PyObject* names) {
  return PyObject_Vectorcall(k->fallback, args, nargsf, names);
}

// Puts arguments given by name in their places; false where a name is not known or given twice.
bool place(const Kernel* k, PyObject* const* args, Py_ssize_t given, PyObject* names, PyObject** placed, int& count) {
  const Py_ssize_t known = PyTuple_GET_SIZE(k->parameters);
  if (known > kMaxArgs || given > known) return false;
  for (Py_ssize_t i = 0; i < known; ++i) placed[i] = i < given ? args[i] : nullptr;
  count = static_cast<int>(given);
  for (Py_ssize_t j = 0; j < PyTuple_GET_SIZE(names); ++j) {
    PyObject* name = PyTuple_GET_ITEM(names, j);
    Py_ssize_t i = 0;
    while (i < known && PyTuple_GET_ITEM(k->parameters, i) != name) ++i;
    if (i == known || placed[i]) return false;
    placed[i] = args[given + j];
    if (i >= count) count = static_cast<int>(i) + 1;
  }
  return true;
}

PyObject* tried(const Call& call) {
  PyObject* result = call.kernel.attempt ? call.kernel.attempt(call) : nullptr;
  return result || !call.kernel.widens || PyErr_Occurred() ? result : attempt_widened(call);
}

PyObject* kernel_run(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
  const Kernel* k = reinterpret_cast<const Kernel*>(self);
  const Py_ssize_t given = PyVectorcall_NARGS(nargsf);
  PyObject* result;
  if (!names || PyTuple_GET_SIZE(names) == 0) {
    if (given > kMaxArgs) return call_fallback(k, args, nargsf, names);
    result = tried({*k, args, static_cast<int>(given)});
  } else {
    PyObject* placed[kMaxArgs];
    int count = 0;
    if (!place(k, args, given, names, placed, count)) return call_fallback(k, args, nargsf, names);
    result = tried({*k, placed, count});
  }
  if (result || PyErr_Occurred()) return result;
  return call_fallback(k, args, nargsf, names);
}

PyObject* kernel_call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
  if (arenas_in_use() && recording_here()) return record_call(kernel_run, self, args, nargsf, names);
  return kernel_run(self, args, nargsf, names);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Kernel* k = reinterpret_cast<Kernel*>(self);
  Py_VISIT(k->fallback);
  Py_VISIT(Py_TYPE(self));
  return 0;
}

int clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<Kernel*>(self)->fallback);
  return 0;
}

void dealloc(PyObject* self) {
  Kernel* k = reinterpret_cast<Kernel*>(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Py_XDECREF(k->name);
  Py_XDECREF(k->doc);
  Py_XDECREF(k->fallback);
  Py_XDECREF(k->parameters);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* repr(PyObject* self) { return PyUnicode_FromFormat("<kernel %U>", reinterpret_cast<Kernel*>(self)->name); }

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Kernel, vectorcall), READONLY, nullptr},
    {"__name__", T_OBJECT, offsetof(Kernel, name), READONLY, nullptr},
    {"__doc__", T_OBJECT, offsetof(Kernel, doc), READONLY, nullptr},
    {"reference", T_OBJECT, offsetof(Kernel, fallback), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_repr, reinterpret_cast<void*>(repr)},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {"rushlight._native.Kernel", sizeof(Kernel), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL, slots};

PyTypeObject* kernel_type() {
  static PyTypeObject* const type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return type;
}

}  // namespace

nb::object make_kernel(Attempt attempt, int op, int option, nb::handle fallback, bool takes_out, bool widens) {
  PyTypeObject* type = kernel_type();
  if (!type) nb::raise_python_error();
  nb::object signature = nb::module_::import_("inspect").attr("signature")(fallback);
  nb::object known = signature.attr("parameters");
  nb::object names = nb::steal(PySequence_List(known.ptr()));
  if (!names.is_valid()) nb::raise_python_error();
  nb::object out = nb::steal(PyUnicode_InternFromString("out"));
  if (takes_out && PySequence_Contains(names.ptr(), out.ptr()) == 0) PyList_Append(names.ptr(), out.ptr());
  nb::object parameters = nb::steal(PyList_AsTuple(names.ptr()));  // of interned names, as those at call sites are
  Kernel* k = PyObject_GC_New(Kernel, type);
  if (!k) nb::raise_python_error();
  k->vectorcall = kernel_call;
  k->attempt = attempt;
  k->op = op;
  k->option = option;
  k->out = takes_out ? static_cast<int>(PyTuple_GET_SIZE(parameters.ptr())) - 1 : -1;
  k->widens = widens;
  k->name = nb::object(fallback.attr("__name__")).release().ptr();
  k->doc = nb::object(fallback.attr("__doc__")).release().ptr();
  k->fallback = Py_NewRef(fallback.ptr());
  k->parameters = parameters.release().ptr();
  PyObject_GC_Track(reinterpret_cast<PyObject*>(k));
  return nb::steal(reinterpret_cast<PyObject*>(k));
}

}  // namespace rushlight

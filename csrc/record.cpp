// Recording a step, so that it can run again without Python's tape (replay.cpp).
//
// While a thread records, every call of a kernel leaves an entry: the callable, its arguments and its results, arrays by
// address and layout. What it allocates comes from the tape's arena, so that addresses stay ours.
//
// What can't be recorded leaves a reason: arrays that NumPy made from data outside any recorded call, results that are
// no arrays. The caller (rushlight/capture) then keeps to eager execution.
#include "tape.h"

#include <algorithm>
#include <cstring>

#include "kernel.h"
#include "layout.h"

namespace rushlight {
namespace {

enum Flags { kWritesArguments = 1, kRandom = 2 };

std::string frame_place() {
  if (!PyGILState_Check()) return "native code";
  PyFrameObject* frame = PyEval_GetFrame();
  if (!frame) return "native code";
  PyCodeObject* code = PyFrame_GetCode(frame);
  const char* file = PyUnicode_AsUTF8(code->co_filename);
  std::string place = std::string(file ? file : "?") + ":" + std::to_string(PyFrame_GetLineNumber(frame));
  Py_DECREF(code);
  return place;
}

std::string name_of(PyObject* callable) {
  nb::object name = nb::getattr(nb::handle(callable), "__name__", nb::none());
  return name.is_none() ? std::string(Py_TYPE(callable)->tp_name) : nb::cast<std::string>(nb::str(name));
}

bool plain(PyObject* o) {
  return o == Py_None || PyFloat_CheckExact(o) || PyLong_CheckExact(o) || PyBool_Check(o) || PyUnicode_CheckExact(o) ||
         PyBytes_CheckExact(o) || PyComplex_CheckExact(o) || PyType_Check(o) || PyArray_DescrCheck(o) || PySlice_Check(o) ||
         PyFunction_Check(o) || PyCFunction_Check(o) || o == Py_Ellipsis;
}

void release_arena(PyObject* capsule) { static_cast<Arena*>(PyCapsule_GetPointer(capsule, "rushlight_arena"))->release(); }

}  // namespace

thread_local Here here;

void* arena_allocate(std::size_t bytes) {
  if (here.doing == Here::kOff) return nullptr;
  Tape& t = *here.tape;
  if (here.doing == Here::kReplay) {
    if (!t.current || t.next_block >= t.current->blocks.size()) return nullptr;
    ArenaBlock* block = t.arena->blocks()[static_cast<std::size_t>(t.current->blocks[t.next_block])];
    if (-1 - block->pool.size != pool_class(bytes)) return nullptr;
    ++t.next_block;
    ++block->held;
    t.arena->keep();
    return block->data();
  }
  ArenaBlock* block = t.arena->take(bytes);
  if (!block) return nullptr;
  block->outside = !t.inside;
  block->constant = t.making_constant;
  if (t.making_constant) {  // constants have their memory to themselves
    ++block->held;
    t.arena->keep();
    t.pinned.push_back(block);
    t.made_[block->index] = 0;
  }
  if (t.current) t.current->blocks.push_back(block->index);
  if (block->outside && !block->constant) {
    t.outside_places[block->index] = frame_place();
    t.last_outside = block->index;
    t.last_bytes = bytes;
  }
  return block->data();
}

bool recording_here() { return here.doing == Here::kRecord && !here.tape->inside; }

PyObject* record_call(vectorcallfunc run, PyObject* callable, PyObject* const* args, size_t nargsf, PyObject* names) {
  const Kernel* k = reinterpret_cast<const Kernel*>(callable);
  const char* name = PyUnicode_AsUTF8(k->name);
  const std::size_t length = name ? std::strlen(name) : 0;
  const bool writes = name && (!std::strcmp(name, "copy") || (length > 5 && !std::strcmp(name + length - 5, "_step")));
  return here.tape->call(run, callable, args, nargsf, names, writes ? kWritesArguments : 0);
}

void note_unary(UnaryLoop loop, const double* params, const char* x, char* out, std::int64_t n, std::int64_t x_item, std::int64_t out_item) {
  if (here.doing != Here::kRecord || !here.tape->current) return;
  here.tape->current->loops.push_back(
      {loop, nullptr, kBoth, {params[0], params[1], params[2]}, x, nullptr, out, n, x_item, 0, out_item, 0});
}

void note_binary(BinaryLoop loop, const double* params, const char* x, const char* y, char* out, std::int64_t n, std::int64_t x_item,
                 std::int64_t y_item, std::int64_t out_item, Mode mode) {
  if (here.doing != Here::kRecord || !here.tape->current) return;
  std::uint64_t number = 0;
  if (mode == kSecondSingle) std::memcpy(&number, y, static_cast<std::size_t>(y_item));
  if (mode == kFirstSingle) std::memcpy(&number, x, static_cast<std::size_t>(x_item));
  here.tape->current->loops.push_back(
      {nullptr, loop, mode, {params[0], params[1], params[2]}, x, y, out, n, x_item, y_item, out_item, number});
}

Span span_of(PyArrayObject* a) {
  const char *low = PyArray_BYTES(a), *high = low + PyArray_ITEMSIZE(a);
  for (int i = 0; i < PyArray_NDIM(a); ++i) {
    if (PyArray_DIM(a, i) == 0) return {low, low};
    const npy_intp reach = PyArray_STRIDE(a, i) * (PyArray_DIM(a, i) - 1);
    (reach < 0 ? low : high) += reach;
  }
  return {low, high};
}

namespace {

std::uint64_t digest(const char* p, const char* end) {
  std::uint64_t h = 1469598103934665603ull;
  for (; p + 8 <= end; p += 8) {
    std::uint64_t w;
    std::memcpy(&w, p, 8);
    h = (h ^ w) * 1099511628211ull;
    h ^= h >> 29;
  }
  for (; p < end; ++p) h = (h ^ static_cast<unsigned char>(*p)) * 1099511628211ull;
  return h;
}

std::uint64_t digest(const ArenaBlock* block) {
  const char* data = const_cast<ArenaBlock*>(block)->data();
  return digest(data, data + block->bytes());
}

}  // namespace

Tape::Tape() : arena(new Arena) {
  holder_ = nb::steal(PyCapsule_New(arena, "rushlight_arena", release_arena));
  arena->keep();
}

Tape::~Tape() {
  for (ArenaBlock* block : pinned) arena->give(block);
  arena->release();
}

void Tape::begin() {
  here = {this, Here::kRecord};
  ++arena_users;
}

void Tape::end() {
  here = {nullptr, Here::kOff};
  --arena_users;
  arena->reuse = false;
  gather_writes();
}

nb::object Tape::alias(PyArrayObject* a) {
  const int nd = PyArray_NDIM(a);
  const void* data = PyArray_DATA(a);
  const int type = PyArray_TYPE(a), writeable = PyArray_ISWRITEABLE(a);
  std::string key(reinterpret_cast<const char*>(&data), sizeof data);
  key.append(reinterpret_cast<const char*>(&type), sizeof type).append(writeable ? "w" : "r");
  if (nd) {
    key.append(reinterpret_cast<const char*>(PyArray_DIMS(a)), sizeof(npy_intp) * static_cast<std::size_t>(nd));
    key.append(reinterpret_cast<const char*>(PyArray_STRIDES(a)), sizeof(npy_intp) * static_cast<std::size_t>(nd));
  }
  nb::object& found = aliases_[key];
  if (!found.is_valid()) found = stand_in(nb::handle(reinterpret_cast<PyObject*>(a)), false);
  return found;
}

// An array of the same memory and layout that doesn't hold the memory, or holds all of the arena's.
nb::object Tape::stand_in(nb::handle h, bool owning) {
  PyArrayObject* a = array(h);
  PyArray_Descr* descr = PyArray_DESCR(a);
  Py_INCREF(descr);
  nb::object made = nb::steal(PyArray_NewFromDescr(&PyArray_Type, descr, PyArray_NDIM(a), PyArray_DIMS(a), PyArray_STRIDES(a),
                                                   PyArray_DATA(a), PyArray_ISWRITEABLE(a) ? NPY_ARRAY_WRITEABLE : 0, nullptr));
  if (!made.is_valid()) nb::raise_python_error();
  if (owning) {
    nb::object holder = holder_;
    if (PyArray_SetBaseObject(array(made), holder.release().ptr()) < 0) nb::raise_python_error();
  }
  return made;
}

bool Tape::constant_at(const char* data) const {
  const ArenaBlock* block = arena->at(data);
  return block && block->constant;
}

// Before a call: what constants among its arguments hold when they are first used is what replays will give them.
void Tape::first_use(PyObject* o) {
  if (PyArray_CheckExact(o)) {
    ArenaBlock* block = arena->at(span_of(reinterpret_cast<PyArrayObject*>(o)).low);
    if (!block || !block->outside || !block->constant) return;
    if (std::any_of(constants.begin(), constants.end(), [&](const Constant& c) { return c.block == block->index; })) return;
    const auto made = made_.find(block->index);
    if (made != made_.end() && made->second != digest(block)) fail("NumPy wrote into an array outside the kernels");
    constants.push_back({block->index, static_cast<int>(entries.size()), {block->data(), block->data() + block->bytes()}});
  } else if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) first_use(PySequence_Fast_GET_ITEM(o, i));
  }
}

// An argument as replays will pass it.
nb::object Tape::prepare(PyObject* o, Entry& e, bool writes, bool& all_constant, bool top) {
  if (PyArray_CheckExact(o)) {
    PyArrayObject* a = reinterpret_cast<PyArrayObject*>(o);
    half = half || PyArray_TYPE(a) == NPY_HALF;
    if (PyDataType_REFCHK(PyArray_DESCR(a))) fail("arrays of Python objects");
    const Span span = span_of(a);
    if (span.low != span.high) {
      ArenaBlock* block = arena->at(span.low);
      if (!block) {
        all_constant = false;
        if (external_ids.insert(o).second) externals.push_back(nb::borrow(o));
      } else if (block->outside && !block->constant) {
        fail("NumPy made an array outside the kernels, at " + outside_places[block->index]);
      } else {
        all_constant = all_constant && block->constant;
      }
      e.reads.push_back(span);
      if (writes) e.writes.push_back(span);
    }
    if (top) {
      bool covered = false;
      for (const Loop& l : e.loops) covered = covered || PyArray_DATA(a) == l.x || PyArray_DATA(a) == l.y || PyArray_DATA(a) == l.out;
      if (!covered) e.uncovered.push_back(PyArray_SIZE(a) == 1 ? PyArray_BYTES(a) : nullptr);
    } else {
      e.uncovered.push_back(nullptr);
    }
    return alias(a);
  }
  if (plain(o)) return nb::borrow(o);
  if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
    nb::list parts;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i)
      parts.append(prepare(PySequence_Fast_GET_ITEM(o, i), e, writes, all_constant, false));
    return PyTuple_CheckExact(o) ? nb::object(nb::tuple(parts)) : nb::object(parts);
  }
  if (std::string(Py_TYPE(o)->tp_name).find("MT19937") == std::string::npos)
    fail(std::string("a kernel's argument of type ") + Py_TYPE(o)->tp_name);
  return nb::borrow(o);
}

// Notes the arrays of a result; false where there is something else in it.
bool Tape::collect(PyObject* o, Entry& e) {
  if (o == Py_None) return true;
  if (PyArray_CheckExact(o)) {
    PyArrayObject* a = reinterpret_cast<PyArrayObject*>(o);
    const Span span = span_of(a);
    ArenaBlock* block = arena->at(span.low);
    if (span.low != span.high) e.writes.push_back(span);
    if (span.low != span.high && !block && external_ids.count(o) == 0 && external_ids.insert(o).second) externals.push_back(nb::borrow(o));
    e.results.push_back(alias(a));
    return true;
  }
  if (PyFloat_CheckExact(o) || PyLong_CheckExact(o) || PyBool_Check(o) || PyArray_IsScalar(o, Generic)) {
    e.numbers.push_back(nb::borrow(o));
    return true;
  }
  if (!PyTuple_Check(o) && !PyList_Check(o)) return false;
  bool good = true;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) good = collect(PySequence_Fast_GET_ITEM(o, i), e) && good;
  return good;
}

PyObject* Tape::call(vectorcallfunc run, PyObject* callable, PyObject* const* args, size_t nargsf, PyObject* names, int flags) {
  if (entries.size() > 200000) fail("more than 200000 calls");
  Entry e;
  const Py_ssize_t count = PyVectorcall_NARGS(nargsf) + (names ? PyTuple_GET_SIZE(names) : 0);
  for (Py_ssize_t i = 0; i < count; ++i) first_use(args[i]);
  inside = true;
  current = &e;
  PyObject* result = run ? run(callable, args, nargsf, names) : PyObject_Vectorcall(callable, args, nargsf, names);
  inside = false;
  current = nullptr;
  if (!result) {
    fail(name_of(callable) + " raised an error");
    return nullptr;
  }
  if (!reason.empty()) return result;
  e.callable = nb::borrow(callable);
  e.run = run;
  if (names) e.names = nb::borrow(names);
  bool all_constant = !(flags & kRandom);
  for (Py_ssize_t i = 0; i < count; ++i) e.args.push_back(prepare(args[i], e, flags & kWritesArguments, all_constant, true));
  if (flags & kRandom) {
    if (stream_.is_valid() && !stream_.is(nb::handle(args[0]))) fail("it draws from two generators");
    stream_ = nb::borrow(args[0]);
  }
  settle(e, result, all_constant);
  return result;
}

void Tape::settle(Entry& e, PyObject* result, bool all_constant) {
  if (!collect(result, e)) fail(name_of(e.callable.ptr()) + " returns something else than arrays");
  for (const Span& w : e.writes) {
    ArenaBlock* block = arena->at(w.low);
    if (!block) continue;
    if (!block->outside || !all_constant) block->constant = all_constant && (block->constant || !block->outside);
  }
  for (const Span& w : e.writes)
    if (ArenaBlock* block = arena->at(w.low)) block->outside = block->outside && block->constant;
  if (!e.numbers.empty()) {
    checks_numbers_ = true;
    if (std::any_of(entries.begin(), entries.end(), [](const Entry& other) { return other.python; }))
      fail(name_of(e.callable.ptr()) + " returns numbers after an optimizer's step");
  }
  const bool single = e.loops.size() == 1 && e.results.size() == 1;
  if (single) {
    PyArrayObject* r = array(e.results[0]);
    const Loop& l = e.loops[0];
    e.fusable = l.n > 0 && PyArray_BYTES(r) == l.out && PyArray_NBYTES(r) == l.n * l.out_item && dense(r);
  }
  entries.push_back(std::move(e));
}

// A call of NumPy without arrays among its arguments: its results are constants.
PyObject* Tape::constant(PyObject* callable, PyObject* args, PyObject* kwargs) {
  const bool before = making_constant;
  making_constant = true;
  PyObject* result = PyObject_Call(callable, args, kwargs);
  making_constant = before;
  if (!making_constant) remade_last();
  return result;
}

// NumPy made an array that holds the elements of another, in C order or (unless `in_order`) in that of its memory.
void Tape::copied(PyArrayObject* source, bool in_order) {
  if (last_outside < 0 || last_bytes != static_cast<std::size_t>(PyArray_NBYTES(source)) || !reason.empty()) return;
  ArenaBlock* block = arena->blocks()[static_cast<std::size_t>(last_outside)];
  last_outside = -1;
  nb::object target;
  {
    Switched off(nullptr, Here::kOff);
    nb::object plain_order = nb::steal(PyArray_NewCopy(source, NPY_CORDER)), kept_order = nb::steal(PyArray_NewCopy(source, NPY_KEEPORDER));
    if (!plain_order.is_valid() || !kept_order.is_valid()) nb::raise_python_error();
    const auto holds = [&](const nb::object& o) { return std::memcmp(PyArray_DATA(array(o)), block->data(), last_bytes) == 0; };
    const bool alike = same_order(array(plain_order), array(kept_order));
    nb::object layout;
    if (holds(plain_order) && (in_order || alike || !holds(kept_order)))
      layout = plain_order;
    else if (!in_order && holds(kept_order) && !holds(plain_order))
      layout = kept_order;
    if (!layout.is_valid()) return;
    PyArray_Descr* descr = PyArray_DESCR(source);
    Py_INCREF(descr);
    target = nb::steal(PyArray_NewFromDescr(&PyArray_Type, descr, PyArray_NDIM(source), PyArray_DIMS(source), PyArray_STRIDES(array(layout)),
                                            block->data(), NPY_ARRAY_WRITEABLE, nullptr));
    if (!target.is_valid()) nb::raise_python_error();
  }
  block->outside = false;
  static const nb::object* const copyto = new nb::object(nb::module_::import_("numpy").attr("copyto"));
  PyObject* const args[] = {target.ptr(), reinterpret_cast<PyObject*>(source)};
  nb::object done = nb::steal(call(nullptr, copyto->ptr(), args, 2, nullptr, 0));
  if (!done.is_valid()) nb::raise_python_error();
  if (reason.empty() && !entries.empty()) {
    Entry& e = entries.back();
    e.writes.push_back(span_of(array(target)));
    e.blocks.push_back(block->index);
  }
}

void Tape::remade_last() {
  for (auto& [index, known] : made_)
    if (!known) known = digest(arena->blocks()[static_cast<std::size_t>(index)]);
}

void Tape::remade(PyArrayObject* a) {
  const ArenaBlock* block = arena->at(PyArray_BYTES(a));
  if (block && made_.count(block->index)) made_[block->index] = digest(block);
}

// A call of NumPy on arrays. Without results of its own it leaves no entry; a number that it reads from data is refused.
PyObject* Tape::numpy(PyObject* callable, PyObject* args, PyObject* kwargs, int flags, bool data_shapes) {
  std::vector<PyObject*> given;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) given.push_back(PyTuple_GET_ITEM(args, i));
  nb::list keys;
  PyObject *key, *value;
  Py_ssize_t at = 0;
  bool has_out = false;
  while (PyDict_Next(kwargs, &at, &key, &value)) {
    keys.append(nb::handle(key));
    given.push_back(value);
    has_out = has_out || PyUnicode_CompareWithASCIIString(key, "out") == 0;
  }
  nb::object names = nb::tuple(keys);
  Entry e;
  for (PyObject* g : given) first_use(g);
  inside = true;
  current = &e;
  PyObject* result = PyObject_Call(callable, args, kwargs);
  inside = false;
  current = nullptr;
  if (!result) {
    fail(name_of(callable) + " raised an error");
    return nullptr;
  }
  if (!reason.empty()) return result;
  const bool writes = (flags & kWritesArguments) || has_out;
  if (PyArray_CheckExact(result) && !writes && e.blocks.empty()) return result;  // a view
  e.callable = nb::borrow(callable);
  if (PyTuple_GET_SIZE(names.ptr())) e.names = names;
  e.loops.clear();
  bool all_constant = true;
  for (PyObject* g : given) e.args.push_back(prepare(g, e, writes, all_constant, true));
  if (all_constant && !PyArray_Check(result) && result != Py_None) return result;  // numbers from constants
  if (data_shapes) fail(name_of(callable) + " gives results whose shapes depend on data");
  settle(e, result, all_constant);
  return result;
}

// Python code that runs live in every replay; what it allocates is its own.
PyObject* Tape::python(PyObject* now, PyObject* later) {
  PyObject* result;
  {
    Switched off(nullptr, Here::kOff);
    result = PyObject_CallNoArgs(now);
  }
  if (!result) {
    fail("the optimizer raised an error");
    return nullptr;
  }
  Entry e;
  e.callable = nb::borrow(later);
  e.python = true;
  entries.push_back(std::move(e));
  return result;
}

// Notes the memory from outside that entries write.
void Tape::gather_writes() {
  for (const Entry& e : entries)
    for (const Span& w : e.writes)
      if (!arena->at(w.low)) {
        const bool known = std::any_of(written_.begin(), written_.end(), [&](const Written& x) { return x.span.same(w); });
        if (!known) written_.push_back({-1, w});
      }
}

namespace {

// A Python function's call with its arguments as a tuple and a dict.
nb::object record_python(nb::handle callable, nb::handle args, nb::handle kwargs, int flags) {
  std::vector<PyObject*> given;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args.ptr()); ++i) given.push_back(PyTuple_GET_ITEM(args.ptr(), i));
  const std::size_t positional = given.size();
  nb::list names;
  PyObject *key, *value;
  Py_ssize_t at = 0;
  while (PyDict_Next(kwargs.ptr(), &at, &key, &value)) {
    names.append(nb::handle(key));
    given.push_back(value);
  }
  nb::object keys = nb::tuple(names);
  nb::object result = nb::steal(
      here.tape->call(nullptr, callable.ptr(), given.data(), positional, given.size() > positional ? keys.ptr() : nullptr, flags));
  if (!result.is_valid()) nb::raise_python_error();
  return result;
}

}  // namespace

void bind_record(nb::module_& m) {
  m.def("recording", &recording_here, "Whether this thread records, and isn't within a recorded call.");
  m.def("record_call", [](nb::handle callable, nb::tuple args, nb::dict kwargs, int flags) { return record_python(callable, args, kwargs, flags); },
        "Call it and record the call. flags: 1, it writes arrays that it is given; 2, it draws random numbers.");
  m.def("record_empty", [](nb::handle callable, nb::tuple args, nb::dict kwargs) {
    const bool before = here.tape->inside;
    here.tape->inside = true;  // memory of no account until somebody writes it
    nb::object result = nb::steal(PyObject_Call(callable.ptr(), args.ptr(), kwargs.ptr()));
    here.tape->inside = before;
    if (!result.is_valid()) nb::raise_python_error();
    return result;
  });
  m.def("record_numpy", [](nb::handle callable, nb::tuple args, nb::dict kwargs, int flags, bool data_shapes) {
    nb::object result = nb::steal(here.tape->numpy(callable.ptr(), args.ptr(), kwargs.ptr(), flags, data_shapes));
    if (!result.is_valid()) nb::raise_python_error();
    return result;
  }, "Call a function of NumPy's on arrays, and record the call unless it only gave a view.");
  m.def("record_constant", [](nb::handle callable, nb::tuple args, nb::dict kwargs) {
    nb::object result = nb::steal(here.tape->constant(callable.ptr(), args.ptr(), kwargs.ptr()));
    if (!result.is_valid()) nb::raise_python_error();
    return result;
  }, "Call a function of constants.");
  m.def("digest", [](nb::handle a) {
    const Span s = span_of(array(a));
    return digest(s.low, s.high);
  }, "A number that says what the memory of an array holds.");
}

}  // namespace rushlight

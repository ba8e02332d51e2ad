// Recording a step and running it again without Python's tape.
//
// While a thread records, every call of a kernel leaves an entry: the callable, its arguments and its results, arrays by
// address and layout. What it allocates comes from the tape's arena, so that addresses stay ours. A replay makes the same
// calls in the same order on the same addresses; runs of elementwise calls become chains (fusion.h).
//
// What can't be recorded leaves a reason: arrays that NumPy made from data outside any recorded call, results that are
// no arrays. The caller (rushlight/capture) then keeps to eager execution.
#include "tape.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "kernel.h"
#include "layout.h"

namespace rushlight {
namespace {

enum Mode1 { kOff, kRecord, kReplay };
struct Here {
  Tape* tape = nullptr;
  Mode1 mode = kOff;
};
thread_local Here here;

// This thread in another mode, for a while.
class Switched {
 public:
  Switched(Tape* tape, Mode1 mode) : before_(here) {
    here = {tape, mode};
    ++arena_users;
  }
  ~Switched() {
    here = before_;
    --arena_users;
  }
  Switched(const Switched&) = delete;

 private:
  Here before_;
};

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

void* arena_allocate(std::size_t bytes) {
  if (here.mode == kOff) return nullptr;
  Tape& t = *here.tape;
  if (here.mode == kReplay) {
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

bool recording_here() { return here.mode == kRecord && !here.tape->inside; }

PyObject* record_call(vectorcallfunc run, PyObject* callable, PyObject* const* args, size_t nargsf, PyObject* names) {
  const Kernel* k = reinterpret_cast<const Kernel*>(callable);
  const char* name = PyUnicode_AsUTF8(k->name);
  const std::size_t length = name ? std::strlen(name) : 0;
  const bool writes = name && (!std::strcmp(name, "copy") || (length > 5 && !std::strcmp(name + length - 5, "_step")));
  return here.tape->call(run, callable, args, nargsf, names, writes ? kWritesArguments : 0);
}

void note_unary(UnaryLoop loop, const double* params, const char* x, char* out, std::int64_t n, std::int64_t x_item, std::int64_t out_item) {
  if (here.mode != kRecord || !here.tape->current) return;
  here.tape->current->loops.push_back(
      {loop, nullptr, kBoth, {params[0], params[1], params[2]}, x, nullptr, out, n, x_item, 0, out_item, 0});
}

void note_binary(BinaryLoop loop, const double* params, const char* x, const char* y, char* out, std::int64_t n, std::int64_t x_item,
                 std::int64_t y_item, std::int64_t out_item, Mode mode) {
  if (here.mode != kRecord || !here.tape->current) return;
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

// -- recording -----------------------------------------------------------------------------------------------

Tape::Tape() : arena(new Arena) {
  holder_ = nb::steal(PyCapsule_New(arena, "rushlight_arena", release_arena));
  arena->keep();
}

Tape::~Tape() {
  for (ArenaBlock* block : pinned) arena->give(block);
  arena->release();
}

void Tape::begin() {
  here = {this, kRecord};
  ++arena_users;
}

void Tape::end() {
  here = {nullptr, kOff};
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
  settle(e, result, all_constant, flags & kWritesArguments);
  return result;
}

void Tape::settle(Entry& e, PyObject* result, bool all_constant, bool) {
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
    Switched off(nullptr, kOff);
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
  const std::size_t positional = given.size();
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
  settle(e, result, all_constant, writes);
  (void)positional;
  return result;
}

// Python code that runs live in every replay; what it allocates is its own.
PyObject* Tape::python(PyObject* now, PyObject* later) {
  PyObject* result;
  {
    Switched off(nullptr, kOff);
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

// -- finishing -----------------------------------------------------------------------------------------------

// `kept`: arrays of the arena that outlive the call (results, gradients). False, with a reason, where others do.
// `graph`: a recorded graph, which has more of it, waits for its backward pass.
bool Tape::finish(nb::list kept, bool graph) {
  if (!reason.empty()) return false;
  std::unordered_set<int> allowed;
  for (nb::handle k : kept)
    if (const ArenaBlock* block = arena->at(span_of(array(k)).low)) allowed.insert(block->index);
  for (const ArenaBlock* block : pinned) allowed.insert(block->index);
  for (const ArenaBlock* block : arena->blocks()) {
    if (block->held == 0 || graph || allowed.count(block->index)) continue;
    const auto place = outside_places.find(block->index);
    fail("an array made inside is kept elsewhere" + (block->outside && place != outside_places.end() ? ", from " + place->second : std::string()));
    return false;
  }
  for (nb::handle k : kept) {
    const ArenaBlock* block = arena->at(span_of(array(k)).low);
    if (block && block->outside && !block->constant) {
      fail("NumPy made a result outside the kernels, at " + outside_places[block->index]);
      return false;
    }
  }
  build();
  return true;
}

// Whether no array has memory of the arena, constants apart.
bool Tape::idle() const {
  return std::all_of(arena->blocks().begin(), arena->blocks().end(), [&](const ArenaBlock* block) {
    return block->held == 0 || (block->held == 1 && std::find(pinned.begin(), pinned.end(), block) != pinned.end());
  });
}

void Tape::build() {
  // Constants that get overwritten are brought back before their first use.
  std::vector<std::vector<int>> restores(entries.size() + 1);
  for (std::size_t c = 0; c < constants.size(); ++c) {
    ArenaBlock* block = arena->blocks()[static_cast<std::size_t>(constants[c].block)];
    const Span whole{block->data(), block->data() + block->bytes()};
    for (const Entry& e : entries)
      if (std::any_of(e.writes.begin(), e.writes.end(), [&](const Span& w) { return w.overlaps(whole); })) {
        restores[static_cast<std::size_t>(constants[c].first_use)].push_back(static_cast<int>(c));
        block->constant = false;
        break;
      }
  }
  // Which loops' choice rests on numbers that may change.
  for (Entry& e : entries)
    for (const char* u : e.uncovered) {
      const ArenaBlock* block = u ? arena->at(u) : nullptr;
      if (!block || !block->constant || !block->outside) e.fusable = false;
    }

  // The lifetime of a block is over when it is allocated again; last_read says how long somebody reads it.
  const int count = static_cast<int>(entries.size()), forever = count + 1;
  std::vector<int> current_life(arena->blocks().size(), -1), last_read;
  std::vector<int> life_of(entries.size(), -1);
  const auto begin_life = [&](int block) {
    current_life[static_cast<std::size_t>(block)] = static_cast<int>(last_read.size());
    last_read.push_back(-1);
  };
  for (int i = 0; i < count; ++i) {
    Entry& e = entries[static_cast<std::size_t>(i)];
    for (const Span& r : e.reads)
      if (const ArenaBlock* block = arena->at(r.low)) {
        const int life = current_life[static_cast<std::size_t>(block->index)];
        if (life >= 0) last_read[static_cast<std::size_t>(life)] = i;
      }
    for (int b : e.blocks) begin_life(b);
    if (e.fusable)
      if (const ArenaBlock* block = arena->at(e.loops[0].out)) {
        if (current_life[static_cast<std::size_t>(block->index)] < 0) begin_life(block->index);
        life_of[static_cast<std::size_t>(i)] = current_life[static_cast<std::size_t>(block->index)];
      }
    if (e.python)  // it reads gradients
      for (std::size_t b = 0; b < current_life.size(); ++b)
        if (current_life[b] >= 0 && arena->blocks()[b]->held > 0) last_read[static_cast<std::size_t>(current_life[b])] = i;
  }
  for (std::size_t b = 0; b < current_life.size(); ++b)
    if (current_life[b] >= 0 && arena->blocks()[b]->held > 0) last_read[static_cast<std::size_t>(current_life[b])] = forever;

  struct Value {
    Span span;
    std::int64_t item;
    int last_use;   // loop of the chain
    int life;       // -1: memory from outside
    bool current;   // still what its memory holds
    std::vector<Place*> readers;
  };
  int i = 0;
  while (i < count) {
    for (int c : restores[static_cast<std::size_t>(i)]) actions.push_back({Action::kRestore, c});
    Entry& first = entries[static_cast<std::size_t>(i)];
    if (!first.fusable) {
      actions.push_back({first.python ? Action::kPython : Action::kCall, i});
      ++i;
      continue;
    }
    // As many loops as fit together.
    FusedChain chain;
    chain.n = first.loops[0].n;
    std::vector<Value> values;
    std::vector<Span> memory_reads, single_reads;
    std::vector<int> made;                       // the value that each loop makes
    std::vector<std::array<int, 2>> read_values; // the values that each loop reads, or -1
    int end = i;
    for (; end < count && end - i < 1024; ++end) {
      const Entry& e = entries[static_cast<std::size_t>(end)];
      if (!e.fusable || e.loops[0].n != chain.n || (end > i && !restores[static_cast<std::size_t>(end)].empty())) break;
      const Loop& l = e.loops[0];
      std::array<int, 2> reads{-1, -1};
      std::vector<Span> new_reads, new_singles;
      bool fits = true;
      const int operands = l.binary ? 2 : 1;
      for (int k = 0; k < operands; ++k) {
        const char* data = k ? l.y : l.x;
        const std::int64_t item = k ? l.y_item : l.x_item;
        const bool lone = (l.mode == kSecondSingle && k == 1) || (l.mode == kFirstSingle && k == 0);
        const bool in_array = std::any_of(e.reads.begin(), e.reads.end(), [&](const Span& r) { return r.low == data; });
        if (lone && !in_array) continue;  // a number
        const Span span{data, data + (lone ? item : item * chain.n)};
        for (std::size_t v = 0; v < values.size(); ++v) {
          if (!values[v].current || !values[v].span.overlaps(span)) continue;
          if (values[v].span.same(span) && values[v].item == item && (!lone || chain.n == 1))
            reads[static_cast<std::size_t>(k)] = static_cast<int>(v);
          else
            fits = false;
        }
        if (reads[static_cast<std::size_t>(k)] < 0) (lone && chain.n > 1 ? new_singles : new_reads).push_back(span);
      }
      const Span out{l.out, l.out + l.out_item * chain.n};
      for (const auto* list : {&memory_reads, &new_reads})
        for (const Span& r : *list) fits = fits && (!r.overlaps(out) || r.same(out));
      for (const auto* list : {&single_reads, &new_singles})
        for (const Span& r : *list) fits = fits && !r.overlaps(out);
      const ArenaBlock* block = arena->at(l.out);
      const bool fresh = block && std::find(e.blocks.begin(), e.blocks.end(), block->index) != e.blocks.end();
      for (const Value& v : values)
        if (v.current && v.span.overlaps(out) && !fresh && !(v.span.same(out) && v.item == l.out_item)) fits = false;
      if (!fits && end > i) break;
      if (!fits) {  // not even alone
        entries[static_cast<std::size_t>(end)].fusable = false;
        break;
      }
      for (Value& v : values)
        if (v.current && v.span.overlaps(out)) v.current = false;
      for (const Span& r : new_reads) memory_reads.push_back(r);
      for (const Span& r : new_singles) single_reads.push_back(r);
      const int at = static_cast<int>(made.size());
      for (int r : reads)
        if (r >= 0) values[static_cast<std::size_t>(r)].last_use = at;
      made.push_back(static_cast<int>(values.size()));
      read_values.push_back(reads);
      values.push_back({out, l.out_item, -1, life_of[static_cast<std::size_t>(end)], true, {}});
    }
    if (end == i) continue;  // the first one turned out to be a plain call
    // Values that somebody reads later are written to their memory, the others to scratch.
    std::vector<char> stored(values.size());
    for (std::size_t v = 0; v < values.size(); ++v)
      stored[v] = values[v].current && (values[v].life < 0 || last_read[static_cast<std::size_t>(values[v].life)] >= end);
    constexpr std::int64_t kMost = 2048;
    chain.block = std::min(kMost, chain.n);
    const std::int64_t slot_bytes = (chain.block * 8 + 63) / 64 * 64;
    std::vector<int> slot(values.size(), -1), free_slots;
    int slots = 0;
    chain.loops.resize(made.size());
    chain.numbers.resize(made.size());
    for (std::size_t at = 0; at < made.size(); ++at) {
      const Entry& e = entries[static_cast<std::size_t>(i) + at];
      const Loop& l = e.loops[0];
      FusedLoop& f = chain.loops[at];
      f.unary = l.unary, f.binary = l.binary, f.mode = l.mode, f.stream = false;
      std::copy(l.params, l.params + 3, f.params);
      for (int k = 0; k < (l.binary ? 2 : 1); ++k) {
        Place& p = k ? f.y : f.x;
        const char* data = k ? l.y : l.x;
        const std::int64_t item = k ? l.y_item : l.x_item;
        const bool lone = (l.mode == kSecondSingle && k == 1) || (l.mode == kFirstSingle && k == 0);
        const int v = read_values[at][static_cast<std::size_t>(k)];
        const bool in_array = std::any_of(e.reads.begin(), e.reads.end(), [&](const Span& r) { return r.low == data; });
        if (lone && !in_array) {
          chain.numbers[at] = l.number;
          p.base = reinterpret_cast<char*>(&chain.numbers[at]);
        } else if (v >= 0 && !stored[static_cast<std::size_t>(v)]) {
          p.offset = slot[static_cast<std::size_t>(v)] * slot_bytes;
        } else {
          p.base = const_cast<char*>(data);
          p.step = lone ? 0 : item;
        }
      }
      for (int r : read_values[at])
        if (r >= 0 && slot[static_cast<std::size_t>(r)] >= 0 && values[static_cast<std::size_t>(r)].last_use == static_cast<int>(at)) {
          free_slots.push_back(slot[static_cast<std::size_t>(r)]);
          slot[static_cast<std::size_t>(r)] = -2;
        }
      const std::size_t v = static_cast<std::size_t>(made[at]);
      if (stored[v]) {
        f.out.base = l.out;
        f.out.step = l.out_item;
        f.stream = values[v].last_use < 0 && chain.n * l.out_item >= (std::int64_t{16} << 20) && chain.n > chain.block &&
                   reinterpret_cast<std::uintptr_t>(l.out) % 64 == 0 &&
                   std::none_of(memory_reads.begin(), memory_reads.end(), [&](const Span& r) { return r.overlaps(values[v].span); });
      } else {
        if (free_slots.empty()) free_slots.push_back(slots++);
        slot[v] = free_slots.back();
        free_slots.pop_back();
        f.out.offset = slot[v] * slot_bytes;
        if (values[v].last_use < 0) {  // nobody reads it at all
          free_slots.push_back(slot[v]);
          slot[v] = -2;
        }
      }
    }
    chain.scratch_bytes = slots * slot_bytes;
    chains.push_back(std::move(chain));
    actions.push_back({Action::kChain, static_cast<int>(chains.size()) - 1});
    i = end;
  }
  for (int c : restores[entries.size()]) actions.push_back({Action::kRestore, c});
}

// Memory of an argument, which lies elsewhere in each call.
void Tape::bind_input(int number, PyArrayObject* a) {
  const Span span = span_of(a);
  if (static_cast<std::size_t>(number) >= inputs_.size()) inputs_.resize(static_cast<std::size_t>(number) + 1);
  Input& in = inputs_[static_cast<std::size_t>(number)];
  in.low = span.low, in.high = span.high;
  const auto within = [&](const char* p) { return p >= span.low && p < span.high; };
  for (auto& [key, object] : aliases_)
    if (within(PyArray_BYTES(array(object)))) in.arrays.push_back(array(object));
  for (FusedChain& chain : chains)
    for (FusedLoop& l : chain.loops)
      for (Place* p : {&l.x, &l.y, &l.out})
        if (p->base && within(p->base)) in.places.push_back(&p->base);
  for (Written& w : written_)
    if (within(w.span.low)) w.input = number;
}

// The number of an output whose memory only chains touch, so that it can lie elsewhere in each call; else -1.
int Tape::rebindable(nb::handle h) {
  const Span span = span_of(array(h));
  const ArenaBlock* block = arena->at(span.low);
  if (!block || span.low != const_cast<ArenaBlock*>(block)->data()) return -1;
  const Span whole{span.low, span.low + block->bytes()};
  for (const Action& a : actions) {
    if (a.kind == Action::kPython || a.kind == Action::kRestore) return -1;
    if (a.kind != Action::kCall) continue;
    const Entry& e = entries[static_cast<std::size_t>(a.at)];
    for (const auto* list : {&e.reads, &e.writes})
      for (const Span& s : *list)
        if (s.overlaps(whole)) return -1;
  }
  std::vector<char**> places;
  for (FusedChain& chain : chains)
    for (FusedLoop& l : chain.loops)
      for (Place* p : {&l.x, &l.y, &l.out})
        if (p->base && p->base >= whole.low && p->base < whole.high) {
          if (p->base != span.low) return -1;
          places.push_back(&p->base);
        }
  outputs_.push_back(std::move(places));
  return static_cast<int>(outputs_.size()) - 1;
}

// -- replaying -----------------------------------------------------------------------------------------------

void Tape::shift(int input, char* data) {
  Input& in = inputs_[static_cast<std::size_t>(input)];
  const std::ptrdiff_t delta = data - in.low, change = delta - in.delta;
  if (!change) return;
  in.delta = delta;
  for (PyArrayObject* a : in.arrays) reinterpret_cast<PyArrayObject_fields*>(a)->data += change;
  for (char** p : in.places) *p += change;
}

void Tape::rebase(int output, char* data) {
  for (char** p : outputs_[static_cast<std::size_t>(output)]) *p = data;
}

bool Tape::run_call(Entry& e) {
  current = &e;
  next_block = 0;
  PyObject* args[64];
  const std::size_t total = e.args.size();
  std::vector<PyObject*> many;
  PyObject** given = args;
  if (total > 64) {
    many.resize(total);
    given = many.data();
  }
  for (std::size_t i = 0; i < total; ++i) given[i] = e.args[i].ptr();
  PyObject* names = e.names.is_valid() ? e.names.ptr() : nullptr;
  const std::size_t nargs = total - static_cast<std::size_t>(names ? PyTuple_GET_SIZE(names) : 0);
  PyObject* result = e.run ? e.run(e.callable.ptr(), given, nargs, names) : PyObject_Vectorcall(e.callable.ptr(), given, nargs, names);
  current = nullptr;
  if (!result) return false;
  // Results belong where they were when recorded.
  bool good = true;
  const auto settle_one = [&](PyObject* o, PyArrayObject* wanted) {
    PyArrayObject* a = as_array(o);
    if (a && PyArray_DATA(a) == PyArray_DATA(wanted)) return;
    if (!a || !same_shape(a, wanted) || PyArray_TYPE(a) != PyArray_TYPE(wanted) || PyArray_CopyInto(wanted, a) < 0) good = false;
  };
  if (e.results.size() == 1 && e.numbers.empty() && PyArray_Check(result)) {
    settle_one(result, array(e.results[0]));
  } else if (!e.results.empty() || !e.numbers.empty()) {
    std::vector<PyObject*> flat, numbers;
    const auto walk = [&](auto& self, PyObject* o) -> void {
      if (PyArray_CheckExact(o)) flat.push_back(o);
      else if (PyTuple_Check(o) || PyList_Check(o))
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) self(self, PySequence_Fast_GET_ITEM(o, i));
      else if (o != Py_None)
        numbers.push_back(o);
    };
    walk(walk, result);
    if (flat.size() != e.results.size()) good = false;
    differs_ = numbers.size() != e.numbers.size();
    for (std::size_t i = 0; !differs_ && i < numbers.size(); ++i) differs_ = !unchanged(numbers[i], e.numbers[i].ptr());
    if (differs_) {
      Py_DECREF(result);
      return false;
    }
    for (std::size_t i = 0; good && i < flat.size(); ++i) settle_one(flat[i], array(e.results[i]));
  }
  Py_DECREF(result);
  if (!good && !PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, "compile: a replayed kernel gave a result of another shape");
  return good;
}

int Tape::run(int segment) {
  if (!checks_numbers_) return run_actions(segment);
  const std::vector<std::string> saved = save();
  const nb::object state = stream_.is_valid() ? nb::object(stream_.attr("get_state")()) : nb::object();
  differs_ = false;
  const int done = run_actions(segment);
  if (done == 0 || !differs_) return done;
  load(saved);
  if (state.is_valid()) stream_.attr("set_state")(state);
  return 1;
}

// All actions, or those before the (segment + 1)th call of Python code.
int Tape::run_actions(int segment) {
  Switched replaying(this, kReplay);
  int seen = 0;
  for (const Action& a : actions) {
    if (segment >= 0 && a.kind == Action::kPython) {
      if (seen++ == segment) return 0;
      continue;
    }
    if (segment >= 0 && seen != segment) continue;
    switch (a.kind) {
      case Action::kChain: chains[static_cast<std::size_t>(a.at)].run(); break;
      case Action::kCall:
        if (!run_call(entries[static_cast<std::size_t>(a.at)])) return -1;
        break;
      case Action::kRestore: {
        const Constant& c = constants[static_cast<std::size_t>(a.at)];
        std::memcpy(arena->blocks()[static_cast<std::size_t>(c.block)]->data(), c.bytes.data(), c.bytes.size());
        break;
      }
      case Action::kPython: {
        here.mode = kOff;
        PyObject* done = PyObject_CallNoArgs(entries[static_cast<std::size_t>(a.at)].callable.ptr());
        here.mode = kReplay;
        if (!done) return -1;
        Py_DECREF(done);
        break;
      }
    }
  }
  return 0;
}

// Fills the arena with nonsense, constants apart: what a replay doesn't write shows.
void Tape::poison() {
  for (ArenaBlock* block : arena->blocks()) {
    const bool constant = std::any_of(constants.begin(), constants.end(), [&](const Constant& c) { return c.block == block->index; });
    if (!constant) std::memset(block->data(), 0xFF, block->bytes());
  }
}

// The memory from outside that replays write.
std::vector<std::string> Tape::save() const {
  std::vector<std::string> saved;
  for (const Written& w : written_) {
    const std::ptrdiff_t delta = w.input < 0 ? 0 : inputs_[static_cast<std::size_t>(w.input)].delta;
    saved.emplace_back(w.span.low + delta, static_cast<std::size_t>(w.span.high - w.span.low));
  }
  return saved;
}

void Tape::load(const std::vector<std::string>& saved) const {
  for (std::size_t i = 0; i < saved.size(); ++i) {
    const Written& w = written_[i];
    const std::ptrdiff_t delta = w.input < 0 ? 0 : inputs_[static_cast<std::size_t>(w.input)].delta;
    std::memcpy(const_cast<char*>(w.span.low) + delta, saved[i].data(), saved[i].size());
  }
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

bool Tape::writes(const Span& span) const {
  return std::any_of(written_.begin(), written_.end(), [&](const Written& w) { return w.span.overlaps(span); });
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

void bind_replay(nb::module_& m) {
  nb::class_<Tape>(m, "Tape", "A recorded step.")
      .def(nb::init<>())
      .def("begin", &Tape::begin, "Record what this thread does, until `end`.")
      .def("end", &Tape::end)
      .def("fail", &Tape::fail, "Note why it can't be recorded; the first reason stays.")
      .def("constant_at", [](const Tape& t, nb::handle a) { return t.constant_at(PyArray_BYTES(array(a))); })
      .def("python", [](Tape& t, nb::handle now, nb::handle later) {
        nb::object result = nb::steal(t.python(now.ptr(), later.ptr()));
        if (!result.is_valid()) nb::raise_python_error();
        return result;
      }, "Run `now` unrecorded; replays call `later`.")
      .def("remade", [](Tape& t, nb::handle a) { t.remade(array(a)); }, "A constant was filled anew.")
      .def("remade_last", &Tape::remade_last, "Constants made since the last time are as they should be.")
      .def("forget_last", [](Tape& t) { t.last_outside = -1; })
      .def("copied", [](Tape& t, nb::handle source, bool in_order) { t.copied(array(source), in_order); },
           "A method of this array's may have copied it, just now: record that.")
      .def("finish", &Tape::finish, nb::arg("kept"), nb::arg("graph") = false)
      .def("idle", &Tape::idle)
      .def_ro("half", &Tape::half, "Whether there are float16 arrays.")
      .def("bind_input", [](Tape& t, int number, nb::handle a) { t.bind_input(number, array(a)); })
      .def("shift", [](Tape& t, int number, nb::handle a) { t.shift(number, PyArray_BYTES(array(a))); })
      .def("exposed", [](Tape& t, nb::handle a) { return t.stand_in(a, true); }, "An array of the arena's memory that keeps the arena.")
      .def("stand_in", [](Tape& t, nb::handle a) { return t.stand_in(a, false); }, "An array of the same memory that doesn't hold it.")
      .def("keep", [](Tape& t, nb::list arrays) {
        t.externals.clear();
        for (nb::handle a : arrays) t.externals.push_back(nb::borrow(a));
      })
      .def("rebindable", [](Tape& t, nb::handle a) { return t.rebindable(a); })
      .def("run", [](Tape& t, int segment) {
        const int done = t.run(segment);
        if (done < 0) nb::raise_python_error();
        return done == 0;
      })
      .def("poison", &Tape::poison)
      .def("inside", [](const Tape& t, nb::handle a) { return t.arena->at(span_of(array(a)).low) != nullptr; })
      .def("writes", [](const Tape& t, nb::handle a) { return t.writes(span_of(array(a))); })
      .def("save", [](const Tape& t) {
        nb::list all;
        for (const std::string& s : t.save()) all.append(nb::bytes(s.data(), s.size()));
        return all;
      })
      .def("load", [](const Tape& t, nb::list all) {
        std::vector<std::string> saved;
        for (nb::handle b : all) saved.emplace_back(PyBytes_AS_STRING(b.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(b.ptr())));
        t.load(saved);
      })
      .def_prop_ro("stream", [](const Tape& t) { return t.stream(); }, "The stream of random numbers that it draws from, or None.")
      .def_rw("making_constant", &Tape::making_constant)
      .def_ro("reason", &Tape::reason)
      .def_prop_ro("externals", [](const Tape& t) {
        nb::list all;
        for (const nb::object& e : t.externals) all.append(e);
        return all;
      })
      .def_prop_ro("arena_bytes", [](const Tape& t) { return t.arena->bytes(); })
      .def_prop_ro("counts", [](const Tape& t) {
        std::size_t calls = 0, loops = 0;
        for (const Action& a : t.actions) calls += a.kind == Action::kCall;
        for (const FusedChain& c : t.chains) loops += c.loops.size();
        return nb::make_tuple(t.entries.size(), calls, t.chains.size(), loops);
      });
  m.def("arena_bytes", [] { return arena_total.load(); }, "Bytes of memory that recorded steps hold.");
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
  bind_plan(m);
}

}  // namespace rushlight

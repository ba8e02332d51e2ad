// Running a recorded step again: the same calls in the same order on the same addresses, as schedule.cpp arranged them.
#include "tape.h"

#include <algorithm>
#include <cstring>

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "kernel.h"
#include "layout.h"

namespace rushlight {

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
  Switched replaying(this, Here::kReplay);
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
        here.doing = Here::kOff;
        PyObject* done = PyObject_CallNoArgs(entries[static_cast<std::size_t>(a.at)].callable.ptr());
        here.doing = Here::kReplay;
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

bool Tape::writes(const Span& span) const {
  return std::any_of(written_.begin(), written_.end(), [&](const Written& w) { return w.span.overlaps(span); });
}

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
  bind_record(m);
  bind_plan(m);
}

}  // namespace rushlight

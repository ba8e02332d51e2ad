// A recorded step: calls of kernels with their arguments, in order. record.cpp makes it, schedule.cpp arranges it and
// replay.cpp runs it.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "arena.h"
#include "fusion.h"

namespace rushlight {

// Whether a guarded value is still what it was: the same object, or an equal number or text of the same type.
bool unchanged(PyObject* now, PyObject* then);

struct Span {
  const char *low, *high;
  bool overlaps(const Span& o) const { return low < o.high && o.low < high; }
  bool same(const Span& o) const { return low == o.low && high == o.high; }
};
Span span_of(PyArrayObject* a);

// One recorded call. Arrays among its arguments are stand-ins that own no memory.
struct Entry {
  nb::object callable;  // for a call of Python code: what to call without arguments
  vectorcallfunc run = nullptr;
  std::vector<nb::object> args;
  nb::object names;
  std::vector<nb::object> results;
  std::vector<nb::object> numbers;  // what it returned besides arrays: a replay goes on only where it is the same
  std::vector<int> blocks;  // what it allocated, in order
  std::vector<Span> reads, writes;
  std::vector<Loop> loops;
  std::vector<const char*> uncovered;  // numbers in arrays that decided which loop ran
  bool fusable = false, python = false;
};

// What a replay does: a chain of loops, a call, or bringing back a constant that gets overwritten.
struct Action {
  enum Kind { kChain, kCall, kPython, kRestore } kind;
  int at;  // the chain's, the entry's, or the constant's number
};

struct Constant {
  int block;
  int first_use;
  std::vector<char> bytes;
};

class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;

  // -- recording
  void begin();
  void end();
  PyObject* call(vectorcallfunc run, PyObject* callable, PyObject* const* args, size_t nargsf, PyObject* names, int flags);
  PyObject* constant(PyObject* callable, PyObject* args, PyObject* kwargs);
  void remade(PyArrayObject* a);
  void remade_last();
  void copied(PyArrayObject* source, bool in_order);
  PyObject* numpy(PyObject* callable, PyObject* args, PyObject* kwargs, int flags, bool data_shapes);
  PyObject* python(PyObject* now, PyObject* later);
  void fail(const std::string& why) {
    if (reason.empty()) reason = why;
  }
  bool constant_at(const char* data) const;

  // -- finishing
  bool finish(nb::list kept, bool graph);
  bool idle() const;
  bool half = false;
  void bind_input(int number, PyArrayObject* a);
  nb::object stand_in(nb::handle a, bool owning);
  int rebindable(nb::handle a);

  // -- replaying
  // All (-1) or one segment. 0; 1 where a number came out differently and all was put back; -1 with an exception.
  int run(int segment);
  bool writes(const Span& span) const;  // memory from outside
  void shift(int input, char* data);
  void rebase(int output, char* data);
  void poison();
  std::vector<std::string> save() const;
  void load(const std::vector<std::string>& saved) const;

  nb::object stream() const { return stream_.is_valid() ? stream_ : nb::none(); }

  Arena* arena;
  std::string reason;
  std::vector<Entry> entries;
  std::vector<Action> actions;
  std::vector<FusedChain> chains;
  std::vector<Constant> constants;
  std::vector<nb::object> externals;  // arrays from outside, as they came
  std::unordered_set<const void*> external_ids;

  // Where allocations go.
  bool inside = false, making_constant = false;
  Entry* current = nullptr;
  std::size_t next_block = 0;
  int last_outside = -1;  // the block that NumPy took last outside recorded calls
  std::size_t last_bytes = 0;
  std::unordered_map<int, std::string> outside_places;
  std::vector<ArenaBlock*> pinned;
  std::unordered_map<int, std::uint64_t> made_;  // what constants held when they were made; 0: not known yet

 private:
  void first_use(PyObject* o);
  nb::object prepare(PyObject* o, Entry& e, bool writes, bool& all_constant, bool top);
  bool collect(PyObject* o, Entry& e);
  nb::object alias(PyArrayObject* a);
  void settle(Entry& e, PyObject* result, bool all_constant);
  void gather_writes();
  bool run_call(Entry& e);
  int run_actions(int segment);

  bool checks_numbers_ = false, differs_ = false;
  nb::object stream_;  // of random numbers, where the tape draws any

  struct Input {
    const char *low, *high;  // when recorded
    std::ptrdiff_t delta = 0;
    std::vector<PyArrayObject*> arrays;
    std::vector<char**> places;
  };
  struct Written {
    int input;  // or -1
    Span span;
  };
  std::unordered_map<std::string, nb::object> aliases_;
  std::vector<Input> inputs_;
  std::vector<Written> written_;
  std::vector<std::vector<char**>> outputs_;
  std::vector<const char*> output_at_;
  nb::object holder_;
};

// What this thread does.
struct Here {
  enum Doing { kOff, kRecord, kReplay };
  Tape* tape = nullptr;
  Doing doing = kOff;
};
extern thread_local Here here;

// This thread does something else, for a while.
class Switched {
 public:
  Switched(Tape* tape, Here::Doing doing) : before_(here) {
    here = {tape, doing};
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

void bind_record(nb::module_& m);
void bind_plan(nb::module_& m);

}  // namespace rushlight

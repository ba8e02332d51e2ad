// From what was recorded to what a replay does: calls one by one, and elementwise loops that follow each other as chains
// (fusion.h), which write only what somebody reads later.
#include "tape.h"

#include <algorithm>
#include <array>

#include <nanobind/stl/string.h>

#include "layout.h"

namespace rushlight {
namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

// What a loop reads first (0) or second (1).
struct Operand {
  const char* data;
  std::int64_t item;
  bool lone;    // one element for all
  bool number;  // which lay in no array
};

Operand operand(const Entry& e, int k) {
  const Loop& l = e.loops[0];
  const char* data = k ? l.y : l.x;
  const bool lone = l.mode == (k ? kSecondSingle : kFirstSingle) && l.binary;
  const bool in_array = std::any_of(e.reads.begin(), e.reads.end(), [&](const Span& r) { return r.low == data; });
  return {data, k ? l.y_item : l.x_item, lone, lone && !in_array};
}

int operand_count(const Entry& e) { return e.loops[0].binary ? 2 : 1; }

// Loops over the same number of elements, which run together.
class ChainBuilder {
 public:
  ChainBuilder(const Arena& arena, std::int64_t n) : arena_(arena) { chain_.n = n; }

  // Adds the loop of an entry, whose result's memory has this life (-1: it comes from outside); false where it doesn't fit.
  bool add(const Entry& e, int life) {
    std::array<int, 2> reads{-1, -1};
    std::vector<Span> new_reads, new_singles;
    if (!find_reads(e, reads, new_reads, new_singles)) return false;
    const Loop& l = e.loops[0];
    const Span out{l.out, l.out + l.out_item * chain_.n};
    if (!leaves_reads_alone(out, new_reads, new_singles) || !leaves_values_alone(e, out)) return false;
    for (Value& v : values_)
      if (v.current && v.span.overlaps(out)) v.current = false;
    memory_reads_.insert(memory_reads_.end(), new_reads.begin(), new_reads.end());
    single_reads_.insert(single_reads_.end(), new_singles.begin(), new_singles.end());
    for (int r : reads)
      if (r >= 0) values_[index(r)].last_use = static_cast<int>(entries_.size());
    entries_.push_back(&e);
    reads_.push_back(reads);
    values_.push_back({out, l.out_item, -1, life, true});
    return true;
  }

  // The chain; needed(life) tells whether somebody reads memory of this life afterwards.
  template <class Needed> FusedChain build(const Needed& needed) {
    chain_.block = std::min(kLoopBlock, chain_.n);
    slot_bytes_ = (chain_.block * 8 + 63) / 64 * 64;
    slot_.assign(values_.size(), -1);
    chain_.loops.resize(entries_.size());
    chain_.numbers.resize(entries_.size());
    // Values that somebody reads later are written to their memory, the others to scratch.
    for (const Value& v : values_) stored_.push_back(v.current && (v.life < 0 || needed(v.life)));
    for (std::size_t at = 0; at < entries_.size(); ++at) place(at);
    chain_.scratch_bytes = slots_ * slot_bytes_;
    return std::move(chain_);
  }

 private:
  // What a loop makes. Loop i makes value i.
  struct Value {
    Span span;
    std::int64_t item;
    int last_use;  // the last loop that reads it, or -1
    int life;      // of its memory; -1: memory from outside
    bool current;  // still what its memory holds
  };

  // The values that a loop reads (or -1), and what it reads from memory; false where it reads a part of a value.
  bool find_reads(const Entry& e, std::array<int, 2>& reads, std::vector<Span>& memory, std::vector<Span>& singles) const {
    bool fits = true;
    for (int k = 0; k < operand_count(e); ++k) {
      const Operand o = operand(e, k);
      if (o.number) continue;
      const Span span{o.data, o.data + (o.lone ? o.item : o.item * chain_.n)};
      for (std::size_t v = 0; v < values_.size(); ++v) {
        if (!values_[v].current || !values_[v].span.overlaps(span)) continue;
        if (values_[v].span.same(span) && values_[v].item == o.item && (!o.lone || chain_.n == 1))
          reads[index(k)] = static_cast<int>(v);
        else
          fits = false;
      }
      if (reads[index(k)] < 0) (o.lone && chain_.n > 1 ? singles : memory).push_back(span);
    }
    return fits;
  }

  // A block at a time, a result may only replace what lies exactly where it goes.
  bool leaves_reads_alone(const Span& out, const std::vector<Span>& new_reads, const std::vector<Span>& new_singles) const {
    for (const auto* list : {&memory_reads_, &new_reads})
      for (const Span& r : *list)
        if (r.overlaps(out) && !r.same(out)) return false;
    for (const auto* list : {&single_reads_, &new_singles})
      for (const Span& r : *list)
        if (r.overlaps(out)) return false;
    return true;
  }

  bool leaves_values_alone(const Entry& e, const Span& out) const {
    const ArenaBlock* block = arena_.at(out.low);
    if (block && std::find(e.blocks.begin(), e.blocks.end(), block->index) != e.blocks.end()) return true;  // allocated anew
    return std::none_of(values_.begin(), values_.end(), [&](const Value& v) {
      return v.current && v.span.overlaps(out) && !(v.span.same(out) && v.item == e.loops[0].out_item);
    });
  }

  // Says where a loop finds its operands and puts its result.
  void place(std::size_t at) {
    const Entry& e = *entries_[at];
    const Loop& l = e.loops[0];
    FusedLoop& f = chain_.loops[at];
    f.unary = l.unary, f.binary = l.binary, f.mode = l.mode, f.stream = false;
    std::copy(l.params, l.params + 3, f.params);
    for (int k = 0; k < operand_count(e); ++k) place_operand(at, operand(e, k), reads_[at][index(k)], k ? f.y : f.x);
    for (int r : reads_[at])
      if (r >= 0 && slot_[index(r)] >= 0 && values_[index(r)].last_use == static_cast<int>(at)) free_slot(index(r));
    place_result(at, f);
  }

  void place_operand(std::size_t at, const Operand& o, int value, Place& p) {
    if (o.number) {
      chain_.numbers[at] = entries_[at]->loops[0].number;
      p.base = reinterpret_cast<char*>(&chain_.numbers[at]);
    } else if (value >= 0 && !stored_[index(value)]) {
      p.offset = slot_[index(value)] * slot_bytes_;
    } else {
      p.base = const_cast<char*>(o.data);
      p.step = o.lone ? 0 : o.item;
    }
  }

  void place_result(std::size_t at, FusedLoop& f) {
    const Loop& l = entries_[at]->loops[0];
    const Value& v = values_[at];
    if (stored_[at]) {
      f.out.base = l.out;
      f.out.step = l.out_item;
      f.stream = v.last_use < 0 && chain_.n * l.out_item >= kStreamBytes && chain_.n > chain_.block &&
                 reinterpret_cast<std::uintptr_t>(l.out) % 64 == 0 &&
                 std::none_of(memory_reads_.begin(), memory_reads_.end(), [&](const Span& r) { return r.overlaps(v.span); });
      return;
    }
    if (free_slots_.empty()) free_slots_.push_back(slots_++);
    slot_[at] = free_slots_.back();
    free_slots_.pop_back();
    f.out.offset = slot_[at] * slot_bytes_;
    if (v.last_use < 0) free_slot(at);  // nobody reads it at all
  }

  void free_slot(std::size_t value) {
    free_slots_.push_back(slot_[value]);
    slot_[value] = -2;
  }

  const Arena& arena_;
  FusedChain chain_;
  std::vector<const Entry*> entries_;
  std::vector<std::array<int, 2>> reads_;  // the values that each loop reads, or -1
  std::vector<Value> values_;
  std::vector<Span> memory_reads_, single_reads_;
  std::vector<char> stored_;
  std::vector<int> slot_, free_slots_;
  int slots_ = 0;
  std::int64_t slot_bytes_ = 0;
};

class Scheduler {
 public:
  explicit Scheduler(Tape& tape) : t_(tape), count_(static_cast<int>(tape.entries.size())) {}

  void run() {
    find_restores();
    refuse_uncovered();
    find_lives();
    for (int i = 0; i < count_;) {
      restore(i);
      const Entry& first = t_.entries[index(i)];
      if (!first.fusable) {
        t_.actions.push_back({first.python ? Action::kPython : Action::kCall, i});
        ++i;
      } else {
        i = add_chain(i);
      }
    }
    restore(count_);
  }

 private:
  // Constants that get overwritten are brought back before their first use.
  void find_restores() {
    restores_.resize(index(count_) + 1);
    for (std::size_t c = 0; c < t_.constants.size(); ++c) {
      ArenaBlock* block = block_at(t_.constants[c].block);
      const Span whole{block->data(), block->data() + block->bytes()};
      const bool written = std::any_of(t_.entries.begin(), t_.entries.end(), [&](const Entry& e) {
        return std::any_of(e.writes.begin(), e.writes.end(), [&](const Span& w) { return w.overlaps(whole); });
      });
      if (!written) continue;
      restores_[index(t_.constants[c].first_use)].push_back(static_cast<int>(c));
      block->constant = false;
    }
  }

  void restore(int i) {
    for (int c : restores_[index(i)]) t_.actions.push_back({Action::kRestore, c});
  }

  // Loops whose choice rests on numbers that may change are called, not joined.
  void refuse_uncovered() {
    for (Entry& e : t_.entries)
      for (const char* u : e.uncovered) {
        const ArenaBlock* block = u ? t_.arena->at(u) : nullptr;
        if (!block || !block->constant || !block->outside) e.fusable = false;
      }
  }

  // The life of a block is over when it is allocated again; last_read_ says how long somebody reads it.
  void find_lives() {
    life_now_.assign(t_.arena->blocks().size(), -1);
    life_of_.assign(index(count_), -1);
    for (int i = 0; i < count_; ++i) {
      const Entry& e = t_.entries[index(i)];
      for (const Span& r : e.reads)
        if (const ArenaBlock* block = t_.arena->at(r.low))
          if (life_now_[index(block->index)] >= 0) last_read_[index(life_now_[index(block->index)])] = i;
      for (int b : e.blocks) begin_life(b);
      if (e.fusable)
        if (const ArenaBlock* block = t_.arena->at(e.loops[0].out)) {
          if (life_now_[index(block->index)] < 0) begin_life(block->index);
          life_of_[index(i)] = life_now_[index(block->index)];
        }
      if (e.python) read_held(i);  // it reads gradients
    }
    read_held(count_ + 1);
  }

  void begin_life(int block) {
    life_now_[index(block)] = static_cast<int>(last_read_.size());
    last_read_.push_back(-1);
  }

  // Whatever arrays still hold may be read at `when`.
  void read_held(int when) {
    for (std::size_t b = 0; b < life_now_.size(); ++b)
      if (life_now_[b] >= 0 && t_.arena->blocks()[b]->held > 0) last_read_[index(life_now_[b])] = when;
  }

  // As many loops as fit together, from entry `first` on; returns the entry after them.
  int add_chain(int first) {
    constexpr int kMost = 1024;
    const std::int64_t n = t_.entries[index(first)].loops[0].n;
    ChainBuilder chain(*t_.arena, n);
    int end = first;
    for (; end < count_ && end - first < kMost; ++end) {
      const Entry& e = t_.entries[index(end)];
      if (!e.fusable || e.loops[0].n != n || (end > first && !restores_[index(end)].empty())) break;
      if (!chain.add(e, life_of_[index(end)])) break;
    }
    if (end == first) {  // it does not even fit alone
      t_.entries[index(first)].fusable = false;
      t_.actions.push_back({Action::kCall, first});
      return first + 1;
    }
    t_.chains.push_back(chain.build([&](int life) { return last_read_[index(life)] >= end; }));
    t_.actions.push_back({Action::kChain, static_cast<int>(t_.chains.size()) - 1});
    return end;
  }

  ArenaBlock* block_at(int number) const { return t_.arena->blocks()[index(number)]; }

  Tape& t_;
  const int count_;
  std::vector<std::vector<int>> restores_;  // constants to bring back before each entry, and at the end
  std::vector<int> life_now_;               // of each block, or -1
  std::vector<int> last_read_;              // the last entry that reads in each life
  std::vector<int> life_of_;                // of the result of each entry, or -1
};

}  // namespace

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
  Scheduler(*this).run();
  return true;
}

// Whether no array has memory of the arena, constants apart.
bool Tape::idle() const {
  return std::all_of(arena->blocks().begin(), arena->blocks().end(), [&](const ArenaBlock* block) {
    return block->held == 0 || (block->held == 1 && std::find(pinned.begin(), pinned.end(), block) != pinned.end());
  });
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

}  // namespace rushlight

// oneDNN primitives made once for each combination of shapes, strides and settings, and run on raw pointers.
#pragma once

#include "nn_arrays.h"

#include <dnnl.hpp>

#include <initializer_list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rushlight {

using dnnl::memory;

dnnl::engine& engine();
dnnl::stream& stream();

// float32 or bfloat16, or undef where oneDNN is not for this array.
memory::data_type data_type(nb::handle x);

// What distinguishes one primitive from another.
class Key {
 public:
  Key();  // starts with the thread count, which is compiled into a primitive
  void add(i64 value);
  void add(const std::vector<i64>& values);
  // Shape, type and strides of an array. Dimensions of length 1 have no stride to speak of.
  void add_array(nb::handle x);
  bool operator==(const Key& other) const { return values_ == other.values_; }
  size_t hash() const;

 private:
  std::vector<i64> values_;
};

struct KeyHash {
  size_t operator()(const Key& key) const { return key.hash(); }
};

// Reusable memory, one region for each use within an operation: primitives run one at a time.
enum class Scratch { kPad, kFirst, kSecond, kResult, kParts, kCount };
void* scratch(Scratch use, size_t bytes);

// A primitive and its arguments. run() takes their pointers in the order in which they were named.
class Call {
 public:
  using Arguments = std::vector<std::pair<int, memory::desc>>;
  Call(const dnnl::primitive& primitive, const memory::desc& scratchpad, const Arguments& arguments);
  void run(std::initializer_list<void*> pointers) { run(pointers, scratch_bytes_ ? scratch(Scratch::kPad, scratch_bytes_) : nullptr); }
  // With scratch memory of the caller's, for several at the same time.
  void run(std::initializer_list<void*> pointers, void* work);
  size_t scratch_bytes() const { return scratch_bytes_; }

 private:
  dnnl::primitive primitive_;
  std::vector<memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
  size_t scratch_bytes_;
};

// While it lives, primitives are made for one thread.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
};

// The attributes of every primitive: scratch memory is ours, and max(0, .) of the result where `relu`.
dnnl::primitive_attr attributes(bool relu = false);

// A copy from one layout to another; nothing where they are the same.
std::optional<Call> reorder(const memory::desc& from, const memory::desc& to);

// The memory of an array as it lies; nothing if oneDNN can't express it (negative or zero strides, no elements).
std::optional<memory::desc> describe(nb::handle x);

struct Stats {
  i64 created = 0, cached = 0;
};
Stats& stats();

// The operation made for this key, by make() at the first call; null where oneDNN has none.
constexpr size_t kMaxPrimitives = 1024;
template <class Operation, class Make> Operation* cached(const Key& key, const Make& make) {
  static std::unordered_map<Key, std::unique_ptr<Operation>, KeyHash> operations;
  const auto found = operations.find(key);
  if (found != operations.end()) return found->second.get();
  if (operations.size() >= kMaxPrimitives) {
    stats().cached -= static_cast<i64>(operations.size());
    operations.clear();
  }
  std::unique_ptr<Operation> made;
  try {
    made = make();
  } catch (const dnnl::error&) {  // remembered as impossible
  }
  stats().cached += 1;
  if (made) stats().created += 1;
  return operations.emplace(key, std::move(made)).first->second.get();
}

}  // namespace rushlight

// Private memory of a recorded step, as CUDA graphs have it: while a thread records, what it allocates comes from an
// arena, which uses blocks again as eager code frees them; while it replays, each call gets the addresses that it got then.
#pragma once

#include <atomic>
#include <map>
#include <vector>

#include "pool.h"

namespace rushlight {

// How many threads record or replay: the test that everybody else pays for.
extern std::atomic<int> arena_users;
inline bool arenas_in_use() { return __builtin_expect(arena_users.load(std::memory_order_relaxed) != 0, 0); }

extern std::atomic<std::size_t> arena_total;  // bytes in all arenas

class Arena;

// Stands before the memory of an arena's block.
struct ArenaBlock {
  PoolHeader pool;
  Arena* arena;
  std::atomic<int> held;  // arrays that have it
  std::int32_t index;
  bool outside;   // allocated by NumPy outside any recorded call
  bool constant;  // holds what the recorded function computes from constants alone

  char* data() { return reinterpret_cast<char*>(this) + kPoolHeader; }
  std::size_t bytes() const { return pool_class_bytes(-1 - pool.size); }
};

// Deleted when its owner has let it go and no array has memory of it any more.
class Arena {
 public:
  ArenaBlock* take(std::size_t bytes);   // while recording
  void give(ArenaBlock* block);          // an array was freed
  ArenaBlock* at(const char* address) const;
  const std::vector<ArenaBlock*>& blocks() const { return blocks_; }
  std::size_t bytes() const { return bytes_; }
  void keep() { ++users_; }
  void release() {
    if (--users_ == 0) delete this;
  }
  bool reuse = true;  // while recording: freed blocks are handed out again

 private:
  ~Arena();
  std::atomic<long> users_{1};
  std::vector<ArenaBlock*> blocks_;
  std::map<const char*, ArenaBlock*> by_address_;
  std::map<int, std::vector<ArenaBlock*>> free_;
  std::atomic_flag lock_ = ATOMIC_FLAG_INIT;
  std::size_t bytes_ = 0;
};

static_assert(sizeof(ArenaBlock) <= kPoolHeader, "the header of an arena's block is too large");

void* arena_allocate(std::size_t bytes);  // null where this thread neither records nor replays
void arena_free(void* data);

// Whether this thread records, and isn't within a recorded call already.
bool recording_here();
// Runs a call and records it.
PyObject* record_call(vectorcallfunc run, PyObject* callable, PyObject* const* args, size_t nargsf, PyObject* names);

}  // namespace rushlight

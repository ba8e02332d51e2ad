#include "arena.h"

#include <cstdlib>
#include <new>

namespace rushlight {

std::atomic<int> arena_users{0};
std::atomic<std::size_t> arena_total{0};

namespace {

class Locked {
 public:
  explicit Locked(std::atomic_flag& flag) : flag_(flag) {
    while (flag_.test_and_set(std::memory_order_acquire)) __builtin_ia32_pause();
  }
  ~Locked() { flag_.clear(std::memory_order_release); }

 private:
  std::atomic_flag& flag_;
};

}  // namespace

Arena::~Arena() {
  for (ArenaBlock* block : blocks_) std::free(block);
  arena_total -= bytes_;
}

ArenaBlock* Arena::take(std::size_t bytes) {
  const int size = pool_class(bytes);
  Locked locked(lock_);
  auto& list = free_[size];
  ArenaBlock* block;
  if (!list.empty()) {
    block = list.back();
    list.pop_back();
  } else {
    const std::size_t held = pool_class_bytes(size);
    void* memory = std::aligned_alloc(kPoolAlign, kPoolHeader + held);
    if (!memory) return nullptr;
    block = new (memory) ArenaBlock{{nullptr, -1 - size, size}, this, {0}, static_cast<std::int32_t>(blocks_.size()), false, false};
    blocks_.push_back(block);
    by_address_[block->data()] = block;
    bytes_ += held;
    arena_total += held;
  }
  block->held = 1;
  keep();
  return block;
}

void Arena::give(ArenaBlock* block) {
  if (--block->held == 0 && reuse) {
    Locked locked(lock_);
    free_[-1 - block->pool.size].push_back(block);
  }
  release();
}

ArenaBlock* Arena::at(const char* address) const {
  auto after = by_address_.upper_bound(address);
  if (after == by_address_.begin()) return nullptr;
  ArenaBlock* block = std::prev(after)->second;
  return address < block->data() + block->bytes() ? block : nullptr;
}

void arena_free(void* data) {
  auto* block = reinterpret_cast<ArenaBlock*>(static_cast<char*>(data) - kPoolHeader);
  block->arena->give(block);
}

}  // namespace rushlight

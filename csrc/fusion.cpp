#include "fusion.h"

#include <algorithm>

#include "common.h"

namespace rushlight {
namespace {

// Scratch memory of this thread; grows, and lives as long as the thread.
char* scratch(std::int64_t bytes) {
  thread_local std::vector<char> memory;
  if (static_cast<std::int64_t>(memory.size()) < bytes + 64) memory.resize(static_cast<std::size_t>(bytes) + 64);
  return memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
}

}  // namespace

void FusedChain::run() const {
  const std::int64_t blocks = (n + block - 1) / block;
  parallel_for(blocks, std::max<std::int64_t>(1, kGrain / block), [&](std::int64_t first, std::int64_t last) {
    char* const mine = scratch(scratch_bytes);
    for (std::int64_t b = first; b < last; ++b) {
      const std::int64_t begin = b * block, count = std::min(block, n - begin);
      for (const FusedLoop& l : loops) {
        char* const out = const_cast<char*>(l.out.at(mine, begin));
        if (l.unary)
          l.unary(l.x.at(mine, begin), out, count, l.params, l.stream);
        else
          l.binary(l.x.at(mine, begin), l.y.at(mine, begin), out, count, l.mode, l.params, l.stream);
      }
    }
  });
}

}  // namespace rushlight

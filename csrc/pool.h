// The memory pool: blocks that arrays give back are kept and handed out again, so that big results do not cost
// fresh pages. See pool.cpp.
#pragma once

#include "common.h"

namespace rushlight {

constexpr std::size_t kPoolAlign = 64;
constexpr std::size_t kPoolHeader = 64;

// What stands before the memory of a block.
struct PoolHeader {
  PoolHeader* next;   // on a list of free blocks
  std::int32_t size;   // size class; below 0 where the block belongs to an arena (see arena.h)
  std::int32_t asked;  // that of the request it serves, which counts as memory in use
};

int pool_class(std::size_t bytes);         // size class of a request
std::size_t pool_class_bytes(int size);    // what blocks of a class hold

void* pool_allocate(std::size_t bytes);
void pool_free(void* block);

// A new array in pool memory, whatever thread asks. The reference to `type` is taken over; no strides: C order.
PyObject* new_array(PyArray_Descr* type, int ndim, const npy_intp* shape, const npy_intp* strides = nullptr);

}  // namespace rushlight

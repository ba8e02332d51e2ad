// The memory pool: blocks that arrays give back are kept and handed out again, so that big results do not cost
// fresh pages. See pool.cpp.
#pragma once

#include "common.h"

namespace rushlight {

void* pool_allocate(std::size_t bytes);
void pool_free(void* block);

// A new array in pool memory, whatever thread asks. The reference to `type` is taken over; no strides: C order.
PyObject* new_array(PyArray_Descr* type, int ndim, const npy_intp* shape, const npy_intp* strides = nullptr);

}  // namespace rushlight

// float16 and bfloat16: kernels compute them in float32, and round each result once. See lowprec.cpp.
#pragma once

#include "kernel.h"
#include "lowprec_loops.h"

namespace rushlight {

// A 16-bit type as Low, or -1 for any other.
inline int low_kind(int type) { return type == NPY_HALF ? kHalf : type == bfloat16_type && type >= 0 ? kBfloat16 : -1; }
inline int low_kind(PyArrayObject* a) { return low_kind(PyArray_DESCR(a)->type_num); }

constexpr std::int64_t kLowBlock = 1024;  // elements that are widened at a time: they stay in the first cache

// The call once more on float32 copies of its float16 or bfloat16 arrays; results of float32 in that type again.
// The reference kernel computes what native code does not cover. Null without an exception where there are none, or the
// call has float32 arrays with axes as well.
PyObject* attempt_widened(const Call& call);

// The attempt of the kernel cast(x, dtype).
PyObject* cast_attempt(const Call& call);

// Writes `from` into `to`, of one shape, where one is float32 and the other of 16 bits; false where it does not cover them.
bool convert(PyArrayObject* to, PyArrayObject* from);

}  // namespace rushlight

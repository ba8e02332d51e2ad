// Loops that batch and group normalisation share; see norm.cpp. Each is compiled for several CPU levels.
#pragma once

#include "nn_arrays.h"

namespace rushlight {

// Two sums of each column of x[rows][width]: of x - p and its square, or (products) of g and g (x - p).
// The same over one plane of n elements; y = x s + t over rows and over a plane.
#define RUSHLIGHT_NORM_SHARED(T)                                                                        \
  void moments(const T* x, const T* p, i64 rows, i64 width, double* a, double* b);                      \
  void products(const T* x, const T* g, const T* p, i64 rows, i64 width, double* a, double* b);         \
  void plane_moments(const T* x, T p, i64 n, double& a, double& b);                                     \
  void plane_products(const T* x, const T* g, T p, i64 n, double& a, double& b);                        \
  void normalise_rows(const T* x, const T* s, const T* t, T* y, i64 rows, i64 width);                   \
  void normalise_plane(const T* x, T s, T t, T* y, i64 n);
RUSHLIGHT_NORM_SHARED(float)
RUSHLIGHT_NORM_SHARED(double)
#undef RUSHLIGHT_NORM_SHARED

void bind_group_norm(nb::module_& m);

}  // namespace rushlight

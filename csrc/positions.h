// Functions along one dimension: running sums, elements at positions, the largest.
#pragma once

#include "common.h"

namespace rushlight {

void bind_scan(nb::module_& m);
void bind_gather(nb::module_& m);
void bind_topk(nb::module_& m);

}  // namespace rushlight

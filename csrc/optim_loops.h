// One optimizer step on a run of elements. See optim_loops.inc.
#pragma once

#include <cstdint>

namespace rushlight {

struct SgdStep {
  double lr, weight_decay, momentum, dampening;
  bool nesterov, maximize;
};

struct AdamStep {
  double beta1, beta2, eps, weight_decay, lr;
  bool decoupled, maximize;
  double step_size, root_correction;  // lr / (1 - beta1^t), sqrt(1 - beta2^t)
};

struct OptimLoops {
  // `buf` is null without momentum; on the first step it holds nothing yet.
  void (*sgd[2])(void* p, const void* g, void* buf, std::int64_t n, bool first, const SgdStep& how);
  // `top` is null without AMSGrad.
  void (*adam[2])(void* p, const void* g, void* m, void* v, void* top, std::int64_t n, const AdamStep& how);
};

}  // namespace rushlight

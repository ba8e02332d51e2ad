// The Python module rushlight._native: raw kernels on NumPy arrays.
#define RUSHLIGHT_IMPORT_ARRAY
#include "common.h"
#include "norm_loops.h"
#include "positions.h"

NB_MODULE(_native, m) {
  if (_import_array() < 0) nb::raise_python_error();
  nb::set_leak_warnings(false);  // the default generator lives as long as the process
  m.doc() = "Native kernels on NumPy arrays. Shapes and dtypes are checked by the caller.";
  rushlight::bind_threads(m);
  rushlight::bind_memory_pool(m);
  rushlight::bind_levels(m);
  rushlight::bind_elementwise(m);
  rushlight::bind_reduce(m);
  rushlight::bind_lowprec(m);
  rushlight::bind_optim(m);
  rushlight::bind_dnn_cache(m);
  rushlight::bind_dnn_conv(m);
  rushlight::bind_dnn_matmul(m);
  rushlight::bind_attention(m);
  rushlight::bind_ctc(m);
  rushlight::bind_norm(m);
  rushlight::bind_group_norm(m);
  rushlight::bind_pool(m);
  rushlight::bind_resample(m);
  rushlight::bind_grid(m);
  rushlight::bind_incomplete(m);
  rushlight::bind_handle(m);
  rushlight::bind_random(m);
  rushlight::bind_rnn(m);
  rushlight::bind_sparse(m);
  rushlight::bind_vision(m);
  rushlight::bind_deform(m);
  rushlight::bind_scan(m);
  rushlight::bind_gather(m);
  rushlight::bind_topk(m);
  rushlight::bind_replay(m);
}

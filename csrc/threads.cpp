// The one thread pool: OpenMP's. oneDNN and our own loops both run on it.
#include "common.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace rushlight {
namespace {

// The CPU quota of a container (cgroup v2, then v1), or a large number where there is none.
int quota_cpus() {
  double quota = -1, period = 0;
  if (std::FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    if (std::fscanf(f, "%lf %lf", &quota, &period) != 2) quota = -1;
    std::fclose(f);
  } else if (std::FILE* q = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r")) {
    if (std::fscanf(q, "%lf", &quota) != 1) quota = -1;
    std::fclose(q);
    if (std::FILE* p = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r")) {
      if (std::fscanf(p, "%lf", &period) != 1) quota = -1;
      std::fclose(p);
    }
  }
  if (quota <= 0 || period <= 0) return 1 << 20;
  return std::max(1, static_cast<int>(std::ceil(quota / period)));
}

int default_threads() {
  if (const char* wanted = std::getenv("OMP_NUM_THREADS")) {
    const int n = std::atoi(wanted);
    if (n > 0) return n;
  }
  cpu_set_t set;
  int cpus = omp_get_num_procs();
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cpus = CPU_COUNT(&set);
  return std::max(1, std::min(cpus, quota_cpus()));
}

int threads_in_use = 1;

void set_num_threads(int n) {
  threads_in_use = n;
  omp_set_num_threads(n);
}

}  // namespace

int num_threads() { return threads_in_use; }

void bind_threads(nb::module_& m) {
  set_num_threads(default_threads());
  // A forked child (a loader's worker) inherits OpenMP's pool without its threads: waiting for them would never end.
  pthread_atfork(nullptr, nullptr, [] { set_num_threads(1); });
  m.def("get_num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads);
}

}  // namespace rushlight

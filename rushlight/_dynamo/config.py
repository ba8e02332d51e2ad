"""Settings of PyTorch's compiler: they can be set and change nothing."""

suppress_errors = False
verbose = False
cache_size_limit = 8
recompile_limit = 8
capture_scalar_outputs = False
optimize_ddp = True

"""The kernels of the compiled extension; whatever it does not cover goes to the reference kernels."""

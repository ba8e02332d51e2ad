"""Layers that take the shapes of their parameters from their first input."""

from itertools import chain

from rushlight.autograd.grad_mode import no_grad
from rushlight.nn.parameter import is_lazy


class LazyModuleMixin:
    """Makes a layer lazy: its uninitialized parameters get their shapes when it is first called.

    A lazy layer defines `initialize_parameters(*args)`, which materializes them, and `cls_to_become`, the
    ordinary layer that it is from then on.
    """

    cls_to_become: type | None = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(_infer_parameters, with_kwargs=True)

    def _lazy_load_hook(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ) -> None:
        """Before loading: take the shapes of the tensors that are loaded."""
        for name, tensor in chain(self._parameters.items(), self._buffers.items()):
            given = state_dict.get(prefix + name)
            if given is not None and is_lazy(tensor) and not is_lazy(given):
                with no_grad():
                    tensor.materialize(given.shape)

    def initialize_parameters(self, *args, **kwargs) -> None:
        """Give the parameters shapes from the first call's arguments; to be written by the subclass."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether some parameter or buffer has no shape yet."""
        return any(is_lazy(t) for t in chain(self._parameters.values(), self._buffers.values()))


def _infer_parameters(module, args, kwargs) -> None:
    """Before the first forward: give the parameters their shapes, and become the ordinary layer."""
    module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(f"module {module._get_name()} has not been fully initialized")
    module._initialize_hook.remove()
    module._load_hook.remove()
    del module._initialize_hook, module._load_hook
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become

"""Networks made quicker for inference."""

import copy

from rushlight import nn
from rushlight.fx._symbolic_trace import symbolic_trace
from rushlight.fx.graph_module import GraphModule
from rushlight.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

__all__ = ["fuse", "remove_dropout"]

_PAIRS = (
    (nn.Conv1d, nn.BatchNorm1d, fuse_conv_bn_eval),
    (nn.Conv2d, nn.BatchNorm2d, fuse_conv_bn_eval),
    (nn.Conv3d, nn.BatchNorm3d, fuse_conv_bn_eval),
    (nn.Linear, nn.BatchNorm1d, fuse_linear_bn_eval),
)


def fuse(model: nn.Module, inplace: bool = False, no_trace: bool = False) -> GraphModule:
    """A network in evaluation mode whose batch normalisations are part of the layers before them.

    Args:
        model: the network.
        inplace: change its layers, rather than those of a copy.
        no_trace: it is a `GraphModule` already.

    >>> import rushlight as torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)).eval()
    >>> [name for name, _ in torch.fx.experimental.optimization.fuse(net).named_children()]
    ['0']
    """
    model = model if inplace else copy.deepcopy(model)
    traced = model if no_trace else symbolic_trace(model)
    modules = dict(traced.named_modules())
    for node in traced.graph.nodes:
        before = node.args[0] if node.args else None
        if node.op != "call_module" or getattr(before, "op", None) != "call_module" or len(before.users) > 1:
            continue
        layer, norm = modules[before.target], modules[node.target]
        for first, second, fused in _PAIRS:
            if type(layer) is first and type(norm) is second and norm.track_running_stats:
                traced.add_submodule(before.target, fused(layer, norm))
                node.replace_all_uses_with(before)
                traced.graph.erase_node(node)
                traced.delete_submodule(node.target)
                break
    traced.recompile()
    return traced


def remove_dropout(model: nn.Module) -> GraphModule:
    """A network without its dropout layers.

    Args:
        model: the network.
    """
    traced = symbolic_trace(model)
    modules = dict(traced.named_modules())
    for node in traced.graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], nn.Dropout):
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
    traced.recompile()
    return traced

"""rearrange, reduce, repeat, einsum, pack, layers with weights, gradients, and errors' types."""

import torch
from einops import einsum, pack, parse_shape, rearrange, reduce, repeat, unpack
from einops.layers.torch import EinMix, Rearrange, Reduce
from torch import nn

torch.manual_seed(0)
x = torch.randn(2, 3, 8, 12, requires_grad=True)


def show(name, t):
    print(name, tuple(t.shape), t.dtype, t.stride(), *[f"{v:.5f}" for v in t.detach().flatten()[:5].tolist()])


show("patches", rearrange(x, "b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=4, p2=4))
show("transposed", rearrange(x, "b c h w -> b h w c"))
show("list", rearrange([x, x * 2], "n b c h w -> b (n c) h w"))
for how in ("mean", "max", "min", "sum", "prod"):
    show(how, reduce(x, "b c (h 2) (w 3) -> b c h w", how))
show("logical", reduce(x > 0, "b c h w -> b c", "any"))
show("function", reduce(x, "b c h w -> b c", lambda t, dims: torch.logsumexp(t, dim=dims)))
show("repeat", repeat(x, "b c h w -> b c (h 2) (w 2)"))
show("einsum", einsum(x, torch.randn(8, 5), "b c h w, h k -> b c w k"))
packed, shapes = pack([x, torch.randn(2, 3, 4)], "b c *")
show("packed", packed)
print([tuple(p.shape) for p in unpack(packed, shapes, "b c *")], parse_shape(x, "b c _ w"))
net = nn.Sequential(
    nn.Conv2d(3, 6, 3, padding=1), Reduce("b c (h 2) (w 2) -> b c h w", "max"), nn.ReLU(),
    Rearrange("b c h w -> b (c h w)"), nn.Linear(6 * 4 * 6, 10),
)  # fmt: skip
print(net)
show("net", net(x))
mix = EinMix("b c h w -> b h w k", weight_shape="c k", bias_shape="k", c=3, k=4)
show("mix", mix(x))
net(x).square().sum().backward()
show("gradient", x.grad)
show("compiled", torch.compile(net)(x))
try:
    rearrange(x, "b c h -> b c h")
except Exception as error:
    print(type(error).__name__)
buffer = {k: v.shape for k, v in net.state_dict().items()}
print(buffer)

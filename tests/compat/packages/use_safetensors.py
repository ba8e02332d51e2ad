"""Files of tensors written and read by functions, of whole models with shared weights, and by slices."""

import os
import tempfile

import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, load_model, save, save_file, save_model
from torch import nn

torch.manual_seed(0)
tensors = {
    "float": torch.randn(3, 4), "half": torch.randn(2).half(), "bfloat": torch.randn(5).bfloat16(), "long": torch.arange(6).view(2, 3),
    "bool": torch.tensor([True, False]), "byte": torch.arange(3, dtype=torch.uint8), "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3), "double": torch.randn(2, dtype=torch.float64), "complex": torch.randn(2, dtype=torch.complex64),
}  # fmt: skip
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "a.safetensors")
    save_file(tensors, path, metadata={"by": "us"})
    for name, t in load_file(path).items():
        print(name, t, torch.equal(t, tensors[name]))
    with safe_open(path, framework="pt", device="cpu") as file:
        print(
            sorted(file.keys()),
            file.metadata(),
            file.get_slice("float")[1:, :2],
            file.get_slice("float").get_shape(),
        )
        print(file.get_tensor("half"))
    print(sorted(load(save(tensors))) == sorted(tensors))
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    path = os.path.join(folder, "b.safetensors")
    save_model(net, path)
    other = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    other[1].weight = other[0].weight
    print(load_model(other, path), torch.equal(net(torch.ones(1, 3)), other(torch.ones(1, 3))))
    try:
        save_file({"a": net[0].weight, "b": net[1].weight}, path)
    except RuntimeError as error:
        print(str(error)[:60])

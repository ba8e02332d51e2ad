"""Comparing networks with torchvision's: keys, sizes, weights of the same seed, outputs and gradients."""

import numpy as np

import rushlight as torch
from rushlight import vision
from tests.vision.datasets_oracle import torchvision


def pair(builder, *, seed=0, space="models", **options):
    """Our model and torchvision's, each made with the same seed, after their entries were compared.

    `builder` is a name in `space`, or a function of the space that makes the model.
    """
    import torch as oracle

    theirs_space, ours_space = torchvision(), vision
    for step in space.split("."):
        theirs_space, ours_space = getattr(theirs_space, step), getattr(ours_space, step)
    make = builder if callable(builder) else lambda space: getattr(space, builder)(**options)
    oracle.manual_seed(seed)
    theirs = make(theirs_space)
    torch.manual_seed(seed)
    ours = make(ours_space)
    expected, found = theirs.state_dict(), ours.state_dict()
    assert list(found) == list(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key].numpy(), value.numpy(), rtol=1e-5, atol=1e-7, err_msg=key)
    return ours, theirs


def outputs(result) -> dict:
    """The tensors of a result by name."""
    if isinstance(result, dict):
        return dict(result)
    return dict(enumerate(result)) if isinstance(result, tuple | list) else {"out": result}


def close(ours, theirs, relative=1e-4, what=""):
    """Arrays agree, relative to the largest value."""
    assert ours.shape == theirs.shape, what
    worst = np.abs(ours - theirs).max() / (np.abs(theirs).max() + 1e-12)
    assert worst <= relative, f"{what}: {worst:.2e} relative to the largest value"


def compare(ours, theirs, size, relative=1e-4, modes=(False, True), kinds=("float32", "float64")):
    """Outputs and the gradient of the input agree, in evaluation and in training mode, each in its own type.

    Training is compared in float64: in float32 single values change the side of a rectifier's bend, and PyTorch differs
    from itself in float64 by up to 1e-2.
    """
    import torch as oracle

    x = np.random.default_rng(0).standard_normal(size).astype("float32")
    for training in modes:
        results = []
        for torch_, model in ((torch, ours), (oracle, theirs)):
            for module in model.modules():  # other random draws would not agree for other reasons
                if "Dropout" in type(module).__name__ or type(module).__name__ == "StochasticDepth":
                    module.p = 0.0
            model.train(training)
            kind = kinds[training]
            model.to(getattr(torch_, kind))
            leaf = torch_.from_numpy(x.astype(kind)).requires_grad_()
            found = outputs(model(leaf))
            sum((value * value).mean() for value in found.values()).backward()
            results.append({**{k: v.detach().numpy() for k, v in found.items()}, "grad": leaf.grad.numpy()})
        assert list(results[0]) == list(results[1])
        for key, value in results[1].items():
            close(results[0][key], value, relative, f"{key}, {'training' if training else 'evaluation'}")

"""How sure a network is, and whether that is as often right as it says."""

import contextlib
from dataclasses import dataclass

import rushlight as torch
from rushlight.autograd.grad_mode import no_grad
from rushlight.nn import Module, Parameter, functional
from rushlight.nn.dropout import _DropoutNd
from rushlight.tensor import Tensor

__all__ = ["TemperatureScaling", "Uncertainty", "dropout_active", "expected_calibration_error", "mc_dropout"]


@contextlib.contextmanager
def dropout_active(model: Module):
    """A context in which the model is in eval mode but for its layers of dropout.

    >>> from rushlight.validation import dropout_active
    >>> net = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Dropout())
    >>> with dropout_active(net):
    ...     net[0].training, net[1].training
    (False, True)
    """
    modes = {module: module.training for module in model.modules()}
    for module in modes:
        module.training = isinstance(module, _DropoutNd)
    try:
        yield model
    finally:
        for module, training in modes.items():
            module.training = training


@dataclass
class Uncertainty:
    """Outputs of one input under several draws of dropout.

    Attributes:
        samples: (draws, N, ...): probabilities of classes, or values.
    """

    samples: Tensor

    @property
    def mean(self) -> Tensor:
        """The predictive mean, (N, ...)."""
        return self.samples.mean(0)

    @property
    def deviation(self) -> Tensor:
        """The standard deviation over the draws, (N, ...)."""
        return self.samples.std(0)

    @property
    def entropy(self) -> Tensor:
        """The entropy of the mean probabilities in nats, (N,): all that is uncertain."""
        return _entropy(self.mean)

    @property
    def mutual_information(self) -> Tensor:
        """Of class and weights, in nats, (N,): what is uncertain because the weights are, and more data would tell."""
        return self.entropy - _entropy(self.samples).mean(0)


def _entropy(probabilities: Tensor) -> Tensor:
    return torch.special.entr(probabilities).sum(-1)


@no_grad()
def mc_dropout(model: Module, *inputs, draws: int = 50, classes: bool = True) -> Uncertainty:
    """Run a model several times with its dropout on, and without gradients.

    Args:
        model: the model, with layers of dropout; its mode is as before afterwards.
        *inputs: of the model.
        draws: how many runs.
        classes: the outputs are logits (N, classes), whose softmax is taken; False for regression.
    Returns:
        An `Uncertainty`: mean, deviation, entropy, mutual information.
    Raises:
        ValueError: the model has no layer of dropout. (`functional.dropout` in its `forward` is not found.)

    Gal and Ghahramani, "Dropout as a Bayesian Approximation" (2016).

    >>> from rushlight.validation import mc_dropout
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(), torch.nn.Linear(8, 3))
    >>> found = mc_dropout(net, torch.rand(5, 4), draws=10)
    >>> found.mean.shape, bool((found.mutual_information <= found.entropy).all())
    (torch.Size([5, 3]), True)
    """
    if not any(isinstance(module, _DropoutNd) for module in model.modules()):
        raise ValueError(
            f"mc_dropout: {type(model).__name__} has no layers of dropout, so that nothing would vary"
        )
    with dropout_active(model):
        outputs = torch.stack([model(*inputs) for _ in range(draws)])
    return Uncertainty(outputs.softmax(-1) if classes else outputs)


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Tensor:
    """How far confidence and accuracy lie apart, over bins of confidence of equal width, weighted by their samples.

    Args:
        probabilities: (N, classes).
        labels: the true classes, (N,).
        bins: how many.
    Returns:
        A number from 0 (calibrated) to 1, without dimensions.

    Guo et al., "On Calibration of Modern Neural Networks" (2017).

    >>> from rushlight.validation import expected_calibration_error
    >>> expected_calibration_error(torch.tensor([[0.8, 0.2], [0.6, 0.4]]), torch.tensor([0, 1]))
    tensor(0.4000)
    """
    confidence, predicted = probabilities.max(1)
    right = (predicted == labels).to(confidence.dtype)
    # A bin has its upper limit, not its lower one.
    place = (torch.ceil(confidence * bins).long() - 1).clamp(0, bins - 1)
    gaps = torch.zeros(bins, dtype=confidence.dtype).index_add(0, place, right - confidence)
    return gaps.abs().sum() / len(labels)


class TemperatureScaling(Module):
    """Divides logits by a number that makes their softmax calibrated; the predicted classes stay the same.

    Attributes:
        temperature: the number, 1 before `fit`.

    Guo et al., "On Calibration of Modern Neural Networks" (2017).

    >>> from rushlight.validation import TemperatureScaling
    >>> logits = torch.tensor([[9.0, 0.0]] * 4)  # very sure, but right in three of four
    >>> scaling = TemperatureScaling().fit(logits, torch.tensor([0, 0, 0, 1]))
    >>> scaling(logits).softmax(1)[0].detach().round(decimals=3)
    tensor([0.7500, 0.2500])
    """

    def __init__(self):
        super().__init__()
        self.log_temperature = Parameter(torch.zeros(()))

    @property
    def temperature(self) -> float:
        """What logits are divided by."""
        return float(self.log_temperature.detach().exp())

    def forward(self, logits: Tensor) -> Tensor:
        return logits / self.log_temperature.exp()

    def fit(self, logits: Tensor, labels: Tensor, steps: int = 100) -> "TemperatureScaling":
        """Find the temperature with the smallest loss on data that the model did not learn from.

        Args:
            logits: the model's outputs, (N, classes).
            labels: the true classes, (N,).
            steps: of L-BFGS, at most.
        Returns:
            This module.
        """
        optimizer = torch.optim.LBFGS([self.log_temperature], max_iter=steps, line_search_fn="strong_wolfe")
        logits = logits.detach()

        def closure():
            optimizer.zero_grad()
            loss = functional.cross_entropy(self(logits), labels)
            loss.backward()
            return loss

        with torch.enable_grad():
            optimizer.step(closure)
        self.log_temperature.grad = None
        return self

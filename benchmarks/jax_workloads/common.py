"""What the JAX versions share: layers as plain functions of arrays, optimizers, and the step that is compiled whole.

Parameters are a list of arrays, taken in order by the layers as they are built; so are the statistics of batch norms.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def from_numpy(array):
    """A copy in float32 (made without a compilation for every shape)."""
    return jnp.array(np.asarray(array, np.float32))


def zeros(like):
    """Zeros in the shape of a parameter."""
    return from_numpy(np.zeros(like.shape))


class Parameters:
    """Makes parameters with PyTorch's shapes, and keeps them in order with a function for each layer."""

    def __init__(self, seed: int = 0):
        self.random = np.random.default_rng(seed)
        self.trained: list = []
        self.statistics: list = []

    def uniform(self, shape, bound):
        """A parameter between -bound and bound; its place in the list."""
        return self.add(self.random.uniform(-bound, bound, shape))

    def add(self, array) -> int:
        """Take a parameter; its place in the list."""
        self.trained.append(from_numpy(array))
        return len(self.trained) - 1

    def linear(self, inside, outside):
        """nn.Linear."""
        w = self.uniform((outside, inside), inside**-0.5)
        b = self.uniform((outside,), inside**-0.5)
        return lambda net, x: x @ net.p[w].T + net.p[b]

    def conv(self, inside, outside, size, stride=1, padding=0, groups=1, bias=True):
        """nn.Conv2d, on pictures of N, H, W, C, which XLA's processor code is made for."""
        bound = (inside // groups * size * size) ** -0.5
        w = self.uniform((size, size, inside // groups, outside), bound)
        b = self.uniform((outside,), bound) if bias else None

        def forward(net, x):
            out = lax.conv_general_dilated(
                x,
                net.p[w],
                (stride, stride),
                [(padding, padding)] * 2,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=groups,
            )
            return out if b is None else out + net.p[b]

        return forward

    def batch_norm(self, channels):
        """nn.BatchNorm1d and 2d, of the last axis."""
        w, b = self.add(np.ones(channels)), self.add(np.zeros(channels))
        place = len(self.statistics)
        self.statistics += [from_numpy(np.zeros(channels)), from_numpy(np.ones(channels))]

        def forward(net, x):
            if net.train:
                axes = tuple(range(x.ndim - 1))
                mean, var = x.mean(axes), x.var(axes)
                count = math.prod(x.shape[:-1])
                net.s[place] = 0.9 * net.s[place] + 0.1 * mean
                net.s[place + 1] = 0.9 * net.s[place + 1] + 0.1 * var * count / (count - 1)
            else:
                mean, var = net.s[place], net.s[place + 1]
            return (x - mean) * (lax.rsqrt(var + 1e-5) * net.p[w]) + net.p[b]

        return forward

    def layer_norm(self, width):
        """nn.LayerNorm of the last axis."""
        w, b = self.add(np.ones(width)), self.add(np.zeros(width))

        def forward(net, x):
            mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
            return (x - mean) * lax.rsqrt(var + 1e-5) * net.p[w] + net.p[b]

        return forward


class Net:
    """What a layer sees of one pass: parameters, statistics to be renewed, the mode and random numbers."""

    def __init__(self, parameters, statistics, train, key):
        self.p, self.s, self.train, self.key = parameters, list(statistics), train, key

    def dropout(self, x, probability):
        """nn.Dropout."""
        if not self.train:
            return x
        self.key, key = jax.random.split(self.key)
        return jnp.where(jax.random.bernoulli(key, 1 - probability, x.shape), x / (1 - probability), 0.0)


def relu(net, x):
    """nn.ReLU."""
    return jax.nn.relu(x)


def max_pool(net, x):
    """nn.MaxPool2d(2)."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def mean_pool(net, x):
    """nn.AdaptiveAvgPool2d(1) and nn.Flatten."""
    return x.mean((1, 2))


def flatten(net, x):
    """nn.Flatten."""
    return x.reshape(x.shape[0], -1)


def dropout(probability):
    """nn.Dropout."""
    return lambda net, x: net.dropout(x, probability)


def sequential(*layers):
    """nn.Sequential."""

    def forward(net, x):
        for layer in layers:
            x = layer(net, x)
        return x

    return forward


def cross_entropy(logits, labels):
    """nn.CrossEntropyLoss."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


def mean_squared(x, y):
    """nn.MSELoss."""
    return ((x - y) ** 2).mean()


def sgd(lr, momentum=0.0, weight_decay=0.0):
    """optim.SGD: how a list of state starts, and the update of a parameter from its gradient and state."""

    def start(p):
        return (zeros(p),) if momentum else ()

    def update(p, g, state, count):
        g = g + weight_decay * p if weight_decay else g
        if momentum:
            g = momentum * state[0] + g
            state = (g,)
        return p - lr * g, state

    return start, update


def adam(lr, beta1=0.9, beta2=0.999):
    """optim.Adam."""

    def start(p):
        return zeros(p), zeros(p)

    def update(p, g, state, count):
        m, v = beta1 * state[0] + (1 - beta1) * g, beta2 * state[1] + (1 - beta2) * g * g
        scale = jnp.sqrt(v) / jnp.sqrt(1 - beta2**count) + 1e-8
        return p - lr / (1 - beta1**count) * m / scale, (m, v)

    return start, update


def training_step(parameters, forward, optimizer, x, y, criterion=cross_entropy):
    """A function that runs one compiled step, update included, and returns the loss.

    Args:
        parameters: Parameters with all layers in them.
        forward: the network, of a Net and the batch.
        optimizer: what sgd or adam made.
        x: the batch.
        y: its targets.
        criterion: the loss of outputs and targets.
    """
    start, update = optimizer

    def whole(trained, statistics, states, count, key, x, y):
        def loss_of(trained):
            net = Net(trained, statistics, True, key)
            return criterion(forward(net, x), y), net.s

        (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(trained)
        updated = [update(*each, count) for each in zip(trained, gradients, states, strict=True)]
        trained, states = [p for p, _ in updated], [s for _, s in updated]
        return trained, statistics, states, count + 1, jax.random.fold_in(key, 1), loss

    compiled = jax.jit(whole, donate_argnums=(0, 1, 2, 3, 4))
    now = (
        parameters.trained,
        parameters.statistics,
        [start(p) for p in parameters.trained],
        jnp.float32(1),
        jax.random.key(1),
    )

    def step():
        nonlocal now
        *now, loss = compiled(*now, x, y)
        jax.block_until_ready(now)
        return float(loss)

    step.parameters = lambda: now[0]
    return step


def inference_step(parameters, forward, x):
    """A function that runs the network, in evaluation, on one batch and returns the first output."""
    compiled = jax.jit(lambda p, s, x: forward(Net(p, s, False, None), x))
    trained, statistics = parameters.trained, parameters.statistics

    def step():
        return float(compiled(trained, statistics, x).block_until_ready().reshape(-1)[0])

    step.parameters = lambda: trained
    return step


def normal(*shape):
    """Inputs, as torch.randn makes."""
    return from_numpy(np.random.default_rng(2).standard_normal(shape))


def labels(count, classes=10):
    """Targets, as torch.randint makes."""
    return jnp.array(np.random.default_rng(3).integers(0, classes, count))

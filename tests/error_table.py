"""Wrong programs that learners write, and what each is told. `python -m tests.error_table > docs/errors.md`."""

import re
import textwrap
import warnings
from dataclasses import dataclass

SECTIONS: dict[str, list] = {}


@dataclass
class Row:
    """A wrong program, parts of the message it must get, and why it is wrong."""

    name: str
    program: str
    parts: tuple
    why: str
    same_type: bool = True  # as PyTorch's exception


def section(title: str, *rows: Row) -> None:
    SECTIONS[title] = list(rows)


section(
    "Sizes that do not go together",
    Row(
        "wrong number of features",
        "model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(64, 10))\nmodel(torch.zeros(32, 784))",
        ("32x128 and 64x10", "[..., 64]", "[32, 128]", "nn.Linear(128", "layer '2': Linear(in_features=64"),
        "A layer's `in_features` is the number of features that the layer before gives.",
    ),
    Row(
        "forgotten flatten",
        "model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Linear(8 * 26 * 26, 10))\n"
        "model(torch.zeros(4, 1, 28, 28))",
        ("832x26 and 5408x10", "[4, 8, 26, 26]", "flatten(1)", "layer '2': Linear"),
        "Convolutions give images, (N, C, H, W); a linear layer wants rows of numbers. Put `nn.Flatten()` between.",
    ),
    Row(
        "flatten without the batch dimension",
        "images = torch.zeros(4, 1, 28, 28)\nnn.Linear(784, 10)(images.flatten())",
        ("1x3136 and 784x10", "[..., 784]"),
        "`flatten()` merges the batch too; `flatten(1)` keeps it.",
    ),
    Row(
        "transposed input",
        "nn.Linear(10, 2)(torch.zeros(10, 32))",
        ("10x32 and 10x2", "Transpose"),
        "Each row is one example: (examples, features).",
    ),
    Row(
        "product of matrices",
        "torch.zeros(2, 3) @ torch.zeros(2, 3)",
        ("mat1 and mat2", "2x3 and 2x3", "Transpose"),
        "The inner sizes of a product are equal; one of the two is probably to be transposed.",
    ),
    Row(
        "product of batches",
        "torch.bmm(torch.zeros(2, 3, 4), torch.zeros(2, 5, 6))",
        ("bmm", "[2, 4]", "[2, 5, 6]"),
        "`bmm` multiplies (B, n, m) by (B, m, p).",
    ),
    Row(
        "bmm of matrices",
        "torch.bmm(torch.zeros(3, 4), torch.zeros(4, 5))",
        ("3D", "[3, 4]", "x @ y"),
        "`bmm` is for batches of matrices; `@` takes both.",
    ),
    Row(
        "sum of tensors that do not broadcast",
        "torch.zeros(2, 3) + torch.zeros(4)",
        ("size of tensor a (3)", "tensor b (4)", "dimension 1", "[2, 3]"),
        "Sizes are compared from the last one: each pair is equal, or one of the two is 1.",
    ),
    Row(
        "missing batch dimension of an image",
        "nn.Conv2d(3, 8, 3)(torch.zeros(28, 28))",
        ("3D", "4D", "[28, 28]", "unsqueeze"),
        "A convolution takes (N, C, H, W) or (C, H, W).",
    ),
    Row(
        "wrong number of channels",
        "nn.Conv2d(3, 8, 3)(torch.zeros(1, 1, 28, 28))",
        ("[8, 3, 3, 3]", "[1, 1, 28, 28]", "3 channels", "got 1 channels"),
        "Grey images have one channel: `nn.Conv2d(1, ...)`, or repeat the channel.",
    ),
    Row(
        "channels last in the shape",
        "nn.Conv2d(3, 8, 3)(torch.zeros(1, 28, 28, 3))",
        ("[1, 28, 28, 3]", "permute(0, 3, 1, 2)"),
        "Images from NumPy, PIL or OpenCV are (H, W, C); PyTorch's are (C, H, W).",
    ),
    Row(
        "kernel larger than the input",
        "nn.Conv2d(3, 8, 5)(torch.zeros(1, 3, 4, 4))",
        ("Kernel size", "(5 x 5)", "(4 x 4)"),
        "The image has become smaller than the kernel: pad it, or take fewer or smaller layers.",
    ),
    Row(
        "too much pooling",
        "model = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2), nn.MaxPool2d(2))\nmodel(torch.zeros(1, 3, 5, 5))",
        ("too small", "layer '2': MaxPool2d"),
        "Each pooling halves the image; after two, 5 x 5 is 1 x 1.",
    ),
    Row(
        "wrong number of channels in batch normalisation",
        "nn.BatchNorm2d(16)(torch.zeros(4, 8, 5, 5))",
        ("running_mean", "8", "16"),
        "`nn.BatchNorm2d` takes the number of channels of the layer before.",
    ),
    Row(
        "batch normalisation of images in one dimension",
        "nn.BatchNorm1d(8)(torch.zeros(4, 8, 5, 5))",
        ("2D or 3D", "4D", "nn.BatchNorm2d"),
        "Images want `nn.BatchNorm2d`.",
    ),
    Row(
        "batch normalisation of one example",
        "nn.BatchNorm1d(3)(torch.zeros(1, 3))",
        ("Expected more than 1 value per channel", "[1, 3]"),
        "The variance of one value is nothing to divide by. Use larger batches (`drop_last=True`), or `model.eval()`.",
    ),
    Row(
        "layer normalisation over another size",
        "nn.LayerNorm(16)(torch.zeros(4, 8))",
        ("normalized_shape=[16]", "[*, 16]", "[4, 8]"),
        "`nn.LayerNorm` takes the sizes of the last dimensions of its input.",
    ),
    Row(
        "concatenation of different sizes",
        "torch.cat([torch.zeros(2, 3), torch.zeros(2, 4)])",
        ("3", "4", "dimension 1"),
        "All sizes but that of the dimension along which tensors are joined are equal.",
    ),
    Row(
        "stack of different sizes",
        "torch.stack([torch.zeros(2), torch.zeros(3)])",
        ("equal size", "[2]", "[3]"),
        "`stack` makes a new dimension: all tensors have one shape.",
    ),
    Row(
        "view of a transposed tensor",
        "torch.zeros(2, 3).t().view(6)",
        ("view size is not compatible", "reshape"),
        "`view` never copies; `reshape` does where it must.",
    ),
    Row(
        "view with another number of elements",
        "torch.zeros(2, 3).view(5)",
        ("shape '[5]' is invalid for input of size 6",),
        "The product of the sizes stays the same.",
    ),
    Row(
        "reshape that does not divide",
        "torch.zeros(2, 3).reshape(4, -1)",
        ("shape '[4, -1]' is invalid for input of size 6",),
        "-1 stands for what is left, which must be a whole number.",
    ),
    Row(
        "expand of a size that is not 1",
        "torch.zeros(2, 3).expand(4, 3)",
        ("(4)", "(2)", "non-singleton dimension 0"),
        "`expand` repeats dimensions of size 1; `repeat` copies any.",
    ),
    Row(
        "hidden state of another size",
        "rnn = nn.LSTM(8, 16)\nrnn(torch.zeros(5, 2, 10))",
        ("10", "8", "input.size(-1)"),
        "The last size of a recurrent layer's input is its `input_size`.",
    ),
    Row(
        "first hidden state of another shape",
        "rnn = nn.GRU(8, 16, num_layers=2)\nrnn(torch.zeros(5, 3, 8), torch.zeros(1, 3, 16))",
        ("hidden", "(2, 3, 16)", "[1, 3, 16]"),
        "The state is (layers, batch, hidden), also with `batch_first=True`.",
    ),
    Row(
        "heads that do not divide",
        "nn.MultiheadAttention(10, 3)",
        ("embed_dim must be divisible by num_heads",),
        "Each head gets an equal share of the features.",
    ),
    Row(
        "groups that do not divide",
        "nn.Conv2d(3, 8, 3, groups=2)",
        ("in_channels must be divisible by groups", "3 and 2"),
        "Each group gets an equal share of the channels.",
    ),
)

section(
    "Labels and losses",
    Row(
        "class out of range",
        "F.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 3]))",
        ("Target 3 is out of bounds",),
        "Classes are numbered from 0: three classes are 0, 1 and 2.",
    ),
    Row(
        "labels as floating-point numbers",
        "F.cross_entropy(torch.zeros(2, 3), torch.tensor([0.0, 2.0]))",
        ("Long", "Float", ".long()"),
        "Class numbers are integers. (A floating-point target of the input's shape means probabilities.)",
    ),
    Row(
        "labels with a dimension too many",
        "F.cross_entropy(torch.zeros(2, 3), torch.tensor([[0], [2]]))",
        ("0D or 1D target tensor expected", "squeeze(1)"),
        "Labels are one number per example: shape (N), not (N, 1).",
    ),
    Row(
        "labels of another number",
        "F.cross_entropy(torch.zeros(2, 3), torch.tensor([0]))",
        ("batch_size (2)", "batch_size (1)"),
        "There is one label per example.",
    ),
    Row(
        "one-hot labels as integers",
        "F.cross_entropy(torch.zeros(2, 3), torch.tensor([[1, 0, 0], [0, 0, 1]]))",
        ("floating point", "Long", ".float()"),
        "A target of the input's shape holds probabilities, which are floating-point numbers; class numbers do too.",
    ),
    Row(
        "probabilities outside 0 and 1",
        "F.binary_cross_entropy(torch.tensor([2.0]), torch.tensor([1.0]))",
        ("between 0 and 1", "binary_cross_entropy_with_logits"),
        "Apply `sigmoid` first, or use `nn.BCEWithLogitsLoss`, which does.",
    ),
    Row(
        "binary labels of another shape",
        "F.binary_cross_entropy(torch.full((4, 1), 0.5), torch.ones(4))",
        ("target size (torch.Size([4]))", "input size (torch.Size([4, 1]))", "input.squeeze(-1)"),
        "Predictions of shape (N, 1) meet labels of shape (N): `predictions.squeeze(1)`.",
    ),
    Row(
        "logits and labels of another shape",
        "nn.BCEWithLogitsLoss()(torch.zeros(4, 1), torch.ones(4))",
        ("Target size (torch.Size([4]))", "input size (torch.Size([4, 1]))", "input.squeeze(-1)"),
        "Predictions of shape (N, 1) meet labels of shape (N): `predictions.squeeze(1)`.",
    ),
    Row(
        "binary labels as integers",
        "F.binary_cross_entropy(torch.tensor([0.5]), torch.tensor([1]))",
        ("Float", "Long", ".to(input.dtype)"),
        "Binary labels are floating-point numbers.",
    ),
    Row(
        "loss of shapes that do not broadcast",
        "F.mse_loss(torch.zeros(4, 3), torch.zeros(4, 2))",
        ("size of tensor a (3)", "tensor b (2)"),
        "Predictions and targets have one shape.",
    ),
    Row(
        "unknown reduction",
        'F.mse_loss(torch.zeros(2), torch.zeros(2), reduction="average")',
        ("average is not a valid value for reduction",),
        "The reductions are 'mean', 'sum' and 'none'.",
    ),
    Row(
        "weights for another number of classes",
        "F.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]), weight=torch.ones(2))",
        ("weight tensor should be defined either for all 3 classes or no classes", "[2]"),
        "`weight` has one number per class.",
    ),
    Row(
        "accuracy against scores",
        "scores, labels = torch.zeros(4, 3), torch.zeros(4)\n(scores == labels).float().mean()",
        ("size of tensor a (3)", "tensor b (4)"),
        "Compare the predicted classes: `scores.argmax(1) == labels`.",
    ),
)

section(
    "Gradients",
    Row(
        "backward twice",
        "x = torch.ones(2, requires_grad=True)\nloss = (x * x).sum()\nloss.backward()\nloss.backward()",
        ("second time", "retain_graph=True"),
        "The graph is freed by the first pass. Compute the loss again; `retain_graph=True` is seldom what is wanted.",
    ),
    Row(
        "backward from a vector",
        "x = torch.ones(3, requires_grad=True)\n(x * 2).backward()",
        ("grad can be implicitly created only for scalar outputs", "[3]", ".sum()"),
        "Reduce the loss to one number first.",
    ),
    Row(
        "backward without parameters",
        "x = torch.ones(3)\nx.sum().backward()",
        ("does not require grad and does not have a grad_fn", "requires_grad=True"),
        "Nothing that the loss was computed from requires gradients: was it made under `no_grad`, or detached?",
    ),
    Row(
        "backward from inference",
        "model = nn.Linear(2, 1)\nwith torch.no_grad():\n    loss = model(torch.ones(1, 2)).sum()\nloss.backward()",
        ("does not require grad and does not have a grad_fn", "no_grad"),
        "Under `no_grad` nothing is recorded.",
    ),
    Row(
        "parameter changed in place",
        "w = torch.ones(2, requires_grad=True)\nw -= 0.1",
        ("a leaf Variable that requires grad is being used in an in-place operation", "no_grad"),
        "Updates by hand belong under `with torch.no_grad():`.",
    ),
    Row(
        "saved value changed in place",
        "x = torch.ones(2, requires_grad=True)\ny = x.exp()\ny += 1\ny.sum().backward()",
        ("modified by an inplace operation", "ExpBackward0", "version 1; expected version 0", "clone()"),
        "The gradient of `exp` needs its output. Write `y = y + 1`.",
    ),
    Row(
        "gradient of integers",
        "torch.tensor([1, 2], requires_grad=True)",
        ("Only Tensors of floating point and complex dtype can require gradients", "decimal point"),
        "Write 1.0 instead of 1, or give `dtype=torch.float32`.",
    ),
    Row(
        "NumPy of a recorded tensor",
        "nn.Linear(2, 1)(torch.ones(1, 2)).numpy()",
        ("Can't call numpy() on Tensor that requires grad", "detach().numpy()"),
        "NumPy does not record; `detach()` says that this is meant.",
    ),
    Row(
        "gradient of something unused",
        "x, y = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)\n"
        "torch.autograd.grad((x * 2).sum(), [x, y])",
        ("appears to not have been used in the graph", "allow_unused=True"),
        "`y` has no part in the result.",
    ),
    Row(
        "requires_grad of a result",
        "x = torch.ones(2, requires_grad=True)\n(x * 2).requires_grad_(False)",
        ("leaf variables", "detach()"),
        "Only what was not computed can be switched off; cut a result out with `detach()`.",
    ),
    Row(
        "copy of a result",
        "import copy\nx = torch.ones(2, requires_grad=True)\ncopy.deepcopy(x * 2)",
        ("graph leaves", "deepcopy"),
        "Copy `x.detach()`, or `clone()` it within the graph.",
    ),
    Row(
        "gradient of another shape",
        "w = torch.ones(2, requires_grad=True)\nw.grad = torch.ones(3)",
        ("assigned grad has data of a different size", "[2]", "[3]"),
        "A gradient has its parameter's shape.",
    ),
    Row(
        "view changed in place under no recording",
        "x = torch.ones(3)\nx.expand(2, 3).add_(1)",
        ("more than one element of the written-to tensor refers to a single memory location", "clone()"),
        "An expanded tensor has one element in many places; `clone()` it first.",
    ),
)

section(
    "Modules",
    Row(
        "forgotten super().__init__()",
        "class Net(nn.Module):\n    def __init__(self):\n        self.fc = nn.Linear(2, 1)\n\nNet()",
        ("cannot assign module before Module.__init__() call", "super().__init__()"),
        "The first line of `__init__` is `super().__init__()`.",
    ),
    Row(
        "modules in a plain list",
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.layers = [nn.Linear(2, 2), nn.Linear(2, 1)]\n\n"
        "torch.optim.SGD(Net().parameters(), lr=0.1)",
        ("optimizer got an empty parameter list", "nn.ModuleList"),
        "A module sees layers in attributes and in `nn.ModuleList` or `nn.ModuleDict`, not in Python's lists.",
    ),
    Row(
        "forward that is not there",
        "class Net(nn.Module):\n    def foward(self, x):\n        return x\n\nNet()(torch.ones(1))",
        ('Module [Net] is missing the required "forward" function',),
        "The method is called `forward`: a slip of the pen makes it another one.",
    ),
    Row(
        "error inside a model",
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())\n"
        "        self.heads = nn.ModuleList([nn.Linear(4, 2), nn.Linear(5, 2)])\n\n"
        "    def forward(self, x):\n        return self.heads[1](self.features(x).mean((2, 3)))\n\n"
        "Net()(torch.zeros(1, 3, 8, 8))",
        ("heads.1", "Linear(in_features=5, out_features=2", "1x4 and 5x2"),
        "The message names the layer by its path, as `state_dict` does.",
    ),
    Row(
        "missing attribute",
        "nn.Linear(2, 2).weights",
        ("'Linear' object has no attribute 'weights'", "weight"),
        "The parameter is called `weight`.",
    ),
    Row(
        "Sequential of a list",
        "nn.Sequential([nn.Linear(2, 2), nn.ReLU()])",
        ("list is not a Module subclass", "*"),
        "`nn.Sequential` takes layers, not a list of them: `nn.Sequential(*layers)`.",
    ),
    Row(
        "class instead of a layer",
        "nn.Sequential(nn.Linear(2, 2), nn.ReLU)",
        ("is not a Module subclass", "ReLU()"),
        "A layer is made by calling its class: `nn.ReLU()`.",
    ),
    Row(
        "parameter that is a plain tensor",
        "model = nn.Linear(2, 2)\nmodel.weight = torch.zeros(2, 2)",
        ("cannot assign 'torch.FloatTensor' as parameter 'weight'", "torch.nn.Parameter or None expected"),
        "Wrap it: `nn.Parameter(...)`.",
    ),
    Row(
        "probability of dropout",
        "nn.Dropout(50)",
        ("dropout probability has to be between 0 and 1, but got 50",),
        "It is a share, not a percentage.",
    ),
    Row(
        "string as a number of features",
        'nn.Linear("784", 10)',
        ("str",),
        "Sizes are integers; those read from a file or the command line are strings.",
    ),
)

section(
    "Optimizers and schedules",
    Row(
        "no parameters",
        "torch.optim.SGD([], lr=0.1)",
        ("optimizer got an empty parameter list",),
        "Is the list of parameters, or a generator that was used up, empty?",
    ),
    Row(
        "model instead of its parameters",
        "torch.optim.SGD(nn.Linear(2, 1), lr=0.1)",
        ("Linear", "not iterable", "parameters()"),
        "`model.parameters()` gives what is to be optimized.",
    ),
    Row(
        "one tensor instead of a list",
        "w = torch.ones(1, requires_grad=True)\ntorch.optim.SGD(w, lr=0.1)",
        ("iterable of Tensors or dicts", "[tensor]"),
        "Give a list, also of one parameter.",
    ),
    Row(
        "result instead of a parameter",
        "w = torch.ones(1, requires_grad=True) * 2\ntorch.optim.SGD([w], lr=0.1)",
        ("can't optimize a non-leaf Tensor", ".detach()"),
        "Multiply first, then `requires_grad_()`.",
    ),
    Row(
        "negative learning rate",
        "torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=-0.1)",
        ("Invalid learning rate: -0.1",),
        "To go up the gradient, give `maximize=True`.",
    ),
    Row(
        "unknown option",
        "torch.optim.Adam([nn.Parameter(torch.ones(1))], momentum=0.9)",
        ("unexpected keyword argument 'momentum'",),
        "Adam's momentum is the first of `betas`.",
    ),
    Row(
        "Nesterov without momentum",
        "torch.optim.SGD([nn.Parameter(torch.ones(1))], nesterov=True)",
        ("Nesterov momentum requires a momentum and zero dampening",),
        "Give `momentum=0.9` too.",
    ),
    Row(
        "state of another model's optimizer",
        "opt = torch.optim.SGD(nn.Linear(2, 1).parameters())\n"
        "opt.load_state_dict(torch.optim.SGD(nn.Linear(2, 1, bias=False).parameters()).state_dict())",
        ("doesn't match the size of optimizer's group", "2", "1"),
        "The state belongs to the same parameters in the same order.",
    ),
    Row(
        "schedule of a model",
        "torch.optim.lr_scheduler.StepLR(nn.Linear(2, 1), step_size=10)",
        ("Linear is not an Optimizer",),
        "A schedule changes an optimizer's learning rates.",
    ),
    Row(
        "LBFGS without a closure",
        "torch.optim.LBFGS([nn.Parameter(torch.ones(1))]).step()",
        ("missing 1 required positional argument: 'closure'",),
        "It computes the loss several times per step, and so needs a function that does.",
    ),
)

section(
    "Types",
    Row(
        "product of two types",
        "torch.zeros(2, 3) @ torch.zeros(3, 2, dtype=torch.float64)",
        ("expected m1 and m2 to have the same dtype", "float != double", ".to("),
        "NumPy's numbers are float64, PyTorch's float32: `.float()` converts.",
    ),
    Row(
        "float64 data in a float32 layer",
        "import numpy as np\nnn.Linear(3, 2)(torch.from_numpy(np.zeros((4, 3))))",
        ("dtype", "double", "float", ".to("),
        "`torch.from_numpy(...)` keeps NumPy's float64: add `.float()`.",
    ),
    Row(
        "bytes in a convolution",
        "nn.Conv2d(3, 8, 3)(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))",
        ("Byte", "Float", ".float()"),
        "Pixels are bytes: `images.float() / 255`.",
    ),
    Row(
        "mean of integers",
        "torch.tensor([1, 2]).mean()",
        ("mean()", "Long", "float()"),
        "A mean is seldom a whole number: `.float().mean()`.",
    ),
    Row(
        "fraction into an integer tensor",
        "torch.ones(2, dtype=torch.int64).add_(0.5)",
        ("result type Float can't be cast to the desired output type Long",),
        "An operation in place keeps the type.",
    ),
    Row(
        "embedding of floating-point numbers",
        "nn.Embedding(10, 4)(torch.tensor([1.0, 2.0]))",
        ("Long, Int", "FloatTensor", ".long()"),
        "An embedding looks rows up by number.",
    ),
    Row(
        "string in a tensor",
        'torch.tensor(["cat", "dog"])',
        ("str",),
        "Number the words first.",
    ),
    Row(
        "ragged list",
        "torch.tensor([[1, 2], [3]])",
        ("expected sequence of length 2 at dim 1 (got 1)",),
        "Rows have one length: pad them, for instance with `nn.utils.rnn.pad_sequence`.",
    ),
    Row(
        "list where a tensor is wanted",
        "torch.exp([1.0, 2.0])",
        ("exp(): argument 'input' (position 1) must be Tensor, not list",),
        "Make a tensor of it first: `torch.tensor(...)`.",
    ),
    Row(
        "number of many elements",
        "torch.ones(2).item()",
        ("a Tensor with 2 elements cannot be converted to Scalar", "[2]", ".tolist()"),
        "`item()` is for one element; `tolist()` for many.",
    ),
    Row(
        "truth of many elements",
        "if torch.ones(2) > 0:\n    pass",
        ("Boolean value of Tensor with more than one value is ambiguous", ".any()"),
        "Say which is meant: `.any()` or `.all()`.",
    ),
    Row(
        "NumPy of bfloat16",
        "torch.ones(2, dtype=torch.bfloat16).numpy()",
        ("Got unsupported ScalarType BFloat16", ".float()"),
        "NumPy has no bfloat16.",
    ),
)

section(
    "Indices",
    Row(
        "index out of range",
        "torch.zeros(3)[5]",
        ("index 5 is out of bounds for dimension 0 with size 3",),
        "Counting starts at 0.",
    ),
    Row(
        "fraction as an index",
        "torch.zeros(3)[1.0]",
        ("float", "indices", "int("),
        "Use `//` instead of `/` to compute an index.",
    ),
    Row(
        "too many indices",
        "torch.zeros(3)[0, 0]",
        ("too many indices for tensor of dimension 1",),
        "There is one index per dimension.",
    ),
    Row(
        "step backwards",
        "torch.zeros(3)[::-1]",
        ("step must be greater than zero", "flip"),
        "PyTorch has no negative steps; `x.flip(0)` copies.",
    ),
    Row(
        "dimension out of range",
        "torch.zeros(3).sum(dim=1)",
        ("Dimension out of range (expected to be in range of [-1, 0], but got 1)",),
        "Dimensions are counted from 0, or from the end from -1.",
    ),
    Row(
        "word that is not in the embedding",
        "nn.Embedding(10, 4)(torch.tensor([3, 10]))",
        ("index out of range", "10", "nn.Embedding(11"),
        "`num_embeddings` is the largest number plus 1.",
    ),
    Row(
        "gather out of range",
        "torch.zeros(2, 2).gather(0, torch.tensor([[3, 0]]))",
        ("index 3 is out of bounds for dimension 0 with size 2",),
        "Indices count along the dimension that is gathered from.",
    ),
    Row(
        "mask of another shape",
        "torch.zeros(3)[torch.tensor([True, False])]",
        ("shape of the mask [2]", "indexed tensor [3]"),
        "A mask has the shape of what it selects from.",
    ),
    Row(
        "assignment of another shape",
        "torch.zeros(3, 2)[0] = torch.zeros(3)",
        ("3", "2"),
        "The value broadcasts to the place that it is written to.",
    ),
    Row(
        "length of a number",
        "len(torch.tensor(1))",
        ("len() of a 0-d tensor",),
        "A loss is one number, without dimensions.",
    ),
)

section(
    "Data",
    Row(
        "tensors of different lengths",
        "torch.utils.data.TensorDataset(torch.zeros(3, 2), torch.zeros(4))",
        ("Size mismatch between tensors",),
        "There is one label per example.",
    ),
    Row(
        "batch of uneven tensors",
        "data = [torch.zeros(2), torch.zeros(3)]\nnext(iter(torch.utils.data.DataLoader(data, batch_size=2)))",
        ("stack expects each tensor to be equal size", "[2]", "[3]", "collate_fn"),
        "Give a `collate_fn` that pads them.",
    ),
    Row(
        "batch of something unknown",
        "data = [object(), object()]\nnext(iter(torch.utils.data.DataLoader(data, batch_size=2)))",
        ("default_collate", "object"),
        "A dataset gives tensors, numbers, strings, or tuples, lists and dictionaries of these.",
    ),
    Row(
        "empty data set",
        "torch.utils.data.DataLoader([], shuffle=True)",
        ("num_samples should be a positive integer value, but got num_samples=0",),
        "Is the path, or the pattern of file names, right?",
    ),
    Row(
        "data set without __getitem__",
        "class Words(torch.utils.data.Dataset):\n    def __len__(self):\n        return 3\n\nWords()[0]",
        ("__getitem__",),
        "A data set has `__len__` and `__getitem__`.",
    ),
    Row(
        "split that does not add up",
        "torch.utils.data.random_split(range(10), [7, 2])",
        ("Sum of input lengths does not equal the length of the input dataset",),
        "The lengths add up to that of the data set; shares such as [0.8, 0.2] may be given instead.",
    ),
    Row(
        "data set with shuffled sampler",
        "data = range(10)\nsampler = torch.utils.data.SequentialSampler(data)\n"
        "torch.utils.data.DataLoader(data, shuffle=True, sampler=sampler)",
        ("sampler option is mutually exclusive with shuffle",),
        "A sampler says the order already.",
    ),
)

section(
    "Saving, loading, devices",
    Row(
        "names that differ",
        'nn.Linear(2, 3).load_state_dict({"module.weight": torch.zeros(3, 2), "module.bias": torch.zeros(3)})',
        ("Missing key(s)", '"weight", "bias"', "Unexpected key(s)", '"module.weight"'),
        "The weights were saved from a `DataParallel` model: take 'module.' off the names.",
    ),
    Row(
        "sizes that differ",
        "nn.Linear(2, 3).load_state_dict(nn.Linear(2, 4).state_dict())",
        ("size mismatch for weight", "torch.Size([4, 2])", "torch.Size([3, 2])"),
        "The model is not built as the saved one was.",
    ),
    Row(
        "missing file",
        'torch.load("there-is-no-such-file.pt")',
        ("there-is-no-such-file.pt",),
        "The path is relative to where Python was started.",
    ),
    Row(
        "a GPU that is not there",
        'torch.zeros(2, device="cuda")',
        ("CUDA", "cpu"),
        'Write `device = "cuda" if torch.cuda.is_available() else "cpu"`.',
        same_type=False,  # PyTorch's type depends on how it was built
    ),
    Row(
        "model to a GPU that is not there",
        "nn.Linear(2, 1).cuda()",
        ("CUDA", "cpu"),
        'Write `model.to(device)` with `device = "cuda" if torch.cuda.is_available() else "cpu"`.',
        same_type=False,
    ),
    Row(
        "unknown device",
        'torch.zeros(2, device="gpu")',
        ("gpu", "cpu, cuda"),
        "The devices are called 'cpu' and 'cuda'.",
    ),
    Row(
        "unknown rounding mode",
        'torch.div(torch.ones(2), 2, rounding_mode="up")',
        ("rounding_mode", "'floor'", "up"),
        "The options are None, 'trunc' and 'floor'.",
    ),
    Row(
        "empty range of random integers",
        "torch.randint(5, 5, (2,))",
        ("from=5 >= to=5",),
        "The upper limit is not among the numbers.",
    ),
    Row(
        "probability above 1",
        "torch.bernoulli(torch.tensor([1.5]))",
        ("between 0 and 1",),
        "Probabilities are between 0 and 1.",
    ),
)


def rows() -> list[Row]:
    return [row for part in SECTIONS.values() for row in part]


def error_of(lib, program: str) -> Exception | None:
    """What running a program with a library as `torch` raises."""
    scope = {"torch": lib, "nn": lib.nn, "F": lib.nn.functional, "__name__": "program"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(program, scope)
        except Exception as error:
            return error
    return None


def message(error: Exception) -> str:
    """An error as Python prints it, without addresses."""
    return re.sub(r"\b0x[0-9a-f]{6,}", "0x...", f"{type(error).__name__}: {error}")


def document() -> str:
    """`docs/errors.md`."""
    import rushlight

    lines = [
        "# Errors, and what they mean",
        "",
        "Mistakes that learners make, the message each gets, and what to do. Generated by",
        "`python -m tests.error_table > docs/errors.md`; the table is also a test.",
    ]
    for title, part in SECTIONS.items():
        lines += ["", f"## {title}"]
        for row in part:
            said = message(error_of(rushlight, row.program))
            said = "\n".join(
                textwrap.fill(line, 110, break_long_words=False, break_on_hyphens=False)
                for line in said.split("\n")
            )
            lines += ["", f"### {row.name[0].upper()}{row.name[1:]}", "", "```python", row.program, "```", ""]
            lines += ["```text", said, "```", "", row.why]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(document(), end="")

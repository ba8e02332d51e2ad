"""Notes on PyTorch, from tensors to data augmentation: every snippet as a program."""

PROGRAMS = {
    "types and default types": """
print(torch.tensor([1.2, 3]).type(), torch.Tensor([1., 2.]), torch.Tensor(2, 3).shape, torch.empty(2, 3).shape)
torch.set_default_tensor_type(torch.DoubleTensor)
print(torch.tensor([1.2, 3]).type())
torch.set_default_tensor_type(torch.FloatTensor)
print(torch.tensor([1.2, 3]).type(), torch.IntTensor(2, 2).dtype, torch.FloatTensor([1, 2]), torch.from_numpy(np.arange(3.)))
for t in (torch.half, torch.double, torch.uint8, torch.int8, torch.short, torch.int, torch.long):
    print(t, torch.zeros(1, dtype=t).type())
""",
    "random tensors": """
print(torch.rand(2, 2), torch.randint(1, 10, [3, 3]), torch.rand_like(torch.ones(2)), torch.randn(3, 3))
print(torch.normal(mean=torch.full([10], 0.), std=torch.arange(1, 0, -0.1)), torch.randperm(10), torch.full([2, 3], 7))
print(torch.bernoulli(torch.full([2, 4], 0.3)), torch.normal(1., 2., size=(3,)))
""",
    "sequences": """
print(torch.arange(0, 10), torch.arange(0, 10, 2), torch.arange(10, 0, -1), torch.range(0, 10))
print(torch.linspace(0, 10, steps=4), torch.logspace(-1, 0, steps=10), torch.ones(3), torch.zeros(3, 3), torch.eye(3))
print(torch.zeros_like(torch.eye(2)), torch.ones_like(torch.eye(2)), torch.full_like(torch.eye(2), 5))
""",
    "indexing and slicing": """
a = torch.rand(10, 3, 28, 28)
print(a[0].shape, a[0, 0].shape, a[0, 0, 0].shape, a[0, 0, 0, 0], a[:2].shape, a[-2:].shape, a[:2, :1].shape)
print(a[-2:, -2:].shape, a[:, :, 0:28:2, 0:28:2].shape, a[2][1][18][26], a.index_select(0, torch.tensor([0, 3, 3])).shape)
print(a.index_select(1, torch.tensor([0, 2])).sum(), a.index_select(2, torch.arange(0, 8)).shape)
print(a[...].shape, a[:3, ...].shape, a[:, 1, ...].shape, a[..., :10].shape, a[0, ..., ::2].shape)
""",
    "masks and flat indices": """
x = torch.randn(3, 3)
mask = x.ge(0.5)
src = torch.tensor([[1, 2, 3], [4, 5, 6]])
print(mask, torch.masked_select(x, mask), torch.take(src, torch.tensor([0, 2, 5])))
""",
    "view and reshape": """
a = torch.rand(4, 1, 28, 28)
b = a.reshape(4, 28 * 28)
print(a.view(4, 28, 28).shape, b.shape, a.reshape(4 * 28, 28).shape, torch.equal(b.reshape(4, 1, 28, 28), a))
print(a.unsqueeze(0).shape, a.unsqueeze(-1).shape, a.unsqueeze(4).shape, a.unsqueeze(-5).shape)
a = torch.tensor([1.125, 2.258])
print(a.unsqueeze(1), a.unsqueeze(0), a.shape)
b, a = torch.rand(32), torch.rand(4, 32, 16, 16)
b = b.unsqueeze(1).unsqueeze(2).unsqueeze(0)
print(b.shape, (a + b).sum())
a = torch.rand(1, 32, 1, 1)
print(a.squeeze().shape, a.squeeze(0).shape, a.squeeze(-2).shape, a.squeeze(1).shape)
""",
    "transpose and permute": """
print(torch.randn(3, 4).t())
a = torch.randn(4, 3, 28, 28)
b = a.transpose(1, 3).reshape(4, 3 * 28 * 28).reshape(4, 3, 28, 28)
c = a.transpose(1, 3).reshape(4, 3 * 28 * 28).reshape(4, 28, 28, 3).transpose(1, 3)
print(torch.all(torch.eq(a, b)), torch.all(torch.eq(a, c)))
a = torch.randn(4, 3, 28, 32)
print(a.transpose(1, 3).transpose(1, 2).shape, a.permute(0, 2, 3, 1).shape)
""",
    "expand and repeat": """
b = torch.rand(1, 32, 1, 1)
print(b.expand(4, 32, 16, 16).shape, b.expand(-1, 32, 16, 16).sum(), b.repeat(4, 1, 16, 16).shape, b.repeat(4, 2, 16, 16).sum())
""",
    "broadcasting": """
print((torch.rand(1, 3) + torch.rand(3, 1)))
a = torch.rand(4, 32, 14, 14)
print((a + torch.rand(1, 32, 1, 1)).sum(), (a + torch.rand(14, 14)).mean())
b = torch.rand(2, 32, 14, 14)
try:
    a + b
except RuntimeError as error:
    print(str(error)[:86])
print((a + b[0]).sum(), (torch.rand(2, 3, 6, 6) + torch.rand(1, 3, 6, 1)).sum())
""",
    "cat, stack, split, chunk": """
a, b = torch.rand(4, 32, 8), torch.rand(5, 32, 8)
print(torch.cat([a, b], dim=0).shape, torch.stack([torch.rand(32, 8) for _ in range(3)], dim=0).sum((1, 2)))
aa, bb, cc = a.split([1, 2, 1], dim=0)
aaa, bbb = a.split(2, dim=0)
print(aa.shape, bb.shape, cc.shape, aaa.sum(), bbb.shape)
a = torch.rand(6, 32, 8)
print([t.shape for t in a.chunk(2, dim=0)], [t.shape for t in a.split(2, dim=0)])
""",
    "arithmetic": """
a, b = torch.rand(4, 3), torch.rand(3)
print(torch.all(torch.eq(a + b, torch.add(a, b))), a - b, a * b, a / b, a // b)
c = torch.rand(3, 8)
print(torch.mm(a, c), (a @ c).shape, torch.matmul(torch.rand(4, 3, 28, 64), torch.rand(4, 1, 64, 32)).sum())
print(a ** 2, a.sqrt(), a.rsqrt(), torch.exp(a), torch.log(a))
""",
    "rounding and clamping": """
a = torch.tensor(3.14)
print(a.floor(), a.ceil(), a.round(), a.trunc(), a.frac())
grad = torch.rand(3, 4) * 15
print(grad.min(), grad.max(), grad.median(), grad.clamp(10), grad.clamp(0, 10))
""",
    "norms": """
a = torch.full([8], 1.)
b, c = a.reshape(2, 4), a.reshape(2, 2, 2)
print(a.norm(1), b.norm(1), c.norm(1), a.norm(2), b.norm(2), c.norm(2), a.norm(1, dim=0), b.norm(1, dim=1), c.norm(2, dim=2))
""",
    "reductions": """
a = torch.arange(8).reshape(2, 4).float()
print(a.min(), a.max(), a.mean(), a.mean(1), a.sum(), a.prod(), a.argmax(), a.argmin())
""",
    "argmax, topk, kthvalue": """
a = torch.randn(4, 10)
print(a.argmin(), a.argmax(), a.argmax(1), a.argmax(1, keepdim=True), a.max(1))
print(a.topk(2, dim=1, largest=True), a.topk(2, dim=1, largest=False), a.kthvalue(10, dim=1))
""",
    "comparisons": """
a, b = torch.tensor([1, 2, 3]), torch.tensor([1, 3, 2])
print(a > b, a >= b, a < b, a <= b, a != b, a == b, torch.eq(a, b), torch.equal(a, b), torch.equal(a, a))
""",
    "where": """
a = torch.rand(2, 2)
print(torch.where(a > 0.5, torch.ones(2, 2), torch.zeros(2, 2)))
""",
    "gather looks labels up": """
prob = torch.rand(4, 10)
idx = prob.topk(3, dim=1)[1]
label = torch.arange(10) + 100
print(torch.gather(label.expand(4, 10), dim=1, index=idx))
""",
    "activations": """
print(torch.sigmoid(torch.linspace(-100, 100, 5)))
z = torch.linspace(-2, 2, 5)
print(torch.tanh(z), torch.relu(z), F.leaky_relu(z), F.selu(z), F.softplus(z))
""",
    "gradient of the squared error": """
x, y, w = torch.ones(1), torch.ones(1), torch.full([1], 2., requires_grad=True)
mse = F.mse_loss(y, w * x)
print(mse.item(), torch.autograd.grad(mse, w))
F.mse_loss(y, w * x).backward()
print(w.grad, w.grad.norm(2))
""",
    "gradient of softmax": """
a = torch.rand(3, requires_grad=True)
p = F.softmax(a, dim=0)
print(p, torch.autograd.grad(p[0], a, retain_graph=True), torch.autograd.grad(p[2], a))
""",
    "perceptron with one output": """
x, w = torch.randn(1, 10), torch.randn(1, 10, requires_grad=True)
o = torch.sigmoid(x @ w.t())
loss = F.mse_loss(torch.ones(1, 1), o)
loss.backward()
print(o.shape, loss, w.grad)
""",
    "perceptron with two outputs": """
x, w = torch.rand(1, 10), torch.rand(2, 10, requires_grad=True)
loss = F.mse_loss(torch.ones(1, 2), torch.sigmoid(x @ w.t()))
loss.backward()
print(loss, w.grad)
""",
    "chain rule": """
x, w1, b1 = torch.tensor(1.), torch.tensor(2., requires_grad=True), torch.tensor(1.)
w2, b2 = torch.tensor(2., requires_grad=True), torch.tensor(1.)
y1 = x * w1 + b1
y2 = y1 * w2 + b2
d = lambda y, x: torch.autograd.grad(y, x, retain_graph=True)[0]
print(d(y2, y1), d(y1, w1), d(y2, w1))
""",
    "Himmelblau drawn": """
def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2
x, y = np.arange(-6, 6, 0.5), np.arange(-6, 6, 0.5)
X, Y = np.meshgrid(x, y)
Z = himmelblau([X, Y])
fig = plt.figure("himmelblau")
ax = fig.add_subplot(projection="3d")
ax.plot_surface(X, Y, Z)
ax.view_init(60, -30)
print(x.shape, X.shape, Z.min(), himmelblau(torch.from_numpy(np.stack([X, Y]))).max())
""",
    "Himmelblau with Adam": """
def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2
for start in ([0., 0.], [4., 0.], [-4., 0.]):
    x = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=1e-2)
    for step in range(601):
        pred = himmelblau(x)
        optimizer.zero_grad()
        pred.backward()
        optimizer.step()
        if step % 200 == 0:
            print("step {}: x = {}, f(x) = {:.5f}".format(step, x.tolist(), pred.item()))
""",
    "cross-entropy from its parts": """
x, w = torch.randn(1, 784), torch.randn(10, 784)
logits = x @ w.t()
pred = F.softmax(logits, dim=1)
pred_log = torch.log(pred)
print(F.nll_loss(F.log_softmax(logits, dim=1), torch.tensor([1])), F.cross_entropy(logits, torch.tensor([1])))
a = torch.full([4], 1 / 4.)
print(-(a * torch.log2(a)).sum())
""",
    "MNIST by hand": """
train_loader = DataLoader(datasets.MNIST("data", train=True, transform=transforms.Compose(
    [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])), batch_size=100, shuffle=True)
w1, b1 = torch.randn(200, 784, requires_grad=True), torch.zeros(200, requires_grad=True)
w2, b2 = torch.randn(200, 200, requires_grad=True), torch.zeros(200, requires_grad=True)
w3, b3 = torch.randn(10, 200, requires_grad=True), torch.zeros(10, requires_grad=True)
torch.nn.init.kaiming_normal_(w1)
torch.nn.init.kaiming_normal_(w2)
torch.nn.init.kaiming_normal_(w3)
def forward(x):
    x = F.relu(x @ w1.t() + b1)
    x = F.relu(x @ w2.t() + b2)
    return F.relu(x @ w3.t() + b3)
optimizer = optim.SGD([w1, b1, w2, b2, w3, b3], lr=1e-2)
criteon = nn.CrossEntropyLoss()
for epoch in range(2):
    for batch_idx, (data, target) in enumerate(train_loader):
        data = data.reshape(-1, 28 * 28)
        loss = criteon(forward(data), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(epoch, batch_idx, loss.item(), w1.grad.norm().item())
""",
    "MLP on a device, trained and tested": """
class MLP(nn.Module):
    def __init__(self):
        super(MLP, self).__init__()
        self.model = nn.Sequential(nn.Linear(784, 200), nn.LeakyReLU(inplace=True), nn.Linear(200, 200),
                                   nn.LeakyReLU(inplace=True), nn.Linear(200, 10), nn.LeakyReLU(inplace=True))
    def forward(self, x):
        return self.model(x)
load = lambda train: DataLoader(datasets.MNIST("data", train=train, transform=transforms.ToTensor()), batch_size=80, shuffle=True)
train_loader, test_loader = load(True), load(False)
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
net = MLP().to(device)
optimizer = optim.SGD(net.parameters(), lr=0.1)
criteon = nn.CrossEntropyLoss().to(device)
for epoch in range(3):
    for data, target in train_loader:
        data, target = data.view(-1, 28 * 28).to(device), target.to(device)
        loss = criteon(net(data), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    test_loss, correct = 0, 0
    for data, target in test_loader:
        data, target = data.view(-1, 28 * 28).to(device), target.to(device)
        logits = net(data)
        test_loss += criteon(logits, target).item()
        pred = logits.data.max(1)[1]
        correct += pred.eq(target.data).sum()
    test_loss /= len(test_loader.dataset)
    print("epoch", epoch, "average loss", test_loss, "accuracy", 100. * correct / len(test_loader.dataset))
""",
    "training, validation and test sets": """
train_db = datasets.MNIST("data", train=True, download=True, transform=transforms.Compose(
    [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]))
test_db = datasets.MNIST("data", train=False)
print("train:", len(train_db), "test:", len(test_db))
train_db, val_db = torch.utils.data.random_split(train_db, [270, 50])
print("db1:", len(train_db), "db2:", len(val_db), val_db.indices[:5])
for x, y in torch.utils.data.DataLoader(val_db, batch_size=20, shuffle=True):
    print(x.mean(), y)
""",
    "k-fold cross-validation": """
x = torch.randn(40, 3)
y = x @ torch.tensor([1., -2., 0.5]) + 0.1 * torch.randn(40)
k, scores = 5, []
for fold in range(k):
    held = torch.arange(40) % k == fold
    model = nn.Linear(3, 1)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    for _ in range(40):
        loss = F.mse_loss(model(x[~held]).squeeze(1), y[~held])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scores.append(F.mse_loss(model(x[held]).squeeze(1), y[held]).item())
print(scores, sum(scores) / k)
""",
    "L1 and L2 regularisation": """
model = nn.Sequential(nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 3))
criteon = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
x, target = torch.randn(16, 10), torch.randint(3, (16,))
for _ in range(5):
    regularization_loss = 0
    for param in model.parameters():
        regularization_loss += torch.sum(torch.abs(param))
    classify_loss = criteon(model(x), target)
    loss = classify_loss + 0.01 * regularization_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item(), classify_loss.item())
""",
    "momentum and learning rates that decay": """
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR
for make in (lambda o: ReduceLROnPlateau(o, "min", patience=2), lambda o: StepLR(o, step_size=3, gamma=0.1)):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.78, weight_decay=1e-4)
    scheduler = make(optimizer)
    x = torch.randn(8, 4)
    for epoch in range(10):
        loss = model(x).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step(round(loss.item(), 1)) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()
        print(epoch, loss.item(), optimizer.param_groups[0]["lr"])
""",
    "dropout in training and in testing": """
net_dropped = torch.nn.Sequential(torch.nn.Linear(784, 200), torch.nn.Dropout(0.5), torch.nn.ReLU(),
    torch.nn.Linear(200, 200), torch.nn.Dropout(0.5), torch.nn.ReLU(), torch.nn.Linear(200, 10))
x = torch.rand(5, 784)
net_dropped.train()
print(net_dropped(x), net_dropped(x).sum())
net_dropped.eval()
print(net_dropped(x), torch.equal(net_dropped(x), net_dropped(x)))
""",
    "convolution as a layer": """
layer = nn.Conv2d(2, 16, kernel_size=3, stride=1, padding=0)
x = torch.rand(1, 2, 28, 28)
out, out_ = layer.forward(x), layer(x)
print(out.shape, torch.equal(out, out_), out.sum(), layer.weight.shape, layer.bias)
""",
    "convolution as a function": """
x, w, b = torch.rand(1, 3, 28, 28), torch.rand(16, 3, 5, 5), torch.rand(16)
out = F.conv2d(x, w, b, stride=1, padding=1)
print(out.shape, out[0, :3, 0, :3], F.conv2d(x, w, b, stride=2, padding=2).mean())
""",
    "pooling": """
out = nn.Conv2d(2, 16, kernel_size=3, stride=1, padding=1)(torch.rand(1, 2, 28, 28))
a, b = nn.AvgPool2d(2, stride=4)(out), F.max_pool2d(out, 2, stride=4)
print(out.shape, a.shape, a[0, 0], b.shape, b[0, 0])
""",
    "upsampling": """
out = nn.Conv2d(2, 16, kernel_size=3, stride=1, padding=1)(torch.rand(1, 2, 28, 28))
out = F.interpolate(out, scale_factor=2, mode="nearest")
print(out.shape, out[0, 0, 0, :6], F.interpolate(out, scale_factor=3, mode="nearest").shape)
""",
    "ReLU in place": """
out = nn.Conv2d(2, 16, kernel_size=3, stride=1, padding=1)(torch.rand(1, 2, 28, 28))
print(out.min())
out = nn.ReLU(inplace=True)(out)
print(out.shape, out.min(), out.mean())
""",
    "batch normalisation and its variables": """
x = torch.rand(100, 16, 784)
layer = nn.BatchNorm1d(16)
out = layer(x)
print(out.shape, layer.running_mean, layer.running_var, sorted(vars(layer))[:4], layer.training, layer.affine)
layer = nn.BatchNorm2d(16)
layer(torch.rand(4, 16, 7, 7))
layer.eval()
print(layer(torch.rand(1, 16, 7, 7))[0, :, 0, 0], layer)
print({k: v for k, v in vars(layer).items() if k in ("training", "num_features", "eps", "momentum", "affine", "track_running_stats")})
normalize = transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
print(normalize(torch.rand(3, 2, 2)))
""",
    "a linear layer of one's own": """
class MyLinear(nn.Module):
    def __init__(self, inp, outp):
        super(MyLinear, self).__init__()
        self.w = nn.Parameter(torch.randn(outp, inp))
        self.b = nn.Parameter(torch.randn(outp))
    def forward(self, x):
        return x @ self.w.t() + self.b
layer = MyLinear(3, 2)
layer(torch.rand(5, 3)).sum().backward()
print(layer.w, layer.w.grad, layer.b.grad, [name for name, _ in layer.named_parameters()])
""",
    "modules, children, parameters": """
class BasicNet(nn.Module):
    def __init__(self):
        super(BasicNet, self).__init__()
        self.net = nn.Linear(4, 3)
    def forward(self, x):
        return self.net(x)
class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.net = nn.Sequential(BasicNet(), nn.ReLU(), nn.Linear(3, 2))
    def forward(self, x):
        return self.net(x)
net = Net()
for name, t in net.named_parameters():
    print("parameters:", name, t.shape)
for name, m in net.named_children():
    print("children:", name, m)
for name, m in net.named_modules():
    print("modules:", name, m)
print(list(net.parameters())[0], net(torch.rand(2, 4)), dict(net.named_parameters()).keys())
device = torch.device("cpu")
net.to(device)
torch.save(net.state_dict(), "ckpt.mdl")
other = Net()
other.load_state_dict(torch.load("ckpt.mdl"))
net.train(); net.eval()
print(torch.equal(other.net[0].net.weight, net.net[0].net.weight), net.training)
""",
    "a layer that flattens": """
class Flatten(nn.Module):
    def __init__(self):
        super(Flatten, self).__init__()
    def forward(self, input):
        return input.view(input.size(0), -1)
class TestNet(nn.Module):
    def __init__(self):
        super(TestNet, self).__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 16, 3, stride=1, padding=1), nn.MaxPool2d(2, 2), Flatten(), nn.Linear(16 * 14 * 14, 10))
    def forward(self, x):
        return self.net(x)
print(TestNet()(torch.rand(2, 1, 28, 28)))
""",
    "augmentation: flips": """
data = datasets.MNIST("data", train=True, download=True, transform=transforms.Compose(
    [transforms.RandomHorizontalFlip(), transforms.RandomVerticalFlip(), transforms.ToTensor()]))
for x, y in torch.utils.data.DataLoader(data, batch_size=64, shuffle=True):
    print(x[:, 0, 5, :9].sum(0), y[:5])
""",
    "augmentation: rotation": """
data = datasets.MNIST("data", transform=transforms.Compose([transforms.RandomRotation(15), transforms.RandomRotation([90, 270]), transforms.ToTensor()]))
print(torch.stack([data[i][0] for i in range(20)]).mean((1, 2, 3)))
""",
    "augmentation: scale": """
data = datasets.MNIST("data", transform=transforms.Compose([transforms.Resize([32, 32]), transforms.ToTensor()]))
print(data[0][0].shape, torch.stack([data[i][0] for i in range(20)]).mean((1, 2, 3)))
""",
    "augmentation: crop and noise": """
data = datasets.MNIST("data", transform=transforms.Compose([transforms.Resize([32, 32]), transforms.RandomCrop([28, 28]), transforms.ToTensor()]))
x = torch.stack([data[i][0] for i in range(20)])
print(x.mean((1, 2, 3)), (x + 0.1 * torch.randn_like(x)).std())
""",
}

"""Networks written in NumPy, as the notes have them. Beside what they print they are compared with the layers, losses and
optimizers of torch, so that both frameworks have to give NumPy's numbers."""

LAYERS = """
def sigmoid(x):
    return 1 / (1 + np.exp(-x))
def softmax(x):
    if x.ndim == 2:
        x = x.T
        x = x - np.max(x, axis=0)
        y = np.exp(x) / np.sum(np.exp(x), axis=0)
        return y.T
    x = x - np.max(x)
    return np.exp(x) / np.sum(np.exp(x))
def cross_entropy_error(y, t):
    if y.ndim == 1:
        t, y = t.reshape(1, t.size), y.reshape(1, y.size)
    if t.size == y.size:
        t = t.argmax(axis=1)
    batch_size = y.shape[0]
    return -np.sum(np.log(y[np.arange(batch_size), t] + 1e-7)) / batch_size
def numerical_gradient(f, x):
    h = 1e-4
    grad = np.zeros_like(x)
    it = np.nditer(x, flags=['multi_index'], op_flags=['readwrite'])
    while not it.finished:
        idx = it.multi_index
        tmp_val = x[idx]
        x[idx] = float(tmp_val) + h
        fxh1 = f(x)
        x[idx] = tmp_val - h
        fxh2 = f(x)
        grad[idx] = (fxh1 - fxh2) / (2 * h)
        x[idx] = tmp_val
        it.iternext()
    return grad
class Relu:
    def forward(self, x):
        self.mask = (x <= 0)
        out = x.copy()
        out[self.mask] = 0
        return out
    def backward(self, dout):
        dout[self.mask] = 0
        return dout
class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out
    def backward(self, dout):
        return dout * (1.0 - self.out) * self.out
class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b
    def forward(self, x):
        self.shape = x.shape
        self.x = x.reshape(x.shape[0], -1)
        return np.dot(self.x, self.W) + self.b
    def backward(self, dout):
        dx = np.dot(dout, self.W.T)
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return dx.reshape(self.shape)
class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        self.loss = cross_entropy_error(self.y, self.t)
        return self.loss
    def backward(self, dout=1):
        return (self.y - self.t) / self.t.shape[0]
class TwoLayerNet:
    def __init__(self, input_size, hidden_size, output_size, weight_init_std=0.01):
        self.params = {'W1': weight_init_std * np.random.randn(input_size, hidden_size), 'b1': np.zeros(hidden_size),
                       'W2': weight_init_std * np.random.randn(hidden_size, output_size), 'b2': np.zeros(output_size)}
        self.layers = OrderedDict()
        self.layers['Affine1'] = Affine(self.params['W1'], self.params['b1'])
        self.layers['Relu1'] = Relu()
        self.layers['Affine2'] = Affine(self.params['W2'], self.params['b2'])
        self.lastLayer = SoftmaxWithLoss()
    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x
    def loss(self, x, t):
        return self.lastLayer.forward(self.predict(x), t)
    def accuracy(self, x, t):
        return np.sum(np.argmax(self.predict(x), axis=1) == np.argmax(t, axis=1)) / float(x.shape[0])
    def numerical_gradient(self, x, t):
        return {name: numerical_gradient(lambda W: self.loss(x, t), p) for name, p in self.params.items()}
    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.lastLayer.backward(1)
        for layer in list(self.layers.values())[::-1]:
            dout = layer.backward(dout)
        a, b = self.layers['Affine1'], self.layers['Affine2']
        return {'W1': a.dW, 'b1': a.db, 'W2': b.dW, 'b2': b.db}
def load_mnist():
    out = []
    for train in (True, False):
        d = datasets.MNIST("data", train=train)
        out += [d.data.numpy().reshape(len(d), -1) / 255., np.eye(10)[d.targets.numpy()]]
    return out
def close(ours, theirs):
    "how far a NumPy result is from torch's"
    return bool(np.abs(ours - theirs.detach().numpy()).max() < 1e-5)
"""

COURSE = """
class Sigmoid:
    def forward(self, x):
        out = 1 / (1 + np.exp(-x))
        return out, out
    def backward(self, dout, cache):
        return dout * cache * (1 - cache)
class Relu:
    def forward(self, x):
        out = np.maximum(0, x)
        return out, out
    def backward(self, dout, cache):
        dx = dout
        dx[cache <= 0] = 0
        return dx
class Tanh:
    def forward(self, x):
        out = np.tanh(x)
        return out, out
    def backward(self, dout, cache):
        return dout * (1 - np.square(cache))
class LeakyRelu:
    slope = 0.01
    def forward(self, x):
        return np.maximum(self.slope * x, x), x
    def backward(self, dout, cache):
        return dout * np.where(cache > 0, 1, self.slope)
def affine_forward(x, w, b):
    return np.dot(np.reshape(x, (x.shape[0], -1)), w) + b, (x, w, b)
def affine_backward(dout, cache):
    x, w, b = cache
    x_new = np.reshape(x, (x.shape[0], -1))
    return np.reshape(np.dot(dout, w.T), x.shape), np.dot(x_new.T, dout), np.sum(dout, axis=0)
class CrossEntropyFromLogits:
    def __init__(self):
        self.cache = {}
    def forward(self, y_out, y_truth, reduction='mean'):
        N, C = y_out.shape
        one_hot = np.zeros_like(y_out)
        one_hot[np.arange(N), y_truth] = 1
        y_out_exp = np.exp(y_out - np.max(y_out, axis=1, keepdims=True))
        self.cache['probs'] = y_out_exp / np.sum(y_out_exp, axis=1, keepdims=True)
        return (-one_hot * np.log(self.cache['probs'])).sum(axis=1).mean()
    def backward(self, y_out, y_truth):
        N, C = y_out.shape
        gradient = self.cache['probs']
        gradient[np.arange(N), y_truth] -= 1
        gradient /= N
        return gradient
class ClassificationNet:
    def __init__(self, activation=Sigmoid(), num_layer=2, input_size=3 * 32 * 32, hidden_size=100, std=1e-3, num_classes=10, reg=0, **kwargs):
        self.activation, self.reg_strength, self.num_layer, self.num_operation = activation, reg, num_layer, 0
        sizes = [input_size] + [hidden_size] * (num_layer - 1) + [num_classes]
        self.params, self.grads, self.reg = {}, {}, {}
        for i in range(num_layer):
            self.params['W%d' % (i + 1)] = std * np.random.randn(sizes[i], sizes[i + 1])
            self.params['b%d' % (i + 1)] = np.zeros(sizes[i + 1])
            self.grads['W%d' % (i + 1)] = self.grads['b%d' % (i + 1)] = 0.0
    def forward(self, X):
        self.cache, self.reg = {}, {}
        X = X.reshape(X.shape[0], -1)
        for i in range(1, self.num_layer + 1):
            W, b = self.params['W%d' % i], self.params['b%d' % i]
            X, self.cache["affine%d" % i] = affine_forward(X, W, b)
            if i < self.num_layer:
                X, self.cache["sigmoid%d" % i] = self.activation.forward(X)
            self.reg['W%d' % i] = np.sum(W ** 2) * self.reg_strength
        return X
    def backward(self, dh):
        for i in range(self.num_layer, 0, -1):
            if i < self.num_layer:
                dh = self.activation.backward(dh, self.cache["sigmoid%d" % i])
            dh, dW, db = affine_backward(dh, self.cache["affine%d" % i])
            self.grads['W%d' % i] = dW + 2 * self.reg_strength * self.params['W%d' % i]
            self.grads['b%d' % i] = db
        return self.grads
class Optimizer:
    def __init__(self, model, loss_func, learning_rate=1e-4, **kwargs):
        self.model, self.loss_func, self.lr = model, loss_func, learning_rate
        self.configs = {p: {} for p in model.params}
    def backward(self, y_pred, y_true):
        self.model.backward(self.loss_func.backward(y_pred, y_true))
    def step(self):
        for name in self.model.grads:
            self.model.params[name] = self._update(self.model.params[name], self.model.grads[name], self.configs[name])
            self.model.grads[name] = 0.0
class SGD(Optimizer):
    def _update(self, w, dw, config):
        return w - self.lr * dw
class SGDMomentum(Optimizer):
    def _update(self, w, dw, config):
        config["velocity"] = 0.9 * config.get("velocity", np.zeros_like(w)) - self.lr * dw
        return w + config["velocity"]
class Adam(Optimizer):
    eps = 1e-8
    def _update(self, w, dw, config):
        t = config["t"] = config.get("t", 0) + 1
        config["m"] = 0.9 * config.get("m", np.zeros_like(w)) + (1 - 0.9) * dw
        config["v"] = 0.999 * config.get("v", np.zeros_like(w)) + (1 - 0.999) * (dw ** 2)
        m_hat, v_hat = config["m"] / (1 - 0.9 ** t), config["v"] / (1 - 0.999 ** t)
        return w - self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
class NumpyLoader:
    def __init__(self, dataset, batch_size=1, shuffle=False, drop_last=False):
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
    def __iter__(self):
        def combine(batch):
            out = {}
            for data_dict in batch:
                for key, value in data_dict.items():
                    out.setdefault(key, []).append(value)
            return {key: np.array(value) for key, value in out.items()}
        order = np.random.permutation(len(self.dataset)) if self.shuffle else range(len(self.dataset))
        batch = []
        for index in order:
            batch.append(self.dataset[index])
            if len(batch) == self.batch_size:
                yield combine(batch)
                batch = []
        if not self.drop_last and len(batch) > 0:
            yield combine(batch)
    def __len__(self):
        n = len(self.dataset) / self.batch_size
        return int(n) if self.drop_last else int(np.ceil(n))
class ImageFolderDataset(Dataset):
    def __init__(self, root, transform=None, limit_files=None):
        self.classes = sorted(d.name for d in os.scandir(root) if d.is_dir())
        self.class_to_idx = {c: i for i, c in enumerate(self.classes)}
        self.images, self.labels = [], []
        for name in sorted(self.class_to_idx):
            for folder, _, fnames in sorted(os.walk(os.path.join(root, name))):
                for fname in sorted(fnames):
                    if fname.endswith(".png"):
                        self.images.append(os.path.join(folder, fname))
                        self.labels.append(self.class_to_idx[name])
        if limit_files:
            self.images, self.labels = self.images[::len(self) // limit_files], self.labels[::len(self) // limit_files]
        self.transform = transform
    def __len__(self):
        return len(self.images)
    @staticmethod
    def load_image_as_numpy(image_path):
        return np.asarray(Image.open(image_path), dtype=float)
    def __getitem__(self, index):
        image = self.load_image_as_numpy(self.images[index])
        return {'image': self.transform(image) if self.transform else image, 'label': self.labels[index]}
class RescaleTransform:
    def __call__(self, images):
        return images / 255
class NormalizeTransform:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std
    def __call__(self, images):
        return (images - self.mean) / self.std
class FlattenTransform:
    def __call__(self, image):
        return image.flatten()
class ComposeTransform:
    def __init__(self, transforms):
        self.transforms = transforms
    def __call__(self, images):
        for transform in self.transforms:
            images = transform(images)
        return images
compose_transform = ComposeTransform([RescaleTransform(), NormalizeTransform(np.array([0.49191375, 0.48235852, 0.44673872]),
    np.array([0.24706447, 0.24346213, 0.26147554])), FlattenTransform()])
class Solver:
    def __init__(self, model, train_dataloader, val_dataloader, loss_func=CrossEntropyFromLogits(), learning_rate=1e-3, optimizer=Adam, **kwargs):
        self.model, self.loss_func, self.opt = model, loss_func, optimizer(model, loss_func, learning_rate)
        self.train_dataloader, self.val_dataloader = train_dataloader, val_dataloader
        self.best_model_stats, self.current_patience, self.train_loss_history, self.val_loss_history = None, 0, [], []
    def _step(self, X, y, validation=False):
        y_pred = self.model.forward(X)
        loss = self.loss_func.forward(y_pred, y) + sum(self.model.reg.values())
        if not validation:
            self.opt.backward(y_pred, y)
            self.opt.step()
        return loss
    def train(self, epochs=100, patience=None):
        for t in range(epochs):
            train = np.mean([self._step(b['image'], b['label'], validation=t == 0) for b in self.train_dataloader])
            val = np.mean([self._step(b['image'], b['label'], validation=True) for b in self.val_dataloader])
            self.train_loss_history.append(train)
            self.val_loss_history.append(val)
            if not self.best_model_stats or val < self.best_model_stats["val_loss"]:
                self.best_model_stats, self.best_params, self.current_patience = {"val_loss": val, "train_loss": train}, dict(self.model.params), 0
            else:
                self.current_patience += 1
            if patience and self.current_patience >= patience:
                print("Stopping early at epoch {}!".format(t))
                break
        self.model.params = self.best_params
    def get_dataset_accuracy(self, loader):
        return np.mean(np.concatenate([np.argmax(self.model.forward(b['image']), axis=1) == b['label'] for b in loader]))
"""

PROGRAMS = {
    "activation functions drawn": LAYERS
    + """
def step_function(x):
    return (x > 0).astype(int)
x = np.arange(-5.0, 5.0, 0.1)
for f in (step_function, sigmoid, lambda x: np.maximum(0, x)):
    plt.plot(x, f(x))
plt.ylim(-0.1, 1.1)
t = torch.from_numpy(x)
print(step_function(x).sum(), close(sigmoid(x), torch.sigmoid(t)), close(softmax(x), torch.softmax(t, 0)), close(softmax(np.stack([x, x + 900])), torch.softmax(torch.stack([t, t + 900]), 1)))
""",
    "three layers by hand": LAYERS
    + """
X = np.array([1.0, 0.5])
W1, B1 = np.array([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]]), np.array([0.1, 0.2, 0.3])
W2, B2 = np.array([[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]), np.array([0.1, 0.2])
W3, B3 = np.array([[0.1, 0.3], [0.2, 0.4]]), np.array([0.1, 0.2])
Y = np.dot(sigmoid(np.dot(sigmoid(np.dot(X, W1) + B1), W2) + B2), W3) + B3
x = torch.from_numpy(X)
for W, B in ((W1, B1), (W2, B2), (W3, B3)):
    x = F.linear(torch.sigmoid(x) if W is not W1 else x, torch.from_numpy(W.T), torch.from_numpy(B))
print(Y, x)
""",
    "digits recognised with stored weights": LAYERS
    + """
x_train, t_train, x, t = load_mnist()
with open("sample_weight.pkl", "wb") as f:
    pickle.dump({'W%d' % (i + 1): 0.1 * np.random.randn(a, b) for i, (a, b) in enumerate([(784, 50), (50, 100), (100, 10)])}, f)
with open("sample_weight.pkl", "rb") as f:
    network = pickle.load(f)
def predict(network, x):
    z = sigmoid(np.dot(sigmoid(np.dot(x, network['W1'])), network['W2']))
    return np.dot(z, network['W3'])
Image.fromarray(np.uint8(x[0].reshape(28, 28) * 255))
accuracy_cnt, batch_size = 0, 25
for i in range(0, len(x), batch_size):
    p = np.argmax(predict(network, x[i:i + batch_size]), axis=1)
    accuracy_cnt += np.sum(p == t[i:i + batch_size].argmax(1))
print("Accuracy: " + str(float(accuracy_cnt) / len(x)))
model = nn.Sequential(nn.Linear(784, 50, bias=False), nn.Sigmoid(), nn.Linear(50, 100, bias=False), nn.Sigmoid(), nn.Linear(100, 10, bias=False)).double()
model.load_state_dict({"%d.weight" % (2 * i): torch.from_numpy(network['W%d' % (i + 1)].T) for i in range(3)})
print(close(predict(network, x), model(torch.from_numpy(x))), (model(torch.from_numpy(x)).argmax(1) == torch.from_numpy(t).argmax(1)).double().mean())
""",
    "losses and a batch by chance": LAYERS
    + """
def mean_squared_error(y, t):
    return 0.5 * np.sum((y - t) ** 2)
t, y = np.eye(10)[[2]], np.array([[0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]])
print(mean_squared_error(y, t), 0.5 * F.mse_loss(torch.from_numpy(y), torch.from_numpy(t), reduction="sum"))
print(cross_entropy_error(y, t), F.nll_loss(torch.log(torch.from_numpy(y) + 1e-7), torch.tensor([2])))
x_train, t_train = load_mnist()[:2]
batch_mask = np.random.choice(len(x_train), 10)
x_batch, t_batch = x_train[batch_mask], t_train[batch_mask]
print(batch_mask, torch.from_numpy(x_train)[batch_mask].sum(), x_batch.sum(), t_batch.argmax(1))
""",
    "numerical differentiation and descent": LAYERS
    + """
def numerical_diff(f, x):
    return (f(x + 1e-4) - f(x - 1e-4)) / (2 * 1e-4)
def gradient_descent(f, init_x, lr=0.01, step_num=100):
    x = init_x
    for i in range(step_num):
        x -= lr * numerical_gradient(f, x)
    return x
print(numerical_diff(lambda x: 0.01 * x ** 2 + 0.1 * x, 5), gradient_descent(lambda x: x[0] ** 2 + x[1] ** 2, np.array([-3., 4]), 0.1))
p = torch.tensor([-3., 4.], dtype=torch.double, requires_grad=True)
o = optim.SGD([p], 0.1)
for _ in range(100):
    o.zero_grad(); (p[0] ** 2 + p[1] ** 2).backward(); o.step()
print(p)
""",
    "gradient of a simple network": LAYERS
    + """
class simpleNet:
    def __init__(self):
        self.W = np.random.randn(2, 3)
    def predict(self, x):
        return np.dot(x, self.W)
    def loss(self, x, t):
        return cross_entropy_error(softmax(self.predict(x)), t)
net, x, t = simpleNet(), np.array([0.6, 0.9]), np.array([0, 0, 1])
dW = numerical_gradient(lambda W: net.loss(x, t), net.W)
w = torch.from_numpy(net.W).requires_grad_()
F.cross_entropy((torch.from_numpy(x) @ w)[None], torch.tensor([2])).backward()
print(net.W, dW, w.grad, np.abs(dW - w.grad.numpy()).max() < 1e-5)
""",
    "two-layer network: gradients three ways": LAYERS
    + """
x, t = np.random.rand(5, 6), np.eye(3)[np.random.randint(0, 3, 5)]
net = TwoLayerNet(6, 4, 3, weight_init_std=0.5)
exact, numeric = net.gradient(x, t), net.numerical_gradient(x, t)
torch_net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).double()
torch_net.load_state_dict({k: torch.from_numpy(v.T.copy()) for k, v in zip(("0.weight", "0.bias", "2.weight", "2.bias"), net.params.values())})
loss = F.cross_entropy(torch_net(torch.from_numpy(x)), torch.from_numpy(t).argmax(1))
loss.backward()
for (name, g), p in zip(exact.items(), torch_net.parameters()):
    print(name, np.average(np.abs(g - numeric[name])) < 1e-5, close(g.T, p.grad), p.grad.norm())
print(net.loss(x, t), loss, net.accuracy(x, t))
""",
    "two-layer network trained on digits": LAYERS
    + """
x_train, t_train, x_test, t_test = load_mnist()
net = TwoLayerNet(784, 50, 10)
batch_size, iters = 40, 48
for i in range(iters):
    mask = np.random.choice(len(x_train), batch_size)
    grad = net.gradient(x_train[mask], t_train[mask])
    for key in ('W1', 'b1', 'W2', 'b2'):
        net.params[key] -= 0.5 * grad[key]
    if i % 8 == 0:
        print("train acc, test acc | " + str(net.accuracy(x_train, t_train)) + ", " + str(net.accuracy(x_test, t_test)))
""",
    "layers of multiplication and addition": """
class MulLayer:
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y
    def backward(self, dout):
        return dout * self.y, dout * self.x
class AddLayer:
    def forward(self, x, y):
        return x + y
    def backward(self, dout):
        return dout * 1, dout * 1
apple, orange, add, tax = MulLayer(), MulLayer(), AddLayer(), MulLayer()
price = tax.forward(add.forward(apple.forward(100, 2), orange.forward(150, 3)), 1.1)
dall, dtax = tax.backward(1)
da, do = add.backward(dall)
print(price, apple.backward(da), orange.backward(do), dtax)
v = torch.tensor([100., 2, 150, 3, 1.1], requires_grad=True)
((v[0] * v[1] + v[2] * v[3]) * v[4]).backward()
print(v.grad)
""",
    "optimizers by hand and those of torch": """
class SGD:
    def __init__(self, lr=0.01):
        self.lr = lr
    def update(self, params, grads):
        for key in params:
            params[key] -= self.lr * grads[key]
class Momentum:
    def __init__(self, lr=0.01, momentum=0.9):
        self.lr, self.momentum, self.v = lr, momentum, {}
    def update(self, params, grads):
        for key in params:
            self.v[key] = self.momentum * self.v.get(key, 0) - self.lr * grads[key]
            params[key] += self.v[key]
class AdaGrad:
    def __init__(self, lr=0.01):
        self.lr, self.h = lr, {}
    def update(self, params, grads):
        for key in params:
            self.h[key] = self.h.get(key, 0) + grads[key] * grads[key]
            params[key] -= self.lr * grads[key] / (np.sqrt(self.h[key]) + 1e-7)
class Adam:
    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999):
        self.lr, self.beta1, self.beta2, self.iter, self.m, self.v = lr, beta1, beta2, 0, {}, {}
    def update(self, params, grads):
        self.iter += 1
        lr_t = self.lr * np.sqrt(1.0 - self.beta2 ** self.iter) / (1.0 - self.beta1 ** self.iter)
        for key in params:
            self.m[key] = self.m.get(key, 0) + (1 - self.beta1) * (grads[key] - self.m.get(key, 0))
            self.v[key] = self.v.get(key, 0) + (1 - self.beta2) * (grads[key] ** 2 - self.v.get(key, 0))
            params[key] -= lr_t * self.m[key] / (np.sqrt(self.v[key]) + 1e-7)
start = np.random.randn(4)
pairs = [(SGD(0.1), optim.SGD, {}), (Momentum(0.1), optim.SGD, {"momentum": 0.9}), (AdaGrad(0.1), optim.Adagrad, {"eps": 1e-7}), (Adam(0.1), optim.Adam, {})]
for ours, cls, options in pairs:
    params, p = {"w": start.copy()}, torch.from_numpy(start.copy()).requires_grad_()
    theirs = cls([p], lr=0.1, **options)
    for _ in range(20):
        ours.update(params, {"w": np.array([0.1, 2, 4, 8]) * params["w"]})
        theirs.zero_grad(); (torch.tensor([0.05, 1, 2, 4]) * p ** 2).sum().backward(); theirs.step()
    print(cls.__name__, params["w"], p, np.abs(params["w"] - p.detach().numpy()).max() < 1e-3)
""",
    "initial weights and activations": LAYERS
    + """
for scale in (1.0, 0.01, np.sqrt(1.0 / 100), np.sqrt(2.0 / 100)):
    x = np.random.randn(200, 100)
    for i in range(5):
        x = np.tanh(np.dot(x, scale * np.random.randn(100, 100)))
    print(scale, x.std())
for init in (nn.init.xavier_normal_, nn.init.kaiming_normal_):
    w = init(torch.empty(100, 100))
    print(w.std(), torch.relu(torch.randn(200, 100) @ w.t()).std())
""",
    "batch normalisation by hand": LAYERS
    + """
class BatchNormalization:
    def __init__(self, gamma, beta, momentum=0.9):
        self.gamma, self.beta, self.momentum, self.running_mean, self.running_var = gamma, beta, momentum, 0, 0
    def forward(self, x, train_flg=True):
        if train_flg:
            mu = x.mean(axis=0)
            self.xc = x - mu
            var = np.mean(self.xc ** 2, axis=0)
            self.std = np.sqrt(var + 10e-7)
            self.xn = self.xc / self.std
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
            return self.gamma * self.xn + self.beta
        return self.gamma * (x - self.running_mean) / np.sqrt(self.running_var + 10e-7) + self.beta
    def backward(self, dout):
        n = len(dout)
        self.dbeta, self.dgamma = dout.sum(axis=0), np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum((dxn * self.xc) / (self.std * self.std), axis=0)
        dxc += (2.0 / n) * self.xc * 0.5 * dstd / self.std
        return dxc - np.sum(dxc, axis=0) / n
x, dout = np.random.randn(8, 5), np.random.randn(8, 5)
ours, theirs = BatchNormalization(np.full(5, 1.5), np.full(5, 0.2)), nn.BatchNorm1d(5, eps=10e-7).double()
with torch.no_grad():
    theirs.weight.fill_(1.5); theirs.bias.fill_(0.2)
t = torch.from_numpy(x).requires_grad_()
out = theirs(t)
print(close(ours.forward(x), out), out)
out.backward(torch.from_numpy(dout))
print(close(ours.backward(dout), t.grad), close(ours.dgamma, theirs.weight.grad), close(ours.dbeta, theirs.bias.grad), close(ours.running_mean, theirs.running_mean))
print(t.grad, ours.forward(x, False).sum())
""",
    "dropout and weight decay by hand": LAYERS
    + """
class Dropout:
    def __init__(self, dropout_ratio=0.5):
        self.dropout_ratio = dropout_ratio
    def forward(self, x, train_flg=True):
        if train_flg:
            self.mask = np.random.rand(*x.shape) > self.dropout_ratio
            return x * self.mask
        return x * (1.0 - self.dropout_ratio)
    def backward(self, dout):
        return dout * self.mask
d = Dropout(0.3)
print(d.forward(np.ones((3, 5))), d.backward(np.ones((3, 5))).sum(), d.forward(np.ones(2), False), F.dropout(torch.ones(3, 5), 0.3))
W, weight_decay = np.random.randn(4, 4), 0
weight_decay += 0.5 * 0.1 * np.sum(W ** 2)
print(weight_decay, 0.5 * 0.1 * torch.from_numpy(W).pow(2).sum())
""",
    "validation split and hyper-parameters by chance": LAYERS
    + """
x_train, t_train = load_mnist()[:2]
order = np.random.permutation(len(x_train))
x_train, t_train = x_train[order], t_train[order]
validation_num = int(x_train.shape[0] * 0.20)
x_val, t_val, x_train, t_train = x_train[:validation_num], t_train[:validation_num], x_train[validation_num:], t_train[validation_num:]
for _ in range(3):
    weight_decay, lr = 10 ** np.random.uniform(-8, -4), 10 ** np.random.uniform(-2, 0)
    net = TwoLayerNet(784, 20, 10)
    for i in range(20):
        grad = net.gradient(x_train, t_train)
        for key in grad:
            net.params[key] -= lr * (grad[key] + weight_decay * net.params[key])
    print("val acc:" + str(net.accuracy(x_val, t_val)) + " | lr:" + str(lr) + ", weight decay:" + str(weight_decay))
""",
    "convolution and pooling through im2col": LAYERS
    + """
def im2col(input_data, filter_h, filter_w, stride=1, pad=0):
    N, C, H, W = input_data.shape
    out_h, out_w = (H + 2 * pad - filter_h) // stride + 1, (W + 2 * pad - filter_w) // stride + 1
    img = np.pad(input_data, [(0, 0), (0, 0), (pad, pad), (pad, pad)], 'constant')
    col = np.zeros((N, C, filter_h, filter_w, out_h, out_w))
    for y in range(filter_h):
        for x in range(filter_w):
            col[:, :, y, x, :, :] = img[:, :, y:y + stride * out_h:stride, x:x + stride * out_w:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * out_h * out_w, -1)
def col2im(col, input_shape, filter_h, filter_w, stride=1, pad=0):
    N, C, H, W = input_shape
    out_h, out_w = (H + 2 * pad - filter_h) // stride + 1, (W + 2 * pad - filter_w) // stride + 1
    col = col.reshape(N, out_h, out_w, C, filter_h, filter_w).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad + stride - 1, W + 2 * pad + stride - 1))
    for y in range(filter_h):
        for x in range(filter_w):
            img[:, :, y:y + stride * out_h:stride, x:x + stride * out_w:stride] += col[:, :, y, x, :, :]
    return img[:, :, pad:H + pad, pad:W + pad]
class Convolution:
    def __init__(self, W, b, stride=1, pad=0):
        self.W, self.b, self.stride, self.pad = W, b, stride, pad
    def forward(self, x):
        FN, C, FH, FW = self.W.shape
        N, C, H, W = self.shape = x.shape
        out_h, out_w = 1 + (H + 2 * self.pad - FH) // self.stride, 1 + (W + 2 * self.pad - FW) // self.stride
        self.col, self.col_W = im2col(x, FH, FW, self.stride, self.pad), self.W.reshape(FN, -1).T
        return (np.dot(self.col, self.col_W) + self.b).reshape(N, out_h, out_w, -1).transpose(0, 3, 1, 2)
    def backward(self, dout):
        FN, C, FH, FW = self.W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        self.db, self.dW = np.sum(dout, axis=0), np.dot(self.col.T, dout).transpose(1, 0).reshape(FN, C, FH, FW)
        return col2im(np.dot(dout, self.col_W.T), self.shape, FH, FW, self.stride, self.pad)
class Pooling:
    def __init__(self, pool_h, pool_w, stride=1, pad=0):
        self.pool_h, self.pool_w, self.stride, self.pad = pool_h, pool_w, stride, pad
    def forward(self, x):
        N, C, H, W = self.shape = x.shape
        out_h, out_w = 1 + (H - self.pool_h) // self.stride, 1 + (W - self.pool_w) // self.stride
        col = im2col(x, self.pool_h, self.pool_w, self.stride, self.pad).reshape(-1, self.pool_h * self.pool_w)
        self.arg_max = np.argmax(col, axis=1)
        return np.max(col, axis=1).reshape(N, out_h, out_w, C).transpose(0, 3, 1, 2)
    def backward(self, dout):
        dout = dout.transpose(0, 2, 3, 1)
        dmax = np.zeros((dout.size, self.pool_h * self.pool_w))
        dmax[np.arange(self.arg_max.size), self.arg_max.flatten()] = dout.flatten()
        dmax = dmax.reshape(dout.shape + (self.pool_h * self.pool_w,))
        return col2im(dmax.reshape(dmax.shape[0] * dmax.shape[1] * dmax.shape[2], -1), self.shape, self.pool_h, self.pool_w, self.stride, self.pad)
x, W, b = np.random.randn(2, 3, 7, 7), np.random.randn(4, 3, 3, 3), np.random.randn(4)
conv, pool = Convolution(W, b, 1, 1), Pooling(2, 2, 2)
out = pool.forward(conv.forward(x)[:, :, :6, :6])
tx, tw, tb = [torch.from_numpy(a).requires_grad_() for a in (x, W, b)]
theirs = F.max_pool2d(F.conv2d(tx, tw, tb, padding=1), 2)
dout = np.random.randn(*out.shape)
theirs.backward(torch.from_numpy(dout))
dx = conv.backward(np.pad(pool.backward(dout), [(0, 0), (0, 0), (0, 1), (0, 1)]))
print(close(out, theirs), close(dx, tx.grad), close(conv.dW, tw.grad), close(conv.db, tb.grad), theirs[0, 0], tw.grad[0])
params = {'W1': 0.01 * np.random.randn(5, 1, 5, 5), 'W2': 0.01 * np.random.randn(720, 20), 'W3': 0.01 * np.random.randn(20, 10)}
layers = [Convolution(params['W1'], np.zeros(5)), Relu(), Pooling(2, 2, 2), Affine(params['W2'], np.zeros(20)), Relu(), Affine(params['W3'], np.zeros(10))]
images, labels = load_mnist()[:2]
last = SoftmaxWithLoss()
for i in range(3):
    h = images[:30].reshape(-1, 1, 28, 28)
    for layer in layers:
        h = layer.forward(h)
    print(last.forward(h, labels[:30]))
    dout = last.backward()
    for layer in reversed(layers):
        dout = layer.backward(dout)
    for i, j in ((0, 'W1'), (3, 'W2'), (5, 'W3')):
        params[j] -= 0.1 * layers[i].dW
""",
    "iterators and generators": """
class MyNumbers:
    def __iter__(self):
        self.a = 1
        return self
    def __next__(self):
        if self.a <= 20:
            x = self.a
            self.a += 1
            return x
        raise StopIteration
def fib(max):
    n, a, b = 0, 0, 1
    while n < max:
        yield b
        a, b = b, a + b
        n = n + 1
class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return fib(10)
print(list(MyNumbers()), list(x * x for x in range(5)), list(fib(6)), [b for b in DataLoader(Stream(), batch_size=4)])
""",
    "a folder of pictures by hand, in memory, normalised": COURSE
    + """
dataset = ImageFolderDataset("cifar10")
images = np.stack([dataset[i]['image'] for i in range(len(dataset))])
mean, std = np.mean(images, axis=(0, 1, 2)), np.std(images, axis=(0, 1, 2))
print(len(dataset), dataset.class_to_idx, mean, std, torch.from_numpy(images).mean((0, 1, 2)), torch.from_numpy(images).std((0, 1, 2), correction=0))
with open("cifar10.pckl", "wb") as f:
    pickle.dump({"images": images, "labels": dataset.labels}, f)
with open("cifar10.pckl", "rb") as f:
    memory = pickle.load(f)
normal = ComposeTransform([NormalizeTransform(mean, std)])
print(normal(memory["images"]).mean(), normal(memory["images"]).std())
for batch in NumpyLoader(dataset, batch_size=50, shuffle=True):
    print(batch["image"].shape, batch["label"][:8])
for batch in DataLoader(ImageFolderDataset("cifar10", compose_transform), batch_size=50, shuffle=True):
    print(batch["image"].dtype, batch["image"].mean(), batch["label"][:8])
import random
flip = lambda image, prob: np.flip(image, 1) if random.uniform(0, 1) < prob else image
print(np.array_equal(flip(images[0], 1), images[0][:, ::-1]), torch.equal(transforms.functional.hflip(torch.from_numpy(images[0])), torch.from_numpy(images[0]).flip(1)))
print(len(NumpyLoader(dataset, 50)), len(NumpyLoader(dataset, 50, drop_last=True)))
""",
    "house prices: logistic regression": LAYERS
    + """
X = np.random.rand(120, 1)
y = (X + 0.1 * np.random.randn(120, 1) > 0.5).astype(float)
W, W0 = 0.001 * np.random.randn(2, 1), None
X1 = np.concatenate((X, np.ones((120, 1))), axis=1)
w = torch.from_numpy(W.copy()).requires_grad_()
for i in range(200):
    y_out = sigmoid(np.dot(X1, W))
    loss = -y * np.log(y_out) - (1 - y) * np.log(1 - y_out)
    loss_grad = -y / y_out + (1 - y) / (1 - y_out)
    grad = np.mean(loss_grad * X1 * (y_out * (1 - y_out)), 0, keepdims=True)
    W = W - 0.5 * grad.T
    theirs = F.binary_cross_entropy(torch.sigmoid(torch.from_numpy(X1) @ w), torch.from_numpy(y))
    w.grad = None
    theirs.backward()
    with torch.no_grad():
        w -= 0.5 * w.grad
    if i % 50 == 0:
        print("Epoch ", i, "--- Average Loss: ", np.mean(loss), theirs)
print(W.ravel(), w, ((y_out > 0.5) == y).mean())
plt.scatter(X, y, label='Ground Truth')
inds = X.argsort(0).flatten()
plt.plot(X[inds], y_out[inds], color='r', label='Prediction')
plt.legend()
""",
    "losses by hand and their gradients": COURSE
    + """
a, b = np.random.rand(6), np.random.rand(6)
t = torch.from_numpy(a).requires_grad_()
for ours, theirs in ((np.sign(a - b), F.l1_loss), (2 * (a - b), F.mse_loss), (-b / a + (1 - b) / (1 - a), F.binary_cross_entropy)):
    loss = theirs(t, torch.from_numpy(b), reduction="sum")
    print(loss, np.allclose(ours, torch.autograd.grad(loss, t)[0].numpy()))
logits, y = np.random.randn(5, 4), np.random.randint(0, 4, 5)
ce, t = CrossEntropyFromLogits(), torch.from_numpy(logits).requires_grad_()
loss = F.cross_entropy(t, torch.from_numpy(y))
print(ce.forward(logits, y), loss, np.allclose(ce.backward(logits, y), torch.autograd.grad(loss, t)[0].numpy()))
print(F.multi_margin_loss(t, torch.from_numpy(y)))
""",
    "non-linearities by hand and their gradients": COURSE
    + """
x, dout = np.random.randn(4, 5), np.random.randn(4, 5)
for ours, theirs in ((Sigmoid(), torch.sigmoid), (Relu(), torch.relu), (Tanh(), torch.tanh), (LeakyRelu(), F.leaky_relu)):
    t = torch.from_numpy(x).requires_grad_()
    out, cache = ours.forward(x)
    y = theirs(t)
    y.backward(torch.from_numpy(dout))
    print(np.allclose(out, y.detach().numpy()), np.allclose(ours.backward(dout.copy(), cache), t.grad.numpy()), t.grad)
w, b = np.random.randn(5, 3), np.random.randn(3)
out, cache = affine_forward(x, w, b)
t = [torch.from_numpy(a).requires_grad_() for a in (x, w, b)]
(t[0] @ t[1] + t[2]).backward(torch.ones(4, 3, dtype=torch.double))
print([np.allclose(g, s.grad.numpy()) for g, s in zip(affine_backward(np.ones((4, 3)), cache), t)], out)
""",
    "N-layer network: memory, solvers, overfitting": COURSE
    + """
one, few, some = [NumpyLoader(ImageFolderDataset("cifar10", compose_transform, n), 4, shuffle=True) for n in (1, 10, 30)]
model = ClassificationNet(num_layer=2, reg=0.1)
loss_func = CrossEntropyFromLogits()
batch = next(iter(few))
out = model.forward(batch['image'])
loss_func.forward(out, batch['label'])
model.backward(loss_func.backward(out, batch['label']))
print(sum(v.nbytes for v in model.grads.values()), sum(a.nbytes for c in model.cache.values() for a in c if hasattr(a, "nbytes")))
for optimizer, loader, layers in ((SGD, few, 2), (SGDMomentum, few, 2), (Adam, one, 2), (Adam, few, 3), (Adam, some, 2)):
    model = ClassificationNet(activation=Relu(), num_layer=layers, hidden_size=30, reg=1e-4, std=1e-2)
    solver = Solver(model, loader, few, learning_rate=1e-3, loss_func=loss_func, optimizer=optimizer)
    solver.train(epochs=6, patience=4)
    print(optimizer.__name__, solver.train_loss_history[-1], solver.val_loss_history, solver.get_dataset_accuracy(loader))
""",
    "N-layer network in NumPy and in torch": COURSE
    + """
x, y = np.random.randn(12, 6), np.random.randint(0, 3, 12)
for optimizer, theirs in ((SGD, lambda p: optim.SGD(p, 0.1)), (SGDMomentum, lambda p: optim.SGD(p, 0.1, momentum=0.9)), (Adam, lambda p: optim.Adam(p, 0.1))):
    model, loss_func = ClassificationNet(activation=Tanh(), num_layer=3, input_size=6, hidden_size=5, num_classes=3, std=0.5), CrossEntropyFromLogits()
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    net.load_state_dict({k: torch.from_numpy(model.params[s].T.copy()) for k, s in zip(net.state_dict(), model.params)})
    opt, opt2 = optimizer(model, loss_func, 0.1), theirs(net.parameters())
    for _ in range(10):
        out = model.forward(x)
        ours = loss_func.forward(out, y)
        opt.backward(out, y); opt.step()
        loss = F.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(y))
        opt2.zero_grad(); loss.backward(); opt2.step()
    print(optimizer.__name__, ours, loss, abs(ours - loss.item()) < 1e-5)
""",
    "grid and random search": COURSE
    + """
import random
from math import log10
train, val = [NumpyLoader(ImageFolderDataset("cifar10", compose_transform, n), 10, shuffle=True) for n in (40, 20)]
def findBestConfig(train_loader, val_loader, configs, EPOCHS, PATIENCE, model_class):
    best_val, best_config, best_model, results = None, None, None, []
    for i in range(len(configs)):
        print("Evaluating Config #{} [of {}]:".format((i + 1), len(configs)), {k: v for k, v in configs[i].items() if k != "loss_func"})
        model = model_class(**configs[i])
        solver = Solver(model, train_loader, val_loader, **configs[i])
        solver.train(epochs=EPOCHS, patience=PATIENCE)
        results.append(solver.best_model_stats)
        if not best_val or solver.best_model_stats["val_loss"] < best_val:
            best_val, best_model, best_config = solver.best_model_stats["val_loss"], model, configs[i]
    print("Search done. Best Val Loss = {}".format(best_val), best_config["learning_rate"])
    return best_model, list(zip(configs, results))
def grid_search(train_loader, val_loader, spaces, model_class=ClassificationNet, epochs=20, patience=5):
    configs = [dict(zip(spaces.keys(), instance)) for instance in product(*spaces.values())]
    return findBestConfig(train_loader, val_loader, configs, epochs, patience, model_class)
def random_search_spaces_to_config(spaces):
    config = {}
    for key, (rng, mode) in spaces.items():
        if mode == "log":
            config[key] = 10 ** random.uniform(log10(rng[0]), log10(rng[-1]))
        elif mode == "int":
            config[key] = random.randint(rng[0], rng[-1])
        elif mode == "item":
            config[key] = random.choice(rng)
    return config
best, results = grid_search(train, val, {"learning_rate": [1e-2, 1e-3], "reg": [1e-4]}, epochs=3)
print(results)
configs = [random_search_spaces_to_config({"learning_rate": ([1e-2, 1e-6], 'log'), "reg": ([1e-3, 1e-7], "log"),
    "hidden_size": ([20, 40], "int"), "loss_func": ([CrossEntropyFromLogits()], "item")}) for _ in range(3)]
best, results = findBestConfig(train, val, configs, 3, 5, ClassificationNet)
print([figures for _, figures in results])
""",
    "archives": """
import gzip, shutil, tarfile, zipfile
os.makedirs("packed", exist_ok=True)
with zipfile.ZipFile("packed/a.zip", "w") as z:
    z.writestr("inner/hello.txt", "hello")
with tarfile.open("packed/b.tar.gz", "w:gz") as t:
    t.add("packed/a.zip", "a.zip")
def extract_archive(from_path, to_path):
    if from_path.endswith(".zip"):
        with zipfile.ZipFile(from_path) as z:
            z.extractall(to_path)
    else:
        with tarfile.open(from_path, "r:gz") as tar:
            tar.extractall(path=to_path)
extract_archive("packed/b.tar.gz", "packed")
extract_archive("packed/a.zip", "packed")
print(open("packed/inner/hello.txt").read(), torchvision.datasets.utils.calculate_md5("packed/inner/hello.txt"))
shutil.rmtree("packed")
""",
}

"""Notes on networks: regression, BatchNet, convolutional blocks, the basics of a course, keypoints and segmentation."""

PROGRAMS = {
    "Variable and a weighted backward": """
x = torch.randn(3)
x = Variable(x, requires_grad=True)
y = x * 2
y.backward(torch.FloatTensor([1, 0.1, 20]))
print(x.grad, type(x).__name__, x.data)
""",
    "a folder of pictures and a loader": """
from torchvision.datasets import ImageFolder
def collate_fn(samples):
    return torch.stack([x for x, _ in samples]), [y for _, y in samples]
dset = ImageFolder("cifar10", transform=transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor()]), target_transform=lambda y: 9 - y)
print(dset.classes, dset.class_to_idx, len(dset), os.path.basename(dset.imgs[0][0]))
for x, y in DataLoader(dset, batch_size=32, shuffle=True, collate_fn=collate_fn):
    print(x.shape, x.mean(), y)
""",
    "a loader with workers that stay": """
data = datasets.ImageFolder("cifar10", transform=transforms.ToTensor())
loader = DataLoader(data, batch_size=40, shuffle=True, num_workers=2, persistent_workers=True, pin_memory=True)
for epoch in range(2):
    for x, y in loader:
        print(epoch, x.mean(), y[:9])
""",
    "two convolutions": """
class Model(nn.Module):
    def __init__(self):
        super(Model, self).__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 20, 5)
    def forward(self, x):
        x = F.relu(self.conv1(x))
        return F.relu(self.conv2(x))
model = Model()
print(model, model(torch.randn(2, 1, 12, 12)).sum((2, 3)))
""",
    "linear regression": """
x_train = np.array([[3.3], [4.4], [5.5], [6.71], [6.93], [4.168], [9.779], [6.182], [7.59], [2.167],
                    [7.042], [10.791], [5.313], [7.997], [3.1]], dtype=np.float32)
y_train = np.array([[1.7], [2.76], [2.09], [3.19], [1.694], [1.573], [3.366], [2.596], [2.53], [1.221],
                    [2.827], [3.465], [1.65], [2.904], [1.3]], dtype=np.float32)
x_train, y_train = torch.from_numpy(x_train), torch.from_numpy(y_train)
class LinearRegression(nn.Module):
    def __init__(self):
        super(LinearRegression, self).__init__()
        self.linear = nn.Linear(1, 1)
    def forward(self, x):
        return self.linear(x)
model = LinearRegression().cuda() if torch.cuda.is_available() else LinearRegression()
criterion = nn.MSELoss()
optimizer = optim.SGD(model.parameters(), lr=1e-3)
num_epochs = 1000
for epoch in range(num_epochs):
    inputs, target = Variable(x_train), Variable(y_train)
    loss = criterion(model(inputs), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if (epoch + 1) % 100 == 0:
        print('Epoch [{}/{}], loss: {:.6f}'.format(epoch + 1, num_epochs, loss.data.item()))
model.eval()
predict = model(Variable(x_train)).data.numpy()
plt.plot(x_train.numpy(), y_train.numpy(), "ro", x_train.numpy(), predict)
print(predict.ravel())
""",
    "logistic regression": """
class LogisticRegression(nn.Module):
    def __init__(self):
        super(LogisticRegression, self).__init__()
        self.lr = nn.Linear(2, 1)
        self.sm = nn.Sigmoid()
    def forward(self, x):
        return self.sm(self.lr(x))
model = LogisticRegression()
x = torch.randn(60, 2)
y = (x.sum(1, keepdim=True) > 0.3).float()
criterion, optimizer = nn.BCELoss(), optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
for epoch in range(50):
    out = model(x)
    loss = criterion(out, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        print(epoch, loss.item(), (out.ge(0.5).float() == y).float().mean().item())
w0, w1 = model.lr.weight[0]
print(w0.item(), w1.item(), model.lr.bias.data[0])
""",
    "BatchNet on MNIST": """
class BatchNet(nn.Module):
    def __init__(self, in_dim, n_hidden_1, n_hidden_2, out_dim):
        super(BatchNet, self).__init__()
        self.layer1 = nn.Sequential(nn.Linear(in_dim, n_hidden_1), nn.BatchNorm1d(n_hidden_1), nn.ReLU(True))
        self.layer2 = nn.Sequential(nn.Linear(n_hidden_1, n_hidden_2), nn.BatchNorm1d(n_hidden_2), nn.ReLU(True))
        self.layer3 = nn.Sequential(nn.Linear(n_hidden_2, out_dim))
    def forward(self, x):
        return self.layer3(self.layer2(self.layer1(x)))
data_tf = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])
train_dataset = datasets.MNIST(root='./data', train=True, transform=data_tf, download=True)
test_dataset = datasets.MNIST(root='./data', train=False, transform=data_tf)
train_loader = DataLoader(train_dataset, batch_size=64, shuffle=True)
test_loader = DataLoader(test_dataset, batch_size=64, shuffle=False)
model = BatchNet(28 * 28, 300, 100, 10)
if torch.cuda.is_available():
    model.cuda()
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=1e-2)
for epoch in range(3):
    train_loss, train_acc = 0.0, 0
    for batch_x, batch_y in train_loader:
        batch_x, batch_y = Variable(batch_x.view(-1, 28 * 28)), Variable(batch_y)
        out = model(batch_x)
        loss = criterion(out, batch_y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        train_loss += loss.data.item() * batch_y.size(0)
        _, pred = torch.max(out, 1)
        train_acc += (pred == batch_y).sum().item()
    print('Epoch [{}/{}], loss: {:.6f}, acc: {:.6f}'.format(epoch, 3, train_loss / len(train_dataset), train_acc / len(train_dataset)))
model.eval()
eval_loss, eval_acc = 0.0, 0.0
for data in test_loader:
    img, label = data
    img = img.view(img.size(0), -1)
    img, label = Variable(img, volatile=True), Variable(label, volatile=True)
    out = model(img)
    loss = criterion(out, label)
    eval_loss += loss.data.item() * label.size(0)
    _, pred = torch.max(out, 1)
    eval_acc += (pred == label).sum().item()
print('Test Loss: {:.6f}, Acc: {:.6f}'.format(eval_loss / len(test_dataset), eval_acc / len(test_dataset)))
""",
    "Inception": """
class BasicConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, **kwargs):
        super(BasicConv2d, self).__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)
    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)
class Inception(nn.Module):
    def __init__(self, in_channels, pool_features):
        super(Inception, self).__init__()
        self.branch1x1 = BasicConv2d(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = BasicConv2d(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = BasicConv2d(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, kernel_size=3, padding=1)
        self.branch_pool = BasicConv2d(in_channels, pool_features, kernel_size=1)
    def forward(self, x):
        branch1x1 = self.branch1x1(x)
        branch5x5 = self.branch5x5_2(self.branch5x5_1(x))
        branch3x3dbl = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        branch_pool = self.branch_pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1))
        return torch.cat([branch1x1, branch5x5, branch3x3dbl, branch_pool], 1)
net = Inception(16, 32)
x = torch.randn(2, 16, 12, 12, requires_grad=True)
out = net(x)
out.pow(2).sum().backward()
print(out.shape, out.sum((0, 2, 3))[::16], x.grad.std(), net.branch_pool.conv.weight.grad.norm())
""",
    "residual block": """
def conv3x3(in_planes, out_planes, stride=1):
    return nn.Conv2d(in_planes, out_planes, kernel_size=3, stride=stride, padding=1, bias=False)
class BasicBlock(nn.Module):
    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super(BasicBlock, self).__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample
        self.stride = stride
    def forward(self, x):
        residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            residual = self.downsample(residual)
        out += residual
        return self.relu(out)
down = nn.Sequential(nn.Conv2d(8, 16, 1, stride=2, bias=False), nn.BatchNorm2d(16))
net = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 16, 2, down), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
optimizer = optim.Adam(net.parameters())
x, y = torch.randn(16, 8, 16, 16), torch.randint(10, (16,))
for _ in range(6):
    loss = F.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
""",
    "cross-correlation by hand": """
def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i: i + h, j: j + w] * K).sum()
    return Y
X, K = torch.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8]]), torch.tensor([[0, 1], [2, 3]])
print(corr2d(X, K), F.conv2d(X[None, None].float(), K[None, None].float()))
sobel = torch.tensor([[-1., 0, 1], [-2, 0, 2], [-1, 0, 1]])
print(corr2d(torch.rand(5, 5), sobel))
""",
    "functions that create and arrange": """
array = np.ones((2, 2))
shared = torch.from_numpy(array)
array[0, 0] = 5
print(shared, torch.tensor(array, dtype=torch.float32, device="cpu", requires_grad=True, pin_memory=False))
t = torch.normal(0., 1., (2, 6))
print(torch.cat([t, t], dim=1).shape, torch.stack([t, t], dim=2).shape, torch.chunk(t, 3, dim=1)[2], torch.split(t, [1, 5], dim=1)[0])
print(torch.index_select(t, 1, torch.tensor([0, 2])), torch.masked_select(t, t > 0), torch.reshape(t, (3, 4)), torch.transpose(t, 0, 1).shape)
print(torch.squeeze(t[None]).shape, torch.unsqueeze(t, 1).shape, torch.add(t, 1), torch.mul(t, t), torch.t(t).shape)
""",
    "softmax regression on four features": """
class LinearNet(nn.Module):
    def __init__(self):
        super(LinearNet, self).__init__()
        self.dense = nn.Linear(4, 3)
        self.softmax = nn.Softmax(dim=1)
    def forward(self, x):
        return self.softmax(self.dense(x.view((-1, 4))))
net = LinearNet()
X = torch.randn(45, 4) + torch.arange(45).remainder(3)[:, None]
target = torch.arange(45) % 3
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(70):
    train_l = 0.0
    y_hat = net(X)
    l = loss(y_hat, target).sum()
    optimizer.zero_grad()
    l.backward()
    optimizer.step()
    train_l += l
    if epoch % 10 == 0:
        print('epoch %d, loss %.4f' % (epoch + 1, train_l))
print((net(X).argmax(1) == target).sum())
""",
    "cross-entropy with weights, reductions, ignored labels": """
out, y = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, -100, 1])
w = torch.tensor([1., 2., 0.5, 1.])
for reduction in ("none", "sum", "mean"):
    print(nn.CrossEntropyLoss(weight=w, reduction=reduction)(out, y), nn.CrossEntropyLoss(ignore_index=1, reduction=reduction)(out[:4], y[:4]))
print(nn.NLLLoss()(nn.LogSoftmax(dim=1)(out[:4]), y[:4]), nn.CrossEntropyLoss()(out[:4], y[:4]))
""",
    "saving and loading": """
model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
PATH = './download'
torch.save(model.state_dict(), PATH)
other = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
print(other.load_state_dict(torch.load(PATH)))
x = torch.randn(2, 4)
print(torch.equal(other.eval()(x), model(x)), model(x))
torch.save(model, PATH)
model2 = torch.load(PATH, weights_only=False)
model2.eval()
print(model2, torch.equal(model2(x), model(x)))
""",
    "initialising weights": """
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4, 3))
for m in net:
    torch.nn.init.xavier_uniform_(m.weight)
    torch.nn.init.constant_(m.bias, 0.1)
print(net[0].weight, net[1].weight, net[1].bias)
print(nn.init.kaiming_normal_(torch.empty(3, 5)), nn.init.kaiming_uniform_(torch.empty(3, 5), nonlinearity="relu"), nn.init.xavier_normal_(torch.empty(2, 3)))
""",
    "transfer learning: a new last layer, a smaller rate for the rest": """
from torchvision import models
finetune_net = models.resnet18(weights=None, num_classes=12)
finetune_net.fc = nn.Linear(finetune_net.fc.in_features, 2)
nn.init.xavier_uniform_(finetune_net.fc.weight)
params_1x = [param for name, param in finetune_net.named_parameters() if name not in ["fc.weight", "fc.bias"]]
trainer = torch.optim.SGD([{'params': params_1x}, {'params': finetune_net.fc.parameters(), 'lr': 1e-2}], lr=1e-3, weight_decay=0.001)
x, y = torch.randn(4, 3, 64, 64), torch.tensor([0, 1, 1, 0])
for _ in range(3):
    loss = F.cross_entropy(finetune_net(x), y)
    trainer.zero_grad()
    loss.backward()
    trainer.step()
    print(loss.item())
""",
    "weights of imbalanced classes": """
from torch.utils.data import WeightedRandomSampler, TensorDataset
labels = torch.cat([torch.zeros(90), torch.ones(10)]).long()
counts = torch.bincount(labels)
sampler = WeightedRandomSampler((1. / counts)[labels], num_samples=100)
print(sum(y.sum() for _, y in DataLoader(TensorDataset(torch.zeros(100), labels), batch_size=25, sampler=sampler)))
print(nn.CrossEntropyLoss(weight=100. / (2 * counts))(torch.randn(100, 2), labels))
""",
    "max-norm and Monte-Carlo dropout": """
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3))
with torch.no_grad():
    for w in (net[0].weight, net[3].weight):
        norm = w.norm(2, dim=1, keepdim=True)
        w.mul_(torch.clamp(norm, max=0.5) / norm)
x = torch.randn(2, 8)
net.train()
runs = torch.stack([F.softmax(net(x), dim=1) for _ in range(25)])
print(net[0].weight.norm(2, dim=1).max(), runs.mean(0), runs.std(0), nn.Dropout2d(0.5)(torch.ones(2, 6, 2, 2))[:, :, 0, 0])
""",
    "filters on a picture": """
x = torch.rand(1, 1, 6, 6)
edge = torch.full((3, 3), -1.)
edge[1, 1] = 8
box = torch.full((3, 3), 1 / 9.)
sharpen = torch.tensor([[0., -1, 0], [-1, 5, -1], [0, -1, 0]])
blur = torch.tensor([[1., 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
print(F.conv2d(x, torch.stack([edge, box, sharpen, blur])[:, None], padding=1))
print(sum(p.numel() for p in nn.Conv2d(192, 128, 3).parameters()), sum(p.numel() for p in nn.Conv2d(10, 32, 3).parameters()))
""",
    "recurrent networks and attention": """
x = torch.randn(2, 5, 4)
for cls in (nn.RNN, nn.LSTM, nn.GRU):
    net = cls(4, 6, num_layers=2, batch_first=True)
    out, h = net(x)
    out.sum().backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    print(cls.__name__, out[:, -1], net.weight_hh_l0.grad.norm())
layer = nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
print(nn.TransformerEncoder(layer, 2)(torch.randn(1, 3, 8)), nn.MultiheadAttention(8, 2)(*torch.randn(3, 4, 1, 8))[1])
""",
    "a generator and a discriminator": """
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Sigmoid())
opt_g, opt_d, bce = optim.Adam(G.parameters(), 2e-3), optim.Adam(D.parameters(), 2e-3), nn.BCELoss()
for step in range(12):
    real, fake = torch.randn(16, 2) + 2, G(torch.randn(16, 4))
    loss_d = bce(D(real), torch.ones(16, 1)) + bce(D(fake.detach()), torch.zeros(16, 1))
    opt_d.zero_grad(); loss_d.backward(); opt_d.step()
    loss_g = bce(D(fake), torch.ones(16, 1))
    opt_g.zero_grad(); loss_g.backward(); opt_g.step()
    print(loss_d.item(), loss_g.item())
""",
    "a variational autoencoder": """
class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.mu, self.logvar, self.dec = nn.Linear(20, 16), nn.Linear(16, 3), nn.Linear(16, 3), nn.Linear(3, 20)
    def forward(self, x):
        h = F.relu(self.enc(x))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return torch.sigmoid(self.dec(z)), mu, logvar
net, x = VAE(), torch.rand(32, 20)
optimizer = optim.Adam(net.parameters(), 1e-2)
for _ in range(8):
    out, mu, logvar = net(x)
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    loss = F.binary_cross_entropy(out, x, reduction="sum") + kl
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    print(loss.item(), kl.item())
""",
    "facial keypoints": """
import csv
rng = np.random.RandomState(0)
names = [f"{n}_{c}" for n in range(15) for c in "xy"] + ["Image"]
with open("training.csv", "w", newline="") as f:
    writer = csv.writer(f)
    writer.writerow(names)
    for i in range(6):
        writer.writerow([*rng.uniform(10, 86, 30), " ".join(map(str, rng.randint(0, 256, 96 * 96)))] if i != 2 else ["1"] * 29 + ["", "0"])
class FacialKeypointsDataset(Dataset):
    def __init__(self, file, transform=None):
        with open(file) as f:
            self.frame = [row for row in csv.DictReader(f) if all(row.values())]
        self.transform = transform
    def __len__(self):
        return len(self.frame)
    def __getitem__(self, idx):
        row = self.frame[idx]
        img = np.array([int(item) for item in row["Image"].split()]).reshape((96, 96))
        image = np.expand_dims(img, axis=2).astype(np.uint8)
        key_pts = np.array([row[n] for n in names[:-1]]).reshape(15, 2)
        keypoints = torch.from_numpy((key_pts.astype(float) - 48.0) / 48.0).float()
        if self.transform:
            image = self.transform(image)
        return {'image': image, 'keypoints': keypoints}
data = FacialKeypointsDataset("training.csv", transforms.ToTensor())
image, keypoints = data[0]["image"], data[0]["keypoints"]
print(len(data), image.size(), torch.min(image), torch.max(image), keypoints)
plt.imshow((image.clone() * 255).view(96, 96).cpu(), cmap='gray')
key_pts = (keypoints.clone() * 48 + 48).cpu()
plt.scatter(key_pts[:, 0], key_pts[:, 1], s=200, marker='.', c='m')
model = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(8 * 121, 30), nn.Tanh())
loss_fn = torch.nn.MSELoss()
optimizer = optim.Adam(model.parameters(), 1e-3)
for epoch in range(2):
    for batch in DataLoader(data, batch_size=2, shuffle=True):
        loss = loss_fn(model(batch["image"]).view(-1, 15, 2), batch["keypoints"])
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        print(loss.item())
def evaluate_model(model, dataset):
    model.eval()
    dataloader, loss = DataLoader(dataset, batch_size=1, shuffle=False), 0
    for batch in dataloader:
        predicted = model(batch["image"]).view(-1, 15, 2)
        loss += loss_fn(torch.squeeze(batch["keypoints"]), torch.squeeze(predicted)).item()
    return 1.0 / (2 * (loss / len(dataloader)))
print("Score:", evaluate_model(model, data))
""",
    "segmentation: labels from colours, masked accuracy": """
SEG_LABELS_LIST = [{"id": -1, "rgb_values": [0, 0, 0]}, {"id": 0, "rgb_values": [128, 0, 0]},
                   {"id": 1, "rgb_values": [0, 128, 0]}, {"id": 2, "rgb_values": [128, 128, 0]}]
rng = np.random.RandomState(0)
os.makedirs("seg/images", exist_ok=True)
os.makedirs("seg/targets", exist_ok=True)
for i in range(3):
    blocks = rng.randint(0, 4, (9, 10)).repeat(30, 0).repeat(30, 1)
    colours = np.array([l["rgb_values"] for l in SEG_LABELS_LIST], np.uint8)[blocks]
    Image.fromarray(colours).save(f"seg/targets/{i}_GT.bmp")
    Image.fromarray((colours // 2 + rng.randint(0, 90, colours.shape)).astype(np.uint8)).save(f"seg/images/{i}.bmp")
with open("seg/train.txt", "w") as f:
    f.write("0.bmp\\n1.bmp\\n2.bmp\\n")
def label_img_to_rgb(label_img):
    label_img = np.squeeze(label_img)
    rgb = np.array([label_img, label_img, label_img]).transpose(1, 2, 0)
    for l in SEG_LABELS_LIST:
        rgb[label_img == l['id']] = l['rgb_values']
    return rgb.astype(np.uint8)
class SegmentationData(Dataset):
    def __init__(self, image_paths_file):
        self.root_dir_name = os.path.dirname(image_paths_file)
        with open(image_paths_file) as f:
            self.image_names = f.read().splitlines()
    def __getitem__(self, key):
        if isinstance(key, slice):
            return [self[ii] for ii in range(*key.indices(len(self)))]
        return self.get_item_from_index(key)
    def __len__(self):
        return len(self.image_names)
    def get_item_from_index(self, index):
        to_tensor, center_crop = transforms.ToTensor(), transforms.CenterCrop(240)
        img_id = self.image_names[index].replace('.bmp', '')
        img = to_tensor(center_crop(Image.open(os.path.join(self.root_dir_name, 'images', img_id + '.bmp')).convert('RGB')))
        target = np.array(center_crop(Image.open(os.path.join(self.root_dir_name, 'targets', img_id + '_GT.bmp'))), dtype=np.int64)
        target_labels = target[..., 0]
        for label in SEG_LABELS_LIST:
            target_labels[np.all(target == label['rgb_values'], axis=2)] = label['id']
        return img, torch.from_numpy(target_labels.copy())
train_data = SegmentationData("seg/train.txt")
print(len(train_data), train_data[0][0].size(), train_data[0][1].size(), label_img_to_rgb(train_data[0][1].numpy()).sum())
model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 4, 3, stride=2), nn.Upsample(size=(240, 240)))
loss_func = torch.nn.CrossEntropyLoss(ignore_index=-1, reduction='mean')
optimizer = optim.Adam(model.parameters(), 1e-2)
for _ in range(2):
    for inputs, targets in train_data[0:4]:
        loss = loss_func(model(inputs.unsqueeze(0)), targets.unsqueeze(0))
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        print(loss)
scores = []
model.eval()
for inputs, targets in DataLoader(train_data, batch_size=1, shuffle=False, num_workers=0):
    _, preds = torch.max(model.forward(inputs), 1)
    targets_mask = targets >= 0
    scores.append(np.mean((preds.cpu() == targets.cpu())[targets_mask].numpy()))
print(np.mean(scores))
for i, (img, target) in enumerate(train_data[:2]):
    plt.subplot(2, 2, i * 2 + 1).imshow(img.numpy().transpose(1, 2, 0))
""",
    "a frozen MobileNetV2 and a decoder": """
from torchvision import models
pretrained = models.mobilenet_v2().eval()
for param in pretrained.parameters():
    param.requires_grad = False
model = nn.Sequential(*(list(pretrained.children())[:-1]), nn.ConvTranspose2d(1280, 8, kernel_size=3, stride=2),
    nn.ConvTranspose2d(8, 6, kernel_size=3, stride=2), nn.ConvTranspose2d(6, 3, 1), torch.nn.Upsample(size=(32, 32)))
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
x, y = torch.rand(2, 3, 32, 32), torch.randint(-1, 3, (2, 32, 32))
for _ in range(3):
    loss = nn.CrossEntropyLoss(ignore_index=-1, reduction='mean')(model(x), y)
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    print(loss.item(), sum(p.grad is not None for p in model.parameters()))
print(next(model.parameters()).is_cuda)
""",
}

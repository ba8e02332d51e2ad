"""The notes' programs on PyTorch Lightning, in its 1.x style (`validation_epoch_end`, data loaders as methods), each with
the same written as plain loops, which is what PyTorch runs where Lightning is not installed."""

from importlib.util import find_spec

LOGGER = 'TensorBoardLogger("tb")' if find_spec("rushlight.utils.tensorboard") else "False"
DATA = """
from torch.utils.data.sampler import SubsetRandomSampler
mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
hparams = {"loading_method": "Image", "num_workers": 0, "input_size": 3 * 32 * 32, "batch_size": 24, "learning_rate": 1e-3,
           "weight_decay": 1e-3, "nn_hidden_Layer1": 40, "num_classes": 10}
class Loaders:
    def __init__(self):
        data = datasets.ImageFolder(root="cifar10", transform=transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)]))
        N = len(data)
        indices = np.random.permutation(N)
        a, b = int(N * 0.6), int(N * 0.8)
        self.dataset = data
        self.sampler = {"train": SubsetRandomSampler(indices[:a]), "val": SubsetRandomSampler(indices[a:b]), "test": SubsetRandomSampler(indices[b:])}
    def __call__(self, mode):
        return DataLoader(self.dataset, batch_size=hparams["batch_size"], sampler=self.sampler[mode], pin_memory=True)
"""

CLASSIFIER = (
    DATA
    + """
import pytorch_lightning as pl
class CIFAR10DataModule(pl.LightningDataModule):
    def __init__(self, hparams):
        super().__init__()
        self.opt = hparams
    def prepare_data(self, stage=None, CIFAR_ROOT="../datasets/cifar10"):
        if not hasattr(self, "loaders"):
            self.loaders = Loaders()
    def train_dataloader(self):
        return self.loaders("train")
    def val_dataloader(self):
        return self.loaders("val")
    def test_dataloader(self):
        return self.loaders("test")
class MyPytorchModel(pl.LightningModule):
    def __init__(self, hparams):
        super().__init__()
        self.save_hyperparameters(hparams)
        self.model = nn.Sequential(nn.Linear(self.hparams["input_size"], self.hparams["nn_hidden_Layer1"]), nn.ReLU(),
                                   nn.Linear(self.hparams["nn_hidden_Layer1"], self.hparams["num_classes"]), nn.ReLU())
    def forward(self, x):
        return self.model(x.view(x.shape[0], -1))
    def general_step(self, batch, batch_idx, mode):
        images, targets = batch
        out = self.forward(images)
        loss = F.cross_entropy(out, targets)
        n_correct = (targets == out.argmax(axis=1)).sum()
        return loss, n_correct, len(targets)
    def general_end(self, outputs, mode):
        avg_loss = torch.stack([x[mode + '_loss'] for x in outputs]).mean()
        length = sum([x[mode + '_n_total'] for x in outputs])
        total_correct = torch.stack([x[mode + '_n_correct'] for x in outputs]).sum().cpu().numpy()
        return avg_loss, total_correct / length
    def training_step(self, batch, batch_idx):
        loss, n_correct, n_total = self.general_step(batch, batch_idx, "train")
        self.log('loss', loss)
        print("train", loss.item())
        return {'loss': loss, 'train_n_correct': n_correct, 'train_n_total': n_total}
    def validation_step(self, batch, batch_idx):
        loss, n_correct, n_total = self.general_step(batch, batch_idx, "val")
        self.log('val_loss', loss)
        return {'val_loss': loss, 'val_n_correct': n_correct, 'val_n_total': n_total}
    def test_step(self, batch, batch_idx):
        loss, n_correct, n_total = self.general_step(batch, batch_idx, "test")
        return {'test_loss': loss, 'test_n_correct': n_correct, 'test_n_total': n_total}
    def validation_epoch_end(self, outputs):
        avg_loss, acc = self.general_end(outputs, "val")
        self.log('val_loss', avg_loss)
        self.log('val_acc', acc)
        if not self.trainer.sanity_checking:
            print("val", avg_loss.item(), acc)
        return {'val_loss': avg_loss, 'val_acc': acc}
    def configure_optimizers(self):
        optim = torch.optim.Adam(self.model.parameters(), self.hparams["learning_rate"], weight_decay=self.hparams['weight_decay'])
        StepLR = torch.optim.lr_scheduler.MultiStepLR(optim, milestones=[30], gamma=0.5)
        return optim
    def getTestAcc(self, loader):
        self.model.eval()
        self.model = self.model.to(self.device)
        scores, labels = [], []
        for X, y in loader:
            scores.append(self.forward(X.to(self.device)).detach().cpu().numpy())
            labels.append(y.detach().cpu().numpy())
        preds = np.concatenate(scores, axis=0).argmax(axis=1)
        return preds, (np.concatenate(labels, axis=0) == preds).mean()
data_module = CIFAR10DataModule(hparams)
data_module.prepare_data()
model = MyPytorchModel(hparams)
trainer = pl.Trainer(max_epochs=2, accelerator='cpu', enable_progress_bar=False, enable_model_summary=False)
trainer.fit(model, data_module)
print(model.getTestAcc(data_module.test_dataloader()))
"""
)

CLASSIFIER_PLAIN = (
    DATA
    + """
loaders = Loaders()
model = nn.Sequential(nn.Linear(3072, 40), nn.ReLU(), nn.Linear(40, 10), nn.ReLU())
optimizer = optim.Adam(model.parameters(), 1e-3, weight_decay=1e-3)
state = torch.get_rng_state()
for epoch in range(2):
    for x, y in loaders("train"):
        loss = F.cross_entropy(model(x.flatten(1)), y)
        print("train", loss.item())
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    with torch.no_grad():
        outs = [(model(x.flatten(1)), y) for x, y in loaders("val")]
    print("val", np.mean([F.cross_entropy(o, y).item() for o, y in outs]), np.concatenate([(o.argmax(1) == y).numpy() for o, y in outs]).mean())
outs = [(model(x.flatten(1)).argmax(1), y) for x, y in loaders("test")]
print((np.concatenate([o.numpy() for o, _ in outs]), np.concatenate([(o == y).numpy() for o, y in outs]).mean()))
"""
)

PARTS = """
transform = transforms.Compose([transforms.ToPILImage(), transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
mnist = datasets.MNIST("data", train=True)
torch.save(mnist.data[:200].unsqueeze(1), "images.pt")
torch.save(mnist.targets[:200], "labels.pt")
class ImageFolderDataset(Dataset):
    def __init__(self, part, labels=True):
        self.images = torch.load("images.pt")[part]
        self.labels = torch.load("labels.pt")[part] if labels else None
    def __len__(self):
        return len(self.images)
    def __getitem__(self, index):
        image = transform(self.images[index])
        return image if self.labels is None else (image, self.labels[index])
unlabeled_train, unlabeled_val = ImageFolderDataset(slice(0, 120), False), ImageFolderDataset(slice(120, 160), False)
train, val, test = (ImageFolderDataset(slice(a, b)) for a, b in ((0, 60), (60, 110), (110, 200)))
hparams = {"batch_size": 20, "learning_rate": 1e-3, "weight_decay": 1e-5, "hidden_size": 64, "hidden_size_2": 32, "output_size": 10}
class Encoder(nn.Module):
    def __init__(self, hparams, input_size=28 * 28, latent_dim=20):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(input_size, hparams["hidden_size"]), nn.LeakyReLU(), nn.Linear(hparams["hidden_size"], latent_dim))
    def forward(self, x):
        return self.encoder(x)
class Decoder(nn.Module):
    def __init__(self, hparams, latent_dim=20, output_size=28 * 28):
        super().__init__()
        self.decoder = nn.Sequential(nn.Linear(latent_dim, hparams["hidden_size"]), nn.LeakyReLU(), nn.Linear(hparams["hidden_size"], output_size))
    def forward(self, x):
        return self.decoder(x)
"""

AUTOENCODER = (
    PARTS
    + """
import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger
class Autoencoder(pl.LightningModule):
    def __init__(self, hparams, encoder, decoder, train_set, val_set):
        super().__init__()
        self.save_hyperparameters(hparams, ignore=['encoder', 'decoder'])
        self.encoder, self.decoder, self.train_set, self.val_set = encoder, decoder, train_set, val_set
    def forward(self, x):
        return self.decoder(self.encoder(x))
    def training_step(self, batch, batch_idx):
        flat = batch.view(batch.shape[0], -1)
        loss = F.mse_loss(self.forward(flat), flat)
        self.log("train_loss_ae", loss)
        print("ae", loss.item())
        return loss
    def validation_step(self, batch, batch_idx):
        flat = batch.view(batch.shape[0], -1)
        reconstruction = self.forward(flat)
        loss = F.mse_loss(reconstruction, flat)
        reconstruction = reconstruction.view(reconstruction.shape[0], 28, 28).cpu().numpy()
        images = np.zeros((len(reconstruction), 3, 28, 28))
        for i in range(3):
            images[:, i] = reconstruction
        if self.logger is not None:
            self.logger.experiment.add_images('reconstructions', images, self.current_epoch, dataformats='NCHW')
        return loss
    def train_dataloader(self):
        return torch.utils.data.DataLoader(self.train_set, shuffle=True, batch_size=self.hparams['batch_size'])
    def val_dataloader(self):
        return torch.utils.data.DataLoader(self.val_set, batch_size=self.hparams['batch_size'])
    def configure_optimizers(self):
        self.model = nn.Sequential(self.encoder, self.decoder)
        return torch.optim.Adam(self.model.parameters(), self.hparams["learning_rate"], weight_decay=self.hparams['weight_decay'])
    def getReconstructions(self, loader=None):
        self.eval()
        self = self.to(self.device)
        loader = loader or self.val_dataloader()
        out = [self.forward(X.view(X.shape[0], -1)).view(-1, 28, 28).cpu().detach().numpy() for X in loader]
        return np.concatenate(out, axis=0)
class Classifier(pl.LightningModule):
    def __init__(self, hparams, encoder, train_set=None, val_set=None, test_set=None):
        super().__init__()
        self.save_hyperparameters(hparams, ignore=['encoder'])
        self.encoder = encoder
        self.data = {'train': train_set, 'val': val_set, 'test': test_set}
        self.model = nn.Sequential(nn.Linear(20, self.hparams["hidden_size_2"]), nn.LeakyReLU(), nn.Linear(self.hparams["hidden_size_2"], self.hparams["output_size"]))
    def forward(self, x):
        return self.model(self.encoder(x))
    def general_step(self, batch, batch_idx, mode):
        images, targets = batch
        out = self.forward(images.view(images.shape[0], -1))
        loss = F.cross_entropy(out, targets)
        return loss, (targets == out.argmax(axis=1)).sum()
    def training_step(self, batch, batch_idx):
        loss, n_correct = self.general_step(batch, batch_idx, "train")
        self.log("train_loss_cls", loss)
        print("cls", loss.item())
        return loss
    def validation_step(self, batch, batch_idx):
        loss, n_correct = self.general_step(batch, batch_idx, "val")
        return {'val_loss': loss, 'val_n_correct': n_correct}
    def test_step(self, batch, batch_idx):
        loss, n_correct = self.general_step(batch, batch_idx, "test")
        return {'test_loss': loss, 'test_n_correct': n_correct}
    def train_dataloader(self):
        return torch.utils.data.DataLoader(self.data['train'], shuffle=True, batch_size=self.hparams['batch_size'])
    def val_dataloader(self):
        return torch.utils.data.DataLoader(self.data['val'], batch_size=self.hparams['batch_size'])
    def test_dataloader(self):
        return torch.utils.data.DataLoader(self.data['test'], batch_size=self.hparams['batch_size'])
    def configure_optimizers(self):
        return torch.optim.Adam(self.model.parameters(), self.hparams["learning_rate"], weight_decay=self.hparams['weight_decay'])
    def getAcc(self, loader=None):
        self.eval()
        loader = loader or self.test_dataloader()
        pairs = [(self.forward(X.view(X.shape[0], -1)).argmax(1).numpy(), y.numpy()) for X, y in loader]
        preds, labels = (np.concatenate(part, axis=0) for part in zip(*pairs))
        return preds, (labels == preds).mean()
encoder, decoder = Encoder(hparams), Decoder(hparams)
autoencoder = Autoencoder(hparams, encoder, decoder, unlabeled_train, unlabeled_val)
ae_trainer = pl.Trainer(max_epochs=2, logger=LOGGER, enable_progress_bar=False, enable_model_summary=False)
ae_trainer.fit(autoencoder)
print(autoencoder.getReconstructions().sum())
classifier = Classifier(hparams, encoder, train, val, test)
trainer = pl.Trainer(max_epochs=3, logger=LOGGER, enable_progress_bar=False, enable_model_summary=False)
trainer.fit(classifier)
print(classifier.getAcc())
"""
)

AUTOENCODER_PLAIN = (
    PARTS
    + """
encoder, decoder = Encoder(hparams), Decoder(hparams)
optimizer = optim.Adam(nn.Sequential(encoder, decoder).parameters(), 1e-3, weight_decay=1e-5)
unlabeled = DataLoader(unlabeled_val, batch_size=20)
def validate(loader):
    for batch in loader:
        pass
for epoch in range(2):
    for batch in DataLoader(unlabeled_train, shuffle=True, batch_size=20):
        flat = batch.flatten(1)
        loss = F.mse_loss(decoder(encoder(flat)), flat)
        print("ae", loss.item())
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    validate(unlabeled)
print(np.concatenate([decoder(encoder(x.flatten(1))).detach().numpy() for x in unlabeled]).sum())
model = nn.Sequential(nn.Linear(20, 32), nn.LeakyReLU(), nn.Linear(32, 10))
optimizer = optim.Adam(model.parameters(), 1e-3, weight_decay=1e-5)
for epoch in range(3):
    for x, y in DataLoader(train, shuffle=True, batch_size=20):
        loss = F.cross_entropy(model(encoder(x.flatten(1))), y)
        print("cls", loss.item())
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    validate(DataLoader(val, batch_size=20))
pairs = [(model(encoder(x.flatten(1))).argmax(1).numpy(), y.numpy()) for x, y in DataLoader(test, batch_size=20)]
preds, labels = (np.concatenate(part) for part in zip(*pairs))
print((preds, (labels == preds).mean()))
"""
)

SEGMENTATION = """
import pytorch_lightning as pl
from pytorch_lightning.callbacks.early_stopping import EarlyStopping
from torchvision import models
class SegmentationNN(pl.LightningModule):
    def __init__(self, num_classes=23, hparams=None):
        super().__init__()
        self.save_hyperparameters(hparams)
        pretrained = models.mobilenet_v2(weights=None).eval()
        for param in pretrained.parameters():
            param.requires_grad = False
        self.model = nn.Sequential(*(list(pretrained.children())[:-1]),
            nn.ConvTranspose2d(1280, self.hparams['channel_1'], kernel_size=3, stride=2),
            nn.ConvTranspose2d(self.hparams['channel_1'], self.hparams['channel_2'], kernel_size=3, stride=2),
            nn.ConvTranspose2d(self.hparams['channel_2'], self.hparams['channel_3'], 1), torch.nn.Upsample(size=(32, 32)))
    def forward(self, x):
        return self.model(x)
    def general_step(self, batch, batch_idx, mode):
        return nn.CrossEntropyLoss(ignore_index=-1, reduction='mean')(self.forward(batch[0]), batch[1])
    def training_step(self, batch, batch_idx):
        loss = self.general_step(batch, batch_idx, "train")
        print("train", loss.item())
        return {'loss': loss, 'log': {'loss': loss}}
    def validation_step(self, batch, batch_idx):
        loss = self.general_step(batch, batch_idx, "val")
        self.log("val_loss", loss)
        return loss
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.hparams["learning_rate"])
    @property
    def is_cuda(self):
        return next(self.parameters()).is_cuda
    def save(self, path):
        torch.save(self, path)
hparams = {'learning_rate': 0.001, 'batch_size': 4, 'channel_1': 8, 'channel_2': 6, 'channel_3': 3}
model = SegmentationNN(hparams=hparams)
model.to(torch.device("cuda:0" if torch.cuda.is_available() else "cpu"))
x, y = torch.rand(12, 3, 32, 32), torch.randint(-1, 3, (12, 32, 32))
train_loader = DataLoader(list(zip(x[:8], y[:8])), batch_size=4, shuffle=True)
val_loader = DataLoader(list(zip(x[8:], y[8:])), batch_size=4, shuffle=False)
trainer = pl.Trainer(max_epochs=2, accelerator='cpu', callbacks=[EarlyStopping(monitor='val_loss', patience=10)], enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1)
trainer.fit(model, train_loader, val_loader)
print(trainer.callback_metrics["val_loss"], model.is_cuda)
"""

SEGMENTATION_PLAIN = """
from torchvision import models
pretrained = models.mobilenet_v2(weights=None).eval()
for param in pretrained.parameters():
    param.requires_grad = False
model = nn.Sequential(*(list(pretrained.children())[:-1]), nn.ConvTranspose2d(1280, 8, kernel_size=3, stride=2),
    nn.ConvTranspose2d(8, 6, kernel_size=3, stride=2), nn.ConvTranspose2d(6, 3, 1), torch.nn.Upsample(size=(32, 32)))
x, y = torch.rand(12, 3, 32, 32), torch.randint(-1, 3, (12, 32, 32))
train_loader = DataLoader(list(zip(x[:8], y[:8])), batch_size=4, shuffle=True)
val_loader = DataLoader(list(zip(x[8:], y[8:])), batch_size=4, shuffle=False)
optimizer = torch.optim.Adam(model.parameters(), 0.001)
for epoch in range(2):
    # Lightning 2 trains in the modes that the modules have, so the frozen part stays in eval mode
    for a, b in train_loader:
        loss = F.cross_entropy(model(a), b, ignore_index=-1)
        print("train", loss.item())
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    with torch.no_grad():
        losses = [F.cross_entropy(model.eval()(a), b, ignore_index=-1) for a, b in val_loader]
    model[1:].train()
print(losses[0], next(model.parameters()).is_cuda)
"""

PROGRAMS = {
    "CIFAR-10 classifier on Lightning": CLASSIFIER,
    "autoencoder, then a classifier on few labels, on Lightning": AUTOENCODER.replace("LOGGER", LOGGER),
    "segmentation on Lightning": SEGMENTATION,
}
PLAIN = dict(zip(PROGRAMS, (CLASSIFIER_PLAIN, AUTOENCODER_PLAIN, SEGMENTATION_PLAIN), strict=True))

"""Classifier and regressor in scikit-learn's pipelines and searches, with callbacks and checkpoints."""

import copy
import os
import pickle
import tempfile

import numpy as np
import torch
from sklearn.datasets import make_classification, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
)
from skorch.dataset import ValidSplit
from skorch.helper import SliceDataset, predefined_split
from torch import nn

X, y = make_classification(400, 20, n_informative=10, random_state=0)
X, y = X.astype(np.float32), y.astype(np.int64)


class MyModule(nn.Module):
    def __init__(self, num_units=10, nonlin=nn.ReLU()):
        super().__init__()
        self.dense0 = nn.Linear(20, num_units)
        self.nonlin = nonlin
        self.dropout = nn.Dropout(0.5)
        self.dense1 = nn.Linear(num_units, num_units)
        self.output = nn.Linear(num_units, 2)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, X, **kwargs):
        X = self.dropout(self.nonlin(self.dense0(X)))
        return self.softmax(self.output(self.nonlin(self.dense1(X))))


def history(net):
    for row in net.history:
        print(*[f"{k}={v:.4f}" for k, v in sorted(row.items()) if isinstance(v, float) and k != "dur"])


torch.manual_seed(0)
net = NeuralNetClassifier(MyModule, max_epochs=5, lr=0.1, iterator_train__shuffle=True, verbose=0)
net.fit(X, y)
history(net)
print(np.round(net.predict_proba(X[:3]), 4), net.score(X, y), net)
net.partial_fit(X, y)
print(len(net.history))
torch.manual_seed(0)
pipe = Pipeline([("scale", StandardScaler()), ("net", net)])
pipe.fit(X, y)
print(np.round(pipe.predict_proba(X[:3]), 4))
torch.manual_seed(0)
net.set_params(train_split=False, verbose=0)
gs = GridSearchCV(
    net, {"lr": [0.01, 0.02], "module__num_units": [10, 20]}, refit=False, cv=3, scoring="accuracy"
)
gs.fit(X, y)
print(round(gs.best_score_, 4), gs.best_params_)
with tempfile.TemporaryDirectory() as folder:
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        MyModule, max_epochs=8, lr=0.05, optimizer=torch.optim.Adam, batch_size=32, verbose=0,
        criterion=nn.CrossEntropyLoss, train_split=ValidSplit(4, stratified=True),
        callbacks=[
            EarlyStopping(patience=3), Checkpoint(dirname=folder), GradientNormClipping(1.0),
            LRScheduler(policy="StepLR", step_size=2, gamma=0.5), EpochScoring("f1", lower_is_better=False),
            Freezer("dense0.*"),
        ],
    )  # fmt: skip
    net.fit(X, y)
    history(net)
    print(sorted(os.listdir(folder)))
    net.save_params(f_params=os.path.join(folder, "p.safetensors"), use_safetensors=True)
    other = NeuralNetClassifier(MyModule, criterion=nn.CrossEntropyLoss).initialize()
    other.load_params(checkpoint=Checkpoint(dirname=folder))
    print(np.round(other.predict_proba(X[:3]), 4))
    other.load_params(f_params=os.path.join(folder, "p.safetensors"), use_safetensors=True)
    print(np.round(other.predict_proba(X[:3]), 4))


again = pickle.loads(pickle.dumps(net))
print(
    (again.predict_proba(X) == net.predict_proba(X)).all(),
    (copy.deepcopy(net).predict(X) == net.predict(X)).all(),
)
torch.manual_seed(1)
Xr, yr = make_regression(200, 20, random_state=0, n_informative=8)
Xr, yr = Xr.astype(np.float32), (yr / 100).astype(np.float32)[:, None]
regressor = NeuralNetRegressor(
    lambda: nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 1)), max_epochs=10, lr=0.05, verbose=0
)
regressor.fit(Xr, yr)
history(regressor)
torch.manual_seed(1)
binary = NeuralNetBinaryClassifier(
    lambda: nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0)),
    max_epochs=3,
    verbose=0,
)
print(np.mean(cross_val_predict(binary, X, y.astype(np.float32), cv=3) == y).round(3))
torch.manual_seed(1)
valid = torch.utils.data.TensorDataset(torch.from_numpy(X[:50]), torch.from_numpy(y[:50]))
plain = NeuralNet(
    MyModule, nn.NLLLoss, train_split=predefined_split(valid), max_epochs=2, lr=0.02, verbose=0, compile=False,
    optimizer__momentum=0.9, optimizer__param_groups=[("dense*", {"lr": 0.01})],
)  # fmt: skip
plain.fit(X, y)
history(plain)
print(len(SliceDataset(valid)), plain.forward(X[:2]).shape, plain.get_params()["lr"])

"""Tables of layers, shapes and parameters: README's examples, a recurrent network, dictionaries, nested blocks."""

import torch
import torchvision
from torch import nn
from torchinfo import summary


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.drop = nn.Dropout2d(0.3)
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = torch.relu(torch.max_pool2d(self.conv1(x), 2))
        x = torch.relu(torch.max_pool2d(self.drop(self.conv2(x)), 2)).flatten(1)
        return torch.log_softmax(self.fc2(torch.relu(self.fc1(x))), dim=1)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 100)
        self.encoder = nn.LSTM(100, 512, num_layers=2, batch_first=True, bidirectional=True)
        self.decoder = nn.Linear(1024, 7)

    def forward(self, tokens, lengths=None):
        return self.decoder(self.encoder(self.embedding(tokens))[0])


columns = ["input_size", "output_size", "num_params", "kernel_size", "mult_adds", "trainable"]
print(summary(Net(), input_size=(64, 1, 28, 28), col_names=columns, verbose=0))
print(summary(Net(), (1, 28, 28), batch_dim=0, row_settings=["var_names", "depth"], col_width=16, verbose=0))
print(
    summary(
        Tagger(), (1, 100), dtypes=[torch.long], verbose=2, col_names=columns[:4], row_settings=["var_names"]
    )
)
print(summary(torchvision.models.resnet18(), (1, 3, 64, 64), depth=3, col_names=columns, verbose=0))
print(summary(nn.Transformer(16, 2, 1, 1, 32, batch_first=True), [(2, 5, 16), (2, 4, 16)], verbose=0))
print(summary(nn.MultiheadAttention(8, 2), input_data=[torch.ones(3, 2, 8)] * 3, verbose=0))
frozen = Net().requires_grad_(False)
print(summary(frozen, input_data={"x": torch.zeros(1, 1, 28, 28)}, device="cpu", mode="train", verbose=0))
stats = summary(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), verbose=0)
print(stats, stats.total_params, stats.total_mult_adds)

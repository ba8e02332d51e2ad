"""Keras-like summaries of a convolutional network, of a model with two inputs, and of VGG."""

import torch
import torch.nn.functional as F
from torch import nn
from torchsummary import summary
from torchvision import models


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.conv2_drop = nn.Dropout2d()
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = F.relu(self.fc1(x.view(-1, 320)))
        return F.log_softmax(self.fc2(F.dropout(x, training=self.training)), dim=1)


class SimpleConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 1, kernel_size=3, stride=1, padding=1), nn.ReLU())

    def forward(self, x, y):
        return self.features(x), self.features(y)


device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
summary(Net().to(device), (1, 28, 28), device="cpu")
summary(SimpleConv().to(device), [(1, 16, 16), (1, 28, 28)], device=device.type)
summary(models.vgg11(), (3, 64, 64), device="cpu", batch_size=4)
summary(models.resnet18(), (3, 64, 64), device="cpu")

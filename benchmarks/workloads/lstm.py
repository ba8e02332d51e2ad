"""LSTM 64-128 over 50 steps, batch 32, and a linear layer on the last output: training with SGD."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn

    class Classifier(nn.Module):
        """The last output of an LSTM, classified."""

        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(64, 128)
            self.head = nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.lstm(x)[0][-1])

    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return training_step(torch, model, optimizer, torch.randn(50, 32, 64), torch.randint(0, 10, (32,)))

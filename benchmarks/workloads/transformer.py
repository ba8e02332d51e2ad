"""Transformer encoder of two layers, d_model 128, 8 heads, T 64, batch 16, dropout 0.1, Adam."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(128, 8, 256, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2)
            self.head = nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.encoder(x).mean(1))

    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training_step(torch, model, optimizer, torch.randn(16, 64, 128), torch.randint(0, 10, (16,)))

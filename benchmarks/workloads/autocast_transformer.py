"""A Transformer encoder layer, d_model 128, 8 heads, T 64, batch 16, trained in bfloat16 under autocast, Adam."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(128, 8, 256, batch_first=True)
            self.head = nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.encoder(x).mean(1))

    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(16, 64, 128), torch.randint(0, 10, (16,))
    return training_step(torch, model, optimizer, x, y, low=torch.bfloat16)

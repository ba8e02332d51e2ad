"""Small U-Net on 96x96 pictures, batch 4, Adam: one step up by transposed convolution, one by bilinear upsampling."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn

    def double(inside, outside):
        return nn.Sequential(
            nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
            nn.Conv2d(outside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
        )  # fmt: skip

    class UNet(nn.Module):
        """Two levels down, two up, with the skips concatenated."""

        def __init__(self):
            super().__init__()
            self.top, self.middle, self.bottom = double(3, 16), double(16, 32), double(32, 64)
            self.pool = nn.MaxPool2d(2)
            self.transposed = nn.ConvTranspose2d(64, 32, 2, stride=2)
            self.up1 = double(64, 32)
            self.bilinear = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            self.up2 = double(48, 16)
            self.head = nn.Conv2d(16, 5, 1)

        def forward(self, x):
            top = self.top(x)
            middle = self.middle(self.pool(top))
            bottom = self.bottom(self.pool(middle))
            x = self.up1(torch.cat([self.transposed(bottom), middle], 1))
            x = self.up2(torch.cat([self.bilinear(x), top], 1))
            return self.head(x)

    model = UNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training_step(torch, model, optimizer, torch.randn(4, 3, 96, 96), torch.randint(0, 5, (4, 96, 96)))

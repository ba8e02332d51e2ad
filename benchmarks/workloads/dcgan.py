"""One DCGAN step (discriminator on real and generated pictures, then generator) on 32x32 pictures, batch 32, Adam."""

from training import compiled


def build(torch):
    """The step of both networks."""
    nn = torch.nn
    generator = nn.Sequential(
        nn.ConvTranspose2d(64, 128, 4, 1, 0, bias=False), nn.BatchNorm2d(128), nn.ReLU(True),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
        nn.ConvTranspose2d(32, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(128, 1, 4, 1, 0, bias=False), nn.Sigmoid(),
    )  # fmt: skip
    criterion = nn.BCELoss()
    of_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    of_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    real = torch.rand(32, 3, 32, 32) * 2 - 1
    ones, zeros = torch.ones(32), torch.zeros(32)
    generate = compiled(torch, generator)
    judge = compiled(torch, lambda x, y: criterion(discriminator(x).view(-1), y))

    def step():
        of_d.zero_grad()
        judge(real, ones).backward()
        fake = generate(torch.randn(32, 64, 1, 1))
        judge(fake.detach(), zeros).backward()
        of_d.step()
        of_g.zero_grad()
        loss = judge(fake, ones)
        loss.backward()
        of_g.step()
        return loss.item()

    return step

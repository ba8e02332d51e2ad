"""Character models: a plain recurrent network, an LSTM and a GRU learn to write, one letter at a time.

    python examples/characters.py
    python examples/characters.py --text FILE

Real data: the documentation of this repository, or a text of yours. Reports the bits per character of each network on the
last tenth of the text, beside those of the letters' frequencies alone, and prints what the GRU writes.
"""

import math
import pathlib

from common import options

import rushlight as torch
from rushlight import nn

ROOT = pathlib.Path(__file__).parents[1]
TEXTS = ("README.md", "docs/layout.md", "docs/adding_an_op.md", "docs/dependencies.md", "docs/errors.md")


class Writer(nn.Module):
    """Letters to vectors, a recurrent layer, scores of the next letter."""

    def __init__(self, layer, letters: int, size: int):
        super().__init__()
        self.embedding = nn.Embedding(letters, 32)
        self.layer = layer(32, size, batch_first=True)
        self.head = nn.Linear(size, letters)

    def forward(self, x, state=None):
        """Scores (N, L, letters) and the state after the last letter."""
        out, state = self.layer(self.embedding(x), state)
        return self.head(out), state


def train(model, codes, steps: int, batch: int, length: int) -> None:
    """Adam on pieces of the text that are cut out at random; gradients are clipped."""
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        starts = torch.randint(len(codes) - length, (batch, 1))
        pieces = codes[starts + torch.arange(length + 1)]
        scores, _ = model(pieces[:, :-1])
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), pieces[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


@torch.no_grad()
def bits(model, codes) -> float:
    """Bits per character of a text."""
    scores, _ = model(codes[None, :-1])
    return nn.functional.cross_entropy(scores[0], codes[1:]).item() / math.log(2)


@torch.no_grad()
def write(model, letters: str, start: str, count: int) -> str:
    """A text that goes on from a start."""
    text, state, x = start, None, torch.tensor([[letters.index(c) for c in start]])
    for _ in range(count):
        scores, state = model(x, state)
        x = torch.multinomial(torch.softmax(scores[:, -1] / 0.7, 1), 1)
        text += letters[x.item()]
    return text


def main() -> None:
    """Train three networks on the same text."""
    quick = {"steps": 15, "size": 32, "length": 30}
    args = options(__doc__, quick, text="", steps=500, size=128, batch=32, length=60)
    files = [pathlib.Path(args.text)] if args.text else [ROOT / name for name in TEXTS]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    letters = "".join(sorted(set(text)))
    codes = torch.tensor([letters.index(c) for c in text])
    cut = len(codes) * 9 // 10
    shares = torch.bincount(codes[:cut], minlength=len(letters)).add(1.0).div(cut + len(letters))
    report = [f"frequencies {-shares[codes[cut:]].log2().mean():.2f}"]
    for layer in (nn.RNN, nn.LSTM, nn.GRU):
        model = Writer(layer, len(letters), args.size)
        train(model, codes[:cut], args.steps, args.batch, args.length)
        report.append(f"{layer.__name__} {bits(model, codes[cut:]):.2f}")
    print(write(model, letters, "The ", 200))
    print(f"bits per character of {len(codes) - cut} held-out characters: {', '.join(report)}")


if __name__ == "__main__":
    main()

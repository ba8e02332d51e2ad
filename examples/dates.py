"""A Transformer rewrites dates: "Sat 21 Nov 2026", "21/11/26" or "November 21, 2026" become 2026-11-21.

    python examples/dates.py

Synthetic data: the example writes random days from 1970 to 2069 in six ways. Reports the share of held-out days whose whole
answer, written letter by letter, is right.

Source: A. Vaswani et al., "Attention is all you need", 2017.
"""

import datetime
import math
import random

from common import options

import rushlight as torch
from rushlight import nn

WAYS = ("%a %d %b %Y", "%d/%m/%y", "%B %d, %Y", "%d.%m.%Y", "%d %B %y", "%A, %b %d %Y")
LETTERS = "_^0123456789-/., " + "abcdefghijklmnopqrstuvwxyz"  # _ fills up, ^ starts an answer
LONGEST, ANSWER = 28, 10


def encode(text: str, length: int) -> list[int]:
    """Numbers of the letters, filled up to a length."""
    return [LETTERS.index(c) for c in text.lower().ljust(length, "_")]


def written(days: list[datetime.date], rng: random.Random):
    """Questions [N, LONGEST] and answers [N, 1 + ANSWER]."""
    questions = [encode(day.strftime(rng.choice(WAYS)), LONGEST) for day in days]
    return torch.tensor(questions), torch.tensor([encode("^" + day.isoformat(), 1 + ANSWER) for day in days])


class Rewriter(nn.Module):
    """Encoder and decoder over letters and their places."""

    def __init__(self, size: int, layers: int):
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), size)
        self.transformer = nn.Transformer(
            size, 4, layers, layers, dim_feedforward=4 * size, dropout=0.0, batch_first=True
        )
        self.head = nn.Linear(size, len(LETTERS))
        waves = torch.arange(LONGEST)[:, None] * torch.exp(-math.log(1e4) * torch.arange(0, size, 2) / size)
        self.register_buffer("places", torch.stack([waves.sin(), waves.cos()], 2).flatten(1))

    def forward(self, question, answer):
        """Scores (N, L, letters) of the letter after each one of the answer."""
        embed = lambda x: self.embedding(x) + self.places[: x.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(answer.shape[1])
        return self.head(self.transformer(embed(question), embed(answer), tgt_mask=mask, tgt_is_causal=True))


@torch.no_grad()
def rewrite(model, questions):
    """Answers, each letter the likeliest after those before."""
    answers = torch.full((len(questions), 1), LETTERS.index("^"))
    for _ in range(ANSWER):
        answers = torch.cat([answers, model(questions, answers)[:, -1:].argmax(2)], 1)
    return answers


def main() -> None:
    """Write dates, train, test."""
    args = options(__doc__, {"steps": 5, "size": 16}, steps=800, size=64, layers=2, batch=64)
    rng = random.Random(args.seed)
    start = datetime.date(1970, 1, 1)
    days = [start + datetime.timedelta(n) for n in range(100 * 365 + 25)]
    rng.shuffle(days)
    held_out, days = days[:500], days[500:]
    model = Rewriter(args.size, args.layers)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, args.steps, pct_start=0.1)
    for step in range(args.steps):
        questions, answers = written(rng.choices(days, k=args.batch), rng)
        scores = model(questions, answers[:, :-1])
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), answers[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"step {step}: loss {loss.item():.3f}")
    model.eval()
    questions, answers = written(held_out, rng)
    found = rewrite(model, questions)
    spell = lambda codes: "".join(LETTERS[c] for c in codes.tolist()).strip("_^")
    for i in range(3):
        print(f"{spell(questions[i])} -> {spell(found[i])}")
    print(
        f"{(found == answers).all(1).float().mean():.1%} of {len(held_out)} held-out days are rewritten right"
    )


if __name__ == "__main__":
    main()

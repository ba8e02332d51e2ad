"""Linear and logistic regression: the price of a house, and whether it is a dear one.

    python examples/regression.py

Synthetic data: the example draws houses and writes them to out/houses.csv. It reports R² of the prices and the accuracy of
"dearer than the median" on houses that were held out, and how far its weights are from those of least squares.
"""

import csv

from common import options

import rushlight as torch
from rushlight import nn

COLUMNS = ("area", "rooms", "age", "distance", "price")


def write_houses(path, count: int) -> None:
    """Houses whose price grows with area and rooms and falls with age and distance, with noise."""
    area, rooms = 40 + 160 * torch.rand(count), torch.randint(1, 8, (count,)).float()
    age, distance = 80 * torch.rand(count), 30 * torch.rand(count)
    price = 20 + 2.5 * area + 12 * rooms - 0.9 * age - 4 * distance + 20 * torch.randn(count)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(torch.stack([area, rooms, age, distance, price], 1).tolist())


def read_houses(path):
    """Features [N, 4] and prices [N, 1], each column with mean 0 and deviation 1."""
    with open(path) as file:
        table = torch.tensor([[float(row[name]) for name in COLUMNS] for row in csv.DictReader(file)])
    table = (table - table.mean(0)) / table.std(0)
    return table[:, :4], table[:, 4:]


def fit(model, criterion, x, y, steps: int) -> None:
    """Gradient descent on all houses at once."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(steps):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main() -> None:
    """Draw, read, fit both, report."""
    args = options(__doc__, {"houses": 200, "steps": 60}, houses=2000, steps=400)
    write_houses(args.out / "houses.csv", args.houses)
    x, y = read_houses(args.out / "houses.csv")
    cut = len(x) * 4 // 5

    line = nn.Linear(4, 1)
    fit(line, nn.MSELoss(), x[:cut], y[:cut], args.steps)
    exact = torch.linalg.lstsq(torch.cat([x[:cut], torch.ones(cut, 1)], 1), y[:cut]).solution
    off = (torch.cat([line.weight[0], line.bias]) - exact[:, 0]).abs().max()
    with torch.no_grad():
        r2 = 1 - (line(x[cut:]) - y[cut:]).pow(2).mean() / y[cut:].var(correction=0)

    dear = (y > y[:cut].median()).float()
    logistic = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
    fit(logistic, nn.BCELoss(), x[:cut], dear[:cut], args.steps)
    right = ((logistic(x[cut:]) > 0.5) == dear[cut:].bool()).float().mean()
    print(
        f"R2 {r2:.3f}, dear or not {right:.1%} of {len(x) - cut} held-out houses; "
        f"weights within {off:.1e} of least squares"
    )


if __name__ == "__main__":
    main()

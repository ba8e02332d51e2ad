"""Learning-rate schedules against PyTorch's, epoch by epoch and exactly."""

import math
import warnings

import pytest

import rushlight as rl
from rushlight.optim import lr_scheduler

torch = pytest.importorskip("torch")

CASES = {
    "StepLR": [{"step_size": 3}, {"step_size": 2, "gamma": 0.5}],
    "MultiStepLR": [{"milestones": [2, 5, 5, 8], "gamma": 0.3}],
    "ConstantLR": [{}, {"factor": 0.5, "total_iters": 3}],
    "LinearLR": [{}, {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 6}],
    "ExponentialLR": [{"gamma": 0.9}],
    "PolynomialLR": [{}, {"total_iters": 7, "power": 2.0}],
    "CosineAnnealingLR": [{"T_max": 5}, {"T_max": 4, "eta_min": 0.01}, {"T_max": 30}],
    "CosineAnnealingWarmRestarts": [{"T_0": 3}, {"T_0": 2, "T_mult": 2, "eta_min": 0.01}],
    "LambdaLR": [{"lr_lambda": lambda e: 0.9**e}, {"lr_lambda": [lambda e: 1 / (1 + e), lambda e: e]}],
    "MultiplicativeLR": [{"lr_lambda": lambda e: 0.8}],
    "OneCycleLR": [
        {"max_lr": 0.5, "total_steps": 14},
        {"max_lr": [0.5, 0.2], "epochs": 5, "steps_per_epoch": 4, "anneal_strategy": "linear"},
        {"max_lr": 0.5, "total_steps": 20, "three_phase": True, "pct_start": 0.4, "div_factor": 10},
    ],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3},
        {
            "base_lr": [0.01, 0.02],
            "max_lr": [0.1, 0.3],
            "step_size_up": 2,
            "step_size_down": 5,
            "mode": "triangular2",
        },
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4, "mode": "exp_range", "gamma": 0.9},
        {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 3,
            "scale_fn": lambda x: 0.5**x,
            "cycle_momentum": False,
        },
        {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 3,
            "scale_fn": lambda x: 0.9**x,
            "scale_mode": "iterations",
        },
    ],
    "SWALR": [
        {"swa_lr": 0.05},
        {"swa_lr": [0.5, 0.01], "anneal_epochs": 4, "anneal_strategy": "linear"},
        {"swa_lr": 0.05, "anneal_epochs": 0},
    ],
}
TOTAL = {"OneCycleLR"}  # these end
ROWS = [(name, options) for name, rows in CASES.items() for options in rows]


def optimizer(lib, kind="SGD", **options):
    a, b = (lib.ones(1, requires_grad=True) for _ in range(2))
    return getattr(lib.optim, kind)([{"params": [a]}, {"params": [b], "lr": 0.3}], lr=0.1, **options)


def make(lib, name, options, opt, **more):
    home = lib.optim.swa_utils if name == "SWALR" else lib.optim.lr_scheduler
    return getattr(home, name)(opt, **options, **more)


def trace(lib, name, options, kind):
    opt = optimizer(lib, kind, **({"momentum": 0.5} if kind == "SGD" else {}))
    scheduler = make(lib, name, options, opt)
    rows = []
    for _ in range(12 if name in TOTAL else 40):
        group = opt.param_groups[0]
        momentum = group["momentum"] if kind == "SGD" else group["betas"]
        rows.append((scheduler.get_last_lr(), [g["lr"] for g in opt.param_groups], momentum))
        opt.step()
        scheduler.step()
    return rows


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), ROWS)
def test_rates(name, options, kind):
    assert trace(rl, name, options, kind) == trace(torch, name, options, kind)


@pytest.mark.parametrize(("name", "options"), ROWS)
def test_changes_by_hand_are_followed(name, options):
    def rates(lib):
        opt = optimizer(lib, momentum=0.5)
        scheduler = make(lib, name, options, opt)
        for epoch in range(6):
            opt.step()
            if epoch == 3:
                opt.param_groups[0]["lr"] = 0.7
            scheduler.step()
        return [g["lr"] for g in opt.param_groups]

    assert rates(rl) == rates(torch)


@pytest.mark.parametrize(("name", "options"), ROWS)
def test_resuming(name, options):
    """A schedule saved in the middle and loaded into a new one goes on the same; PyTorch's state has the same
    keys."""
    opt = optimizer(rl, momentum=0.5)
    scheduler = make(rl, name, options, opt)
    for _ in range(4):
        opt.step()
        scheduler.step()
    other = optimizer(rl, momentum=0.5)
    resumed = make(rl, name, options, other)
    resumed.load_state_dict(scheduler.state_dict())
    other.load_state_dict(opt.state_dict())
    for _ in range(6):
        for o, s in ((opt, scheduler), (other, resumed)):
            o.step()
            s.step()
        assert scheduler.get_last_lr() == resumed.get_last_lr()
    theirs = make(torch, name, options, optimizer(torch, momentum=0.5))
    assert set(scheduler.state_dict()) == set(theirs.state_dict())


@pytest.mark.parametrize(("name", "options"), ROWS)
def test_last_epoch(name, options):
    def rates(lib):
        opt = optimizer(lib, momentum=0.5)
        make(lib, name, options, opt)
        scheduler = make(lib, name, options, opt, last_epoch=2)
        opt.step()
        scheduler.step()
        return scheduler.get_last_lr(), scheduler.last_epoch

    assert rates(rl) == rates(torch)


@pytest.mark.parametrize(("name", "options"), ROWS)
def test_step_to_an_epoch(name, options):
    def rates(lib):
        opt = optimizer(lib, momentum=0.5)
        scheduler = make(lib, name, options, opt)
        opt.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler.step(4)
        return scheduler.get_last_lr()

    assert rates(rl) == rates(torch)


PLATEAU = [
    {},
    {"mode": "max", "patience": 1, "factor": 0.5},
    {"patience": 0, "cooldown": 2, "min_lr": 0.05},
    {"patience": 1, "threshold": 0.2, "threshold_mode": "abs", "min_lr": [0.01, 0.2]},
    {"mode": "max", "threshold": 0.1, "threshold_mode": "abs", "patience": 2},
]


@pytest.mark.parametrize("options", PLATEAU)
def test_plateau(options):
    values = [1.0, 0.9, 0.95, 0.95, 0.94, 0.5, 0.6, 0.6, 0.6, math.nan, 0.6, 0.4999, 0.7, 0.8] * 2

    def rates(lib):
        opt = optimizer(lib)
        scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(opt, **options)
        found = []
        for i, value in enumerate(values):
            opt.step()
            scheduler.step(lib.tensor(value) if i % 2 else value)
            found.append((scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.in_cooldown))
        return found, {k: v for k, v in scheduler.state_dict().items() if k != "best"}

    assert rates(rl) == rates(torch)


def test_plateau_state():
    opt = optimizer(rl)
    first = lr_scheduler.ReduceLROnPlateau(opt, "max", patience=0)
    first.step(1.0)
    second = lr_scheduler.ReduceLROnPlateau(opt)
    second.load_state_dict(first.state_dict())
    assert second.mode == "max" and second.best == 1.0


def compound(lib, kind):
    s = lib.optim.lr_scheduler
    opt = optimizer(lib)
    parts = [s.LinearLR(opt, total_iters=3), s.ExponentialLR(opt, 0.9), s.StepLR(opt, 2)]
    if kind == "sequential":
        return opt, s.SequentialLR(opt, parts, milestones=[3, 7])
    if kind == "nested":
        inner = s.SequentialLR(opt, parts[:2], milestones=[4])
        return opt, s.SequentialLR(opt, [inner, parts[2]], milestones=[6])
    return opt, s.ChainedScheduler(parts[:2])


@pytest.mark.filterwarnings("ignore:Detected call")  # PyTorch too warns about the nested one
@pytest.mark.parametrize("kind", ["sequential", "nested", "chained"])
def test_compound(kind):
    def rates(lib):
        opt, scheduler = compound(lib, kind)
        found = []
        for epoch in range(12):
            found.append(scheduler.get_last_lr())
            opt.step()
            scheduler.step()
            if epoch == 5:
                saved, optimum = scheduler.state_dict(), opt.state_dict()
                opt, scheduler = compound(lib, kind)
                scheduler.load_state_dict(saved)
                opt.load_state_dict(optimum)
                opt.step()
        return found

    assert rates(rl) == rates(torch)


def test_tensor_rate_is_changed_in_place():
    lr = rl.tensor(0.1)
    opt = rl.optim.SGD([rl.ones(1)], lr=lr)
    scheduler = lr_scheduler.ExponentialLR(opt, 0.5)
    opt.step()
    scheduler.step()
    assert opt.param_groups[0]["lr"] is lr and lr.item() == pytest.approx(0.05)


def test_warnings():
    opt = optimizer(rl)
    scheduler = lr_scheduler.StepLR(opt, 1)
    with pytest.warns(UserWarning, match=r"before `optimizer\.step\(\)`"):
        scheduler.step()
    with pytest.warns(UserWarning, match=r"get_last_lr\(\)"):
        scheduler.get_lr()
    opt.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(3)
    opt = optimizer(rl)
    scheduler = lr_scheduler.StepLR(opt, 1)
    opt.step = lambda: None
    with pytest.warns(UserWarning, match="has been overridden"):
        scheduler.step()


def wrong(lib):
    s, opt = lib.optim.lr_scheduler, optimizer(lib)
    plain = lib.optim.SGD([lib.ones(1)])
    step = s.StepLR(opt, 1)
    return {
        "optimizer": lambda: s.StepLR(3, 1),
        "resume": lambda: s.StepLR(plain, 1, last_epoch=3),
        "lambdas": lambda: s.LambdaLR(opt, [lambda e: e]),
        "lambda": lambda: s.MultiplicativeLR(opt, 3),
        "factor": lambda: s.ConstantLR(opt, factor=2),
        "start": lambda: s.LinearLR(opt, start_factor=0),
        "end": lambda: s.LinearLR(opt, end_factor=2),
        "plateau factor": lambda: s.ReduceLROnPlateau(opt, factor=1.0),
        "plateau mode": lambda: s.ReduceLROnPlateau(opt, mode="low"),
        "plateau threshold": lambda: s.ReduceLROnPlateau(opt, threshold_mode="x"),
        "plateau min": lambda: s.ReduceLROnPlateau(opt, min_lr=[1]),
        "T_0": lambda: s.CosineAnnealingWarmRestarts(opt, T_0=0),
        "T_mult": lambda: s.CosineAnnealingWarmRestarts(opt, T_0=1, T_mult=0.5),
        "negative epoch": lambda: s.CosineAnnealingWarmRestarts(opt, T_0=1).step(-1),
        "no length": lambda: s.OneCycleLR(opt, 0.1, epochs=2),
        "length": lambda: s.OneCycleLR(opt, 0.1, total_steps=0),
        "epochs": lambda: s.OneCycleLR(opt, 0.1, epochs=1.5, steps_per_epoch=1),
        "share": lambda: s.OneCycleLR(opt, 0.1, total_steps=5, pct_start=1.5),
        "strategy": lambda: s.OneCycleLR(opt, 0.1, total_steps=5, anneal_strategy="x"),
        "rates": lambda: s.OneCycleLR(opt, [0.1], total_steps=5),
        "sequence": lambda: s.SequentialLR(opt, [], []),
        "milestones": lambda: s.SequentialLR(opt, [step], [1]),
        "other optimizer": lambda: s.SequentialLR(opt, [step, s.StepLR(plain, 1)], [1]),
        "plateau in sequence": lambda: s.SequentialLR(opt, [s.ReduceLROnPlateau(opt)], []),
        "chain": lambda: s.ChainedScheduler([]),
        "cyclic mode": lambda: s.CyclicLR(opt, 0.1, 0.2, mode="x"),
        "cyclic momentum": lambda: s.CyclicLR(lib.optim.Adagrad([lib.ones(1)]), 0.1, 0.2),
        "cyclic rates": lambda: s.CyclicLR(opt, [0.1], 0.2),
        "swa strategy": lambda: lib.optim.swa_utils.SWALR(opt, 0.1, anneal_strategy="x"),
        "swa epochs": lambda: lib.optim.swa_utils.SWALR(opt, 0.1, anneal_epochs=-1),
        "abstract": lambda: s.LRScheduler(opt),
    }


@pytest.mark.parametrize("case", wrong(rl))
def test_errors(case):
    with pytest.raises(Exception) as theirs:
        wrong(torch)[case]()
    with pytest.raises(type(theirs.value)):
        wrong(rl)[case]()


def test_one_cycle_ends():
    def steps(lib):
        opt = optimizer(lib, momentum=0.5)
        scheduler = lib.optim.lr_scheduler.OneCycleLR(opt, 0.1, total_steps=3)
        for i in range(9):
            opt.step()
            try:
                scheduler.step()
            except ValueError as error:
                return i, str(error)

    assert steps(rl) == steps(torch)


def test_saved_function_object_of_cyclic_lr():
    class Scale:
        power = 1

        def __call__(self, x):
            return self.power / x

    first, second = Scale(), Scale()
    first.power = 3
    options = {"base_lr": 0.1, "max_lr": 0.2, "step_size_up": 2, "cycle_momentum": False}
    saved = lr_scheduler.CyclicLR(optimizer(rl), scale_fn=first, **options).state_dict()
    lr_scheduler.CyclicLR(optimizer(rl), scale_fn=second, **options).load_state_dict(saved)
    assert second.power == 3


def test_old_name():
    assert issubclass(lr_scheduler._LRScheduler, lr_scheduler.LRScheduler)

"""The memory that arrays take: counted, recycled, and given back."""

import pytest

import rushlight
from rushlight import kernels

pytestmark = pytest.mark.skipif(kernels.NAME != "native", reason="the reference kernels have no pool")


def test_counters():
    cpu = rushlight.cpu
    cpu.empty_cache()
    before = cpu.memory_allocated()
    cpu.reset_peak_memory_stats()
    x = rushlight.zeros(1_000_000)
    assert cpu.memory_allocated() >= before + 4_000_000
    del x
    assert cpu.memory_allocated() < before + 1_000_000
    assert cpu.max_memory_allocated() >= before + 4_000_000
    assert cpu.memory_stats()["cached_bytes"] >= 4_000_000
    cpu.empty_cache()
    assert cpu.memory_stats()["cached_bytes"] < 4_000_000


def test_a_training_loop_recycles_its_memory():
    """After the first steps, no step asks the system for memory."""
    model = rushlight.nn.Sequential(
        rushlight.nn.Conv2d(1, 4, 3), rushlight.nn.ReLU(), rushlight.nn.Flatten(), rushlight.nn.Linear(144, 3)
    )
    optimizer = rushlight.optim.Adam(model.parameters())
    x, y = rushlight.randn(8, 1, 8, 8), rushlight.randint(0, 3, (8,))

    def step():
        optimizer.zero_grad()
        rushlight.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    for _ in range(5):
        step()
    before = rushlight.cpu.memory_stats()["system_allocations"]
    peak = rushlight.cpu.max_memory_allocated()
    for _ in range(20):
        step()
    assert rushlight.cpu.memory_stats()["system_allocations"] - before <= 2
    assert rushlight.cpu.max_memory_allocated() == pytest.approx(peak, rel=0.05)

"""Bytes: what the tables say is counted on real tensors, what is saved is what autograd keeps."""

import copy

import pytest
import torch
from torch import nn

from halfbits.memory import (
    Saved,
    activation_bytes_of,
    parameter_bytes,
    parameter_table,
    saved_bytes,
    saved_tensors,
    training_bytes,
)
from halfbits.models import mlp

AUTOCAST = {"device_type": "cpu", "dtype": torch.bfloat16}
OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "SGD with momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "Adam": torch.optim.Adam,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Nets this small wait for threads more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def one_step(mode: str, optimizer: str) -> tuple[int, ...]:
    """Train one step in a mode and count what is kept, in bytes for one parameter."""
    make, model = OPTIMIZERS[optimizer], mlp(8, 8, 4)
    count = sum(p.numel() for p in model.parameters())
    x, master, owner = torch.ones(2, 8), [], model
    if "16 bit" in mode:
        owner = copy.deepcopy(model)
        model.bfloat16()
        master = list(owner.parameters()) if "master" in mode else []
        x = x.bfloat16()
    updated = make(master or model.parameters())
    with torch.autocast(**AUTOCAST, enabled=mode == "torch AMP"):
        loss = model(x).float().square().mean()
    loss.backward()
    for p, weight in zip(model.parameters(), master, strict=False):
        weight.grad = p.grad.float()
    updated.step()
    kept = training_bytes(model, updated, master)
    if mode == "16 bit, fp32 master and gradients":  # they are what is kept, the 16-bit ones go
        kept = kept._replace(gradients=sum(w.grad.nbytes for w in master))
    return tuple(size / count for size in kept)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("mode", parameter_table()["modes"])
def test_the_table_is_what_training_keeps(mode, optimizer):
    assert one_step(mode, optimizer) == parameter_bytes(mode, optimizer)


@pytest.mark.parametrize(
    ("mode", "optimizer", "total"),
    [
        ("fp32", "Adam", 16),
        ("torch AMP", "Adam", 16),
        ("16 bit, fp32 master", "Adam", 16),
        ("16 bit, fp32 master and gradients", "Adam", 18),
        ("pure 16 bit", "Adam", 8),
        ("fp32", "SGD", 8),
        ("fp32", "SGD with momentum", 12),
        ("pure 16 bit", "SGD", 4),
    ],
)
def test_totals(mode, optimizer, total):
    assert parameter_bytes(mode, optimizer).total == total


def test_unknown_modes_and_optimizers_are_named():
    with pytest.raises(ValueError, match="no 'fp8'; choose one of: fp32; torch AMP"):
        parameter_bytes("fp8")
    with pytest.raises(ValueError, match="no 'Lion'; choose one of: SGD; "):
        parameter_bytes("fp32", "Lion")


# What is saved for backward.


def square_mlp(width: int, depth: int, activation: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        *(layer for _ in range(depth) for layer in (nn.Linear(width, width), activation()))
    )


@pytest.mark.parametrize("activation", [nn.GELU, nn.ReLU])
@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize(("batch", "width"), [(1, 32), (64, 32), (7, 128)])
def test_the_formula_is_what_autograd_keeps(batch, width, depth, activation):
    model, x = square_mlp(width, depth, activation), torch.randn(batch, width)
    expected = activation_bytes_of(batch, width, depth, activation.__name__)
    assert saved_bytes(model, x) == expected["fp32"]
    assert saved_bytes(model, x, torch.autocast(**AUTOCAST)) == expected["autocast"]


def test_small_batches_save_more_under_autocast():
    model = square_mlp(256, 5, nn.GELU)
    sizes = [
        [saved_bytes(model, torch.randn(batch, 256), context) for context in (None, autocast)]
        for batch, autocast in (
            (64, torch.autocast(**AUTOCAST)),
            (1024, torch.autocast(**AUTOCAST)),
        )
    ]
    assert sizes == [[655_360, 851_968], [10_485_760, 5_767_168]]


def test_parameters_are_not_counted_and_weight_casts_are():
    model, x = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4)), torch.randn(3, 8)
    assert saved_tensors(model, x) == [Saved((3, 8), torch.float32, 96)] * 2
    low = saved_tensors(model, x, torch.autocast(**AUTOCAST))
    assert sorted(each.bytes for each in low) == [48, 48, 64]
    assert {each.dtype for each in low} == {torch.bfloat16}


def test_views_count_once_and_nothing_is_saved_without_gradients():
    class Twice(nn.Module):
        def forward(self, x):
            return (x[:2].exp() * x[2:].sin()).sum() + (x.T @ x).sum()

    x = torch.randn(4, 6, requires_grad=True)
    base = x.untyped_storage().nbytes()
    assert saved_bytes(Twice(), x) == base + 2 * 48  # x itself, exp(…) and sin(…)
    assert saved_bytes(Twice(), x, torch.no_grad()) == 0


def test_the_model_is_left_as_it_was():
    model, x = square_mlp(16, 2, nn.ReLU), torch.randn(2, 16)
    saved_bytes(model, x)
    loss = model(x).sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_other_activations_are_refused():
    with pytest.raises(ValueError, match="GELU or ReLU, not 'tanh'"):
        activation_bytes_of(1, 1, 1, "tanh")

"""The course's data, networks and training loop."""

import hashlib
import math
from pathlib import Path

import pytest
import torch

import halfbits
from halfbits.data_sets import batches, decode_name, encode_names, load_digits, load_names
from halfbits.models import SmallGPT, mlp, name_loss
from halfbits.training import accuracy, train

DATA = Path(halfbits.__file__).parent / "data"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Nets this small wait for threads more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Data.


def test_digits_are_scikit_learns():
    content = (DATA / "digits.csv.gz").read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith("09f66e6d")
    data = load_digits()
    assert data.train_x.shape == (1437, 64) and data.test_x.shape == (360, 64)
    assert data.train_x.dtype == torch.float32 and data.train_y.dtype == torch.int64
    every = torch.cat([data.train_x, data.test_x])
    assert every.min() == 0 and every.max() == 1
    assert torch.equal(every * 16, (every * 16).round())
    counts = torch.cat([data.train_y, data.test_y]).bincount()
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert torch.unique(every, dim=0).shape == (1797, 64), "no digit is in both parts"


def test_names_are_real_and_small():
    names = load_names()
    assert len(names) == len(set(names)) == 5163 and list(names) == sorted(names)
    assert {"mary", "james", "linda"} <= set(names)
    assert (DATA / "names.txt").stat().st_size < 100_000


def test_every_data_file_has_its_source():
    sources = (DATA / "SOURCES.md").read_text(encoding="utf-8")
    for file in DATA.iterdir():
        assert file.name == "SOURCES.md" or f"`{file.name}`" in sources


def test_names_become_tokens_and_come_back():
    rows = encode_names(["abc", "zoe", "al"])
    assert rows.tolist() == [[0, 1, 2, 3, 0], [0, 26, 15, 5, 0], [0, 1, 12, 0, 0]]
    assert [decode_name(row) for row in rows] == ["abc", "zoe", "al"]
    with pytest.raises(ValueError, match="a to z only, not 'Zoë'"):
        encode_names(["Zoë"])


def test_batches_hold_each_row_once_an_epoch_and_repeat_with_the_seed():
    x = torch.arange(10)
    drawn = [rows for (rows,) in batches(x, size=3, steps=6, seed=1)]
    assert len(drawn) == 6 and all(len(rows) == 3 for rows in drawn)
    for epoch in (drawn[:3], drawn[3:]):
        assert len(torch.cat(epoch).unique()) == 9
    again = [rows for (rows,) in batches(x, size=3, steps=6, seed=1)]
    assert all(map(torch.equal, drawn, again))
    pair = next(batches(x, -x, size=4))
    assert torch.equal(pair[0], -pair[1])


@pytest.mark.parametrize(
    ("tensors", "size", "sentence"),
    [
        ((torch.ones(3), torch.ones(4)), 2, "different lengths"),
        ((torch.ones(3),), 4, "from 1 to 3, not 4"),
    ],
)
def test_bad_batches_are_refused_at_once(tensors, size, sentence):
    with pytest.raises(ValueError, match=sentence):
        batches(*tensors, size=size)


# Networks.


def test_mlp_has_the_widths():
    model = mlp(64, 32, 10, activation=torch.nn.GELU)
    assert [type(layer).__name__ for layer in model] == ["Linear", "GELU", "Linear"]
    assert model(torch.ones(2, 64)).shape == (2, 10)
    with pytest.raises(ValueError, match="at least the widths"):
        mlp(64)


def test_gpt_looks_back_only():
    torch.manual_seed(0)
    model = SmallGPT()
    tokens = torch.randint(27, (2, 10))
    changed = tokens.clone()
    changed[:, 6:] = 1 + changed[:, 6:] % 26
    before, after = model(tokens), model(changed)
    assert before.shape == (2, 10, 27)
    torch.testing.assert_close(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])
    assert sum(p.numel() for p in model.parameters()) < 70_000
    with pytest.raises(ValueError, match="5 heads do not divide"):
        SmallGPT(heads=5)


def test_the_loss_of_names_leaves_padding_out():
    torch.manual_seed(0)
    model, short, long = SmallGPT(), encode_names(["ada"]), encode_names(["ada", "guinevere"])
    torch.testing.assert_close(name_loss(model, short), name_loss(model, long[:1]))
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
    torch.testing.assert_close(name_loss(model, long).item(), math.log(27))


def test_an_untrained_gpt_in_bf16_keeps_its_loss_in_fp32():
    model = SmallGPT().bfloat16()
    assert name_loss(model, encode_names(["ada"])).dtype == torch.float32


# Training.


def digits_step(optimizer):
    def step(model, x, y):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def test_training_learns_and_repeats():
    data, runs = load_digits(), []
    for _ in range(2):
        torch.manual_seed(0)
        model = mlp(64, 32, 10)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        rows = batches(data.train_x, data.train_y, size=64, steps=120)
        runs.append(train(model, rows, digits_step(optimizer)))
    assert runs[0] == runs[1] and len(runs[0]) == 120
    assert runs[0][-1] < 0.5 < 2 < runs[0][0]
    assert accuracy(model, data.test_x, data.test_y) > 0.85  # 0.9 and more with every seed tried


def test_nan_is_never_accurate():
    model = torch.nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.fill_(math.nan)
    assert accuracy(model, torch.ones(3, 2), torch.zeros(3, dtype=torch.int64)) == 0

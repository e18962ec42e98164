"""What Unit 7 says and no cell of it computes; its answers where the checks do not reach."""

import math
import os
import re
import warnings

import jupytext
import pytest
import torch
import torch.nn.functional as F

os.environ["HF_HUB_OFFLINE"] = "1"
from lightning.fabric import Fabric
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from grader import adequacy
from grader.units import find_units
from halfbits.checking.checks import load_drivers
from halfbits.data_sets import batches
from halfbits.intervals import Z95, gap_in_errors, published
from halfbits.pictures.transformer import transformer_record
from halfbits.reviews import load_embeddings, load_tokenizer

UNIT = find_units(["07"])[0]
DRIVERS = load_drivers(UNIT.drivers)
REAL_FP16 = "16-mixed, really in fp16"  # as in drivers.py


@pytest.fixture(scope="module")
def answers():
    return {name: one.function for name, one in adequacy.lesson_answers(UNIT).items()}


@pytest.fixture(scope="module")
def prose():
    cells = jupytext.read(UNIT.notebook).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_the_percentages_and_minutes_are_those_of_the_cited_record(prose):
    assert published() == {"fp32": 0.9223, "fp16": 0.9267, "bf16": 0.9198}
    assert "92.23, 92.67 and 91.98 %" in prose and "21.64, 7.24 and 7.62 minutes" in prose


def test_the_gaps_that_the_lesson_names():
    share = published()
    assert f"{gap_in_errors(share['fp16'], share['bf16'], 10_000):.2f}" == "1.83"
    assert f"{gap_in_errors(share['fp32'], share['fp16'], 10_000):.2f}" == "-1.18"
    assert f"{gap_in_errors(0.9223, 0.8992, 10_000):.1f}" == "5.7"
    assert (
        abs(gap_in_errors(0.9198, 0.9267, 11_400))
        < 1.96
        < abs(gap_in_errors(0.9198, 0.9267, 11_500))
    )
    assert f"{gap_in_errors(0.9215, 0.8992, 10_000):.1f}" == "5.5"  # the model answer
    assert round(100 * math.erfc(1.833 / math.sqrt(2))) == 7  # "7 of 100 cases", in the quiz
    assert abs(100 * Z95 * math.sqrt(0.9223 * 0.0777 / 10_000) - 0.5) < 0.03
    assert f"{100 * math.sqrt(0.8 * 0.2 / 1000):.1f}" == "1.3"  # "1.3 percentage points"


def test_fabric_makes_bf16_of_fp16_on_a_cpu_and_says_so():
    with pytest.warns(UserWarning, match="AMP with fp16 is not supported on CPU"):
        fabric = Fabric(accelerator="cpu", devices=1, precision="16-mixed")
    assert fabric.strategy.precision.precision == "bf16-mixed"
    with pytest.raises(ValueError, match="17-mixed"):
        Fabric(accelerator="cpu", precision="17-mixed")


def test_the_plugin_gives_true_fp16_with_a_scaler():
    fabric = DRIVERS["make_fabric"](REAL_FP16)
    assert fabric.strategy.precision.precision == "16-mixed"
    assert isinstance(fabric.strategy.precision.scaler, torch.amp.GradScaler)
    layer, seen = torch.nn.Linear(4, 2), []
    layer.register_forward_hook(lambda *call: seen.append(call[-1].dtype))
    fabric.setup(layer)(torch.ones(1, 4))
    assert seen == [torch.float16]


@pytest.mark.parametrize(("setting", "refused"), [("bf16-mixed", True), ("32-true", False)])
def test_fabric_refuses_a_plain_backward_under_mixed_precision_only(setting, refused):
    model = Fabric(accelerator="cpu", devices=1, precision=setting).setup(torch.nn.Linear(4, 2))
    loss = model(torch.ones(1, 4)).sum()
    if refused:
        with pytest.raises(RuntimeError, match=r"fabric.backward"):
            loss.backward()
    else:
        loss.backward()


def test_ids_keep_their_type_in_a_true_setting():
    fabric = Fabric(accelerator="cpu", devices=1, precision="16-true")
    embedding = fabric.setup(torch.nn.Embedding(8, 4))
    assert embedding(torch.tensor([[1, 2]])).shape == (1, 2, 4)


def test_the_worked_example_of_ids():
    tok = load_tokenizer()
    assert len(tok) == 30_522
    every = torch.arange(len(tok))
    assert len(every.half().unique()) == 6005
    changed = (every.half().long() != every).double().mean().item()
    assert changed == pytest.approx(0.8, abs=0.01)  # "four words out of five"
    assert tok.pad_token_id == 0 and tok("Dull.").input_ids[0] == tok.cls_token_id


def test_the_sizes_of_the_two_distilberts():
    with torch.device("meta"):
        real = DistilBertForSequenceClassification(DistilBertConfig(num_labels=2))
        config = DistilBertConfig(dim=64, hidden_dim=128, n_layers=2, n_heads=4, num_labels=2)
        small = DistilBertForSequenceClassification(config)
    count = [sum(p.numel() for p in model.parameters()) for model in (real, small)]
    assert [round(n / 1e6) for n in count] == [67, 2]
    assert real.config.max_position_embeddings == 512


@pytest.mark.parametrize("way", ["eager", "sdpa"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_masks_that_transformers_makes(way, dtype):
    config = DistilBertConfig(dim=64, hidden_dim=64, n_layers=1, n_heads=2, attn_implementation=way)
    model, seen = DistilBertForSequenceClassification(config).to(dtype).eval(), []
    attention = model.distilbert.transformer.layer[0].attention
    attention.register_forward_pre_hook(
        lambda layer, args, named: seen.extend([*args, *named.values()]), with_kwargs=True
    )
    ids = torch.tensor([[101, 7, 102, 0]])
    with torch.no_grad():
        model(input_ids=ids, attention_mask=(ids > 0).long())
    (mask,) = [each for each in seen if isinstance(each, torch.Tensor) and each.dim() == 4]
    if way == "sdpa":
        assert mask.dtype == torch.bool and not mask[..., 3].any()
    else:
        assert mask.dtype == dtype and (mask[..., 3] == torch.finfo(dtype).min).all()


def test_the_activations_are_as_the_lesson_says():
    layers = transformer_record("minilm_activations")["layers"]
    largest = max(values[-1] for layer in layers for values in layer.values())
    assert largest == layers[0]["output of the feed-forward net"][-1] == 195
    assert round(65504 / largest) == 336
    nets = [layer["output of the feed-forward net"] for layer in layers]
    assert max(values[3] for values in nets) < 1.2  # "99 % of the values"
    ratios = [values[4] / values[3] for values in nets]
    assert 48 < min(ratios) < 52 and 255 < max(ratios) < 270  # "50 to 260 times"
    assert sum(min(v[0] for v in layer.values()) < 2.0**-25 for layer in layers) == 4


def test_real_sentences_can_be_told_apart_and_settings_agree(answers):
    seen = {}
    for setting in ("32-true", "bf16-mixed", REAL_FP16, "bf16-true"):
        seen[setting] = DRIVERS["train_head"](answers["train_head"], setting, 0, 150)
        assert seen[setting]["accuracy"] >= 0.72 and seen[setting]["the same again"]
    base = seen["32-true"]["loss"]
    for setting in ("bf16-mixed", REAL_FP16):
        assert seen[setting]["loss"] == pytest.approx(base, rel=0.002)  # "to three digits"
    dead = DRIVERS["train_head"](answers["train_head"], "16-true", 0, 25)
    assert math.isnan(dead["loss"]) and dead["accuracy"] == 0.0


def test_seeds_move_the_accuracy_more_than_settings_do(answers):
    def right(setting, seed):
        return DRIVERS["train_head"](answers["train_head"], setting, seed, 150)["accuracy"]

    settings = ("32-true", "bf16-mixed", "bf16-true")
    table = {setting: [right(setting, seed) for seed in range(3)] for setting in settings}
    by_seed = [max(row) - min(row) for row in table.values()]
    by_setting = [max(column) - min(column) for column in zip(*table.values(), strict=True)]
    assert min(by_seed) > 0.01 > 0.006 > max(by_setting)


def test_nearly_half_of_the_sentences_are_of_the_class_that_argmax_of_nan_gives():
    data = load_embeddings()
    assert torch.tensor([math.nan, math.nan]).argmax() == 0
    for labels in (data.train_y, data.test_y):
        assert 0.45 < (labels == 0).float().mean() < 0.55


def test_the_lessons_loop_is_plain_pytorchs_bit_for_bit(answers):
    data, weights = load_embeddings(), []
    some = list(batches(data.train_x, data.train_y, size=64, steps=10))
    for way in ("fabric", "plain"):
        torch.manual_seed(0)
        model = torch.nn.Linear(384, 2)
        sgd = torch.optim.SGD(model.parameters(), lr=2.0)
        if way == "fabric":
            answers["fabric_fit"]("bf16-mixed", model, sgd, some, "cpu")
        for x, y in some if way == "plain" else ():
            sgd.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(x)
            F.cross_entropy(logits.float(), y).backward()
            sgd.step()
        weights.append(model.weight.detach().clone())
    assert torch.equal(*weights)


def test_mixed_in_fp16_and_in_bf16_are_the_same_run_on_a_cpu(answers):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = [DRIVERS["fabric_fit"](answers["fabric_fit"], f"{f}16-mixed") for f in ("", "bf")]
    assert runs[0] == runs[1]


def test_the_recorded_runs_are_as_the_lesson_says(prose):
    record = transformer_record("finetuning")
    runs = {(run["setting"], run["seed"]): run for run in record["runs"]}
    pairs = [(runs["32-true", seed], runs["bf16-mixed", seed]) for seed in (0, 1, 2)]
    assert len(runs) == 6 and all(run["resolved"] == run["setting"] for run in record["runs"])
    settings = record["settings"]
    said = re.search(r"(\d+) steps on (\d+) sentences, (\d+) a step", prose)
    assert [int(n) for n in said.groups()] == [settings[k] for k in ("steps", "train", "batch")]
    assert settings["test"] == 1000
    right = ", ".join(f"{a['right']} and {b['right']}" for a, b in pairs)
    assert f"of the 1000 test sentences {right} were right" in prose
    last = [[sum(run["losses"][-20:]) / 20 for run in pair] for pair in pairs]
    assert f"{max(abs(a - b) for a, b in last):.4f}" == "0.0003" and "at most 0.0003" in prose
    for setting in ("32-true", "bf16-mixed"):
        among = [runs[setting, seed]["right"] for seed in (0, 1, 2)]
        assert max(among) - min(among) <= 25
    assert max(run["right"] for run in runs.values()) - 839 == 25 and "up to 25 sentences" in prose
    shares = [b["seconds"] / a["seconds"] for a, b in pairs]
    assert sum(shares) / 3 == pytest.approx(2 / 3, abs=0.04) and "two thirds of the time" in prose
    best, worst = (f(run["right"] for run in runs.values()) / 1000 for f in (max, min))
    z = [f"z = {gap_in_errors(share, 0.8, 1000):.1f}" for share in (best, worst)]
    assert f"the best of the six runs that is {z[0]}, against the worst {z[1]}" in prose

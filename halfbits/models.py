"""The networks that the course trains: a multilayer perceptron and a small GPT."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


def mlp(*widths: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Make a multilayer perceptron: ``mlp(64, 64, 10)`` has one hidden layer of 64.

    Parameters
    ----------
    widths
        Of the input, the hidden layers and the output.
    activation
        Stands between the linear layers.

    Raises
    ------
    ValueError
        If there are fewer than two widths.
    """
    if len(widths) < 2:
        raise ValueError("give at least the widths of the input and of the output: mlp(64, 10)")
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


class Block(nn.Module):
    """A transformer block: attention and a feed-forward net, each normed first and added on.

    Parameters
    ----------
    width
        Numbers for each token; ``heads`` must divide it.
    heads
        Of the attention, which looks back only.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.feed_forward = mlp(width, 4 * width, width, activation=nn.GELU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take and return a tensor of shape (batch, tokens, width)."""
        x = x + self.attend(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Mix every token with those before it."""
        batch, tokens, width = x.shape
        heads = self.query_key_value(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.project(mixed.transpose(1, 2).reshape(batch, tokens, width))


class SmallGPT(nn.Module):
    """A character-level GPT, small enough to train on a laptop's CPU.

    Parameters
    ----------
    vocabulary
        Number of tokens; 27 for names: the end and a to z.
    context
        The longest sequence that it can take.
    width, layers, heads
        Size of the network; by default 2 × 48, about 60 thousand parameters.
    tied
        Whether the head has the embedding's weights and no bias, as GPT-2: ``SmallGPT(50257, 1024,
        768, 12, 12, tied=True)`` has its 124,439,808 parameters.

    Raises
    ------
    ValueError
        If ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        vocabulary: int = 27,
        context: int = 16,
        width: int = 48,
        layers: int = 2,
        heads: int = 4,
        tied: bool = False,
    ) -> None:
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.place = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=not tied)
        if tied:
            for table in (self.token, self.place):  # N(0, 1) would give logits far too wide
                nn.init.normal_(table.weight, std=0.02)
            self.head.weight = self.token.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Predict what follows each token: (batch, tokens) int64 → logits (…, vocabulary)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.norm(self.blocks(self.token(tokens) + self.place(places))))


def text_loss(model: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of predicting each next token of a text without padding, in nats."""
    logits = model(rows[:, :-1])
    logits = logits.float() if logits.element_size() == 2 else logits
    return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def name_loss(model: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of predicting each next letter of names, padding left out, in nats.

    Parameters
    ----------
    model
        Gives logits for tokens, as :class:`SmallGPT` does.
    rows
        Names as :func:`halfbits.data_sets.encode_names` writes them, int64.
    """
    tokens, following = rows[:, :-1], rows[:, 1:]
    padding = (tokens == 0) & (torch.arange(tokens.shape[1], device=rows.device) > 0)
    target = following.masked_fill(padding, -100)
    logits = model(tokens).float()  # a loss in bf16 would have three digits
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)

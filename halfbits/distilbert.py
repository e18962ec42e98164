"""A transformer of DistilBERT's shape in plain PyTorch, to be timed without a download."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from halfbits.models import mlp


class EncoderBlock(nn.Module):
    """BERT's block: attention and a feed-forward net, each added on, then normed, with dropout.

    Parameters
    ----------
    width, heads
        As in :class:`Block`; the attention looks both ways.
    dropout
        Of the attention's weights and of what the feed-forward net gives.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.project = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.feed_forward = mlp(width, 4 * width, width, activation=nn.GELU)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take and return a tensor of shape (batch, tokens, width)."""
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + F.dropout(self.feed_forward(x), self.dropout, self.training))

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Mix every token with all others."""
        batch, tokens, width = x.shape
        query, key, value = (
            layer(x).view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.project(mixed.transpose(1, 2).reshape(batch, tokens, width))


class DistilBert(nn.Module):
    """A classifier of the shape of DistilBERT, with random weights and no padding.

    By default the layers and sizes of ``DistilBertForSequenceClassification`` for
    ``distilbert-base-uncased`` with 2 classes: 66,955,010 parameters.

    Parameters
    ----------
    vocabulary, context, width, layers, heads
        As in :class:`SmallGPT`.
    classes
        What the first token's vector is sorted into.
    dropout
        Inside; twice as much before the classes, as there.

    Notes
    -----
    V. Sanh et al., *DistilBERT, a distilled version of BERT*, 2019, arXiv:1910.01108.
    """

    def __init__(
        self,
        vocabulary: int = 30522,
        context: int = 512,
        width: int = 768,
        layers: int = 6,
        heads: int = 12,
        classes: int = 2,
        dropout: float = 0.1,
    ) -> None:
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.place = nn.Embedding(context, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads, dropout) for _ in range(layers)))
        self.sort = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(2 * dropout),
            nn.Linear(width, classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Sort sequences: (batch, tokens) int64 → logits (batch, classes)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.drop(self.norm(self.token(tokens) + self.place(places)))
        return self.sort(self.blocks(x)[:, 0])

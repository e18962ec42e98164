"""What README.md says of GPUs is what they recorded."""

from pathlib import Path

from halfbits.benchmark.results import FORMAT, RECORDS, write_result
from tools import readme

TEXT = Path(readme.README).read_text(encoding="utf-8")


def test_readme_has_the_records_of_the_project():
    assert TEXT.count(readme.BEGIN) == TEXT.count(readme.END) == 1
    assert readme.updated(TEXT, RECORDS) == TEXT, "run: python tools/readme.py"


def test_with_records_it_has_tables_and_without_it_says_so(tmp_path):
    """The records are made up, and are written here only."""
    assert readme.NONE in readme.updated(TEXT, tmp_path)
    entry = {"step_ms": 50.0, "speedup": 1.0, "share_of_ceiling": 0.5, "loss_gap": 0.0}
    entry |= {"peak_bytes": 4_000_000_000}
    fast = entry | {"step_ms": 12.5, "speedup": 4.0, "loss_gap": None, "share_of_ceiling": None}
    settings = {"32-true": entry, "bf16-mixed": fast, "64-true": {"not_measured": "too long"}}
    result = {"format": FORMAT, "date": "2026-01-02", "command": "c", "device": "cuda"}
    result |= {"machine": {"device": "A GPU that does not exist"}, "versions": {"torch": "2"}}
    result |= {"matmul": {}, "workloads": {"distilbert": {"settings": settings}}, "tune": {}}
    write_result(tmp_path / "distilbert_cuda.json", result)
    tuned = result | {"workloads": {}, "tune": {"gpt": {"rungs": {"fp32": entry, "+ x": fast}}}}
    write_result(tmp_path / "h100" / "tune_gpt_cuda.json", tuned)
    text = readme.updated(TEXT, tmp_path)
    assert "DistilBERT's shape, each setting, A GPU that does not exist, torch 2" in text
    assert "| 32-true | 50 | 1.00 | 50% | 4.00 GB | 0.0000 |" in text
    assert "| bf16-mixed | 12.5 | 4.00 |  | 4.00 GB | NaN |" in text
    assert "| 64-true | not measured | | | | |" in text
    assert "GPT-2's shape, what each change brought" in text and "| + x | 12.5 |" in text
    assert readme.updated(text, tmp_path) == text and readme.NONE not in text

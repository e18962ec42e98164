"""Write what GPUs recorded into README.md, between its two marks: python tools/readme.py

Without records the sentence there says so. tests/test_readme.py fails if README.md is behind.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from halfbits.benchmark.results import RECORDS, gpu_records, read_result  # noqa: E402
from halfbits.benchmark.show import title  # noqa: E402

README = ROOT / "README.md"
BEGIN, END = "<!-- gpu records: python tools/readme.py -->", "<!-- end of gpu records -->"
NONE = "No GPU has recorded them yet."
WORKLOADS = {"distilbert": "DistilBERT's shape", "gpt": "GPT-2's shape"}


def main() -> int:
    """Rewrite README.md."""
    README.write_text(updated(README.read_text(encoding="utf-8"), RECORDS), encoding="utf-8")
    return 0


def updated(text: str, folder: Path) -> str:
    """README's text with the records of a folder in it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = list(sections(folder)) or [NONE]
    return f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}"


def sections(folder: Path) -> Iterator[str]:
    """A table for each record of every setting, then one for each way to the fastest step."""
    for name, shape in WORKLOADS.items():
        for path in gpu_records(name, folder):
            result = read_result(path)
            entries = result["workloads"][name]["settings"]
            yield f"{shape}, each setting, {title(result)}:\n\n" + table("setting", entries)
    for name, shape in WORKLOADS.items():
        for path in gpu_records(f"tune_{name}", folder):
            result = read_result(path)
            entries = result["tune"][name]["rungs"]
            yield f"{shape}, what each change brought, {title(result)}:\n\n" + table("", entries)


def table(head: str, entries: dict[str, Any]) -> str:
    """A Markdown table of settings or changes."""
    rows = [f"| {head} | ms a step | × fp32 | of the fastest product | memory | loss from fp32 |"]
    rows.append("|---|---:|---:|---:|---:|---:|")
    for name, entry in entries.items():
        if "not_measured" in entry:
            rows.append(f"| {name} | not measured | | | | |")
            continue
        share, gap = entry["share_of_ceiling"], entry.get("loss_gap")
        cells = [f"{entry['step_ms']:.3g}", f"{entry.get('speedup', 1):.2f}"]
        cells += ["" if share is None else f"{share:.0%}"]
        cells += ["" if entry["peak_bytes"] is None else f"{entry['peak_bytes'] / 1e9:.2f} GB"]
        cells += ["NaN" if gap is None else f"{gap:.4f}"]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())

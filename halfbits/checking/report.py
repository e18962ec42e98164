"""What a check shows: a table in a notebook, the same as text elsewhere."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from halfbits.checking.judge import Row, Verdict

RESULT = "application/vnd.halfbits.check+json"
GLANCE = 16  # rows: where there are more, those that agree are folded up

STYLE = """
<style>
.hb-report { font-size: 13px; margin: 2px 0 8px; color: var(--jp-ui-font-color1, CanvasText); }
.hb-report .hb-head { font-weight: 600; margin: 0 0 6px; }
.hb-report .hb-hint { border-left: 3px solid #b7791f; padding: 2px 10px; margin: 8px 0 0; }
.hb-report .hb-part { font-weight: 600; }
.hb-report summary { cursor: pointer; margin: 6px 0; }
.hb-report pre { margin: 8px 0 0; white-space: pre-wrap; }
.hb-report table { border-collapse: collapse; margin: 0; }
.hb-report table th, .hb-report table td { text-align: left !important; padding: 3px 14px 3px 0;
  border-bottom: 1px solid var(--jp-border-color2, #8884); vertical-align: top; }
.hb-report td code, .hb-report p code { font-size: 12px; background: none; color: inherit; }
.hb-report .hb-good { color: #149170; } .hb-report .hb-bad { color: #d4500e; }
</style>
"""


@dataclass(frozen=True)
class Report:
    """The result of one check; with neither verdict nor defect: not attempted yet."""

    exercise: str
    verdict: Verdict | None = None
    printed: str = ""
    defect: str | None = None
    cases_shown: bool = True

    @property
    def passed(self) -> bool:
        return self.verdict is not None and self.verdict.passed

    @property
    def headline(self) -> str:
        if self.defect:
            return f"{self.exercise}: {self.defect}"
        if self.verdict is None:
            return f"{self.exercise}: not attempted yet"
        rows = self.verdict.rows
        if self.passed:
            more = ", and grading tries more cases" if self.cases_shown else ""
            return f"{self.exercise}: all {len(rows)} comparisons agree{more}"
        failed = sum(not row.passed for row in rows)
        return f"{self.exercise}: {failed} of {len(rows)} comparisons fail"

    @property
    def one_line(self) -> str:
        hint = self.verdict and self.verdict.hint
        return f"{self.headline}. Hint: {hint}" if hint else self.headline

    def without_cases(self) -> Report:
        """The same result that names kinds of cases only: no inputs, no values, no prints."""
        return replace(self, cases_shown=False, printed="")

    def __str__(self) -> str:
        lines = [f"{self._sign} {self.headline}"]
        if self.verdict:
            lines += ["  " + line for line in _columns(self._table())]
        if self._hint:
            lines.append(f"  Hint: {self._hint}")
        if self.printed:
            lines += ["  Your code printed:", *("    " + x for x in self.printed.splitlines())]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_mimebundle_(self, **_: object) -> dict:
        """HTML and text, and the result as data: that is how progress reads it from the disk."""
        result = {"exercise": self.exercise, "attempted": self.verdict is not None}
        result["passed"] = self.passed
        if not self.passed:
            result |= {"says": self.headline, "hint": self._hint, "failed": self._failed_kinds()}
        return {"text/plain": str(self), "text/html": self._repr_html_(), RESULT: result}

    def _repr_html_(self) -> str:
        head = f'<p class="hb-head">{self._html_sign} {_text(self.headline)}</p>'
        table = self._html_tables() if self.verdict else ""
        hint = f'<p class="hb-hint"><b>Hint.</b> {_text(self._hint)}</p>' if self._hint else ""
        printed = (
            f"<pre>Your code printed:\n{html.escape(self.printed)}</pre>" if self.printed else ""
        )
        return f'{STYLE}<div class="hb-report">{head}{table}{hint}{printed}</div>'

    def _failed_kinds(self) -> list[str]:
        """The kinds of hidden cases that failed, and how many of each."""
        if self.verdict is None or self.cases_shown:
            return []
        counts = self.verdict.failures_by_kind().items()
        return [f"{kind} ({failed} of {total})" for kind, (failed, total) in counts if failed]

    @property
    def _hint(self) -> str | None:
        return self.verdict.hint if self.verdict else None

    @property
    def _sign(self) -> str:
        if self.verdict is None and not self.defect:
            return "○"
        return "✓" if self.passed else "✗"

    @property
    def _html_sign(self) -> str:
        kind = {"✓": "hb-good", "✗": "hb-bad"}.get(self._sign, "")
        return f'<span class="{kind}">{self._sign}</span>'

    def _table(self) -> list[tuple[str, ...]]:
        """Header and rows; every cell but the mark is code or plain text."""
        if not self.cases_shown:
            kinds = self.verdict.failures_by_kind().items()
            return [("", "kind of case", "failed"), *(_kind_row(*item) for item in kinds)]
        rows = [("", "call", "expected", "got", "difference")]
        for row in self.verdict.rows:
            rows.append((_mark(row), row.call, row.expected, row.got, row.difference))
        return rows

    def _html_tables(self) -> str:
        """What failed stands in the open, what agrees behind a click if there is much of it."""
        header, *kinds = self._table()
        if not self.cases_shown:
            return _html_table(
                header, [[_html_mark(m), *map(html.escape, more)] for m, *more in kinds]
            )
        rows = self.verdict.rows
        if len(rows) <= GLANCE:
            return _html_table(header, _html_cases(rows))
        failed, agreeing = ([row for row in rows if row.passed == fine] for fine in (False, True))
        shown = _html_table(header, _html_cases(failed)) if failed else ""
        if not agreeing:
            return shown
        said = f"{len(agreeing)} comparisons that agree" if failed else "Show them"
        folded = _html_table(header, _html_cases(agreeing))
        return f"{shown}<details><summary>{said}</summary>{folded}</details>"


def _html_table(header: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    heads = '<th scope="col" aria-label="result"></th>'
    heads += "".join(f'<th scope="col">{_text(cell)}</th>' for cell in header[1:])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _html_cases(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    for call, row in zip(_html_calls(rows), rows, strict=True):
        values = map(_html_code, (row.expected, row.got))
        yield _html_mark(_mark(row)), call, *values, _text(row.difference)


def _mark(row: Row) -> str:
    return "✓" if row.passed else "✗"


def _kind_row(kind: str, counts: tuple[int, int]) -> tuple[str, ...]:
    failed, total = counts
    return ("✗" if failed else "✓", kind, f"{failed} of {total}")


def _columns(table: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _html_calls(rows: Iterable[Row]) -> Iterator[str]:
    """A call stands once; what is judged of its answer has a row each, by name."""
    above = None
    for row in rows:
        call = row.call.removesuffix(row.part)
        name = html.escape(row.part.removeprefix(": "))
        part = f'<span class="hb-part">{name}</span>' if name else ""
        yield part if part and call == above else f"{_html_code(call)} {part}".rstrip()
        above = call


def _html_mark(mark: str) -> str:
    return f'<span class="{"hb-good" if mark == "✓" else "hb-bad"}">{mark}</span>'


def _html_code(cell: str) -> str:
    """Code; a long call may go on in the next line before a method or an argument of torch."""
    breaks = r"(?<=[)])(?=[.][a-z])|(?<=[(])(?=torch)"
    return f"<code>{re.sub(breaks, '<wbr>', html.escape(cell))}</code>" if cell else ""


def _text(sentence: str) -> str:
    """Escape a sentence; what stands between backticks is code."""
    pieces = html.escape(sentence).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(pieces))

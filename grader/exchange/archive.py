"""The files in a zip or folder, and in the zips in it that students have packed."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from grader.exchange.entries import DAMAGED, Budget, Item, Refused, clean_parts, entries
from grader.reading import Unreadable, read_bounded

MAX_ENTRIES = 100_000  # in what an instructor gives
MAX_STUDENTS_ENTRIES = 1_000  # in a zip that a student packed
MAX_STUDENTS_ZIP = 50 << 20  # bytes
MAX_STUDENTS_TOTAL = 1 << 30  # bytes that are unpacked for it: itself anew for each of its files


@contextmanager
def opened(source: Path, budget: Budget | None = None) -> Iterator[list[Item | Refused]]:
    """Everything in a zip file or a folder, and in the zips in it that students packed.

    What is listed can be read as long as the context lasts; no content is held in memory.

    Raises
    ------
    Unreadable
        If the source itself cannot be read.
    """
    budget = budget or Budget()
    if source.is_dir():
        yield list(_with_students_zips(_in_folder(source), budget))
        return
    try:
        archive = zipfile.ZipFile(source)
    except OSError as error:
        raise Unreadable(f"{source} cannot be read ({error.strerror})") from None
    except DAMAGED:
        raise Unreadable(f"{source} is no zip file that can be read") from None
    with archive:
        yield list(_with_students_zips(entries(archive, MAX_ENTRIES, budget), budget))


def _with_students_zips(
    found: Iterator[Item | Refused], budget: Budget
) -> Iterator[Item | Refused]:
    for item in found:
        if isinstance(item, Item) and item.parts[-1].lower().endswith(".zip"):
            yield from _in_students_zip(item, budget)
        else:
            yield item


def _in_folder(folder: Path) -> Iterator[Item | Refused]:
    for base, names, leaves in os.walk(folder):  # does not follow links
        for name in [*sorted(n for n in names if Path(base, n).is_symlink()), *sorted(leaves)]:
            path = Path(base, name)
            parts = clean_parts(path.relative_to(folder).as_posix())
            if isinstance(parts, Refused):
                yield parts
            elif parts and path.is_symlink():
                yield Refused(parts, "is a link")
            elif parts and not path.is_file():
                yield Refused(parts, "is no ordinary file")
            elif parts:
                yield Item(parts, lambda limit, path=path: read_bounded(path, limit))
        names.sort()


def _in_students_zip(item: Item, budget: Budget) -> Iterator[Item | Refused]:
    """The files of a zip within; of one in there, in turn, nothing is taken.

    Each has a budget of its own: what one unpacks to takes little from others.
    """
    own = Budget(MAX_STUDENTS_TOTAL, budget)
    folder = (*item.parts[:-1], item.parts[-1][:-4])
    try:
        with _students_zip(item, own) as archive:
            inside = list(entries(archive, MAX_STUDENTS_ENTRIES, own))
    except Unreadable as problem:
        yield Refused(item.parts, str(problem))
        return
    for number, inner in enumerate(inside):
        parts = (*folder, *inner.parts)
        if isinstance(inner, Refused):
            yield Refused(parts, inner.reason)
        elif parts[-1].lower().endswith(".zip"):
            yield Refused(parts, "is a zip in a zip in a zip: ask for plain files")
        else:
            yield Item(parts, _reader_within(item, number, own), item.time, packed=True)


def _reader_within(item: Item, number: int, own: Budget) -> Callable[[int], bytes]:
    def read(limit: int) -> bytes:
        with _students_zip(item, own) as archive:
            return list(entries(archive, MAX_STUDENTS_ENTRIES, own))[number].read(limit)

    return read


@contextmanager
def _students_zip(item: Item, own: Budget) -> Iterator[zipfile.ZipFile]:
    own.spend(0)  # nothing is read where nothing is left
    content = item.read(MAX_STUDENTS_ZIP)
    own.spend(len(content))
    try:
        _check_directory(content)
        archive = zipfile.ZipFile(io.BytesIO(content))
    except DAMAGED:
        raise Unreadable("is no zip file that can be read") from None
    with archive:
        yield archive


def _check_directory(content: bytes) -> None:
    """Python reads a zip's whole table of contents before anyone can count its entries."""
    end = content.rfind(b"PK\x05\x06")
    if end < 0 or len(content) < end + 22:
        raise zipfile.BadZipFile
    (size,) = struct.unpack_from("<L", content, end + 12)
    if size > MAX_STUDENTS_ENTRIES * 512:
        raise Unreadable(f"holds more than {MAX_STUDENTS_ENTRIES:,} files")

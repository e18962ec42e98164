"""The files in a zip or folder that others have packed: read within bounds, nothing unpacked."""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from grader.intake import Unreadable, read_bounded

MAX_ENTRIES = 100_000  # in what an instructor gives
MAX_STUDENTS_ENTRIES = 1_000  # in a zip that a student packed
MAX_STUDENTS_ZIP = 50 << 20  # bytes
MAX_TOTAL = 8 << 30  # bytes that are unpacked in all
MAX_RATIO = 500  # unpacked to packed; text of a notebook stays far below
SMALL = 1 << 20  # bytes, below which the ratio says nothing

_NOISE = re.compile(
    r"(^|/)(__MACOSX|\.ipynb_checkpoints)(/|$)|(^|/)(\.DS_Store|\._[^/]*|Thumbs\.db)$"
)
_WINDOWS_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True)
class Item:
    """One file in a zip or folder.

    Attributes
    ----------
    parts
        Its path, NFC. A zip within the zip counts as a folder of its name.
    read
        Gives its content, up to so many bytes; raises Unreadable with what is wrong.
    time
        When it was changed, as the outer zip says; None in a folder.
    packed
        Whether it lay in a zip within the zip, which a student has packed.
    """

    parts: tuple[str, ...]
    read: Callable[[int], bytes]
    time: datetime | None = None
    packed: bool = False


@dataclass(frozen=True)
class Refused:
    """A file that is not taken, and why, in a sentence."""

    parts: tuple[str, ...]
    reason: str


class Budget:
    """How many bytes may still be unpacked; it keeps a thousand small bombs from adding up."""

    def __init__(self, left: int = MAX_TOTAL) -> None:
        self.left = left

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise Unreadable("would unpack to too much in all: collect the class in parts")


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
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise Unreadable(f"{source} is no zip file that can be read") from None
    with archive:
        yield list(_with_students_zips(_entries(archive, MAX_ENTRIES, budget), budget))


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
            parts = _clean_parts(path.relative_to(folder).as_posix())
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
    """The files of a zip within; of one in there, in turn, nothing is taken."""
    folder = (*item.parts[:-1], item.parts[-1][:-4])
    try:
        with _students_zip(item) as archive:
            inside = list(_entries(archive, MAX_STUDENTS_ENTRIES, budget))
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
            yield Item(parts, _reader_within(item, number, budget), item.time, packed=True)


def _reader_within(item: Item, number: int, budget: Budget) -> Callable[[int], bytes]:
    def read(limit: int) -> bytes:
        with _students_zip(item) as archive:
            return list(_entries(archive, MAX_STUDENTS_ENTRIES, budget))[number].read(limit)

    return read


@contextmanager
def _students_zip(item: Item) -> Iterator[zipfile.ZipFile]:
    content = item.read(MAX_STUDENTS_ZIP)
    try:
        _check_directory(content)
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
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


def _entries(archive: zipfile.ZipFile, most: int, budget: Budget) -> Iterator[Item | Refused]:
    entries = archive.infolist()
    if len(entries) > most:
        raise Unreadable(f"holds {len(entries):,} files, more than {most:,}")
    for entry in entries:
        parts = _clean_parts(_name(entry))
        if isinstance(parts, Refused):
            yield parts
        elif not parts or entry.is_dir():
            continue
        elif stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            is_link = stat.S_ISLNK(entry.external_attr >> 16)
            yield Refused(parts, "is a link" if is_link else "is no ordinary file")
        else:
            yield Item(parts, _reader(archive, entry, budget), _time(entry))


def _reader(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: Budget
) -> Callable[[int], bytes]:
    def read(limit: int) -> bytes:
        if entry.flag_bits & 1:
            raise Unreadable("is locked with a password")
        if entry.file_size > limit:
            raise Unreadable(f"is larger than {limit >> 20} MB")
        if entry.file_size > max(SMALL, MAX_RATIO * entry.compress_size):
            raise Unreadable(f"unpacks to more than {MAX_RATIO} times its size, as zip bombs do")
        budget.spend(entry.file_size)
        try:
            with archive.open(entry) as file:
                content = file.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError):
            raise Unreadable("is damaged in the zip") from None
        return content

    return read


def _name(entry: zipfile.ZipInfo) -> str:
    """An entry's name; programs that forget to say that it is UTF-8 are understood."""
    if entry.flag_bits & 0x800 or entry.filename.isascii():
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _clean_parts(name: str) -> tuple[str, ...] | Refused:
    """The path in pieces; empty for what no student has written."""
    name = unicodedata.normalize("NFC", name.replace("\\", "/"))
    if _NOISE.search(name):
        return ()
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or _WINDOWS_DRIVE.match(name) or ".." in parts:
        return Refused((name,), "has a path that leads out of its folder")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return Refused((name,), "has control characters in its name")
    return parts


def _time(entry: zipfile.ZipInfo) -> datetime | None:
    """When a file was changed: to the second in UTC where the zip says so, else local time."""
    extra = entry.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == 0x5455 and size >= 5 and len(extra) >= 9 and extra[4] & 1:
            return datetime.fromtimestamp(struct.unpack_from("<L", extra, 5)[0], UTC)
        extra = extra[4 + size :]
    try:
        when = datetime(*entry.date_time)
    except ValueError:
        return None
    return when.astimezone(UTC) if when.year > 1980 else None  # 1980: the program knew no time

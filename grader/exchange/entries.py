"""The entries of one zip that others have packed: each is read within bounds, and none unpacked."""

from __future__ import annotations

import lzma
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from grader.reading import Unreadable

MAX_TOTAL = 64 << 30  # bytes that are unpacked in all: minutes
MAX_RATIO = 500  # unpacked to packed; text of a notebook stays far below
DAMAGED = (  # what reading a zip raises that is none, or no longer
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, RuntimeError, ValueError, OSError),
)
SMALL = 1 << 20  # bytes, below which the ratio says nothing
MAX_NAME = 255  # bytes of a file's or folder's name, as on every disk

# Of others zipfile unpacks all that it has read at once: gigabytes from a few kilobytes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

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
    """How many bytes may still be unpacked; it keeps a thousand small bombs from adding up.

    What is spent counts in the budgets around it, too.
    """

    def __init__(self, left: int = MAX_TOTAL, *around: Budget) -> None:
        self.left, self._around = left, around

    def spend(self, size: int) -> None:
        """Count bytes that came out, whatever the zip claims."""
        self.left -= size
        if self.left < 0:
            way_out = "ask for fewer files" if self._around else "collect the class in parts"
            raise Unreadable(f"would unpack to too much in all: {way_out}")
        for budget in self._around:
            budget.spend(size)


def entries(archive: zipfile.ZipFile, most: int, budget: Budget) -> Iterator[Item | Refused]:
    """The files of a zip, each read when it is asked for.

    Raises
    ------
    Unreadable
        If there are more than ``most``.
    """
    found = archive.infolist()
    if len(found) > most:
        raise Unreadable(f"holds {len(found):,} files, more than {most:,}")
    for entry in found:
        parts = clean_parts(_name(entry))
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
        if entry.compress_type not in _METHODS:
            raise Unreadable("is packed in an unusual way: ask for an ordinary zip")
        if entry.file_size > limit:
            raise Unreadable(f"is larger than {limit >> 20} MB")
        if entry.file_size > max(SMALL, MAX_RATIO * entry.compress_size):
            raise Unreadable(f"unpacks to more than {MAX_RATIO} times its size, as zip bombs do")
        content = bytearray()
        try:
            with archive.open(entry) as file:
                while piece := file.read(SMALL):  # never more in all than file_size
                    budget.spend(len(piece))
                    content += piece
        except DAMAGED:
            raise Unreadable("is damaged in the zip") from None
        return bytes(content)

    return read


def _name(entry: zipfile.ZipInfo) -> str:
    """An entry's name; programs that forget to say that it is UTF-8 are understood."""
    if entry.flag_bits & 0x800 or entry.filename.isascii():
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def clean_parts(name: str) -> tuple[str, ...] | Refused:
    """The path in pieces; empty for what no student has written."""
    name = unicodedata.normalize("NFC", name.replace("\\", "/"))
    if _NOISE.search(name):
        return ()
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or _WINDOWS_DRIVE.match(name) or ".." in parts:
        return Refused((name,), "has a path that leads out of its folder")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return Refused((name,), "has control characters in its name")
    if any(len(part.encode()) > MAX_NAME for part in parts):
        return Refused((name,), "has a name longer than a file's can be")
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

"""The zip that an instructor hands out: the course as students get it, and all that it needs."""

from __future__ import annotations

import io
import stat
import tempfile
import zipfile
from pathlib import Path

from grader.release import build_course
from grader.units import ROOT, Unit, units

FOLDER = "half-the-bits"  # what the zip unpacks to
WHOLE = ("halfbits", "jupyter", "benchmarks/results")
SINGLE = (
    "Makefile",
    "pyproject.toml",
    "requirements.lock",
    "environment.yml",
    "README.md",
    "LICENSE",
    "docs/bit-explorer.png",  # README shows it
)
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say: the same bytes every day


def pack(chosen: list[Unit] | None = None) -> bytes:
    """The zip's content, the same bytes for the same sources.

    The course is built afresh from solutions/, so that nobody's own work in course/ gets in.
    """
    with tempfile.TemporaryDirectory() as scratch:
        course = Path(scratch) / "course"
        build_course(course, chosen or units())
        files = {f"course/{name}": path for name, path in _below(course).items()}
        for folder in WHOLE:
            files |= {f"{folder}/{name}": path for name, path in _below(ROOT / folder).items()}
        files |= {name: ROOT / name for name in SINGLE}
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, path in sorted(files.items()):
                entry = zipfile.ZipInfo(f"{FOLDER}/{name}", _TIME)
                entry.create_system = 3  # Unix, wherever it was made
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes(), compresslevel=9)
        return content.getvalue()


def _below(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and not any(_is_left_out(part) for part in path.relative_to(folder).parts)
    }


def _is_left_out(part: str) -> bool:
    return part == "__pycache__" or part.startswith(".")

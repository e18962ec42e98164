"""Make an environment from the bundle on top of the Python that runs this and has torch.

It lies in ``.gpu/``: a venv that sees all packages of this Python, and gets from ``bundle/`` only
what is missing or too old. Nothing is fetched. ``sh benchmarks/gpu.sh --bundle`` runs it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUNDLE, ENVIRONMENT = ROOT / "bundle", ROOT / ".gpu"
DONE = ENVIRONMENT / "made-from"


def main() -> int:
    """Make it, or say in one line why not; 2 then, and nothing half-made is left."""
    if problem := missing():
        print(f"gpu.sh: {problem}", file=sys.stderr)
        return 2
    mark = f"{sys.executable} {(BUNDLE / 'about.json').read_text(encoding='utf-8')}"
    if DONE.is_file() and DONE.read_text(encoding="utf-8") == mark:
        return 0
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    if problem := make():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        print(f"gpu.sh: {problem}", file=sys.stderr)
        return 2
    DONE.write_text(mark, encoding="utf-8")
    return 0


def missing() -> str | None:
    """Say what is not there, None if all is."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        about = json.loads((BUNDLE / "about.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"no bundle in {ROOT}: make gpu-bundle writes an archive that has one"
    if about["python"] != here:
        return (
            f"this bundle is for Python {about['python']}, and {sys.executable} is {here}: "
            f"make gpu-bundle PYTHON_VERSION={here}, or PYTHON=/path/to/python{about['python']}"
        )
    if importlib.util.find_spec("torch") is None:
        return (
            f"{sys.executable} has no torch: PYTHON=/path/to/python sh benchmarks/gpu.sh --bundle"
        )
    if importlib.util.find_spec("pip") is None:
        return f"{sys.executable} has no pip: install it, or take another PYTHON"
    return None


def make() -> str | None:
    """Make the venv and install into it; say what failed."""
    print(f"making {ENVIRONMENT.name}/ on top of {sys.executable}", file=sys.stderr)
    venv = [sys.executable, "-m", "venv", "--without-pip", str(ENVIRONMENT)]
    if problem := _run(venv):
        return f"no venv could be made: {problem}"
    python = ENVIRONMENT / "bin" / "python"
    [site] = ENVIRONMENT.glob("lib/python*/site-packages")
    # A venv on top of a venv would see the system's packages, and not those of the one below.
    below = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    lines = [f"import site; site.addsitedir({path!r})" for path in below]
    (site / "below.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    needed = json.loads((BUNDLE / "about.json").read_text(encoding="utf-8"))["needed"]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    pip += ["--disable-pip-version-check", "--no-index", "--find-links", str(BUNDLE)]
    if problem := _run([*pip, "--no-compile", *needed]):
        return f"pip could not install from the bundle: {problem}"
    subprocess.run([str(python), str(Path(__file__)), "whence"], check=False)
    return None


def _run(command: list[str]) -> str | None:
    """Run a command; the last line that it says if it fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    environment["PIP_CONFIG_FILE"] = os.devnull  # no index, no constraint of this machine
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if not done.returncode:
        return None
    lines = (done.stderr + done.stdout).strip().splitlines() or ["it failed without a word"]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines)[-1]


def whence() -> int:
    """Say which packages came from where: run inside the environment."""
    import importlib.metadata

    needed = json.loads((BUNDLE / "about.json").read_text(encoding="utf-8"))["needed"]
    names = sorted({"torch", *(each.partition(">")[0] for each in needed)})
    for name in names:
        found = importlib.metadata.distribution(name)
        place = Path(str(found.locate_file("")))
        source = "bundle" if ENVIRONMENT in place.parents else str(place)
        print(f"  {name} {found.version}: {source}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(whence() if sys.argv[1:] == ["whence"] else main())

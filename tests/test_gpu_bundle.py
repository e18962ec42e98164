"""The archive for a machine without network, and the environment that is made from it there."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from benchmarks import unpack
from halfbits import reviews
from tools import gpu_bundle

ROOT = Path(__file__).parents[1]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def wheel(folder: Path, name: str = "tiny", requires: str = "") -> Path:
    """A wheel of one module; its text is long, so that compression shows."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    need = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": "HERE = True\n" + "# long\n" * 500,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{need}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, text in files.items():
            archive.writestr(place, text)
    return path


# Making it.


def test_it_has_what_lessons_need_and_not_what_comes_with_torch():
    pins = dict(pin.split("==") for pin in gpu_bundle.pinned("3.12"))
    assert {"numpy", "lightning", "transformers", "ipykernel", "anywidget", "jupytext"} <= set(pins)
    assert "aiohttp" in pins  # lightning wants fsspec[http], and fsspec itself comes with torch
    assert not {"torch", "sympy", "jinja2", "fsspec", "nbgrader", "jupyterlab"} & set(pins)
    assert not any(name.startswith(("nvidia", "cuda", "triton")) for name in pins)
    assert all(version(name) == pin for name, pin in pins.items())
    fewer = dict(pin.split("==") for pin in gpu_bundle.pinned("3.12", {"transformers", "numpy"}))
    assert set(fewer) < set(pins) and not {"transformers", "tokenizers", "numpy"} & set(fewer)
    with pytest.raises(gpu_bundle.BundleError, match="no-such-thing is not installed here"):
        gpu_bundle.closure("no_such.thing", "3.12")


def test_the_archive_is_the_project_as_committed_and_wheels(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_bundle, "download", lambda folder, *_: [wheel(folder)])
    target = tmp_path / "deep" / "bundle.tar.xz"
    monkeypatch.setattr(sys, "argv", ["gpu_bundle.py", "--out", str(target)])
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout: the archive has the project as committed")
    assert gpu_bundle.main() == 0 and "MB" in capsys.readouterr().out
    with tarfile.open(target) as archive:
        names = archive.getnames()
        wanted = ("COMMIT", "bundle/about.json", "bundle/tiny-1.0-py3-none-any.whl")
        read = {name: archive.extractfile(f"half-the-bits/{name}").read() for name in wanted}
    assert all(name.startswith("half-the-bits/") for name in names)
    assert {f"half-the-bits/{name}" for name in ("benchmarks/gpu.sh", "Makefile")} <= set(names)
    assert not any("/.venv/" in name or "/.git/" in name for name in names)
    assert len(read["COMMIT"]) == 12 and json.loads(read["bundle/about.json"])["python"] == HERE
    with zipfile.ZipFile(io.BytesIO(read["bundle/tiny-1.0-py3-none-any.whl"])) as stored:
        assert stored.testzip() is None and b"HERE" in stored.read("tiny.py")
        assert all(info.compress_type == zipfile.ZIP_STORED for info in stored.infolist())


def test_what_cannot_be_had_is_one_line_and_nothing_is_left(tmp_path, monkeypatch, capsys):
    target = tmp_path / "bundle.tar.xz"
    monkeypatch.setattr(sys, "argv", ["gpu_bundle.py", "--out", str(target)])
    monkeypatch.setattr(gpu_bundle, "download", lambda *_: [])
    monkeypatch.setattr(gpu_bundle, "ROOT", tmp_path)
    assert gpu_bundle.main() == 2
    said = capsys.readouterr().err
    assert said == "gpu-bundle: the project is bundled as committed, and this is no git checkout\n"
    assert not list(tmp_path.iterdir())


def test_only_word_pieces_that_a_sentence_has_keep_their_numbers(tmp_path, monkeypatch):
    split = reviews.Split([("a good film", 1)], [], [("bad", 0)])
    monkeypatch.setattr(reviews, "load_snippets", lambda _: split)
    table, other = torch.randn(30522, 4), torch.randn(3, 4)
    name = "embeddings.word_embeddings.weight"
    found = load(gpu_bundle.without_unused_rows(save({name: table, "x": other}), tmp_path))
    tokenizer = reviews.load_tokenizer()
    used = {0, *tokenizer("a good film")["input_ids"], *tokenizer("bad")["input_ids"]}
    assert torch.equal(found["x"], other)
    assert torch.equal(found[name][sorted(used)], table[sorted(used)])
    assert found[name].any(1).sum() == len(used)


# Using it.


@pytest.fixture
def far(tmp_path, monkeypatch):
    """A folder as unpacked on a machine far away, with one wheel that it needs."""
    (tmp_path / "bundle").mkdir()
    wheel(tmp_path / "bundle")
    about = {"python": HERE, "needed": ["tiny", "torch"]}
    (tmp_path / "bundle" / "about.json").write_text(json.dumps(about))
    monkeypatch.setattr(unpack, "ROOT", tmp_path)
    monkeypatch.setattr(unpack, "BUNDLE", tmp_path / "bundle")
    monkeypatch.setattr(unpack, "ENVIRONMENT", tmp_path / ".gpu")
    monkeypatch.setattr(unpack, "DONE", tmp_path / ".gpu" / "made-from")
    return tmp_path


def test_the_environment_stands_on_the_python_that_has_torch(far):
    assert unpack.main() == 0
    asked = "import tiny, torch; print(tiny.__file__); print(torch.__file__)"
    python = far / ".gpu" / "bin" / "python"
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    ours, theirs = done.stdout.split()
    assert str(far) in ours and theirs == torch.__file__
    stamp = (far / ".gpu" / "made-from").stat().st_mtime_ns
    assert unpack.main() == 0 and (far / ".gpu" / "made-from").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"python": "2.7"}, "this bundle is for Python 2.7, and .*PYTHON_VERSION="),
        ({"needed": ["missing-wheel"]}, "pip could not install from the bundle: .*missing-wheel"),
        ({"needed": ["tiny>=2"]}, "pip could not install from the bundle: .*tiny"),
    ],
)
def test_a_bundle_that_does_not_fit_is_one_line(far, change, sentence, capfd):
    note = far / "bundle" / "about.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | change))
    assert unpack.main() == 2
    lines = capfd.readouterr().err.splitlines()
    assert not (far / ".gpu").exists()
    assert len([line for line in lines if line.startswith("gpu.sh: ")]) == 1
    assert re.search(sentence, lines[-1])


def test_no_bundle_no_torch_and_no_pip_are_said(far, monkeypatch, capfd):
    def lacks(name):
        monkeypatch.setattr(unpack.importlib.util, "find_spec", lambda each: each != name or None)

    for name in ("torch", "pip"):
        lacks(name)
        assert unpack.main() == 2 and f"has no {name}" in capfd.readouterr().err
    shutil.rmtree(far / "bundle")
    assert unpack.main() == 2
    assert "make gpu-bundle writes an archive that has one" in capfd.readouterr().err


ARCHIVE = os.environ.get("HALFBITS_GPU_BUNDLE")


@pytest.mark.skipif(not ARCHIVE, reason="takes minutes: HALFBITS_GPU_BUNDLE=dist/half-the-bits-gpu"
                    ".tar.xz after make gpu-bundle")  # fmt: skip
@pytest.mark.timeout(1800)
def test_every_step_rehearses_from_the_archive_alone_without_network(tmp_path):
    shutil.unpack_archive(ARCHIVE, tmp_path, "xztar")
    script = tmp_path / "half-the-bits" / "benchmarks" / "gpu.sh"
    steps = f"ip link set lo up; sh {script} --bundle --device cpu --quick --out {tmp_path}/out"
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp_path)}
    python = os.environ.get("HALFBITS_BARE_PYTHON", sys.executable)
    command = ["unshare", "-rn", "sh", "-c", steps]
    done = subprocess.run(command, env=clean | {"PYTHON": python}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(path.read_text()) for path in (tmp_path / "out").iterdir()]
    assert len(found) == 16 and all(each["complete"] for each in found)

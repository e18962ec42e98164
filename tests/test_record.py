"""Recording what needs a GPU: steps that are rerun, out of time, or fail; and what each does."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import claims, eight_bits, lessons, policies, record
from halfbits.benchmark.results import gpu_records

ROOT = Path(__file__).parents[1]


@pytest.fixture
def steps(monkeypatch, tmp_path):
    """Steps of a script that counts its runs and does what a file beside it says."""
    script = tmp_path / "step.py"
    script.write_text(
        "import json, pathlib, sys, time\n"
        "mode, out = sys.argv[1], pathlib.Path(sys.argv[sys.argv.index('--out') + 1])\n"
        f"runs = pathlib.Path({str(tmp_path)!r}) / 'runs'\n"
        "runs.write_text(runs.read_text() + mode + ' ' if runs.exists() else mode + ' ')\n"
        "if mode == 'fails': sys.exit('it failed')\n"
        "record = {'date': '2026-01-02', 'complete': False, 'command': 'mine', 'x': mode}\n"
        "out.write_text(json.dumps(record))\n"
        "try:\n"
        "    while mode == 'endless': time.sleep(0.1)\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
        "if mode == 'bad': out.write_text(json.dumps(record | {'complete': True})), sys.exit(1)\n"
        "out.write_text(json.dumps(record | {'complete': True}))\n"
    )
    modes = ("good", "fails", "endless", "bad")
    made = {mode: record.Step(mode, f"what is {mode}", (str(script), mode)) for mode in modes}
    monkeypatch.setattr(record, "STEPS", made)

    def take(*arguments):
        monkeypatch.setattr(sys, "argv", ["gpu.sh", "--device", "cpu", "--out", str(tmp_path / "o"),
                                          *arguments])  # fmt: skip
        return record.main()

    take.runs = lambda: (tmp_path / "runs").read_text().split()
    take.found = lambda name: json.loads((tmp_path / "o" / f"{name}.json").read_text())
    return take


def test_a_rerun_does_what_is_missing(steps, capfd):
    assert steps("--step", "good", "fails") == 1
    said = capfd.readouterr().err
    assert "not recorded: fails; a rerun tries them again" in said and "it failed" in said
    assert steps("--step", "good", "fails") == 1
    assert steps.runs() == ["good", "fails", "fails"]
    assert steps("--step", "good", "--again") == 0 and steps.runs()[-1] == "good"
    assert steps.found("good_cpu")["command"] == "sh benchmarks/gpu.sh --step good --device cpu"


def test_a_step_that_runs_out_of_time_leaves_what_it_has_and_is_done_again(steps, capfd):
    assert steps("--step", "endless", "--minutes", "0.02") == 1
    assert "endless: out of time" in capfd.readouterr().err
    assert steps.found("endless_cpu")["complete"] is False
    steps("--list")
    listed = dict(line.split()[:2] for line in capfd.readouterr().out.splitlines())
    assert listed == {"good": "missing", "fails": "missing", "endless": "partly", "bad": "missing"}
    assert steps("--step", "endless", "--minutes", "0.02") == 1
    assert steps.runs() == ["endless", "endless"]


def test_a_part_never_takes_the_place_of_the_whole(steps, tmp_path):
    whole = {"date": "2025-01-01", "complete": True}
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "endless_cpu.json").write_text(json.dumps(whole))
    assert steps("--step", "endless", "--minutes", "0.02", "--again") == 1
    assert steps.found("endless_cpu") == whole
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["endless_cpu.json"]


def test_a_record_that_names_failures_is_kept_and_the_step_has_failed(steps, capfd):
    assert steps("--step", "bad") == 1
    assert "bad: recorded, and it names what failed" in capfd.readouterr().err
    assert steps.found("bad_cpu")["complete"] is True


def test_a_rehearsal_is_not_taken_for_a_record(steps, tmp_path):
    assert steps("--step", "good", "--quick") == 0
    assert (tmp_path / "o" / "good_cpu_quick.json").exists()
    (tmp_path / "o" / "good_cuda_quick.json").write_text("{}")
    assert gpu_records("good", tmp_path) == []


def test_no_gpu_and_bad_options_are_one_line(steps, capfd, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU: it looks at what is said there")
    assert steps("--device", "cuda", "--step", "good") == 2
    assert capfd.readouterr().err == (
        "gpu.sh: torch sees no CUDA GPU here; choose cpu, or see make doctor\n"
    )
    for wrong in (["--step", "unknown"], ["--minutes", "0"], ["--fast"]):
        with pytest.raises(SystemExit) as stopped:
            steps(*wrong)
        assert stopped.value.code == 2 and "Traceback" not in capfd.readouterr().err


def test_the_shell_script_passes_its_options_on(tmp_path):
    def said(*arguments, **environment):
        command = ["sh", str(ROOT / "benchmarks" / "gpu.sh"), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=os.environ | environment
        )

    listed = said("--list", "--device", "cpu", "--out", "here", PYTHON=sys.executable)
    assert listed.returncode == 0 and listed.stdout.count("missing") == len(record.STEPS)
    gone = said("--list", PYTHON="/no/python")
    assert gone.returncode == 2 and gone.stderr.startswith("gpu.sh: no /no/python here")
    bare = said("--device", "cpu", "--bundle", PYTHON=sys.executable)
    assert bare.returncode == 2 and "no bundle in" in bare.stderr and bare.stderr.count("\n") == 1


def test_every_script_is_there_and_takes_the_same_options():
    for step in record.STEPS.values():
        script = step.command[0]
        assert script == "-m" or (ROOT / script).is_file(), script


QUICK = ("doctor", "autocast", "claims", "finetuning", "eight_bits", "policies")


@pytest.mark.parametrize("name", QUICK)
def test_a_step_rehearses_on_the_cpu(name, tmp_path):
    chosen = record._parser().parse_args(
        ["--device", "cpu", "--quick", "--out", str(tmp_path), "--step", name]
    )
    assert record.take(record.STEPS[name], chosen)
    [file] = tmp_path.iterdir()
    found = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert file.name == f"{name}_cpu_quick.json" and found["complete"] and found["quick"]
    assert found["versions"]["torch"] == torch.__version__ and found["machine"]["device"]
    assert found["command"] == f"sh benchmarks/gpu.sh --step {name} --device cpu --quick"
    assert str(tmp_path) not in file.read_text() and file.stat().st_size < 200_000


# What the scripts measure, where a CPU can tell.


def test_claims_are_what_the_cpu_does():
    found = claims.examine(torch.device("cpu"), True)
    for cast in found["casts"].values():
        assert cast["gives"] == cast["on_the_cpu"]
    edge = found["casts"]["torch.float32 to torch.float8_e4m3fn"]
    assert dict(zip(map(str, edge["of"]), edge["gives"], strict=True))["19.0"] == 20.0
    assert found["scaler"]["torch.float16"]["result"].startswith(
        "ValueError: Attempting to unscale"
    )
    kept = found["stale_cache"]
    assert len(set(kept["around the loop, too"])) == 1
    assert sorted(kept["autocast in each step"], reverse=True) == kept["autocast in each step"]
    assert kept["autocast in each step"][-1] < kept["autocast in each step"][0]
    assert found["adam_in_fp16"]["result"]["finite"] == 0
    assert found["products"]["32-true"] < 1e-6 < found["products"]["bf16-true"]


def test_eight_bit_products_are_near_and_what_is_not_possible_says_so():
    cpu = torch.device("cpu")
    found = eight_bits.speeds(64, cpu)
    assert 0 < found["RowWise"]["error"] < 0.05 and 0 < found["TensorWise"]["error"] < 0.05
    assert isinstance(found["BlockWise1x128"], str)  # the CPU has no such product
    assert found["int8"]["ms"] > 0
    sums = eight_bits.sums(cpu, 256)
    assert all(error < 1e-6 for name, error in sums.items() if name != "count")


def test_block_scales_undo_what_they_did():
    x = torch.randn(8, 256)
    eight, scale = eight_bits.by_block(x)
    back = eight.float().unflatten(1, (-1, 128)) * scale[..., None]
    assert ((back.flatten(1) - x).abs() <= x.abs() / 16 + scale.max() * 2**-10).all()


def test_a_policy_decides_what_is_computed_and_not_what_is_kept():
    found = policies.examine(torch.device("cpu"), True)
    bf16 = found["policies"]["bf16"]
    assert bf16["linear in"] == bf16["norm weight"] == bf16["output"] == "torch.bfloat16"
    assert bf16["parameter"] == bf16["gradient"] == bf16["adam"] == "torch.float32"
    assert found["policies"]["bf16, inputs not cast"].startswith("RuntimeError")
    assert found["scaler"] == {"scales": [2.0**39, 2.0**38], "moved": False}


def test_a_lesson_that_fails_names_its_cells(tmp_path, monkeypatch):
    for folder, name, text in (
        ("solutions", "09_x.py", "# %%\n1 / 0\n\n# %%\nprint('on')\n\n# %%\nassert False, 'no'\n"),
        ("course", "data.txt", "beside"),
    ):
        (tmp_path / folder / "09_x").mkdir(parents=True)
        (tmp_path / folder / "09_x" / name).write_text(text)
    monkeypatch.setattr(lessons, "ROOT", tmp_path)
    found = lessons.run(tmp_path / "solutions" / "09_x")
    assert found["failures"] == [
        "1 / 0: ZeroDivisionError: division by zero",
        "assert False, 'no': AssertionError: no",
    ]
    assert found["cells"] == 3 and found["seconds"] > 0


def test_time_is_bounded_also_for_what_ignores_the_request():
    start = time.monotonic()
    monkey = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
    record.GRACE, before = 0.2, record.GRACE
    try:
        assert record.run([sys.executable, "-c", monkey], 0.5) is None
    finally:
        record.GRACE = before
    assert time.monotonic() - start < 300

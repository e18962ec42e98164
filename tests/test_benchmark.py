"""The benchmark: what is in a result was measured, what was not says why, and files are checked."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from halfbits.benchmark import ResultError, measuring, published, read_result, workloads
from halfbits.benchmark import __main__ as command
from halfbits.benchmark.measuring import attempt, compare, loss_gap, too_long
from halfbits.benchmark.provenance import commit, provenance
from halfbits.benchmark.results import write_result
from halfbits.benchmark.show import show_table, table
from halfbits.benchmark.tuning import RUNGS, tune
from halfbits.benchmark.workloads import SEED
from halfbits.models import mlp
from halfbits.precision import SETTINGS
from halfbits.training import class_loss, matmul_ladder

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
FEW = ["32-true", "tf32", "16-true", "16-mixed"]


def tiny():
    """The quick workloads with one layer and three timed steps."""
    return {
        name: replace(each, shape=each.shape | {"layers": 1, "context": 16}, warmup=1, steps=4)
        for name, each in workloads(quick=True).items()
    }


def quietly(_what):
    pass


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Nets this small wait for threads more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A result of the whole command, made once."""
    file = tmp_path_factory.mktemp("results") / "here.json"
    patch = pytest.MonkeyPatch()
    patch.setattr(command, "workloads", lambda quick: tiny())
    patch.setattr(measuring, "matmul_ladder", lambda plan: matmul_ladder(plan, sizes=(8, 16)))
    arguments = ["--device", "cpu", "--quick", "--settings", *FEW, "--out", str(file)]
    assert command.main(arguments) == 0
    patch.undo()
    return file


def test_a_result_says_where_when_and_with_what_it_was_measured(result):
    read = read_result(result)
    assert read["complete"] and read["quick"] and read["device"] == "cpu"
    assert read["command"].startswith("python -m halfbits.benchmark --device cpu --quick")
    assert read["versions"]["torch"] == torch.__version__ and read["date"] > "2026"
    assert read["machine"]["threads"] == 1 and read["machine"]["device"]
    json.loads(result.read_text(), parse_constant=pytest.fail)  # no NaN, which JSON does not have
    assert str(Path.home()) not in json.dumps(read["machine"])


def test_every_setting_is_measured_or_says_why_not(result):
    for workload in read_result(result)["workloads"].values():
        assert list(workload["settings"]) == FEW and workload["again_ms"] > 0
        assert workload["settings"]["tf32"] == {
            "not_measured": "tf32 is not possible on this CPU: tf32 is a mode of NVIDIA's tensor "
            "cores since Ampere"
        }
        base = workload["settings"]["32-true"]
        assert base["speedup"] == 1 and base["loss_gap"] == 0 and base["timed_steps"] == 3
        assert workload["settings"]["16-true"]["diverged"].startswith("first non-finite value")
        assert workload["settings"]["16-true"]["losses"][-1] is None
        mixed = workload["settings"]["16-mixed"]
        assert mixed["speedup"] == pytest.approx(base["step_ms"] / mixed["step_ms"], rel=1e-4)
        assert 0 < mixed["loss_gap"] < 0.01 and mixed["ceiling"] > 0
        assert mixed["share_of_ceiling"] == pytest.approx(
            mixed["flops"] / mixed["step_ms"] * 1e3 / mixed["ceiling"], rel=1e-4
        )
    matmul = read_result(result)["matmul"]
    assert set(matmul) == {"fp32", "tf32", "fp16"} and "not_measured" in matmul["tf32"]


def test_results_are_shown_as_tables_and_drawn(result, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    from halfbits.pictures.benchmarks import benchmark_speed

    plot = tmp_path / "speed.svg"
    assert command.main(["show", str(result), str(result), "--plot", str(plot)]) == 0
    said = capsys.readouterr().out
    assert said.count("32-true") >= 4 and "not measured: tf32 is not possible" in said
    assert "16-true: diverged: first non-finite value at step 0" in said and "NaN" in said
    assert plot.read_text().count("not measured") == 4
    picture = benchmark_speed(read_result(result))
    assert "tf32 not measured" in picture.text and "ms, diverged" in picture.text
    with pytest.raises(ValueError, match="nothing to draw"):
        benchmark_speed(read_result(result) | {"workloads": {}})
    assert command.main(["show", str(result), "--plot", "speed.png"]) == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot read .*: No such file"),
        (b"\xff\xfe", "cannot read .*: it is not text"),
        (b'{"format": "half', "is damaged: .*; measure anew"),
        (b"[]", "is no result of python -m halfbits.benchmark"),
        (b'{"format": "halfbits benchmark 1", "date": "2026"}', "it has no command, machine"),
    ],
)
def test_a_damaged_file_is_one_clear_line(content, sentence, tmp_path, capsys):
    file = tmp_path / "result.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ResultError, match=sentence):
        read_result(file)
    assert command.main(["show", str(file)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("key", ["matmul", "workloads"])
def test_a_result_with_wrong_insides_is_damaged(key, result, tmp_path, capsys):
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(json.loads(result.read_text()) | {key: {"fp32": {"ladder": 3}}}))
    assert command.main(["show", str(file)]) == 2
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--settings", "fp8"], "no setting 'fp8'; choose one of: 32-true"),
        (["--device", "gpu"], "no device 'gpu'; choose cpu, cuda or mps"),
    ],
)
def test_what_does_not_exist_is_one_clear_line(arguments, sentence, capsys):
    assert command.main(arguments) == 2
    assert sentence in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_measured(tmp_path, monkeypatch, capsys):
    def interrupted(workload, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "compare", interrupted)
    monkeypatch.setattr(command, "ladders", lambda *_: {})
    file = tmp_path / "part.json"
    assert command.main(["--device", "cpu", "--quick", "--out", str(file)]) == 130
    assert not read_result(file)["complete"]
    assert "This measurement was interrupted." in capsys.readouterr().out


def test_without_a_file_the_last_line_is_json(monkeypatch, capsys):
    monkeypatch.setattr(command, "ladders", lambda *_: {})
    assert command.main(["--device", "cpu", "--quick", "--workloads", "matmul"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["workloads"] == {}


# Workloads.


def test_the_shapes_are_the_sources_and_gpt_2s():
    for name, count in (("distilbert", 66_955_010), ("gpt", 124_439_808)):
        workload = workloads(quick=False)[name]
        with torch.device("meta"):
            model = workload.network(**workload.shape)
        assert sum(p.numel() for p in model.parameters()) == count == workload.parameters
    bert = workloads(quick=False)["distilbert"]
    assert (bert.batch, bert.shape["context"]) == (12, 512)


def test_the_parameters_are_those_of_the_transformers_library():
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        real = transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig())
        ours = workloads(quick=False)["distilbert"]
        ours = ours.network(**ours.shape)
    shapes = [sorted(tuple(p.shape) for p in model.parameters()) for model in (real, ours)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ["distilbert", "gpt"])
def test_each_run_has_the_same_weights_and_data(name):
    workload = workloads(quick=True)[name]
    first, second = workload.model().state_dict(), workload.model().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    for a, b in zip(workload.batches(), workload.batches(), strict=True):
        assert all(map(torch.equal, a, b)) and len(a[0]) == workload.batch
    context = workload.shape["context"]
    assert a[0].shape == (workload.batch, context + (name == "gpt")) and a[0].dtype == torch.int64
    assert a[0].min() >= 0 and a[0].max() < workload.shape["vocabulary"]


def test_a_wrong_shape_is_not_measured_under_its_name():
    with pytest.raises(AssertionError, match="parameters, not 3"):
        replace(workloads(quick=True)["gpt"], parameters=3).model()


def test_a_step_of_hours_is_not_begun():
    bert = workloads(quick=False)["distilbert"]
    assert too_long(bert, 43_000_000, 1e14) is None
    assert "about 26 minutes" in too_long(bert, 43_000_000, 1e9)
    assert too_long(bert, 43_000_000, None) is None


def test_time_runs_out_after_the_warm_up_only(monkeypatch):
    now = iter(range(0, 1000, 100))
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    assert list(measuring._until(iter("abcdef"), 150, warmup=2)) == ["a", "b", "c", "d"]


def test_too_little_memory_is_a_reason_and_not_the_end():
    def loss(model, tokens, classes):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.")

    workload = replace(tiny()["distilbert"], loss=loss)
    found = attempt(workload, "32-true", "cpu", {}, workload.parameter_counts())
    assert "torch asked for 3.00 GiB more" in found["not_measured"]
    compared = compare(workload, ["32-true", "16-mixed"], "cpu", {}, quietly)
    assert all("not_measured" in entry for entry in compared["settings"].values())
    assert compared["again_ms"] is None


def test_loss_curves_are_compared_where_both_are_finite():
    assert loss_gap([1.0, 2.0], [1.5, 2.5, 9.0]) == 0.5
    assert loss_gap([1.0, None], [1.0, 1.0]) is None


# The ladder of changes.


def test_the_ladder_changes_one_thing_at_a_time_and_keeps_the_losses():
    asked = []

    def compiler(loss, mode):
        asked.append(mode)
        if mode != "default":
            raise_here = RuntimeError("no C++ compiler")

            def broken(*_):
                raise raise_here

            return broken
        return loss

    found = tune(tiny()["distilbert"], "cpu", {}, quietly, compiler)
    rungs = found["rungs"]
    assert list(rungs) == [rung.change for rung in RUNGS] and "without dropout" in found["about"]
    assert asked == [rung.compile for rung in RUNGS if rung.compile]
    fp32, fused = rungs["fp32"], rungs["+ fused Adam"]
    assert fp32["loss_gap"] == 0 and 0 < fused["loss_gap"] < 0.01
    assert "not_measured" in rungs["products in tf32"]
    failed = rungs["+ a search for the fastest kernels"]["not_measured"]
    assert failed == "torch.compile failed: RuntimeError: no C++ compiler"
    shown = {"matmul": {}, "workloads": {}, "tune": {"distilbert": found}, "date": "2026-11-24"}
    shown |= {"machine": {"device": "X"}, "versions": {"torch": "2"}}
    assert "+ fused Adam" in show_table(shown)


# Where it comes from.


def test_provenance_of_a_gpu(monkeypatch):
    class Properties:
        total_memory, major, minor = 80e9, 9, 0

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    machine = provenance(torch.device("cuda"), command=["--tune"])["machine"]
    assert machine["device"] == "NVIDIA H100" and machine["capability"] == "9.0"
    assert {"driver", "memory_bytes", "cpu"} <= set(machine)


def test_the_commit_is_gits_or_unknown(monkeypatch):
    assert commit() is None or len(commit().rstrip("+")) == 12
    monkeypatch.setenv("PATH", "/nowhere")
    assert commit() is None


def test_what_the_source_reports_is_cited_and_in_its_own_words():
    cited = published()
    assert {run["source"] for run in cited["runs"]} == set(cited["sources"]) == {"course", "blog"}
    course = {
        run["setting"]: (run["minutes"], run["test_accuracy"])
        for run in cited["runs"]
        if run["source"] == "course"
    }
    assert course == {
        "32-true": (21.64, 0.9223),
        "16-mixed": (7.24, 0.9267),
        "bf16-mixed": (7.62, 0.9198),
    }
    assert all(run["setting"] in SETTINGS for run in cited["runs"])
    assert all("A100" in source["gpu"] for source in cited["sources"].values())


def test_numbers_are_written_short_and_read_back(tmp_path):
    file = tmp_path / "deep" / "result.json"
    write_result(file, {"losses": [1 / 3, None, 2.0], "name": {"x": 1e9 / 7}})
    assert json.loads(file.read_text()) == {
        "losses": [0.333333, None, 2.0],
        "name": {"x": 142857000.0},
    }
    assert ' "losses": [0.333333, null, 2.0],\n' in file.read_text()


def test_columns_are_aligned():
    assert table(("a", "b"), [("x", "1"), ("yy", "22")]).splitlines() == [
        "a    b",
        "──  ──",
        "x    1",
        "yy  22",
    ]


def test_recorded_results_can_be_read_and_shown():
    files = sorted((ROOT / "benchmarks" / "results").glob("training_*.json"))
    for file in files:
        result = read_result(file)
        assert result["complete"] and result["commit"] and show_table(result)


def test_models_outside_the_course_can_be_workloads():
    workload = replace(
        tiny()["distilbert"],
        network=lambda: mlp(4, 2),
        shape={},
        data=lambda shape, rows: (torch.ones(rows, 4), torch.zeros(rows, dtype=torch.int64)),
        loss=class_loss,
    )
    found = attempt(workload, "64-true", "cpu", {}, workload.parameter_counts())
    assert found["timed_steps"] == 3 and SEED == 0


def test_python_m_answers_help():
    done = subprocess.run(
        [sys.executable, "-m", "halfbits.benchmark", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ,
    )
    assert "--quick" in done.stdout and "under two minutes" in done.stdout

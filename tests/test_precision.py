"""Precision settings: what each asks of torch, and that no device falls back in silence."""

import warnings

import pytest
import torch

from halfbits import devices
from halfbits.devices import abilities, of_cpu, of_cuda, of_mps
from halfbits.precision import SETTINGS, PrecisionError, setting

CUDA, MPS = torch.device("cuda"), torch.device("mps")
A100 = of_cuda(CUDA, "NVIDIA A100", (8, 0))
T4 = of_cuda(CUDA, "Tesla T4", (7, 5))
MI300 = of_cuda(CUDA, "AMD Instinct MI300X", (9, 4), amd=True)
OLD_MAC, MAC = of_mps(MPS, bf16=False), of_mps(MPS, bf16=True)
SLOW_CPU, FAST_CPU = of_cpu(bf16=False, fp16=False), of_cpu(bf16=True, fp16=True)
EVERY = set(SETTINGS)


def possible(able):
    found = set()
    for name in SETTINGS:
        try:
            setting(name).on(able)
        except PrecisionError as error:
            assert "\n" not in str(error) and name in str(error) and able.name in str(error)
        else:
            found.add(name)
    return found


@pytest.mark.parametrize(
    ("able", "refused"),
    [
        (A100, set()),
        (T4, {"tf32", "bf16-true", "bf16-mixed"}),
        (MI300, {"tf32"}),
        (MAC, {"tf32", "64-true"}),
        (OLD_MAC, {"tf32", "64-true", "bf16-true", "bf16-mixed"}),
        (SLOW_CPU, {"tf32"}),
        (FAST_CPU, {"tf32"}),
    ],
    ids=["A100", "T4", "MI300", "mac", "old mac", "slow CPU", "fast CPU"],
)
def test_each_device_runs_what_it_can_as_asked_and_refuses_the_rest(able, refused):
    assert possible(able) == EVERY - refused


@pytest.mark.parametrize(
    ("name", "parameters", "autocast", "scaled", "matmul"),
    [
        ("32-true", torch.float32, None, False, "highest"),
        ("tf32", torch.float32, None, False, "high"),
        ("64-true", torch.float64, None, False, "highest"),
        ("16-true", torch.float16, None, False, "highest"),
        ("bf16-true", torch.bfloat16, None, False, "highest"),
        ("16-mixed", torch.float32, torch.float16, True, "highest"),
        ("bf16-mixed", torch.float32, torch.bfloat16, False, "highest"),
    ],
)
def test_what_a_setting_asks_of_torch(name, parameters, autocast, scaled, matmul):
    found = setting(name)
    assert (found.parameters, found.autocast) == (parameters, autocast)
    assert (found.scaled, found.matmul) == (scaled, matmul)
    assert setting(found) is found
    assert found.on(A100).device.type == "cuda" and found.on(A100).hint == ""


@pytest.mark.parametrize("name", sorted(EVERY - {"tf32"}))
def test_a_plan_places_a_model_and_its_inputs(name):
    plan = setting(name).on("cpu")
    model = plan.place(torch.nn.Linear(4, 3))
    assert model.weight.dtype == plan.precision.parameters
    x, labels = plan.move(torch.ones(2, 4)), plan.move(torch.tensor([1, 2]))
    assert x.dtype == plan.precision.parameters and labels.dtype == torch.int64
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns when it switches something off
        with plan.active(), plan.autocast():
            assert model(x).dtype == (plan.precision.autocast or plan.precision.parameters)
        scaler = plan.scaler(init_scale=8.0)
    assert (scaler is not None) == plan.precision.scaled
    assert scaler is None or (scaler.is_enabled() and scaler.get_scale() == 8)


@pytest.mark.parametrize("name", ["32-true", "tf32"])
@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_the_global_precision_of_products_comes_back(name, before):
    plan, cudnn = setting(name).on(A100), torch.backends.cudnn
    torch.set_float32_matmul_precision(before)
    allowed = cudnn.allow_tf32
    try:
        with pytest.raises(KeyError), plan.active():
            assert torch.get_float32_matmul_precision() == plan.precision.matmul
            assert cudnn.allow_tf32 == (name == "tf32")
            raise KeyError
        assert torch.get_float32_matmul_precision() == before and cudnn.allow_tf32 == allowed
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.skipif(torch.cuda.is_available(), reason="run it where there is no GPU")
def test_a_scaler_that_torch_switches_off_is_an_error():
    with pytest.warns(UserWarning), pytest.raises(PrecisionError, match="switched the GradScaler"):
        setting("16-mixed").on(A100).scaler()


def test_slowness_is_said_and_changes_nothing():
    assert "much slower than fp32" in setting("16-mixed").on(SLOW_CPU).hint
    assert setting("16-mixed").on(SLOW_CPU).precision.autocast == torch.float16
    assert setting("bf16-mixed").on(FAST_CPU).hint == setting("32-true").on(SLOW_CPU).hint == ""


def test_unknown_names_are_refused_with_those_that_there_are():
    with pytest.raises(PrecisionError, match="no setting 'fp16'; choose one of: 32-true, tf32, 64"):
        setting("fp16")
    for name in ("gpu", "xpu", "meta"):
        with pytest.raises(PrecisionError, match=f"no device '{name}'; choose cpu, cuda or mps"):
            abilities(name)
    assert issubclass(PrecisionError, ValueError)


def test_devices_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(PrecisionError, match="torch sees no CUDA GPU here"):
        setting("16-mixed").on("cuda")
    with pytest.raises(PrecisionError, match="no Apple GPU"):
        abilities("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(PrecisionError, match=r"no cuda:3: torch sees 1 CUDA GPU\(s\)"):
        abilities("cuda:3")


def test_what_torch_says_of_a_gpu_is_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    with pytest.raises(PrecisionError, match="bf16-mixed is not possible on Tesla V100"):
        setting("bf16-mixed").on("cuda")
    assert setting("16-mixed").on("cuda:0").device == torch.device("cuda:0")


def test_a_build_without_onednn_is_slow_not_broken(monkeypatch):
    class Nothing:
        mkldnn = object()

    monkeypatch.setattr(devices.torch, "ops", Nothing)
    assert set(abilities("cpu").slow) == {"bf16", "fp16"}

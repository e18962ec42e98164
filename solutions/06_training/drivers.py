"""How the checks of Unit 6 drive your functions. Nothing here is secret."""

import contextlib
import threading
import time
from types import SimpleNamespace
from unittest import mock

import torch

from halfbits.data_sets import batches, load_digits
from halfbits.models import mlp

torch.optim.SGD([torch.zeros(1)])  # PyTorch's first optimizer of all imports modules for seconds


def raised(error):
    """An exception as data: what a task asks for by its name, others with their message."""
    if isinstance(error, NotImplementedError) and not error.args:
        raise error  # not attempted yet
    name = type(error).__name__
    return name if isinstance(error, ValueError) else f"{name}: {str(error)[:120]}"


def short(dtype):
    return str(dtype).removeprefix("torch.")


# ── make_precision ───────────────────────────────────────────────────────────────────────────────


class Interrupted(Exception):
    """What happens in a training that somebody stops."""


def make_precision(function, mode, device):
    """Enter what the function makes, on a machine that seems to have CUDA if it is asked for."""
    outside = torch.get_float32_matmul_precision()
    seen = {}
    with _machine_with(device):
        try:
            torch.set_float32_matmul_precision("medium")
            with function(mode, device) as precision:
                seen = _look_at(precision)
            seen["float32 matmul precision"] += f", then {torch.get_float32_matmul_precision()}"
            with contextlib.suppress(Interrupted), function(mode, device):
                raise Interrupted
            seen["after an exception"] = torch.get_float32_matmul_precision()
        except Exception as error:
            return {"raised": raised(error)}
        finally:
            torch.set_float32_matmul_precision(outside)
    return seen


def _look_at(precision):
    autocast = {_autocast_state(precision) for _ in range(2)}  # a training enters it in every step
    scaler = precision.scaler
    if isinstance(scaler, torch.amp.GradScaler):
        loss_scaling = f"on, for {scaler._device}" if scaler.is_enabled() else "off"
    else:
        loss_scaling = f"no GradScaler: {type(scaler).__name__}"
    return {
        "device": str(precision.device),
        "dtype": precision.dtype,
        "autocast": " or ".join(sorted(autocast)),
        "scaler": loss_scaling,
        "float32 matmul precision": torch.get_float32_matmul_precision(),
    }


def _autocast_state(precision):
    with precision.autocast:
        on = [kind for kind in ("cpu", "cuda", "mps") if torch.is_autocast_enabled(kind)]
        found = [f"to {short(torch.get_autocast_dtype(kind))}, on {kind}" for kind in on]
    return " and ".join(found) or "off"


@contextlib.contextmanager
def _machine_with(device):
    """PyTorch finds CUDA if this is the device, and no CUDA otherwise, whatever there is."""
    there = lambda *_, **__: device == "cuda"  # noqa: E731
    with (
        mock.patch.object(torch.cuda, "is_available", there),
        mock.patch.object(torch.cuda, "is_bf16_supported", there),
    ):
        yield


# ── train_digits ─────────────────────────────────────────────────────────────────────────────────

BATCH = 64
SETTINGS = {  # dtype of the parameters; dtype of autocast
    "32-true": (torch.float32, None),
    "64-true": (torch.float64, None),
    "16-true": (torch.float16, None),
    "bf16-true": (torch.bfloat16, None),
    "16-mixed": (torch.float32, torch.float16),
    "bf16-mixed": (torch.float32, torch.bfloat16),
}


def train_digits(function, mode, steps, init_scale=2.0**16, mislabelled=0, bad_batch=None, seed=0):
    """Train a network of 64-64-10 on the CPU.

    ``mislabelled`` of the 360 test images have a wrong label, and batch number ``bad_batch`` holds
    a pixel that is infinite.
    """
    digits, outputs = load_digits(), set()
    test_y = digits.test_y.clone()
    test_y[:mislabelled] = (test_y[:mislabelled] + 1) % 10
    some = list(batches(digits.train_x, digits.train_y, size=BATCH, steps=steps, seed=seed))
    if bad_batch is not None:
        some[bad_batch - 1][0][0, 0] = torch.inf
    with _one_thread():
        torch.manual_seed(seed)
        model = mlp(64, 64, 10)
        hook = model.register_forward_hook(lambda *call: _note(outputs, call[-1]))
        try:
            result = function(model, some, (digits.test_x, test_y), _precision(mode, init_scale))
        except Exception as error:
            return {"raised": raised(error)}
        hook.remove()
    if not isinstance(result, dict) or not isinstance(result.get("losses"), list):
        return result
    losses = result.pop("losses")
    return {
        **result,
        "losses": len(losses),
        "first loss": losses[0] if losses else None,
        "weights": next(model.parameters()).dtype,
        "training outputs": ", ".join(sorted(outputs)),
    }


def _note(outputs, output):
    if len(output) == BATCH:  # not of the test images
        outputs.add(short(output.dtype))


def _precision(mode, init_scale):
    dtype, lower = SETTINGS[mode]
    return SimpleNamespace(
        device="cpu",
        dtype=dtype,
        autocast=torch.autocast("cpu", dtype=lower or torch.bfloat16, enabled=lower is not None),
        scaler=torch.amp.GradScaler("cpu", init_scale=init_scale, enabled=mode == "16-mixed"),
    )


@contextlib.contextmanager
def _one_thread():
    """Such small products take longer when they are shared out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


# ── tf32_round ───────────────────────────────────────────────────────────────────────────────────


def tf32_round(function, x):
    """x may hold patterns instead of floats (int32), because a NaN has many."""
    x = x.view(torch.float32)
    before = x.clone().view(torch.int32)
    seen = {"result": function(x)}
    if not torch.equal(x.view(torch.int32), before):
        seen["input"] = "overwritten"
    return seen


# ── bench ────────────────────────────────────────────────────────────────────────────────────────


def bench(function, milliseconds, warmup, iters, device):
    """Time a function whose calls take so long, on a machine that exists in a clock only."""
    machine = Machine(device)
    calls = 0

    def fn():
        nonlocal calls
        work = milliseconds[calls] if calls < len(milliseconds) else milliseconds[-1]
        calls += 1
        machine.work(work)

    with machine.instead_of_the_real_one(function):
        try:
            result = function(fn, warmup, iters, device)
        except Exception as error:
            return {"raised": raised(error)}
    if isinstance(result, float):
        result = round(result, 6)
    return {"result": result, "calls of fn": calls}


class Machine:
    """A processor and, for CUDA, a GPU with a queue: calls return before their work is done."""

    LAUNCH = 2.0**-6  # ms that the processor needs to put a call into the queue

    def __init__(self, device):
        self.has_gpu = device == "cuda"
        self.now = 1000.0  # ms
        self.gpu_free_at = 0.0
        self.thread = threading.get_ident()

    def work(self, milliseconds):
        if self.has_gpu:
            self.now += self.LAUNCH
            self.gpu_free_at = max(self.now, self.gpu_free_at) + milliseconds
        else:
            self.now += milliseconds

    def synchronize(self, *_, **__):
        if not self.has_gpu:
            raise RuntimeError("there is no CUDA device to wait for")
        self.now = max(self.now, self.gpu_free_at)

    @contextlib.contextmanager
    def instead_of_the_real_one(self, function):
        """Clocks and CUDA are this machine's, as far as this thread is concerned."""
        clocks = {getattr(time, name): self.clock(name) for name in CLOCKS}
        spaces = (vars(time), getattr(function, "__globals__", {}))  # from time import perf_counter
        real = [
            (space, name, value)
            for space in spaces
            for name, value in space.items()
            if callable(value) and isinstance(value, BuiltinFunction) and value in clocks
        ]
        cuda = {
            "synchronize": self.synchronize,
            "is_available": lambda: self.has_gpu,
            "Event": lambda *_, **__: Event(self),
        }
        try:
            for space, name, value in real:
                space[name] = clocks[value]
            with (
                mock.patch.multiple(torch.cuda, **cuda),
                mock.patch.object(torch.accelerator, "synchronize", self.synchronize),
            ):
                yield
        finally:
            for space, name, value in real:
                space[name] = value

    def clock(self, name):
        real, tick = getattr(time, name), CLOCKS[name]

        def now():
            if threading.get_ident() != self.thread:  # JupyterLab's own threads
                return real()
            return tick(self.now)

        return now


class Event:
    """torch.cuda.Event: the moment when the GPU comes to it in its queue."""

    def __init__(self, machine):
        self.machine, self.at = machine, None

    def record(self, *_):
        self.at = max(self.machine.now, self.machine.gpu_free_at)

    def synchronize(self):
        self.machine.now = max(self.machine.now, self.at)

    def elapsed_time(self, end):
        if end.at > self.machine.now:
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        return end.at - self.at


def _seconds(milliseconds):
    return milliseconds / 1000


def _nanoseconds(milliseconds):
    return round(milliseconds * 1_000_000)


BuiltinFunction = type(time.perf_counter)
CLOCKS = {
    name + ending: tick
    for name in ("perf_counter", "monotonic", "time")
    for ending, tick in (("", _seconds), ("_ns", _nanoseconds))
}

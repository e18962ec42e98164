"""The exercises of Unit 6: references, cases, known wrong answers, right alternatives, points."""

import contextlib
import math
import statistics
import time
from types import SimpleNamespace

import torch

from grader.exercise import Exercise, case, close
from halfbits.formats import FORMATS
from halfbits.rounding import round_to

INF, NAN = math.inf, math.nan

# ── make_precision(mode, device) ─────────────────────────────────────────────────────────────────

make_precision = Exercise("make_precision", points=(1, 3), driven=True)

WHAT = {  # parameters, autocast, matmul precision
    "32-true": (torch.float32, None, "highest"),
    "tf32": (torch.float32, None, "high"),
    "64-true": (torch.float64, None, "highest"),
    "16-true": (torch.float16, None, "highest"),
    "bf16-true": (torch.bfloat16, None, "highest"),
    "16-mixed": (torch.float32, torch.float16, "highest"),
    "bf16-mixed": (torch.float32, torch.bfloat16, "highest"),
}


@make_precision.reference
@contextlib.contextmanager
def _(mode, device):
    """From a table."""
    if mode not in WHAT or (mode == "tf32" and device != "cuda"):
        raise ValueError("not here")
    dtype, lower, matmul = WHAT[mode]
    autocast = torch.autocast(device, dtype=lower) if lower else contextlib.nullcontext()
    scaler = torch.amp.GradScaler(device, enabled=lower == torch.float16)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(matmul)
        yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
    finally:
        torch.set_float32_matmul_precision(before)


make_precision.visible(
    case("16-mixed", "cpu"),
    case("bf16-mixed", "cuda"),
    case("64-true", "cpu"),
    case("16-true", "cpu"),
    case("tf32", "cuda"),
    case("tf32", "cpu"),
)
make_precision.hidden(
    "mixed precision on a CPU", case("bf16-mixed", "cpu"), case("16-mixed", "cpu")
)
make_precision.hidden(
    "mixed precision on CUDA", case("bf16-mixed", "cuda"), case("16-mixed", "cuda")
)
make_precision.hidden("32-true, wherever it runs", case("32-true", "cpu"), case("32-true", "cuda"))
make_precision.hidden("the other pure modes", case("64-true", "cuda"), case("16-true", "cuda"))
make_precision.hidden("the other pure modes", case("16-true", "cpu"), case("bf16-true", "cpu"))
make_precision.hidden("tf32", case("tf32", "cuda"), case("tf32", "cpu"))
make_precision.hidden("a mode that does not exist", case("8-true", "cpu"), case("mixed", "cuda"))


@make_precision.wrong(
    '`torch.autocast("cuda")` and `GradScaler("cuda")` are disabled where there is no CUDA, with '
    "a warning and nothing more: the training goes on in float32. Pass `device` on"
)
def cuda_everywhere(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast("cuda", dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler("cuda", enabled=lower is torch.float16)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        try:
            yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "this `GradScaler` belongs to another device: for CUDA on a machine without it, it is "
    "disabled, and small gradients are flushed. Its default is CUDA; pass `device` on"
)
def scaler_for_cuda_only(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(enabled=lower is torch.float16)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        try:
            yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "in mixed precision the parameters stay float32: autocast casts what an operation needs. With"
    " 16-bit parameters and autocast there are no master weights, and `GradScaler` refuses fp16 "
    "gradients"
)
def half_weights_in_mixed(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = dtypes[bits]
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device, enabled=lower is torch.float16)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        try:
            yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "bf16 has float32's range and needs no loss scaling; here every mixed mode gets it. Enable "
    "the scaler for fp16 only"
)
def scaler_for_bf16(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device, enabled=lower is not None)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        try:
            yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "the scaler is on for pure fp16, where it cannot work: its gradients are fp16, and `unscale_`"
    " raises. It belongs to `16-mixed`"
)
def scaler_for_pure_fp16(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device, enabled=dtypes[bits] is torch.float16)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        try:
            yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "autocast has a dtype of its own for each device, bf16 on a CPU and fp16 on CUDA; the mode "
    "names the one that was asked for. Pass `dtype`"
)
def autocast_by_default(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast(device, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device, enabled=lower is torch.float16)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        try:
            yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "the matmul precision is a switch for the whole process: whatever runs afterwards, perhaps "
    "the float32 baseline, has it, too. Put back what was there before"
)
def never_restored(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device, enabled=lower is torch.float16)
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "after an exception the matmul precision stays changed: a training that is stopped leaves it "
    "to the next. Restore it in `finally`"
)
def not_after_an_exception(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device, enabled=lower is torch.float16)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "`32-true` and the others take whatever matmul precision was set before: a float32 baseline "
    "that runs in TF32 without saying so. Set `highest` for all but `tf32`"
)
def float32_as_it_comes(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device, enabled=lower is torch.float16)
        before = torch.get_float32_matmul_precision()
        if bits == "tf32":
            torch.set_float32_matmul_precision("high")
        try:
            yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "`medium` goes one step further: it allows bf16 inside float32 products where there is an "
    "algorithm for it. TF32 is `high`"
)
def medium_for_tf32(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device, enabled=lower is torch.float16)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium" if bits == "tf32" else "highest")
        try:
            yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "a mode that nobody knows, or TF32 on a device that has none, is float32 here, and nobody is "
    "told. Raise a `ValueError`"
)
def anything_goes(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        lower = dtypes.get(bits) if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes.get(bits, torch.float32)
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device, enabled=lower is torch.float16)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        try:
            yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "this `return`s the Precision: a context manager is made of a function with `yield`, which is "
    "where the block of the `with` runs. Write `yield` in its place"
)
def returns_it(mode, device):
    import contextlib
    from typing import Any, NamedTuple

    class Precision(NamedTuple):
        device: str
        dtype: torch.dtype
        autocast: Any
        scaler: torch.amp.GradScaler

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device, enabled=lower is torch.float16)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        try:
            return Precision(device, dtype, autocast, scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.wrong(
    "`scaler` is None where none is needed, so every loop would have to ask first. Give it a "
    "`GradScaler` with `enabled=False`, which lets everything through"
)
def none_for_no_scaler(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        dtypes = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32}
        dtypes |= {"64": torch.float64, "tf32": torch.float32}
        bits, _, how = mode.partition("-")
        if bits not in dtypes or (bits == "tf32" and device != "cuda"):
            raise ValueError(f"{mode} cannot be had on {device}")
        lower = dtypes[bits] if how == "mixed" else None
        dtype = torch.float32 if lower else dtypes[bits]
        autocast = torch.autocast(device, dtype=lower, enabled=lower is not None)
        scaler = torch.amp.GradScaler(device) if lower is torch.float16 else None
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if bits == "tf32" else "highest")
        try:
            yield SimpleNamespace(device=device, dtype=dtype, autocast=autocast, scaler=scaler)
        finally:
            torch.set_float32_matmul_precision(before)

    return contextlib.contextmanager(run)()


@make_precision.right("as a class with __enter__ and __exit__")
class Entered:
    def __init__(self, mode, device):
        known = ("32-true", "64-true", "16-true", "bf16-true", "16-mixed", "bf16-mixed")
        if mode not in known and not (mode == "tf32" and device == "cuda"):
            raise ValueError(f"choose one of {', '.join(known)}, or tf32 on CUDA")
        self.device, self.mode = torch.device(device), mode
        self.dtype = {
            "64-true": torch.float64,
            "16-true": torch.float16,
            "bf16-true": torch.bfloat16,
        }.get(mode, torch.float32)
        lower = torch.float16 if mode == "16-mixed" else torch.bfloat16
        self.autocast = torch.autocast(device, dtype=lower, enabled="mixed" in mode)
        self.scaler = torch.amp.GradScaler(device)
        if mode != "16-mixed":
            self.scaler = torch.amp.GradScaler(enabled=False)

    def __enter__(self):
        self.before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if self.mode == "tf32" else "highest")
        return self

    def __exit__(self, *error):
        torch.set_float32_matmul_precision(self.before)


@make_precision.right("case by case, with an ExitStack to restore the setting")
def by_cases(mode, device):
    import contextlib
    from types import SimpleNamespace

    def run():
        made = SimpleNamespace(device=device, dtype=torch.float32)
        made.autocast = contextlib.nullcontext()
        made.scaler = torch.amp.GradScaler(device, enabled=False)
        matmul = "highest"
        match mode, device:
            case ("32-true", _):
                pass
            case ("tf32", "cuda"):
                matmul = "high"
            case ("64-true", _):
                made.dtype = torch.double
            case ("16-true", _):
                made.dtype = torch.half
            case ("bf16-true", _):
                made.dtype = torch.bfloat16
            case ("16-mixed", _):
                made.autocast = torch.autocast(device_type=device, dtype=torch.half)
                made.scaler = torch.amp.GradScaler(device=device)
            case ("bf16-mixed", _):
                made.autocast = torch.autocast(device_type=device, dtype=torch.bfloat16)
            case _:
                raise ValueError(f"no {mode} on {device}")
        with contextlib.ExitStack() as stack:
            now = torch.get_float32_matmul_precision()
            stack.callback(torch.set_float32_matmul_precision, now)
            torch.set_float32_matmul_precision(matmul)
            yield made

    return contextlib.contextmanager(run)()


# ── train_digits(model, batches, test, precision) ────────────────────────────────────────────────

train_digits = Exercise(
    "train_digits",
    points=(1, 3),
    driven=True,
    compare=close(
        rtol=1e-3, atol=0.045, why="the last digits of a training differ from machine to machine"
    ),
)


@train_digits.reference
def _(model, batches, test, precision):
    """Counts what the optimizer really did, and judges the network's answers one by one."""
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, diverged_at = [], None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        precision.scaler.step(adam)
        precision.scaler.update()
    tried = len(losses) - (diverged_at is not None)
    taken = max((int(state["step"]) for state in adam.state.values()), default=0)
    with torch.no_grad():
        answers = model(test[0].to(precision.dtype)).tolist()
    right = [
        all(map(math.isfinite, row)) and row.index(max(row)) == y
        for row, y in zip(answers, test[1].tolist(), strict=True)
    ]
    return {
        "losses": losses,
        "accuracy": sum(right) / len(right),
        "skipped": tried - taken,
        "diverged_at": diverged_at,
    }


train_digits.visible(
    case("32-true", 80, call="32-true, 80 steps"),
    case("16-mixed", 80, 2.0**22, call="16-mixed, 80 steps, scale 2^22 at first"),
    case("16-true", 80, call="16-true, 80 steps"),
    case("32-true", 40, 2.0**16, 0, 20, call="32-true, 40 steps, an infinite pixel in batch 20"),
    case("32-true", 40, 2.0**16, 120, call="32-true, 40 steps, a third of the test labels wrong"),
)
train_digits.hidden(
    "modes that learn", case("64-true", 50, 2.0**16, 0, None, 1), case("bf16-true", 50)
)
train_digits.hidden("modes that learn", case("bf16-mixed", 50))
train_digits.hidden(
    "a test set where half of the labels are wrong", case("32-true", 50, 2.0**16, 180)
)
train_digits.hidden("pure fp16 diverges", case("16-true", 20, 2.0**16, 0, None, 2))
train_digits.hidden("a bad batch late in the training", case("32-true", 35, 2.0**16, 0, 30))
train_digits.hidden("an fp16 scale that has to come down", case("16-mixed", 20, 2.0**24))


@train_digits.wrong(
    "`nan_to_num` turns a loss that is NaN into a number. The weights are NaN all the same, and "
    "the log says that all is well: a training that has diverged must say so"
)
def hides_nan(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.nan_to_num().item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "steps whose loss is not finite are left out, and the training goes on as if nothing had "
    "happened. Once the weights are NaN, no step is left. Keep the loss, stop, and report the "
    "step"
)
def leaves_bad_batches_out(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        if not math.isfinite(loss.item()):
            continue
        losses.append(loss.item())
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "the first loss that is not finite ends the training: whatever comes after it is NaN, too, "
    "and costs time. Stop there"
)
def goes_on_with_nan(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if diverged_at is None and not math.isfinite(losses[-1]):
            diverged_at = len(losses)
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "the weights are updated from a loss that is not finite, before the loop stops: now they are "
    "NaN. Look at the loss first, so that the weights of the last good step remain"
)
def updates_first(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong("`diverged_at` counts steps from 0 here; the first step is number 1")
def counts_from_zero(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses) - 1
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "this accuracy is that on the images that the network was trained on. Measure it on `test`"
)
def tests_on_training_data(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        x, y = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
        outputs = model(x.to(precision.dtype))
    right = (outputs.argmax(-1) == y) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "`argmax` of NaN is 0, so a network whose outputs are all NaN seems to know the zeros. "
    "Outputs that are not finite are no answer: count them as wrong"
)
def nan_counts_as_zero(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = outputs.argmax(-1) == test[1]
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "the forward pass runs outside `with precision.autocast:`, so a mixed mode computes in "
    "float32 whatever its name says"
)
def outside_autocast(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "the parameters stay float32 in every mode. `model.to(precision.dtype)`, and the images, too"
)
def parameters_stay_float32(model, batches, test, precision):
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0])
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "`adam.step()` steps whatever the gradients are, and on gradients that still carry the scale;"
    " `precision.scaler.step(adam)` unscales them, and skips those that overflowed"
)
def steps_the_optimizer(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        adam.step()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "`scaler.update()` is missing: it ends each step, and lowers the scale after an overflow. "
    "Without it the scaler refuses the next step"
)
def without_update(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "`adam.step()` goes past the scaler, so `update` has seen no gradients and refuses. "
    "`precision.scaler.step(adam)` unscales them, and skips those that overflowed"
)
def updates_without_its_step(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        adam.step()
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "the parameters take `precision.dtype`, the images stay float32: a product needs both in one "
    "format. Cast the images as well, those of `test` too"
)
def images_stay_float32(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0])
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "skipped steps are not counted. The scaler says nothing when it skips; afterwards its scale "
    "is lower than before `update`"
)
def skips_not_counted(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        precision.scaler.step(adam)
        precision.scaler.update()
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong(
    "the labels are class numbers: they have to stay integers. Cast the images only"
)
def labels_cast(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(
                model(x.to(precision.dtype)), y.to(precision.dtype)
            )
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong("the gradients of all steps add up: begin each step with `zero_grad()`")
def gradients_add_up(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        precision.scaler.scale(loss).backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.wrong("these are the scaled losses. For logs and curves keep the loss itself")
def returns_scaled_losses(model, batches, test, precision):
    model.to(precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = torch.nn.functional.cross_entropy(model(x.to(precision.dtype)), y)
        loss = precision.scaler.scale(loss)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        loss.backward()
        before = precision.scaler.get_scale()
        precision.scaler.step(adam)
        precision.scaler.update()
        skipped += precision.scaler.get_scale() < before
    with torch.no_grad():
        outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    accuracy = right.float().mean().item()
    return {
        "losses": losses,
        "accuracy": accuracy,
        "skipped": skipped,
        "diverged_at": diverged_at,
    }


@train_digits.right("with autocast for the test as well, and hooks that count the steps")
def with_hooks(model, batches, test, precision):
    model = model.to(dtype=precision.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=0.003)
    taken = []
    adam.register_step_post_hook(lambda *_: taken.append(1))
    result = {"losses": [], "diverged_at": None}
    for step, (x, y) in enumerate(batches, 1):
        with precision.autocast:
            scores = model(x.type(precision.dtype))
            loss = torch.nn.CrossEntropyLoss()(scores, y)
        result["losses"].append(float(loss))
        if loss.isnan() or loss.isinf():
            result["diverged_at"] = step
            break
        adam.zero_grad(set_to_none=False)
        precision.scaler.scale(loss).backward()
        precision.scaler.unscale_(adam)
        precision.scaler.step(adam)
        precision.scaler.update()
    finite = len(result["losses"]) - (result["diverged_at"] is not None)
    result["skipped"] = finite - len(taken)
    x, y = test
    with torch.inference_mode(), precision.autocast:
        scores = model(x.type(precision.dtype)).float()
    best = scores.max(dim=1)
    counted = (best.indices == y) * best.values.isfinite()
    result["accuracy"] = counted.sum().item() / len(y)
    return result


# ── adam_fp16_report(gradient, eps, fused, steps) ────────────────────────────────────────────────

adam_fp16_report = Exercise(
    "adam_fp16_report",
    points=(1, 3),
    compare=close(rtol=9e-4, why="one unit in fp16's last place, which a processor may differ in"),
)


@adam_fp16_report.reference
def _(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.full_like(w, gradient)
        adam.step()
    reach = abs(w.item() - 1)
    near = "sane" if reach <= steps * adam.defaults["lr"] else "too far"
    return {
        "eps": torch.full_like(w, eps).item(),
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": near if math.isfinite(reach) else "not finite",
    }


adam_fp16_report.visible(
    case(0.001, 1e-8, False, 1),
    case(0.001, 1e-7, False, 1),
    case(0.001, 1e-8, True, 1),
    case(0.1, 1e-8, False, 10),
    case(-0.001, 1e-7, False, 1),
)
adam_fp16_report.hidden(
    "a gradient of zero",
    case(0.0, 1e-8, False, 1),
    case(0.0, 1e-7, False, 1),
    case(0.0, 1e-8, True, 5),
)
adam_fp16_report.hidden("a larger eps", case(0.001, 1e-6, False, 1), case(0.005, 1e-4, False, 3))
adam_fp16_report.hidden("an eps that is large enough", case(0.005, 0.01, False, 1))
adam_fp16_report.hidden(
    "negative gradients", case(-0.001, 1e-7, False, 1), case(-0.25, 1e-8, False, 4)
)
adam_fp16_report.hidden("fused, many steps", case(0.001, 1e-8, True, 50), case(0.5, 1e-8, True, 50))
adam_fp16_report.hidden("many steps", case(0.5, 1e-8, False, 30), case(0.5, 1e-3, False, 30))


@adam_fp16_report.wrong(
    "a weight that is finite may still have been thrown far away: 1 becomes −7.39 with an eps of "
    "1e-7. No step of Adam's may be longer than the learning rate here"
)
def finite_is_sane(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.tensor([gradient], dtype=torch.float16)
        adam.step()
    return {
        "eps": torch.tensor(eps, dtype=torch.float16).item(),
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": "sane" if math.isfinite(w.item()) else "not finite",
    }


@adam_fp16_report.wrong(
    "a comparison with NaN is false, so NaN passes for sane here, and −∞ for a long way. Ask "
    "first whether the weight is finite"
)
def nan_passes(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.tensor([gradient], dtype=torch.float16)
        adam.step()
    return {
        "eps": torch.tensor(eps, dtype=torch.float16).item(),
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": "too far" if abs(w.item() - 1) > steps * 1e-3 else "sane",
    }


@adam_fp16_report.wrong(
    "the weight is float32 here, and so are Adam's moments: nothing is flushed. Make the weight "
    "float16"
)
def in_float32(gradient, eps, fused, steps):
    w = torch.ones(1, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.tensor([gradient])
        adam.step()
    moved = abs(w.item() - 1)
    return {
        "eps": torch.tensor(eps).item(),
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": "sane" if moved <= 1.001 * steps * 1e-3 else "too far",
    }


@adam_fp16_report.wrong(
    "this eps is the one that was typed. Adam adds it to an fp16 number, so round it to fp16: "
    "1e-8 is 0 there"
)
def eps_as_typed(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.tensor([gradient], dtype=torch.float16)
        adam.step()
    moved = abs(w.item() - 1)
    verdict = "sane" if moved <= steps * 1e-3 else "too far"
    return {
        "eps": eps,
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": verdict if math.isfinite(moved) else "not finite",
    }


@adam_fp16_report.wrong(
    "this is the format's eps, the gap above 1. Asked for is Adam's: the given `eps`, rounded to "
    "float16"
)
def the_formats_eps(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.tensor([gradient], dtype=torch.float16)
        adam.step()
    moved = abs(w.item() - 1)
    verdict = "sane" if moved <= steps * 1e-3 else "too far"
    return {
        "eps": torch.finfo(torch.float16).eps,
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": verdict if math.isfinite(moved) else "not finite",
    }


@adam_fp16_report.wrong(
    "this is how far the weight is from 0. It began at 1, so it has moved by `abs(w - 1)`"
)
def distance_from_zero(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.tensor([gradient], dtype=torch.float16)
        adam.step()
    moved = abs(w.item())
    verdict = "sane" if moved <= steps * 1e-3 else "too far"
    return {
        "eps": torch.tensor(eps, dtype=torch.float16).item(),
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": verdict if math.isfinite(moved) else "not finite",
    }


@adam_fp16_report.wrong(
    "the second moment comes from the formula, in float64. Read what Adam has stored in fp16: "
    '`adam.state[w]["exp_avg_sq"]`'
)
def moment_by_the_formula(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.tensor([gradient], dtype=torch.float16)
        adam.step()
    moved = abs(w.item() - 1)
    verdict = "sane" if moved <= steps * 1e-3 else "too far"
    return {
        "eps": torch.tensor(eps, dtype=torch.float16).item(),
        "second moment": (1 - 0.999**steps) * gradient**2,
        "weight": w.item(),
        "verdict": verdict if math.isfinite(moved) else "not finite",
    }


@adam_fp16_report.wrong(
    "`steps` steps may go `steps` times as far as one: compare with the learning rate times the "
    "number of steps"
)
def limit_of_one_step(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.tensor([gradient], dtype=torch.float16)
        adam.step()
    moved = abs(w.item() - 1)
    verdict = "sane" if moved <= 1e-3 else "too far"
    return {
        "eps": torch.tensor(eps, dtype=torch.float16).item(),
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": verdict if math.isfinite(moved) else "not finite",
    }


@adam_fp16_report.wrong(
    "a negative gradient moves the weight up. What counts is how far it went, so take `abs()`"
)
def downward_only(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.tensor([gradient], dtype=torch.float16)
        adam.step()
    moved = 1 - w.item()
    verdict = "sane" if moved <= steps * 1e-3 else "too far"
    return {
        "eps": torch.tensor(eps, dtype=torch.float16).item(),
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": verdict if math.isfinite(moved) else "not finite",
    }


@adam_fp16_report.wrong(
    "`fused` is not passed on to Adam: the fused version computes a step in float32 and rounds at"
    " its end"
)
def never_fused(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps)
    for _ in range(steps):
        w.grad = torch.tensor([gradient], dtype=torch.float16)
        adam.step()
    moved = abs(w.item() - 1)
    verdict = "sane" if moved <= steps * 1e-3 else "too far"
    return {
        "eps": torch.tensor(eps, dtype=torch.float16).item(),
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": verdict if math.isfinite(moved) else "not finite",
    }


@adam_fp16_report.wrong("only one step is taken, whatever `steps` says")
def one_step(gradient, eps, fused, steps):
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1e-3, eps=eps, fused=fused)
    w.grad = torch.tensor([gradient], dtype=torch.float16)
    adam.step()
    moved = abs(w.item() - 1)
    verdict = "sane" if moved <= steps * 1e-3 else "too far"
    return {
        "eps": torch.tensor(eps, dtype=torch.float16).item(),
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": verdict if math.isfinite(moved) else "not finite",
    }


@adam_fp16_report.right("with a loss whose gradient it is, and a parameter from a module")
def by_backward(gradient, eps, fused, steps):
    layer = torch.nn.Linear(1, 1, bias=False, dtype=torch.half)
    torch.nn.init.ones_(layer.weight)
    adam = torch.optim.Adam(layer.parameters(), eps=eps, fused=fused)
    for _ in range(steps):
        adam.zero_grad()
        layer(torch.full((1, 1), gradient, dtype=torch.half)).sum().backward()
        adam.step()
    weight = float(layer.weight)
    verdict = "too far"
    if not -math.inf < weight < math.inf:
        verdict = "not finite"
    elif 1 - steps * 0.001 <= weight <= 1 + steps * 0.001:
        verdict = "sane"
    [state] = adam.state.values()
    v = float(state["exp_avg_sq"])
    return {"eps": float(torch.tensor(eps).half()), "second moment": v, "weight": weight,
            "verdict": verdict}  # fmt: skip


# ── tf32_round(x) ────────────────────────────────────────────────────────────────────────────────

tf32_round = Exercise("tf32_round", points=(1, 2), driven=True)


@tf32_round.reference
def _(x):
    return round_to(x, FORMATS["tf32"])


def rounding(values):
    """A case as a student would type it, for values that are short as Python writes them."""
    return case(torch.tensor(values), call=f"tf32_round(torch.tensor({values}))")


_random = torch.Generator().manual_seed(6)
_randn = torch.randn(500, generator=_random)
_powers = torch.exp2(torch.arange(-120.0, 120.0, 8.0))
_odd = 1 + 2.0**-10 * torch.arange(1, 40, 2)  # significands whose last bit is 1

tf32_round.visible(
    rounding([0.1, -0.1, 3.14159, 1000.3]),
    rounding([70000.0, 1e38, 1e-10]),
    rounding([1.00048828125, 1.00146484375]),
    rounding([0.0, -0.0]),
    rounding([3.4e38, 3.4028234663852886e38]),
    rounding([math.inf, -math.inf, math.nan]),
    case(
        torch.tensor([0x7F800001, 0x7FFFFFFF]).int(),
        call="tf32_round(two NaN, of the bits 0x7F800001 and 0x7FFFFFFF)",
    ),
)
tf32_round.hidden("numbers between two neighbours", case(_randn), case(-_randn * 1e-3))
tf32_round.hidden(
    "numbers far beyond fp16's range", case(_randn * 1e30), case(_randn * 1e-30), case(_powers)
)
tf32_round.hidden(
    "ties, half of them with an odd neighbour below",
    case(torch.cat([_odd + 2.0**-11, _odd - 2.0**-11])),
    case(-torch.outer(torch.tensor([2.0**-100, 2.0**100]), _odd + 2.0**-11)),
)
tf32_round.hidden("numbers that round to the next power of two", case(_powers * (2 - 2.0**-13)))
tf32_round.hidden(
    "the largest float32 numbers", case(torch.tensor([3.3e38, -3.4e38, 3.4028234663852886e38]))
)
tf32_round.hidden(
    "float32's subnormal numbers and zeros", case(torch.tensor([1e-39, -1e-42, -0.0]))
)
tf32_round.hidden("∞ and NaN", case(torch.tensor([0x7F800001, 0x7FFFFFFF, -1, 0x7F800000]).int()))
tf32_round.hidden("shapes", case(_randn[:24].reshape(2, 3, 4)), case(torch.zeros(0)))


@tf32_round.wrong("the rest is cut off. Round to the nearest; a tie goes to the even neighbour")
def cut_off(x):
    bits = x.view(torch.int32)
    return torch.where(x.isfinite(), (bits & ~0x1FFF).view(torch.float32), x)


@tf32_round.wrong(
    "fp16 has TF32's 10 fraction bits, and 5 exponent bits only: 70000 becomes infinite and 1e-10"
    " becomes 0. TF32 has float32's 8"
)
def through_fp16(x):
    return x.half().float()


@tf32_round.wrong("this keeps 7 fraction bits, as bf16 does. TF32 keeps 10")
def through_bf16(x):
    return x.bfloat16().float()


@tf32_round.wrong("ties go away from zero here. A tie goes to the neighbour whose last bit is 0")
def ties_away(x):
    bits = x.view(torch.int32)
    return torch.where(x.isfinite(), ((bits + 0x1000) & ~0x1FFF).view(torch.float32), x)


@tf32_round.wrong(
    "adding to the bits of ∞ or NaN changes what they are: a NaN may become ∞, or −0.0. Leave "
    "them as they come"
)
def infinities_and_nans_too(x):
    bits = x.view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


@tf32_round.wrong(
    "one bit too few or too many: float32 has 23 fraction bits, so 13 of them go, and 10 stay"
)
def eleven_bits(x):
    bits = x.view(torch.int32)
    rounded = ((bits + 0x7FF + ((bits >> 12) & 1)) & ~0xFFF).view(torch.float32)
    return torch.where(x.isfinite(), rounded, x)


@tf32_round.wrong(
    "one bit too few or too many: float32 has 23 fraction bits, so 13 of them go, and 10 stay"
)
def nine_bits(x):
    bits = x.view(torch.int32)
    rounded = ((bits + 0x1FFF + ((bits >> 14) & 1)) & ~0x3FFF).view(torch.float32)
    return torch.where(x.isfinite(), rounded, x)


@tf32_round.wrong(
    "x × (2^13 + 1) overflows for large numbers, and the difference is NaN: 1e38 has to stay finite"
)
def by_splitting(x):
    product = x * 8193.0
    return torch.where(x.isfinite(), product - (product - x), x)


@tf32_round.wrong(
    "numbers near float32's largest stay finite here. What rounds up beyond the largest TF32 "
    "number is ∞, as in every cast"
)
def stays_finite(x):
    bits = x.view(torch.int32)
    rounded = ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)
    return torch.where(rounded.isfinite() & x.isfinite(), rounded, x)


@tf32_round.wrong(
    "the logarithm of 0 is −∞, and 0 divided by a gap of 0 is NaN. Zeros stay, with their signs"
)
def by_logarithm(x):
    wide = x.double()
    gap = torch.exp2(torch.floor(torch.log2(wide.abs())) - 10)
    return torch.where(x.isfinite(), (torch.round(wide / gap) * gap).float(), x)


@tf32_round.wrong("the tensor that you were given has changed: round a copy")
def overwrites(x):
    bits = x.view(torch.int32)
    rounded = ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)
    return x.copy_(torch.where(x.isfinite(), rounded, x))


@tf32_round.right("by the gap that a number lies in, in float64")
def by_gaps(x):
    wide = x.double()
    _, exponent = torch.frexp(wide)
    gap = torch.exp2((exponent - 1).clamp(min=-126).double() - 10)
    rounded = (torch.round(wide / gap) * gap).float()
    return torch.where(wide.isfinite() & (wide != 0), rounded, x)


@tf32_round.right("by the two neighbours and the nearer of them")
def by_neighbours(x):
    bits = x.view(torch.int32).long()
    below, rest = bits >> 13 << 13, bits & 0x1FFF
    up = (rest > 0x1000) | ((rest == 0x1000) & ((below >> 13) % 2 == 1))
    rounded = torch.where(up, below + 0x2000, below).int().view(torch.float32)
    return torch.where(x.isinf() | x.isnan(), x, rounded)


# ── bench(fn, warmup, iters, device) ─────────────────────────────────────────────────────────────

bench = Exercise(
    "bench",
    points=(1, 3),
    driven=True,
    compare=close(rtol=1e-6, why="seconds in float64, made into milliseconds"),
)


@bench.reference
def _(fn, warmup, iters, device):
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    for _ in range(warmup):
        fn()
    times = []
    for _ in range(iters):
        wait()
        start = time.perf_counter()
        fn()
        wait()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def running(milliseconds, warmup, iters, device):
    """A case in words; after its last number each call takes as long as that."""
    takes = f"fn takes {', '.join(f'{t:g}' for t in milliseconds)} ms"
    call = f'{takes}: bench(fn, {warmup}, {iters}, "{device}")'
    return case(milliseconds, warmup, iters, device, call=call)


bench.visible(
    running([50.0, 3.0, 2.0, 4.0, 2.0, 9.0], 1, 5, "cpu"),
    running([80.0, 3.0, 2.0, 4.0, 2.0, 9.0], 1, 5, "cuda"),
    running([80.0, 30.0, 5.0], 2, 1, "cuda"),
    running([60.0, 1.0, 2.0, 5.0, 9.0], 1, 4, "cpu"),
)
bench.hidden(
    "a CPU, with slow first calls", running([90.0, 40.0, 1.0, 2.0, 1.5, 1.25, 30.0], 2, 5, "cpu")
)
bench.hidden("an even number of calls", running([9.0, 1.0, 2.0, 4.0, 8.0], 1, 4, "cpu"))
bench.hidden(
    "a GPU, with slow first calls", running([500.0, 200.0, 4.0, 6.0, 5.0, 70.0, 5.5], 2, 5, "cuda")
)
bench.hidden("a GPU that still works when the clock starts", running([300.0, 2.0], 1, 1, "cuda"))
bench.hidden(
    "a GPU that still works when the clock starts", running([300.0, 2.0, 8.0], 1, 2, "cuda")
)
bench.hidden("no warm-up", running([7.0, 5.0, 6.0], 0, 3, "cuda"), running([7.0, 5.0], 0, 1, "cpu"))


@bench.wrong(
    "a call on CUDA returns when the work has been put into the queue: this is the time of the "
    "launch. Wait with `torch.cuda.synchronize()` before you read the clock"
)
def no_synchronize(fn, warmup, iters, device):
    import statistics
    import time

    for _ in range(warmup):
        fn()
    times = []
    for _ in range(iters):
        start = time.perf_counter()
        fn()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


@bench.wrong(
    "the clock starts while the GPU still works on the warm-up, so the first measurement holds "
    "that, too. Synchronize before you start it"
)
def no_synchronize_before(fn, warmup, iters, device):
    import statistics
    import time

    for _ in range(warmup):
        fn()
    times = []
    for _ in range(iters):
        start = time.perf_counter()
        fn()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


@bench.wrong(
    "one wait at the end gives the mean over all calls, the slow ones included. For a median each"
    " call needs its own time, and so its own wait"
)
def synchronized_once(fn, warmup, iters, device):
    import time

    for _ in range(warmup):
        fn()
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(iters):
        fn()
    if device == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start) / iters


@bench.wrong(
    "the first calls are measured, too: they compile, allocate and fill caches. Make `warmup` "
    "calls before the clock starts"
)
def no_warm_up(fn, warmup, iters, device):
    import statistics
    import time

    if device == "cuda":
        torch.cuda.synchronize()
    times = []
    for _ in range(iters):
        start = time.perf_counter()
        fn()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


@bench.wrong("the warm-up calls are made and measured. Leave their times out")
def warm_up_is_measured(fn, warmup, iters, device):
    import statistics
    import time

    if device == "cuda":
        torch.cuda.synchronize()
    times = []
    for _ in range(warmup + iters):
        start = time.perf_counter()
        fn()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


@bench.wrong("this is the mean, which one slow call can double. Take the median")
def mean(fn, warmup, iters, device):
    import statistics
    import time

    for _ in range(warmup):
        fn()
    if device == "cuda":
        torch.cuda.synchronize()
    times = []
    for _ in range(iters):
        start = time.perf_counter()
        fn()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.mean(times)


@bench.wrong("this is the fastest call. Take the median")
def fastest(fn, warmup, iters, device):
    import time

    for _ in range(warmup):
        fn()
    if device == "cuda":
        torch.cuda.synchronize()
    times = []
    for _ in range(iters):
        start = time.perf_counter()
        fn()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


@bench.wrong(
    "of an even number of times the median is the mean of the two in the middle; `torch.median` "
    "and `sorted(times)[len(times) // 2]` take one of them. `statistics.median` does what is "
    "asked"
)
def lower_median(fn, warmup, iters, device):
    import time

    for _ in range(warmup):
        fn()
    if device == "cuda":
        torch.cuda.synchronize()
    times = []
    for _ in range(iters):
        start = time.perf_counter()
        fn()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return torch.tensor(times, dtype=torch.float64).median().item()


@bench.wrong(
    "of an even number of times the median is the mean of the two in the middle; `torch.median` "
    "and `sorted(times)[len(times) // 2]` take one of them. `statistics.median` does what is "
    "asked"
)
def upper_median(fn, warmup, iters, device):
    import time

    for _ in range(warmup):
        fn()
    if device == "cuda":
        torch.cuda.synchronize()
    times = []
    for _ in range(iters):
        start = time.perf_counter()
        fn()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return sorted(times)[len(times) // 2]


@bench.wrong("this is in seconds. Return milliseconds")
def in_seconds(fn, warmup, iters, device):
    import statistics
    import time

    for _ in range(warmup):
        fn()
    if device == "cuda":
        torch.cuda.synchronize()
    times = []
    for _ in range(iters):
        start = time.perf_counter()
        fn()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@bench.wrong(
    "without CUDA `torch.cuda.synchronize()` raises an error. On a CPU there is nothing to wait "
    "for: a call returns when its work is done"
)
def synchronizes_everywhere(fn, warmup, iters, device):
    import statistics
    import time

    for _ in range(warmup):
        fn()
    torch.cuda.synchronize()
    times = []
    for _ in range(iters):
        start = time.perf_counter()
        fn()
        torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


@bench.right("with CUDA events, and nanoseconds on a CPU")
def with_events(fn, warmup, iters, device):
    import statistics
    import time

    def on_cuda():
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        fn()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)

    def on_cpu():
        start = time.perf_counter_ns()
        fn()
        return (time.perf_counter_ns() - start) / 1e6

    for _ in range(warmup):
        fn()
    if device == "cuda":
        torch.cuda.synchronize()
    return statistics.median((on_cuda if device == "cuda" else on_cpu)() for _ in range(iters))


@bench.right("warm-up and measurement in one loop, the median by hand")
def in_one_loop(fn, warmup, iters, device):
    from time import monotonic

    times = []
    for call in range(warmup + iters):
        if device != "cpu":
            torch.accelerator.synchronize()
        start = monotonic()
        fn()
        if device != "cpu":
            torch.accelerator.synchronize()
        if call >= warmup:
            times.append(monotonic() - start)
    times.sort()
    middle = len(times) // 2
    return 500 * (times[middle] + times[-middle - 1])

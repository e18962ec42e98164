# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Unit 6 · Train in every precision, and measure it
#
# **What you will do**
#
# 1. Turn the name of a setting, such as `16-mixed`, into what PyTorch needs, on any device, without a silent fallback.
# 2. Train one network in all settings with one loop, and say when a training has diverged.
# 3. Find out why pure fp16 fails with Adam, and why a larger eps does not mend it.
# 4. Round to TF32, and measure how exact a matrix product is in each format.
# 5. Time a computation on a device that answers before it is done.
# 6. Explain a speed-up by the share of the time that became faster; measure your machine.
#
# **What you need**: autocast (Unit 4) and the scaler (Unit 5). A CPU shows all of it but the speed; where there is a GPU, the same cells use it.
# **Time**: about 130 minutes with the exercises. **Points**: 28, of which 6 are for a quiz and 3 for a written answer.
#
# You have the parts: formats, autocast, the scaler. This unit puts them into one loop and asks what they bring: in time, in memory, in accuracy. And how one finds that out without fooling oneself.

# %% tags=["imports"]
import contextlib
import functools
import math
import statistics
import time
from typing import NamedTuple

import torch
import torch.nn.functional as F

import halfbits as hb
from halfbits.data_sets import batches, load_digits
from halfbits.models import mlp
from halfbits.pictures.amdahl import amdahl_share, published_speedups
from halfbits.precision import SETTINGS, PrecisionError, setting
from halfbits.training import fit

torch.set_num_threads(1)  # the networks of this unit are too small to be shared out

# %% [markdown]
# ## Predict seven trainings
#
# The course that this one grew from, Sebastian Raschka's *Deep Learning Fundamentals*, ends its unit on mixed precision with an exercise: train with `32-true`, `16-true`, `64-true`, `16-mixed` and `bf16-mixed`, and compare time, memory and accuracy. Its own figures are from one A100, where DistilBERT learned to tell good film reviews from bad ones (below, *the source*):
#
# | setting | minutes | test accuracy |
# |---|---|---|
# | `32-true` | 21.64 | 92.23 % |
# | `16-mixed` | 7.24 | 92.67 % |
# | `bf16-mixed` | 7.62 | 91.98 % |
#
# You will do that exercise on your machine, with two settings more, `bf16-true` and `tf32`, and a small network. **Predict**, and write it down: Which setting will be the fastest *on your machine*? Which takes the least memory? Which has a loss curve that nobody can tell from that of `32-true`? Which one fails? And of the accuracies in the table: which differences mean something?
#
# ## Say what a setting asks of PyTorch
#
# The names are Lightning's. *true* means that everything is in this format. *mixed* means float32 parameters, and autocast for the forward pass.
#
# | setting | parameters and inputs | autocast | scaler | float32 products |
# |---|---|---|---|---|
# | `32-true` | float32 | off | off | highest |
# | `tf32` | float32 | off | off | high |
# | `64-true` | float64 | off | off | highest |
# | `16-true` | float16 | off | off | highest |
# | `bf16-true` | bfloat16 | off | off | highest |
# | `16-mixed` | float32 | to float16 | on | highest |
# | `bf16-mixed` | float32 | to bfloat16 | off | highest |
#
# The last column is a switch for the whole process, `torch.set_float32_matmul_precision`. With `"highest"` float32 products are computed in float32. With `"high"` an NVIDIA GPU rounds their inputs to TF32, of which more below.
#
# Each column has its trap. Run the next cell on a machine without CUDA, and read the two lines that it prints and the warnings:

# %%
print(torch.get_autocast_dtype("cpu"), torch.get_autocast_dtype("cuda"))
print(torch.get_float32_matmul_precision())
if not torch.cuda.is_available():
    print(torch.amp.GradScaler("cuda").is_enabled())
    print(torch.autocast("cuda", dtype=torch.float16)._enabled)

# %% [markdown]
# - Autocast's own dtype depends on the device. So name the one that you want.
# - A scaler or an autocast for a device that is not there is *disabled*, with a warning and nothing more. The training runs in float32, and its log says `16-mixed`. Lightning does something of the kind, too: on a CPU, its `16-mixed` becomes `bf16-mixed`.
# - The matmul precision stays as it was set. Whoever sets `"high"` for one measurement has it in the next one, which may be the float32 baseline.
#
# Against the last trap there is a pattern: change a setting, let others work, and put it back *whatever happens*. Python's `contextlib.contextmanager` makes a `with` statement of it. What stands before `yield` runs first, the block of the `with` runs at the `yield`, and what stands in `finally` runs at the end, after an exception as well:


# %%
@contextlib.contextmanager
def threads(count):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count)
        yield f"{count} threads"  # what stands behind `as`
    finally:
        torch.set_num_threads(before)


with threads(2) as what:
    print(what, torch.get_num_threads())
print(torch.get_num_threads())


# %% [markdown]
# ### Exercise 1: `make_precision`
#
# Write such a context manager for a setting. It yields a `Precision`, as defined in the next cell, and while its block runs the matmul precision is the one in the table. Afterwards it is what it was before, also when the block raised an exception.
#
# - `device` is `"cpu"`, `"cuda"` or `"mps"`. Autocast and scaler are for this device.
# - `autocast` is entered in every training step, so it has to be a context manager that can be used again: `torch.autocast(...)` can, with `enabled=False` or not, and so can `contextlib.nullcontext()`.
# - `scaler` is always a `torch.amp.GradScaler`, with `enabled=False` where none is needed. So the loop is the same for all.
# - An unknown mode raises a `ValueError`. So does `tf32` on another device than `"cuda"`: only NVIDIA's tensor cores have it. (The library also asks whether the GPU is new enough; you need not.)
#
# The check runs your function for CUDA on any machine: PyTorch is told that there is a GPU, and nothing is computed on it. It sets the matmul precision to *medium* first.


# %% tags=["imports"]
class Precision(NamedTuple):
    """What a training loop needs to know."""

    device: str
    dtype: torch.dtype  # of the parameters and of floating-point inputs
    autocast: contextlib.AbstractContextManager  # for the forward pass and the loss
    scaler: torch.amp.GradScaler


# %% nbgrader={"grade": false, "grade_id": "make_precision-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
@contextlib.contextmanager
def make_precision(mode: str, device: str):
    """Yield the Precision of a mode, under its matmul precision.

    >>> with make_precision("64-true", "cpu") as precision:
    ...     precision.dtype
    torch.float64
    """
    ### BEGIN SOLUTION
    dtypes = {"32": torch.float32, "64": torch.float64, "tf32": torch.float32}
    dtypes |= {"16": torch.float16, "bf16": torch.bfloat16}
    bits, _, kind = mode.partition("-")
    if bits not in dtypes or (mode == "tf32" and device != "cuda"):
        raise ValueError(f"{mode} is not possible on {device}")
    lower = dtypes[bits] if kind == "mixed" else None
    autocast = torch.autocast(device, lower) if lower else contextlib.nullcontext()
    scaler = torch.amp.GradScaler(device, enabled=lower == torch.float16)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high" if mode == "tf32" else "highest")
        yield Precision(device, torch.float32 if lower else dtypes[bits], autocast, scaler)
    finally:
        torch.set_float32_matmul_precision(before)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "make_precision-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("make_precision")

# %% nbgrader={"grade": true, "grade_id": "make_precision-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Write one loop for all settings
#
# With a `Precision` in hand, one loop serves all of them. The model and the images take `precision.dtype`. The labels do not: they are numbers of classes, and integers in every setting. So are the tokens of a text.
#
# What remains is to be honest about failure. A loss of NaN is the end: the weights are NaN already, or the next update makes them so, and every loss after it is NaN. A loop that goes on, or that skips such steps in silence, produces a table row that looks like the others. And the accuracy will not tell: `argmax` of a row of NaN is 0, so a dead network "recognizes" all zeros among the digits. The source's author trained the same model again for a blog article (below, *the article*). It reports a loss of NaN for `16-true` and with it a test accuracy of 50.08 %, which is what any constant answer gets when half of the reviews are good ones.
#
# ### Exercise 2: `train_digits`
#
# Train `model` with `torch.optim.Adam(model.parameters(), lr=3e-3)` on all `batches`, pairs of images and labels, with the cross-entropy as the loss. Here everything is on the CPU already. Return a dict:
#
# - `"losses"`: a list of floats, one for each step, unscaled;
# - `"skipped"`: how many steps the scaler has skipped;
# - `"diverged_at"`: the number, counted from 1, of the first step whose *loss* is not finite, else None. That step's loss is the last in the list: stop there, before anything is updated: weights that are finite still stay so. (A skipped step has a finite loss, and is no divergence.)
# - `"accuracy"`: the share of `test`, a pair of images and labels, that the trained network gets right. An output that is not finite is wrong.
#
# Useful: the scale is lower after `update` than before it if the step was skipped; for a disabled scaler it is always 1.


# %% nbgrader={"grade": false, "grade_id": "train_digits-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_digits(model, batches, test, precision) -> dict:
    """Train in any precision; return the losses, skipped steps, divergence and accuracy."""
    ### BEGIN SOLUTION
    model.to(precision.dtype)
    adam, scaler = torch.optim.Adam(model.parameters(), lr=3e-3), precision.scaler
    losses, skipped, diverged_at = [], 0, None
    for x, y in batches:
        adam.zero_grad()
        with precision.autocast:
            loss = F.cross_entropy(model(x.to(precision.dtype)), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            diverged_at = len(losses)
            break
        scaler.scale(loss).backward()
        before = scaler.get_scale()
        scaler.step(adam)
        scaler.update()
        skipped += scaler.get_scale() < before
    outputs = model(test[0].to(precision.dtype))
    right = (outputs.argmax(-1) == test[1]) & outputs.isfinite().all(-1)
    found = {"losses": losses, "skipped": skipped, "diverged_at": diverged_at}
    return found | {"accuracy": right.float().mean().item()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "train_digits-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("train_digits")

# %% nbgrader={"grade": true, "grade_id": "train_digits-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Both of your functions together, on the CPU, with 130 steps in each setting that it has:

# %%
digits = load_digits()


def my_run(mode):
    torch.manual_seed(0)
    some = list(batches(digits.train_x, digits.train_y, size=64, steps=130))
    with make_precision(mode, "cpu") as precision:
        found = train_digits(mlp(64, 64, 10), some, digits[2:], precision)
    return found | {"losses": found["losses"][-1]}


hb.results(my_run, {mode: (mode,) for mode in SETTINGS if mode != "tf32"})

# %% [markdown]
# ## Compare seven trainings
#
# `halfbits.training.fit` is this loop with everything that one wants in the long run: it times the steps, counts memory, shows a bar, saves checkpoints and goes on from them with scaler and random numbers as they were, survives Ctrl+C, and says where the first value that is not finite came from. Its numbers are those of a loop written by hand, bit for bit, except in the pure 16-bit settings: there it computes the loss itself in float32, and the last digits may differ from yours. It counts steps from 0: what it calls step 1 is the second step. Where there is a GPU, the next cell uses it, with a network that is large enough to show something.

# %%
mps = torch.backends.mps.is_available()
device = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
hidden, size, lr = ((64,), 64, 3e-3) if device == "cpu" else ((4096, 4096), 1024, 1e-4)


def train_in(mode):
    torch.manual_seed(0)
    adam = functools.partial(torch.optim.Adam, lr=lr)
    some = batches(digits.train_x, digits.train_y, size=size, steps=130)
    options = {"precision": mode, "device": device, "optimizer": adam, "test": digits[2:]}
    return fit(mlp(64, *hidden, 10), some, progress=False, **options)


# %%
runs = {}
for mode in SETTINGS:
    try:
        runs[mode] = train_in(mode)
    except PrecisionError as reason:
        runs[mode] = reason
    print(runs[mode])

# %% [markdown]
# A setting that the device cannot run as asked is an error here, with the reason. And `16-true` says where its first value that is not finite appeared. The curves, and how far each is from that of `32-true`:

# %%
hb.loss_curves(runs)

# %% [markdown]
# On the left you see one curve; on the right, why. All trainings began with the same weights and saw the same batches, so what lies between two curves is rounding. The distance of `64-true` is float32's own rounding: about 10⁻⁷, a digit in the last place. That of `16-mixed` is a thousand times larger. With three bits less, that of the bf16 settings is larger again, and by more than the factor of 8 that three bits make: every step begins where the last one ended, so that differences grow. All of it is less than what one batch differs from the next.
#
# So on this task, with this optimizer, five settings learn the same. One does not learn at all.

# %%
hb.dashboard(runs)

# %% [markdown]
# What your row can tell depends on your device:
#
# - **A CPU** shows the numerics: accuracy, curves, skipped steps, failure are those of the formats. Time is another matter. Many CPUs have no fp16 or bf16 products of their own, so the 16-bit settings are slower there, and in a network as small as this one you mostly time Python. Memory is *counted*: weights, gradients, Adam's moments, and what is saved for the backward pass.
# - **An Apple GPU** has neither float64 nor TF32.
# - **An NVIDIA GPU** shows the speed, if the products are large enough to keep it busy.
#
# Memory first. `64-true` takes twice what `32-true` takes, and the pure 16-bit settings half. The mixed ones save little: parameters, gradients and moments stay float32, as you counted in Unit 4. In the article it was the same: 5.37 GB for `32-true`, 4.31 for `16-mixed`, 2.87 for `16-true`.
#
# Then accuracy. One test image of 360 is 0.28 %, and no two of the settings that learned lie further apart than a few images. In the article, `16-mixed` had 2.2 points more than `32-true`, and low precision was credited with it: it might regularize. But the same float32 training in the source gave 92.23 %, not 89.92 %. Two runs of one setting lay further apart than the two settings did. Unit 7 does the arithmetic of such differences; until then, read one unseeded run as one draw.
#
# The picture also says what is *not* there: speeds of GPUs measured by this course appear only if somebody has recorded them.
#
# ## Find out why pure fp16 fails
#
# `16-true` diverged at once: the loss was fine in the first step and NaN in the second, so the one update between the two made the weights infinite and NaN. Not the gradients: those of the first step were finite. It is Adam,
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\,g \qquad v \leftarrow \beta_2 v + (1-\beta_2)\,g^2 \qquad \Delta w = -\,\mathrm{lr} \cdot \frac{m/(1-\beta_1^t)}{\sqrt{v/(1-\beta_2^t)} + \varepsilon}$$
#
# with β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸ and lr = 0.001 by default. Everything in it is fp16 here: the weight, m, v, and the sum in the denominator. **Predict** for a gradient of 0.001: what is v after the first step? What is ε?
#
# In exact arithmetic, with a constant gradient, the fraction is at most 1 in magnitude. So in n steps a weight moves by n × lr at most. That gives a test for sanity that needs no second computation.
#
# ### Exercise 3: `adam_fp16_report`
#
# Make a float16 weight of 1 and take `steps` steps of `torch.optim.Adam` with the given `eps` and `fused`, and else with its defaults. Set the same gradient, in float16, before each step. Report:
#
# - `"eps"`: the value that the given `eps` becomes when it is rounded to float16 (Adam's ε, not the format's);
# - `"second moment"`: Adam's v afterwards, as it is stored: `adam.state[w]["exp_avg_sq"]`;
# - `"weight"`: afterwards;
# - `"verdict"`: `"not finite"` if the weight is infinite or NaN; else `"too far"` if it moved by more than `steps` × 0.001; else `"sane"`.
#
# All numbers are Python floats. `fused=True` is Adam's other implementation: it computes a step in float32, and rounds what it stores.


# %% nbgrader={"grade": false, "grade_id": "adam_fp16_report-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adam_fp16_report(gradient: float, eps: float, fused: bool, steps: int) -> dict:
    """Take Adam's steps on a float16 weight of 1, and judge where it went.

    >>> adam_fp16_report(0.5, 1e-3, False, 1)["verdict"]
    'sane'
    """
    ### BEGIN SOLUTION
    w = torch.ones(1, dtype=torch.float16, requires_grad=True)
    adam = torch.optim.Adam([w], eps=eps, fused=fused)
    for _ in range(steps):
        w.grad = torch.tensor([gradient], dtype=torch.float16)
        adam.step()
    moved = abs(w.item() - 1)
    verdict = "sane" if moved <= steps * 0.001 else "too far"
    return {
        "eps": torch.tensor(eps, dtype=torch.float16).item(),
        "second moment": adam.state[w]["exp_avg_sq"].item(),
        "weight": w.item(),
        "verdict": verdict if math.isfinite(moved) else "not finite",
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "adam_fp16_report-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("adam_fp16_report")

# %% nbgrader={"grade": true, "grade_id": "adam_fp16_report-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Two numbers vanish. v is g² × 0.001 after the first step, and fp16 rounds to 0 what is below 2⁻²⁵: so v is 0 for every gradient up to 0.0055. And ε = 10⁻⁸ is 0 in fp16. What is left of the denominator is 0. A gradient of 0.001 gives −∞; a gradient of 0, as it belongs to pixels that are always white, gives 0/0: NaN.
#
# The obvious remedy is an ε that fp16 has: 10⁻⁷ becomes 2⁻²³. Now nothing is infinite, and a weight of 1 goes to −7.39 in *one* step. A larger ε only makes the steps shorter by a constant factor. What is missing is v, the part that adapts. **Predict** before you look: for which gradients is a step right when ε is 10⁻⁴? And will the fused Adam, which was right after one step, stay right for a hundred?

# %%
hb.adam_steps()

# %% [markdown]
# - With ε = 10⁻⁴ the step is right where gradients happen to be about 10⁻⁴, and within a third beyond 0.0055, where v exists. Below 10⁻⁴ it is too short, and from there to 0.0055 too long, at the end 55 times.
# - The fused Adam computes its first step with a v in float32, and stores it in fp16: as 0. From then on it has the v of one step and divides it by the 1 − β₂ᵗ of t steps. After a hundred steps it has gone more than six times too far. One sane step proves nothing.
# - Well to the right of the dashed line fp16 is as good as float32. The remedy is that of Unit 4: keep the weights in float32, and with them what the optimizer remembers. That is `16-mixed`.
#
# `bf16-true` has float32's exponents, so nothing vanishes in Adam, and it did learn. It has another weak spot, which you know from Units 2 and 4: an update below half an ulp of the weight is lost.
#
# ## Keep float32, multiply in TF32
#
# `tf32` changes neither the parameters nor what is stored. Tensors are float32, 32 bits each. Only inside a matrix product are the inputs rounded: TF32 has float32's 8 exponent bits and fp16's 10 fraction bits. The products are summed in float32. So there is no overflow, no scaler, no memory saved, and no code to change: it is `torch.set_float32_matmul_precision("high")`. The article says of `"high"` that it uses bfloat16. By PyTorch's documentation it uses TF32, or a sum of two bf16 numbers; bf16 alone is for `"medium"`.
#
# ### Exercise 4: `tf32_round`
#
# Round a float32 tensor to TF32's 10 fraction bits: to the nearest, and a tie to the neighbour whose last bit is 0. Return a new float32 tensor. ∞ and NaN stay. If the significand carries, the exponent grows, and beyond float32's largest number the result is ∞.
#
# Worked example: between 1 and 2 the gap is 2⁻¹⁰. 1 + 2⁻¹¹ is a tie; below it is 1, whose last bit is 0, so it becomes 1. 1 + 3 × 2⁻¹¹ becomes 1 + 2 × 2⁻¹⁰.
#
# If you did Unit 2, you have written this before, for any number of bits. `x.view(torch.int32)` has the patterns. How a GPU itself rounds to TF32 is its own affair; this is the rule of all casts in PyTorch.


# %% nbgrader={"grade": false, "grade_id": "tf32_round-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tf32_round(x: torch.Tensor) -> torch.Tensor:
    """Round float32 numbers to 10 fraction bits, ties to even.

    >>> tf32_round(torch.tensor([1 + 2**-11]))
    tensor([1.])
    """
    ### BEGIN SOLUTION
    bits = x.view(torch.int32)
    odd = (bits >> 13) & 1  # the last bit that stays
    rounded = (bits + 0xFFF + odd) & ~0x1FFF  # the 13 bits that go
    return torch.where(x.isfinite(), rounded.view(torch.float32), x)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "tf32_round-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("tf32_round")

# %% nbgrader={"grade": true, "grade_id": "tf32_round-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# What does it do to a product? The next cell multiplies two matrices of 256 × 256 random numbers: the inputs rounded to each format, the sums in float32, the result stored in 16 bits for fp16 and bf16. For TF32 it uses your function. **Predict** the order of the four, and whether TF32 and fp16 will differ.

# %%
hb.matmul_errors(tf32_round)

# %% [markdown]
# TF32 and fp16 have the same fraction bits, and nearly the same error; fp16's is a little larger because it rounds the result once more. bf16's is eight times fp16's: three bits. The strokes are half of each format's eps, the most that one rounding can do. The error of a whole product of 256 terms stays below it, because errors of both signs cancel. Only float32's is larger than its stroke: its inputs are exact, and what you see is the rounding of 256 additions.
#
# ## Time what is not done yet
#
# Now to speed. On a GPU a call such as `a @ b` puts the work into a queue and returns. The clock that you read after it has timed the launch. To time the work, wait for it: `torch.cuda.synchronize()`, before the clock starts, so that earlier work does not count, and before it stops. The first calls are slow everywhere: they load kernels, reserve memory, fill caches, compile. So they are left out, as *warm-up*. And because something always interferes with a computer now and then, one takes the median.
#
# ### Exercise 5: `bench`
#
# Call `fn()` `warmup` times, then `iters` times more, timing each of these calls, and return the median in milliseconds. (Of an even number of times that is the mean of the two in the middle.) `device` is `"cpu"` or `"cuda"`. On a CPU a call returns when it is done, and `torch.cuda.synchronize()` raises an error.
#
# Use `time.perf_counter()`, which gives seconds. The check gives you a clock and a GPU that exist in software only: launching a call takes 2⁻⁶ ms there, and the work as long as the case says, call by call; the last number holds for all further calls. Nobody's real time is graded.


# %% nbgrader={"grade": false, "grade_id": "bench-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bench(fn, warmup: int, iters: int, device: str) -> float:
    """Return the median duration of a call of fn in milliseconds, after a warm-up."""
    ### BEGIN SOLUTION
    for _ in range(warmup):
        fn()
    if device == "cuda":
        torch.cuda.synchronize()
    durations = []
    for _ in range(iters):
        start = time.perf_counter()
        fn()
        if device == "cuda":
            torch.cuda.synchronize()
        durations.append(1000 * (time.perf_counter() - start))
    return statistics.median(durations)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bench-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("bench")

# %% nbgrader={"grade": true, "grade_id": "bench-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Your stopwatch on one matrix product in each setting. **Predict** the slowest one on your device. (On an Apple GPU the times are those of the launch: the exercise knows CUDA only.)
#
# The library's `setting` does what your `make_precision` does, in two steps. `setting(mode).on(device)` makes a *plan*, or raises an error if the device cannot do it. `plan.move` brings a tensor to the device, and floating-point numbers into the setting's format; `plan.active()` holds the matmul precision for a `with` block. Later you will also see `plan.place` for the model, `plan.autocast()` and `plan.scaler()`.

# %%
side = 128 if device == "cpu" else 4096


def product(mode):
    plan = setting(mode).on(device)
    a = plan.move(torch.randn(side, side))
    with plan.active():
        return bench(lambda: a @ a, 3, 9, device)


pure = ["32-true", "64-true", "16-true", "bf16-true"] + ["tf32"] * (device == "cuda")
hb.results(product, {f"{mode}, in ms": (mode,) for mode in pure})

# %% [markdown]
# If fp16 or bf16 is the slowest here, your processor has no such products of its own, or PyTorch does not use them, or this product is too small to pay for the call: put `side = 1024` and look again. Without products of its own PyTorch converts, or computes them one by one, and you pay for the format instead of gaining by it. This says something about the processor, and nothing about the format: tensor cores turn the order around.
#
# ## Explain a speed-up
#
# On an A100 the peak of 16-bit products in tensor cores is 312 TFLOP/s, that of float32 outside of them 19.5: sixteen times less. Yet the source's training became 2.99 times faster in fp16 and 2.84 times in bf16. **Why not sixteen?**
#
# Because a step is more than products: normalizations, activations, softmax, the optimizer, the loading of data. If products take the share p of the time and become s times faster, all else stays, and the whole becomes faster by
#
# $$\frac{1}{(1-p) + p/s}$$
#
# which is Amdahl's law. Play with both sliders: where do you gain more, with faster products or with fewer of the others? Then find a p that explains the source.

# %%
hb.amdahl_explorer(share=0.8, factor=8)

# %%
hb.amdahl(share=0.8, factor=8)

# %%
for name, speedup in published_speedups().items():
    print(f"{name}: {speedup:.2f} times faster; share {amdahl_share(speedup, 16):.0%} of the time")

# %% [markdown]
# If all products ran at their peaks, before and after, 71 % of the float32 time must have been theirs for fp16, and 69 % for bf16. Products that stay below their peak need a larger share. At the peak of fp16 the remaining 29 % now take 87 % of the time; if its products became only eight times faster, the remaining 24 % take 72 %. That is why the next gains come from elsewhere: fused optimizers, fewer passes over memory, `torch.compile`. And it is why fp16 and bf16 take about equally long: their products have the same speed, and all else is the same.
#
# The law is also a warning about benchmarks. A matrix product alone shows s, the best case. What you get is the whole.
#
# ## Measure your machine
#
# The project has a benchmark that does all of this with care: every setting, each beside float32 in the same run, with products from small to large, DistilBERT's shape and a GPT. The first line is for a CPU: small shapes, under two minutes on a laptop. The second is for a GPU, the third shows a result once more. In a terminal, in the project's folder:
#
# ```
# .venv/bin/python -m halfbits.benchmark --quick --out mine.json
# .venv/bin/python -m halfbits.benchmark --out mine.json
# .venv/bin/python -m halfbits.benchmark show mine.json
# ```
#
# Read its table with these questions, and every other benchmark, too:
#
# 1. Against what? float32 with `"highest"`, or one in which somebody had switched on TF32?
# 2. Was it the same work: the same batch, the same data, the same number of steps? A larger batch that fits thanks to less memory is a gain, and another measurement.
# 3. Was it waited for, warmed up, repeated? How far do the repetitions lie apart?
# 4. Does the loss curve agree? Speed at the price of the result is no speed-up.
# 5. Which share of the fastest product is reached? A low one says that the time goes elsewhere.
#
# ## Check what you remember
#
# Six questions, one point each. This is practice: what you choose is saved at once and you read why it is right or wrong; try again as often as you like. Your last choice counts.

# %%
hb.quiz("bf16-sgd")

# %%
hb.quiz("tf32-bits")

# %%
hb.quiz("laptop")

# %%
hb.quiz("amdahl")

# %%
hb.quiz("unfair")

# %%
hb.quiz("constant-answer")

# %% nbgrader={"grade": true, "grade_id": "quiz-score", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
hb.check_quiz()

# %% [markdown]
# ## Say it in your own words
#
# A colleague reports: "I ran both on our GPU, one after the other in one notebook, float32 first, with `time.time()` around the loop, one epoch each. In the morning I had set the matmul precision to `high`, somebody recommended it. bf16-mixed took 41 s and float32 52 s, so mixed precision brings a quarter at most, and since bf16 leaves more memory I gave it twice the batch size. bf16's accuracy was 0.4 points lower, so it costs accuracy." In five to seven sentences: what is wrong with the float32 baseline, the clock, the order, the batch size and the conclusion about accuracy, and what would you measure instead?

# %% [markdown] nbgrader={"grade": true, "grade_id": "explain-benchmark", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# The baseline is not float32: with `high` its products ran in TF32 on tensor cores, so bf16 was compared with another fast setting; set `highest` for the baseline and name TF32 as a setting of its own. `time.time()` around the loop is read when the work has been queued, not when it is done, unless the loop happens to wait; synchronize before the clock starts and before it stops. float32 came first and paid for loading kernels, reserving memory and filling caches; warm both up, and measure both more than once, in turn. Twice the batch size means half as many steps with other work in each, so neither the times nor the accuracies are those of one training in two precisions; compare at the same batch, and report the larger batch as a second result. One run each, without seeds, and a difference of 0.4 points say nothing about accuracy; train several seeds, or compare loss curves from the same start. I would report the median step time and its spread for `32-true`, `tf32` and `bf16-mixed` at the same batch, with memory and the loss curves.
# ### END SOLUTION

# %% [markdown]
# ## See where you are
#
# Save (Ctrl + S), then run:

# %%
hb.progress()

# %% [markdown]
# ## Look back
#
# 1. *A setting* is four things: the dtype of the parameters, autocast, a scaler, and the precision of float32 products. Name the device and the dtype, enable the scaler for fp16 only, put the global switch back, and refuse what cannot be had.
# 2. *One loop* serves all: model and images take the dtype, labels stay integers, a disabled scaler passes through. A loss that is not finite ends the training and is reported; an accuracy alone hides it.
# 3. *Pure fp16 with Adam*: ε and the second moment vanish. A larger ε makes the steps finite, not right, and fused Adam drifts. Keep what the optimizer remembers in float32.
# 4. *TF32* stores float32 and multiplies with 10 fraction bits: no memory saved, no scaler, an error like fp16's. bf16's is eight times that.
# 5. *Timing*: warm up, synchronize before and after, repeat, take the median.
# 6. *Amdahl's law*: what did not become faster decides. Three times faster on an A100 fits a share of about 70 % for the products.
#
# And your predictions? On a CPU without 16-bit products the 16-bit settings are the slowest, on a GPU with tensor cores the fastest; with a network as small as this one you time Python as much as products, and `32-true` and `64-true` may tie. The pure 16-bit settings take the least memory. By eye no curve that learns can be told from float32's; the picture on the right tells all but that of `64-true`; `16-true` fails, and no difference between the accuracies in the table means anything without more runs.
#
# ## In practice
#
# What to type tomorrow. The same lines run on a GPU that has bf16, on one that has not, and on a CPU:

# %%
try:
    plan = setting("bf16-mixed").on(device)
except PrecisionError:  # a GPU without bf16
    plan = setting("16-mixed").on(device)
model = plan.place(mlp(64, 64, 10))
adamw = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=device == "cuda")
scaler = plan.scaler() or torch.amp.GradScaler(enabled=False)
with plan.active():
    for x, y in batches(digits.train_x, digits.train_y, size=64, steps=100):
        adamw.zero_grad()
        with plan.autocast():
            loss = F.cross_entropy(model(plan.move(x)), plan.move(y))
        scaler.scale(loss).backward()
        scaler.step(adamw)
        scaler.update()
print(f"{plan.precision.name} on {device}: loss {loss.item():.2f} {plan.hint}")

# %% [markdown]
# - On a GPU that has it, take `bf16-mixed`. Else `16-mixed`, with its scaler. `32-true` with `"high"` is the one-line gain for code that you do not want to touch.
# - Pure bf16 saves memory and needs care with the optimizer: master weights, or stochastic rounding (Unit 2). Pure fp16 is for inference.
# - Keep one float32 run with `"highest"`, the same seed and the same data, to compare curves with.
# - Log the loss, the scale, the gradient norm. Let the first value that is not finite stop the run.
#
# Unit 7 takes these settings to a transformer, in the libraries that do this for you, and asks when a difference in accuracy is one.
#
# ## References
#
# - S. Raschka, *Deep Learning Fundamentals*, Unit 9.1: *Accelerated Model Training via Mixed-Precision Training*, Lightning AI, 2023: the exercise with five settings, and notebooks 1 to 3, from which the minutes and accuracies are (A100-40GB, torch 2.0.0, lightning 2.0.0, one run each).
# - S. Raschka, [*Accelerating Large Language Models with Mixed-Precision Techniques*](https://sebastianraschka.com/blog/2023/llm-mixed-precision-copy.html), 2023: memory, and `16-true` with its loss of NaN.
# - P. Micikevicius et al., *Mixed Precision Training*, ICLR 2018, [arXiv:1710.03740](https://arxiv.org/abs/1710.03740), section 3.1: a float32 copy of the weights.
# - D. P. Kingma, J. Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, [arXiv:1412.6980](https://arxiv.org/abs/1412.6980), section 2.1: the length of a step is bounded by the learning rate.
# - PyTorch documentation: [`torch.set_float32_matmul_precision`](https://docs.pytorch.org/docs/2.13/generated/torch.set_float32_matmul_precision.html); [*Automatic Mixed Precision*](https://docs.pytorch.org/docs/2.13/amp.html).
# - NVIDIA, *NVIDIA A100 Tensor Core GPU Architecture*, 2020, table 1: peak rates of the A100.
# - G. M. Amdahl, *Validity of the Single Processor Approach to Achieving Large Scale Computing Capabilities*, AFIPS 1967.

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
# # Unit 5 · Scale the loss and build a GradScaler
#
# **What you will do**
#
# 1. Explain loss scaling with the chain rule; take the scale out of the gradients again, and check them for overflow.
# 2. Choose a constant scale from the gradients of a network: how large it may be, how small it may be.
# 3. Build the scaler that chooses its scale by itself, `torch.amp.GradScaler`, and compare the two event by event.
# 4. Put scale, backward, unscale, clip, step and update into the right order.
# 5. Accumulate gradients, use several optimizers and resume from a checkpoint without breaking the scale.
# 6. Measure what a scaler rescues, and say when you need none.
#
# **What you need**: fp16's window, from 2⁻²⁵ to 65520, and what happens to gradients outside of it (Unit 3); autocast (Unit 4). No GPU.
# **Time**: about 140 minutes with the exercises; the third exercise alone takes 40. **Points**: 34, of which 6 are for a quiz and 3 for a written answer.
#
# In Unit 3 you slid a histogram of gradients into fp16's window. This unit is about the machine that does it during training: it has to find the scale, notice when it was too large, and leave no trace of it in the weights. In PyTorch the machine is called `GradScaler`, and you will build it.

# %% tags=["imports"]
import math

import torch
import torch.nn.functional as F

import halfbits as hb
from halfbits.data_sets import batches, load_digits
from halfbits.gradients import recorded_histogram
from halfbits.models import mlp
from halfbits.training import accuracy

torch.set_num_threads(1)  # the networks of this unit are too small to be shared out

# %% [markdown]
# ## Predict three gradients
#
# A network with one weight. Its loss is w × 0.0002 × 0.0001, so its derivative is 2 × 10⁻⁸, for every w. The first product is computed in fp16, as autocast would do it, the second in float32. The loss is multiplied by a scale before the backward pass, and the gradient is divided by it afterwards. In exact arithmetic that changes nothing.
#
# Before you run the cell, write down the gradient for the scales 1, 2¹⁰ and 2⁴⁰.


# %%
def gradient(scale):
    w = torch.ones((), requires_grad=True)
    loss = (w.half() * 0.0002).float() * 0.0001
    (loss * scale).backward()
    return w.grad.item() / scale


[gradient(scale) for scale in (1, 2.0**10, 2.0**40)]

# %% [markdown]
# Without a scale the gradient is gone: 2 × 10⁻⁸ is below 2⁻²⁵. With 2¹⁰ it is there, wrong by about one part in a thousand: in fp16 it was subnormal. With 2⁴⁰ it is infinite. All three have the same *forward* pass; what differs is where in fp16's window the backward pass takes place.
#
# ## Scale the loss, unscale the gradients
#
# The chain rule multiplies derivatives, from the loss back to the weight. If the loss is multiplied by S, the first factor is S, and so every product that begins with it is S times as large:
#
# $$\frac{\partial\,(S \cdot L)}{\partial w} = S \cdot \frac{\partial L}{\partial w}$$
#
# This holds for *every* gradient on the way, those of the activations included. The backward pass begins with S itself, in the dtype of the loss. One multiplication, of one number, shifts all of it. And it is the only place where one can do it: once a gradient has been flushed, nothing brings it back.
#
# The other end needs care. The weights are float32, and so are their gradients (Unit 4), which leaves room for S·g. Before the optimizer reads them they have to be divided by S, and looked at: if a gradient overflowed anywhere on the way back, it arrives here as ∞ or NaN. The weights must not see that: a weight that has become NaN stays NaN.
#
# Why scales are powers of two: multiplying by 2ᵏ changes the exponent and no digit. Scaling and unscaling by a power of two cancel exactly, as long as all numbers on the way are normal ones.
#
# ### Exercise 1: `unscale_check_`
#
# Write the other end. Multiply each gradient by `inv`, which is 1/S, **in place** (the underscore in the name promises that, as everywhere in PyTorch: `grad.mul_(inv)`). Then say whether anything was wrong: return True if any element of any gradient is ∞, −∞ or NaN, else False.
#
# - All gradients are unscaled, also if one of them is bad.
# - `None` is the gradient of a parameter that took no part; skip it. If there is nothing else in the list, or nothing at all, the answer is False.
# - An fp16 gradient is an error: unscaled in fp16, it would go back below the window. Raise a `ValueError` before you change anything. Other dtypes are welcome.
#
# Worked example: for the gradients (512, −1024) and (∞), and inv = 2⁻¹⁰, the function returns True, and the gradients are (0.5, −1) and (∞).


# %% nbgrader={"grade": false, "grade_id": "unscale_check_-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unscale_check_(grads: list[torch.Tensor | None], inv: float) -> bool:
    """Multiply gradients by inv, in place; return whether one of them holds inf or NaN.

    >>> unscale_check_([torch.tensor([8.0, math.nan]), None], 0.25)
    True
    """
    ### BEGIN SOLUTION
    grads = [grad for grad in grads if grad is not None]
    if any(grad.dtype == torch.float16 for grad in grads):
        raise ValueError("fp16 gradients cannot be unscaled: they would be flushed again")
    found = any(not grad.isfinite().all() for grad in grads)
    for grad in grads:
        grad.mul_(inv)
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "unscale_check_-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("unscale_check_")

# %% nbgrader={"grade": true, "grade_id": "unscale_check_-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Choose a constant scale
#
# Two limits, one from each end of the window. From above: the largest gradient times S must not overflow. From below: as few gradients as possible may be flushed. **Predict**, for MiniLM's activations: which powers of two flush less than one value in ten thousand, and which are the largest that make none infinite? Begin at 2¹⁶, choose *activations*, and look for both. The third cell counts: `report(S)` says which share of the values would be flushed, and which would overflow.

# %%
hb.gradient_explorer(scale=2.0**16)

# %%
hb.gradient_histogram(kind="activations", scale=2.0**16)

# %%
for kind in ("weights", "activations"):
    fates = {k: recorded_histogram(kind).report(2.0**k) for k in range(33)}
    low = min(k for k, fate in fates.items() if fate.flushed < 1e-4)
    high = max(k for k, fate in fates.items() if fate.overflow == 0)
    print(f"{kind}: from 2^{low} to 2^{high}")

# %% [markdown]
# One scale serves both, so the tighter limits hold. Here both of them come from the activations: among their gradients are the smallest and the largest. Five powers of two are left to choose from. Micikevicius et al. (2018, section 3.2) trained networks with constant factors from 8 to 32,768 and give the rule for the upper limit: the product with the largest gradient stays below 65,504. Up to there, they say, a larger factor does no harm.
#
# ### Exercise 2: `pick_static_scale`
#
# Return the largest power of two S, as a float, with S × |g| ≤ 65504 for every element g of every gradient. `grads` has float32 tensors of any shape, those of weights and those of activations; all are finite, none is empty. If all gradients are zero, any scale would do: return 1.0. For very large gradients S is below 1.
#
# Worked example: with the largest magnitude 100, 65504/100 = 655.04, and the largest power of two up to there is 512.
#
# Useful: `math.log2` and `math.floor`, or `math.frexp` (Unit 1), or a loop.


# %% nbgrader={"grade": false, "grade_id": "pick_static_scale-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pick_static_scale(grads: list[torch.Tensor]) -> float:
    """Return the largest power of two that takes no gradient beyond fp16's largest number.

    >>> pick_static_scale([torch.tensor([0.5, -100.0])])
    512.0
    """
    ### BEGIN SOLUTION
    largest = max(grad.abs().max().item() for grad in grads)
    if largest == 0:
        return 1.0
    return 2.0 ** math.floor(math.log2(torch.finfo(torch.float16).max / largest))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "pick_static_scale-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("pick_static_scale")

# %% nbgrader={"grade": true, "grade_id": "pick_static_scale-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Does it matter in a training? Here a small network learned handwritten digits in fp16 with a constant scale, once for each scale. Its loss had been multiplied by 2⁻²⁰ first, so that without a scale there is nothing left. **Predict** the shape of the curve before you look: accuracy against scale, from 1 to 2⁴⁴.

# %%
hb.scale_sweep()

# %% [markdown]
# A plateau, about thirty powers of two wide, with an edge at each end. On it the scale does not matter at all: the accuracies differ by what a few test images make, and are those of float32. On the left the gradients are flushed. On the right a single infinite gradient is enough: Adam writes it into the weights, and all that follows is NaN.
#
# So the exact scale does not matter, as long as it stays off the edges. Two things speak against choosing it once and for all. The largest gradient of the *next* batch is unknown, and one that is too large costs the whole training. And gradients change while a network learns: a scale that fits today may be near an edge next week.
#
# ## Let the scale find itself
#
# Overflow can be noticed: it arrives as ∞ or NaN in the gradients. Underflow cannot: a flushed gradient looks like any zero. So the rule that everybody uses goes for the upper edge, and steps back when it has gone too far:
#
# - start high: S = 2¹⁶ = 65536;
# - **after an overflow** skip the optimizer's step, halve S, and go on with the next batch;
# - **after 2000 good steps in a row** double S.
#
# It is a control loop: it has one sensor (are all gradients finite?) and one knob. What it pays is a skipped step now and then, whose batch is lost. **Predict**: the largest gradient of a network is 2⁻⁴ and stays so; the interval is 10 steps, to see something. Which steps are skipped, and how does S go on for ever? Then press *100 steps*, inject an inf where you like, and make the gradient larger.

# %%
hb.scaler_explorer(growth_interval=10, largest_gradient=2.0**-4)

# %%
hb.scaler_trace(steps=120, growth_interval=10, overflows=[35])

# %% [markdown]
# S climbs to the edge and stays right below it. After every 10 good steps it tries the next power of two, loses one step, and comes back. The injected ∞ costs a halving as well: the scaler cannot know that it came from elsewhere. With 2000 steps between two attempts the price is small.
#
# At the beginning of a training it looks different. 65536 is a guess, and for many networks too high:

# %%
digits = load_digits()
torch.manual_seed(0)
model = mlp(64, 64, 10)
adam = torch.optim.Adam(model.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
for x, y in batches(digits.train_x, digits.train_y, size=64, steps=7):
    adam.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        loss = F.cross_entropy(model(x), y)
    scaler.scale(loss).backward()
    used = scaler.get_scale()
    scaler.step(adam)
    scaler.update()
    said = "skipped" if scaler.get_scale() < used else "step taken"
    print(f"scale 2^{math.log2(used):.0f}  loss {loss.item():.3f}  {said}")

# %% [markdown]
# The first steps are skipped until the scale fits, one halving a step. That is calibration, not an error. (Here it started at 2²⁴ to make the point: this network bears the default.) What would be an error is a scale that halves *without end*: then the gradients are not finite whatever the scale is, and the cause lies in the forward pass or in the data.
#
# A skipped step leaves everything as it was. Adam has a memory, two moments and a counter, and none of them has seen the five batches that were skipped:

# %%
adam.state[model[0].weight]["step"]

# %% [markdown]
# ### Build it: what it remembers
#
# Your scaler gets the interface of PyTorch's. It is written in three cells, each a class that inherits from the one before. The first is given: what a scaler remembers.


# %% tags=["imports"]
class ScalerState:
    """What a loss scaler remembers; the keys of `state` are those of torch.amp.GradScaler."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self.enabled = enabled
        self.state = {"scale": init_scale, "growth_factor": growth_factor}
        self.state |= {"backoff_factor": backoff_factor, "growth_interval": growth_interval}
        self.state |= {"_growth_tracker": 0}  # good steps in a row
        self.overflow = {}  # optimizers unscaled since the last update → inf or NaN found?
        self.stepped = set()  # optimizers that had their step since the last update

    def scale(self, loss: torch.Tensor) -> torch.Tensor:
        return loss * self.state["scale"] if self.enabled else loss

    def state_dict(self) -> dict:
        return dict(self.state) if self.enabled else {}


# %% [markdown]
# With `enabled=False` a scaler does nothing, and `step` calls `optimizer.step()`. So one training loop serves fp16, bf16 and float32.
#
# ### Build it: unscale once, skip if need be
#
# A training may have several optimizers, for instance one for each of two networks that play against each other. They share one scaler and one scale, because one backward pass may reach both. But each has its own gradients, and steps by itself. So the scaler keeps its records for each optimizer. (An optimizer can be a key of a dict.)
#
# - `unscale_(optimizer)` unscales the gradients of this optimizer, and records in `self.overflow` whether one of them was not finite. A second call between two updates would divide by S twice: it raises a `RuntimeError`. So does a call after `step`.
# - `step(optimizer)` unscales first if nobody has done it. Then it calls `optimizer.step()`, or does not, if *this* optimizer's gradients overflowed. A second call between two updates raises a `RuntimeError`.
#
# The gradients are those of `p.grad` for every `p` in `group["params"]`, for every `group` in `optimizer.param_groups`; some may be None. What you need of your `unscale_check_`, copy: the class should stand on its own. (fp16 gradients do not occur here.)


# %% nbgrader={"grade": false, "grade_id": "SkippingScaler", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["imports"]
class SkippingScaler(ScalerState):
    """Unscale once, before the step; skip the step of an optimizer that overflowed."""

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        ### BEGIN SOLUTION
        if optimizer in self.overflow:
            raise RuntimeError("unscale_ comes once between two updates, before step")
        if self.enabled:
            params = [p for group in optimizer.param_groups for p in group["params"]]
            grads = [p.grad for p in params if p.grad is not None]
            self.overflow[optimizer] = not all(grad.isfinite().all() for grad in grads)
            for grad in grads:
                grad.mul_(1 / self.state["scale"])
        ### END SOLUTION

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        ### BEGIN SOLUTION
        if self.enabled and optimizer in self.stepped:
            raise RuntimeError("step comes once between two updates")
        if optimizer not in self.overflow:
            self.unscale_(optimizer)
        if not self.overflow.get(optimizer):
            optimizer.step()
        self.stepped.add(optimizer)
        ### END SOLUTION


# %% [markdown]
# Try it: a weight of 0, SGD with a learning rate of 1, a scale of 8. Which of these gradients, as the backward pass leaves them, moves the weight, and by how much?


# %%
def weight_after(scaled_gradient):
    w = torch.zeros(1, requires_grad=True)
    w.grad = torch.tensor([scaled_gradient])
    SkippingScaler(init_scale=8.0).step(torch.optim.SGD([w], lr=1.0))
    return w.item()


hb.results(weight_after, {"4": (4.0,), "∞": (math.inf,), "NaN": (math.nan,)})

# %% [markdown]
# ### Exercise 3: `LossScaler`
#
# Now the control loop. `update()` closes an iteration, after all optimizers have stepped:
#
# - If *any* of the optimizers unscaled since the last update overflowed, multiply the scale by `backoff_factor`, **once**, and start counting good steps from 0.
# - Else count one good step more. If there are `growth_interval` of them, multiply the scale by `growth_factor`, and start counting from 0.
# - PyTorch keeps the scale in float32. So it must not grow out of float32: if the product is not finite there (2¹²⁸ is the first power of two that is not), keep the scale, and start counting from 0 all the same. At the lower end there is no limit: a scale may fall below 1.
# - If nothing was unscaled since the last update, somebody forgot a step: raise an `AssertionError`.
# - Then empty the records of this iteration. With `enabled=False`, do nothing at all.
#
# `load_state_dict(state)` takes what another scaler's `state_dict()` has returned and goes on from there. A checkpoint without the scaler's state loses S and the count: the training goes on at 65536, which may be far too low, or too high for a few skipped steps. (A disabled scaler saves `{}`, and another disabled one, which loads it, stays as it is.)
#
# Worked example, with `init_scale=8` and `growth_interval=3`: for the gradients 1, 1, NaN, 1, 1, 1 the scale after each update is 8, 8, 4, 4, 4, 8. Two good steps and the NaN do not make three.
#
# The check uses this scaler, and two optimizers, A and B, whose weights begin at 0 and move by half a gradient. It shows the scale, how many steps each has taken, and its weight, after each update, and the errors by the number of the event; `saved.1` is the state that went through the checkpoint. The events of the third case: backward, unscale_, unscale_, step, step, unscale_, update, update. Grading drives your class and `torch.amp.GradScaler("cpu")` through the same 250 series of 50 random events and compares all of it.


# %% nbgrader={"grade": false, "grade_id": "LossScaler-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
class LossScaler(SkippingScaler):
    """A loss scale that finds its size by itself, with the interface of torch.amp.GradScaler."""

    def update(self) -> None:
        ### BEGIN SOLUTION
        if not self.enabled:
            return
        assert self.overflow, "nothing was unscaled since the last update"
        state = self.state
        state["_growth_tracker"] += 1
        if any(self.overflow.values()):
            state["scale"] *= state["backoff_factor"]
            state["_growth_tracker"] = 0
        elif state["_growth_tracker"] == state["growth_interval"]:
            grown = state["scale"] * state["growth_factor"]
            state["scale"] = grown if grown < 2.0**128 else state["scale"]
            state["_growth_tracker"] = 0
        self.overflow, self.stepped = {}, set()
        ### END SOLUTION

    def load_state_dict(self, state: dict) -> None:
        ### BEGIN SOLUTION
        self.state.update(state)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "LossScaler-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
hb.check("LossScaler")

# %% nbgrader={"grade": true, "grade_id": "LossScaler-hidden", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Look at the rows of the second case. In the first iteration A overflows and stays where it is, and B moves. In the second both overflow, and the scale is halved once.
#
# ## Clip what the optimizer will see
#
# Gradient clipping shortens a gradient whose norm exceeds a limit: it is a safety belt, meant to be loose in ordinary steps. The limit is meant for the *true* gradient. After `backward` the gradients are S times as long. **Predict**: the gradient is (0.3, 0.4), of norm 0.5; the limit is 1, so nothing should be clipped; S = 1024. What is left if the clipping comes before the unscaling?

# %%
hb.clip_explorer(gradient=(0.3, 0.4), scale=1024.0, max_norm=1.0)

# %%
hb.clipping(gradient=(0.3, 0.4), scale=1024.0, max_norm=1.0)

# %% [markdown]
# Clipped first, the scaled gradient of norm 512 is cut to 1 and then divided by 1024. So every gradient longer than 1/1024 is cut down to 1/1024. The training does not fail. It creeps, and it looks as if the learning rate were too small. When the scale doubles, the steps become shorter still.
#
# So there is one order:
#
# | | | why there |
# |---|---|---|
# | 1 | `optimizer.zero_grad()` | the old gradients are unscaled, the new ones will not be |
# | 2 | the forward pass, under autocast | |
# | 3 | `scaler.scale(loss).backward()` | S enters |
# | 4 | `scaler.unscale_(optimizer)` | S leaves; needed only if you want to look at the gradients or change them |
# | 5 | clip, or log the norm | true gradients |
# | 6 | `scaler.step(optimizer)` | steps, or skips |
# | 7 | `scaler.update()` | S for the next iteration |
#
# ### Exercise 4: `train_step`
#
# Write these seven lines as a function that works with any scaler of this interface. `loss_fn(model, inputs, targets)` runs the forward pass, autocast included, and returns the loss. Clip with `torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)`. Return the loss as a float, unscaled, as one wants it in a log.


# %% nbgrader={"grade": false, "grade_id": "train_step-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_step(model, inputs, targets, loss_fn, optimizer, scaler, max_norm: float) -> float:
    """Train on one batch, with a loss scale and clipped gradients; return the loss."""
    ### BEGIN SOLUTION
    optimizer.zero_grad()
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()
    return loss.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "train_step-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("train_step")

# %% nbgrader={"grade": true, "grade_id": "train_step-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Your step and your scaler in a training: 100 steps on the digits in fp16, from four initial scales. One of them is so high that the scaler has to come down a long way; count how many steps that costs.


# %%
def digits_loss(model, x, y):
    with torch.autocast("cpu", dtype=torch.float16):
        return F.cross_entropy(model(x), y)


def digits_run(init_scale):
    torch.manual_seed(0)
    model = mlp(64, 64, 10)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    scaler = LossScaler(init_scale=init_scale, growth_interval=40)
    for x, y in batches(digits.train_x, digits.train_y, size=64, steps=100):
        train_step(model, x, y, digits_loss, adam, scaler, max_norm=1.0)
    taken = int(adam.state[model[0].weight]["step"])
    right = accuracy(model, digits.test_x, digits.test_y)
    return {"skipped": 100 - taken, "scale": scaler.state["scale"], "accuracy": right}


hb.results(digits_run, {f"from 2^{k}": (2.0**k,) for k in (0, 16, 24, 40)})

# %% [markdown]
# Whatever it started from, the scale ended within a few powers of two of the edge, or was on its way there, and the network learned. From 2⁰ it has not come far in 100 steps: two doublings. Coming down takes one step for each halving; climbing takes a whole interval for each doubling. That is why the default starts high.
#
# ## Accumulate under one scale
#
# A batch that does not fit into memory is cut into micro-batches; their gradients add up in `.grad`, and the optimizer steps once. `backward` adds *scaled* gradients, so all of them must have the same S. From the first micro-batch to the last the scale stays, and unscale, step and update come once, at the end. If one micro-batch overflows, the sum is not finite, and the whole effective batch is skipped.
#
# The mean of means is a trap of its own. `loss_fn` returns the *mean* over a micro-batch. For the mean over the effective batch each has to be weighted by its share of the examples, and the last micro-batch is often smaller.
#
# ### Exercise 5: `accumulate`
#
# Do one optimizer step for all micro-batches, as if they were one batch. `microbatches` is a list of pairs (inputs, targets); `len(inputs)` is the number of examples. Return the mean loss over all examples. There is no clipping here. Call `backward` for each micro-batch: only then is what its forward pass kept for it (Unit 4) gone before the next one comes. The check counts how many examples are in memory at once.
#
# Worked example: micro-batches of 3 examples and 1 example with the mean losses 2.0 and 6.0 have the mean loss (3 × 2.0 + 1 × 6.0) / 4 = 3.0.


# %% nbgrader={"grade": false, "grade_id": "accumulate-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def accumulate(model, microbatches, loss_fn, optimizer, scaler) -> float:
    """Train on the micro-batches as on one batch; return the mean loss of all examples."""
    ### BEGIN SOLUTION
    optimizer.zero_grad()
    examples = sum(len(inputs) for inputs, _ in microbatches)
    total = 0.0
    for inputs, targets in microbatches:
        loss = loss_fn(model, inputs, targets) * (len(inputs) / examples)
        scaler.scale(loss).backward()
        total += loss.item()
    scaler.step(optimizer)
    scaler.update()
    return total
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "accumulate-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("accumulate")

# %% nbgrader={"grade": true, "grade_id": "accumulate-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Measure what a scaler rescues
#
# Digits are an easy problem: their gradients are large, and fp16 trains on them without a scale. To see what underflow does we make it happen: multiply the loss by 2⁻¹⁸ before the backward pass. But a smaller loss also means smaller steps, in float32, too. How can we tell the two effects apart?
#
# By an optimizer that does not care about the size of gradients. SGD steps by lr × g. Adam divides by a running root mean square of g:
#
# $$\Delta w = -\,\mathrm{lr} \cdot \frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$
#
# Multiply every gradient by the same factor, and it cancels, as long as ε is small beside √v̂. (PyTorch's default ε is 10⁻⁸. Gradients of 10⁻³ become 4 × 10⁻⁹ under 2⁻¹⁸, so we take a smaller one.) With Adam, then, a run with the small loss should do what a run with the full loss does, and if it does not, *rounding* is the reason.

# %%
for optimizer, options in ((torch.optim.SGD, {"lr": 0.1}), (torch.optim.Adam, {"eps": 1e-15})):
    for factor in (1.0, 2.0**-18):
        w = torch.zeros((), requires_grad=True)
        w.grad = torch.tensor(0.01 * factor)
        optimizer([w], **options).step()
        print(f"{optimizer.__name__:4}  gradient {w.grad:.1e}  step {w.item():.1e}")

# %% [markdown]
# ### Exercise 6: `underflow_experiment`
#
# Train `model` on all `batches`, which are pairs (x, y), with `torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)`. The loss is the cross-entropy times `shrink`. The forward pass runs under `torch.autocast("cpu", dtype=dtype)`; for float32 without autocast (`enabled=False`). Loss and step go through the scaler, which may be a disabled one. Return which share of all gradient elements, over all parameters and all steps, was exactly zero (before or after unscaling: that makes no difference).
#
# **Predict** the test accuracy after 60 steps for float32, fp16, fp16 with a scaler, and bf16. The check shows all four.


# %% nbgrader={"grade": false, "grade_id": "underflow_experiment-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def underflow_experiment(model, batches, shrink: float, dtype: torch.dtype, scaler) -> float:
    """Train model in place on loss × shrink; return the share of gradient elements that are 0."""
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    zeros = elements = 0
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss * shrink).backward()
        for parameter in model.parameters():
            zeros += (parameter.grad == 0).sum().item()
            elements += parameter.numel()
        scaler.step(optimizer)
        scaler.update()
    return zeros / elements
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "underflow_experiment-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("underflow_experiment")

# %% nbgrader={"grade": true, "grade_id": "underflow_experiment-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Read the four runs as an experiment. float32 is the control: a third of its gradients are exactly zero (pixels that are always white, ReLUs that are off), and it learns. fp16 has the same network, the same batches and the same optimizer, and nearly all its gradients are zero. The scaler brings back all that float32 had, and the accuracy with it. That run has the same precision as the one that failed: what was missing was range. And bf16 needs no scaler: it has float32's exponents, 2⁻¹⁸ is nothing to it.
#
# ## Know when you need none
#
# | the forward and backward pass in | a scaler? |
# |---|---|
# | float32 | no: gradients from 10⁻⁴⁵ to 10³⁸ |
# | bf16 | no: the same exponents; a scaler would work, and change nothing |
# | fp16 | yes |
# | fp16, on a GPU that has bf16 | consider bf16: fewer digits, no machine to tune |
#
# `GradScaler` accepts bf16 gradients without a complaint. It costs a pass over all gradients in every step, and its scale grows and grows, because nothing overflows.
#
# ## Check what you remember
#
# Six questions, one point each. This is practice: what you choose is saved at once and you read why it is right or wrong; try again as often as you like. Your last choice counts.

# %%
hb.quiz("first-skip")

# %%
hb.quiz("bf16-scaler")

# %%
hb.quiz("fp16-loss")

# %%
hb.quiz("after-4300")

# %%
hb.quiz("in-between")

# %%
hb.quiz("price")

# %% nbgrader={"grade": true, "grade_id": "quiz-score", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
hb.check_quiz()

# %% [markdown]
# ## Say it in your own words
#
# A colleague's fp16 training stops with a loss of NaN. The log says that the loss scale was 65536 for 900 steps and then fell by half at every step, down to 2⁻⁸⁰. "The initial scale was too high," they say, "I will start at 1024." In four to six sentences: what does a single halving mean, and what do ninety-six in a row mean; why will a lower initial scale not help; can the scaler have let a NaN into the weights; and what would you look at first?

# %% [markdown] nbgrader={"grade": true, "grade_id": "explain-collapse", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# A single halving means that one backward pass overflowed at this scale: the step was skipped, nothing is damaged, and it is normal from time to time. Ninety-six in a row mean that the gradients were not finite whatever the scale: at 2⁻⁸⁰ no finite gradient is anywhere near 65504. A lower initial scale only starts the same fall further down; for 900 steps 65536 was not too high. The scaler checks every gradient before every step and skips, so the NaN did not come into the weights through its steps. It was made in the forward pass, in each batch since then: by a weight that grew until an activation overflowed, a logarithm of 0, or bad data. I would take the first batch that was skipped, and look for the first module whose output is not finite, and then at the gradient norm and the weights in the steps before.
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
# 1. *Chain rule*: the gradient of S·L is S times that of L, everywhere in the backward pass. Divide by S in float32, and check for ∞ and NaN before the optimizer sees anything.
# 2. *A constant scale*: S times the largest gradient stays up to 65504; below that, larger is better, until nothing is flushed any more. Between the edges lies a plateau.
# 3. *The scaler*: halve and skip after an overflow, double after 2000 good steps in a row. One scale, records for each optimizer, one update. Yours agrees with PyTorch's.
# 4. *The order*: scale, backward, unscale, clip, step, update. Clipped before the unscaling, all steps are 1/S of what you meant.
# 5. *Accumulation, optimizers, checkpoints*: one scale for an effective batch; each optimizer skips by itself; `state_dict` carries the scale and the count.
# 6. *What it rescues*: range, not precision. fp16 needs it, bf16 and float32 do not.
#
# And the three gradients from the beginning: 2 × 10⁻⁸ lies below 2⁻²⁵ and is flushed; times 2¹⁰ it is subnormal, with enough digits left; times 2⁴⁰ already the 0.0001 on the way back exceeds 65504.
#
# ## In practice
#
# What to type tomorrow, with the checkpoint. The same loop runs in bf16 and float32 with `enabled=False`:

# %%
device, dtype = "cpu", torch.float16
model = mlp(64, 64, 10)
adamw = torch.optim.AdamW(model.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler(device, enabled=dtype == torch.float16)
for x, y in batches(digits.train_x, digits.train_y, size=64, steps=100):
    adamw.zero_grad()
    with torch.autocast(device, dtype=dtype):
        loss = F.cross_entropy(model(x), y)
    scaler.scale(loss).backward()
    scaler.unscale_(adamw)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    scaler.step(adamw)
    scaler.update()
parts = {"model": model, "optimizer": adamw, "scaler": scaler}
checkpoint = {name: part.state_dict() for name, part in parts.items()}
print(f"loss {loss.item():.2f}, gradient norm {norm:.2f}, {checkpoint['scaler']}")

# %% [markdown]
# - Log the scale. Steady or slowly climbing is healthy; a fall without end is a NaN in the forward pass.
# - `GradScaler("cuda")` on a machine without CUDA is disabled, with a warning. Name the device that you train on.
# - Keep the loss in float32. Autocast does so for PyTorch's losses; after a `.half()` it is up to you.
# - `scaler.step` returns nothing when it skips. If a learning-rate schedule must count real steps only, compare `get_scale()` before and after `update()`.
# - Clip, log norms, add noise: between `unscale_` and `step`.
#
# Unit 6 puts formats, autocast and scaler into one loop and measures what each of them brings.
#
# ## References
#
# - P. Micikevicius et al., *Mixed Precision Training*, ICLR 2018, [arXiv:1710.03740](https://arxiv.org/abs/1710.03740), section 3.2: loss scaling, choosing the factor, skipping the update after an overflow.
# - PyTorch documentation: [`torch.amp.GradScaler`](https://docs.pytorch.org/docs/2.13/amp.html), and in the docstring of `unscale_` the recipe for clipping; [*Automatic Mixed Precision examples*](https://docs.pytorch.org/docs/2.13/notes/amp_examples.html): clipping, accumulation, several losses and optimizers.
# - NVIDIA, [*Train With Mixed Precision*](https://docs.nvidia.com/deeplearning/performance/mixed-precision-training/index.html), on choosing a scaling factor.
# - D. P. Kingma, J. Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, [arXiv:1412.6980](https://arxiv.org/abs/1412.6980), section 2.1: the step does not depend on the scale of the gradients.

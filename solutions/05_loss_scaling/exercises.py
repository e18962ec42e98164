"""The exercises of Unit 5: references, cases, known wrong answers, right alternatives, points."""

import math

import torch

from grader.exercise import Exercise, case, close

FP16, BF16, FP32 = torch.float16, torch.bfloat16, torch.float32
INF, NAN = math.inf, math.nan


def tensors(*values, dtype=FP32):
    """A list of tensors, one for each list of numbers; None stays None."""
    return [None if v is None else torch.tensor(v, dtype=dtype) for v in values]


# ── unscale_check_(grads, inv) ───────────────────────────────────────────────────────────────────

unscale_check_ = Exercise("unscale_check_", points=(1, 2), driven=True)


@unscale_check_.reference
def _(grads, inv):
    """PyTorch's own kernel, which wants tensors of one dtype at a time."""
    given = [grad for grad in grads if grad is not None]
    if any(grad.dtype == torch.float16 for grad in given):
        raise ValueError("fp16")
    found, inverse = torch.zeros(1), torch.tensor([inv])
    for grad in given:
        torch._amp_foreach_non_finite_check_and_unscale_([grad], found, inverse)
    return bool(found)


unscale_check_.visible(
    case(tensors([512.0, -1024.0], [2.0]), 2.0**-10, call="(512, -1024), (2); inv = 2^-10"),
    case(tensors([INF, 8.0], [8.0]), 0.25, call="(inf, 8), (8); inv = 0.25"),
    case(tensors([8.0], [NAN, 8.0]), 0.25, call="(8), (nan, 8); inv = 0.25"),
    case(tensors(None, [8.0]), 0.25, call="None, (8); inv = 0.25"),
    case(
        [torch.tensor([8.0]), torch.tensor([8.0], dtype=FP16)],
        0.25,
        call="(8), (8) in fp16; inv = 0.25",
    ),
)
unscale_check_.hidden(
    "all gradients finite",
    case(tensors([3.0, 0.0, -5.0], [[1.0, 2.0], [4.0, -0.0]]), 2.0**-16),
    case(tensors([65504.0 * 2.0**30]), 2.0**-40),
)
unscale_check_.hidden(
    "+∞ or −∞ in the first, a middle or the last tensor",
    case(tensors([INF], [6.0], [10.0]), 0.5),
    case(tensors([6.0], [2.0, -INF], [10.0]), 0.5),
    case(tensors([6.0], [2.0], [10.0, INF]), 0.5),
)
unscale_check_.hidden(
    "NaN in the first, a middle or the last tensor",
    case(tensors([NAN, 1.0], [6.0], [10.0]), 0.5),
    case(tensors([6.0], [NAN], [10.0]), 0.5),
    case(tensors([6.0], [2.0], [[10.0, NAN]]), 0.5),
)
unscale_check_.hidden(
    "finite gradients whose sum overflows", case(tensors([3e38, 3e38], [1.0]), 2.0**-20)
)
unscale_check_.hidden("+∞ and −∞ together", case(tensors([INF, -INF], [1.0]), 0.5))
unscale_check_.hidden(
    "parameters without a gradient, and none at all",
    case(tensors(None, [4.0], None, [INF], None), 0.5),
    case(tensors(None, None), 0.5),
    case([], 0.5),
)
unscale_check_.hidden("bf16 gradients", case(tensors([96.0, INF], dtype=BF16), 2.0**-5))
unscale_check_.hidden(
    "an fp16 gradient raises ValueError, and nothing is changed",
    case([*tensors([4.0]), *tensors([4.0], dtype=FP16), *tensors([INF])], 0.5),
    case(tensors([INF], dtype=FP16), 0.5),
)


@unscale_check_.wrong("NaN is overlooked: `isinf` is false for it. `isfinite` is false for both")
def infinity_only(grads, inv):
    given = [grad for grad in grads if grad is not None]
    if any(grad.dtype == torch.float16 for grad in given):
        raise ValueError("fp16 gradients cannot be unscaled")
    found = any(bool(grad.isinf().any()) for grad in given)
    for grad in given:
        grad.mul_(inv)
    return found


@unscale_check_.wrong(
    "a sum can overflow although every gradient is finite: a good step would be skipped. Look at "
    "the elements"
)
def check_on_the_sum(grads, inv):
    given = [grad for grad in grads if grad is not None]
    if any(grad.dtype == torch.float16 for grad in given):
        raise ValueError("fp16 gradients cannot be unscaled")
    found = any(not math.isfinite(grad.sum().item()) for grad in given)
    for grad in given:
        grad.mul_(inv)
    return found


@unscale_check_.wrong(
    "this stops at the first bad tensor, and those after it keep their scale: some gradients are S "
    "times as large as the others. Unscale all of them, then answer"
)
def early_return(grads, inv):
    given = [grad for grad in grads if grad is not None]
    if any(grad.dtype == torch.float16 for grad in given):
        raise ValueError("fp16 gradients cannot be unscaled")
    for grad in given:
        if not grad.isfinite().all():
            return True
        grad.mul_(inv)
    return False


@unscale_check_.wrong(
    "this stops at the first bad tensor, and those after it keep their scale: some gradients are S "
    "times as large as the others. Unscale all of them, then answer"
)
def early_return_after_unscaling(grads, inv):
    given = [grad for grad in grads if grad is not None]
    if any(grad.dtype == torch.float16 for grad in given):
        raise ValueError("fp16 gradients cannot be unscaled")
    for grad in given:
        grad.mul_(inv)
        if not grad.isfinite().all():
            return True
    return False


@unscale_check_.wrong(
    "the fp16 gradient is noticed when others have been unscaled already. Look at all dtypes "
    "first, then change something"
)
def fp16_noticed_late(grads, inv):
    found = False
    for grad in grads:
        if grad is None:
            continue
        if grad.dtype == torch.float16:
            raise ValueError("fp16 gradients cannot be unscaled")
        found |= not bool(grad.isfinite().all())
        grad.mul_(inv)
    return found


@unscale_check_.wrong(
    "the gradients that you were given have not changed: `grad * inv` makes a new tensor. The "
    "optimizer will read the old one; multiply in place, `grad.mul_(inv)`"
)
def not_in_place(grads, inv):
    given = [grad for grad in grads if grad is not None]
    if any(grad.dtype == torch.float16 for grad in given):
        raise ValueError("fp16 gradients cannot be unscaled")
    unscaled = [grad * inv for grad in given]
    return any(not bool(grad.isfinite().all()) for grad in unscaled)


@unscale_check_.wrong(
    "`inv` is 1/S already: multiply by it. Divided by it, the gradients are scaled a second time"
)
def divided(grads, inv):
    given = [grad for grad in grads if grad is not None]
    if any(grad.dtype == torch.float16 for grad in given):
        raise ValueError("fp16 gradients cannot be unscaled")
    found = any(not bool(grad.isfinite().all()) for grad in given)
    for grad in given:
        grad.div_(inv)
    return found


@unscale_check_.wrong(
    "only the last tensor decides: each one overwrites what was found before. One bad tensor is "
    "enough"
)
def last_tensor_decides(grads, inv):
    given = [grad for grad in grads if grad is not None]
    if any(grad.dtype == torch.float16 for grad in given):
        raise ValueError("fp16 gradients cannot be unscaled")
    found = False
    for grad in given:
        found = not bool(grad.isfinite().all())
        grad.mul_(inv)
    return found


@unscale_check_.wrong(
    "fp16 gradients are unscaled here. They would go back below fp16's window, where they came "
    "from: raise a `ValueError` instead"
)
def fp16_accepted(grads, inv):
    given = [grad for grad in grads if grad is not None]
    found = any(not bool(grad.isfinite().all()) for grad in given)
    for grad in given:
        grad.mul_(inv)
    return found


@unscale_check_.wrong("the answer is the wrong way round: True stands for inf or NaN")
def true_if_finite(grads, inv):
    given = [grad for grad in grads if grad is not None]
    if any(grad.dtype == torch.float16 for grad in given):
        raise ValueError("fp16 gradients cannot be unscaled")
    good = all(bool(grad.isfinite().all()) for grad in given)
    for grad in given:
        grad.mul_(inv)
    return good


@unscale_check_.right("by x − x, which is 0 for a finite number and NaN for any other")
def by_a_difference(grads, inv):
    if torch.float16 in [grad.dtype for grad in grads if grad is not None]:
        raise ValueError("these gradients are fp16: unscaling would flush them")
    bad = 0
    for grad in grads:
        if grad is not None:
            bad += ((grad - grad) != 0).sum().item()
            torch.mul(grad, inv, out=grad)
    return bad > 0


@unscale_check_.right("by PyTorch's functions for lists of tensors")
def by_foreach(grads, inv):
    given = [grad for grad in grads if grad is not None]
    if any(grad.dtype is torch.float16 for grad in given):
        raise ValueError("these gradients are fp16: unscaling would flush them")
    if not given:
        return False
    found = not all(math.isfinite(x) for grad in given for x in grad.flatten().tolist())
    torch._foreach_mul_(given, inv)
    return found


# ── pick_static_scale(grads) ─────────────────────────────────────────────────────────────────────

pick_static_scale = Exercise("pick_static_scale", points=(1, 2))


@pick_static_scale.reference
def _(grads):
    largest = max((grad.abs().max().item() for grad in grads if grad.numel()), default=0.0)
    if largest == 0:
        return 1.0
    return max(2.0**k for k in range(-150, 170) if 2.0**k * largest <= 65504)


def some_gradients(seed, *sizes):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(100, generator=generator) * size for size in sizes]


pick_static_scale.visible(
    case(tensors([0.25, -1.0])),
    case(tensors([100.0], [0.5])),
    case(tensors([0.5], [-100.0])),
    case(tensors([0.7, 1e-7], [0.0])),
    case(tensors([0.0, 0.0])),
)
pick_static_scale.hidden(
    "gradients of several sizes",
    case(some_gradients(1, 1e-3, 1e-5, 1e-8)),
    case(some_gradients(2, 1e-9, 3e-2)),
    case(some_gradients(3, 40.0, 1.0)),
)
pick_static_scale.hidden(
    "the largest gradient times a power of two is 65504, or a little more or less",
    case(tensors([65504 * 2.0**-20])),
    case(tensors([65504 * 2.0**-20 * (1 + 2.0**-20)])),
    case(tensors([65504 * 2.0**-20 * (1 - 2.0**-20)])),
    case(tensors([2.0**-10])),
)
pick_static_scale.hidden(
    "the gradients of the activations are larger than those of the weights, or smaller",
    case(tensors([[1e-4, 2e-5]], [3e-5], [[0.7, 1e-3], [0.0, -0.2]])),
    case(tensors([[0.7, 2e-5]], [3e-5], [[1e-4, 1e-3], [0.0, 2e-6]])),
)
pick_static_scale.hidden(
    "the largest gradient is negative", case(tensors([-3.0, 1.0], [2.0])), case(tensors([-1e-6]))
)
pick_static_scale.hidden(
    "gradients above 65504: a scale below 1", case(tensors([65505.0])), case(tensors([1e6, 1.0]))
)
pick_static_scale.hidden("zeros only", case(tensors([0.0], [[-0.0, 0.0]])))


@pick_static_scale.wrong(
    "the mean says nothing of the largest gradient, and that is the one that overflows"
)
def by_the_mean(grads):
    mean = sum(grad.abs().mean().item() for grad in grads) / len(grads)
    return 2.0 ** math.floor(math.log2(65504 / mean)) if mean else 1.0


@pick_static_scale.wrong(
    "the exponent is rounded up, or to the nearest: then S × the largest gradient is above 65504. "
    "Round it down"
)
def rounded_up(grads):
    largest = max(grad.abs().max().item() for grad in grads)
    return 2.0 ** math.ceil(math.log2(65504 / largest)) if largest else 1.0


@pick_static_scale.wrong(
    "the exponent is rounded up, or to the nearest: then S × the largest gradient is above 65504. "
    "Round it down"
)
def rounded_to_nearest(grads):
    largest = max(grad.abs().max().item() for grad in grads)
    return 2.0 ** round(math.log2(65504 / largest)) if largest else 1.0


@pick_static_scale.wrong(
    "zeros only: log2(65504 / 0) is infinite, and so is this scale. No scale changes a zero; "
    "return 1.0"
)
def logarithm_of_zero(grads):
    largest = torch.stack([grad.abs().max() for grad in grads]).max().double()
    return (2.0 ** torch.floor(torch.log2(65504 / largest))).item()


@pick_static_scale.wrong(
    "only the first tensor is looked at. The gradients of weights and of activations all pass "
    "through fp16, and the largest decides"
)
def first_tensor_only(grads):
    largest = grads[0].abs().max().item()
    return 2.0 ** math.floor(math.log2(65504 / largest)) if largest else 1.0


@pick_static_scale.wrong(
    "this is what the tensor with the smallest gradients could bear; the one with the largest "
    "gradients overflows"
)
def smallest_tensor_decides(grads):
    largest = (
        min(grad.abs().max().item() for grad in grads if grad.any())
        if any(bool(grad.any()) for grad in grads)
        else 0.0
    )
    return 2.0 ** math.floor(math.log2(65504 / largest)) if largest else 1.0


@pick_static_scale.wrong("gradients have signs: the largest *magnitude* decides, so take `abs()`")
def without_abs(grads):
    largest = max(grad.max().item() for grad in grads)
    return 2.0 ** math.floor(math.log2(65504 / largest)) if largest > 0 else 1.0


@pick_static_scale.wrong(
    "fp16 ends at 65504, not at 2^16: a gradient that the scale takes to 65536 is infinite"
)
def up_to_65536(grads):
    largest = max(grad.abs().max().item() for grad in grads)
    return 2.0 ** math.floor(math.log2(65536 / largest)) if largest else 1.0


@pick_static_scale.wrong(
    "the scale stops at 1: for gradients above 65504 it has to be smaller, such as ½ or ¼"
)
def at_least_one(grads):
    largest = max(grad.abs().max().item() for grad in grads)
    return 2.0 ** max(math.floor(math.log2(65504 / largest)), 0) if largest else 1.0


@pick_static_scale.right("by halving until it fits, and doubling while it fits")
def by_trying(grads):
    largest = max(grad.abs().max().item() for grad in grads)
    scale = 1.0
    while scale * largest > 65504:
        scale /= 2
    while 0 < 2 * scale * largest <= 65504:
        scale *= 2
    return scale


@pick_static_scale.right("from the exponent that frexp gives")
def by_frexp(grads):
    largest = torch.cat([grad.flatten() for grad in grads]).abs().max().item()
    if largest == 0:
        return 1.0
    significand, exponent = math.frexp(largest)  # ½ ≤ significand < 1
    fits = significand * 2**16 <= 65504
    return math.ldexp(1.0, 16 - exponent if fits else 15 - exponent)


# ── LossScaler ───────────────────────────────────────────────────────────────────────────────────

LossScaler = Exercise("LossScaler", points=(2, 6), driven=True)


@LossScaler.reference
class Torchs:
    """torch.amp.GradScaler("cpu"); not a subclass, for which the driver looks."""

    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)


def iterations(*gradients):
    """Of A alone: a step and an update after each gradient."""
    return [e for g in gradients for e in (("backward", g, None), ("step", "A"), ("update",))]


SMALL = {"init_scale": 8.0, "growth_interval": 3}
BOTH = [("step", "A"), ("step", "B"), ("update",)]

LossScaler.visible(
    case(
        SMALL,
        iterations(1.0, 1.0, NAN, *[1.0] * 6),
        call="gradients 1, 1, nan, then six times 1",
    ),
    case(
        SMALL,
        [("backward", INF, 4.0), *BOTH, ("backward", NAN, INF), *BOTH],
        call="A: inf, nan; B: 4, inf",
    ),
    case(
        SMALL,
        [
            *(("backward", 2.0, None), ("unscale_", "A"), ("unscale_", "A"), ("step", "A")),
            *(("step", "A"), ("unscale_", "A"), ("update",), ("update",)),
        ],
        call="in the wrong order",
    ),
    case(
        SMALL,
        [*iterations(INF, 1.0), ("save and load",), *iterations(1.0, 1.0, 1.0)],
        call="inf, 1, saved and loaded, 1, 1, 1",
    ),
)
for _kind, _seeds, _settings in (
    ("one optimizer", range(0, 60), {"init_scale": 1024.0, "growth_interval": 2}),
    ("two optimizers", range(60, 130), {"init_scale": 256.0, "growth_interval": 3}),
    ("wrong order", range(130, 200), {"init_scale": 64.0, "growth_interval": 1}),
    ("saved", range(200, 240), {"init_scale": 512.0, "growth_interval": 4}),
):
    _words = {"saved": "saved and loaded", "wrong order": "calls in the wrong order"}
    LossScaler.hidden(
        f"random events: {_words.get(_kind, _kind)}", case(_settings, (_kind, _seeds))
    )
LossScaler.hidden(
    "other factors: × 4 and × ¼",
    case(
        {"init_scale": 4.0, "growth_factor": 4.0, "backoff_factor": 0.25, "growth_interval": 2},
        ("one optimizer", range(240, 250)),
    ),
)
LossScaler.hidden(
    "the defaults: 65536, doubled after 2000 good steps",
    case({}, [("steps", 1999), ("steps", 1), *iterations(INF), ("save and load",)]),
)
LossScaler.hidden(
    "at the upper end of float32",
    case({"init_scale": 2.0**126, "growth_interval": 1}, iterations(0.0, 0.0, 0.0)),
)
LossScaler.hidden("scales below 1", case({"init_scale": 2.0}, [*iterations(INF, NAN, -INF, 1.0)]))
LossScaler.hidden(
    "gradients that were unscaled and never stepped",
    case(SMALL, [("backward", INF, 1.0), ("unscale_", "A"), ("step", "B"), ("update",)]),
)
LossScaler.hidden(
    "enabled=False",
    case(
        {"enabled": False},
        [
            *(
                ("update",),
                ("backward", 2.0, None),
                ("unscale_", "A"),
                ("unscale_", "A"),
                ("step", "A"),
            ),
            *(("step", "A"), ("update",), ("save and load",), *iterations(1.0, 3.0)),
        ],
    ),
)


@LossScaler.wrong(
    "after an overflow the count of good steps goes on: growth wants `growth_interval` good steps "
    "*in a row*, so set it back to 0"
)
class tracker_not_reset:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def update(self):
        before, good = self.torchs.get_scale(), self.torchs._get_growth_tracker()
        self.torchs.update()
        if self.torchs.get_scale() < before:
            self.torchs._growth_tracker.fill_(good)


@LossScaler.wrong(
    "after growing, the count of good steps starts again at 0; here the scale grows at every good "
    "step from then on"
)
class growth_without_reset:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def update(self):
        interval, good = self.torchs._growth_interval, self.torchs._get_growth_tracker()
        if self.torchs.is_enabled() and good >= interval:
            self.torchs._growth_tracker.fill_(interval - 1)
        before = self.torchs.get_scale()
        try:
            self.torchs.update()
        except AssertionError:
            if self.torchs._growth_tracker is not None:
                self.torchs._growth_tracker.fill_(good)
            raise
        if self.torchs.get_scale() > before:
            self.torchs._growth_tracker.fill_(good + 1)


@LossScaler.wrong(
    "the scale grows once and not again: the count of good steps runs on past `growth_interval`. "
    "Set it back to 0 after growing"
)
class grows_only_once:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def update(self):
        before, good = self.torchs.get_scale(), self.torchs._get_growth_tracker()
        self.torchs.update()
        if self.torchs.get_scale() >= before and good + 1 == self.torchs._growth_interval:
            self.torchs._growth_tracker.fill_(good + 1)


@LossScaler.wrong(
    "growth comes one step late: after `growth_interval` good steps the scale grows, not after one "
    "more"
)
class one_step_late:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def update(self):
        if not self.torchs.is_enabled():
            return
        self.torchs._growth_interval += 1
        try:
            self.torchs.update()
        finally:
            self.torchs._growth_interval -= 1


@LossScaler.wrong(
    "the scale shrinks once for each optimizer that overflowed; one update shrinks it once"
)
class backoff_per_optimizer:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def update(self):
        if not self.torchs.is_enabled():
            return
        states = self.torchs._per_optimizer_states.values()
        found = [any(v.item() for v in s["found_inf_per_device"].values()) for s in states]
        self.torchs.update()
        for _ in range(sum(found) - 1):
            self.torchs._scale *= self.torchs._backoff_factor


@LossScaler.wrong(
    "NaN gradients pass for good ones: `isinf` is false for NaN. The weights become NaN, and "
    "stay so"
)
class no_nan:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def unscale_(self, optimizer):
        kept = []
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    kept.append((p.grad, p.grad.isnan()))
                    p.grad[p.grad.isnan()] = 0
        try:
            self.torchs.unscale_(optimizer)
        finally:
            for grad, where in kept:
                grad[where] = math.nan

    def step(self, optimizer):
        state = self.torchs._per_optimizer_states[id(optimizer)] if self.is_enabled() else None
        if state and state["stage"].name == "READY":
            self.unscale_(optimizer)
        self.torchs.step(optimizer)


@LossScaler.wrong(
    "the count of good steps is lost on the way through the checkpoint: `state_dict` holds it as "
    "`_growth_tracker`, and `load_state_dict` has to restore everything"
)
class tracker_not_restored:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def load_state_dict(self, state):
        self.torchs.load_state_dict(state and state | {"_growth_tracker": 0})


@LossScaler.wrong(
    "only the scale comes out of the checkpoint: factors and interval are part of the state, too"
)
class settings_not_restored:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def load_state_dict(self, state):
        kept = ("growth_factor", "backoff_factor", "growth_interval")
        own = {k: v for k, v in self.torchs.state_dict().items() if k in kept}
        self.torchs.load_state_dict(state and state | own)


@LossScaler.wrong(
    "one optimizer's overflow stops the others, too: remember it for each optimizer, and skip only "
    "the one that had it"
)
class every_optimizer_skips:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def step(self, optimizer):
        if not self.torchs.is_enabled():
            return optimizer.step()
        states = self.torchs._per_optimizer_states
        if states[id(optimizer)]["stage"].name == "READY":
            self.torchs.unscale_(optimizer)
        found = [any(v.item() for v in s["found_inf_per_device"].values()) for s in states.values()]
        if any(found) and states[id(optimizer)]["stage"].name == "UNSCALED":
            states[id(optimizer)]["stage"] = torch.amp.grad_scaler.OptState.STEPPED
        else:
            self.torchs.step(optimizer)


@LossScaler.wrong(
    "a second `unscale_` divides the gradients by the scale again, without a word: raise a "
    "`RuntimeError`"
)
class unscales_twice:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def unscale_(self, optimizer):
        if self.torchs.is_enabled():
            state = self.torchs._per_optimizer_states[id(optimizer)]
            if state["stage"].name == "UNSCALED":
                state["stage"] = torch.amp.grad_scaler.OptState.READY
        self.torchs.unscale_(optimizer)


@LossScaler.wrong(
    "two steps without an update between them: the second applies the same gradients again. Raise "
    "a `RuntimeError`"
)
class steps_twice:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def step(self, optimizer):
        if self.torchs.is_enabled():
            state = self.torchs._per_optimizer_states[id(optimizer)]
            if state["stage"].name == "STEPPED":
                state["stage"] = torch.amp.grad_scaler.OptState.UNSCALED
        self.torchs.step(optimizer)


@LossScaler.wrong(
    "calls in the wrong order pass without a word: gradients are divided twice, or applied twice. "
    "Raise a `RuntimeError`"
)
class no_errors:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def unscale_(self, optimizer):
        if self.torchs.is_enabled():
            ready = torch.amp.grad_scaler.OptState.READY
            self.torchs._per_optimizer_states[id(optimizer)]["stage"] = ready
        self.torchs.unscale_(optimizer)

    def step(self, optimizer):
        if self.torchs.is_enabled():
            state = self.torchs._per_optimizer_states[id(optimizer)]
            if state["stage"].name == "STEPPED":
                state["stage"] = torch.amp.grad_scaler.OptState.UNSCALED
        self.torchs.step(optimizer)


@LossScaler.wrong(
    "a skipped step is a step, too: after it, a second `step` or an `unscale_` before the update "
    "raises a `RuntimeError`"
)
class skipped_steps_forgotten:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def step(self, optimizer):
        self.torchs.step(optimizer)
        if self.torchs.is_enabled():
            state = self.torchs._per_optimizer_states[id(optimizer)]
            if any(v.item() for v in state["found_inf_per_device"].values()):
                state["stage"] = torch.amp.grad_scaler.OptState.UNSCALED


@LossScaler.wrong(
    "what was recorded in one iteration is still there in the next: `update` empties `overflow` "
    "and `stepped`"
)
class records_kept:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def update(self):
        kept = dict(self.torchs._per_optimizer_states)
        self.torchs.update()
        self.torchs._per_optimizer_states.update(kept)


@LossScaler.wrong(
    "what was recorded in one iteration is still there in the next: `update` empties `overflow` "
    "and `stepped`"
)
class steps_kept:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def update(self):
        states = self.torchs._per_optimizer_states
        stepped = [key for key, state in states.items() if state["stage"].name == "STEPPED"]
        self.torchs.update()
        for key in stepped:
            state = self.torchs._per_optimizer_states[key]
            state["stage"] = torch.amp.grad_scaler.OptState.STEPPED


@LossScaler.wrong(
    "the scale grows out of float32: 2^128 is infinite there, and infinity halved stays infinite. "
    "Grow only if the result is finite in float32"
)
class grows_beyond_float32:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def update(self):
        before = self.torchs.get_scale()
        self.torchs.update()
        grown = before * self.torchs._growth_factor if self.torchs.is_enabled() else 0
        if grown == math.inf:
            self.torchs._scale.fill_(2.0**127)  # a Python number, 2^128, halved
        elif grown >= 2.0**128 and self.torchs._get_growth_tracker() == 0:
            self.torchs._scale.fill_(math.inf)


@LossScaler.wrong(
    "the scale grows out of float32: 2^128 is infinite there, and infinity halved stays infinite. "
    "Grow only if the result is finite in float32"
)
class grows_to_infinity:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def update(self):
        before = self.torchs.get_scale()
        self.torchs.update()
        grown = before * self.torchs._growth_factor if self.torchs.is_enabled() else 0
        if grown >= 2.0**128 and self.torchs._get_growth_tracker() == 0:
            self.torchs._scale.fill_(math.inf)


@LossScaler.wrong(
    "the scale stops at 1; PyTorch's has no floor. A network whose gradients exceed 65504 needs a "
    "scale below 1"
)
class never_below_one:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def update(self):
        self.torchs.update()
        if self.torchs.is_enabled():
            self.torchs._scale.clamp_(min=1.0)


@LossScaler.wrong(
    "zeros instead of the bad gradients, and then a step: momentum and Adam's counter move all the "
    "same. Do not call `optimizer.step()` at all"
)
class zeroes_and_steps:
    def __init__(self, **settings):
        self.torchs = torch.amp.GradScaler("cpu", **settings)

    def __getattr__(self, name):
        return getattr(self.torchs, name)

    def step(self, optimizer):
        if self.torchs.is_enabled():
            state = self.torchs._per_optimizer_states[id(optimizer)]
            if state["stage"].name == "READY":
                self.torchs.unscale_(optimizer)
            found = any(v.item() for v in state["found_inf_per_device"].values())
            if found and state["stage"].name == "UNSCALED":
                optimizer.zero_grad(set_to_none=False)
                optimizer.step()
        self.torchs.step(optimizer)


@LossScaler.wrong(
    "this is PyTorch's own `GradScaler`. It is right, and it is what you use in practice; here the "
    "task is to write it"
)
class torchs_own(torch.amp.GradScaler):
    def __init__(self, **settings):
        super().__init__("cpu", **settings)


@LossScaler.right("one class, with the scale in a tensor and a stage for each optimizer")
class scaler_with_stages:
    def __init__(
        self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000,
        enabled=True,
    ):  # fmt: skip
        self.now = torch.tensor(float(init_scale))
        self.factors, self.interval = (growth_factor, backoff_factor), growth_interval
        self.good, self.on, self.stages = 0, enabled, {}

    def scale(self, loss):
        return self.now * loss if self.on else loss

    def unscale_(self, optimizer):
        if self.on:
            if self.stages.get(optimizer, "ready") != "ready":
                raise RuntimeError("too late to unscale")
            bad = 0
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        bad += (~p.grad.isfinite()).sum().item()
                        p.grad /= self.now
            self.stages[optimizer] = "bad" if bad else "good"

    def step(self, optimizer):
        if not self.on:
            return optimizer.step()
        if self.stages.get(optimizer, "ready") == "ready":
            self.unscale_(optimizer)
        if self.stages[optimizer].startswith("done"):
            raise RuntimeError("one step at a time")
        if self.stages[optimizer] == "good":
            optimizer.step()
        self.stages[optimizer] = "done, " + self.stages[optimizer]

    def update(self):
        if self.on:
            assert self.stages, "nothing to learn from"
            bad = any(stage.endswith("bad") for stage in self.stages.values())
            self.good = 0 if bad else self.good + 1
            after = self.now * self.factors[bad] if bad or self.good == self.interval else self.now
            self.good %= self.interval
            self.now = after if after.isfinite() else self.now
            self.stages = {}

    def state_dict(self):
        if not self.on:
            return {}
        return {
            "scale": self.now.item(),
            "growth_factor": self.factors[0],
            "backoff_factor": self.factors[1],
            "growth_interval": self.interval,
            "_growth_tracker": self.good,
        }

    def load_state_dict(self, state):
        if self.on:
            self.now = torch.tensor(state["scale"])
            self.factors = (state["growth_factor"], state["backoff_factor"])
            self.interval, self.good = state["growth_interval"], state["_growth_tracker"]


@LossScaler.right("on the two kernels that PyTorch's scaler is built on")
class scaler_on_kernels:
    def __init__(self, **settings):
        self.enabled = settings.pop("enabled", True)
        self.state = {"scale": 2.0**16, "growth_factor": 2.0, "backoff_factor": 0.5}
        self.state |= {"growth_interval": 2000, "_growth_tracker": 0}
        if "init_scale" in settings:
            self.state["scale"] = settings.pop("init_scale")
        self.state |= settings
        self.found, self.stepped = {}, []

    def scale(self, loss):
        return loss * self.state["scale"] if self.enabled else loss

    def unscale_(self, optimizer):
        if not self.enabled:
            return
        if optimizer in self.found:
            raise RuntimeError("unscaled already")
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        self.found[optimizer] = torch.zeros(())
        inverse = torch.tensor(1 / self.state["scale"])
        torch._amp_foreach_non_finite_check_and_unscale_(grads, self.found[optimizer], inverse)

    def step(self, optimizer):
        if optimizer in self.stepped:
            raise RuntimeError("stepped already")
        if optimizer not in self.found:
            self.unscale_(optimizer)
        if self.enabled:
            self.stepped.append(optimizer)
        if not self.enabled or not self.found[optimizer]:
            optimizer.step()

    def update(self):
        if not self.enabled:
            return
        if not self.found:
            raise AssertionError("no gradients were checked")
        scale = torch.tensor(self.state["scale"], dtype=torch.float32)
        tracker = torch.tensor(self.state["_growth_tracker"], dtype=torch.int32)
        rest = [self.state[k] for k in ("growth_factor", "backoff_factor", "growth_interval")]
        torch._amp_update_scale_(scale, tracker, sum(self.found.values()), *rest)
        self.state |= {"scale": scale.item(), "_growth_tracker": tracker.item()}
        self.found, self.stepped = {}, []

    def state_dict(self):
        return self.state.copy() if self.enabled else {}

    def load_state_dict(self, state):
        self.state |= state


# ── train_step(model, inputs, targets, loss_fn, optimizer, scaler, max_norm) ─────────────────────

train_step = Exercise(
    "train_step",
    points=(1, 3),
    driven=True,
    compare=close(rtol=1e-4, atol=1e-7, why="a norm in float32, summed in another order"),
)


@train_step.reference
def _(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    """Clips by hand, without clip_grad_norm_."""
    model.zero_grad()
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    norm = sum(p.grad.double().pow(2).sum() for p in model.parameters()).sqrt().item()
    if norm > max_norm:
        for p in model.parameters():
            p.grad *= max_norm / norm
    scaler.step(optimizer)
    scaler.update()
    return loss.item()


def one(gradient):
    """Inputs and targets of a batch of one, whose gradient in mean_loss is what is given."""
    return (torch.tensor([gradient]), torch.ones(1, 1))


OVERFLOW = (torch.tensor([[1.0, 2.0]]), torch.full((1, 1), 1e37))  # × 1024 is beyond float32
START = [0.0, 0.0]

train_step.visible(
    case(START, [one([0.3, 0.4])], 1024.0, 1.0, call="gradient (0.3, 0.4), scale 1024, max_norm 1"),
    case(START, [one([3.0, 4.0])], 1024.0, 1.0, call="gradient (3, 4), scale 1024, max_norm 1"),
    case(
        [1.0, 1.0],
        [one([0.5, 0.0]), OVERFLOW, one([0.0, 0.25])],
        1024.0,
        1.0,
        call="gradients (0.5, 0), overflow, (0, 0.25), scale 1024, max_norm 1",
    ),
)
train_step.hidden(
    "a gradient smaller than max_norm",
    case([2.0, -1.0], [one([0.03, -0.04])], 2.0**16, 0.5),
    case([2.0, -1.0], [one([0.3, 0.4])], 2.0**10, 1.0),
)
train_step.hidden(
    "a gradient larger than max_norm", case([0.5, 0.25], [one([30.0, 40.0])], 2.0**12, 2.0)
)
train_step.hidden(
    "several steps",
    case([1.0, 0.0], [one([0.5, 0.5]), one([-0.25, 2.0]), one([0.125, 0.0])], 8.0, 1.0),
)
train_step.hidden(
    "overflow in the first step, or twice",
    case([1.0, -1.0], [OVERFLOW, one([0.5, 0.25])], 2.0**16, 1.0),
    case([1.0, -1.0], [OVERFLOW, OVERFLOW, one([0.5, 0.25])], 2.0**16, 1.0),
)
train_step.hidden(
    "the scale grows after two good steps",
    case([0.0, 1.0], [one([0.5, 0.0])] * 4, 4.0, 1.0),
)


@train_step.wrong(
    "the *scaled* gradients are clipped: their norm is S times too large, so nearly every step is "
    "cut to almost nothing. Call `scaler.unscale_(optimizer)` first"
)
def clips_before_unscaling(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    optimizer.zero_grad()
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    return loss.item()


@train_step.wrong(
    "`optimizer.step()` steps whatever the gradients are, also inf and NaN; "
    "`scaler.step(optimizer)` skips those"
)
def steps_the_optimizer(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    optimizer.zero_grad()
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    scaler.update()
    return loss.item()


@train_step.wrong(
    "`update` before `step`: it closes the iteration, so `step` does not know that the gradients "
    "were unscaled, and divides them by the scale again"
)
def updates_before_stepping(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    optimizer.zero_grad()
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    scaler.update()
    scaler.step(optimizer)
    return loss.item()


@train_step.wrong(
    "the gradients of the step before are still there, unscaled, and the new ones are added to "
    "them: begin with `optimizer.zero_grad()`"
)
def zero_grad_at_the_end(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return loss.item()


@train_step.wrong(
    "`clip_grad_value_` cuts each element by itself, which turns the gradient; `clip_grad_norm_` "
    "shortens it"
)
def clips_the_elements(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    optimizer.zero_grad()
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_value_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()
    return loss.item()


@train_step.wrong(
    "the gradients of the step before are still there, unscaled, and the new ones are added to "
    "them: begin with `optimizer.zero_grad()`"
)
def no_zero_grad(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()
    return loss.item()


@train_step.wrong(
    "without `scaler.update()` the scale never changes, and the next `unscale_` raises a "
    "`RuntimeError`, because for the scaler the iteration has not ended"
)
def no_update(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    optimizer.zero_grad()
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    return loss.item()


@train_step.wrong(
    "the loss that you return is the scaled one. For logs and curves, return the loss itself"
)
def returns_the_scaled_loss(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    optimizer.zero_grad()
    loss = scaler.scale(loss_fn(model, inputs, targets))
    loss.backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()
    return loss.item()


@train_step.wrong(
    "the loss is not scaled before `backward`, but the gradients are unscaled after it: the step "
    "is S times too small"
)
def backward_without_scaling(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    optimizer.zero_grad()
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss)
    loss.backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()
    return loss.item()


@train_step.right("clearing the gradients at the end as well, and clipping the optimizer's own")
def step_with_groups(model, inputs, targets, loss_fn, optimizer, scaler, max_norm):
    optimizer.zero_grad(set_to_none=False)
    loss = loss_fn(model, inputs, targets)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    for group in optimizer.param_groups:
        torch.nn.utils.clip_grad_norm_(group["params"], max_norm)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return float(loss.detach())


# ── accumulate(model, microbatches, loss_fn, optimizer, scaler) ──────────────────────────────────

accumulate = Exercise(
    "accumulate",
    points=(1, 3),
    driven=True,
    compare=close(rtol=1e-5, atol=1e-6, why="the same sum in float32 in another order"),
)


@accumulate.reference
def _(model, microbatches, loss_fn, optimizer, scaler):
    """Weights the seed of each backward pass; a test compares it with one large batch."""
    optimizer.zero_grad()
    shares = torch.tensor([float(len(inputs)) for inputs, _ in microbatches])
    shares /= shares.sum()
    losses = []
    for share, (inputs, targets) in zip(shares, microbatches, strict=True):
        losses.append(loss_fn(model, inputs, targets))
        scaler.scale(losses[-1]).backward(share)
    scaler.step(optimizer)
    scaler.update()
    return (torch.stack(losses) @ shares).item()


def micro(*rows):
    """A micro-batch with one example for each row; targets are 1."""
    return (torch.tensor(rows), torch.ones(len(rows), 1))


LARGE = (torch.tensor([[1.0, 1.0]]), torch.full((1, 1), 1e37))

accumulate.visible(
    case(
        [1.0, 1.0],
        [[micro([1.0, 0.0], [0.0, 1.0]), micro([3.0, 0.0], [2.0, 1.0])]],
        8.0,
        call="two micro-batches of 2",
    ),
    case(
        [1.0, 1.0],
        [[micro([1.0, 0.0], [0.0, 1.0], [1.0, 1.0]), micro([6.0, 2.0])]],
        8.0,
        call="micro-batches of 3 and 1",
    ),
    case(
        [1.0, 1.0],
        [[micro([1.0, 0.0])] * 2, [micro([1.0, 0.0]), LARGE], [micro([0.0, 1.0])] * 2],
        128.0,
        call="three effective batches, overflow in the second",
    ),
)
accumulate.hidden(
    "micro-batches of equal size",
    case([0.5, -1.0], [[micro([1.0, 2.0]), micro([0.5, 0.0]), micro([-1.0, 3.0])]], 1024.0),
)
accumulate.hidden(
    "a last micro-batch that is smaller",
    case(
        [0.5, -1.0],
        [[micro(*[[0.1 * i, 1.0] for i in range(8)]), micro([5.0, 0.0], [4.0, 1.0])]],
        65536.0,
    ),
)
accumulate.hidden(
    "several effective batches: the scale grows after two of them",
    case(
        [1.0, 2.0],
        [[micro([float(i), 1.0]), micro([0.5, -1.0], [0.25, float(i)])] for i in range(4)],
        16.0,
    ),
)
accumulate.hidden(
    "overflow in the first or the last micro-batch",
    case([1.0, 2.0], [[LARGE, micro([1.0, 1.0])], [micro([1.0, 0.5]), micro([1.0, 1.0])]], 256.0),
    case([1.0, 2.0], [[micro([1.0, 1.0]), micro([2.0, 1.0]), LARGE], [micro([1.0, 0.5])]], 256.0),
)
accumulate.hidden("a single micro-batch", case([1.0, 2.0], [[micro([0.5, 0.25])]], 4.0))


@accumulate.wrong(
    "the losses are added as they are: with k micro-batches the gradient is k times too large. "
    "Weight each by its share of the examples"
)
def no_division(model, microbatches, loss_fn, optimizer, scaler):
    optimizer.zero_grad()
    total = 0.0
    for inputs, targets in microbatches:
        loss = loss_fn(model, inputs, targets)
        scaler.scale(loss).backward()
        total += loss.item()
    scaler.step(optimizer)
    scaler.update()
    return total


@accumulate.wrong(
    "divided by the number of micro-batches, every micro-batch counts the same, and so an example "
    "in a small one counts more. Weight each by its share of the examples"
)
def divided_by_their_number(model, microbatches, loss_fn, optimizer, scaler):
    optimizer.zero_grad()
    total = 0.0
    for inputs, targets in microbatches:
        loss = loss_fn(model, inputs, targets) / len(microbatches)
        scaler.scale(loss).backward()
        total += loss.item()
    scaler.step(optimizer)
    scaler.update()
    return total


@accumulate.wrong(
    "there is a step after every micro-batch: many small batches, not one large one. Accumulate "
    "first, then step once"
)
def steps_each_time(model, microbatches, loss_fn, optimizer, scaler):
    examples = sum(len(inputs) for inputs, _ in microbatches)
    total = 0.0
    for inputs, targets in microbatches:
        optimizer.zero_grad()
        loss = loss_fn(model, inputs, targets) * (len(inputs) / examples)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        total += loss.item()
    return total


@accumulate.wrong(
    "there is a step after every micro-batch: many small batches, not one large one. Accumulate "
    "first, then step once"
)
def steps_each_time_on_the_sum(model, microbatches, loss_fn, optimizer, scaler):
    optimizer.zero_grad()
    examples = sum(len(inputs) for inputs, _ in microbatches)
    total = 0.0
    for inputs, targets in microbatches:
        loss = loss_fn(model, inputs, targets) * (len(inputs) / examples)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        total += loss.item()
    return total


@accumulate.wrong(
    "the step is right, what you return is not: the losses are added as they are. Weight them as "
    "the gradients are weighted"
)
def returns_the_sum(model, microbatches, loss_fn, optimizer, scaler):
    optimizer.zero_grad()
    examples = sum(len(inputs) for inputs, _ in microbatches)
    total = 0.0
    for inputs, targets in microbatches:
        loss = loss_fn(model, inputs, targets)
        scaler.scale(loss * len(inputs) / examples).backward()
        total += loss.item()
    scaler.step(optimizer)
    scaler.update()
    return total


@accumulate.wrong(
    "the step is right, what you return is not: the losses are added as they are. Weight them as "
    "the gradients are weighted"
)
def returns_the_mean_of_means(model, microbatches, loss_fn, optimizer, scaler):
    optimizer.zero_grad()
    examples = sum(len(inputs) for inputs, _ in microbatches)
    total = 0.0
    for inputs, targets in microbatches:
        loss = loss_fn(model, inputs, targets)
        scaler.scale(loss * len(inputs) / examples).backward()
        total += loss.item() / len(microbatches)
    scaler.step(optimizer)
    scaler.update()
    return total


@accumulate.wrong(
    "all micro-batches wait in memory for one backward pass, as if the batch had not been cut. "
    "Call `backward` for each of them"
)
def one_backward(model, microbatches, loss_fn, optimizer, scaler):
    optimizer.zero_grad()
    count = sum(len(inputs) for inputs, _ in microbatches)
    losses = [loss_fn(model, x, y) * len(x) for x, y in microbatches]
    loss = sum(losses) / count
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return loss.item()


@accumulate.wrong(
    "`unscale_` after every micro-batch: the gradients of the next one would be added to unscaled "
    "ones, and the scaler raises a `RuntimeError`. Unscale once, when all are there"
)
def unscales_each_time(model, microbatches, loss_fn, optimizer, scaler):
    optimizer.zero_grad()
    examples = sum(len(inputs) for inputs, _ in microbatches)
    total = 0.0
    for inputs, targets in microbatches:
        loss = loss_fn(model, inputs, targets) * (len(inputs) / examples)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        total += loss.item()
    scaler.step(optimizer)
    scaler.update()
    return total


@accumulate.wrong(
    "`update` after every micro-batch: nothing has been unscaled yet, so it raises an "
    "`AssertionError`; and a scale that changes in between would mix gradients of two scales"
)
def updates_each_time(model, microbatches, loss_fn, optimizer, scaler):
    optimizer.zero_grad()
    examples = sum(len(inputs) for inputs, _ in microbatches)
    total = 0.0
    for inputs, targets in microbatches:
        loss = loss_fn(model, inputs, targets) * (len(inputs) / examples)
        scaler.scale(loss).backward()
        scaler.update()
        total += loss.item()
    scaler.step(optimizer)
    return total


@accumulate.wrong(
    "`zero_grad` inside the loop throws away what was accumulated: only the last micro-batch "
    "counts. Clear the gradients once, before the first"
)
def zero_grad_inside(model, microbatches, loss_fn, optimizer, scaler):
    examples = sum(len(inputs) for inputs, _ in microbatches)
    total = 0.0
    for inputs, targets in microbatches:
        optimizer.zero_grad()
        loss = loss_fn(model, inputs, targets) * (len(inputs) / examples)
        scaler.scale(loss).backward()
        total += loss.item()
    scaler.step(optimizer)
    scaler.update()
    return total


@accumulate.wrong(
    "the gradients of the effective batch before are still there: clear them before the first "
    "micro-batch"
)
def never_cleared(model, microbatches, loss_fn, optimizer, scaler):
    examples = sum(len(inputs) for inputs, _ in microbatches)
    total = 0.0
    for inputs, targets in microbatches:
        loss = loss_fn(model, inputs, targets) * (len(inputs) / examples)
        scaler.scale(loss).backward()
        total += loss.item()
    scaler.step(optimizer)
    scaler.update()
    return total


@accumulate.right("sums first, and the gradients divided after unscaling")
def divided_at_the_end(model, microbatches, loss_fn, optimizer, scaler):
    optimizer.zero_grad()
    total, count = 0.0, 0
    for inputs, targets in microbatches:
        loss = loss_fn(model, inputs, targets) * len(inputs)
        scaler.scale(loss).backward()
        total, count = total + loss.item(), count + len(inputs)
    scaler.unscale_(optimizer)
    for parameter in model.parameters():
        parameter.grad /= count
    scaler.step(optimizer)
    scaler.update()
    return total / count


# ── underflow_experiment(model, batches, shrink, dtype, scaler) ──────────────────────────────────

underflow_experiment = Exercise(
    "underflow_experiment",
    points=(1, 2),
    driven=True,
    compare=close(
        atol=0.06,
        why="60 steps of training: products in 16 bits are summed in another order on another "
        "processor, which moves a few of the 360 test images",
    ),
)


@underflow_experiment.reference
def _(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    zeros = total = 0
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y) * shrink
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        flat = torch.cat([p.grad.flatten() for p in model.parameters()])
        zeros, total = zeros + (flat == 0).sum().item(), total + flat.numel()
        scaler.step(optimizer)
        scaler.update()
    return zeros / total


TINY = 2.0**-18
MODES = {"fp32": (FP32, False), "fp16": (FP16, False), "fp16 + scaler": (FP16, True)}

for _name, (_dtype, _scaled) in (MODES | {"bf16": (BF16, False)}).items():
    underflow_experiment.visible(case(TINY, _dtype, _scaled, call=f"loss × 2^-18, {_name}"))
for _name, (_dtype, _scaled) in MODES.items():
    underflow_experiment.hidden(
        f"{_name}: another network and other batches", case(TINY, _dtype, _scaled, 2, 32)
    )
underflow_experiment.hidden(
    "four steps, the first two on blank images, which have more zeros",
    case(TINY, FP32, False, 2, 32, 4, 2),
)
underflow_experiment.hidden(
    "fp16 without a scaler, the loss as it is", case(1.0, FP16, False, 3, 32)
)
underflow_experiment.hidden(
    "fp16 with a scaler, the loss × 2^-10", case(2.0**-10, FP16, True, 1, 32)
)


@underflow_experiment.wrong(
    "SGD's steps shrink with the loss, in float32 as well: nothing is learned, whatever the format "
    "does. Adam divides by the size of the gradients, so it isolates what rounding does"
)
def with_sgd(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    zeros = total = 0
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y) * shrink
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        for p in model.parameters():
            zeros, total = zeros + (p.grad == 0).sum().item(), total + p.numel()
        scaler.step(optimizer)
        scaler.update()
    return zeros / total


@underflow_experiment.wrong(
    "the logits are multiplied, not the loss. That is a temperature: it changes what is learned, "
    "not only the size of the gradients"
)
def scales_logits(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    zeros = total = 0
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x) * shrink, y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        for p in model.parameters():
            zeros, total = zeros + (p.grad == 0).sum().item(), total + p.numel()
        scaler.step(optimizer)
        scaler.update()
    return zeros / total


@underflow_experiment.wrong(
    'the forward pass runs in float32, whatever `dtype` says: `torch.autocast("cpu", dtype=dtype)` '
    "belongs around it"
)
def no_autocast(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    zeros = total = 0
    for x, y in batches:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y) * shrink
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        for p in model.parameters():
            zeros, total = zeros + (p.grad == 0).sum().item(), total + p.numel()
        scaler.step(optimizer)
        scaler.update()
    return zeros / total


@underflow_experiment.wrong(
    "the backward pass runs with the full loss: `shrink` is missing, or comes afterwards, in "
    "float32, where nothing is lost. Multiply the loss by it, before `backward`"
)
def shrinks_the_gradients(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    zeros = total = 0
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        for p in model.parameters():
            p.grad *= shrink
            zeros, total = zeros + (p.grad == 0).sum().item(), total + p.numel()
        scaler.step(optimizer)
        scaler.update()
    return zeros / total


@underflow_experiment.wrong(
    "the scaler is not used: with and without it the run is the same. Scale the loss, and let it "
    "do the step"
)
def ignores_the_scaler(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    zeros = total = 0
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y) * shrink
        loss.backward()
        for p in model.parameters():
            zeros, total = zeros + (p.grad == 0).sum().item(), total + p.numel()
        optimizer.step()
    return zeros / total


@underflow_experiment.wrong(
    "whole tensors are counted that are zero everywhere; count single elements"
)
def counts_tensors(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    zeros = total = 0
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y) * shrink
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        for p in model.parameters():
            zeros, total = zeros + float((p.grad == 0).all()), total + 1
        scaler.step(optimizer)
        scaler.update()
    return zeros / total


@underflow_experiment.wrong(
    "Adam has its default ε of 10⁻⁸, which is larger than these gradients: it makes every step "
    "small, whatever the format does. Set `eps=1e-15`"
)
def default_eps(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    zeros = total = 0
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y) * shrink
        scaler.scale(loss).backward()
        for p in model.parameters():
            zeros, total = zeros + (p.grad == 0).sum().item(), total + p.numel()
        scaler.step(optimizer)
        scaler.update()
    return zeros / total


@underflow_experiment.wrong(
    "the gradients of all batches before are added up: call `zero_grad` in every iteration"
)
def gradients_never_cleared(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    zeros = total = 0
    for x, y in batches:
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y) * shrink
        scaler.scale(loss).backward()
        for p in model.parameters():
            zeros, total = zeros + (p.grad == 0).sum().item(), total + p.numel()
        scaler.step(optimizer)
        scaler.update()
    return zeros / total


@underflow_experiment.wrong(
    "only the last step is counted: set the counts to 0 once, before the first batch"
)
def counts_the_last_step(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y) * shrink
        scaler.scale(loss).backward()
        gradients = [p.grad for p in model.parameters()]
        zeros = sum((grad == 0).sum().item() for grad in gradients)
        total = sum(grad.numel() for grad in gradients)
        scaler.step(optimizer)
        scaler.update()
    return zeros / total


@underflow_experiment.wrong("this is the share of the elements that are *not* zero")
def counts_the_others(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    others = total = 0
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y) * shrink
        scaler.scale(loss).backward()
        for p in model.parameters():
            others, total = others + p.grad.count_nonzero().item(), total + p.numel()
        scaler.step(optimizer)
        scaler.update()
    return others / total


@underflow_experiment.wrong(
    "every tensor counts the same here, a bias of 10 numbers as much as 4096 weights. Count the "
    "elements of all of them, then divide"
)
def mean_over_tensors(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    shares = []
    for x, y in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(model(x), y) * shrink
        scaler.scale(loss).backward()
        shares += [(p.grad == 0).float().mean().item() for p in model.parameters()]
        scaler.step(optimizer)
        scaler.update()
    return sum(shares) / len(shares)


@underflow_experiment.right("without unscale_: zeros are the same before and after unscaling")
def counted_while_scaled(model, batches, shrink, dtype, scaler):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    low = dtype in (torch.float16, torch.bfloat16)
    shares = []
    for x, y in batches:
        with torch.autocast("cpu", dtype=dtype if low else torch.bfloat16, enabled=low):
            logits = model(x)
        loss = torch.nn.functional.cross_entropy(logits.float(), y)
        optimizer.zero_grad(set_to_none=False)
        scaler.scale(shrink * loss).backward()
        gradients = torch.nn.utils.parameters_to_vector([p.grad for p in model.parameters()])
        shares.append((gradients == 0).float().mean().item())
        scaler.step(optimizer)
        scaler.update()
    return sum(shares) / len(shares)

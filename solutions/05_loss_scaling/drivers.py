"""How the checks of Unit 5 drive your functions and your class. Nothing here is secret."""

import contextlib
import math
import random

import torch
from torch import nn

from halfbits.data_sets import batches, load_digits
from halfbits.models import mlp
from halfbits.training import accuracy

torch.optim.SGD([torch.zeros(1)])  # PyTorch's first optimizer of all imports modules for seconds


def raised(error):
    """An exception as data: the classes that a task asks for by name, others with their message."""
    if isinstance(error, NotImplementedError) and not error.args:
        raise error  # not attempted yet
    name = type(error).__name__
    asked_for = type(error) in (RuntimeError, ValueError, AssertionError)
    return name if asked_for else f"{name}: {error}"


# ── unscale_check_, pick_static_scale ────────────────────────────────────────────────────────────


def unscale_check_(function, grads, inv):
    given = [None if grad is None else grad.clone() for grad in grads]
    try:
        answer = function(given, inv)
    except Exception as error:
        answer = f"raised {raised(error)}"
    return {"answer": answer, "gradients": given}


# ── LossScaler ───────────────────────────────────────────────────────────────────────────────────


def LossScaler(make, settings, events):
    """Take a scaler through events, or through random ones, a series for each of some seeds."""
    if isinstance(events, list):
        seen = Run(make, settings).play(events)
        return {name: found for name, found in seen.items() if found not in ([], {}, "")}
    kind, seeds = events
    runs = [Run(make, settings).play(random_events(kind, seed)) for seed in seeds]
    return {name: [run[name] for run in runs] for name in runs[0]}


class Descent:
    """An optimizer as far as a scaler knows it: it has parameters and can step."""

    def __init__(self):
        self.weights, unused = torch.zeros(2), torch.zeros(1)  # unused has no gradient
        self.param_groups = [{"params": [unused]}, {"params": [self.weights]}]
        self.steps = 0
        self.zero_grad()

    def zero_grad(self, set_to_none=False):
        self.weights.grad = torch.zeros(2)

    def step(self):
        self.weights -= self.weights.grad / 2
        self.steps += 1


class Run:
    """A scaler and two optimizers, A and B, with what happens to them.

    Events are tuples: ``("backward", g, h)`` with the gradients for A and B, either of which may
    be None; ``("unscale_", "A")`` and ``("step", "B")``; ``("update",)``; ``("save and load",)``,
    which goes on with a new scaler; ``("steps", n)``: n good iterations of A.

    Scale, steps and weights are those after each update; errors go by the number of their event.
    """

    def __init__(self, make, settings):
        self.make, self.scaler = make, make(**settings)
        self.others = {"init_scale": 2.0, "enabled": settings.get("enabled", True)}
        self.optimizers = {"A": Descent(), "B": Descent()}
        self.scaler.scale(torch.ones(()))  # PyTorch's scaler begins here
        self.scales, self.errors, self.saved = [], {}, {}
        self.steps, self.weights = {"A": [], "B": []}, {"A": [], "B": []}

    def play(self, events):
        for number, event in enumerate(events, 1):
            try:
                self.happen(*event)
            except Exception as error:
                self.errors[f"{number}, {event[0]}"] = raised(error)
        names = "AB" if any(map(_concerns_b, events)) else "A"
        return {
            "scale": self.scales,
            **{f"steps of {name}": self.steps[name] for name in names},
            **{f"weight of {name}": self.weights[name] for name in names},
            "event": self.errors,
            "saved": self.saved,
            "torch.amp.GradScaler": "used" * isinstance(self.scaler, torch.amp.GradScaler),
        }

    def happen(self, name, *details):
        if name == "backward":
            self.backward(details)
        elif name == "unscale_":
            self.scaler.unscale_(self.optimizers[details[0]])
        elif name == "step":
            self.scaler.step(self.optimizers[details[0]])
        elif name == "update":
            self.update()
        elif name == "save and load":
            state = self.scaler.state_dict()
            self.saved[str(len(self.saved) + 1)] = dict(state) or "empty"  # by number
            self.scaler = self.make(**self.others)
            self.scaler.scale(torch.ones(()))
            self.scaler.load_state_dict(state)
        else:
            for _ in range(details[0]):
                self.backward((1.0, None))
                self.scaler.step(self.optimizers["A"])
                self.scaler.update()
                self.optimizers["A"].zero_grad()
            self.observe()

    def backward(self, gradients):
        """What a backward pass from the scaled loss adds: 1 and the gradient, times the scale."""
        for optimizer, gradient in zip(self.optimizers.values(), gradients, strict=True):
            if gradient is not None:
                optimizer.weights.grad += self.scaler.scale(torch.tensor([1.0, gradient]))

    def update(self):
        try:
            self.scaler.update()
        finally:
            self.observe()
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()

    def observe(self):
        self.scales.append(self.scaler.scale(torch.ones(())).item())
        for name, optimizer in self.optimizers.items():
            self.steps[name].append(optimizer.steps)
            self.weights[name].append(optimizer.weights[1].item())


def _concerns_b(event):
    return "B" in event or (event[0] == "backward" and event[2] is not None)


BAD = (math.inf, -math.inf, math.nan)
GOOD = (1.0, -2.0, 0.5, 3.0, 0.0, -0.25)
RARE = {"wrong order": 0.25, "saved": 0.04, "two optimizers": 0.04}  # chance of any event at all


def random_events(kind, seed, length=50):
    """Iterations as they should be, and now and then something else."""
    chance = random.Random(f"{kind} {seed}").random  # the same numbers in every version of Python
    overflow = (0.03, 0.1, 0.3)[seed % 3]
    optimizers = "A" if kind == "one optimizer" else "AB"
    events = []
    while len(events) < length:
        for event in _iteration(chance, overflow, optimizers):
            if chance() < RARE.get(kind, 0):
                events.append(_anything(chance, overflow))
            events.append(event)
        if kind == "saved" and chance() < 0.4:
            events.append(("save and load",))
    return events[:length]


def _iteration(chance, overflow, optimizers):
    for _ in range(1 + (chance() < 0.2)):  # sometimes gradients are accumulated
        second = _gradient(chance, overflow) if "B" in optimizers else None
        yield ("backward", _gradient(chance, overflow), second)
    for name in ("unscale_", "step"):
        for optimizer in optimizers:
            if name == "step" or chance() < 0.4:
                yield (name, optimizer)
    yield ("update",)


def _anything(chance, overflow):
    one = "AB"[int(2 * chance())]
    choices = [
        ("backward", _gradient(chance, overflow), None),
        ("unscale_", one),
        ("step", one),
        ("update",),
        ("save and load",),
    ]
    return choices[int(len(choices) * chance())]


def _gradient(chance, overflow):
    some = BAD if chance() < overflow else GOOD
    return some[int(len(some) * chance())]


# ── train_step, accumulate ───────────────────────────────────────────────────────────────────────


def mean_loss(model, inputs, targets):
    """What you get as ``loss_fn``: targets are the derivative of the mean output here."""
    return (model(inputs) * targets).mean()


def train_step(function, start, steps, scale, max_norm=math.inf):
    """Train a layer of two weights without a bias, one step for each (inputs, targets)."""
    seen = {"weights after each step": [], "scale": [], "returned": []}
    model, optimizer, scaler = _setting(start, scale)
    with _errors(seen):
        for inputs, targets in steps:
            loss = function(model, inputs, targets, mean_loss, optimizer, scaler, max_norm)
            _observe(seen, model, scaler, loss)
    return seen


def accumulate(function, start, effective_batches, scale):
    """Train the same layer on effective batches, each a list of (inputs, targets)."""
    seen = {"weights after each step": [], "scale": [], "returned": []}
    model, optimizer, scaler = _setting(start, scale)
    loss_fn = CountingLoss()
    with _errors(seen):
        for microbatches in effective_batches:
            loss = function(model, microbatches, loss_fn, optimizer, scaler)
            _observe(seen, model, scaler, loss)
    return seen | {"most examples in memory": loss_fn.most}


class CountingLoss:
    """``mean_loss``, counting the examples that wait in memory for their backward pass."""

    def __init__(self):
        self.waiting = self.most = 0

    def __call__(self, model, inputs, targets):
        loss = mean_loss(model, inputs, targets)
        if loss.requires_grad:
            self.waiting += len(inputs)
            self.most = max(self.most, self.waiting)
            loss.register_hook(lambda _: self.release(len(inputs)))
        return loss

    def release(self, examples):
        self.waiting -= examples


def _setting(start, scale):
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([start]))
    model.weight.grad = torch.full((1, 2), 64.0)  # left over from whatever was before
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return model, optimizer, torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=2)


@contextlib.contextmanager
def _errors(seen):
    try:
        yield
    except Exception as error:
        seen["raised"] = raised(error)


def _observe(seen, model, scaler, loss):
    weights = model.weight.detach().flatten().tolist()
    seen["weights after each step"].append([round(weight, 7) for weight in weights])
    seen["scale"].append(scaler.get_scale())
    seen["returned"].append(float(f"{loss:.6g}") if isinstance(loss, float) else loss)


# ── underflow_experiment ─────────────────────────────────────────────────────────────────────────


def underflow_experiment(function, shrink, dtype, scaled, seed=0, width=64, steps=60, blank=0):
    """Train on handwritten digits, then ask the trained network about digits it has not seen."""
    digits, outputs = load_digits(), set()
    with _one_thread():
        torch.manual_seed(seed)
        model = mlp(64, width, 10)
        hook = model.register_forward_hook(lambda *call: outputs.add(call[-1].dtype))
        some = batches(digits.train_x, digits.train_y, size=64, steps=steps, seed=seed)
        some = [(x * (i >= blank), y) for i, (x, y) in enumerate(some)]  # the first ones blank
        scaler = torch.amp.GradScaler("cpu", enabled=scaled)
        zeros = function(model, some, shrink, dtype, scaler)
        hook.remove()
        with torch.no_grad():
            loss = nn.functional.cross_entropy(model(digits.test_x), digits.test_y).item()
        right = accuracy(model, digits.test_x, digits.test_y)
    return {
        "model's outputs": ", ".join(sorted(str(each).split(".")[1] for each in outputs)),
        "zero gradients": round(zeros, 4) if isinstance(zeros, float) else zeros,
        "test loss": round(loss, 4),
        "test accuracy": round(right, 4),
    }


@contextlib.contextmanager
def _one_thread():
    """Such small products take longer when they are shared out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

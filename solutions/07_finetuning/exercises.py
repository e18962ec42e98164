"""The exercises of Unit 7: references, cases, known wrong answers, right alternatives, points."""

import math

import torch

from grader.exercise import Exercise, case, close

REAL_FP16 = "16-mixed, really in fp16"  # as in drivers.py

# ── encode(texts, tok, max_length) ───────────────────────────────────────────────────────────────

encode = Exercise("encode", points=(1, 2), driven=True)


@encode.reference
def _(texts, tok, max_length):
    """Row by row, with the special tokens put in by hand."""
    rows = [tok.encode(text, add_special_tokens=False)[: max_length - 2] for text in texts]
    rows = [[tok.cls_token_id, *row, tok.sep_token_id] for row in rows]
    longest = max(map(len, rows))
    ids = [row + [tok.pad_token_id] * (longest - len(row)) for row in rows]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


SHORT = ["Dull.", "A quiet film that trusts its actors."]
LONG = [
    "The script is funny, the songs are better, and nobody explains a joke.",
    "Warm, odd and generous: a comedy that likes all of its people, the villain included.",
    "Two hours of shouting in a warehouse; I counted the lamps on the ceiling, twice.",
]

encode.visible(
    case(SHORT, 16, call='encode(["Dull.", "A quiet film that trusts its actors."], tok, 16)'),
    case(LONG[:1], 6, call='encode(["The script is funny, the songs are …"], tok, 6)'),
    case(["long " * 520], 512, call='encode(["long " * 520], tok, 512)'),
)
encode.hidden("sentences of different lengths", case(LONG, 64), case(LONG[::-1] + SHORT, 40))
encode.hidden(
    "sentences longer than max_length, beside shorter ones",
    case(LONG + SHORT, 9),
    case(LONG, 3),
    case(SHORT, 4),
)
encode.hidden("a text longer than the model's 512 places", case(["dull " * 600, *SHORT], 512))
encode.hidden("one sentence", case(LONG[1:2], 64), case(SHORT[:1], 64))
encode.hidden("a sentence without a word", case(["", *SHORT], 16), case([""], 16))
encode.hidden(
    "rare words, whose ids are high or that fall into pieces",
    case(["Unbelievably zigzagging Zeppelins.", "Ok"], 32),
    case(["naïve café, ♥ 2046"], 32),
)


@encode.wrong(
    "ids are numbers of rows in a table, not quantities. fp16 holds every integer up to 2048 only, "
    "so many words become one. Ids stay int64 whatever the precision"
)
def ids_in_half(texts, tok, max_length):
    batch = tok(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    return {"input_ids": batch["input_ids"].half(), "attention_mask": batch["attention_mask"]}


@encode.wrong("ids are indices: an embedding takes integers only. Leave them int64")
def ids_in_float(texts, tok, max_length):
    batch = tok(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    return {"input_ids": batch["input_ids"].float(), "attention_mask": batch["attention_mask"]}


@encode.wrong(
    "nothing is cut here: a text longer than the model's table of places, 512 for DistilBERT, "
    "would be an error. `truncation=True` with `max_length`"
)
def without_truncation(texts, tok, max_length):
    batch = tok(texts, padding=True, return_tensors="pt")
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


@encode.wrong(
    "`max_length` is an argument: 512 places is what the model has, and the caller may want fewer"
)
def always_512(texts, tok, max_length):
    batch = tok(texts, padding=True, truncation=True, max_length=512, return_tensors="pt")
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


@encode.wrong(
    "sliced afterwards, a long text loses its last token, `[SEP]`, which every text in the "
    "model's training had. The tokenizer cuts before it adds that: `truncation=True`"
)
def sliced_afterwards(texts, tok, max_length):
    batch = tok(texts, padding=True, return_tensors="pt")
    return {name: batch[name][:, :max_length] for name in ("input_ids", "attention_mask")}


@encode.wrong(
    "every batch is padded to `max_length`: attention's time grows with the square of that. Pad "
    "to the longest text of the batch: `padding=True`"
)
def padded_to_the_end(texts, tok, max_length):
    settings = {"padding": "max_length", "truncation": True, "max_length": max_length}
    batch = tok(texts, return_tensors="pt", **settings)
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


@encode.wrong(
    "the mask is 1 everywhere: the model would read the padding as words, and a sentence's answer "
    "would depend on its neighbours in the batch"
)
def mask_of_ones(texts, tok, max_length):
    batch = tok(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    ids = batch["input_ids"]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@encode.wrong(
    "the mask is the wrong way round: 1 stands for a token that is to be read, 0 for padding"
)
def mask_turned_round(texts, tok, max_length):
    batch = tok(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    return {"input_ids": batch["input_ids"], "attention_mask": 1 - batch["attention_mask"]}


@encode.wrong(
    "`token_type_ids` is BERT's way to tell two sentences apart; DistilBERT does not take it. "
    "Return the two entries that are asked for"
)
def all_that_it_gives(texts, tok, max_length):
    batch = tok(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    return dict(batch)


@encode.wrong("lists of lists come back here; a model takes tensors: `return_tensors='pt'`")
def lists(texts, tok, max_length):
    batch = tok(texts, padding=True, truncation=True, max_length=max_length)
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


@encode.right("each text by itself, padded by PyTorch")
def padded_by_torch(texts, tok, max_length):
    rows = [torch.tensor(tok(t, truncation=True, max_length=max_length).input_ids) for t in texts]
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad(rows, batch_first=True, padding_value=tok.pad_token_id)
    mask = pad([torch.ones_like(row) for row in rows], batch_first=True)
    return {"attention_mask": mask, "input_ids": ids}


# ── fabric_fit(precision, model, optimizer, batches, accelerator) ────────────────────────────────

PRODUCTS = "products in 16 bits are added up in another order on another processor"
fabric_fit = Exercise(
    "fabric_fit", points=(1, 3), driven=True, compare=close(rtol=0.01, atol=0.002, why=PRODUCTS)
)


@fabric_fit.reference
def _(precision, model, optimizer, batches, accelerator):
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    model = fabric.setup_module(model)
    optimizer = fabric.setup_optimizers(optimizer)
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return {"precision": fabric.strategy.precision.precision, "losses": losses}


fabric_fit.visible(
    case("32-true", call='fabric_fit("32-true", …, "cpu")'),
    case("16-mixed", call='fabric_fit("16-mixed", …, "cpu")'),
    case("bf16-true", call='fabric_fit("bf16-true", …, "cpu")'),
)
fabric_fit.hidden("all in one format", *(case(f"{f}-true") for f in ("64", "16", "bf16", "32")))
fabric_fit.hidden("mixed precision", case("bf16-mixed", 4), case("16-mixed", 3))
fabric_fit.hidden("old spellings of the settings", *(case(p, 3) for p in (16, "bf16", "32", 64)))
fabric_fit.hidden("a single batch", case("bf16-mixed", 1))


@fabric_fit.wrong(
    "this returns the setting that was asked for. Lightning may give another: on a CPU `16-mixed` "
    "becomes `bf16-mixed`, with no more than a warning. Ask `fabric.strategy.precision.precision`"
)
def trusts_the_string(precision, model, optimizer, batches, accelerator):
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    model, optimizer = fabric.setup(model, optimizer)
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return {"precision": precision, "losses": losses}


@fabric_fit.wrong(
    "this is the plugin that does the work. The setting's name is its attribute: "
    "`fabric.strategy.precision.precision`"
)
def the_plugin_itself(precision, model, optimizer, batches, accelerator):
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    model, optimizer = fabric.setup(model, optimizer)
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return {"precision": fabric.strategy.precision, "losses": losses}


@fabric_fit.wrong(
    "`loss.backward()` goes past Fabric, which scales the loss where fp16 needs it: write "
    "`fabric.backward(loss)`. With mixed precision Fabric refuses; in the other settings nobody "
    "tells you"
)
def plain_backward(precision, model, optimizer, batches, accelerator):
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    model, optimizer = fabric.setup(model, optimizer)
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"precision": fabric.strategy.precision.precision, "losses": losses}


@fabric_fit.wrong(
    "the forward pass goes through the model as it was before `setup`: there is no autocast around "
    "it. What `setup` returns is what trains in the precision that you chose"
)
def model_from_before(precision, model, optimizer, batches, accelerator):
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    _, optimizer = fabric.setup(model, optimizer)
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return {"precision": fabric.strategy.precision.precision, "losses": losses}


@fabric_fit.wrong(
    "the optimizer steps by itself, not through Fabric. In fp16 on a GPU nobody would unscale the "
    "gradients or skip a step. Give `setup` the optimizer, too, and step the one that it returns"
)
def optimizer_from_before(precision, model, optimizer, batches, accelerator):
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    model = fabric.setup_module(model)
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return {"precision": fabric.strategy.precision.precision, "losses": losses}


@fabric_fit.wrong("gradients add up from batch to batch: `optimizer.zero_grad()` comes in each")
def without_zero_grad(precision, model, optimizer, batches, accelerator):
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    model, optimizer = fabric.setup(model, optimizer)
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return {"precision": fabric.strategy.precision.precision, "losses": losses}


@fabric_fit.wrong(
    "Fabric has not been told the precision, so everything runs in float32: "
    "`Fabric(precision=precision)`"
)
def precision_left_out(precision, model, optimizer, batches, accelerator):
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=1)
    model, optimizer = fabric.setup(model, optimizer)
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return {"precision": fabric.strategy.precision.precision, "losses": losses}


@fabric_fit.wrong(
    "the weights themselves are cast here. Mixed precision keeps them in float32 and casts what "
    "goes into a product (Unit 4); `setup` does all that is needed"
)
def weights_cast_by_hand(precision, model, optimizer, batches, accelerator):
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    model, optimizer = fabric.setup(model, optimizer)
    name = str(fabric.strategy.precision.precision)
    low = {"16": torch.float16, "bf16": torch.bfloat16, "64": torch.float64, "32": torch.float32}
    model.to(low[name.split("-")[0]])
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return {"precision": name, "losses": losses}


@fabric_fit.wrong(
    "the losses are tensors, each with the graph of its step: memory grows with every batch. "
    "`loss.item()`"
)
def losses_as_tensors(precision, model, optimizer, batches, accelerator):
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    model, optimizer = fabric.setup(model, optimizer)
    losses = []
    for batch in batches:
        x, y = fabric.to_device(batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss)
    return {"precision": fabric.strategy.precision.precision, "losses": losses}


@fabric_fit.right("with a DataLoader that Fabric sets up")
def with_a_loader(precision, model, optimizer, batches, accelerator):
    import lightning

    fabric = lightning.Fabric(precision=precision, devices=1, accelerator=accelerator)
    model, optimizer = fabric.setup(model, optimizer)
    loader = fabric.setup_dataloaders(torch.utils.data.DataLoader(batches, batch_size=None))
    losses = []
    for x, y in loader:
        logits = model(x)
        loss = torch.nn.CrossEntropyLoss()(logits.float(), y)
        fabric.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    return {"losses": losses, "precision": fabric._precision.precision}


# ── DtypeAudit ───────────────────────────────────────────────────────────────────────────────────
# The known answers have no base class; the driver makes callbacks of them.

DtypeAudit = Exercise("DtypeAudit", points=(1, 3), driven=True)


@DtypeAudit.reference
class Reference:
    """Every hook notes what it sees; sorted at the end."""

    def __init__(self):
        self.seen = {name: set() for name in ("outputs of Linear", "gradients")}

    def on_train_start(self, trainer, module):
        self.hooks = [
            layer.register_forward_hook(
                lambda layer, inputs, output: self.seen["outputs of Linear"].add(output.dtype)
            )
            for layer in module.modules()
            if isinstance(layer, torch.nn.Linear)
        ]

    def on_before_optimizer_step(self, trainer, module, optimizer):
        self.seen["gradients"] |= {p.grad.dtype for p in module.parameters() if p.grad is not None}

    def on_train_end(self, trainer, module):
        for hook in self.hooks:
            hook.remove()
        self.seen["weights"] = {p.dtype for p in module.parameters()}
        self.seen["moments"] = {
            tensor.dtype
            for state in trainer.optimizers[0].state.values()
            for name, tensor in state.items()
            if name.startswith("exp_avg") or name == "momentum_buffer"
            if tensor is not None
        }
        short = {
            name: sorted(str(dtype).split(".")[1] for dtype in dtypes)
            for name, dtypes in self.seen.items()
        }
        self.report = {"precision": trainer.precision, **short}


DtypeAudit.visible(
    case("32-true", call='Trainer(precision="32-true")'),
    case("16-mixed", call='Trainer(precision="16-mixed") on a CPU'),
    case("bf16-true", call='Trainer(precision="bf16-true")'),
    case("32-true", "frozen", call='Trainer(precision="32-true"), one layer frozen'),
    case("bf16-mixed", "island", call='Trainer(precision="bf16-mixed"), one layer in float32'),
)
DtypeAudit.hidden("mixed precision", case("bf16-mixed"), case(REAL_FP16))
DtypeAudit.hidden("all in one format", case("64-true"), case("16-true"), case("bf16-true"))
DtypeAudit.hidden(
    "a network of which one part is frozen", case("bf16-mixed", "frozen"), case("32-true", "frozen")
)
DtypeAudit.hidden(
    "a network of which one layer leaves autocast",
    case("bf16-mixed", "island"),
    case(REAL_FP16, "island"),
)
DtypeAudit.hidden("an optimizer without moments", case("bf16-mixed", "plain", "SGD"))


@DtypeAudit.wrong(
    "this takes the weights' format for the format that is computed in. Under mixed precision they "
    "differ, which is what the audit is for: hook the layers and look at what comes out"
)
class WeightsOnly:
    def on_before_optimizer_step(self, trainer, module, optimizer):
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        self.gradients = sorted({str(g.dtype).split(".")[1] for g in grads})

    def on_train_end(self, trainer, module):
        weights = sorted({str(p.dtype).split(".")[1] for p in module.parameters()})
        state = trainer.optimizers[0].state
        moments = [t for p in state for t in state[p].values() if t is not None]
        shaped = {t.dtype for t in moments if t.dim() > 0}
        self.report = {
            "precision": trainer.precision,
            "weights": weights,
            "outputs of Linear": weights,
            "gradients": self.gradients,
            "moments": sorted(str(dtype).split(".")[1] for dtype in shaped),
        }


@DtypeAudit.wrong(
    "the loss is looked at instead of the layers. Losses are computed in float32 under autocast, "
    "so this always says that nothing was cast"
)
class TheLoss:
    def on_train_batch_end(self, trainer, module, outputs, batch, number):
        self.outputs = [str(outputs["loss"].dtype).split(".")[1]]

    def on_before_optimizer_step(self, trainer, module, optimizer):
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        self.gradients = sorted({str(g.dtype).split(".")[1] for g in grads})

    def on_train_end(self, trainer, module):
        state = trainer.optimizers[0].state
        moments = [t for p in state for t in state[p].values() if t is not None]
        shaped = {t.dtype for t in moments if t.dim() > 0}
        self.report = {
            "precision": trainer.precision,
            "weights": sorted({str(p.dtype).split(".")[1] for p in module.parameters()}),
            "outputs of Linear": self.outputs,
            "gradients": self.gradients,
            "moments": sorted(str(dtype).split(".")[1] for dtype in shaped),
        }


@DtypeAudit.wrong(
    "these are the formats of what goes *into* the layers. Autocast casts inside the layer, so "
    "look at the output: `hook(layer, inputs, output)`"
)
class TheInputs:
    def on_train_start(self, trainer, module):
        self.seen = set()
        layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
        note = lambda layer, inputs, output: self.seen.add(inputs[0].dtype)  # noqa: E731
        self.hooks = [layer.register_forward_hook(note) for layer in layers]

    def on_before_optimizer_step(self, trainer, module, optimizer):
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        self.gradients = sorted({str(g.dtype).split(".")[1] for g in grads})

    def on_train_end(self, trainer, module):
        for hook in self.hooks:
            hook.remove()
        state = trainer.optimizers[0].state
        moments = [t for p in state for t in state[p].values() if t is not None]
        shaped = {t.dtype for t in moments if t.dim() > 0}
        self.report = {
            "precision": trainer.precision,
            "weights": sorted({str(p.dtype).split(".")[1] for p in module.parameters()}),
            "outputs of Linear": sorted(str(dtype).split(".")[1] for dtype in self.seen),
            "gradients": self.gradients,
            "moments": sorted(str(dtype).split(".")[1] for dtype in shaped),
        }


@DtypeAudit.wrong(
    "Adam's `step` counts: it is a float32 number in every setting, and no moment. Take the "
    "tensors that have the shape of their parameter"
)
class TheCounterToo:
    def on_train_start(self, trainer, module):
        self.seen = set()
        layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
        note = lambda layer, inputs, output: self.seen.add(output.dtype)  # noqa: E731
        self.hooks = [layer.register_forward_hook(note) for layer in layers]

    def on_before_optimizer_step(self, trainer, module, optimizer):
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        self.gradients = sorted({str(g.dtype).split(".")[1] for g in grads})

    def on_train_end(self, trainer, module):
        for hook in self.hooks:
            hook.remove()
        state = trainer.optimizers[0].state
        kept = {t.dtype for p in state for t in state[p].values() if t is not None}
        self.report = {
            "precision": trainer.precision,
            "weights": sorted({str(p.dtype).split(".")[1] for p in module.parameters()}),
            "outputs of Linear": sorted(str(dtype).split(".")[1] for dtype in self.seen),
            "gradients": self.gradients,
            "moments": sorted(str(dtype).split(".")[1] for dtype in kept),
        }


@DtypeAudit.wrong(
    "the hooks stay in the network after the training and go on running in every forward pass. "
    "Keep what `register_forward_hook` returns, and call its `remove()`"
)
class HooksLeft:
    def on_train_start(self, trainer, module):
        self.seen = set()
        layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
        for layer in layers:
            layer.register_forward_hook(lambda layer, x, output: self.seen.add(output.dtype))

    def on_before_optimizer_step(self, trainer, module, optimizer):
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        self.gradients = sorted({str(g.dtype).split(".")[1] for g in grads})

    def on_train_end(self, trainer, module):
        state = trainer.optimizers[0].state
        moments = [t for p in state for t in state[p].values() if t is not None]
        shaped = {t.dtype for t in moments if t.dim() > 0}
        self.report = {
            "precision": trainer.precision,
            "weights": sorted({str(p.dtype).split(".")[1] for p in module.parameters()}),
            "outputs of Linear": sorted(str(dtype).split(".")[1] for dtype in self.seen),
            "gradients": self.gradients,
            "moments": sorted(str(dtype).split(".")[1] for dtype in shaped),
        }


@DtypeAudit.wrong(
    "no gradient is there at that moment: `zero_grad` has set them to None. They are there from "
    "the backward pass to the step: `on_before_optimizer_step`"
)
class GradientsTooEarly:
    def on_train_start(self, trainer, module):
        self.seen, self.gradients = set(), []
        layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
        note = lambda layer, inputs, output: self.seen.add(output.dtype)  # noqa: E731
        self.hooks = [layer.register_forward_hook(note) for layer in layers]

    def on_before_backward(self, trainer, module, loss):
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        self.gradients = sorted({str(g.dtype).split(".")[1] for g in grads})

    def on_train_end(self, trainer, module):
        for hook in self.hooks:
            hook.remove()
        state = trainer.optimizers[0].state
        moments = [t for p in state for t in state[p].values() if t is not None]
        shaped = {t.dtype for t in moments if t.dim() > 0}
        self.report = {
            "precision": trainer.precision,
            "weights": sorted({str(p.dtype).split(".")[1] for p in module.parameters()}),
            "outputs of Linear": sorted(str(dtype).split(".")[1] for dtype in self.seen),
            "gradients": self.gradients,
            "moments": sorted(str(dtype).split(".")[1] for dtype in shaped),
        }


@DtypeAudit.wrong(
    "only the last layer is left: each output overwrites the one before. Two layers may compute in "
    "two formats; collect a set"
)
class LastLayerOnly:
    def on_train_start(self, trainer, module):
        self.seen = set()
        layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
        self.hooks = [layer.register_forward_hook(self.note) for layer in layers]

    def note(self, layer, inputs, output):
        self.seen = {output.dtype}

    def on_before_optimizer_step(self, trainer, module, optimizer):
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        self.gradients = sorted({str(g.dtype).split(".")[1] for g in grads})

    def on_train_end(self, trainer, module):
        for hook in self.hooks:
            hook.remove()
        state = trainer.optimizers[0].state
        moments = [t for p in state for t in state[p].values() if t is not None]
        shaped = {t.dtype for t in moments if t.dim() > 0}
        self.report = {
            "precision": trainer.precision,
            "weights": sorted({str(p.dtype).split(".")[1] for p in module.parameters()}),
            "outputs of Linear": sorted(str(dtype).split(".")[1] for dtype in self.seen),
            "gradients": self.gradients,
            "moments": sorted(str(dtype).split(".")[1] for dtype in shaped),
        }


@DtypeAudit.wrong(
    "a frozen parameter has no gradient, and so no format of one: leave out those whose `grad` is "
    "None"
)
class NoneAmongTheGradients:
    def on_train_start(self, trainer, module):
        self.seen = set()
        layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
        note = lambda layer, inputs, output: self.seen.add(output.dtype)  # noqa: E731
        self.hooks = [layer.register_forward_hook(note) for layer in layers]

    def on_before_optimizer_step(self, trainer, module, optimizer):
        dtypes = {getattr(p.grad, "dtype", None) for p in module.parameters()}
        self.gradients = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes)

    def on_train_end(self, trainer, module):
        for hook in self.hooks:
            hook.remove()
        state = trainer.optimizers[0].state
        moments = [t for p in state for t in state[p].values() if t is not None]
        shaped = {t.dtype for t in moments if t.dim() > 0}
        self.report = {
            "precision": trainer.precision,
            "weights": sorted({str(p.dtype).split(".")[1] for p in module.parameters()}),
            "outputs of Linear": sorted(str(dtype).split(".")[1] for dtype in self.seen),
            "gradients": self.gradients,
            "moments": sorted(str(dtype).split(".")[1] for dtype in shaped),
        }


@DtypeAudit.wrong(
    "`children()` gives the outermost parts of a network only, and its layers lie deeper: look "
    "through `module.modules()`"
)
class OutermostOnly:
    def on_train_start(self, trainer, module):
        self.seen = set()
        layers = [layer for layer in module.children() if isinstance(layer, torch.nn.Linear)]
        note = lambda layer, inputs, output: self.seen.add(output.dtype)  # noqa: E731
        self.hooks = [layer.register_forward_hook(note) for layer in layers]

    def on_before_optimizer_step(self, trainer, module, optimizer):
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        self.gradients = sorted({str(g.dtype).split(".")[1] for g in grads})

    def on_train_end(self, trainer, module):
        for hook in self.hooks:
            hook.remove()
        state = trainer.optimizers[0].state
        moments = [t for p in state for t in state[p].values() if t is not None]
        shaped = {t.dtype for t in moments if t.dim() > 0}
        self.report = {
            "precision": trainer.precision,
            "weights": sorted({str(p.dtype).split(".")[1] for p in module.parameters()}),
            "outputs of Linear": sorted(str(dtype).split(".")[1] for dtype in self.seen),
            "gradients": self.gradients,
            "moments": sorted(str(dtype).split(".")[1] for dtype in shaped),
        }


@DtypeAudit.right("from the first batch, with hooks that take themselves out")
class OneBatch:
    def __init__(self):
        self.report = {}
        self.outputs = []

    def on_train_batch_start(self, trainer, module, batch, number):
        self.hooks = [
            layer.register_forward_hook(lambda *call: self.outputs.append(call[-1]))
            for layer in module.modules()
            if type(layer) is torch.nn.Linear
        ]

    def on_train_batch_end(self, trainer, module, outputs, batch, number):
        for hook in self.hooks:
            hook.remove()
        weights = list(module.parameters())
        kept = trainer.optimizers[0].state
        moments = [t for p in kept for t in kept[p].values() if t is not None]
        groups = {
            "weights": weights,
            "outputs of Linear": self.outputs,
            "gradients": [w.grad for w in weights if w.grad is not None],
            "moments": [t for t in moments if t.shape != ()],
        }
        self.report = {
            name: sorted({str(t.dtype).removeprefix("torch.") for t in tensors})
            for name, tensors in groups.items()
        }
        self.report["precision"] = trainer.precision_plugin.precision


# ── accuracy_gap(a, b, n) ────────────────────────────────────────────────────────────────────────

accuracy_gap = Exercise(
    "accuracy_gap", points=(1, 2), compare=close(rtol=1e-9, atol=1e-12, why="the formula's order")
)


@accuracy_gap.reference
def _(a, b, n):
    """From counts: the root of the χ² of the 2 × 2 table, with the gap's sign."""
    right, wrong = a + b, 2 - a - b
    if not right or not wrong:
        return 0.0
    chi_squared = 2 * n * (a - b) ** 2 / (right * wrong)
    return math.copysign(math.sqrt(chi_squared), a - b)


accuracy_gap.visible(
    case(0.9267, 0.9198, 10_000), case(0.9223, 0.9267, 10_000), case(0.75, 0.25, 100)
)
accuracy_gap.visible(case(1.0, 1.0, 100))
accuracy_gap.hidden(
    "the source's other pair, and a small gap",
    case(0.9223, 0.9198, 10_000),
    case(0.921, 0.922, 10_000),
)
accuracy_gap.hidden("other numbers of examples", case(0.92, 0.93, 500), case(0.7, 0.72, 40_000))
accuracy_gap.hidden("the second is better", case(0.5, 0.6, 250), case(0.0, 0.1, 250))
accuracy_gap.hidden("a large gap", case(0.9, 0.1, 50), case(1.0, 0.0, 8))
accuracy_gap.hidden(
    "no gap, also where everything or nothing is right",
    case(0.8, 0.8, 1000),
    case(1.0, 1.0, 1000),
    case(0.0, 0.0, 1000),
)


@accuracy_gap.wrong("a z has a sign: positive where a is the better one")
def without_the_sign(a, b, n):
    p = (a + b) / 2
    return abs(a - b) / math.sqrt(2 * p * (1 - p) / n) if 0 < p < 1 else 0.0


@accuracy_gap.wrong("the sign is turned round: this is b − a")
def the_other_way_round(a, b, n):
    p = (a + b) / 2
    return (b - a) / math.sqrt(2 * p * (1 - p) / n) if 0 < p < 1 else 0.0


@accuracy_gap.wrong(
    "this is the standard error of *one* accuracy. Both are measured, and their variances add up: "
    "the error of the gap is √2 times as large"
)
def error_of_one(a, b, n):
    p = (a + b) / 2
    return (a - b) / math.sqrt(p * (1 - p) / n) if 0 < p < 1 else 0.0


@accuracy_gap.wrong("the number of test examples is an argument; the source's runs had 10,000")
def always_5000(a, b, n):
    p = (a + b) / 2
    return (a - b) / math.sqrt(2 * p * (1 - p) / 5000) if 0 < p < 1 else 0.0


@accuracy_gap.wrong(
    "the accuracies are divided by 100 here: they come as shares from 0 to 1, not in per cent"
)
def taken_for_per_cent(a, b, n):
    a, b = a / 100, b / 100
    p = (a + b) / 2
    return (a - b) / math.sqrt(2 * p * (1 - p) / n) if 0 < p < 1 else 0.0


@accuracy_gap.wrong("this divides by the variance of the gap; the standard error is its root")
def without_the_root(a, b, n):
    p = (a + b) / 2
    return (a - b) / (2 * p * (1 - p) / n) if 0 < p < 1 else 0.0


@accuracy_gap.wrong(
    "each accuracy brings its own variance here. The test asks what *one* accuracy would give "
    "twice, so there is one variance, of their mean p"
)
def not_pooled(a, b, n):
    variance = (a * (1 - a) + b * (1 - b)) / n
    return (a - b) / math.sqrt(variance) if variance else float(a - b)


@accuracy_gap.wrong(
    "p = 0 or p = 1: the standard error is 0, and 0/0 has no value. There is no gap; return 0.0"
)
def zero_over_zero(a, b, n):
    p = (a + b) / 2
    error = math.sqrt(2 * p * (1 - p) / n)
    return (a - b) / error if error else math.nan


@accuracy_gap.right("with numbers of right answers")
def by_counts(a, b, n):
    right = n * (a + b)
    wrong = 2 * n - right
    if right <= 0 or wrong <= 0:
        return 0.0
    return (n * a - n * b) * math.sqrt(2 * n / (right * wrong))


# ── train_head(fabric, data, seed, steps) ────────────────────────────────────────────────────────

train_head = Exercise(
    "train_head",
    points=(1, 3),
    driven=True,
    compare=close(rtol=0.02, atol=0.01, why=PRODUCTS + ", and a few answers may change sides"),
)


@train_head.reference
def _(fabric, data, seed, steps):
    from halfbits.data_sets import batches

    torch.manual_seed(seed)
    head = torch.nn.Linear(384, 2)
    model, adam = fabric.setup(head, torch.optim.Adam(head.parameters(), lr=3e-3))
    losses = []
    for x, y in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        loss = torch.nn.functional.cross_entropy(model(fabric.to_device(x)), fabric.to_device(y))
        adam.zero_grad()
        fabric.backward(loss)
        adam.step()
        losses.append(loss.item())
    with torch.no_grad():
        logits = model(fabric.to_device(data.test_x)).cpu()
    right = (logits.argmax(-1) == data.test_y) & logits.isfinite().all(-1)
    return {"loss": sum(losses[-20:]) / 20, "accuracy": right.double().mean().item()}


SWAPPED = "of the test, turned round"  # as in drivers.py

train_head.visible(
    case("32-true", 0, 150, call='train_head(Fabric(precision="32-true"), …, 0, 150)'),
    case("bf16-mixed", 0, 150, call='train_head(Fabric(precision="bf16-mixed"), …, 0, 150)'),
    case("16-true", 0, 40, call='train_head(Fabric(precision="16-true"), …, 0, 40)'),
    case("32-true", 1, 30, call='train_head(Fabric(precision="32-true"), …, 1, 30)'),
    case("32-true", 1, 30, SWAPPED, call="the same, with the labels of the test rows swapped"),
)
train_head.hidden("float32", case("32-true", 3, 60))
train_head.hidden("mixed precision, in bf16 and in fp16", case("bf16-mixed", 5, 60))
train_head.hidden("mixed precision, in bf16 and in fp16", case(REAL_FP16, 4, 60))
train_head.hidden("all in one format", case("bf16-true", 2, 60), case("64-true", 2, 40))
train_head.hidden("a training that ends in NaN", case("16-true", 1, 25))
train_head.hidden(
    "test rows with other labels than the rows to train on",
    case("32-true", 6, 60, SWAPPED),
)


@train_head.wrong(
    "this is the accuracy on the rows that the head was trained on. What it has learned shows on "
    "rows that it has not seen"
)
def tested_on_train(fabric, data, seed, steps):
    from halfbits.data_sets import batches
    from halfbits.training import accuracy

    torch.manual_seed(seed)
    head = torch.nn.Linear(384, 2)
    model, adam = fabric.setup(head, torch.optim.Adam(head.parameters(), lr=3e-3))
    losses = []
    for batch in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        x, y = fabric.to_device(batch)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        adam.zero_grad()
        fabric.backward(loss)
        adam.step()
        losses.append(loss.item())
    x, y = fabric.to_device((data.train_x, data.train_y))
    return {"loss": sum(losses[-20:]) / 20, "accuracy": accuracy(model, x, y)}


@train_head.wrong(
    "the same seed does not give the same run: the head is drawn before the seed is set, or "
    "without it. `torch.manual_seed(seed)` comes first"
)
def without_a_seed(fabric, data, seed, steps):
    from halfbits.data_sets import batches
    from halfbits.training import accuracy

    head = torch.nn.Linear(384, 2)
    torch.manual_seed(seed)
    model, adam = fabric.setup(head, torch.optim.Adam(head.parameters(), lr=3e-3))
    losses = []
    for batch in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        x, y = fabric.to_device(batch)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        adam.zero_grad()
        fabric.backward(loss)
        adam.step()
        losses.append(loss.item())
    x, y = fabric.to_device((data.test_x, data.test_y))
    return {"loss": sum(losses[-20:]) / 20, "accuracy": accuracy(model, x, y)}


@train_head.wrong(
    "a head whose outputs are NaN is given the accuracy of guessing: `argmax` takes the first of "
    "several NaN, class 0. Count outputs that are not finite as wrong"
)
def nan_counts_as_class_0(fabric, data, seed, steps):
    from halfbits.data_sets import batches

    torch.manual_seed(seed)
    head = torch.nn.Linear(384, 2)
    model, adam = fabric.setup(head, torch.optim.Adam(head.parameters(), lr=3e-3))
    losses = []
    for batch in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        x, y = fabric.to_device(batch)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        adam.zero_grad()
        fabric.backward(loss)
        adam.step()
        losses.append(loss.item())
    x, y = fabric.to_device((data.test_x, data.test_y))
    with torch.no_grad():
        right = model(x).argmax(-1) == y
    return {"loss": sum(losses[-20:]) / 20, "accuracy": right.double().mean().item()}


@train_head.wrong(
    "the NaN is hidden: `nan_to_num` makes a healthy number of it, and nobody learns that this run "
    "has failed. Report what the run gave"
)
def nan_made_a_number(fabric, data, seed, steps):
    from halfbits.data_sets import batches

    torch.manual_seed(seed)
    head = torch.nn.Linear(384, 2)
    model, adam = fabric.setup(head, torch.optim.Adam(head.parameters(), lr=3e-3))
    losses = []
    for batch in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        x, y = fabric.to_device(batch)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        adam.zero_grad()
        fabric.backward(loss)
        adam.step()
        losses.append(torch.nan_to_num(loss.detach()).item())
    x, y = fabric.to_device((data.test_x, data.test_y))
    with torch.no_grad():
        right = torch.nan_to_num(model(x)).argmax(-1) == y
    return {"loss": sum(losses[-20:]) / 20, "accuracy": right.double().mean().item()}


@train_head.wrong(
    "these are the first 20 losses, before the head has learned anything; the mean of the *last* "
    "20 is asked for"
)
def first_losses(fabric, data, seed, steps):
    from halfbits.data_sets import batches
    from halfbits.training import accuracy

    torch.manual_seed(seed)
    head = torch.nn.Linear(384, 2)
    model, adam = fabric.setup(head, torch.optim.Adam(head.parameters(), lr=3e-3))
    losses = []
    for batch in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        x, y = fabric.to_device(batch)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        adam.zero_grad()
        fabric.backward(loss)
        adam.step()
        losses.append(loss.item())
    x, y = fabric.to_device((data.test_x, data.test_y))
    return {"loss": sum(losses[:20]) / 20, "accuracy": accuracy(model, x, y)}


@train_head.wrong(
    "this is the mean of all losses, those from the beginning included; the mean of the *last* 20 "
    "is asked for"
)
def all_losses(fabric, data, seed, steps):
    from halfbits.data_sets import batches
    from halfbits.training import accuracy

    torch.manual_seed(seed)
    head = torch.nn.Linear(384, 2)
    model, adam = fabric.setup(head, torch.optim.Adam(head.parameters(), lr=3e-3))
    losses = []
    for batch in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        x, y = fabric.to_device(batch)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        adam.zero_grad()
        fabric.backward(loss)
        adam.step()
        losses.append(loss.item())
    x, y = fabric.to_device((data.test_x, data.test_y))
    return {"loss": sum(losses) / len(losses), "accuracy": accuracy(model, x, y)}


@train_head.wrong(
    "the batches come in the order of seed 0, whatever `seed` is: give it to `batches` as well"
)
def batches_of_seed_0(fabric, data, seed, steps):
    from halfbits.data_sets import batches
    from halfbits.training import accuracy

    torch.manual_seed(seed)
    head = torch.nn.Linear(384, 2)
    model, adam = fabric.setup(head, torch.optim.Adam(head.parameters(), lr=3e-3))
    losses = []
    for batch in batches(data.train_x, data.train_y, size=64, steps=steps):
        x, y = fabric.to_device(batch)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        adam.zero_grad()
        fabric.backward(loss)
        adam.step()
        losses.append(loss.item())
    x, y = fabric.to_device((data.test_x, data.test_y))
    return {"loss": sum(losses[-20:]) / 20, "accuracy": accuracy(model, x, y)}


@train_head.wrong(
    "the head is trained past Fabric, in float32 whatever the setting: `fabric.setup`, then "
    "`fabric.backward` and the step of the optimizer that it returned"
)
def past_fabric(fabric, data, seed, steps):
    from halfbits.data_sets import batches
    from halfbits.training import accuracy

    torch.manual_seed(seed)
    head = torch.nn.Linear(384, 2)
    adam = torch.optim.Adam(head.parameters(), lr=3e-3)
    losses = []
    for x, y in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        loss = torch.nn.functional.cross_entropy(head(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return {
        "loss": sum(losses[-20:]) / 20,
        "accuracy": accuracy(head, data.test_x, data.test_y),
    }


@train_head.wrong(
    "`loss.backward()` goes past Fabric, which scales the loss where fp16 needs it: write "
    "`fabric.backward(loss)`"
)
def plain_backward_again(fabric, data, seed, steps):
    from halfbits.data_sets import batches
    from halfbits.training import accuracy

    torch.manual_seed(seed)
    head = torch.nn.Linear(384, 2)
    model, adam = fabric.setup(head, torch.optim.Adam(head.parameters(), lr=3e-3))
    losses = []
    for batch in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        x, y = fabric.to_device(batch)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    x, y = fabric.to_device((data.test_x, data.test_y))
    return {"loss": sum(losses[-20:]) / 20, "accuracy": accuracy(model, x, y)}


@train_head.right("with the course's accuracy, and the optimizer set up apart")
def set_up_apart(fabric, data, seed, steps):
    import numpy

    from halfbits.data_sets import batches
    from halfbits.training import accuracy

    torch.manual_seed(seed)
    model = fabric.setup_module(torch.nn.Linear(384, 2))
    adam = fabric.setup_optimizers(torch.optim.Adam(model.parameters(), lr=0.003))
    losses = []
    for batch in batches(data.train_x, data.train_y, size=64, steps=steps, seed=seed):
        x, y = fabric.to_device(batch)
        adam.zero_grad(set_to_none=True)
        losses.append(torch.nn.functional.cross_entropy(model(x), y))
        fabric.backward(losses[-1])
        adam.step()
    last = numpy.mean([loss.item() for loss in losses[-20:]])
    test_x, test_y = fabric.to_device((data.test_x, data.test_y))
    return {"accuracy": accuracy(model, test_x, test_y), "loss": float(last)}

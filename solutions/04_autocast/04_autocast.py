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
# # Unit 4 · Let autocast choose the dtypes
#
# **What you will do**
#
# 1. Watch in which dtype each layer of a network answers under `torch.autocast`, and say what stays in float32.
# 2. Predict the dtype that an operation returns, on the CPU and on CUDA, where the rules differ.
# 3. Build autocast yourself, so well that it cannot be told from PyTorch's.
# 4. Explain why weights are kept in float32, and build an optimizer that does it for a 16-bit model.
# 5. Count the bytes that training takes, and say honestly what mixed precision saves and what it does not.
#
# **What you need**: Unit 1, and from Unit 2 the step that a weight does not notice; classes with methods, and the `with` statement. No GPU.
# **Time**: about 130 minutes with the exercises. **Points**: 34, of which 6 are for a quiz and 3 for a written answer.
#
# Matrix units multiply 16-bit numbers faster than wider ones: those of an NVIDIA A100 reach 312 TFLOPS, in fp16 and in bf16 alike, and 156 in tf32; float32 without them reaches 19.5 (NVIDIA 2022). But some computations do not bear 16 bits: Unit 2 showed it of sums and small steps. So *mixed* precision decides for each operation. In PyTorch one line does that, `with torch.autocast(...)`, and most people who use it could not say what it has done. You will.

# %% tags=["imports"]
import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

import halfbits as hb

torch.set_num_threads(1)  # the networks here are too small for more

# %% [markdown]
# ## Predict three dtypes
#
# A linear layer, its input in float32, one call inside an autocast region, and a backward pass. Write down your guess for the dtype of
#
# - the output,
# - the layer's weight, after the call,
# - the gradient of the weight.

# %%
layer, x = nn.Linear(4, 3), torch.randn(2, 4)
with torch.autocast("cpu", dtype=torch.bfloat16):
    y = layer(x)
y.sum().backward()
print("output:  ", y.dtype)
print("weight:  ", layer.weight.dtype)
print("gradient:", layer.weight.grad.dtype)

# %% [markdown]
# Autocast does not touch the model. It sits in front of every operation, and what it does there is one of three things:
#
# | the operation is on | its inputs are | for example |
# |---|---|---|
# | the list of those that gain from 16 bits | cast to the dtype of the region | `linear`, `matmul`, `conv2d` |
# | the list of those that need float32 | cast to float32 | losses such as `cross_entropy` |
# | neither | left as they are; the operation *passes through* | `relu`, `+`, `mean` |
#
# So `layer(x)` made a bf16 copy of x, one of the weight and one of the bias, multiplied those, and returned bf16. The weight itself is what it was.
#
# Why then is the gradient float32, although it comes back through a bf16 multiplication? Because the cast is an operation, too. It stands in the graph, and its backward pass casts the gradient back, to the dtype that went in:

# %%
w = torch.tensor([1.0, 2.0], requires_grad=True)
low = w.bfloat16()
(low * 3).sum().backward()
low.grad_fn, w.grad.dtype

# %% [markdown]
# Gradients of *activations* do have 16 bits, and in fp16 they can underflow: that is the subject of Unit 5.
#
# ## Watch a network
#
# Here is a small network, each layer in the colour of what comes out of it. **Predict**, before you touch a button: which layers return 16 bits on the CPU? Which of them change on CUDA?

# %%
hb.dtype_explorer()

# %% [markdown]
# **Try it.**
#
# 1. Switch from CPU to CUDA. Which layers change? GELU is on neither list. Why does it change, too?
# 2. Switch to fp16. Does anything change but the name?
# 3. Switch autocast off. What was the dtype of the weights, all the time?
#
# The two devices as pictures that stay:

# %%
hb.dtype_diagram(device_type="cpu", dtype="bf16")

# %%
hb.dtype_diagram(device_type="cuda", dtype="bf16")

# %% [markdown]
# **The CPU and CUDA have different lists.** On the CPU, LayerNorm and softmax pass through, so they return the bf16 that the Linear before them gave. On CUDA both are on the float32 list. GELU is on no list on either device: it returns what it gets, and on CUDA it gets float32 from LayerNorm. Whoever prints dtypes on a laptop and reads an article that was written on a GPU will not see the same.
#
# ### Exercise 1: `dtype_trace`
#
# Do not believe the picture: look. Call `model(x)` once, inside autocast for the given device type and dtype, and write down what each module returned: a list of pairs (name, dtype), one for each *call* of a module, in the order in which the calls end.
#
# `model.named_modules()` gives names and modules, nested ones with a dot in the name (`"2.0"`). The first is the model itself, with the empty name: leave it out, and take all others. A *forward hook* is a function that PyTorch calls whenever a module is done; `layer` is the one from above:

# %%
handle = layer.register_forward_hook(lambda module, inputs, output: print("returned", output.dtype))
layer(x)
handle.remove()

# %% [markdown]
# A module may return a tuple, as `nn.LSTM` does, even a tuple inside a tuple: take the first tensor. A module that is called twice has two entries. Leave the model as it came: no hook may stay on it, also if the call raises an error (then let the error pass), and a model in training mode stays in training mode.


# %% nbgrader={"grade": false, "grade_id": "dtype_trace-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dtype_trace(model: nn.Module, x: torch.Tensor, device_type: str, dtype: torch.dtype) -> list:
    """Return (name, dtype of the output) for each call of a module inside model, under autocast.

    >>> dtype_trace(nn.Sequential(nn.Linear(8, 8), nn.ReLU()), torch.ones(4, 8), "cpu", torch.bfloat16)
    [('0', torch.bfloat16), ('1', torch.bfloat16)]
    """
    ### BEGIN SOLUTION
    names = {module: name for name, module in model.named_modules() if name}
    calls = []

    def hook(module, inputs, output):
        while isinstance(output, tuple):
            output = output[0]
        calls.append((names[module], output.dtype))

    handles = [module.register_forward_hook(hook) for module in names]
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls
    ### END SOLUTION


# %% [markdown]
# If all entries bear the same name: a function that is made in a loop sees the loop's variables as they are when it is *called*. Make the hook in a function that takes the name.

# %% nbgrader={"grade": true, "grade_id": "dtype_trace-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("dtype_trace")

# %% nbgrader={"grade": true, "grade_id": "dtype_trace-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Look up what an operation gets
#
# PyTorch's lists are short enough to be read. **Predict** for softmax, sum, mean and mse_loss: 16 bit, fp32, or passes through? On the CPU, on CUDA?

# %%
hb.autocast_rules()

# %% [markdown]
# Three things are worth remembering:
#
# - On the **CPU**, softmax, layer_norm, exp, pow and sum *pass through*. On **CUDA** they are computed in fp32.
# - On CUDA not every reduction goes to fp32: `sum` does, **`mean` and `var` pass through**.
# - Some operations look like matrix products and are not on the list: `mv`, matrix times vector, on the CPU.
#
# No GPU was needed for this: PyTorch can run its dispatcher, autocast included, on *fake* tensors that have a dtype and a device but no memory. That is how the CUDA column was made. One operation is refused there: `binary_cross_entropy` raises an error, because the gradient that it would send to a 16-bit input may lie beyond fp16's range (PyTorch's documentation says so); `binary_cross_entropy_with_logits` is the safe way.
#
# For 24 operations, here are the lists as data. What is on neither list of a device passes through on it.

# %% tags=["imports"]
from halfbits.autocast_table import autocast_rule

OPERATIONS = ["matmul", "linear", "conv2d", "einsum", "mv", "dot"]
OPERATIONS += ["softmax", "log_softmax", "layer_norm", "cross_entropy", "mse_loss"]
OPERATIONS += ["exp", "pow", "sqrt", "relu", "gelu", "sum", "prod", "mean", "var"]
OPERATIONS += ["add", "mul", "cat", "where"]
LISTS = {
    device: {
        rule: [op for op in OPERATIONS if autocast_rule(op, device) == rule]
        for rule in ("16 bit", "fp32")
    }
    for device in ("cpu", "cuda")
}

# %%
LISTS

# %% [markdown]
# ### Exercise 2: `predict_dtype`
#
# Given an operation, the dtypes of its tensor inputs, the device type and the dtype of the region, return the dtype of the output. The rules:
#
# 1. Autocast casts inputs in float32, float16 and bfloat16, all of them, wherever the operation is on a list. **float64 and integers it leaves alone.**
# 2. Then the operation does what PyTorch always does: inputs of two dtypes are promoted. `torch.promote_types(a, b)` knows how.
#
# | operation | inputs | region | after the cast | output |
# |---|---|---|---|---|
# | `linear` | fp32, fp16 | CPU, bf16 | bf16, bf16 | bf16 |
# | `softmax` | fp16 | CUDA, fp16 | fp32 | fp32 |
# | `add` | bf16, fp32 | CPU, bf16 | bf16, fp32 | fp32 |
# | `add` | fp16, bf16 | CUDA, fp16 | fp16, bf16 | fp32: neither holds the other |
# | `linear` | fp64, fp64 | CUDA, fp16 | fp64, fp64 | fp64 |
#
# You are asked only about inputs that the operation accepts, and about integers only where it returns integers. (PyTorch has a third, short list, with `cat` on the CPU and `dot` on CUDA: inputs of two dtypes are cast to the wider one. Promotion comes to the same, so you need not treat them apart.)


# %% nbgrader={"grade": false, "grade_id": "predict_dtype-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def predict_dtype(
    op: str, in_dtypes: list[torch.dtype], device_type: str, amp_dtype: torch.dtype
) -> torch.dtype:
    """Return the output dtype of one of the OPERATIONS inside torch.autocast(device_type, amp_dtype).

    >>> predict_dtype("softmax", [torch.float16], "cuda", torch.float16)
    torch.float32
    """
    ### BEGIN SOLUTION
    target = None
    if op in LISTS[device_type]["16 bit"]:
        target = amp_dtype
    if op in LISTS[device_type]["fp32"]:
        target = torch.float32
    eligible = (torch.float32, torch.float16, torch.bfloat16)
    cast = [target if target and dtype in eligible else dtype for dtype in in_dtypes]
    output = cast[0]
    for dtype in cast[1:]:
        output = torch.promote_types(output, dtype)
    return output
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "predict_dtype-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("predict_dtype")

# %% nbgrader={"grade": true, "grade_id": "predict_dtype-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Build autocast
#
# PyTorch's autocast is written in C++. The same idea fits into fifteen lines of Python, for PyTorch lets us step in front of every function: a `TorchFunctionMode` is a region, and inside it each call of a PyTorch function arrives at its method `__torch_function__`, with the function and its arguments.


# %%
class Log(TorchFunctionMode):
    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def __torch_function__(self, func, types, args=(), kwargs=None):
        print(self.name, "sees", func.__name__)
        return func(*args, **(kwargs or {}))


a, labels = torch.randn(3, 3), torch.arange(3)
with Log("the region"):
    F.cross_entropy(a @ a, labels)

# %% [markdown]
# `@` has the name `matmul`, and `a**2` would be `pow`: the names are those of the lists. What `cross_entropy` calls in turn is not seen, for inside `__torch_function__` the region is switched off. Otherwise `func(...)` would arrive here again, and again.
#
# Regions can stand inside regions. **Predict** what is printed:

# %%
with Log("outer"), Log("inner"):  # inner is inside outer
    a @ a

# %% [markdown]
# The inner region is off while its method runs, but the outer one is not: `func(...)` passes through it. For a log that is fine. For autocast it is not: there, **the innermost region decides**, alone. Inside `autocast(enabled=False)` nothing is cast, whatever is around it. So an autocast region has to shield its call:
#
# ```python
# with torch._C.DisableTorchFunction():      # all regions are off in here
#     return func(*args, **kwargs)
# ```
#
# (The underscore says that this belongs to PyTorch's inner parts. You can do without it: let the regions keep a list of themselves, and only the last one act.)
#
# ### Exercise 3: `MiniAutocast`
#
# Write the class. `MiniAutocast(lists, dtype, enabled)` takes one entry of `LISTS`, the 16-bit dtype and whether it acts at all; it is used as `with MiniAutocast(LISTS["cpu"], torch.bfloat16): ...`. It must do what `torch.autocast` does:
#
# - The list on which `func.__name__` is decides to which dtype *the inputs* are cast, before the operation runs. On neither list: no cast.
# - Inputs are tensors among the arguments, also keyword arguments, and also inside lists and tuples, as in `torch.einsum("ij,jk->ik", [a, b])`.
# - float32, float16 and bfloat16 tensors are cast. float64 and integers stay, and so does everything that is no tensor.
# - Regions can be nested, with other dtypes and with `enabled=False`; the innermost decides.
# - After an error, in an operation or in the region, everything is as if it had not happened.
#
# `torch.autocast` and your class are run through the same 240 random programs, and have to give the same dtypes, also those in which PyTorch really computed, and the same errors. Thirty more programs use CUDA's lists. (They are made in `drivers.py`, beside this notebook; nothing in it is secret. There, a and b are matrices of 4 × 4, u and v two rows of b; a row of the check's table ends with the dtypes of a and b.) Hint: a function inside the method that casts one value, and calls itself for lists and tuples, keeps it short.


# %% nbgrader={"grade": false, "grade_id": "MiniAutocast-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
class MiniAutocast(TorchFunctionMode):
    """A region that casts inputs as torch.autocast does, by the names in its two lists."""

    def __init__(self, lists: dict, dtype: torch.dtype = torch.bfloat16, enabled: bool = True):
        super().__init__()
        ### BEGIN SOLUTION
        self.lists, self.dtype, self.enabled = lists, dtype, enabled
        ### END SOLUTION

    def __torch_function__(self, func, types, args=(), kwargs=None):
        ### BEGIN SOLUTION
        def cast(value, target):
            if isinstance(value, list | tuple):
                return [cast(each, target) for each in value]
            is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
            return value.to(target) if is_float and value.dtype != torch.float64 else value

        with torch._C.DisableTorchFunction():
            for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
                if self.enabled and func.__name__ in self.lists[rule]:
                    args = cast(args, target)
                    kwargs = {name: cast(each, target) for name, each in (kwargs or {}).items()}
            return func(*args, **(kwargs or {}))
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "MiniAutocast-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("MiniAutocast")

# %% nbgrader={"grade": true, "grade_id": "MiniAutocast-hidden", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Your class can do something that PyTorch's cannot: apply **CUDA's rules on the CPU**. Run a network on both lists, in fp16. (`record` is the course's own version of your `dtype_trace`.)

# %%
from halfbits.trace import record

network = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2))
rows = torch.randn(2, 8)


def dtypes(device):
    with MiniAutocast(LISTS[device], torch.float16):
        calls = record(network, rows)
        loss = F.cross_entropy(network(rows), torch.tensor([0, 1]))
    loss.backward()
    found = {f"{call.name} {call.kind}": call.dtype for call in calls}
    return found | {"loss": loss.dtype, "gradient": network[0].weight.grad.dtype}


hb.results(dtypes, {"CPU's lists": ("cpu",), "CUDA's lists": ("cuda",)})

# %% [markdown]
# ### Cast once
#
# One thing is missing. If a layer is called twice in a region, your class casts its weight twice. PyTorch's autocast casts it once and keeps the copy until the outermost region ends. One can see that. **Predict**: the weight is set to zero between two calls. Does the second call notice?

# %%
layer = nn.Linear(4, 3)
with torch.autocast("cpu", dtype=torch.bfloat16):
    first = layer(x)
    layer.weight.data.zero_()
    second = layer(x)
with torch.autocast("cpu", dtype=torch.bfloat16):
    third = layer(x)
print("second like first:", torch.equal(second, first), "  third:", torch.equal(third, first))

# %% [markdown]
# It does not: it computes with the copy of the old weight. This cache is for *parameters*, float32 tensors that want a gradient, and it is the reason why a region belongs around the forward pass of *one* step, never around the whole training loop: there, the second step would compute with copies of the first step's weights. You will meet that bug in Unit 10.
#
# ## Keep the weights in float32
#
# The weights stay in float32 under autocast, although every multiplication uses 16-bit copies. Could one store the copies only, and update those? P. Micikevicius et al. (2018, section 3.1) give two reasons against it:
#
# - **Small gradients.** In a network of theirs (their Figure 2b), about 5 % of the weight gradients were smaller than 2⁻²⁴ in magnitude. Times the learning rate, such a value becomes zero in fp16.
# - **Small ratios.** Even an update that fp16 can hold may be lost as soon as the weight is 2048 times as large: Unit 2's step that a weight does not notice.
#
# In bf16 the first reason falls away, for it has float32's range, and the second one gets worse: the ratio is 256. How many updates are concerned in a real network? Train a small one on 8 × 8 pictures of digits, then look at one more step of plain SGD:

# %%
from halfbits.data_sets import batches, load_digits
from halfbits.models import mlp

torch.manual_seed(0)
digits, trained, lr = load_digits(), mlp(64, 64, 10), 0.1
for images, classes in batches(digits.train_x, digits.train_y, size=64, steps=200):
    trained.zero_grad()
    F.cross_entropy(trained(images), classes).backward()
    for p in trained.parameters():
        p.data -= lr * p.grad

# %%
w = torch.cat([p.data.flatten() for p in trained.parameters()])
update = lr * torch.cat([p.grad.flatten() for p in trained.parameters()])
w, update = w[update != 0], update[update != 0]
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    low = w.to(dtype)
    lost = (low - update.to(dtype) == low).float().mean()
    print(f"{dtype}: {lost:6.1%} of updates change nothing")

# %% [markdown]
# Each of those updates would be lost in this step, and in the next one, and in all others of its size. A sum of a hundred of them would matter. The remedy is to add where the small is not lost: in float32. So training keeps **master weights** in float32, updates those, and makes the 16-bit copies from them, anew in every step.
#
# What difference it makes: a small GPT that learns to spell first names, three times with the same data. Everything in bf16, weights included; bf16 autocast over float32 weights; and everything in float32. **Predict** the order of the three curves, and whether two of them coincide.

# %%
hb.master_weight_curves()

# %% [markdown]
# With master weights, bf16 cannot be told from float32. Without them, most weights do not move at all in a step, at this learning rate of 10⁻⁴. (This is a recording; each curve is a mean of three seeds, and its band their range.) Micikevicius et al. report the same of a speech model: with fp16 weights and no master copy, a relative loss in accuracy of 80 % (section 3.1); with one, mixed precision matched float32 in the image networks of their Table 1.
#
# Under `torch.autocast` you need nothing more: **the float32 weights of the model are the master weights.** If the model itself is in 16 bits, as after `model.bfloat16()`, somebody else has to keep them: the optimizer.
#
# ### Exercise 4: `MasterSGD`
#
# Write SGD with momentum for parameters of any floating dtype. `MasterSGD(params, lr, momentum)` gets the parameters as `model.parameters()` gives them, a generator, which can be gone through only once. It makes, once, a float32 copy of each parameter: the list `self.master`. Each copy has memory of its own, also if the parameter is float32 already. `step()` does for each parameter whose `grad` is not None, all in float32:
#
# $$v \leftarrow \mathrm{momentum} \cdot v + \mathrm{gradient} \qquad m \leftarrow m - \mathrm{lr} \cdot v$$
#
# where m is the master weight and v its velocity, 0 in the beginning. Then it copies the rounded m into the parameter, which keeps its dtype. A parameter whose `grad` is None is left alone, velocity included, as `torch.optim.SGD` leaves it.
#
# On paper, for a bf16 weight 1, gradient 1, lr = 10⁻⁴, no momentum. Below 1, bf16 numbers are 2⁻⁸ ≈ 0.0039 apart:
#
# | step | m | parameter, in bf16 | without master weights |
# |---|---|---|---|
# | 1 | 0.9999 | 1 | 1 |
# | 19 | 0.9981 | 1 | 1 |
# | 20 | 0.9980 | 0.99609375 | 1 |
# | 100 | 0.9900 | 0.98828125 | 1 |
#
# `@torch.no_grad()` above a method keeps autograd out of it. `p.copy_(m)` converts and writes into p.


# %% nbgrader={"grade": false, "grade_id": "MasterSGD-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
class MasterSGD:
    """SGD with momentum that updates float32 master weights (self.master) and copies them back."""

    def __init__(self, params, lr: float, momentum: float = 0.0):
        ### BEGIN SOLUTION
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.master = [p.detach().float().clone() for p in self.params]
        self.velocity = [torch.zeros_like(m) for m in self.master]
        ### END SOLUTION

    @torch.no_grad()
    def step(self) -> None:
        ### BEGIN SOLUTION
        for p, m, v in zip(self.params, self.master, self.velocity, strict=True):
            if p.grad is not None:
                v.mul_(self.momentum).add_(p.grad.float())
                m.sub_(self.lr * v)
                p.copy_(m)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "MasterSGD-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("MasterSGD")

# %% nbgrader={"grade": true, "grade_id": "MasterSGD-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Your optimizer at work. The network from above, whose loss on its training pictures is about 0.47, is trained on, now all in bf16, with a learning rate of 0.01. **Predict**: does it learn?


# %%
def loss_after_training(optimizer, dtype):
    model = copy.deepcopy(trained).to(dtype)
    stepper = optimizer(model.parameters(), lr=0.01)
    for images, classes in batches(digits.train_x, digits.train_y, size=64, steps=400):
        model.zero_grad()
        F.cross_entropy(model(images.to(dtype)).float(), classes).backward()
        stepper.step()
    with torch.no_grad():
        return F.cross_entropy(model(digits.train_x.to(dtype)).float(), digits.train_y).item()


SGD, bf16 = torch.optim.SGD, torch.bfloat16
runs = {"SGD, bf16": (SGD, bf16), "MasterSGD, bf16": (MasterSGD, bf16)}
hb.results(loss_after_training, runs | {"SGD, float32": (SGD, torch.float32)})

# %% [markdown]
# Plain SGD in bf16 hardly gets away from where it started, although every gradient is right. With master weights the same 16-bit network learns as the float32 one does.
#
# ## Count the bytes of a parameter
#
# "Mixed precision halves the memory" is often said. Let us count. Training keeps, for each parameter, the weight, its gradient and what the optimizer remembers: Adam two *moments*, the running means of the gradient and of its square. **Predict**: how many bytes is that in float32? And under autocast?

# %%
from halfbits.memory import training_bytes

model = mlp(64, 64, 10)
optimizer = torch.optim.Adam(model.parameters())
with torch.autocast("cpu", dtype=torch.bfloat16):
    loss = F.cross_entropy(model(digits.train_x), digits.train_y)
loss.backward()
optimizer.step()
count = sum(p.numel() for p in model.parameters())
{name: size / count for name, size in training_bytes(model, optimizer)._asdict().items()}

# %% [markdown]
# 16 bytes, **as in float32**. One also reads 12: two for a 16-bit weight, two for its gradient, eight for the moments. That would be right if the weights and their gradients had 16 bits. Under `torch.autocast` they do not: on parameters, gradients and moments, nothing is saved.
#
# ### Exercise 5: `bytes_per_param`
#
# Return what training keeps for one parameter *from one step to the next*, as a dict with `parameters`, `gradients`, `master` and `moments`, in bytes. Activations and temporary casts do not count. The modes:
#
# - `"fp32"`: everything in float32;
# - `"torch AMP"`: a float32 model, and `torch.autocast` around its forward pass;
# - `"16 bit, fp32 master"`: a 16-bit model with 16-bit gradients, and an optimizer with float32 master weights, as `MasterSGD`; the moments belong to the master weights and are float32;
# - `"16 bit, fp32 master and gradients"`: the same, but the gradients of several batches are added up in float32, and those sums are kept;
# - `"pure 16 bit"`: everything in 16 bits, moments included.
#
# The optimizers: `"SGD"` remembers nothing, `"SGD with momentum"` a velocity, which counts as a moment, `"Adam"` two moments. What does not exist takes 0 bytes.


# %% nbgrader={"grade": false, "grade_id": "bytes_per_param-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bytes_per_param(mode: str, optimizer: str) -> dict[str, int]:
    """Return the bytes for one parameter: parameters, gradients, master, moments.

    >>> bytes_per_param("fp32", "SGD")
    {'parameters': 4, 'gradients': 4, 'master': 0, 'moments': 0}
    """
    ### BEGIN SOLUTION
    weight = 4 if mode in ("fp32", "torch AMP") else 2
    moment = 2 if mode == "pure 16 bit" else 4
    return {
        "parameters": weight,
        "gradients": 4 if mode == "16 bit, fp32 master and gradients" else weight,
        "master": 4 if "master" in mode else 0,
        "moments": moment * {"SGD": 0, "SGD with momentum": 1, "Adam": 2}[optimizer],
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bytes_per_param-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("bytes_per_param")

# %% nbgrader={"grade": true, "grade_id": "bytes_per_param-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %%
hb.bytes_per_parameter()

# %% [markdown]
# A 16-bit model with float32 master weights needs 16 bytes, too: what the weight and the gradient save, the master copy takes. With float32 gradients it is 18. Only *pure* 16 bit halves it, and you have seen how that trains. A model with 7 · 10⁹ parameters and Adam takes 112 GB in any of the modes with 16 bytes, before the first activation. Less than that needs other ideas: 8-bit moments, or spreading them over several GPUs, as in Unit 8.
#
# ## Count what is saved for backward
#
# So where does autocast need less? In the *activations*: what the forward pass leaves behind for the backward pass. In PyTorch's words these tensors are *saved*. Autograd lets us look. Inside `saved_tensors_hooks(pack, unpack)` each tensor that it saves is given to `pack`, and what `pack` returns is saved instead. **Predict** what this network saves for 32 rows, first in float32, then under autocast.


# %%
def show(tensor):
    block, shape = tensor.untyped_storage(), str(tuple(tensor.shape))
    print(f"  {shape:9} {tensor.dtype}  {block.nbytes()} bytes at {block.data_ptr()}")
    return tensor


net, rows = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), torch.randn(32, 8)
print("weight of the second Linear:", net[2].weight.untyped_storage().data_ptr())
for enabled in (False, True):
    print("autocast" if enabled else "float32")
    region = torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)
    with torch.autograd.graph.saved_tensors_hooks(show, lambda tensor: tensor), region:
        out = net(rows)

# %% [markdown]
# Look at the last column, the address of the block of memory:
#
# - The output of ReLU, 32 × 16, is saved **twice and stored once**: the ReLU keeps it, and the second Linear keeps its input, which is the same tensor.
# - In float32, the weight of the second Linear is saved as a *view* (transposed) of the parameter: its address is that of the first line. The parameter is there anyway, so this costs nothing.
# - Under autocast the activations take half. But the weight that is saved is **a new block**: the 16-bit copy. It stays until the backward pass has used it.
#
# The first layer's weight is not saved: it would be needed for the gradient of the network's input, which nobody wants.
#
# ### Exercise 6: `saved_bytes`
#
# Call `model(x)` once inside `context` (a region such as `torch.autocast(...)`, or `contextlib.nullcontext()`) and return how many bytes autograd keeps for the backward pass:
#
# - each block of memory once, with its full size, `tensor.untyped_storage().nbytes()`, however many tensors or views of it are saved; the same `untyped_storage().data_ptr()` means the same block;
# - not the model's parameters and buffers (such as the running mean of a batch norm), for they are there anyway;
# - the input x counts where it is saved.
#
# The networks of the check are in `drivers.py`. Let `pack` return the tensor, and keep the model's output in a variable until you have counted. It holds the graph, and the graph holds what was saved; a block that is freed too early can lend its address to the next one.


# %% nbgrader={"grade": false, "grade_id": "saved_bytes-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def saved_bytes(model: nn.Module, x: torch.Tensor, context) -> int:
    """Return the bytes that one call of model(x), inside context, keeps for the backward pass.

    >>> saved_bytes(nn.Linear(64, 64), torch.ones(8, 64), torch.autocast("cpu", enabled=False))
    2048
    """
    ### BEGIN SOLUTION
    owned = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    blocks = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            blocks[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context:
        output = model(x)
    total = sum(blocks.values())
    del output
    return total
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "saved_bytes-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("saved_bytes")

# %% nbgrader={"grade": true, "grade_id": "saved_bytes-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Activations grow with the batch; the copies of the weights do not. **Predict**: five layers of 256 × 256, each followed by GELU, a batch of 64. Does autocast need less memory?

# %%
hb.activation_explorer()

# %% [markdown]
# **Try it.**
#
# 1. Find the batch size at which the two curves cross. Double the width: where do they cross now? Double the depth: does the crossing move much?
# 2. Change GELU to ReLU. Why do the curves drop? (You have seen it in the addresses above.)
# 3. Make the batch as large as it goes. Which factor is left between the curves?
#
# The same as a picture that stays:

# %%
hb.activation_bytes()

# %% [markdown]
# For small batches **autocast keeps more bytes than float32**: 852 kB instead of 655 kB at a batch of 64. From a batch of about 100 on it keeps fewer, and far to the right half as many. In a transformer the "batch" of a Linear is sequences × tokens, so training sits far to the right, and there autocast needs less memory. Fine-tuning with short texts or single pictures may lie on the left.
#
# So the honest account of `torch.autocast` is: not a byte less for weights, gradients and moments; up to half of the bytes less for activations; and the speed of 16-bit matrix units.
#
# ## Check what you remember
#
# Six questions, one point each. They are for practice, as in Unit 1.

# %%
hb.quiz("bf16-speed")

# %%
hb.quiz("layer-norm")

# %%
hb.quiz("amp-memory")

# %%
hb.quiz("grad-dtype")

# %%
hb.quiz("residual")

# %%
hb.quiz("crossing")

# %% nbgrader={"grade": true, "grade_id": "quiz-score", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
hb.check_quiz()

# %% [markdown]
# ## Say it in your own words
#
# A colleague fine-tunes a large model on a GPU with short texts, two at a time, and switches `torch.autocast` to bf16 on. The steps are faster, but the memory in use has *grown* a little, and the file with the optimizer's state is as large as before. "Autocast is broken", says the colleague, "I will call `model.bfloat16()` instead." In three to six sentences: what does autocast keep in 32 bits, and why is that good? Where does the additional memory come from? What do you think of the colleague's plan?

# %% [markdown] nbgrader={"grade": true, "grade_id": "explain-autocast", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Autocast leaves the weights in float32 and casts copies of them; the backward pass of the cast returns float32 gradients, so the optimizer's moments are float32, too, and the 16 bytes a parameter of Adam stay 16. That is good because the float32 weights are the master weights: most updates are far smaller than half an ulp of a bf16 weight and would be lost there. The additional memory is the bf16 copies of the weights, which autograd keeps for the backward pass; with two short texts the activations are so few that halving them saves less than the copies take. With larger batches or longer texts it would be the other way round. `model.bfloat16()` would halve the memory, but at fine-tuning's small learning rates most weights would stop moving; it needs an optimizer with float32 master weights, or stochastic rounding, and then a part of the saving is gone.
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
# 1. *Watch a network*: matrix products answer in 16 bits, losses in float32, and most others in what they get. The weights stay float32, and so do their gradients, for the backward pass of a cast casts back.
# 2. *Predict a dtype*: find the operation's list on this device; cast float32, fp16 and bf16, never float64 or integers; then promote. softmax, layer_norm, exp and sum: float32 on CUDA, passing through on the CPU. mean and var: passing through on both.
# 3. *Build autocast*: cast the inputs, shield the call, let the innermost region decide. PyTorch adds a cache for the casts of weights.
# 4. *Explain master weights*: an update below half an ulp is lost, so updates are added up in float32. Under autocast the model's weights are the master weights; a 16-bit model needs an optimizer such as your `MasterSGD`.
# 5. *Count bytes*: 16 a parameter with Adam, in float32, under autocast, and with 16-bit weights and master weights; 8 only in pure 16 bit. Activations shrink by up to half, once the batch is large enough to outweigh the copies of the weights.
#
# ## In practice
#
# What to type tomorrow: the forward pass and the loss inside the region, the backward pass and the optimizer outside of it. Where a part of the model must be computed in float32, switch autocast off there, and cast what goes in.


# %%
class SafeNorm(nn.Module):
    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            return F.layer_norm(x.float(), x.shape[-1:])


model = nn.Sequential(nn.Linear(64, 64), SafeNorm(), nn.Linear(64, 10))
optimizer = torch.optim.AdamW(model.parameters())
for images, classes in batches(digits.train_x, digits.train_y, size=64, steps=3):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(images)
        loss = F.cross_entropy(outputs, classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
outputs.dtype, loss.dtype

# %% [markdown]
# - Do not call `.half()` or `.bfloat16()` on the model or its inputs when you use autocast: it wants float32 weights.
# - What comes out of the region may have 16 bits. Call `.float()` before you collect or compare it.
# - Write the dtype down. Without it autocast takes float16 on CUDA and bfloat16 on the CPU. And `torch.autocast("cuda")` on a machine without a GPU only warns and then casts nothing.
# - Do not carry dtypes from a laptop to a GPU in your head. Run your `dtype_trace` where you train.
# - With fp16, gradients of activations underflow. The loss has to be scaled: that is Unit 5.
#
# ## References
#
# - P. Micikevicius et al., *Mixed Precision Training*, ICLR 2018, [arXiv:1710.03740](https://arxiv.org/abs/1710.03740): section 3.1, Figures 1 and 2, Table 1.
# - PyTorch documentation, [Automatic Mixed Precision package](https://docs.pytorch.org/docs/2.13/amp.html), with the lists; in the source, the macros in `aten/src/ATen/autocast_mode.h`.
# - PyTorch documentation, [Extending PyTorch](https://docs.pytorch.org/docs/2.13/notes/extending.html), on `__torch_function__` and modes; and [`saved_tensors_hooks`](https://docs.pytorch.org/docs/2.13/autograd.html).
# - NVIDIA, [Hopper Architecture In-Depth](https://developer.nvidia.com/blog/nvidia-hopper-architecture-in-depth/), 2022: the table that compares the peak rates of A100 and H100.
# - S. Rajbhandari et al., *ZeRO: Memory Optimizations Toward Training Trillion Parameter Models*, SC 2020, [arXiv:1910.02054](https://arxiv.org/abs/1910.02054): where the bytes of training go.
# - The starting point of this course: S. Raschka, *Deep Learning Fundamentals*, Unit 9.1, Lightning AI, 2023.

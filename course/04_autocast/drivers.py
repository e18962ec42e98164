"""How the checks of Unit 4 drive your functions and classes. Nothing here is secret."""

import contextlib
import random

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from halfbits.autocast_table import autocast_rule
from halfbits.models import mlp


class Interrupted(Exception):
    """Raised on purpose."""


# ── dtype_trace ──────────────────────────────────────────────────────────────────────────────────


class Halves(nn.Module):
    """Returns two tensors, one of them inside a tuple of its own."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return (self.fc(x), None), x


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.halves, self.norm = Halves(), nn.LayerNorm(8)

    def forward(self, x):
        (left, _), right = self.halves(x)
        return self.norm(left.float() + right)


class Shared(nn.Module):
    """One ReLU, called twice."""

    def __init__(self):
        super().__init__()
        self.fc, self.relu, self.norm = nn.Linear(8, 8), nn.ReLU(), nn.LayerNorm(8)

    def forward(self, x):
        return self.relu(self.norm(self.relu(self.fc(x)).float()))


class Fails(nn.Module):
    def forward(self, x):
        raise Interrupted("this module fails on purpose")


MODELS = {
    "Linear, ReLU, LayerNorm": lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.LayerNorm(8)),
    "nested modules": lambda: nn.Sequential(mlp(8, 8, 8), nn.Softmax(-1), mlp(8, 4)),
    "a module that returns a tuple": Pair,
    "one ReLU, called twice": Shared,
    "dropout": lambda: nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.BatchNorm1d(8)),
    "one that fails": lambda: nn.Sequential(nn.Linear(8, 8), Fails(), nn.ReLU()),
}


def dtype_trace(function, kind, device_type, dtype, training=True):
    torch.manual_seed(0)
    model = MODELS[kind]().train(training)
    modes = [module.training for module in model.modules()]
    try:
        seen = _calls(function(model, torch.ones(4, 8), device_type, dtype))
    except Interrupted:
        seen = {"the model's error": "passed on"}
    changed = modes != [module.training for module in model.modules()]
    return seen | {
        "hooks left": sum(
            len(module._forward_hooks) + len(module._forward_pre_hooks)
            for module in model.modules()
        ),
        "training mode": "changed" if changed else "as before",
    }


def _calls(trace):
    """The entries of a trace by number, if it is a list of pairs."""
    if not isinstance(trace, list) or any(
        not isinstance(e, tuple | list) or len(e) != 2 for e in trace
    ):
        return {"trace": trace}
    return {f"{number}. {name}": dtype for number, (name, dtype) in enumerate(trace, 1)}


# ── MiniAutocast ─────────────────────────────────────────────────────────────────────────────────

# Code that runs on two matrices a and b of 4 × 4, on v and u, two rows of b, and on four labels.
CALLS = {
    "matmul": ("a @ b", "torch.matmul(a, b)", "a.matmul(b)"),
    "linear": ("F.linear(a, b)", "F.linear(a, b, v)", "F.linear(input=a, weight=b)"),
    "conv2d": ("F.conv2d(a[None, None], b[None, None])",),
    "einsum": ("torch.einsum('ij,jk->ik', a, b)", "torch.einsum('ij,jk->ik', [a, b])"),
    "mv": ("torch.mv(a, u)", "torch.mv(a, vec=u)"),
    "softmax": ("F.softmax(a, -1)", "a.softmax(dim=-1)"),
    "layer_norm": ("F.layer_norm(a, (4,))",),
    "cross_entropy": ("F.cross_entropy(a, labels)", "F.cross_entropy(a, target=labels)"),
    "mse_loss": ("F.mse_loss(a, b)", "F.mse_loss(input=a, target=b)"),
    "exp": ("a.exp()", "torch.exp(a)"),
    "pow": ("a**2", "torch.pow(a, 2)"),
    "sqrt": ("a.abs().sqrt()",),
    "relu": ("F.relu(a)", "a.relu()"),
    "gelu": ("F.gelu(a)",),
    "sum": ("a.sum()", "a.sum(dim=0)"),
    "prod": ("a.prod()", "torch.prod(a, dim=0)"),
    "mean": ("a.mean()",),
    "var": ("a.var()",),
    "add": ("a + b", "a.add(b)"),
    "mul": ("a * b", "a * 2"),
}
MATRICES = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
LISTS = {
    device: {
        rule: [op for op in CALLS if autocast_rule(op, device) == rule]
        for rule in ("16 bit", "fp32")
    }
    for device in ("cpu", "cuda")
}
FLOATS = (torch.float32, torch.float32, torch.bfloat16, torch.float16)
OTHERS = (torch.float64, torch.int64)


def MiniAutocast(make, program, kind="", device="cpu"):
    """Run a program, or one that is made from a number, and say what each operation gave.

    A program is a list of ("run", code, dtype of a, dtype of b), ("with", dtype, enabled, program)
    and ("raise", how many regions the exception leaves).
    """
    if isinstance(program, int):
        program = make_program(random.Random(f"{kind} {program}"), kind)
    outcomes, threads = {}, torch.get_num_threads()
    torch.set_num_threads(1)  # for 16 numbers a second thread costs more than it does
    try:
        _run(program, lambda dtype, on: make(LISTS[device], dtype, on), outcomes)
    finally:
        torch.set_num_threads(threads)
    return outcomes


def make_program(chance, kind, depth=0):
    """A random program; it ends with an operation outside of every region."""
    steps = []
    for _ in range(chance.randint(1, 3)):
        nest = depth == 0 or kind in ("nested", "exceptions", "everything")
        if nest and depth < 3 and chance.random() < 0.6:
            dtype = chance.choice((torch.bfloat16, torch.float16))
            enabled = depth == 0 or chance.random() < 0.6
            steps.append(("with", dtype, enabled, make_program(chance, kind, depth + 1)))
        else:
            steps.append(_operation(chance, kind))
    if depth and kind in ("exceptions", "everything") and chance.random() < 0.5:
        return [*steps, ("raise", chance.randint(1, depth))]
    return [*steps, ("run", "a @ b", torch.float32, torch.float32)]


def _operation(chance, kind):
    code = chance.choice(CALLS[chance.choice(list(CALLS))])
    dtypes = FLOATS + OTHERS if kind in ("other dtypes", "everything") else FLOATS
    return ("run", code, chance.choice(dtypes), chance.choice(dtypes))


def _run(program, region, outcomes):
    for step in program:
        if step[0] == "run":
            name = f"{len(outcomes) + 1}. {step[1]} of {_short(step[2])}, {_short(step[3])}"
            outcomes[name] = _outcome(*step[1:])
        elif step[0] == "raise":
            raise Interrupted(step[1])
        else:
            try:
                with region(step[1], step[2]):
                    _run(step[3], region, outcomes)
            except Interrupted as error:
                if error.args[0] > 1:
                    raise Interrupted(error.args[0] - 1) from None


def _outcome(code, first, second):
    """The dtype that comes out, and the floating dtypes that were computed in to get there."""
    with torch._C.DisableTorchFunction():
        a, b = MATRICES[0].to(first), MATRICES[1].to(second)
        given = {"a": a, "b": b, "v": b[0], "u": b[1], "labels": torch.arange(4)}
    kernels = _Kernels()
    try:
        with kernels:
            result = eval(code, {"torch": torch, "F": F, **given})
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:
            raise  # not attempted yet
        return _problem(error)
    with torch._C.DisableTorchFunction():
        computed = ", ".join(sorted(_short(dtype) for dtype in kernels.dtypes)) or "integers"
        return f"{_short(result.dtype)}, computed in {computed}"


def _problem(error):
    """The error, with its message where PyTorch would have raised none of this kind."""
    torchs = isinstance(error, RuntimeError)
    return f"raises {type(error).__name__}" + ("" if torchs else f": {error}")


class _Kernels(TorchDispatchMode):
    """Notes the floating dtypes that PyTorch's kernels return, casts aside."""

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # skipping it would import it, which takes seconds

    def __init__(self):
        super().__init__()
        self.dtypes = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if not func.is_view and func.overloadpacket.__name__ != "_to_copy":
            tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
            self.dtypes |= {each.dtype for each in tensors if each.dtype.is_floating_point}
        return result


def _short(dtype):
    return str(dtype).removeprefix("torch.")


# ── MasterSGD ────────────────────────────────────────────────────────────────────────────────────


def MasterSGD(make, starts, gradients, lr, momentum=0.0, steps=1):
    """Step a list of parameters; gradients holds one list, or None, for each, and may be repeated.

    It holds one such list for each step, or for every step the same.
    """
    parameters = [nn.Parameter(start.clone()) for start in starts]
    optimizer = make(iter(parameters), lr, momentum)  # like model.parameters(), to be used once
    for step in range(steps):
        for parameter, gradient in zip(parameters, gradients[step % len(gradients)], strict=True):
            parameter.grad = None
            if gradient is not None:
                parameter.grad = torch.tensor(gradient).to(parameter.dtype)
        optimizer.step()
    return {
        "parameters": [parameter.detach() for parameter in parameters],
        "master": [tensor.detach() for tensor in optimizer.master],
        "master's memory": [
            _memory(tensor, parameter)
            for tensor, parameter in zip(optimizer.master, parameters, strict=True)
        ],
    }


def _memory(master, parameter):
    shared = master.untyped_storage().data_ptr() == parameter.untyped_storage().data_ptr()
    return "the parameter's" if shared else "its own"


# ── saved_bytes ──────────────────────────────────────────────────────────────────────────────────


class Gated(nn.Module):
    """Both halves of a layer's output are multiplied: two views of one block of memory."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 128)

    def forward(self, x):
        left, right = self.fc(x).chunk(2, dim=-1)
        return left * right


class HalfSquared(nn.Module):
    """Saves a view of the left half of a layer's output, and with it the whole block."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 128)

    def forward(self, x):
        return self.fc(x).chunk(2, dim=-1)[0] ** 2


def _frozen():
    model = mlp(64, 64, 64, 64, activation=nn.GELU)
    model[0].requires_grad_(False)
    return model


def _five_layers():
    layers = [(nn.Linear(256, 256), nn.GELU()) for _ in range(5)]
    return nn.Sequential(*(module for layer in layers for module in layer))


NETS = {
    "one Linear": (64, lambda: nn.Linear(64, 64)),
    "5 × (Linear, GELU)": (256, _five_layers),
    "norm first": (64, lambda: nn.Sequential(nn.LayerNorm(64), mlp(64, 64, 64))),
    "Linear, ReLU, …": (64, lambda: mlp(64, 64, 64, 64)),
    "gated": (64, Gated),
    "one half squared": (64, HalfSquared),
    "batch norm": (64, lambda: nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU())),
    "first layer frozen": (64, _frozen),
}


def saved_bytes(function, net, batch, amp=None):
    torch.manual_seed(0)
    width, make = NETS[net]
    model, x = make(), torch.randn(batch, width)
    context = torch.autocast("cpu", dtype=amp) if amp else contextlib.nullcontext()
    return function(model, x, context)

"""The exercises of Unit 4: references, cases, known wrong answers, right alternatives, points."""

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from grader.exercise import Exercise, case, close, sweep
from halfbits.autocast_table import autocast_table, output_dtype
from halfbits.memory import parameter_bytes
from halfbits.memory import saved_bytes as count_saved_bytes

FP32, FP16, BF16 = torch.float32, torch.float16, torch.bfloat16
FP64, INT64 = torch.float64, torch.int64

# ── dtype_trace(model, x, device_type, dtype) ────────────────────────────────────────────────────

dtype_trace = Exercise("dtype_trace", points=(1, 2), driven=True)


@dtype_trace.reference
def _(model, x, device_type, dtype):
    """Wraps each module's forward instead of using hooks."""
    calls = []

    def first_tensor(output):
        return first_tensor(output[0]) if isinstance(output, tuple) else output

    def wrapped(name, forward):
        def call(*args):
            output = forward(*args)
            calls.append((name, first_tensor(output).dtype))
            return output

        return call

    inside = [(name, module) for name, module in model.named_modules() if name]
    for name, module in inside:
        module.forward = wrapped(name, module.forward)
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for _, module in inside:
            del module.forward
    return calls


def _traced(kind, device_type="cpu", dtype=BF16, training=True):
    call = f"{kind} ({device_type}, {str(dtype).removeprefix('torch.')})"
    return case(kind, device_type, dtype, training, call=call)


dtype_trace.visible(
    *(
        _traced(kind)
        for kind in (
            "Linear, ReLU, LayerNorm",
            "one ReLU, called twice",
            "a module that returns a tuple",
            "nested modules",
        )
    )
)
dtype_trace.hidden("modules inside modules", _traced("nested modules"))
dtype_trace.hidden(
    "fp16", _traced("Linear, ReLU, LayerNorm", dtype=FP16), _traced("nested modules", dtype=FP16)
)
dtype_trace.hidden(
    "one module called twice, outputs that are tuples",
    _traced("one ReLU, called twice"),
    _traced("a module that returns a tuple"),
)
dtype_trace.hidden(
    "autocast for another device type", _traced("Linear, ReLU, LayerNorm", "cuda", FP16)
)
dtype_trace.hidden(
    "training and evaluation mode", _traced("dropout"), _traced("dropout", training=False)
)
dtype_trace.hidden("a model that raises an error", _traced("one that fails"))


ALL_FLOAT32 = (
    "these are the dtypes of the parameters, or those without autocast. The parameters stay "
    "float32 inside `torch.autocast(...)`; what changes there is what a module returns"
)


@dtype_trace.wrong(ALL_FLOAT32)
def dtype_of_parameters(model, x, device_type, dtype):
    calls, handles = [], []

    def hook_for(name):
        def hook(module, inputs, output):
            calls.append((name, next(module.parameters(), x).dtype))

        return hook

    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_hook(hook_for(name)))
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


@dtype_trace.wrong(
    "the hooks stay on the model: every later call of it goes on recording. "
    "`register_forward_hook` returns a handle, and `handle.remove()` takes the hook off"
)
def hooks_left(model, x, device_type, dtype):
    calls = []

    def hook_for(name):
        def hook(module, inputs, output):
            while isinstance(output, tuple):
                output = output[0]
            calls.append((name, output.dtype))

        return hook

    for name, module in model.named_modules():
        if name:
            module.register_forward_hook(hook_for(name))
    with torch.autocast(device_type, dtype=dtype):
        model(x)
    return calls


@dtype_trace.wrong(
    "the hooks stay on if the model raises an error: remove them in a `finally` block"
)
def hooks_left_after_an_error(model, x, device_type, dtype):
    calls, handles = [], []

    def hook_for(name):
        def hook(module, inputs, output):
            while isinstance(output, tuple):
                output = output[0]
            calls.append((name, output.dtype))

        return hook

    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_hook(hook_for(name)))
    with torch.autocast(device_type, dtype=dtype):
        model(x)
    for handle in handles:
        handle.remove()
    return calls


@dtype_trace.wrong(
    "a module that returns a tuple is missing: take the first tensor out of it, however deep it is"
)
def tensors_only(model, x, device_type, dtype):
    calls, handles = [], []

    def hook_for(name):
        def hook(module, inputs, output):
            if isinstance(output, torch.Tensor):
                calls.append((name, output.dtype))

        return hook

    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_hook(hook_for(name)))
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


@dtype_trace.wrong(
    "a dict has one entry for each name, and a module that is called twice needs two: "
    "append to a list"
)
def last_call_only(model, x, device_type, dtype):
    calls, handles = {}, []

    def hook_for(name):
        def hook(module, inputs, output):
            while isinstance(output, tuple):
                output = output[0]
            calls[name] = output.dtype

        return hook

    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_hook(hook_for(name)))
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return list(calls.items())


@dtype_trace.wrong("modules that contain modules return something, too: they are in the trace")
def leaves_only(model, x, device_type, dtype):
    calls, handles = [], []

    def hook_for(name):
        def hook(module, inputs, output):
            while isinstance(output, tuple):
                output = output[0]
            calls.append((name, output.dtype))

        return hook

    for name, module in model.named_modules():
        if name and not list(module.children()):
            handles.append(module.register_forward_hook(hook_for(name)))
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


@dtype_trace.wrong("the model itself is not asked for: `named_modules` gives it the empty name")
def the_model_itself_too(model, x, device_type, dtype):
    calls, handles = [], []

    def hook_for(name):
        def hook(module, inputs, output):
            while isinstance(output, tuple):
                output = output[0]
            calls.append((name, output.dtype))

        return hook

    for name, module in model.named_modules():
        handles.append(module.register_forward_hook(hook_for(name)))
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


@dtype_trace.wrong("the dtype of the input is recorded; autocast shows in what a module returns")
def dtype_of_inputs(model, x, device_type, dtype):
    calls, handles = [], []

    def hook_for(name):
        def hook(module, inputs, output):
            calls.append((name, inputs[0].dtype))

        return hook

    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_hook(hook_for(name)))
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


@dtype_trace.wrong("`model.eval()` changes the model: watch it in the mode in which it comes")
def put_into_evaluation_mode(model, x, device_type, dtype):
    calls, handles = [], []
    model.eval()

    def hook_for(name):
        def hook(module, inputs, output):
            while isinstance(output, tuple):
                output = output[0]
            calls.append((name, output.dtype))

        return hook

    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_hook(hook_for(name)))
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


@dtype_trace.wrong(ALL_FLOAT32)
def without_autocast(model, x, device_type, dtype):
    calls, handles = [], []

    def hook_for(name):
        def hook(module, inputs, output):
            while isinstance(output, tuple):
                output = output[0]
            calls.append((name, output.dtype))

        return hook

    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_hook(hook_for(name)))
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


ONE_NAME = (
    "all entries bear the name of the last module: a hook made in the loop looks `name` up when it "
    "is called, after the loop. Make it in a function that takes the name"
)


@dtype_trace.wrong(ONE_NAME)
def one_name_for_all(model, x, device_type, dtype):
    calls, handles = [], []
    for name, module in model.named_modules():

        def hook(module, inputs, output):
            while isinstance(output, tuple):
                output = output[0]
            calls.append((name, output.dtype))  # noqa: B023 - the mistake

        if name:
            handles.append(module.register_forward_hook(hook))
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


@dtype_trace.wrong(ONE_NAME)
def one_name_for_all_and_no_tuples(model, x, device_type, dtype):
    calls, handles = [], []
    for name, module in model.named_modules():
        if name:
            note = lambda module, inputs, output: calls.append((name, output.dtype))  # noqa: B023, E731
            handles.append(module.register_forward_hook(note))
    with torch.autocast(device_type, dtype=dtype):
        model(x)
    for handle in handles:
        handle.remove()
    return calls


@dtype_trace.wrong(
    "modules inside modules are missing: `named_children` gives the outermost ones, "
    "`named_modules` all of them"
)
def children_only(model, x, device_type, dtype):
    calls, handles = [], []

    def hook_for(name):
        def hook(module, inputs, output):
            while isinstance(output, tuple):
                output = output[0]
            calls.append((name, output.dtype))

        return hook

    for name, module in model.named_children():
        handles.append(module.register_forward_hook(hook_for(name)))
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


@dtype_trace.right("with one global hook for all modules")
def by_a_global_hook(model, x, device_type, dtype):
    names = {module: name for name, module in model.named_modules() if name}
    calls = []

    def hook(module, inputs, output):
        if module in names:
            while not isinstance(output, torch.Tensor):
                output = output[0]
            calls.append((names[module], output.dtype))

    handle = torch.nn.modules.module.register_module_forward_hook(hook)
    try:
        with torch.autocast(device_type, dtype=dtype):
            model(x)
    finally:
        handle.remove()
    return calls


# ── predict_dtype(op, in_dtypes, device_type, amp_dtype) ─────────────────────────────────────────

predict_dtype = Exercise("predict_dtype", points=(1, 3))

OPS = ["matmul", "linear", "conv2d", "einsum", "mv", "dot"]
OPS += ["softmax", "log_softmax", "layer_norm", "cross_entropy", "mse_loss"]
OPS += ["exp", "pow", "sqrt", "relu", "gelu", "sum", "prod", "mean", "var"]
OPS += ["add", "mul", "cat", "where"]
NAMES = {"fp32": FP32, "fp16": FP16, "bf16": BF16, "fp64": FP64, "int64": INT64}

predict_dtype.reference(output_dtype)


def _asked(device_type, wanted):
    """Every case of the tables with an answer, by amp dtype, whose input dtypes are wanted."""
    for op in OPS:
        for amp in (BF16, FP16):
            rows = autocast_table(device_type)["ops"][op]["bf16" if amp == BF16 else "fp16"]
            for row, outcome in rows.items():
                dtypes = [NAMES[name] for name in row.split()]
                if outcome in NAMES and wanted(op, dtypes):
                    yield case(op, dtypes, device_type, amp)


def _alike(*allowed):
    return lambda op, dtypes: len(set(dtypes)) == 1 and dtypes[0] in allowed


def _mixed(op, dtypes):
    return len(set(dtypes)) > 1


def _integers(op, dtypes):
    return set(dtypes) == {INT64} and op not in ("exp", "sqrt")


predict_dtype.visible(
    case("linear", [FP32, FP32], "cpu", BF16),
    case("linear", [BF16, FP32], "cuda", FP16),
    case("softmax", [BF16], "cpu", BF16),
    case("softmax", [BF16], "cuda", BF16),
    case("mean", [FP16], "cuda", FP16),
    case("add", [FP16, FP32], "cuda", FP16),
    case("mv", [FP32, FP32], "cpu", BF16),
    case("linear", [FP64, FP64], "cpu", BF16),
    case("sum", [INT64], "cuda", FP16),
)
for _device in ("cpu", "cuda"):
    _name = _device.upper()
    predict_dtype.hidden(f"{_name}: float32 inputs", *_asked(_device, _alike(FP32)))
    predict_dtype.hidden(f"{_name}: 16-bit inputs", *_asked(_device, _alike(FP16, BF16)))
    predict_dtype.hidden(f"{_name}: inputs of two dtypes", *_asked(_device, _mixed))
    predict_dtype.hidden(f"{_name}: float64 inputs", *_asked(_device, _alike(FP64)))
    predict_dtype.hidden(f"{_name}: integers", *_asked(_device, _integers))


@predict_dtype.wrong(
    "this uses CUDA's lists on the CPU as well: there, softmax, layer_norm, exp and sum "
    "pass through"
)
def cuda_everywhere(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    target = {"16 bit": amp_dtype, "fp32": torch.float32}.get(autocast_rule(op, "cuda"))
    out = None
    for dtype in in_dtypes:
        if target and dtype in (torch.float32, torch.float16, torch.bfloat16):
            dtype = target
        out = dtype if out is None else torch.promote_types(out, dtype)
    return out


@predict_dtype.wrong(
    "this uses the CPU's lists on CUDA as well: there, softmax, layer_norm, exp and sum go to "
    "float32"
)
def cpu_everywhere(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    target = {"16 bit": amp_dtype, "fp32": torch.float32}.get(autocast_rule(op, "cpu"))
    out = None
    for dtype in in_dtypes:
        if target and dtype in (torch.float32, torch.float16, torch.bfloat16):
            dtype = target
        out = dtype if out is None else torch.promote_types(out, dtype)
    return out


@predict_dtype.wrong(
    "not every reduction goes to float32: mean and var pass through on CUDA, on the CPU "
    "sum does as well. The lists decide"
)
def all_reductions_in_fp32(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    rule = "fp32" if op in ("sum", "prod", "mean", "var") else autocast_rule(op, device_type)
    target = {"16 bit": amp_dtype, "fp32": torch.float32}.get(rule)
    out = None
    for dtype in in_dtypes:
        if target and dtype in (torch.float32, torch.float16, torch.bfloat16):
            dtype = target
        out = dtype if out is None else torch.promote_types(out, dtype)
    return out


@predict_dtype.wrong("autocast leaves float64 and integers alone: neither list casts them")
def casts_whatever_comes(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    target = {"16 bit": amp_dtype, "fp32": torch.float32}.get(autocast_rule(op, device_type))
    out = None
    for dtype in in_dtypes:
        out = (target or dtype) if out is None else torch.promote_types(out, target or dtype)
    return out


@predict_dtype.wrong("autocast leaves float64 alone, although it is a floating dtype")
def casts_float64(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    target = {"16 bit": amp_dtype, "fp32": torch.float32}.get(autocast_rule(op, device_type))
    out = None
    for dtype in in_dtypes:
        if target and dtype.is_floating_point:
            dtype = target
        out = dtype if out is None else torch.promote_types(out, dtype)
    return out


@predict_dtype.wrong(
    "an operation in neither list is not cast to 16 bits: it passes through, "
    "so float32 inputs give float32"
)
def sixteen_bits_by_default(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    target = torch.float32 if autocast_rule(op, device_type) == "fp32" else amp_dtype
    out = None
    for dtype in in_dtypes:
        if dtype in (torch.float32, torch.float16, torch.bfloat16):
            dtype = target
        out = dtype if out is None else torch.promote_types(out, dtype)
    return out


@predict_dtype.wrong(
    "where an operation passes through, the first input does not decide: PyTorch promotes, "
    "so 16 bits and float32 give float32"
)
def first_input_decides(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    target = {"16 bit": amp_dtype, "fp32": torch.float32}.get(autocast_rule(op, device_type))
    low = (torch.float32, torch.float16, torch.bfloat16)
    return target if target and in_dtypes[0] in low else in_dtypes[0]


@predict_dtype.wrong(
    "the dtype given to autocast counts. float16 is the default for CUDA and bfloat16 for the CPU, "
    "and either device takes either"
)
def default_dtype_of_the_device(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    low = torch.bfloat16 if device_type == "cpu" else torch.float16
    target = {"16 bit": low, "fp32": torch.float32}.get(autocast_rule(op, device_type))
    out = None
    for dtype in in_dtypes:
        if target and dtype in (torch.float32, torch.float16, torch.bfloat16):
            dtype = target
        out = dtype if out is None else torch.promote_types(out, dtype)
    return out


@predict_dtype.wrong(
    "only float32 inputs are cast here. An operation on a list gets 16-bit inputs cast, too: "
    "those in the other 16-bit dtype to the region's, and both to float32 where the list says so"
)
def casts_float32_only(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    target = {"16 bit": amp_dtype, "fp32": torch.float32}.get(autocast_rule(op, device_type))
    out = None
    for dtype in in_dtypes:
        if target and dtype == torch.float32:
            dtype = target
        out = dtype if out is None else torch.promote_types(out, dtype)
    return out


@predict_dtype.right("the promotion done by adding empty tensors")
def by_adding_tensors(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    rule = autocast_rule(op, device_type)
    total = torch.zeros(1, dtype=torch.bool)
    for dtype in in_dtypes:
        if rule != "passes through" and dtype.is_floating_point and dtype.itemsize < 8:
            dtype = amp_dtype if rule == "16 bit" else torch.float32
        total = total + torch.zeros(1, dtype=dtype)
    return total.dtype


@predict_dtype.right("the widest of the kinds, without PyTorch's promotion")
def by_the_widest(op, in_dtypes, device_type, amp_dtype):
    from halfbits.autocast_table import autocast_rule

    rule = autocast_rule(op, device_type)
    if torch.float64 in in_dtypes:
        return torch.float64
    floats = {dtype for dtype in in_dtypes if dtype.is_floating_point}
    if not floats:
        return in_dtypes[0]
    if rule == "16 bit":
        return amp_dtype
    if rule == "fp32":
        return torch.float32
    return floats.pop() if len(floats) == 1 else torch.float32


# ── MiniAutocast(lists, dtype, enabled) ──────────────────────────────────────────────────────────

MiniAutocast = Exercise("MiniAutocast", points=(1, 5), driven=True)


class Trusted(TorchFunctionMode):
    """Autocast with any lists; a test holds it against the tables of both devices."""

    def __init__(self, lists, dtype, enabled):
        super().__init__()
        targets = {"16 bit": dtype, "fp32": torch.float32} if enabled else {}
        self.target = {op: to for rule, to in targets.items() for op in lists[rule]}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        target = self.target.get(func.__name__)
        with torch._C.DisableTorchFunction():
            args, kwargs = tree_map(lambda x: _cast(x, target), (args, kwargs or {}))
            return func(*args, **kwargs)


def _cast(value, target):
    eligible = isinstance(value, torch.Tensor) and value.dtype in (FP32, FP16, BF16)
    return value.to(target) if target and eligible else value


@MiniAutocast.reference
def _(lists, dtype=BF16, enabled=True):
    """torch.autocast itself for the CPU's lists; there is no other way to give it CUDA's."""
    if "softmax" in lists["fp32"]:
        return Trusted(lists, dtype, enabled)
    return torch.autocast("cpu", dtype=dtype, enabled=enabled)


def _run(code, a=FP32, b=FP32):
    return ("run", code, a, b)


MiniAutocast.visible(
    case(
        [
            (
                "with",
                BF16,
                True,
                [
                    _run("a @ b"),
                    _run("F.linear(input=a, weight=b)", BF16, FP32),
                    _run("torch.einsum('ij,jk->ik', [a, b])"),
                    _run("F.cross_entropy(a, labels)", BF16),
                    _run("F.softmax(a, -1)", BF16, FP32),
                    _run("a.matmul(b)", FP16, FP32),
                    _run("a @ b", FP64, FP64),
                ],
            )
        ],
        call="in a bf16 region",
    ),
    case(
        [
            (
                "with",
                BF16,
                True,
                [
                    ("with", FP16, False, [_run("a @ b")]),
                    ("with", FP16, True, [_run("a @ b")]),
                    _run("a @ b"),
                ],
            ),
            _run("a @ b"),
        ],
        call="bf16 region, in it (1) a disabled, (2) an fp16 one",
    ),
    case(
        [
            (
                "with",
                FP16,
                True,
                [_run("torch.mv(a, u)", FP32, FP16), _run("a @ b"), ("raise", 1)],
            ),
            _run("a @ b"),
        ],
        call="fp16 region, (1) fails, an exception after (2)",
    ),
    case(
        [("with", FP16, True, [_run("F.softmax(a, -1)", FP16), _run("a.mean()", FP16)])],
        "",
        "cuda",
        call="CUDA's lists, fp16",
    ),
)
for _kind, _name in {
    "flat": "40 programs with one region after another",
    "nested": "60 programs with regions inside regions, some of them disabled",
    "exceptions": "60 programs whose exceptions leave one region or more",
    "other dtypes": "40 programs with float64 and integers",
    "everything": "40 programs with all of these",
}.items():
    MiniAutocast.hidden(_name, sweep(range(int(_name[:2])), _kind))
MiniAutocast.hidden("30 programs with CUDA's lists", sweep(range(30), "everything", "cuda"))


@MiniAutocast.wrong(
    "`func(*args)` goes on to the region around this one, which casts again. The innermost region "
    "decides: shield the call, or let only the innermost act"
)
class NoShield(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def cast(x, target):
            if isinstance(x, torch.Tensor):
                low = x.dtype in (torch.float32, torch.float16, torch.bfloat16)
                return x.to(target) if low else x
            if isinstance(x, (list, tuple)):
                return type(x)(cast(each, target) for each in x)
            return x

        kwargs = kwargs or {}
        for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
            if self.enabled and func.__name__ in self.lists[rule]:
                args = cast(args, target)
                kwargs = {name: cast(x, target) for name, x in kwargs.items()}
        return func(*args, **kwargs)


@MiniAutocast.wrong("`enabled=False` is ignored: such a region casts nothing")
class AlwaysEnabled(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype = lists, dtype

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def cast(x, target):
            if isinstance(x, torch.Tensor):
                low = x.dtype in (torch.float32, torch.float16, torch.bfloat16)
                return x.to(target) if low else x
            if isinstance(x, (list, tuple)):
                return type(x)(cast(each, target) for each in x)
            return x

        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
                if func.__name__ in self.lists[rule]:
                    args = cast(args, target)
                    kwargs = {name: cast(x, target) for name, x in kwargs.items()}
            return func(*args, **kwargs)


@MiniAutocast.wrong(
    "the output is cast here. Autocast casts the inputs, so the operation itself computes in the "
    "other dtype, and inputs of two dtypes meet in one"
)
class CastsOutputs(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled

    def __torch_function__(self, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunction():
            result = func(*args, **(kwargs or {}))
            for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
                low = result.dtype in (torch.float32, torch.float16, torch.bfloat16)
                if self.enabled and func.__name__ in self.lists[rule] and low:
                    result = result.to(target)
            return result


@MiniAutocast.wrong(
    "integers are cast, the labels of a loss among them: autocast leaves them alone, and float64 "
    "too"
)
class CastsLabels(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def cast(x, target):
            if isinstance(x, torch.Tensor):
                return x.to(target)
            if isinstance(x, (list, tuple)):
                return type(x)(cast(each, target) for each in x)
            return x

        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
                if self.enabled and func.__name__ in self.lists[rule]:
                    args = cast(args, target)
                    kwargs = {name: cast(x, target) for name, x in kwargs.items()}
            return func(*args, **kwargs)


@MiniAutocast.wrong(
    "float64 is cast because `is_floating_point` is true for it: autocast leaves it alone"
)
class CastsFloat64(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def cast(x, target):
            if isinstance(x, torch.Tensor):
                return x.to(target) if x.is_floating_point() else x
            if isinstance(x, (list, tuple)):
                return type(x)(cast(each, target) for each in x)
            return x

        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
                if self.enabled and func.__name__ in self.lists[rule]:
                    args = cast(args, target)
                    kwargs = {name: cast(x, target) for name, x in kwargs.items()}
            return func(*args, **kwargs)


@MiniAutocast.wrong("tensors that come as keyword arguments are inputs, too: cast them")
class PositionalOnly(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def cast(x, target):
            if isinstance(x, torch.Tensor):
                low = x.dtype in (torch.float32, torch.float16, torch.bfloat16)
                return x.to(target) if low else x
            if isinstance(x, (list, tuple)):
                return type(x)(cast(each, target) for each in x)
            return x

        with torch._C.DisableTorchFunction():
            for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
                if self.enabled and func.__name__ in self.lists[rule]:
                    args = cast(args, target)
            return func(*args, **(kwargs or {}))


@MiniAutocast.wrong("tensors inside a list are inputs, too, as in `torch.einsum('…', [a, b])`")
class NotInLists(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def cast(x, target):
            if isinstance(x, torch.Tensor):
                low = x.dtype in (torch.float32, torch.float16, torch.bfloat16)
                return x.to(target) if low else x
            return x

        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
                if self.enabled and func.__name__ in self.lists[rule]:
                    args = [cast(x, target) for x in args]
                    kwargs = {name: cast(x, target) for name, x in kwargs.items()}
            return func(*args, **kwargs)


@MiniAutocast.wrong(
    "the second list is forgotten: losses and `prod` get their inputs in float32, "
    "also if these come in 16 bits"
)
class NoSecondList(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def cast(x, target):
            if isinstance(x, torch.Tensor):
                low = x.dtype in (torch.float32, torch.float16, torch.bfloat16)
                return x.to(target) if low else x
            if isinstance(x, (list, tuple)):
                return type(x)(cast(each, target) for each in x)
            return x

        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            if self.enabled and func.__name__ in self.lists["16 bit"]:
                args = cast(args, self.dtype)
                kwargs = {name: cast(x, self.dtype) for name, x in kwargs.items()}
            return func(*args, **kwargs)


@MiniAutocast.wrong(
    "only float32 inputs are cast: an input in the other 16-bit dtype has to be cast, too"
)
class OnlyFloat32(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def cast(x, target):
            if isinstance(x, torch.Tensor):
                low = x.dtype == torch.float32 or target == torch.float32
                return x.to(target) if low and x.is_floating_point() and x.itemsize < 8 else x
            if isinstance(x, (list, tuple)):
                return type(x)(cast(each, target) for each in x)
            return x

        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
                if self.enabled and func.__name__ in self.lists[rule]:
                    args = cast(args, target)
                    kwargs = {name: cast(x, target) for name, x in kwargs.items()}
            return func(*args, **kwargs)


@MiniAutocast.wrong(
    "a note such as `self.inside = True` stays when the operation raises an error, and the region "
    "is dead from then on: restore it in a `finally` block"
)
class LeaksState(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled
        self.inside = False

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def cast(x, target):
            if isinstance(x, torch.Tensor):
                low = x.dtype in (torch.float32, torch.float16, torch.bfloat16)
                return x.to(target) if low else x
            if isinstance(x, (list, tuple)):
                return type(x)(cast(each, target) for each in x)
            return x

        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            if self.inside:
                return func(*args, **kwargs)
            self.inside = True
            for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
                if self.enabled and func.__name__ in self.lists[rule]:
                    args = cast(args, target)
                    kwargs = {name: cast(x, target) for name, x in kwargs.items()}
            result = func(*args, **kwargs)
            self.inside = False
            return result


@MiniAutocast.wrong(
    "a region with `enabled=False` casts nothing itself, but its `func(*args)` goes on to the "
    "region around it, which does: shield this call, too"
)
class DisabledWithoutShield(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def cast(x, target):
            if isinstance(x, torch.Tensor):
                low = x.dtype in (torch.float32, torch.float16, torch.bfloat16)
                return x.to(target) if low else x
            if isinstance(x, (list, tuple)):
                return type(x)(cast(each, target) for each in x)
            return x

        kwargs = kwargs or {}
        if not self.enabled:
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            for rule, target in (("16 bit", self.dtype), ("fp32", torch.float32)):
                if func.__name__ in self.lists[rule]:
                    args = cast(args, target)
                    kwargs = {name: cast(x, target) for name, x in kwargs.items()}
            return func(*args, **kwargs)


@MiniAutocast.right("a stack of regions, of which only the innermost acts")
class ByAStack(torch.overrides.TorchFunctionMode):
    regions: list = []  # noqa: RUF012 - as a student would write it

    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.lists, self.dtype, self.enabled = lists, dtype, enabled

    def __enter__(self):
        self.regions.append(self)
        return super().__enter__()

    def __exit__(self, *error):
        self.regions.pop()
        return super().__exit__(*error)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self.enabled and self.regions[-1] is self:
            if func.__name__ in self.lists["16 bit"]:
                args, kwargs = self.cast(args, self.dtype), self.cast(kwargs, self.dtype)
            elif func.__name__ in self.lists["fp32"]:
                args, kwargs = self.cast(args, torch.float32), self.cast(kwargs, torch.float32)
        return func(*args, **kwargs)

    def cast(self, x, target):
        if isinstance(x, dict):
            return {key: self.cast(value, target) for key, value in x.items()}
        if isinstance(x, (list, tuple)):
            return [self.cast(value, target) for value in x]
        if isinstance(x, torch.Tensor) and x.is_floating_point() and x.element_size() < 8:
            return x.to(target)
        return x


@MiniAutocast.right("one look-up made in advance, and PyTorch's `tree_map`")
class ByTreeMap(torch.overrides.TorchFunctionMode):
    def __init__(self, lists, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.targets = {}
        if enabled:
            self.targets = dict.fromkeys(lists["16 bit"], dtype)
            self.targets |= dict.fromkeys(lists["fp32"], torch.float32)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        from torch.utils._pytree import tree_map_only

        target = self.targets.get(func.__name__)

        def cast(tensor):
            eligible = tensor.dtype in (torch.float32, torch.float16, torch.bfloat16)
            return tensor.to(target) if eligible else tensor

        with torch._C.DisableTorchFunction():
            if target is not None:
                args, kwargs = tree_map_only(torch.Tensor, cast, (args, kwargs or {}))
            return func(*args, **(kwargs or {}))


# ── MasterSGD(params, lr, momentum) ──────────────────────────────────────────────────────────────

MasterSGD = Exercise(
    "MasterSGD",
    points=(1, 4),
    driven=True,
    compare=close(rtol=1e-6, atol=1e-10, why="m − lr · v rounds once or twice in fp32"),
)


@MasterSGD.reference
class _:
    """PyTorch's own SGD on the master weights."""

    def __init__(self, params, lr, momentum=0.0):
        self.params = list(params)
        self.master = [parameter.detach().to(FP32, copy=True) for parameter in self.params]
        self.sgd = torch.optim.SGD(self.master, lr=lr, momentum=momentum)

    @torch.no_grad()
    def step(self):
        for master, parameter in zip(self.master, self.params, strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.to(FP32)
        self.sgd.step()
        for master, parameter in zip(self.master, self.params, strict=True):
            parameter.copy_(master)


_one = torch.tensor([1.0])
_pair = torch.tensor([0.75, -3.0])

MasterSGD.visible(
    case(
        [_one.bfloat16()],
        [[[1.0]]],
        1e-4,
        0.0,
        100,
        call="bf16 weight 1, gradient 1, lr = 1e-4, 100 steps",
    ),
    case(
        [_one.half(), _one],
        [[[1.0], None], [[1.0], [1.0]], [None, [1.0]]],
        0.01,
        0.5,
        3,
        call="fp16 and fp32 weight, momentum 0.5, gradients 1, 1, None and None, 1, 1",
    ),
)
MasterSGD.hidden(
    "steps far below half an ulp of the weight",
    case([_one.bfloat16()], [[[1.0]]], 1e-4, 0.0, 150),
    case([_pair.half()], [[[0.3, -2.0]]], 3e-5, 0.0, 130),
)
MasterSGD.hidden(
    "momentum",
    case([_pair.bfloat16()], [[[0.1, 0.7]], [[-0.2, 0.3]]], 0.003, 0.9, 20),
    case([_pair.half()], [[[0.1, 0.7]], [[-0.2, 0.3]]], 0.003, 0.9, 20),
)
MasterSGD.hidden(
    "parameters whose gradient is None, always or sometimes",
    case([_one.bfloat16(), _pair.bfloat16()], [[None, [1.0, 2.0]]], 0.01, 0.9, 5),
    case([_one.bfloat16(), _pair.bfloat16()], [[[1.0], None], [None, [0.5, 0.5]]], 0.01, 0.9, 6),
)
MasterSGD.hidden("a float32 parameter", case([_pair], [[[0.3, -2.0]]], 0.01, 0.9, 7))
MasterSGD.hidden(
    "gradients far below the weight's ulp, and products that 16 bits round to zero",
    case([_one.half()], [[[1e-4]]], 1e-4, 0.0, 50),
)


@MasterSGD.wrong(
    "the master weights are made anew from the 16-bit parameters at each step, so what 16 bits "
    "cannot hold is lost at each step: make them once and keep them"
)
class MasterMadeAnew:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.master = [p.detach().float().clone() for p in self.params]
        self.velocity = [torch.zeros_like(m) for m in self.master]

    def step(self):
        with torch.no_grad():
            self.master = [p.detach().float().clone() for p in self.params]
            for p, m, v in zip(self.params, self.master, self.velocity, strict=True):
                if p.grad is not None:
                    v.mul_(self.momentum).add_(p.grad.float())
                    m.sub_(self.lr * v)
                    p.copy_(m)


@MasterSGD.wrong(
    "the master weights move and the parameters do not: copy them back, so that the model uses them"
)
class NotCopiedBack:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.master = [p.detach().float().clone() for p in self.params]
        self.velocity = [torch.zeros_like(m) for m in self.master]

    def step(self):
        with torch.no_grad():
            for p, m, v in zip(self.params, self.master, self.velocity, strict=True):
                if p.grad is not None:
                    v.mul_(self.momentum).add_(p.grad.float())
                    m.sub_(self.lr * v)


@MasterSGD.wrong(
    "the update is computed in the parameter's 16 bits, and the learning rate times the gradient "
    "is rounded there: convert the gradient to float32 first"
)
class UpdateInSixteenBits:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.master = [p.detach().float().clone() for p in self.params]
        self.velocity = [torch.zeros_like(p) for p in self.params]

    def step(self):
        with torch.no_grad():
            for p, m, v in zip(self.params, self.master, self.velocity, strict=True):
                if p.grad is not None:
                    v.mul_(self.momentum).add_(p.grad)
                    m.sub_((self.lr * v).float())
                    p.copy_(m)


@MasterSGD.wrong(
    "`p.float()` and `p.to(torch.float32)` return the same memory if p is float32 already: a "
    "master weight needs its own, by `clone()`"
)
class AliasOfFloat32:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.master = [p.detach().float() for p in self.params]
        self.velocity = [torch.zeros_like(m) for m in self.master]

    def step(self):
        with torch.no_grad():
            for p, m, v in zip(self.params, self.master, self.velocity, strict=True):
                if p.grad is not None:
                    v.mul_(self.momentum).add_(p.grad.float())
                    m.sub_(self.lr * v)
                    p.copy_(m)


@MasterSGD.wrong(
    "a gradient of None is not a gradient of 0: with momentum, 0 would let the weight roll on. "
    "Leave such a parameter, and its velocity, alone"
)
class NoneAsZero:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.master = [p.detach().float().clone() for p in self.params]
        self.velocity = [torch.zeros_like(m) for m in self.master]

    def step(self):
        with torch.no_grad():
            for p, m, v in zip(self.params, self.master, self.velocity, strict=True):
                gradient = 0.0 if p.grad is None else p.grad.float()
                v.mul_(self.momentum).add_(gradient)
                m.sub_(self.lr * v)
                p.copy_(m)


@MasterSGD.wrong("the momentum is not used: the step is the learning rate times the velocity")
class NoMomentum:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr = list(params), lr
        self.master = [p.detach().float().clone() for p in self.params]

    def step(self):
        with torch.no_grad():
            for p, m in zip(self.params, self.master, strict=True):
                if p.grad is not None:
                    m.sub_(self.lr * p.grad.float())
                    p.copy_(m)


@MasterSGD.wrong(
    "the velocity is kept in 16 bits and rounded at each step: keep it in float32, as the master "
    "weights"
)
class VelocityInSixteenBits:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.master = [p.detach().float().clone() for p in self.params]
        self.velocity = [torch.zeros_like(p) for p in self.params]

    def step(self):
        with torch.no_grad():
            for p, m, v in zip(self.params, self.master, self.velocity, strict=True):
                if p.grad is not None:
                    v.mul_(self.momentum).add_(p.grad)
                    m.sub_(self.lr * v.float())
                    p.copy_(m)


@MasterSGD.wrong(
    "the parameter has become float32: `p.data = master` replaces it. `p.copy_(master)` writes the "
    "rounded values into it"
)
class ParameterReplaced:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.master = [p.detach().float().clone() for p in self.params]
        self.velocity = [torch.zeros_like(m) for m in self.master]

    def step(self):
        with torch.no_grad():
            for p, m, v in zip(self.params, self.master, self.velocity, strict=True):
                if p.grad is not None:
                    v.mul_(self.momentum).add_(p.grad.float())
                    m.sub_(self.lr * v)
                    p.data = m.clone()


@MasterSGD.wrong(
    "nothing moves: `params` may be a generator, as `model.parameters()` is, and a generator can "
    "be gone through once. Make a list of it first"
)
class GeneratorUsedUp:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr, self.momentum = params, lr, momentum
        self.master = [p.detach().float().clone() for p in params]
        self.velocity = [torch.zeros_like(m) for m in self.master]

    def step(self):
        with torch.no_grad():
            for p, m, v in zip(self.params, self.master, self.velocity, strict=False):
                if p.grad is not None:
                    v.mul_(self.momentum).add_(p.grad.float())
                    m.sub_(self.lr * v)
                    p.copy_(m)


@MasterSGD.wrong(
    "the master weights have the 16 bits of their parameters, for `clone()` keeps the dtype: "
    "make them float32"
)
class MasterInSixteenBits:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.master = [p.detach().clone() for p in self.params]
        self.velocity = [torch.zeros_like(m) for m in self.master]

    def step(self):
        with torch.no_grad():
            for p, m, v in zip(self.params, self.master, self.velocity, strict=True):
                if p.grad is not None:
                    v.mul_(self.momentum).add_(p.grad)
                    m.sub_(self.lr * v)
                    p.copy_(m)


@MasterSGD.right("with PyTorch's SGD, which it gives the master weights")
class ByTorchSGD:
    def __init__(self, params, lr, momentum=0.0):
        self.params = list(params)
        self.master = [torch.nn.Parameter(p.detach().double().float()) for p in self.params]
        self.inner = torch.optim.SGD(self.master, lr, momentum)

    def step(self):
        for m, p in zip(self.master, self.params, strict=True):
            m.grad = p.grad.float() if p.grad is not None else None
        self.inner.step()
        for m, p in zip(self.master, self.params, strict=True):
            p.data.copy_(m.data)


@MasterSGD.right("new tensors at each step, and a dict of velocities")
class ByNewTensors:
    def __init__(self, params, lr, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.master = [torch.tensor(p.tolist(), dtype=torch.float32) for p in self.params]
        self.velocity = {}

    @torch.no_grad()
    def step(self):
        for i, p in enumerate(self.params):
            if p.grad is None:
                continue
            before = self.velocity.get(i)
            gradient = p.grad.to(torch.float32)
            now = gradient.clone() if before is None else before * self.momentum + gradient
            self.velocity[i] = now
            self.master[i] = torch.add(self.master[i], now, alpha=-self.lr)
            p.copy_(self.master[i].to(p.dtype))


# ── bytes_per_param(mode, optimizer) ─────────────────────────────────────────────────────────────

bytes_per_param = Exercise("bytes_per_param", points=(1, 2))

FP32_MASTER, FP32_BOTH = "16 bit, fp32 master", "16 bit, fp32 master and gradients"


@bytes_per_param.reference
def _(mode, optimizer):
    return parameter_bytes(mode, optimizer)._asdict()


bytes_per_param.visible(
    case("fp32", "SGD"),
    case("torch AMP", "Adam"),
    case(FP32_MASTER, "SGD with momentum"),
)
bytes_per_param.hidden(
    "all in fp32", case("fp32", "SGD with momentum"), case("fp32", "Adam"), case("fp32", "SGD")
)
bytes_per_param.hidden(
    "torch.autocast", case("torch AMP", "SGD"), case("torch AMP", "SGD with momentum")
)
bytes_per_param.hidden("torch.autocast with Adam", case("torch AMP", "Adam"))
bytes_per_param.hidden(
    "16-bit weights with a master copy", case(FP32_MASTER, "Adam"), case(FP32_MASTER, "SGD")
)
bytes_per_param.hidden("the same with fp32 gradients", case(FP32_BOTH, "Adam"))
bytes_per_param.hidden(
    "all in 16 bits", case("pure 16 bit", "Adam"), case("pure 16 bit", "SGD with momentum")
)


@bytes_per_param.wrong(
    "torch AMP halves nothing here: weights, gradients and moments all stay in fp32; "
    "only what flows through the network has 16 bits"
)
def amp_halves_everything(mode, optimizer):
    moments = {"SGD": 0, "SGD with momentum": 1, "Adam": 2}[optimizer]
    weight = 4 if mode == "fp32" else 2
    gradient = 4 if mode in ("fp32", "16 bit, fp32 master and gradients") else 2
    master = 4 if "master" in mode else 0
    moment = 4 if mode == "fp32" or "master" in mode else 2
    return {
        "parameters": weight,
        "gradients": gradient,
        "master": master,
        "moments": moment * moments,
    }


@bytes_per_param.wrong(
    "12 bytes for torch AMP with Adam count 16-bit weights and gradients. Under autocast the "
    "weights stay in fp32, and their gradients arrive in fp32"
)
def amp_is_twelve(mode, optimizer):
    moments = {"SGD": 0, "SGD with momentum": 1, "Adam": 2}[optimizer]
    weight = 4 if mode == "fp32" else 2
    gradient = 4 if mode in ("fp32", "16 bit, fp32 master and gradients") else 2
    master = 4 if "master" in mode else 0
    moment = 2 if mode == "pure 16 bit" else 4
    return {
        "parameters": weight,
        "gradients": gradient,
        "master": master,
        "moments": moment * moments,
    }


@bytes_per_param.wrong(
    "Adam keeps two moments for each parameter, the mean of the gradients and that of their squares"
)
def one_moment_for_adam(mode, optimizer):
    moments = {"SGD": 0, "SGD with momentum": 1, "Adam": 1}[optimizer]
    weight = 4 if mode in ("fp32", "torch AMP") else 2
    gradient = 4 if mode in ("fp32", "torch AMP", "16 bit, fp32 master and gradients") else 2
    master = 4 if "master" in mode else 0
    moment = 2 if mode == "pure 16 bit" else 4
    return {
        "parameters": weight,
        "gradients": gradient,
        "master": master,
        "moments": moment * moments,
    }


@bytes_per_param.wrong(
    "this counts a master copy for torch AMP. There the fp32 weights of the model serve as master "
    "weights, and no second copy exists"
)
def amp_with_a_second_copy(mode, optimizer):
    moments = {"SGD": 0, "SGD with momentum": 1, "Adam": 2}[optimizer]
    weight = 4 if mode in ("fp32", "torch AMP") else 2
    gradient = 4 if mode in ("fp32", "torch AMP", "16 bit, fp32 master and gradients") else 2
    master = 4 if "master" in mode or mode == "torch AMP" else 0
    moment = 2 if mode == "pure 16 bit" else 4
    return {
        "parameters": weight,
        "gradients": gradient,
        "master": master,
        "moments": moment * moments,
    }


@bytes_per_param.wrong(
    "SGD without momentum keeps nothing between two steps; one moment is what momentum costs"
)
def plain_sgd_with_a_moment(mode, optimizer):
    moments = {"SGD": 1, "SGD with momentum": 1, "Adam": 2}[optimizer]
    weight = 4 if mode in ("fp32", "torch AMP") else 2
    gradient = 4 if mode in ("fp32", "torch AMP", "16 bit, fp32 master and gradients") else 2
    master = 4 if "master" in mode else 0
    moment = 2 if mode == "pure 16 bit" else 4
    return {
        "parameters": weight,
        "gradients": gradient,
        "master": master,
        "moments": moment * moments,
    }


@bytes_per_param.wrong(
    "where there are fp32 master weights, the moments are in fp32, too: the optimizer steps the "
    "master weights"
)
def moments_in_sixteen_bits(mode, optimizer):
    moments = {"SGD": 0, "SGD with momentum": 1, "Adam": 2}[optimizer]
    weight = 4 if mode in ("fp32", "torch AMP") else 2
    gradient = 4 if mode in ("fp32", "torch AMP", "16 bit, fp32 master and gradients") else 2
    master = 4 if "master" in mode else 0
    moment = 4 if mode in ("fp32", "torch AMP") else 2
    return {
        "parameters": weight,
        "gradients": gradient,
        "master": master,
        "moments": moment * moments,
    }


@bytes_per_param.right("from a table")
def from_a_table(mode, optimizer):
    sizes = {
        "fp32": (4, 4, 0, 4),
        "torch AMP": (4, 4, 0, 4),
        "16 bit, fp32 master": (2, 2, 4, 4),
        "16 bit, fp32 master and gradients": (2, 4, 4, 4),
        "pure 16 bit": (2, 2, 0, 2),
    }
    parameters, gradients, master, moment = sizes[mode]
    moments = moment * ["SGD", "SGD with momentum", "Adam"].index(optimizer)
    return dict(parameters=parameters, gradients=gradients, master=master, moments=moments)


@bytes_per_param.right("by making a model and counting")
def by_counting(mode, optimizer):
    start = torch.float32 if mode in ("fp32", "torch AMP") else torch.bfloat16
    model = torch.nn.Linear(4, 4, bias=False).to(start)
    model.weight.grad = torch.ones_like(model.weight)
    stepped, master = model.weight, 0
    if "master" in mode:
        stepped = torch.nn.Parameter(model.weight.detach().float())
        stepped.grad, master = model.weight.grad.float(), 4
    makers = {
        "SGD": lambda p: torch.optim.SGD(p, 0.1),
        "SGD with momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        "Adam": torch.optim.Adam,
    }
    made = makers[optimizer]([stepped])
    made.step()
    kept = [t for t in made.state[stepped].values() if torch.is_tensor(t) and t.dim()]
    gradient = stepped.grad if mode.endswith("gradients") else model.weight.grad
    return {
        "parameters": model.weight.element_size(),
        "gradients": gradient.element_size(),
        "master": master,
        "moments": sum(t.element_size() for t in kept),
    }


# ── saved_bytes(model, x, context) ───────────────────────────────────────────────────────────────

saved_bytes = Exercise("saved_bytes", points=(1, 3), driven=True)
saved_bytes.reference(count_saved_bytes)


def _saving(net, batch, amp=None):
    shown = {None: "nullcontext()", BF16: "autocast(bfloat16)", FP16: "autocast(float16)"}[amp]
    return case(net, batch, amp, call=f"saved_bytes({net}, {batch} rows, {shown})")


saved_bytes.visible(
    _saving("one Linear", 8),
    _saving("Linear, ReLU, …", 8),
    _saving("gated", 8),
    _saving("one half squared", 8),
    _saving("5 × (Linear, GELU)", 64),
    _saving("5 × (Linear, GELU)", 64, BF16),
    _saving("norm first", 8, BF16),
)
saved_bytes.hidden(
    "GELU networks in fp32", _saving("5 × (Linear, GELU)", 16), _saving("5 × (Linear, GELU)", 320)
)
saved_bytes.hidden(
    "GELU networks under bf16 autocast",
    _saving("5 × (Linear, GELU)", 16, BF16),
    _saving("5 × (Linear, GELU)", 320, BF16),
)
saved_bytes.hidden(
    "memory that is saved twice, and views of larger blocks",
    _saving("Linear, ReLU, …", 24),
    _saving("Linear, ReLU, …", 24, BF16),
    _saving("gated", 5),
    _saving("one half squared", 5),
)
saved_bytes.hidden("fp16 autocast", _saving("Linear, ReLU, …", 24, FP16))
saved_bytes.hidden(
    "buffers, and layers that are not trained",
    _saving("batch norm", 16),
    _saving("norm first", 16, FP16),
    _saving("first layer frozen", 16),
    _saving("first layer frozen", 16, BF16),
)


@saved_bytes.wrong(
    "autocast does not halve what is saved: the 16-bit copies of the weights are saved as well. "
    "Count under the context itself"
)
def assumes_half(model, x, context):
    owned = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(x)  # noqa: F841 - it holds the graph
    with context:
        halved = torch.is_autocast_enabled("cpu")
    return sum(found.values()) // 2 if halved else sum(found.values())


@saved_bytes.wrong(
    "the model's parameters and buffers are counted; they are there anyway, whatever is saved"
)
def counts_parameters(model, x, context):
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context:
        output = model(x)  # noqa: F841 - it holds the graph
    return sum(found.values())


@saved_bytes.wrong(
    "the buffers are counted (a batch norm's running mean and variance); like the parameters, "
    "they are there anyway"
)
def counts_buffers(model, x, context):
    owned = {t.untyped_storage().data_ptr() for t in model.parameters()}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context:
        output = model(x)  # noqa: F841 - it holds the graph
    return sum(found.values())


@saved_bytes.wrong(
    "memory that is saved twice is counted twice: two saved tensors may be the same block, or "
    "views of it. Compare storages"
)
def counts_twice(model, x, context):
    owned = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    found = []

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in owned:
            found.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context:
        output = model(x)  # noqa: F841 - it holds the graph
    return sum(found)


@saved_bytes.wrong(
    "this adds up what the layers return. What is saved is something else: autograd keeps what "
    "the backward pass needs, the input of the network and casts of weights among it"
)
def sums_outputs(model, x, context):
    sizes, handles = [], []

    def hook(module, inputs, output):
        sizes.append(output.numel() * output.element_size())

    for module in model.modules():
        if not list(module.children()):
            handles.append(module.register_forward_hook(hook))
    with context:
        model(x)
    for handle in handles:
        handle.remove()
    return sum(sizes)


@saved_bytes.wrong(
    "the 16-bit copies of the weights are left out. They are no parameters of the model: autocast "
    "makes them, and autograd keeps them until backward"
)
def leaves_out_weight_casts(model, x, context):
    owned = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    shapes = {p.shape for p in model.parameters()} | {p.T.shape for p in model.parameters()}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        cast = tensor.dtype != torch.float32 and tensor.shape in shapes
        if storage.data_ptr() not in owned and not cast:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context:
        output = model(x)  # noqa: F841 - it holds the graph
    return sum(found.values())


@saved_bytes.wrong(
    "the input of the network counts where it is saved: without it the first layer could not "
    "compute the gradient of its weight"
)
def leaves_out_the_input(model, x, context):
    owned = {t.untyped_storage().data_ptr() for t in [x, *model.parameters(), *model.buffers()]}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context:
        output = model(x)  # noqa: F841 - it holds the graph
    return sum(found.values())


@saved_bytes.wrong(
    "the size of each saved tensor is counted. If it is a view, the whole block stays in memory "
    "with it: count `tensor.untyped_storage().nbytes()`"
)
def counts_views(model, x, context):
    owned = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    found = {}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in owned:
            found[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context:
        output = model(x)  # noqa: F841 - it holds the graph
    return sum(found.values())


@saved_bytes.wrong(
    "a weight is saved as a transposed view, and that is another tensor than the parameter: "
    "compare the addresses of their storages"
)
def knows_parameters_by_identity(model, x, context):
    owned = {id(t) for t in [*model.parameters(), *model.buffers()]}
    found = {}

    def pack(tensor):
        if id(tensor) not in owned:
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context:
        output = model(x)  # noqa: F841 - it holds the graph
    return sum(found.values())


@saved_bytes.wrong(
    "this adds up every tensor that `pack` is given. Parameters and buffers are there anyway, and "
    "memory that is saved twice is stored once"
)
def counts_all_that_is_packed(model, x, context):
    sizes = []

    def pack(tensor):
        sizes.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context:
        output = model(x)  # noqa: F841 - it holds the graph
    return sum(sizes)


@saved_bytes.right("all tensors collected first, then one for each storage")
def collected_first(model, x, context):
    kept = []

    def pack(tensor):
        kept.append(tensor)
        return len(kept) - 1

    with context, torch.autograd.graph.saved_tensors_hooks(pack, kept.__getitem__):
        model(x)
    blocks = {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in kept}
    for owned in [*model.parameters(), *model.buffers()]:
        blocks.pop(owned.untyped_storage()._cdata, None)
    return sum(block.nbytes() for block in blocks.values())


@saved_bytes.right("with a set of blocks that have been seen, and a running total")
def with_a_running_total(model, x, context):
    seen = set()
    for owned in list(model.parameters()) + list(model.buffers()):
        seen.add(owned.untyped_storage().data_ptr())
    total = 0

    def pack(tensor):
        nonlocal total
        block = tensor.untyped_storage()
        if block.data_ptr() not in seen:
            seen.add(block.data_ptr())
            total += len(block)
        return tensor

    def unpack(tensor):
        return tensor

    with context, torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        output = model(x)
    assert output is not None
    return total

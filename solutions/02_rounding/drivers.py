"""How the checks of Unit 2 call your functions, and what they observe."""

import torch

from halfbits.checking.spy import Spy

READY_MADE = ("sum", "cumsum", "mean", "norm", "dot", "mv", "mm", "bmm", "einsum")


def round_mantissa(function, x, man_bits):
    """x may hold patterns instead of floats (int32), because a NaN has many."""
    x = x.view(torch.float32)
    before = x.clone().view(torch.int32)
    seen = {"result": function(x, man_bits)}
    if not torch.equal(x.view(torch.int32), before):
        seen["side effects"] = "the input was overwritten"
    return seen


def _sum(function, xs, dtype):
    """The sum, and what was wider than dtype: tensors, Python floats, PyTorch's own sums."""
    total = function(xs.clone(), dtype)
    with Spy() as spy:  # which slows PyTorch down, so it sees the first terms only
        function(xs[:64].clone(), dtype)
    shortcuts = spy.wider_than(dtype) + spy.to_python() + spy.called(*READY_MADE)
    return {"sum": total} | ({"shortcuts": shortcuts} if shortcuts else {})


kahan_sum = _sum
pairwise_sum = _sum


def stochastic_round_bf16(function, x, seed):
    """Round 16,384 copies of x; x is a float, or the pattern of a float32 as an int."""
    one = torch.tensor(x, dtype=torch.float32 if isinstance(x, float) else torch.int32)
    copies = one.view(torch.float32).expand(128, 128)
    generator = torch.Generator().manual_seed(seed)
    state = torch.get_rng_state()
    values = function(copies.clone(), generator)
    if not isinstance(values, torch.Tensor):
        return values
    different = _different(values)
    complaints = []
    if values.dtype != torch.bfloat16:
        complaints.append(f"{values.dtype}")
    if not torch.equal(torch.get_rng_state(), state):
        complaints.append("torch's global generator is used")
    if not _same(values, function(copies.clone(), torch.Generator().manual_seed(seed))):
        complaints.append("the same seed gives other values")
    if len(different) > 1 and _same(values, function(copies.clone(), generator)):
        complaints.append("the next call gives the same values")
    seen = {
        "values": different,
        "share moved away from zero": (values.abs() > copies.abs()).float().mean().item(),
    }
    return seen | ({"complaints": complaints} if complaints else {})


def _different(values):
    """The values that occur, as text: −0.0 and 0.0 are two, all NaNs are one."""
    patterns = values.float().view(torch.int32).unique()
    return list(dict.fromkeys(str(value) for value in patterns.view(torch.float32).tolist()))


def _same(values, others):
    return torch.equal(values.nan_to_num(), others.nan_to_num())

"""The exercises of Unit 3: references, cases, known wrong answers, right alternatives, points."""

import math

import torch

from grader.exercise import Exercise, case, close, within_ulps

FP16, BF16, FP32 = torch.float16, torch.bfloat16, torch.float32
INF = math.inf


def half(values):
    """A list of numbers, or of rows of numbers, in fp16."""
    return torch.tensor(values, dtype=FP16)


def random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ── softmax16(x, dim) ────────────────────────────────────────────────────────────────────────────

softmax16 = Exercise(
    "softmax16",
    points=(1, 3),
    driven=True,
    compare=close(
        rtol=2**-6,
        atol=2**-12,
        why="x − max is rounded to 11 bits: for differences of up to 16 this is an error of up to "
        "2⁻⁸ in the exponent of e, so of 2⁻⁸ of the result",
    ),
)


@softmax16.reference
def _(x, dim):
    e = (x - x.amax(dim, keepdim=True)).exp()
    return e / e.sum(dim, keepdim=True)


softmax16.visible(
    case(half([12.0, 11.0, 10.0]), 0, call="softmax16([12, 11, 10], 0)"),
    case(half([10.0, 10.0, 10.0]), 0, call="softmax16([10, 10, 10], 0)"),
    case(half([-20.0, -21.0, -22.0]), 0, call="softmax16([-20, -21, -22], 0)"),
    case(half([[20.0, 19.0], [0.0, -2.0]]), 1, call="softmax16([[20, 19], [0, -2]], 1)"),
    case(half([[1.0, -INF], [2.0, 3.0]]), 0, call="softmax16([[1, -inf], [2, 3]], 0)"),
)
softmax16.hidden("ordinary logits", case(half([0.5, -0.25, 1.0, 0.0]), 0))
softmax16.hidden(
    "logits whose exp overflows",
    case(half([20.0, 18.5, 0.0]), 0),
    case(half([60000.0, 60000.0, -60000.0]), 0),
)
softmax16.hidden("sums that overflow although no exp does", case(half([9.0] * 12), 0))
softmax16.hidden(
    "very negative logits",
    case(half([-30.0, -29.0]), 0),
    case(half([[-40.0, -41.0, -42.0]]), 1),
)
softmax16.hidden(
    "masks of −∞",
    case(half([3.0, -INF, 2.0, -INF]), 0),
    case(half([[-INF, 50.0], [12.0, -INF]]), 1),
)
softmax16.hidden("dimension 0 of a matrix", case(half([[30.0, 1.0], [29.0, -1.0], [28.0, 5.0]]), 0))
softmax16.hidden(
    "the middle and the last of three dimensions",
    case((6 * random(2, 3, 3, seed=1)).half(), 1),
    case((6 * random(2, 3, 3, seed=2)).half(), -1),
)
softmax16.hidden("rows of very different size", case(half([[40.0, 41.0], [-3.0, -1.0]]), 1))


@softmax16.wrong(
    "`exp` overflows from 11.1 on, and a sum of exponentials earlier still; below −17.3 every "
    "`exp` is 0. Subtract the largest logit first"
)
def naive(x, dim):
    e = x.exp()
    return e / e.sum(dim, keepdim=True)


@softmax16.wrong(
    "the maximum is taken over the whole tensor: a slice that lies far below it becomes 0/0. "
    "Each slice along `dim` needs its own"
)
def global_max(x, dim):
    e = (x - x.max()).exp()
    return e / e.sum(dim, keepdim=True)


@softmax16.wrong(
    "the mean is subtracted: what lies far above the mean still overflows. Only the maximum makes "
    "every exponent 0 or less"
)
def minus_mean(x, dim):
    e = (x - x.mean(dim, keepdim=True)).exp()
    return e / e.sum(dim, keepdim=True)


@softmax16.wrong(
    "clamping the logits changes them: 12 and 11 get the same probability. Subtracting the "
    "maximum changes no probability"
)
def clamped(x, dim):
    e = x.clamp(max=11).exp()
    return e / e.sum(dim, keepdim=True)


@softmax16.wrong(
    "this computes in float32 (`.float()`). It is right, and in practice it is what you do; here "
    "find the way that stays in fp16"
)
def upcast(x, dim):
    e = (x - x.amax(dim, keepdim=True)).float().exp()
    return (e / e.sum(dim, keepdim=True)).half()


@softmax16.wrong(
    "an epsilon in the denominator turns 0/0 into 0, and does nothing about ∞/∞: the "
    "probabilities of a slice no longer sum to 1. Subtract the maximum, then the sum is at least 1"
)
def epsilon_in_denominator(x, dim):
    e = x.exp()
    return e / (e.sum(dim, keepdim=True) + 1e-6)


@softmax16.wrong(
    "`nan_to_num` hides the NaN and keeps the mistake: the largest logit gets the probability 0"
)
def nan_hidden(x, dim):
    e = x.exp()
    return torch.nan_to_num(e / e.sum(dim, keepdim=True))


@softmax16.wrong("this calls PyTorch's own softmax: write it from `exp`, a maximum and a sum")
def ready_made(x, dim):
    return torch.softmax(x, dim)


@softmax16.wrong(
    "`x.amax(dim)` and `e.sum(dim)` have lost the dimension, and line up with the last one, "
    "whichever `dim` they were taken over: with `keepdim=True` they line up with `x`"
)
def without_keepdim(x, dim):
    e = (x - x.amax(dim)).exp()
    return e / e.sum(dim, keepdim=True)


@softmax16.wrong(
    "`x.amax(dim)` and `e.sum(dim)` have lost the dimension, and line up with the last one, "
    "whichever `dim` they were taken over: with `keepdim=True` they line up with `x`"
)
def sum_without_keepdim(x, dim):
    e = (x - x.amax(dim, keepdim=True)).exp()
    return e / e.sum(dim)


@softmax16.wrong(
    "`x.amax(dim)` and `e.sum(dim)` have lost the dimension, and line up with the last one, "
    "whichever `dim` they were taken over: with `keepdim=True` they line up with `x`"
)
def both_without_keepdim(x, dim):
    e = (x - x.amax(dim)).exp()
    return e / e.sum(dim)


@softmax16.wrong("`dim` is ignored: the last dimension is used whatever it says")
def always_last_dim(x, dim):
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


@softmax16.wrong(
    "`-=` changes the tensor that the caller passed in, and autograd refuses it on a leaf; "
    "`x = x - …` makes a new one"
)
def in_place_on_input(x, dim):
    x -= x.amax(dim, keepdim=True)
    e = x.exp()
    return e / e.sum(dim, keepdim=True)


@softmax16.wrong(
    "`/=` overwrites the result of `exp`, which autograd has kept for the backward pass: the "
    "values are right, and there is no gradient"
)
def in_place_division(x, dim):
    e = (x - x.amax(dim, keepdim=True)).exp()
    e /= e.sum(dim, keepdim=True)
    return e


@softmax16.right("through logarithms: exp of the log-probabilities")
def through_logarithms(x, dim):
    z = x - x.max(dim, keepdim=True).values
    return (z - z.exp().sum(dim, keepdim=True).log()).exp()


@softmax16.right("with the maximum taken out of the graph, and a power of e by hand")
def detached_maximum(x, dim):
    top = x.detach().max(dim, keepdim=True)[0]
    e = torch.exp(torch.sub(x, top))
    return torch.mul(e, e.sum(dim, keepdim=True).reciprocal())


# ── cross_entropy16(logits, y) ───────────────────────────────────────────────────────────────────

cross_entropy16 = Exercise(
    "cross_entropy16",
    points=(1, 3),
    driven=True,
    compare=close(
        rtol=2**-9,
        atol=2**-6,
        why="logits of up to 32 and their differences are rounded to 11 bits, 2⁻⁷ at most; four "
        "such roundings in different orders",
    ),
)


@cross_entropy16.reference
def _(logits, y):
    z = logits - logits.amax(1, keepdim=True)
    return (z.exp().sum(1).log() - z[torch.arange(len(y)), y]).mean()


def shown_loss(logits, y):
    return case(half(logits), torch.tensor(y), call=f"cross_entropy16({logits}, {y})")


cross_entropy16.visible(
    shown_loss([[12, 11, 10]], [0]),
    shown_loss([[0, 20]], [0]),
    shown_loss([[1000, 1000, 1000]], [2]),
    shown_loss([[0, 3], [30, 1]], [0, 1]),
    shown_loss([[0, -INF, 1]], [0]),
)
cross_entropy16.hidden(
    "ordinary batches",
    case((3 * random(4, 5, seed=3)).half(), torch.tensor([0, 4, 2, 1])),
    case((3 * random(3, 3, seed=4)).half(), torch.tensor([2, 0, 1])),
)
cross_entropy16.hidden(
    "gaps of 20 and more",
    case(half([[5.0, -15.0, 3.0]]), torch.tensor([1])),
    case(half([[0.0, 200.0], [0.0, 30.0]]), torch.tensor([0, 0])),
)
cross_entropy16.hidden(
    "logits far from zero",
    case(half([[2000.0, 2000.0]]), torch.tensor([0])),
    case(half([[-300.0, -301.0]]), torch.tensor([0])),
)
cross_entropy16.hidden(
    "rows of very different size",
    case(half([[40.0, 41.0], [-3.0, -2.0]]), torch.tensor([1, 0])),
)
cross_entropy16.hidden(
    "a class that is masked with −∞",
    case(half([[2.0, -INF, 1.0], [0.0, 1.0, -INF]]), torch.tensor([0, 1])),
)
cross_entropy16.hidden(
    "a batch whose losses sum to more than 65504",
    case(half([[0.0, 200.0]] * 400), torch.zeros(400, dtype=torch.int64)),
)


@cross_entropy16.wrong(
    "a probability below 2⁻²⁵ is 0 in fp16, and its logarithm −∞: take the logarithm of the sum, "
    "and never form the probability"
)
def log_of_softmax(logits, y):
    e = (logits - logits.amax(1, keepdim=True)).exp()
    p = e / e.sum(1, keepdim=True)
    return -p[torch.arange(len(y)), y].log().mean()


@cross_entropy16.wrong(
    "an epsilon inside the logarithm puts a ceiling on the loss: no gap costs more than "
    "−log(epsilon). The gradient is 1/epsilon, which overflows, times 0. Never form the probability"
)
def epsilon_in_logarithm(logits, y):
    e = (logits - logits.amax(1, keepdim=True)).exp()
    p = e / e.sum(1, keepdim=True)
    return -(p[torch.arange(len(y)), y] + 1e-7).log().mean()


@cross_entropy16.wrong(
    "log-sum-exp without the maximum: `exp` overflows from 11.1 on, and below −17.3 the sum is 0"
)
def naive_log_sum_exp(logits, y):
    return (logits.exp().sum(1).log() - logits[torch.arange(len(y)), y]).mean()


@cross_entropy16.wrong(
    "the maximum is added back before the label's logit is subtracted: at 1000 the gap between "
    "numbers is 0.5, and the logarithm of the sum is rounded away. Stay with x − max"
)
def maximum_added_back(logits, y):
    top = logits.amax(1)
    total = top + (logits - top[:, None]).exp().sum(1).log()
    return (total - logits[torch.arange(len(y)), y]).mean()


@cross_entropy16.wrong("the losses are summed; the loss of a batch is their mean")
def summed(logits, y):
    z = logits - logits.amax(1, keepdim=True)
    return (z.exp().sum(1).log() - z[torch.arange(len(y)), y]).sum()


@cross_entropy16.wrong(
    "`sum() / n` overflows when the losses sum to more than 65504, although their mean is small; "
    "`mean()` converts to fp16 only at the end"
)
def sum_over_length(logits, y):
    z = logits - logits.amax(1, keepdim=True)
    return (z.exp().sum(1).log() - z[torch.arange(len(y)), y]).sum() / len(y)


@cross_entropy16.wrong(
    "`z[:, y]` pairs every row with every label; row i needs label i only: "
    "`z[torch.arange(len(y)), y]`, or `gather` along dimension 1"
)
def every_label_for_every_row(logits, y):
    z = logits - logits.amax(1, keepdim=True)
    return (z.exp().sum(1, keepdim=True).log() - z[:, y]).mean()


@cross_entropy16.wrong(
    "the sum of exponentials runs over the batch; it runs over the classes, dimension 1"
)
def over_the_batch(logits, y):
    z = logits - logits.amax(0, keepdim=True)
    log_p = z - z.exp().sum(0, keepdim=True).log()
    return -log_p[torch.arange(len(y)), y].mean()


@cross_entropy16.wrong(
    "one maximum for the whole batch: in a row far below it every `exp` is 0, and the logarithm "
    "of the sum −∞"
)
def one_maximum_for_all(logits, y):
    z = logits - logits.max()
    return (z.exp().sum(1).log() - z[torch.arange(len(y)), y]).mean()


@cross_entropy16.wrong(
    "multiplying by a one-hot vector meets 0 × −∞ = NaN where a class is masked; pick the label's "
    "entry by its index"
)
def times_one_hot(logits, y):
    z = logits - logits.amax(1, keepdim=True)
    log_p = z - z.exp().sum(1, keepdim=True).log()
    one_hot = torch.nn.functional.one_hot(y, logits.shape[1]).to(logits.dtype)
    return -(one_hot * log_p).sum(1).mean()


@cross_entropy16.wrong("this computes in float32 (`.float()`); find the way that stays in fp16")
def upcast_loss(logits, y):
    z = logits.float() - logits.float().amax(1, keepdim=True)
    return (z.exp().sum(1).log() - z[torch.arange(len(y)), y]).mean().half()


@cross_entropy16.wrong("this calls PyTorch's own function: write it from `exp`, `log` and sums")
def ready_made_loss(logits, y):
    return torch.nn.functional.cross_entropy(logits, y)


@cross_entropy16.wrong("this calls PyTorch's own function: write it from `exp`, `log` and sums")
def ready_made_log_softmax(logits, y):
    return -torch.log_softmax(logits, 1)[torch.arange(len(y)), y].mean()


@cross_entropy16.wrong("this calls PyTorch's own function: write it from `exp`, `log` and sums")
def ready_made_log_sum_exp(logits, y):
    return (torch.logsumexp(logits, 1) - logits[torch.arange(len(y)), y]).mean()


@cross_entropy16.right("as the mean of gathered log-probabilities")
def gathered(logits, y):
    z = logits - logits.max(dim=1, keepdim=True).values
    log_p = z - torch.log(torch.exp(z).sum(dim=1, keepdim=True))
    return -torch.gather(log_p, 1, y[:, None]).mean()


@cross_entropy16.right("example by example, in a loop")
def row_by_row(logits, y):
    losses = []
    for row, label in zip(logits.unbind(), y.tolist(), strict=True):
        z = row - row.max()
        losses.append(z.exp().sum().log() - z[label])
    return torch.stack(losses).mean()


# ── safe_norm16(x) ───────────────────────────────────────────────────────────────────────────────

safe_norm16 = Exercise(
    "safe_norm16",
    points=(1, 2),
    driven=True,
    compare=within_ulps(
        4, why="dividing, squaring, summing, the root and multiplying back round half an ulp each"
    ),
)


@safe_norm16.reference
def _(x):
    top = x.abs().max()
    y = x / torch.where(top == 0, torch.ones_like(top), top)
    return top * (y * y).sum().sqrt()


TINY = 2.0**-24
safe_norm16.visible(
    case(half([3.0, 4.0]), call="safe_norm16([3, 4])"),
    case(half([300.0] * 4096), call="safe_norm16([300] * 4096)"),
    case(half([-300.0, -400.0]), call="safe_norm16([-300, -400])"),
    case(half([0.0, 0.0, 0.0]), call="safe_norm16([0, 0, 0])"),
    case(half([3 * TINY, 4 * TINY]), call="safe_norm16([3 * 2**-24, 4 * 2**-24])"),
)
safe_norm16.hidden("ordinary vectors", case(random(50, seed=5).half()), case(half([-2.5])))
safe_norm16.hidden(
    "squares that overflow", case(half([46000.0, 46000.0])), case(half([1.0, -300.0, 20.0]))
)
safe_norm16.hidden("a norm that itself is beyond 65504", case(half([60000.0, -60000.0])))
safe_norm16.hidden("squares that vanish", case(half([1e-4] * 100)), case(half([-3e-5, 2e-6])))
safe_norm16.hidden("subnormal entries", case(half([7 * TINY] * 64)), case(half([TINY, -TINY])))
safe_norm16.hidden("zero vectors", case(half([0.0])), case(half([-0.0, 0.0])))


@safe_norm16.wrong(
    "the squares leave the range although the norm does not: above 255.9 they are ∞, below "
    "1.7 × 10⁻⁴ they are 0. Divide by the largest magnitude first"
)
def square_sum_root(x):
    return x.pow(2).sum().sqrt()


@safe_norm16.wrong(
    "a zero vector is divided by its largest magnitude: 0/0 is NaN. Its norm is 0, so guard the "
    "division"
)
def zero_over_zero(x):
    top = x.abs().max()
    return top * (x / top).pow(2).sum().sqrt()


@safe_norm16.wrong(
    "the largest entry is not the largest magnitude: with negative entries the scale is too small, "
    "or the norm comes out negative. Take `x.abs().max()`"
)
def largest_entry(x):
    top = x.max()
    y = x / torch.where(top == 0, torch.ones_like(top), top)
    return top * (y * y).sum().sqrt()


@safe_norm16.wrong(
    "the largest entry is not the largest magnitude: with negative entries the scale is too small, "
    "or the norm comes out negative. Take `x.abs().max()`"
)
def largest_entry_without_guard(x):
    top = x.max()
    return top * (x / top).pow(2).sum().sqrt()


@safe_norm16.wrong(
    "a fixed scale moves the window and makes it no wider: what saves the large entries loses "
    "the small ones. The scale must come from the vector"
)
def fixed_scale(x):
    y = x / 256
    return (y * y).sum().sqrt() * 256


@safe_norm16.wrong("the scale that was divided out must be multiplied back in at the end")
def scale_not_restored(x):
    top = x.abs().max()
    y = x / torch.where(top == 0, torch.ones_like(top), top)
    return (y * y).sum().sqrt()


@safe_norm16.wrong("clamping at 65504 hides the infinity and gives a wrong, smaller norm")
def clamped_squares(x):
    return x.pow(2).sum().clamp(max=65504).sqrt()


@safe_norm16.wrong("this computes in float32 (`.float()`); find the way that stays in fp16")
def upcast_norm(x):
    return x.float().pow(2).sum().sqrt().half()


@safe_norm16.wrong("this calls PyTorch's own norm: write it from a maximum, squares and a root")
def ready_made_norm(x):
    return x.norm()


@safe_norm16.wrong("this calls PyTorch's own norm: write it from a maximum, squares and a root")
def ready_made_vector_norm(x):
    return torch.linalg.vector_norm(x)


@safe_norm16.wrong("return the norm as an fp16 tensor: `.item()` makes a Python float of it")
def python_float(x):
    top = x.abs().max().item()
    return top * (x / top).pow(2).sum().sqrt().item() if top else 0.0


@safe_norm16.right("scaled by a power of two, which rounds nothing")
def by_power_of_two(x):
    top = x.abs().max()
    if top == 0:
        return top
    exponent = torch.frexp(top).exponent
    return torch.ldexp(torch.ldexp(x, -exponent).square().sum().sqrt(), exponent)


@safe_norm16.right("with a floor under the scale: multiplied back, it changes nothing")
def floor_under_scale(x):
    scale = x.abs().amax() + 1e-6
    return scale * (x / scale).square().sum().sqrt()


# ── running_var(chunks, unbiased) ────────────────────────────────────────────────────────────────

running_var = Exercise(
    "running_var",
    points=(1, 3),
    driven=True,
    compare=close(
        rtol=5e-3,
        atol=1e-6,
        why="at an offset of 10⁴ the mean is rounded to multiples of 2⁻¹⁰ at each step; Welford's, "
        "Chan's and the two-pass formula differ by less than 10⁻³ there",
    ),
)


@running_var.reference
def _(chunks, unbiased):
    count, mean, m2 = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        n = chunk.numel()
        if n == 0:
            continue
        its_mean = chunk.mean()
        delta = its_mean - mean
        m2 = m2 + (chunk - its_mean).square().sum() + delta * delta * (count * n / (count + n))
        mean = mean + delta * (n / (count + n))
        count += n
    return m2 / (count - unbiased)


def shown_chunks(values, unbiased):
    tensors = [torch.tensor(v) for v in values]
    return case(tensors, unbiased, call=f"running_var({values}, {unbiased})")


def chunks(offset, *sizes_and_means, seed):
    generator = torch.Generator().manual_seed(seed)
    return [offset + m + torch.randn(n, generator=generator) for n, m in sizes_and_means]


running_var.visible(
    shown_chunks([[10001.0, 10003.0], [10005.0]], True),
    shown_chunks([[10001.0, 10003.0], [10005.0]], False),
    shown_chunks([[1.0, 2.0, 3.0], [9.0, 11.0]], True),
    case(
        list((10_000 + random(1000, seed=3)).split(500)),
        True,
        call="running_var((10_000 + torch.randn(1000)).split(500), True)",
    ),
)
running_var.hidden(
    "chunks of equal size around zero", case(chunks(0, (100, 0), (100, 0), seed=1), True)
)
running_var.hidden(
    "chunks of unequal size with means of their own",
    case(chunks(0, (200, 0), (50, 3), (7, -4), seed=2), True),
    case(chunks(5, (3, 0), (400, 2), seed=3), False),
)
running_var.hidden(
    "numbers far from zero",
    case(chunks(1e4, (300, 0), (300, 0.5), (20, -2), seed=3), True),
    case(chunks(-3e4, (500, 0), (1, 1), (99, 0), seed=5), False),
    case(chunks(1e4, (400, 0), (400, 0), seed=6), True),
)
running_var.hidden(
    "few numbers, where n and n − 1 differ",
    case([torch.tensor([2.0, 4.0]), torch.tensor([9.0])], True),
    case([torch.tensor([2.0, 4.0]), torch.tensor([9.0])], False),
)
running_var.hidden("equal numbers", case([torch.full((5,), 10_001.0)] * 3, True))
running_var.hidden("a single chunk", case(chunks(1e4, (200, 0), seed=7), True))
running_var.hidden(
    "an empty chunk among the others",
    case([torch.tensor([1.0, 3.0]), torch.zeros(0), torch.tensor([8.0])], True),
    case([torch.zeros(0), torch.tensor([10_001.0, 10_004.0])], False),
)


@running_var.wrong(
    "E[x²] − E[x]² subtracts two large numbers that are nearly equal: at a mean of 10⁴ the squares "
    "are rounded to multiples of 8, and the variance is what the rounding left"
)
def difference_of_squares(chunks, unbiased):
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        count += chunk.numel()
        total = total + chunk.sum()
        squares = squares + (chunk * chunk).sum()
    return (squares / count - (total / count) ** 2) * count / (count - unbiased)


@running_var.wrong(
    "E[x²] − E[x]² subtracts two large numbers that are nearly equal: at a mean of 10⁴ the squares "
    "are rounded to multiples of 8, and the variance is what the rounding left"
)
def difference_of_sums(chunks, unbiased):
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        count += chunk.numel()
        total = total + chunk.sum()
        squares = squares + (chunk * chunk).sum()
    return (squares - total * total / count) / (count - unbiased)


@running_var.wrong(
    "clamping at 0 hides that E[x²] − E[x]² came out negative: the cancellation is still there. "
    "Subtract the mean before you square"
)
def clamped_at_zero(chunks, unbiased):
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        count += chunk.numel()
        total = total + chunk.sum()
        squares = squares + (chunk * chunk).sum()
    variance = squares / count - (total / count) ** 2
    return variance.clamp(min=0) * count / (count - unbiased)


@running_var.wrong(
    "the average of the chunks' variances misses how far their means lie apart, and weighs a "
    "chunk of 1 like one of 1000"
)
def average_of_variances(chunks, unbiased):
    every = [c.var(unbiased=unbiased) if len(c) > 1 else torch.zeros(()) for c in chunks]
    return sum(every) / len(every)


@running_var.wrong(
    "the average of the chunks' variances misses how far their means lie apart, and weighs a "
    "chunk of 1 like one of 1000"
)
def average_of_unbiased_variances(chunks, unbiased):
    every = [c.var() for c in chunks]
    return sum(every) / len(every)


@running_var.wrong(
    "the squares within the chunks are added up, but not the part between them: "
    "δ² · n·k/(n + k), for two means that differ by δ"
)
def nothing_between_chunks(chunks, unbiased):
    count, m2 = 0, torch.zeros(())
    for chunk in chunks:
        if chunk.numel():
            count += chunk.numel()
            m2 = m2 + (chunk - chunk.mean()).square().sum()
    return m2 / (count - unbiased)


@running_var.wrong(
    "the new mean lies halfway between the two here; it must lie nearer to the mean of the larger "
    "part: mean + δ · k/(n + k)"
)
def mean_halfway(chunks, unbiased):
    count, mean, m2 = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        n = chunk.numel()
        if n == 0:
            continue
        delta = chunk.mean() - mean
        m2 = m2 + (chunk - chunk.mean()).square().sum() + delta * delta * (count * n / (count + n))
        mean = mean + delta / 2 if count else chunk.mean()
        count += n
    return m2 / (count - unbiased)


@running_var.wrong(
    "`unbiased` is ignored: with True divide by n − 1 (what `torch.var` does by default), with "
    "False by n"
)
def always_biased(chunks, unbiased):
    count, mean, m2 = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        for x in chunk:
            count += 1
            delta = x - mean
            mean = mean + delta / count
            m2 = m2 + delta * (x - mean)
    return m2 / count


@running_var.wrong(
    "`unbiased` is ignored: with True divide by n − 1 (what `torch.var` does by default), with "
    "False by n"
)
def always_unbiased(chunks, unbiased):
    count, mean, m2 = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        for x in chunk:
            count += 1
            delta = x - mean
            mean = mean + delta / count
            m2 = m2 + delta * (x - mean)
    return m2 / (count - 1)


@running_var.wrong("an empty chunk has no mean: 0/0 is NaN, and it spreads. Skip such a chunk")
def empty_chunk_not_skipped(chunks, unbiased):
    count, mean, m2 = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        n = chunk.numel()
        total = max(count + n, 1)
        delta = chunk.mean() - mean
        m2 = m2 + (chunk - chunk.mean()).square().sum() + delta * delta * (count * n / total)
        mean = mean + delta * (n / total)
        count += n
    return m2 / (count - unbiased)


@running_var.wrong(
    "`torch.var_mean` divides by k − 1 unless you say `correction=0`: for a chunk of one number "
    "this is 0/0, and the NaN spreads"
)
def correction_left_at_one(chunks, unbiased):
    count, mean, m2 = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        n = chunk.numel()
        if n == 0:
            continue
        variance, its_mean = torch.var_mean(chunk)
        delta = its_mean - mean
        m2 = m2 + variance * (n - 1) + delta * delta * (count * n / (count + n))
        mean = mean + delta * (n / (count + n))
        count += n
    return m2 / (count - unbiased)


@running_var.wrong(
    "`torch.var_mean` divides by k − 1 unless you say `correction=0`: for a chunk of one number "
    "this is 0/0, and the NaN spreads"
)
def correction_left_at_one_times_k(chunks, unbiased):
    count, mean, m2 = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        n = chunk.numel()
        if n == 0:
            continue
        variance, its_mean = torch.var_mean(chunk)
        delta = its_mean - mean
        m2 = m2 + variance * n + delta * delta * (count * n / (count + n))
        mean = mean + delta * (n / (count + n))
        count += n
    return m2 / (count - unbiased)


@running_var.wrong(
    "this keeps all chunks and puts them together; with a stream of activations there is no room "
    "for that. Keep three numbers: count, mean, sum of squared deviations"
)
def all_kept(chunks, unbiased):
    return torch.cat(list(chunks)).var(unbiased=unbiased)


@running_var.wrong(
    "float64 (Python's floats are float64, too) puts the cancellation off to larger means. Here "
    "the formula is to be mended, in float32"
)
def in_float64(chunks, unbiased):
    count, total, squares = 0, 0.0, 0.0
    for chunk in chunks:
        count += chunk.numel()
        total = total + chunk.double().sum()
        squares = squares + chunk.double().square().sum()
    return ((squares - total * total / count) / (count - unbiased)).float()


@running_var.wrong(
    "float64 (Python's floats are float64, too) puts the cancellation off to larger means. Here "
    "the formula is to be mended, in float32"
)
def in_python_floats(chunks, unbiased):
    values = [x for chunk in chunks for x in chunk.tolist()]
    mean = math.fsum(values) / len(values)
    return torch.tensor(math.fsum((x - mean) ** 2 for x in values) / (len(values) - unbiased))


@running_var.right("Welford's way, number by number")
def welford(chunks, unbiased):
    count, mean, m2 = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        for x in chunk:
            count += 1
            delta = x - mean
            mean = mean + delta / count
            m2 = m2 + delta * (x - mean)
    return m2 / (count - unbiased)


@running_var.right("squares around the first number, which lies near the mean")
def shifted(chunks, unbiased):
    count, origin, total, squares = 0, None, 0, 0
    for chunk in chunks:
        if origin is None and len(chunk):
            origin = chunk[0]
        if len(chunk):
            count += len(chunk)
            total = total + (chunk - origin).sum()
            squares = squares + (chunk - origin).square().sum()
    return (squares - total * total / count) / (count - unbiased)


@running_var.right("Chan's way, with each chunk's variance and mean from `torch.var_mean`")
def chan_by_var_mean(chunks, unbiased):
    count, mean, m2 = 0, None, None
    for chunk in chunks:
        n = chunk.numel()
        if not n:
            continue
        variance, its_mean = torch.var_mean(chunk, correction=0)
        if mean is None:
            count, mean, m2 = n, its_mean, variance * n
            continue
        weight = n / (count + n)
        m2 += variance * n + (its_mean - mean).square() * count * weight
        mean += (its_mean - mean) * weight
        count += n
    return m2 / (count - (1 if unbiased else 0))


# ── mask_bias(mask, dtype) ───────────────────────────────────────────────────────────────────────

mask_bias = Exercise(
    "mask_bias",
    points=(1, 2),
    driven=True,
    compare=close(atol=2**-9, why="weights of equal scores, rounded to the format"),
)


@mask_bias.reference
def _(mask, dtype):
    return torch.zeros(mask.shape, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


ROWS = torch.tensor([[True, False, True], [False, False, False]])
mask_bias.visible(
    *(
        case(ROWS, dtype, call=f"mask_bias([[True, False, True], [False] * 3], {dtype})")
        for dtype in (FP16, BF16, FP32)
    )
)
mask_bias.hidden(
    "nothing masked", case(torch.ones(2, 4, dtype=torch.bool), FP16), case(ROWS[:1] | True, BF16)
)
mask_bias.hidden(
    "some keys masked in every row",
    case(torch.ones(5, 5).tril().bool(), FP16),
    case(torch.ones(5, 5).tril().bool(), BF16),
)
mask_bias.hidden(
    "fully masked rows",
    case(torch.zeros(2, 5, dtype=torch.bool), FP16),
    case(torch.tensor([[False, False], [True, False]]), FP32),
    case(torch.tensor([[False, False], [True, False]]), BF16),
)
mask_bias.hidden("a batch of masks, in four dimensions", case(ROWS.reshape(2, 1, 1, 3), FP16))


@mask_bias.wrong(
    "−10⁹ does not exist in fp16, and `masked_fill` refuses it. Ask `torch.finfo` for a number "
    "that the format has"
)
def minus_1e9(mask, dtype):
    return torch.zeros(mask.shape, dtype=dtype).masked_fill(~mask, -1e9)


@mask_bias.wrong(
    "converted to fp16, −10⁹ is −∞ without a warning, and a fully masked row is −∞ − (−∞) = NaN. "
    "Ask `torch.finfo` for a number that the format has"
)
def minus_1e9_converted(mask, dtype):
    return torch.where(mask, 0.0, -1e9).to(dtype)


@mask_bias.wrong(
    "with −∞ in every place a row's maximum is −∞, and −∞ − (−∞) is NaN. The most negative finite "
    "number of the format makes equal weights there"
)
def minus_infinity(mask, dtype):
    return torch.where(mask, 0.0, -math.inf).to(dtype)


@mask_bias.wrong(
    "float32's most negative number becomes −∞ in fp16, and in bf16, too: it rounds beyond the "
    "range. Take `torch.finfo(dtype)`, of the dtype of the scores"
)
def minimum_of_float32(mask, dtype):
    return torch.where(mask, 0.0, torch.finfo(torch.float32).min).to(dtype)


@mask_bias.wrong(
    "the mask is read the wrong way round: True marks what may be attended to, and gets 0"
)
def inverted(mask, dtype):
    return torch.where(mask, torch.finfo(dtype).min, 0.0).to(dtype)


@mask_bias.wrong(
    "0 × −∞ is NaN: where nothing is masked, the product spoils the score. Choose with "
    "`torch.where` or `masked_fill`, do not multiply"
)
def zero_times_infinity(mask, dtype):
    return (~mask).to(dtype) * -math.inf


@mask_bias.wrong(
    "the bias is float32, so the scores it is added to become float32, too: return it in `dtype`"
)
def dtype_forgotten(mask, dtype):
    return torch.where(mask, 0.0, torch.finfo(dtype).min).to(torch.float32)


@mask_bias.wrong(
    "`tiny` is the smallest positive normal number, next to 0: it masks nothing. The most negative "
    "number is `torch.finfo(dtype).min`"
)
def tiny_instead_of_min(mask, dtype):
    return torch.where(mask, 0.0, -torch.finfo(dtype).tiny).to(dtype)


@mask_bias.right("filled in where the mask is False")
def filled(mask, dtype):
    bias = torch.zeros_like(mask, dtype=dtype)
    return bias.masked_fill_(~mask, torch.finfo(dtype).min)


@mask_bias.right("as a product with a finite number; the −0.0 that it makes does no harm")
def product(mask, dtype):
    return (1 - mask.to(dtype)) * torch.finfo(dtype).min


@mask_bias.right("−∞, with a guard for rows that are masked as a whole")
def guarded_infinity(mask, dtype):
    empty = ~mask.any(-1, keepdim=True)
    return torch.zeros(mask.shape, dtype=dtype).masked_fill(~(mask | empty), -math.inf)


@mask_bias.right("half of the most negative number, which leaves room for negative scores")
def half_of_minimum(mask, dtype):
    return torch.where(mask, 0.0, torch.finfo(dtype).min / 2).to(dtype)


# ── grad_report(g, scale) ────────────────────────────────────────────────────────────────────────

grad_report = Exercise(
    "grad_report",
    points=(1, 3),
    compare=close(atol=1e-6, why="fractions may be counted, or averaged in float32"),
)


@grad_report.reference
def _(g, scale):
    size = (g.double() * scale).abs()
    below = [0.0, 2.0**-25, 2.0**-14 * (1 - 2.0**-11), 65520.0]  # what rounds to 2⁻¹⁴ is normal
    zero = size == 0
    flushed = (size <= below[1]) & ~zero
    subnormal = (size > below[1]) & (size < below[2])
    normal = (size >= below[2]) & (size < below[3])
    every = {"zero": zero, "flushed": flushed, "subnormal": subnormal, "normal": normal}
    every["overflow"] = size >= below[3]
    return {name: found.sum().item() / g.numel() for name, found in every.items()}


def shown_gradients(values, scale):
    return case(torch.tensor(values), scale, call=f"grad_report({values}, {scale})")


MIXED = [0.0, 2.9e-8, 3e-8, -1e-6, -5e-4, 0.1, 2.0, 30.0]
EDGES = torch.tensor([2.0**-25, 1.01 * 2.0**-25, -(2.0**-25), 2.0**-24, 0.9 * 2.0**-24])

grad_report.visible(
    shown_gradients(MIXED, 1.0),
    shown_gradients(MIXED, 4096.0),
    shown_gradients([65519.0, 7e4], 1.0),
    shown_gradients([6.1034e-5, 6.1e-5], 1.0),
)
grad_report.hidden("zeros, which are no loss", case(torch.tensor([0.0, -0.0, 0.0, 1.0]), 1024.0))
grad_report.hidden("the boundary of what is flushed", case(EDGES, 1.0), case(EDGES / 64, 64.0))
grad_report.hidden(
    "the boundary between subnormal and normal",
    case(torch.tensor([2.0**-14, -(2.0**-14), 6e-5, 0.99998 * 2.0**-14, 1e-5]), 1.0),
)
grad_report.hidden(
    "the boundary of overflow",
    case(torch.tensor([65504.0, 65519.0, 65520.0, -65520.0, -65519.9]), 1.0),
    case(torch.tensor([15.99, 16.0, -15.0]), 4096.0),
)
grad_report.hidden(
    "scales from 1 to 65536",
    *(case((random(500, seed=8) * torch.logspace(-12, 1, 500)), 2.0**k) for k in (0, 3, 10, 16)),
)
grad_report.hidden(
    "a matrix", case((random(20, 30, seed=9) * 1e-6) * (random(20, 30, seed=10) > 0), 8.0)
)


@grad_report.wrong(
    "subnormal numbers are not lost: `finfo.tiny` is the smallest *normal* number, and below it "
    "fp16 goes on down to 2⁻²⁴"
)
def tiny_as_threshold(g, scale):
    h = (g * scale).half()
    tiny = torch.finfo(torch.float16).tiny
    n = g.numel()
    return {
        "zero": (g == 0).sum().item() / n,
        "flushed": ((g != 0) & (h.abs() < tiny)).sum().item() / n,
        "subnormal": 0.0,
        "normal": (h.isfinite() & (h.abs() >= tiny)).sum().item() / n,
        "overflow": h.isinf().sum().item() / n,
    }


@grad_report.wrong(
    "gradients that are exactly 0 in float32 are counted as flushed: fp16 has not lost them, no "
    "scale brings them back"
)
def zeros_counted_as_lost(g, scale):
    h = (g * scale).half()
    tiny = torch.finfo(torch.float16).tiny
    n = g.numel()
    return {
        "zero": 0.0,
        "flushed": (h == 0).sum().item() / n,
        "subnormal": ((h != 0) & (h.abs() < tiny)).sum().item() / n,
        "normal": (h.isfinite() & (h.abs() >= tiny)).sum().item() / n,
        "overflow": h.isinf().sum().item() / n,
    }


@grad_report.wrong("numbers above half of 2⁻²⁴ round up to 2⁻²⁴ and survive: the boundary is 2⁻²⁵")
def smallest_subnormal_as_threshold(g, scale):
    s = (g * scale).abs()
    n = g.numel()
    return {
        "zero": (s == 0).sum().item() / n,
        "flushed": ((s > 0) & (s < 2.0**-24)).sum().item() / n,
        "subnormal": ((s >= 2.0**-24) & (s.half() < 2.0**-14)).sum().item() / n,
        "normal": ((s.half() >= 2.0**-14) & (s < 65520)).sum().item() / n,
        "overflow": (s >= 65520).sum().item() / n,
    }


@grad_report.wrong(
    "2⁻²⁵ itself is a tie between 0 and 2⁻²⁴, and goes to the even one, 0: it is flushed"
)
def tie_survives(g, scale):
    s = (g * scale).abs()
    n = g.numel()
    return {
        "zero": (s == 0).sum().item() / n,
        "flushed": ((s > 0) & (s < 2.0**-25)).sum().item() / n,
        "subnormal": ((s >= 2.0**-25) & (s.half() < 2.0**-14)).sum().item() / n,
        "normal": ((s.half() >= 2.0**-14) & (s < 65520)).sum().item() / n,
        "overflow": (s >= 65520).sum().item() / n,
    }


@grad_report.wrong("`scale` is ignored: multiply by it before you convert")
def scale_ignored(g, scale):
    h = g.half()
    tiny = torch.finfo(torch.float16).tiny
    n = g.numel()
    return {
        "zero": (g == 0).sum().item() / n,
        "flushed": ((g != 0) & (h == 0)).sum().item() / n,
        "subnormal": ((h != 0) & (h.abs() < tiny)).sum().item() / n,
        "normal": (h.isfinite() & (h.abs() >= tiny)).sum().item() / n,
        "overflow": h.isinf().sum().item() / n,
    }


@grad_report.wrong(
    "the gradient is converted first and scaled after: what was flushed stays 0. A loss scale "
    "works because it is applied before the gradient is fp16"
)
def scaled_too_late(g, scale):
    h = g.half() * scale
    tiny = torch.finfo(torch.float16).tiny
    n = g.numel()
    return {
        "zero": (g == 0).sum().item() / n,
        "flushed": ((g != 0) & (h == 0)).sum().item() / n,
        "subnormal": ((h != 0) & (h.abs() < tiny)).sum().item() / n,
        "normal": (h.isfinite() & (h.abs() >= tiny)).sum().item() / n,
        "overflow": h.isinf().sum().item() / n,
    }


@grad_report.wrong(
    "between 65504 and 65520 numbers still round down to 65504: overflow begins at 65520"
)
def overflow_above_max(g, scale):
    s = (g * scale).abs()
    h = s.half()
    n = g.numel()
    return {
        "zero": (g == 0).sum().item() / n,
        "flushed": ((g != 0) & (h == 0)).sum().item() / n,
        "subnormal": ((h > 0) & (h < 2.0**-14)).sum().item() / n,
        "normal": ((h >= 2.0**-14) & (s <= 65504)).sum().item() / n,
        "overflow": (s > 65504).sum().item() / n,
    }


@grad_report.wrong(
    "negative gradients are small or large by their magnitude: compare `abs()` with the boundaries"
)
def sign_forgotten(g, scale):
    h = (g * scale).half()
    tiny = torch.finfo(torch.float16).tiny
    n = g.numel()
    return {
        "zero": (g == 0).sum().item() / n,
        "flushed": ((g != 0) & (h == 0)).sum().item() / n,
        "subnormal": ((h != 0) & (h < tiny)).sum().item() / n,
        "normal": (h.isfinite() & (h >= tiny)).sum().item() / n,
        "overflow": h.isinf().sum().item() / n,
    }


@grad_report.wrong(
    "negative gradients are small or large by their magnitude: compare `abs()` with the boundaries"
)
def sign_forgotten_at_the_boundaries(g, scale):
    s = g * scale
    h = s.half()
    n = g.numel()
    return {
        "zero": (s == 0).sum().item() / n,
        "flushed": ((s != 0) & (s <= 2.0**-25)).sum().item() / n,
        "subnormal": ((s > 2.0**-25) & (h < 2.0**-14)).sum().item() / n,
        "normal": ((h >= 2.0**-14) & (s < 65520)).sum().item() / n,
        "overflow": (s >= 65520).sum().item() / n,
    }


@grad_report.wrong(
    "the scaled float32 numbers are sorted, not what comes out in fp16: a number a little below "
    "2⁻¹⁴ is rounded up to it and is normal. Convert first, then compare with 2⁻¹⁴"
)
def float32_thresholds(g, scale):
    s = (g * scale).abs()
    n = g.numel()
    return {
        "zero": (s == 0).sum().item() / n,
        "flushed": ((s > 0) & (s <= 2.0**-25)).sum().item() / n,
        "subnormal": ((s > 2.0**-25) & (s < 2.0**-14)).sum().item() / n,
        "normal": ((s >= 2.0**-14) & (s < 65520)).sum().item() / n,
        "overflow": (s >= 65520).sum().item() / n,
    }


@grad_report.wrong(
    "`zero` counts the zeros of the fp16 result, so what was flushed is counted there as well: "
    "ask whether the float32 gradient `g` is 0"
)
def zero_of_the_result(g, scale):
    h = (g * scale).half()
    tiny = torch.finfo(torch.float16).tiny
    n = g.numel()
    return {
        "zero": (h == 0).sum().item() / n,
        "flushed": ((g != 0) & (h == 0)).sum().item() / n,
        "subnormal": ((h != 0) & (h.abs() < tiny)).sum().item() / n,
        "normal": (h.isfinite() & (h.abs() >= tiny)).sum().item() / n,
        "overflow": h.isinf().sum().item() / n,
    }


@grad_report.wrong("the fractions are of all gradients, zeros included, so that the five sum to 1")
def fractions_of_nonzero(g, scale):
    h = (g * scale).half()
    tiny = torch.finfo(torch.float16).tiny
    n = max((g != 0).sum().item(), 1)
    return {
        "zero": (g == 0).sum().item() / g.numel(),
        "flushed": ((g != 0) & (h == 0)).sum().item() / n,
        "subnormal": ((h != 0) & (h.abs() < tiny)).sum().item() / n,
        "normal": (h.isfinite() & (h.abs() >= tiny)).sum().item() / n,
        "overflow": h.isinf().sum().item() / n,
    }


@grad_report.right("by the boundaries, without converting")
def by_boundaries(g, scale):
    s = (g.float() * scale).abs().flatten()
    edges = torch.tensor([0.0, 2.0**-25, 2.0**-14 * (1 - 2.0**-11), 65520.0])
    edges[2:] = torch.nextafter(edges[2:], torch.zeros(2))  # these two belong to the upper side
    names = ("zero", "flushed", "subnormal", "normal", "overflow")
    counts = torch.bincount(torch.bucketize(s, edges), minlength=5)
    return {name: count / s.numel() for name, count in zip(names, counts.tolist(), strict=True)}


@grad_report.right("as means of masks in float32")
def by_means(g, scale):
    h = (g * scale).to(torch.float16).abs().float()
    masks = {"zero": g == 0, "flushed": (h == 0) & (g != 0)}
    masks["subnormal"] = (h > 0) & (h < torch.finfo(torch.float16).smallest_normal)
    masks["overflow"] = torch.isinf(h)
    masks["normal"] = ~sum(masks.values()).bool()
    return {name: mask.float().mean().item() for name, mask in masks.items()}

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
# # Unit 2 · Lose numbers by rounding, and stop losing them
#
# **What you will do**
#
# 1. Round numbers to any count of fraction bits, ties to even, as the hardware does.
# 2. Predict which updates a weight does not notice, and where a running sum stands still.
# 3. Tell the dtype in which numbers are stored from the dtype in which they are added, and read an experiment by it.
# 4. Add thousands of 16-bit numbers with a small error, in pairs and with Kahan's correction, and say how the error grows.
# 5. Recognise cancellation: a subtraction without any error whose result is worthless.
# 6. Round at random, and say what that buys and what it costs.
#
# **What you need**: Unit 1, above all its ulp: the gap between neighbouring numbers. No GPU.
# **Time**: about 120 minutes with the exercises. **Points**: 29, of which 6 are for a quiz and 3 for a written answer.
#
# Training is made of very long sums: a matrix product adds thousands of terms, a gradient adds over a batch, a weight adds up all the updates it has ever got. Each addition rounds, by half an ulp at most. One such error hardly ever matters. This unit is about the cases in which the errors do not stay small, and about ways to stop them: a wider accumulator, a better order, a correction that is carried along, another formula, and rounding at random.

# %% tags=["imports"]
import math

import torch

import halfbits as hb

# %% [markdown]
# ## Predict three results
#
# Write down your guess before you run the cell.
#
# - Add 0.01 a thousand times in bf16. The exact result is 10.
# - A weight is 1, in fp16. Add 0.0004; or subtract 0.0004. What are the two new weights?
# - 1.001 − 1 in fp16.

# %%
total = torch.tensor(0.0, dtype=torch.bfloat16)
for _ in range(1000):
    total = total + 0.01
w = torch.tensor(1.0, dtype=torch.float16)
print("1000 × 0.01 =", total.item())
print("1 + 0.0004  =", (w + 0.0004).item())
print("1 − 0.0004  =", (w - 0.0004).item())
print("1.001 − 1   =", (torch.tensor(1.001).half() - 1).item())

# %% [markdown]
# The sum has lost more than half of what went in. The weight ignores a step upwards and takes the same step downwards. The difference is off by 2 %. The hardware did nothing wrong: every one of these operations returned the number nearest to the exact result. At the end of this unit you will be able to predict all three.
#
# ## Round to fewer digits
#
# Unit 1 rounded to fp16, counting in ulps. The same works for any number of fraction bits. Take 0.1 and 7 fraction bits:

# %%
x, man_bits = torch.tensor(0.1), 7
exponent = math.frexp(x.item())[1] - 1
ulp = 2.0 ** (exponent - man_bits)
print("x in ulps:", x.item() / ulp, "→", round(x.item() / ulp))
print(round(x.item() / ulp) * ulp, "and PyTorch's bf16:", x.bfloat16().item())

# %% [markdown]
# The hardware does not divide. It works on the pattern, and so can you, for patterns count upwards like the numbers do. Here are patterns with five fraction bits, of which three are to be kept. The two that go are worth 0, 1, 2 or 3 quarters of the new ulp:
#
# | fraction | to be dropped | nearest | why |
# |---|---|---|---|
# | `010 01` | ¼ ulp | `010` | less than half: down |
# | `010 10` | ½ ulp | `010` | a tie, and the last digit kept is even: down |
# | `011 10` | ½ ulp | `100` | a tie, and the last digit kept is odd: up |
# | `010 11` | ¾ ulp | `011` | more than half: up |
# | `111 10` | ½ ulp | `000`, and the exponent grows by 1 | a tie, odd: up, and the carry runs on into the exponent field |
#
# One addition does all of it. **Add `01`, one step less than half an ulp, and 1 more if the last digit kept is odd. Then cut.** The addition carries into the digits that are kept exactly when the rule says "up":

# %%
for pattern in (0b010_01, 0b010_10, 0b011_10, 0b010_11, 0b111_10):
    last_kept = (pattern >> 2) & 1
    rounded = (pattern + 0b01 + last_kept) >> 2
    print(f"{pattern >> 2:03b} {pattern & 3:02b} → {rounded:03b}")

# %% [markdown]
# In the last row a fourth digit appears, `1000`: the carry, which the exponent field takes up.
#
# ### Exercise 1: `round_mantissa`
#
# Round every element of a float32 tensor to `man_bits` fraction bits (1 to 22), to nearest, ties to even. The exponent keeps float32's 8 bits. So `man_bits=7` gives what `x.bfloat16().float()` gives, for every float32 number. `man_bits=10` rounds to the numbers of tf32; `x.half().float()` gives the same only where the result lies between fp16's smallest normal number and its largest. Return a float32 tensor.
#
# On paper, for x = 1.1875 and two fraction bits: x = 1.0011₂, the ulp is ¼, and x is 4.75 ulps, so the result is 5 ulps, 1.25. As patterns: of the fraction `00 11` `11` goes; adding `01` to `00 11` gives `01 00`; cut, `01`.
#
# Two ways lead there. *In ulps*: the cell with 0.1 above does it for one number, by `.item()`. Here x has many elements: `torch.frexp` works on all of them as `math.frexp` does on one, and `torch.round` does ties to even; calculate in float64, so that nothing overflows on the way. *On patterns*: `x.view(torch.int32)` reads the same memory as integers, `>>` and `<<` shift them, and a sign bit does no harm. With 23 − `man_bits` digits to drop, what takes the place of `01`?
#
# Four traps: ∞ and NaN are no numbers to be rounded, and a NaN may have any fraction but zero (`torch.where` helps); `view` shares memory, so an in-place operation on the pattern changes the caller's tensor; for subnormals the exponent stays at −126 (the way on patterns does that by itself); −0.0 stays −0.0. What rounds beyond the largest number becomes infinite.


# %% nbgrader={"grade": false, "grade_id": "round_mantissa-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def round_mantissa(x: torch.Tensor, man_bits: int) -> torch.Tensor:
    """Return a float32 tensor x rounded to man_bits fraction bits, to nearest, ties to even.

    Do not convert to a 16-bit dtype.

    >>> round_mantissa(torch.tensor([1.1875, 1.375]), 2)
    tensor([1.2500, 1.5000])
    """
    ### BEGIN SOLUTION
    drop = 23 - man_bits
    bits = x.view(torch.int32)
    last_kept = (bits >> drop) & 1
    rounded = (bits + (2 ** (drop - 1) - 1) + last_kept) >> drop << drop
    return torch.where(x.isfinite(), rounded.view(torch.float32), x)
    ### END SOLUTION


# %% [markdown]
# Your function with one fraction bit, over the true staircase. Look at the ends of the steps: that is where ties are.

# %%
hb.draw_rounded(round_mantissa, man_bits=1)

# %% nbgrader={"grade": true, "grade_id": "round_mantissa-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("round_mantissa")

# %% nbgrader={"grade": true, "grade_id": "round_mantissa-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Watch a sum stand still
#
# Now the same small term, over and over. **Predict**: fp32, fp16 and bf16 all add 0.01. Which of them reaches 100 after ten thousand steps? What happens to the others, and where?

# %%
hb.sum_explorer("0.01")

# %% [markdown]
# **Try it.** Guess first:
#
# 1. Make the term 0.02. Do the plateaus move? By which factor?
# 2. Make it 1/128 = 0.0078125, which bf16 holds exactly. Does an exact term save the sum?
# 3. Which term carries bf16 past 100? (There are ten thousand of them; it needs to be larger than you may think.)
#
# The same as a picture that stays:

# %%
hb.running_sums("0.01", count=10_000)

# %% [markdown]
# fp16 stops at 32, bf16 at 4, and both stop for good. The reason is one line: at 4, the ulp of bf16 is 2⁻⁵ = 0.03125, and 0.01 is less than half of it. The sum falls between 4 and 4.03125, nearer to 4, and back it goes, every time.

# %%
for name, plateau in {"fp16": 32.0, "bf16": 4.0}.items():
    ulp = hb.get_format(name).ulp(plateau)
    print(f"{name}: half an ulp at {plateau:2.0f} is {ulp / 2}, one binade below {ulp / 4}")

# %% [markdown]
# Half an ulp at the plateau is more than 0.01, and one binade below it is less. So the sum gets through the lower binade, in steps of whole ulps, and is caught at the next power of two. (On the way the steps are rounded, too: bf16 arrives at 4 after 350 additions, when the exact sum is 3.5.)
#
# A series of shrinking terms freezes in the same way. 1 + ½ + ⅓ + … grows without limit, in mathematics:

# %%
hb.running_sums("1/k", count=1_000, formats=("fp32", "fp16", "bf16"))

# %%
for dtype in (torch.float16, torch.bfloat16):
    total, k = torch.zeros((), dtype=dtype), 1
    while total + torch.ones((), dtype=dtype) / k != total:
        total, k = total + torch.ones((), dtype=dtype) / k, k + 1
    print(f"{dtype}: from k = {k} on, 1/k adds nothing to {total.item()}")

# %% [markdown]
# ## Step over half an ulp, or stay
#
# So a number moves only if the step is larger than half the gap in front of it (exactly half: a tie, see below). There is a fine point at powers of two. **Predict**: at w = 1, is the smallest step up that fp16 notices as large as the smallest step down?

# %%
hb.step_explorer("fp16", w=1)

# %% [markdown]
# **Try it**: drag Δ upwards until w + Δ snaps to the next number, then downwards. Then make w the next number after 1, and do it again. The still picture:

# %%
hb.steps("fp16", w=1)

# %%
w = torch.tensor(1.0, dtype=torch.float16)
for exponent in (-10, -11, -12):
    moved = [(w + 2.0**exponent != w).item(), (w - 2.0**exponent != w).item()]
    print(f"Δ = 2^{exponent}: w + Δ moves: {moved[0]!s:5}  w − Δ moves: {moved[1]}")

# %% [markdown]
# Above 1, neighbours are 2⁻¹⁰ apart, below 1 they are 2⁻¹¹ apart: **at a power of two above the smallest normal number, the gap towards zero is half as wide.** (At the smallest normal number it is not, for subnormal numbers are as far apart.) So half a gap is 2⁻¹¹ upwards and 2⁻¹² downwards. A step of exactly half a gap is a tie, and the tie goes to the even neighbour. 1 is even (its fraction is `0000000000`), so the tie falls back to 1. At an odd number it goes the other way:

# %%
odd = torch.tensor(1 + 2.0**-10, dtype=torch.float16)
print("1 + 2⁻¹⁰ + half a gap moves:", (odd + 2.0**-11 != odd).item())
print("1 + 2⁻¹⁰ − half a gap moves:", (odd - 2.0**-11 != odd).item())

# %% [markdown]
# ### See the update that never arrives
#
# In training the number is a weight w, and the step is learning rate × gradient. If it is less than half a gap (or exactly half, and the weight even), the weight stays, however often you repeat it. P. Micikevicius et al. (2018, section 3.1) give the rule for fp16: an update can vanish when the weight is at least 2048 times as large. (Below 2048 times it always arrives, from 4096 times on it never does; in between it depends on where in its binade the weight lies.) **Predict** for w = 1, a gradient of 1 and a learning rate of 10⁻³, then 10⁻⁴: which updates arrive in fp16, which in bf16?

# %%
for dtype in (torch.float16, torch.bfloat16):
    w, gradient = torch.ones((), dtype=dtype), torch.ones((), dtype=dtype)
    print(dtype, [(w - lr * gradient).item() for lr in (1e-3, 1e-4)])

# %% [markdown]
# 10⁻³ arrives in fp16, rounded to 2⁻¹⁰, and is lost in bf16. 10⁻⁴ is lost in both. The gradient is right, the learning rate is right, and the weights do not move. A training run can begin well all the same: early gradients are large, and small weights have small gaps, so updates arrive at first, and fewer and fewer do as gradients shrink. The classic remedy is a copy of the weights in float32, the *master weights*, at a price of 4 bytes per weight: Unit 4 builds them. Others come later in this unit.
#
# ### Exercise 2: `stall_threshold`
#
# Return the largest number Δ ≥ 0 **of the dtype** for which w + sign·Δ, computed in that dtype, is still w. `w` is any finite number of the dtype, `sign` is 1 or −1. Of the dtype's numbers, all below your Δ are lost and all above it arrive.
#
# On paper, in fp16:
#
# | w | direction | gap in this direction | half of it | w is | the tie | threshold |
# |---|---|---|---|---|---|---|
# | 1 | + | 2⁻¹⁰ | 2⁻¹¹ | even | falls back | 2⁻¹¹ |
# | 1 | − | 2⁻¹¹ | 2⁻¹² | even | falls back | 2⁻¹² |
# | 1 + 2⁻¹⁰ | + | 2⁻¹⁰ | 2⁻¹¹ | odd | moves | the number right below 2⁻¹¹ |
# | 2⁻¹⁴ | + | 2⁻²⁴ | 2⁻²⁵, no fp16 number | even | – | 0 |
# | 2⁻¹⁴ | − | 2⁻²⁴ | 2⁻²⁵, no fp16 number | even | – | 0 |
#
# The number right below 2⁻¹¹ is 2⁻¹¹ − 2⁻²², for below 2⁻¹¹ the ulp is 2⁻²². 2⁻¹⁴ is the smallest normal number: a power of two, but the gap towards zero is no narrower. At the largest number take the gap of its binade, as `ulp` in Unit 1 did.
#
# Useful: `math.frexp` as in Unit 1 (w is a power of two if its first value is ±½). w is odd if |w| / ulp is an odd number; the division is exact. Or let the dtype do the work: for two numbers a < b, if b is lost, so is a. Four traps: subnormals; w = 0; for a negative w it is +Δ that leads towards zero; a Δ that the dtype does not hold.


# %% nbgrader={"grade": false, "grade_id": "stall_threshold-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stall_threshold(w: float, dtype: torch.dtype, sign: int) -> float:
    """Return the largest number Δ ≥ 0 of dtype (fp16, bf16 or fp32) with w + sign * Δ == w in dtype.

    >>> stall_threshold(1.0, torch.float16, 1) == 2**-11
    True
    """
    ### BEGIN SOLUTION
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps
    significand, exponent = math.frexp(abs(w))
    ulp = max(math.ldexp(info.eps, exponent - 1), smallest) if w else smallest
    towards_zero = w * sign < 0
    gap = max(ulp / 2, smallest) if towards_zero and significand == 0.5 else ulp
    half = gap / 2
    if half < smallest:
        return 0.0
    odd = abs(w) / ulp % 2 == 1
    return half - max(half * info.eps / 2, smallest) if odd else half
    ### END SOLUTION


# %% [markdown]
# Your thresholds for the fp16 numbers around 1, over the true ones. Each bar is one number with all the sums that fall back to it. See how odd and even numbers share the ties among them, and that 1, a power of two, has a short side and a long one.

# %%
hb.draw_stalls(stall_threshold, "fp16", w=1)

# %% nbgrader={"grade": true, "grade_id": "stall_threshold-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("stall_threshold")

# %% nbgrader={"grade": true, "grade_id": "stall_threshold-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Store narrow, add wide
#
# Two dtypes take part in a sum: the one in which the terms are *stored*, and the one of the *accumulator*, the running total. They need not be the same. This experiment is from Stanford's CS336 (Assignment 2, problem `mixed_precision_accumulation`): add 0.01 a thousand times, in four variants. **Predict** which variants err, and in which digit.


# %%
def add_up(stored: torch.dtype, accumulator: torch.dtype, convert: bool = False) -> float:
    term = torch.tensor(0.01, dtype=stored)
    total = torch.zeros((), dtype=accumulator)
    for _ in range(1000):
        total += term.to(accumulator) if convert else term
    return round(total.item(), 4)


fp32, fp16 = torch.float32, torch.float16
print("fp32 terms, fp32 total:           ", add_up(fp32, fp32))
print("fp16 terms, fp16 total:           ", add_up(fp16, fp16))
print("fp16 terms, fp32 total:           ", add_up(fp16, fp32))
print("fp16 terms, converted, fp32 total:", add_up(fp16, fp32, convert=True))

# %% [markdown]
# Two different errors are at work, and a look at the terms themselves tells them apart:

# %%
torch.tensor(0.01, dtype=fp16).item(), 1000 * torch.tensor(0.01, dtype=fp16).item()

# %% [markdown]
# - **Storing** made 0.01 into 0.0100021, once. In the last two variants that is the whole error: the sum of a thousand such terms *is* 10.0021, to four places, and the fp32 accumulator found it.
# - **Adding** in fp16 rounded a thousand times. In the second variant this pulled the total down to 9.9531.
# - Converting each term first changes nothing: in `total += term` PyTorch widens the fp16 term to the accumulator's dtype.
#
# A wide accumulator mends the second error; nothing that is done later mends the first one. Storing costs up to half an ulp per term, and such errors partly cancel where terms are different. Accumulating narrowly can cost everything. Micikevicius et al. (2018, section 3.3) found that some networks need dot products of fp16 numbers to be accumulated in float32, and the matrix units of GPUs can do that. PyTorch's own sums have a wide accumulator, too. The dtype of the *result* is another matter:

# %%
terms = torch.full((1000,), 0.01)
print("torch.sum:", terms.sum().item(), terms.half().sum().item(), terms.bfloat16().sum().item())
ones = torch.ones(70_000).half()
print("70,000 ones:", ones.sum().item(), ones.mean().item(), ones.sum(dtype=torch.float32).item())

# %% [markdown]
# `torch.sum` of fp16 numbers adds in float32 and rounds once, at the end. Then 10.0021 becomes 10.0, the nearest fp16 number, and 70,000 does not fit into fp16 at all, although the accumulator had no trouble with it: the mean of the same numbers is right. `sum(dtype=torch.float32)` keeps the wide result. A Python loop `total = total + x` has no hidden accumulator: there, each partial sum is rounded to the dtype of the tensors.
#
# ## Add in a better order
#
# What if there is no wider dtype, or none that is fast? Then the *order* decides.
#
# Let u be the **unit roundoff**, the largest relative error of one rounding: half of eps, so 2⁻¹¹ in fp16, 2⁻⁸ in bf16 and 2⁻²⁴ in fp32. In a loop, the first term goes through all n − 1 additions, and each may multiply what is there by a factor between 1 − u and 1 + u. For positive terms that bounds the relative error by about **n·u**. Once n·u is near 1, the bound promises nothing, and you have seen sums that lost more than half.
#
# Adding in *pairs* makes a tree of it:
#
# ```
# x0   x1   x2   x3   x4   x5   x6
#   \  /      \  /      \  /     |
#    s01       s23       s45    x6
#       \      /            \   /
#        s0123               s456
#             \             /
#                 the sum
# ```
#
# Each term passes through log₂ n additions (rounded up), so the bound is **log₂ n · u**. And numbers of about equal size meet, so nothing is too small for its partner. The number of additions is n − 1, as in the loop.

# %%
for n in (1_000, 1_000_000):
    for name, u in {"bf16": 2.0**-8, "fp16": 2.0**-11, "fp32": 2.0**-24}.items():
        print(f"{n:>9,} terms in {name}: loop {n * u:8.2g}   pairs {math.log2(n) * u:8.2g}")

# %% [markdown]
# These are bounds for the relative error, and 1 means 100 %. Errors that fall on both sides cancel, so what one sees is often smaller. Numerical libraries add in this way: NumPy's documentation of `numpy.sum` describes its partial pairwise summation.
#
# ### Exercise 3: `pairwise_sum`
#
# Sum a 1-D tensor in pairs. `xs` is stored in `dtype` or in a narrower one: convert it to `dtype` first; from there on every partial sum is a number of `dtype`. Return the sum as a tensor of `dtype` without dimensions; the sum of no terms is 0. PyTorch's ready-made sums are not allowed, `+` is. (If the check finds a ready-made sum, a wider dtype, or a way out of PyTorch such as `.item()`, a row *shortcuts* names it.)
#
# Two ways. *Halves of halves*: the sum of a list is the sum of its first half plus the sum of its second half, and each of the two is found in the same way. *Neighbours*: `xs[0::2]` are the terms at even places, `xs[1::2]` those at odd places; add the two tensors, and you have half as many terms. An odd number of terms needs care in both.


# %% nbgrader={"grade": false, "grade_id": "pairwise_sum-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pairwise_sum(xs: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the sum of a 1-D tensor, added in pairs in dtype, as a tensor without dimensions.

    >>> pairwise_sum(torch.tensor([1.0, 2.0, 3.0]).half(), torch.float16)
    tensor(6., dtype=torch.float16)
    """
    ### BEGIN SOLUTION
    xs = xs.to(dtype)
    if len(xs) == 0:
        return torch.zeros((), dtype=dtype)
    if len(xs) == 1:
        return xs[0]
    middle = len(xs) // 2
    return pairwise_sum(xs[:middle], dtype) + pairwise_sum(xs[middle:], dtype)
    ### END SOLUTION


# %% [markdown]
# The relative error of your sums of random terms in bf16, beside that of a loop. No error of u or less, the dotted line, can be blamed on the method: as much may be lost when the exact result is rounded.

# %%
hb.draw_sums(pairwise_sum)

# %% nbgrader={"grade": true, "grade_id": "pairwise_sum-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("pairwise_sum")

# %% nbgrader={"grade": true, "grade_id": "pairwise_sum-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Carry the error along
#
# Pairs need all terms at once. A weight gets its updates one by one, over days. W. Kahan's method (1965) works one by one, too: **it finds out what each addition lost, and takes it into account in the next.**
#
# The idea rests on a surprise: the error of an addition can be computed by the same rounded arithmetic, and without error if the total is larger in magnitude than the term. In fp16, at 2048, where the ulp is 2:

# %%
s, y = torch.tensor([2048.0, 1.0], dtype=torch.float16)
t = s + y
print("new total:", t.item(), "  arrived:", (t - s).item(), "  too much:", ((t - s) - y).item())

# %% [markdown]
# The total did not move, so 0 has arrived, and what arrived too much is 0 − 1 = −1. Call this c, and subtract it from the next term. For the terms 2048, 1, 1, with s = c = 0 at the start:
#
# | term x | y = x − c | t = s + y | c = (t − s) − y | s = t |
# |---|---|---|---|---|
# | 2048 | 2048 | 2048 | (2048 − 0) − 2048 = 0 | 2048 |
# | 1 | 1 | 2048 (tie, to even) | (2048 − 2048) − 1 = −1 | 2048 |
# | 1 | 1 − (−1) = 2 | 2050 | (2050 − 2048) − 2 = 0 | 2050 |
#
# The 1 that was lost came back with the next one. In exact arithmetic (t − s) − y is zero, and a compiler that is allowed to simplify as in algebra removes it (with options such as `-ffast-math`). The order is the method: first t − s, then − y.
#
# The relative error for positive terms is bounded by about **2u**, plus a term in n·u² (N. Higham's book has the proof). As long as n·u is small, it does not grow with n.
#
# ### Exercise 4: `kahan_sum`
#
# The table above as a function. `xs` and `dtype` are as in `pairwise_sum`. All of s, c, y and t are tensors of `dtype`: no wider dtype, no Python floats (which have 53 digits), no ready-made sum. Iterating over a 1-D tensor gives tensors without dimensions.


# %% nbgrader={"grade": false, "grade_id": "kahan_sum-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kahan_sum(xs: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the sum of a 1-D tensor by Kahan's method in dtype, as a tensor without dimensions.

    >>> kahan_sum(torch.tensor([2048.0, 1.0, 1.0]).half(), torch.float16)
    tensor(2050., dtype=torch.float16)
    """
    ### BEGIN SOLUTION
    s = torch.zeros((), dtype=dtype)
    c = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        y = x - c
        t = s + y
        c = (t - s) - y
        s = t
    return s
    ### END SOLUTION


# %%
hb.draw_sums(pairwise_sum, kahan_sum)

# %% nbgrader={"grade": true, "grade_id": "kahan_sum-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("kahan_sum")

# %% nbgrader={"grade": true, "grade_id": "kahan_sum-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Ten thousand times 0.01 in bf16: the loop gives 4, Kahan's method 99, and the exact sum of the stored terms is 100.1. (99 is not the nearest bf16 number, 100 is: here n·u is 39, and the term in n·u² shows.) The price is a second number for each total and three more operations for each term. Zamirai et al. (2020) update bf16 weights in this way, and also with the method at the end of this unit.
#
# ## Subtract, and see what was lost before
#
# So far every addition made an error. Now a subtraction that makes none, and is worse. Two numbers agree in their first 8 binary digits, and fp16 stores 11 of each. **Predict**: how many digits of the difference can you trust?

# %%
hb.cancellation_explorer()

# %% [markdown]
# **Try it**: from how many common digits on is nothing left? And how does the bound of the error, the dashed line, grow with each of them? (The errors themselves depend on the digits that come after, and lie anywhere below.)

# %%
hb.cancellation("fp16")

# %% [markdown]
# The same with numbers that you can check in your head:

# %%
a, b = torch.tensor([1.001, 1.0]).half()
print("stored:", a.item(), b.item(), "  difference:", (a - b).item(), "  exact:", 0.001)

# %% [markdown]
# The subtraction made no error at all. 1.0009765625 − 1 is 0.0009765625, exactly. This is a theorem (P. Sterbenz, 1974): **if b/2 ≤ a ≤ 2b, then a − b is a number of the format, and no rounding takes place.** Try it on a million pairs:

# %%
torch.manual_seed(0)
b = torch.rand(1_000_000).half()
a = (b * (0.5 + 1.5 * torch.rand(1_000_000))).half()
near = (b / 2 <= a) & (a <= 2 * b)
exact = a.double() - b.double()
print(f"{near.sum():,} pairs, of which exact: {((a - b).double() == exact)[near].sum():,}")

# %% [markdown]
# And still 0.0009765625 is off by 2.3 %. The error was made earlier, when 1.001 was stored: 0.00002, small beside 1.001. The subtraction removed the leading digits, which were right, and left the last ones, which were not. This is **cancellation**: an error that was small beside the operands is large beside their difference. A wider accumulator does not help. Two things do: keep the operands in more digits, or rearrange, so that nearly equal numbers are not subtracted.

# %%
x = torch.tensor(1e6)
naive = torch.sqrt(x + 1) - torch.sqrt(x)
rearranged = 1 / (torch.sqrt(x + 1) + torch.sqrt(x))
print("naive:", naive.item(), "  rearranged:", rearranged.item())

# %% [markdown]
# The two formulas are equal in algebra. In float32 the second is right to seven digits, and the first is off by 2.3 %, for the square roots agree in 20 of their 24 binary digits: they are 8 float32 ulps apart. In training, cancellation waits in variances computed as E[x²] − E[x]², in differences of losses, in log-probabilities that nearly agree. Unit 3 mends the variance.
#
# ## Round at random
#
# Back to the weight that ignores its updates. Rounding to nearest makes the *same* choice each time: 1 − 0.001 in bf16 is 1, a thousand times. What if chance decided? **Stochastic rounding** goes to one of the two neighbours, with a probability that depends on how near it is. Take x = 1 + 2⁻¹⁰. The neighbours in bf16 are 1 and 1 + 2⁻⁷, and x lies one eighth of the way between them. So round up with probability ⅛, and down with probability ⅞. The mean is
#
# $$\tfrac78 \times 1 + \tfrac18 \times (1 + 2^{-7}) = 1 + 2^{-10} = x.$$
#
# **Predict**: of 10,000 roundings, how many go up? How far from x is the mean of them all, compared with the error of rounding to nearest?

# %%
hb.stochastic_explorer("bf16", x="1+2^-10")

# %% [markdown]
# **Try it**: round once, a few times; then a thousand times. Drag x to the middle of the gap, then next to a neighbour. Where is a single result most uncertain?

# %%
hb.stochastic_roundings("bf16", x="1+2^-10")

# %% [markdown]
# Rounding to nearest is off by ⅛ of the gap, always. The mean of the random results is off by far less, and the more there are, the less. A single result is *worse*: it can be off by almost a whole ulp, while rounding to nearest never errs by more than half. The gain is that the error has the mean 0, so in long sums it averages out instead of adding up: the typical error of n additions grows with √n, not with n. (Croci et al. 2022 review what is known about it.) Gupta et al. (2015) trained networks with 16-bit fixed-point numbers and found that the way of rounding decides; with this one, little or no accuracy was lost.
#
# ### Exercise 5: `stochastic_round_bf16`
#
# Round every element of a float32 tensor to one of its two bf16 neighbours, at random, independently of each other, with the probabilities above. Numbers that bf16 holds stay what they are. Return a bfloat16 tensor. All random numbers come from `generator`: many PyTorch functions take it as an argument, and whoever passes the same seed gets the same result.
#
# On the pattern it takes one addition. The last 16 bits of a float32 are what bf16 has no room for. Read as an integer r, they say how far x is on its way from the neighbour towards zero to the neighbour away from zero: r / 2¹⁶ of the gap. On paper: x = 1 + 2⁻¹⁰ has the fraction `0000000 0010000000000000`, so r = 2¹³ and r / 2¹⁶ = ⅛. Add a random integer between 0 and 2¹⁶ − 1 to the pattern, then cut the last 16 bits. It carries in r of 2¹⁶ cases.
#
# Useful: `torch.randint(0, n, shape, generator=generator, dtype=torch.int32)`. After cutting, `.bfloat16()` is exact. Traps: ∞ and NaN, as in exercise 1; one random number for each element; no seed of your own.
#
# The check rounds 16,384 copies of a number. It knows no single result, but the share that moves away from zero should be near its probability: within 0.02, at least five standard deviations. If something is wrong with the random numbers or the dtype, a row *complaints* says what.


# %% nbgrader={"grade": false, "grade_id": "stochastic_round_bf16-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stochastic_round_bf16(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a float32 tensor of any shape, rounded at random to bf16 neighbours; the mean is x.

    >>> stochastic_round_bf16(torch.tensor([1.5]), torch.Generator().manual_seed(0))
    tensor([1.5000], dtype=torch.bfloat16)
    """
    ### BEGIN SOLUTION
    noise = torch.randint(0, 2**16, x.shape, generator=generator, dtype=torch.int32)
    bits = (x.view(torch.int32) + noise) >> 16 << 16
    return torch.where(x.isfinite(), bits.view(torch.float32), x).bfloat16()
    ### END SOLUTION


# %% [markdown]
# On the left, the mean of 1,000 of your roundings for numbers between two neighbours: it should lie on the diagonal. On the right, a bf16 weight that starts at 1 and gets a thousand updates of −0.001, rounded by your function.

# %%
hb.draw_stochastic(stochastic_round_bf16)

# %% nbgrader={"grade": true, "grade_id": "stochastic_round_bf16-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("stochastic_round_bf16")

# %% nbgrader={"grade": true, "grade_id": "stochastic_round_bf16-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Check what you remember
#
# Six questions, one point each, for practice: choose, read, choose again. Your last choice counts.

# %%
hb.quiz("stalled-sum")

# %%
hb.quiz("wide-accumulator")

# %%
hb.quiz("stochastic")

# %%
hb.quiz("lost-update")

# %%
hb.quiz("roundings")

# %%
hb.quiz("cancellation")

# %% nbgrader={"grade": true, "grade_id": "quiz-score", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
hb.check_quiz()

# %% [markdown]
# ## Say it in your own words
#
# A colleague keeps all weights in bf16 to save memory. With a learning rate of 10⁻⁴ the loss falls for a while and then stays where it is, although the gradients are not zero. In three to five sentences: what is the likely cause, why did the loss fall at first, what would you compute to be sure, and which two remedies do you know, with their price?

# %% [markdown] nbgrader={"grade": true, "grade_id": "explain-stall", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# The likely cause is that the updates have become too small for the weights: a step of at most half the gap to the next bf16 number rounds back to the weight, and in bf16 half a gap is between 1/512 and 1/256 of the weight. At first gradients were large enough, or weights small enough, for the steps to arrive; as gradients shrink, more and more of them are lost. To be sure I would compute, for each parameter, the share of elements with `w - lr * g == w` although `lr * g` is not zero. Remedies: keep a float32 copy of the weights and update that (4 more bytes for each weight); round the updated weight stochastically (no memory, but noise in each step, and a generator to keep track of); or carry Kahan's correction along (2 more bytes for each weight). A larger learning rate would hide the problem, not solve it.
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
# 1. *Round to any count of bits*: add one step less than half an ulp, one more if the last digit kept is odd, cut. The carry does the rest; ∞ and NaN stay out of it.
# 2. *Predict what is lost*: steps up to half the gap in front of the number, ties included if the number is even. At a power of two above the smallest normal number, the gap towards zero is half as wide. A running sum of equal terms is caught at the first power of two where the term is no more than half an ulp.
# 3. *Storage and accumulator*: storing costs up to half an ulp per term, once; a narrow accumulator costs up to half an ulp of the *total*, for each term. `torch.sum` adds wide and rounds the result; a loop does not.
# 4. *Add better*: errors grow as n·u in a loop, as log₂ n · u in pairs, and stay at about 2u with Kahan's correction.
# 5. *Cancellation*: a − b is exact for near numbers, and shows the errors that were made before. Rearrange, or keep more digits.
# 6. *Stochastic rounding*: right on average and worse each time; small updates arrive, as often as they should.
#
# And the three results from the beginning: in bf16 the sum was caught at 4, where half an ulp is 0.0156; 0.0004 lies between half a gap below 1, 0.00024, and half a gap above it, 0.00049; and 1.001 was stored as 1.0009765625.
#
# ## In practice
#
# What to type tomorrow, when a model in 16 bits stops learning: the share of updates that do not arrive.

# %%
torch.manual_seed(0)
model = torch.nn.Linear(256, 256).bfloat16()
model(torch.randn(64, 256).bfloat16()).square().mean().backward()
for name, w in model.named_parameters():
    for lr in (1e-1, 1e-2, 1e-3):
        step = lr * w.grad
        lost = (w - step == w) & (step != 0)
        print(f"{name:6} lr {lr:<5}: {lost.float().mean():6.1%} of the updates are lost")

# %% [markdown]
# - Long sums: `x.sum(dtype=torch.float32)`, and a float32 total for everything that is added up in a loop: losses, metrics, running means.
# - Weights: updates go into float32, or are rounded stochastically, or carry their error along. Never plainly into 16 bits.
# - Differences of nearly equal numbers: rearrange the formula before you convert it to 16 bits.
#
# Unit 3 goes to the ends of the range: overflow and underflow in softmax, losses and gradients.
#
# ## References
#
# - N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, SIAM, 2002: error bounds for summation in a loop, in pairs and with Kahan's correction; cancellation.
# - D. Goldberg, *What Every Computer Scientist Should Know About Floating-Point Arithmetic*, ACM Computing Surveys 23(1), 1991: cancellation, Kahan's summation.
# - W. Kahan, *Further remarks on reducing truncation errors*, Communications of the ACM 8(1), 1965.
# - P. H. Sterbenz, *Floating-Point Computation*, Prentice-Hall, 1974.
# - P. Micikevicius et al., *Mixed Precision Training*, ICLR 2018, [arXiv:1710.03740](https://arxiv.org/abs/1710.03740), sections 3.1 (master weights) and 3.3 (accumulation in float32).
# - S. Gupta et al., *Deep Learning with Limited Numerical Precision*, ICML 2015, [arXiv:1502.02551](https://arxiv.org/abs/1502.02551).
# - P. Zamirai et al., *Revisiting BFloat16 Training*, 2020, [arXiv:2010.06192](https://arxiv.org/abs/2010.06192).
# - M. Croci et al., *Stochastic rounding: implementation, error analysis and applications*, Royal Society Open Science 9, 2022.
# - Stanford CS336, *Language Modeling from Scratch*, Assignment 2, problem `mixed_precision_accumulation`: the experiment with four variants.
# - NumPy documentation, [`numpy.sum`](https://numpy.org/doc/stable/reference/generated/numpy.sum.html): partial pairwise summation.

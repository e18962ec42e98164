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
# # Unit 3 · Keep numbers inside the range
#
# **What you will do**
#
# 1. Predict where `exp`, squares and sums leave the range of fp16 and bf16, and follow an ∞ until it is a NaN.
# 2. Write a softmax and a cross entropy that stay inside the range, in fp16 alone.
# 3. Compute norms and variances whose squares do not destroy them.
# 4. Mask attention scores without making a NaN.
# 5. Sort the gradients of a real network by what fp16 does to them, and say what a loss scale changes.
#
# **What you need**: Unit 1 (the limits of fp16 and bf16, rounding at both ends of the range); from Unit 2 that a difference of nearly equal numbers loses its digits (*cancellation*). Softmax, cross entropy and attention as one meets them in PyTorch. No GPU.
# **Time**: about 130 minutes with the exercises. **Points**: 31, of which 6 are for a quiz and 3 for a written answer.
#
# fp16 ends at 65504, and at the lower end at 2⁻²⁴. A result of a formula can lie well inside this range while a number *on the way* to it does not. Such a formula can usually be written differently, so that it says the same and no step leaves the range. This unit is about finding the step, and about the few rewritings that nearly all of deep learning needs.

# %% tags=["imports"]
import math

import torch

import halfbits as hb

# %% [markdown]
# ## Predict three results
#
# Three modest questions: a softmax of three logits, the length of a vector of 4096 equal numbers, the variance of a thousand numbers around 10,000. The true answers are 0.665, 0.245, 0.090; 19200; 1.057 (divided by the count, not unbiased). The first two are computed in fp16, the third in float32. **Predict** what comes out of each line:

# %%
logits = torch.tensor([12.0, 11.0, 10.0], dtype=torch.float16)
print("softmax: ", (logits.exp() / logits.exp().sum()).tolist())
vector = torch.full((4096,), 300.0, dtype=torch.float16)
print("length:  ", vector.pow(2).sum().sqrt().item())
torch.manual_seed(0)
x = 10_000 + torch.randn(1000)
print("variance:", ((x * x).mean() - x.mean() ** 2).item())

# %% [markdown]
# A probability that is not a number, a length that is infinite, and a negative variance, each from the formula in the textbook, and no single operation did anything wrong: each was rounded as IEEE 754 says. At the end of this unit your functions will give the right answers in the same formats.
#
# ## Find where the range ends
#
# From Unit 1: in fp16 a result becomes ∞ from 65520 on, and 0 at 2⁻²⁵ and below. So you can compute where a *function* leaves the range by asking where it reaches these two numbers.
#
# **Predict**, with a calculator: from which x on is $e^x$ infinite in fp16? From which x on is x·x? And where do $e^{-x}$ and x·x become 0?

# %%
print("exp(x)  is ∞ from", math.log(65520), "      x·x is ∞ from ", math.sqrt(65520))
print("exp(−x) is 0 from", -math.log(2**-25), "      x·x is 0 up to", math.sqrt(2**-25))

# %% [markdown]
# A format of 16 bits is small enough to check such a claim on *every* number it has. Here are all positive numbers of fp16 and of bf16, in ascending order, and the first (or last) for which it happens:

# %%
for dtype, infinity in ((torch.float16, 0x7C00), (torch.bfloat16, 0x7F80)):
    x = torch.arange(1, infinity, dtype=torch.int32).to(torch.int16).view(dtype)
    print(dtype)
    print("  exp(x)  is ∞ from ", x[x.exp().isinf()][0].item())
    print("  x·x     is ∞ from ", x[(x * x).isinf()][0].item())
    print("  exp(−x) is 0 from ", x[(-x).exp() == 0][0].item())
    print("  x·x     is 0 up to", x[x * x == 0][-1].item())

# %% [markdown]
# Logits of 12 and activations of 300 are nothing unusual, and fp16 can neither exponentiate the first nor square the second. (At 11.0901 fp16 has no number; 11.09375 is its first one beyond.) bf16 squares numbers up to 10¹⁹, but its `exp` is ∞ from 89 on, and that of float32 from 88.73 on. The exponential uses up any range quickly: with 8 exponent bits instead of 5 it gets from 11 to 88.
#
# **Sums** are the third way out. A sum of 70,000 ones is 70,000, which fp16 does not have. **Predict** the sum and the mean:

# %%
ones = torch.ones(70_000, dtype=torch.float16)
print("sum:", ones.sum().item(), "  mean:", ones.mean().item())

# %% [markdown]
# PyTorch in effect adds both up in float32 and converts to fp16 at the end. The sum does not survive that, the mean does. Remember it for batches: `losses.mean()` is safer than `losses.sum() / n`.
#
# ## Follow an infinity
#
# An ∞ is no catastrophe in itself. IEEE 754 has rules for it, and most of them are what one expects of a very large number. **Predict** each line before you run the cell:

# %%
inf = torch.tensor(math.inf)
print("∞ + 1 ", (inf + 1).item(), "    ∞ × 2", (inf * 2).item(), "    1 / ∞", (1 / inf).item())
print("∞ − ∞ ", (inf - inf).item(), "    ∞ / ∞", (inf / inf).item(), "    0 × ∞", (0 * inf).item())
nan = math.nan
print("NaN × 0", nan * 0, "    NaN > 1", nan > 1, "  NaN = NaN", nan == nan)

# %% [markdown]
# The second line is where NaN comes from. Each of the three asks for the size of something that is lost: two numbers that are too large may differ by anything, their quotient may be anything, and so may the product of "too small" and "too large". From then on every sum, product or mean that a NaN enters is NaN, and every comparison with it is false, except ≠, which is true.
#
# So the usual story has three acts. Somewhere a number overflows to ∞. Some layers later a difference or a quotient of infinities is NaN. The loss, a mean, is NaN, so is every gradient, and the optimizer writes NaN into every weight. What you see is the last act; what you look for is the first. The naive softmax of [12, 11, 10] plays it all in one line: $e^{12} = \infty$, the sum is ∞, ∞/∞ = NaN.
#
# Here is a small network, forward and backward: two linear layers with squared ReLU in between, softmax, loss. **Predict** which step overflows first in fp16 when you make its input larger, then slide:

# %%
hb.overflow_explorer()

# %% [markdown]
# **Try it.** Guess first:
#
# 1. From which scale on is there an ∞, and in which step? How many steps later is the first NaN?
# 2. At 2⁸ the first ∞ is in another step, and the NaN comes in linear 2. How can a matrix product of ∞ and finite numbers be NaN?
# 3. At 2⁻¹⁶ there is neither ∞ nor NaN. What is wrong all the same?
# 4. Switch to bf16. Which of the overflows are gone, and which one stays?
#
# The same without the widget, for one scale:

# %%
hb.overflow_trace(scale=8)

# %% [markdown]
# ## Make softmax safe
#
# Softmax turns logits into probabilities, $p_i = e^{x_i} / \sum_j e^{x_j}$. Multiply numerator and denominator by the same number $e^{-m}$:
#
# $$p_i = \frac{e^{x_i}}{\sum_j e^{x_j}} = \frac{e^{x_i}\,e^{-m}}{\sum_j e^{x_j}\,e^{-m}} = \frac{e^{x_i - m}}{\sum_j e^{x_j - m}}$$
#
# Mathematically nothing changes, whatever m is. In floating point everything does. **Predict** which m is a good choice, and what becomes of the three problems: exponentials that overflow, sums that overflow, sums that are 0. Watch every intermediate number:

# %%
hb.softmax_explorer()

# %% [markdown]
# **Try it.** Guess first:
#
# 1. Three logits of 10: no exponential overflows, and yet the naive probabilities are all 0. Why?
# 2. Three logits of −20. What does the naive formula divide by what?
# 3. [12, 11, 10] in bf16: it works. How large must the largest logit be to break it there?

# %%
hb.softmax_steps([12, 11, 10], "fp16")

# %% [markdown]
# With m = max x every exponent is 0 or less, and one of them is 0:
#
# | | | | | sum |
# |---|---|---|---|---|
# | x | 12 | 11 | 10 | |
# | x − 12 | 0 | −1 | −2 | |
# | $e^{x-12}$ | 1 | 0.368 | 0.135 | 1.503 |
# | divided by the sum | 0.665 | 0.245 | 0.090 | 1 |
#
# (These are exact results, rounded to three places. The picture above shows 0.6655 for the first: in fp16 every step is rounded.)
#
# - No exponential exceeds 1, so none overflows.
# - The sum lies between 1 and the number of logits n: it does not overflow as long as n is at most 65504, and it is never 0.
# - What underflows is at most 2⁻²⁵ of the largest term. Its probability is 0 in fp16 in any case.
# - A logit of −∞, which is how a position is masked out, works as it should: −∞ − m = −∞, and $e^{-\infty} = 0$.
#
# ### Exercise 1: `softmax16`
#
# Write it along one dimension of a tensor, in fp16 from beginning to end: no wider dtype on the way, and not PyTorch's own softmax. Do not change the tensor that you were given, and leave autograd able to compute a gradient: make new tensors, no `-=` or `/=`. Every slice along `dim` has at least one finite logit.
#
# Useful: `x.amax(dim, keepdim=True)` and `e.sum(dim, keepdim=True)`. With `keepdim=True` the reduced dimension stays, with length 1, so that the result lines up with `x` in `x - …`. (`x.max(dim, keepdim=True)` returns a pair, values and indices; from a pair `x - …` is a TypeError. `amax` returns the values alone.)


# %% nbgrader={"grade": false, "grade_id": "softmax16-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def softmax16(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Return the softmax of an fp16 tensor along dim, computed in fp16 alone.

    >>> softmax16(torch.tensor([10.0, 10.0], dtype=torch.float16), 0)
    tensor([0.5000, 0.5000], dtype=torch.float16)
    """
    ### BEGIN SOLUTION
    e = (x - x.amax(dim, keepdim=True)).exp()
    return e / e.sum(dim, keepdim=True)
    ### END SOLUTION


# %% [markdown]
# Your function on some logits:

# %%
rows = ([12, 11, 10], [10, 10, 10], [-20, -20, -20], [3, -math.inf, 2])
hb.results(softmax16, {str(r): (torch.tensor(r, dtype=torch.float16), 0) for r in rows})

# %% nbgrader={"grade": true, "grade_id": "softmax16-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("softmax16")

# %% nbgrader={"grade": true, "grade_id": "softmax16-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# `torch.softmax` subtracts the maximum, too, so you need not write this at work. You need to recognize it: in attention kernels that walk through the scores block by block, in losses of your own, in every place where somebody typed `x.exp() / x.exp().sum()`.
#
# ## Take the logarithm in time
#
# The loss of a classifier is the negative logarithm of the label's probability. A bad prediction has a small one. **Predict**: the label's logit lies 20 below the other one. Its probability is $1/(1+e^{20})$, about 2 × 10⁻⁹. What is the loss in fp16?

# %%
gap = torch.tensor(-20.0, dtype=torch.float16)
print("log(sigmoid(x)):", gap.sigmoid().log().item())
print("logsigmoid(x):  ", torch.nn.functional.logsigmoid(gap).item())

# %% [markdown]
# (For two classes softmax is the sigmoid of the difference of the logits.) The probability is below 2⁻²⁵, so it is 0, and log 0 = −∞: the loss is infinite exactly where the model most needs a gradient. An epsilon, log(p + 10⁻⁷), trades the ∞ for a ceiling: in fp16 the loss is then 15.9 for every gap of 18 and more, and its gradient is worse than none: 1/10⁻⁷ overflows, and ∞ times the probability 0 is NaN.
#
# The way out is never to form the probability. Write the logarithm of the quotient as a difference:
#
# $$-\log p_y = \log \sum_j e^{x_j} - x_y = \log \sum_j e^{x_j - m} - (x_y - m)$$
#
# The first part is called **log-sum-exp**. With m = max x its sum is at least 1, so its logarithm is at least 0 and at most log n. For logits (0, 20) and label 0:
#
# | | | |
# |---|---|---|
# | x − 20 | −20 | 0 |
# | $e^{x-20}$ | 2 × 10⁻⁹, so 0 | 1 |
# | log of the sum | log 1 = 0 | |
# | loss | 0 − (−20) = **20** | |
#
# The true value is 20.000000002. A probability that underflowed did no harm, for it was added to 1 before the logarithm.
#
# One more trap. It is tempting to compute log-sum-exp first, m included, and to subtract $x_y$ afterwards. **Predict** what that makes of three logits of 1000, where the loss is log 3 ≈ 1.0986:

# %%
x = torch.full((3,), 1000.0, dtype=torch.float16)
total = torch.logsumexp(x, 0)
print("log-sum-exp:", total.item(), "  loss:", (total - x[0]).item())

# %% [markdown]
# At 1000 the gap between fp16 numbers is 0.5, so 1001.0986 is rounded to 1001. That is the cancellation of Unit 2: large numbers nearby, and their difference is what the rounding left. Stay with the differences x − m.
#
# ### Exercise 2: `cross_entropy16`
#
# `logits` has one row for each example and one column for each class, `y` the label of each row. Return the mean loss of the batch, computed in fp16 alone, without PyTorch's softmax, log-sum-exp or losses. A logit may be −∞ (a masked class), that of a label never is. The mean must come out even where the sum of all losses exceeds 65504.
#
# Useful: `z[torch.arange(len(y)), y]` takes from each row i the entry `y[i]`.


# %% nbgrader={"grade": false, "grade_id": "cross_entropy16-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cross_entropy16(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean cross entropy of fp16 logits (n, classes) and int64 labels (n,).

    >>> cross_entropy16(torch.tensor([[0.0, 20.0]], dtype=torch.float16), torch.tensor([0]))
    tensor(20., dtype=torch.float16)
    """
    ### BEGIN SOLUTION
    z = logits - logits.amax(1, keepdim=True)
    losses = z.exp().sum(1).log() - z[torch.arange(len(y)), y]
    return losses.mean()
    ### END SOLUTION


# %% [markdown]
# Your loss for one example with the logits (0, gap), where the label is the first class. It should grow with the gap:

# %%
pairs = {f"gap {g}": torch.tensor([[0, g]], dtype=torch.float16) for g in (1, 10, 16, 20, 100)}
hb.results(cross_entropy16, {name: (x, torch.tensor([0])) for name, x in pairs.items()})

# %% nbgrader={"grade": true, "grade_id": "cross_entropy16-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("cross_entropy16")

# %% nbgrader={"grade": true, "grade_id": "cross_entropy16-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# Now go back to the network of the section *Follow an infinity*, set the scale to 2³ and change its ending. With the stable softmax every probability is right, and the loss is ∞ all the same, for the label's probability is 0. With log-softmax, which is what you have written, the loss is finite.
#
# ## Square without losing the number
#
# A norm squares, sums, and takes the root, which undoes the squaring. In between, the numbers have *twice* the exponent. So only the inner half of the exponents is safe: in fp16 entries from 256 on overflow, and entries up to 1.7 × 10⁻⁴ count as 0. Gradients, which gradient clipping measures by their norm, are often smaller than that.
#
# The trick is that of softmax, with a quotient instead of a difference: take out the largest magnitude first, and put it back at the end.
#
# $$\sqrt{\textstyle\sum_i x_i^2} = t\,\sqrt{\textstyle\sum_i (x_i/t)^2}, \qquad t = \max_i |x_i|$$
#
# | | | | |
# |---|---|---|---|
# | x | −300 | 400 | t = 400 |
# | x / t | −0.75 | 1 | |
# | squares | 0.5625 | 1 | sum 1.5625 |
# | root × t | | | 1.25 × 400 = **500** |
#
# Directly, 300² = 90000 would already be ∞. With the quotients the largest square is 1 and the sum lies between 1 and n, as in softmax.
#
# ### Exercise 3: `safe_norm16`
#
# Return the Euclidean norm of an fp16 vector in fp16 alone, without PyTorch's norms. The entries are finite; they may be as small as the subnormals. A vector of zeros has the norm 0. If the norm itself is beyond the range, ∞ is right.


# %% nbgrader={"grade": false, "grade_id": "safe_norm16-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def safe_norm16(x: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean norm of an fp16 vector as an fp16 tensor without dimensions.

    >>> safe_norm16(torch.tensor([300.0, 400.0], dtype=torch.float16))
    tensor(500., dtype=torch.float16)
    """
    ### BEGIN SOLUTION
    top = x.abs().max()
    if top == 0:
        return top
    y = x / top
    return top * (y * y).sum().sqrt()
    ### END SOLUTION


# %% [markdown]
# Your norm of (3t, 4t), which is 5t, from one end of the range to the other:

# %%
vector = torch.tensor([3.0, 4.0])
scales = {f"t = 2^{k}": ((vector * 2.0**k).half(),) for k in (-24, -16, -8, 0, 6, 13)}
hb.results(safe_norm16, scales)

# %% nbgrader={"grade": true, "grade_id": "safe_norm16-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("safe_norm16")

# %% nbgrader={"grade": true, "grade_id": "safe_norm16-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Keep a variance from turning negative
#
# Squares have a second way to destroy a result, inside the range. The variance is the mean of $(x - \bar x)^2$. Multiplied out, it becomes the difference of two means, $\overline{x^2} - \bar x^2$, which is convenient: one pass over the data, and sums are all one has to keep. **Predict** what the difference gives as the mean moves away from 0, while the true variance stays the same. (Two cures are drawn as well. They come right after the picture.)

# %%
hb.variance_explorer()

# %%
hb.variances("fp32")

# %% [markdown]
# At a mean of 10⁴ the squares are near 10⁸, and there the gap between float32 numbers is 8. Both means of the difference are rounded to such steps, and the variance, about 1, is smaller than one step. What comes out is a small multiple of 8: −8, 0, 8. Nothing left the range; this is cancellation. Nothing negative can be a variance, and a square root of it, as in a normalization layer, is NaN.
#
# **Two passes** cure it: first the mean, then the mean of $(x - \bar x)^2$, which subtracts before it squares, while the rounding is still small. But a stream of activations passes only once. What then?
#
# **Combine.** Keep three numbers of what has been seen: the count n, the mean, and $M_2$, the sum of squared deviations from that mean. A new chunk has its own three: k, its mean, its $M_2$. With δ = its mean − the mean so far, both parts together have
#
# $$\text{count } n + k, \qquad \text{mean} + \delta\,\frac{k}{n+k}, \qquad M_2 + M_2^{\text{chunk}} + \delta^2\,\frac{n\,k}{n+k}$$
#
# This is the rule of Chan, Golub and LeVeque (1983). For chunks of one number (k = 1, $M_2 = 0$) it is the older one of Welford (1962). The last term is what the means' distance adds. Nothing is subtracted that is large. The chunks (10001, 10003) and (10005):
#
# | | count | mean | $M_2$ |
# |---|---|---|---|
# | first chunk | 2 | 10002 | (−1)² + 1² = 2 |
# | second chunk | 1 | 10005 | 0 |
# | both: δ = 3 | 3 | 10002 + 3 · ⅓ = 10003 | 2 + 0 + 9 · ⅔ = 8 |
#
# The variance of the three is 8/3 if you divide by the count. The *unbiased* estimate divides by the count minus 1 and is 4. `torch.var` does the latter by default, normalization layers do the former.
#
# ### Exercise 4: `running_var`
#
# `chunks` gives tensors of float32 numbers, one after the other, and only once. Their lengths differ; a chunk can be empty, all together hold at least two numbers. Return the variance of all numbers as a float32 tensor. Do not keep the chunks: each is seen once, and there is no room for all of them (so no `torch.cat`). Stay in float32: the counts may be Python numbers; the mean and $M_2$ stay float32 tensors (no `.item()`).
#
# Within a chunk you may use what you like, such as `torch.var_mean(c, correction=0)`, which returns the variance and the mean of `c`. With `correction=0` it divides by k. By default it divides by k − 1, which is 0 for a chunk of one number, and the variance is NaN.


# %% nbgrader={"grade": false, "grade_id": "running_var-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def running_var(chunks, unbiased: bool) -> torch.Tensor:
    """Return the variance of all numbers in an iterable of float32 tensors, each read once.

    >>> running_var([torch.tensor([10001.0, 10003.0]), torch.tensor([10005.0])], True)
    tensor(4.)
    """
    ### BEGIN SOLUTION
    count, mean, m2 = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        k = chunk.numel()
        if k == 0:
            continue
        delta = chunk.mean() - mean
        m2 = m2 + (chunk - chunk.mean()).square().sum() + delta**2 * count * k / (count + k)
        mean = mean + delta * k / (count + k)
        count += k
    return m2 / (count - unbiased)
    ### END SOLUTION


# %% [markdown]
# Your variance of the same thousand numbers, moved away from 0. It should stay near 1.058 (unbiased):

# %%
torch.manual_seed(0)
z = torch.randn(1000)
moved = {f"mean {m:,}": ((m + z).split(300), True) for m in (0, 100, 10_000, 100_000)}
hb.results(running_var, moved)

# %% nbgrader={"grade": true, "grade_id": "running_var-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("running_var")

# %% nbgrader={"grade": true, "grade_id": "running_var-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Mask without making a NaN
#
# Attention must not look at some positions: padding, or the future. The usual way adds a *bias* to the scores before softmax: 0 where a position may be attended to, something very negative where not. How negative? Code from float32 days says −10⁹. **Predict** what fp16 makes of that, by two ways of writing it:

# %%
scores = torch.zeros(3, dtype=torch.float16)
keep = torch.tensor([True, False, True])
try:
    print(scores.masked_fill(~keep, -1e9))
except RuntimeError as error:
    print("masked_fill:", error)
print("added:      ", scores + torch.where(keep, 0.0, -1e9).half())

# %% [markdown]
# One way refuses, the other converts −10⁹ to −∞ without a word. For this row that is fine: softmax turns −∞ into a weight of 0. But some rows are masked as a whole, such as those of an empty example in a batch. Then the maximum is −∞ itself, and −∞ − (−∞) is NaN. The output of that row matters to nobody; its NaN reaches everybody, through the next mean or sum, or as 0 × NaN in the backward pass.
#
# `torch.finfo(dtype).min`, the most negative *finite* number of the format, avoids it:

# %%
for name, low in (("−∞", -math.inf), ("finfo.min", torch.finfo(torch.float16).min)):
    row = torch.full((3,), low, dtype=torch.float16)
    print(f"all masked with {name:9}:", torch.softmax(row, 0).tolist())

# %% [markdown]
# Equal weights, which are as good as any for a row that nobody reads. It must be a number that the dtype of the scores has: the one of float32 is −∞ in fp16, and in bf16 as well, because it lies more than half a step beyond bf16's last number.
#
# For sharp eyes: finfo.min is finite, and finfo.min plus a *score* need not be. **Predict** what a fully masked row of scores of −20 gives, before you run this:

# %%
row = torch.full((3,), -20.0, dtype=torch.float16) + torch.finfo(torch.float16).min
print(row.tolist(), "→", torch.softmax(row, 0).tolist())

# %% [markdown]
# −65504 − 20 = −65524 lies beyond 65520, so it rounds to −∞, and we are back at NaN. As long as the scores stay above −16 it does not happen. Where they can be that negative, put the number in *instead of* the score, with `masked_fill`, or give `scaled_dot_product_attention` the boolean mask. (In torch 2.13 on the CPU, a fully masked row then comes out as zeros.)
#
# ### Exercise 5: `mask_bias`
#
# Make the additive bias from a boolean mask, where True means *may be attended to* (as in `scaled_dot_product_attention`). The check takes the softmax of the bias alone, along the last dimension, as if all scores were 0. A masked position must get the weight 0, and a row that is masked as a whole equal weights. For a row with the mask (True, False, True) the weights are ½, 0, ½.


# %% nbgrader={"grade": false, "grade_id": "mask_bias-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mask_bias(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a tensor of the mask's shape and of this dtype to add to attention scores.

    It is 0 where the mask is True. Nowhere may it lead to a NaN in softmax.
    """
    ### BEGIN SOLUTION
    bias = torch.zeros(mask.shape, dtype=dtype)
    return bias.masked_fill(~mask, torch.finfo(dtype).min)
    ### END SOLUTION


# %% [markdown]
# Your bias for a row that is masked in part, and for one that is masked as a whole:

# %%
some, none = torch.tensor([True, False, True]), torch.tensor([False, False, False])
calls = {
    f"{m.tolist()}, {d}": (m, d) for m in (some, none) for d in (torch.float16, torch.bfloat16)
}
hb.results(mask_bias, calls)

# %% nbgrader={"grade": true, "grade_id": "mask_bias-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("mask_bias")

# %% nbgrader={"grade": true, "grade_id": "mask_bias-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Sort real gradients
#
# So far single formulas. Now a whole network: MiniLM, a transformer of 22.7 million weights, after one backward pass of a classification loss over 16 sentences, in float32. Here are 100,000 of its weights' gradients, drawn at random. (The picture further down counts all 22.7 million of them, so what is rare, such as the first overflow, can differ.)

# %%
g = hb.recorded_gradients()
sizes = g[g != 0].abs()
print(f"largest {sizes.max():.1e}, median of those that are not 0 {sizes.median():.1e}")

# %% [markdown]
# Their middle lies below 2⁻¹⁴ ≈ 6.1 × 10⁻⁵, where fp16's normal numbers end. If a gradient is multiplied by a scale (1 for now) and converted to fp16, it meets one of five fates:
#
# | | times the scale, in float32 | in fp16 | what is lost |
# |---|---|---|---|
# | **zero** | 0 | 0 | nothing: there was no gradient |
# | **flushed** | not 0, at most 2⁻²⁵ | 0 | everything |
# | **subnormal** | from above 2⁻²⁵ to about 2⁻¹⁴ | not 0, but below 2⁻¹⁴ | bits: the smaller, the fewer are left |
# | **normal** | from about 2⁻¹⁴ to below 65520 | 11 significant bits | no more than rounding takes |
# | **overflow** | from 65520 on | ∞ | everything, and the step with it |
#
# The boundary of what is flushed is 2⁻²⁵ and not the smallest number of fp16, 2⁻²⁴, because conversion rounds to the *nearest*: what lies above half of 2⁻²⁴ is rounded up. Exactly half is a tie, and goes to the even neighbour, 0. It is "about" 2⁻¹⁴ for the same reason: 6.1034 × 10⁻⁵ lies a little below 2⁻¹⁴ and is rounded up to it, so what comes out is normal.

# %%
torch.tensor([2.9e-8, 2.0**-25, 3e-8, 2.0**-24]).half()

# %% [markdown]
# **Predict** how the weights' gradients of MiniLM divide into the five, and which of the five a larger scale makes smaller. Then drag the scale:

# %%
hb.gradient_explorer()

# %%
hb.gradient_histogram(scale=1)

# %% [markdown]
# **Try it.**
#
# 1. Which bar never moves? Those gradients belong to rows of the embedding tables that nothing reads: words that do not occur in the 16 sentences, positions beyond the 32 that they have.
# 2. What is it that fp16 does to MiniLM at scale 1: does it erase gradients, or does it blur them?
# 3. From which scale on are nearly all of them normal? How much further can you go before the first one overflows?
# 4. Switch to the gradients of the activations. Why are they worse off?
#
# (On 4: the gradient of a weight is a sum over all tokens of the batch, that of an activation belongs to one token. The paper and NVIDIA's guide, below, look at activations.)
#
# A **loss scale** S multiplies the loss before the backward pass. By the chain rule every gradient comes out S times as large. On the axis of exponents that is a shift of the whole histogram by log₂ S; with a power of two no digit changes. After the backward pass the gradients are converted to float32, which has room for them, and divided by S. How to choose S, and what to do when it was too large, is Unit 5.
#
# ### Exercise 6: `grad_report`
#
# Sort float32 gradients into the five fates after they were multiplied by `scale` and converted to fp16. Return the fraction of *all* gradients in each, as floats, under the keys `"zero"`, `"flushed"`, `"subnormal"`, `"normal"`, `"overflow"`. What counts as subnormal, normal or overflow is the fp16 number that comes out. All gradients are finite; some are negative.
#
# A worked example: of (0, 2.9 × 10⁻⁸, −10⁻⁶, 2) at scale 1, a quarter each is zero, flushed, subnormal and normal. At scale 4096 the third is −0.0041 and normal; the second is 1.2 × 10⁻⁴, normal as well.


# %% nbgrader={"grade": false, "grade_id": "grad_report-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def grad_report(g: torch.Tensor, scale: float) -> dict[str, float]:
    """Return which fractions of float32 gradients g × scale become what in fp16.

    >>> grad_report(torch.tensor([0.0, 1.0]), 1.0)["zero"]
    0.5
    """
    ### BEGIN SOLUTION
    half = (g * scale).half()
    smallest_normal = torch.finfo(torch.float16).smallest_normal
    fates = {
        "zero": g == 0,
        "flushed": (g != 0) & (half == 0),
        "subnormal": (half != 0) & (half.abs() < smallest_normal),
        "normal": half.isfinite() & (half.abs() >= smallest_normal),
        "overflow": half.isinf(),
    }
    return {fate: found.sum().item() / g.numel() for fate, found in fates.items()}
    ### END SOLUTION


# %% [markdown]
# Your report on the real gradients. The first row has a scale below 1: with a loss 256 times smaller, 20 % of the gradients would be flushed instead of 0.2 %. So much can depend on where a loss happens to lie.

# %%
calls = {f"scale 2^{k}": (g, 2.0**k) for k in (-8, 0, 3, 8, 16, 24)}
hb.results(grad_report, calls)

# %% nbgrader={"grade": true, "grade_id": "grad_report-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("grad_report")

# %% nbgrader={"grade": true, "grade_id": "grad_report-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ### Read a famous histogram
#
# The picture that made loss scaling known is Figure 3 of *Mixed Precision Training* (Micikevicius et al., 2018): the activation gradients of the object detector Multibox SSD, recorded while it trained **in float32**. 67 % of them are zero in that figure. It is often retold as "fp16 turns 67 % of the gradients into zeros". Read again: they were zero in float32. No fp16 was involved, and no scale brings them back.
#
# What fp16 would do is another number. NVIDIA's guide *Train With Mixed Precision* gives it for the same network: converted to fp16, **31 %** of the values become zeros, and 5.3 % are left that are not zero. (With the 66.8 % that the guide reads off as zeros from the start, the three come to 103 %; it does not say why. The orders of magnitude are what counts.) In our words: two thirds *zero*, a third *flushed*, hardly anything left.
#
# That network diverged in fp16. A scale of 8, a shift by 3 powers of two, was enough to match the accuracy of float32; so the authors conclude that gradients below 2⁻²⁷ did not matter for it, while those from 2⁻²⁷ to 2⁻²⁴ did (section 3.2). A scale of 32,768 would have rescued all but 0.1 % of the values lost, the guide says, and still not overflowed.
#
# ## Check what you remember
#
# Six questions, one point each. This is practice: what you choose is saved at once and you read why it is right or wrong; try again as often as you like. Your last choice counts.

# %%
hb.quiz("exp-overflow")

# %%
hb.quiz("minus-max")

# %%
hb.quiz("ssd-zeros")

# %%
hb.quiz("long-vector")

# %%
hb.quiz("layers")

# %%
hb.quiz("smallest-scale")

# %% nbgrader={"grade": true, "grade_id": "quiz-score", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
hb.check_quiz()

# %% [markdown]
# ## Say it in your own words
#
# A colleague has trained in fp16 without a loss scale and found that 70 % of the gradients are zero. "fp16 destroys most of my gradients," they say, "so I will scale the loss by 2³⁰." In four to six sentences: which measurement is missing before one may say that; what exactly a loss scale changes and what it cannot change; what is wrong with choosing 2³⁰; and how you would choose.

# %% [markdown] nbgrader={"grade": true, "grade_id": "explain-scale", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# The same gradients have to be looked at in float32: those that are exactly zero there (dead ReLUs, padding, words that did not occur) were not destroyed by fp16, and no scale changes them. Only those that are not zero in float32 and at most 2⁻²⁵ in magnitude were flushed. A loss scale multiplies the loss and so, by the chain rule, every gradient: it shifts the whole histogram by log₂ S and leaves its shape alone. It moves the large gradients, too. With 2³⁰ every gradient from about 6 × 10⁻⁵ on reaches 65520 and becomes ∞, which ruins the step. I would take the largest gradient, with a margin, and choose the largest power of two that keeps it below 65520, or count flushed and overflowing values for some scales and take one that has next to none of either.
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
# 1. *Predict the thresholds*: ask where the function reaches 65520 or 2⁻²⁵. In fp16 `exp` overflows from 11.09 on, squares from 256 on; an ∞ becomes a NaN where a difference or a quotient of infinities, or 0 × ∞, is formed.
# 2. *Softmax and cross entropy*: subtract the maximum of each row, which changes nothing mathematically; take the logarithm of the sum, never of a probability; stay with the differences.
# 3. *Norms and variances*: divide by the largest magnitude before you square, and multiply it back; subtract the mean before you square, and combine chunks by count, mean and $M_2$.
# 4. *Masks*: the most negative finite number of the scores' own dtype; −∞ makes NaN in a row that is masked as a whole.
# 5. *Gradients*: zero, flushed (up to 2⁻²⁵), subnormal (below 2⁻¹⁴), normal, overflow (from 65520 on); a loss scale shifts them all by log₂ S and leaves the zeros where they are.
#
# And the three results from the beginning: $e^{12}$ overflows and ∞/∞ is NaN; 300² overflows although the norm is 19200; and 10⁸ is known in float32 to a multiple of 8, so the variance of 1.057 (divided by the count) is lost in the difference.
#
# ## In practice
#
# What to type tomorrow. PyTorch has the safe version of each, and its reductions can be told to work in a wider format inside:

# %%
x = torch.tensor([300.0, -400.0, 0.001], dtype=torch.float16)
print("norm:         ", torch.linalg.vector_norm(x, dtype=torch.float32).item())
print("log-softmax:  ", torch.log_softmax(x, 0).tolist())
print("log-sum-exp:  ", torch.logsumexp(x, 0).item())
print("mean, variance", [t.item() for t in torch.var_mean(x.float())])

# %% [markdown]
# - Give losses **logits**: `cross_entropy`, `binary_cross_entropy_with_logits`, `logsigmoid`, not the logarithm of a softmax or sigmoid.
# - In your own code: subtract before `exp`, divide before squaring, center before squaring.
# - No −10⁹: `torch.finfo(scores.dtype).min`, or a boolean mask for `scaled_dot_product_attention`.
# - An epsilon, a `clamp` or a `nan_to_num` is a guess about where the trouble is. When a NaN appears, look for the first ∞ before it: `x.isfinite().all()` after each layer finds it.
# - `torch.where(x > 0, x.sqrt(), 0)` has a NaN for a gradient at x = 0: the branch that is not taken is multiplied by 0 in the backward pass, and its slope is ∞. Make the *input* safe, `x.clamp(min=tiny).sqrt()`, not the output.
# - bf16 has float32's range: squares of numbers up to 10¹⁹ fit, and gradients down to 10⁻⁴⁰ are not flushed. But `exp` overflows there as in float32, and cancellation is worse, for bf16 has fewer digits.
#
# Unit 4 lets PyTorch choose the format for each operation; Unit 5 builds the machine that chooses the loss scale.
#
# ## References
#
# - P. Micikevicius et al., *Mixed Precision Training*, ICLR 2018, [arXiv:1710.03740](https://arxiv.org/abs/1710.03740), section 3.2 and Figure 3.
# - NVIDIA, [*Train With Mixed Precision*](https://docs.nvidia.com/deeplearning/performance/mixed-precision-training/index.html), on loss scaling: the shares for Multibox SSD, the scales 8 and 32,768.
# - P. Blanchard, D. J. Higham, N. J. Higham, *Accurately computing the log-sum-exp and softmax functions*, IMA Journal of Numerical Analysis 41(4), 2021.
# - B. P. Welford, *Note on a Method for Calculating Corrected Sums of Squares and Products*, Technometrics 4(3), 1962.
# - T. F. Chan, G. H. Golub, R. J. LeVeque, *Algorithms for Computing the Sample Variance: Analysis and Recommendations*, The American Statistician 37(3), 1983.
# - IEEE Std 754-2019, *IEEE Standard for Floating-Point Arithmetic*: what infinities and NaN do.
# - PyTorch documentation: [`torch.logsumexp`](https://docs.pytorch.org/docs/2.13/generated/torch.logsumexp.html), [`scaled_dot_product_attention`](https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.scaled_dot_product_attention.html).

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
# # Unit 1 · Read a number from its bits
#
# **What you will do**
#
# 1. Split any floating-point number into sign, exponent and fraction, and read its value back.
# 2. Derive a format's largest number, smallest numbers and `eps` from two integers: how many exponent bits it has, and how many fraction bits.
# 3. Read `torch.finfo` correctly, and know what it leaves out.
# 4. Say how far apart neighbouring numbers are, anywhere in a format, and what rounding does between them.
# 5. Explain why bfloat16 reaches as far as float32, and what it pays for that.
#
# **What you need**: Python, one PyTorch model trained in your life, and binary numbers: $101_2 = 5$, and after the point the places are worth ½, ¼, ⅛, so $0.01_2 = \tfrac14$. No GPU.
# **Time**: about 120 minutes with the exercises; the last one alone takes half an hour. **Points**: 26, of which 6 are for a quiz and 3 for a written answer.
#
# Training in mixed precision means doing most of the arithmetic in 16 bits, or in 8, and keeping in 32 what cannot bear it. When that goes wrong, the symptoms are strange: a loss that turns into `nan`, weights that stop moving, a sum that will not grow. Each of them has its cause in the layout of a few bits. This unit is about those bits.

# %% tags=["imports"]
import math

import torch

import halfbits as hb

# %% [markdown]
# `halfbits` (`hb`) is the course's own library: it draws the pictures and checks your answers. If checks, quizzes or the Validate button are new to you, take `00_start_here` first.
#
# ## Predict three results
#
# float16 (we write **fp16**) is a 16-bit format that today's deep-learning GPUs compute with. Before you run the next cell, write down your guess for each line:
#
# - 2048 + 1
# - 300 × 300
# - 0.0001 × 0.0001

# %%
a = torch.tensor([2048.0, 300.0, 0.0001], dtype=torch.float16)
b = torch.tensor([1.0, 300.0, 0.0001], dtype=torch.float16)
print("2048 + 1        =", (a + b)[0].item())
print("300 × 300       =", (a * b)[1].item())
print("0.0001 × 0.0001 =", (a * b)[2].item())

# %% [markdown]
# A step of 1 vanished, a modest product became infinite, and a small one became zero. PyTorch printed no warning: for the hardware these are the correct results. At the end of this unit you will be able to predict all three from the format's layout.
#
# ## Write a number with three fields
#
# Scientific notation writes −0.00625 as −6.25 × 10⁻³: a sign, some digits with the point after the first, and an exponent. Computers do the same in base 2. Take 6.25:
#
# $$6.25 = 4 + 2 + \tfrac14 = 110.01_2 = 1.1001_2 \times 2^2$$
#
# The point is moved until one 1 stands before it. That leading 1 is always there, so it need not be stored. What has to be stored is
#
# - the **sign**: 0 for plus, 1 for minus;
# - the **exponent**: 2. Exponents can be negative, and the field holds only whole numbers from 0 up, so a constant is added: the **bias**. In fp16 it is 15, and the field holds 2 + 15 = 17 = `10001`;
# - the **fraction**: the digits after the point, `1001`, filled up with zeros to 10 bits.
#
# fp16 has 1 + 5 + 10 bits. 6.25 becomes `0 10001 1001000000`:
#
# $$(-1)^{0} \times 1.1001000000_2 \times 2^{17-15} = 6.25$$
#
# The number 1.fraction is called the **significand**. bfloat16 (**bf16**) spends its 16 bits differently: 1 + 8 + 7, with a bias of 127. Here are both. Every bit is a button.

# %%
hb.explore("fp16", "bf16", value="6.25")

# %% [markdown]
# **Try it.** Guess first, then click:
#
# 1. Which one bit turns 6.25 into −6.25? Which one halves it to 3.125? Doubling it to 12.5 takes two bits: which, and why?
# 2. Type `0.1`. Neither format holds it. Which one is closer, and by how much?
# 3. Type `2049`, then `2048`. What does each format make of them? (This is the vanished step from above.)
# 4. Set all exponent bits to one. Then clear the fraction as well. Then set all exponent bits to zero. Something else happens each time: that is the next section.
#
# The link between the two formats carries the number over: what you click in one is rounded into the other. An *ulp*, which the explorer mentions, is the gap between neighbours; it gets a section of its own below.
#
# <details><summary>Without the widget (on GitHub, or on paper)</summary>
#
# The same number, as text: run `print(hb.explore("fp16", "bf16", value="6.25"))`. The lowest fraction bit moves a number to its neighbour; adding one to the exponent field doubles it.
#
# </details>
#
# PyTorch can show the bits, too: `view` reads the same memory as another type of the same size.

# %%
pattern = torch.tensor(6.25, dtype=torch.float16).view(torch.uint16).item()
f"{pattern:016b}"

# %% [markdown]
# ## Give every pattern a meaning
#
# With a leading 1 that is always there, zero cannot be written. So the two extreme values of the exponent field are set aside (E is the number of exponent bits, M the number of fraction bits, $s$ the sign, and the bias is $2^{E-1}-1$):
#
# | exponent field | fraction | the number is | its value |
# |---|---|---|---|
# | all zeros | all zeros | **zero**, with a sign | $(-1)^s \times 0$ |
# | all zeros | anything else | **subnormal** | $(-1)^s \times 0.\mathrm{fraction}_2 \times 2^{1-\mathrm{bias}}$ |
# | in between | anything | **normal** | $(-1)^s \times 1.\mathrm{fraction}_2 \times 2^{\mathrm{exponent}-\mathrm{bias}}$ |
# | all ones | all zeros | **infinity** | $(-1)^s \times \infty$ |
# | all ones | anything else | **NaN**, "not a number" | – |
#
# The subnormals need a second look. Their leading digit is 0, and their exponent is that of the *smallest normal numbers*, 1 − bias, not 0 − bias. So they continue the line of numbers down to zero in equal steps. Look at a format small enough to count: 6 bits, 1 + 3 + 2, so 64 patterns. These are its numbers from 0 to 4.

# %%
hb.number_line(hb.Format("tiny", 3, 2), zoom=(0, 4))

# %% [markdown]
# From 0 to 0.25, where the subnormals are, the steps are the same as from 0.25 to 0.5. Without them there would be a hole around zero, and two different numbers could have a difference of 0. In this format 0.3125 − 0.25 = 0.0625, and 0.0625 is a subnormal number. With them, `x - y == 0` means `x == y`, as long as the hardware keeps subnormals. (Some modes flush them to zero for speed.)
#
# ### Exercise 1: `decode`
#
# Write the table above as a function. You get the pattern as an integer, for example `0b0_10001_1001000000`, and the widths of the two fields. It must work for every layout, not for fp16 alone.
#
# Useful: `bits >> n` drops the n lowest bits, `bits & (2**n - 1)` keeps the n lowest bits, and Python ignores underscores in numbers. The fraction field, read as an integer f, stands for the digits after the point: 0.fraction is `f / 2**man_bits`. `math.inf` and `math.nan` are the special values. Zero has a sign: `-0.0` is a float of its own, although `-0.0 == 0.0`.


# %% nbgrader={"grade": false, "grade_id": "decode-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def decode(bits: int, exp_bits: int, man_bits: int) -> float:
    """Return the value of a bit pattern: sign, then exp_bits exponent bits, then man_bits fraction bits.

    >>> decode(0b0_10001_1001000000, 5, 10)
    6.25
    """
    ### BEGIN SOLUTION
    sign = -1.0 if bits >> (exp_bits + man_bits) else 1.0
    exponent = (bits >> man_bits) & (2**exp_bits - 1)
    fraction = (bits & (2**man_bits - 1)) / 2**man_bits
    bias = 2 ** (exp_bits - 1) - 1
    if exponent == 2**exp_bits - 1:
        return sign * math.inf if fraction == 0 else math.nan
    if exponent == 0:
        return sign * fraction * 2.0 ** (1 - bias)
    return sign * (1 + fraction) * 2.0 ** (exponent - bias)
    ### END SOLUTION


# %% [markdown]
# Your function on the tiny format: its values from 0 to 4 are drawn over the right ones, and the count is over all 64 patterns.

# %%
hb.draw_decoded(decode, exp_bits=3, man_bits=2, zoom=(0, 4))

# %% nbgrader={"grade": true, "grade_id": "decode-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("decode")

# %% nbgrader={"grade": true, "grade_id": "decode-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Derive the limits of a format
#
# Everything about a format follows from E and M. Work it out for fp16, where E = 5, M = 10 and the bias is 15:
#
# | | exponent field | fraction | value |
# |---|---|---|---|
# | largest number | `11110` (all ones is taken) | `1111111111` | $(2-2^{-10}) \times 2^{30-15} = 65504$ |
# | smallest normal number | `00001` | `0000000000` | $2^{1-15} \approx 6.10 \times 10^{-5}$ |
# | smallest subnormal number | `00000` | `0000000001` | $2^{-10} \times 2^{1-15} \approx 5.96 \times 10^{-8}$ |
# | the step after 1, called `eps` | `01111` | `0000000001` | $2^{-10} \approx 0.000977$ |
#
# The significand of the largest number is 1.1111111111₂, which is one step of 2⁻¹⁰ short of 2.
#
# So 300 × 300 = 90000 lies far beyond the largest number, and 0.0001 × 0.0001 = 10⁻⁸ far below the smallest one, nearer to 0 than to it. Where exactly infinity and zero begin is a question of rounding, and comes below.
#
# ### Exercise 2: `limits`
#
# Return the five limits of a format from its two widths, without `torch.finfo`. `min` follows PyTorch's usage: the *most negative* finite number.


# %% nbgrader={"grade": false, "grade_id": "limits-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def limits(exp_bits: int, man_bits: int) -> dict[str, float]:
    """Return max, min, smallest_normal, smallest_subnormal and eps, as floats.

    >>> limits(5, 10)["max"]
    65504.0
    """
    ### BEGIN SOLUTION
    bias = 2 ** (exp_bits - 1) - 1
    eps = 2.0**-man_bits
    largest = (2 - eps) * 2.0**bias
    smallest_normal = 2.0 ** (1 - bias)
    return {
        "max": largest,
        "min": -largest,
        "smallest_normal": smallest_normal,
        "smallest_subnormal": smallest_normal * eps,
        "eps": eps,
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "limits-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("limits")

# %% nbgrader={"grade": true, "grade_id": "limits-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ### Choose where 16 bits go
#
# One bit is the sign. The other 15 can be split in many ways. **Predict**: each exponent bit that you take from the fraction does what to the range, and what to the step after 1?

# %%
hb.split_explorer(bits=16)

# %% [markdown]
# Each bit moved to the exponent *squares* the range (it doubles the number of powers of two) and *doubles* the relative step. All splits at once, and where the two formats of deep learning stand among them:

# %%
hb.splits(bits=16)

# %% [markdown]
# E = 8 is the split that has exactly float32's exponent field. That is the whole idea of bf16: **it is the upper half of a float32**. Same sign, same 8 exponent bits, the same bias of 127, so practically the same range; of the 23 fraction bits 7 are left. (Converting rounds to the nearest bf16 number, it does not cut; for π both come to the same.)

# %%
x = torch.tensor(math.pi)
print("fp32", hb.get_format("fp32").bit_string(x.view(torch.int32).item()))
print("bf16", hb.get_format("bf16").bit_string(x.bfloat16().view(torch.int16).item()))

# %% [markdown]
# A squared gradient norm of 10⁶ and a squared gradient of 10⁻¹² both fit into bf16, and neither fits into fp16. The price: bf16's step after 1 is 2⁻⁷, eight times that of fp16.
#
# Here are the formats that you will meet in this course, side by side. The names of the 8-bit formats are read like this: `e5m2` has 5 exponent bits and 2 fraction bits (the m is for *mantissa*, an older word for the significand); `fn` means finite: `fp8_e4m3fn` gives up infinity to reach further. They come back in Unit 9. tf32 is no storage format: the matrix units of NVIDIA GPUs (*tensor cores*) can read a float32 as if it had 10 fraction bits, if you let them. The digits are decimal ones, $(M+1) \times \log_{10} 2$.

# %%
hb.range_vs_precision("fp32", "tf32", "bf16", "fp16", "fp8_e5m2", "fp8_e4m3fn")

# %% [markdown]
# ## Ask `torch.finfo`, and know what it leaves out
#
# Nobody computes these limits by hand at work. PyTorch keeps them in `torch.finfo`:

# %%
torch.finfo(torch.float16)

# %% [markdown]
# Four things about it surprise people:
#
# - **`min` is the most negative number**, −65504. The smallest *positive* number is something else, see below. (`torch.iinfo` and NumPy use `min` in the same way.)
# - **`tiny` is `smallest_normal`**, an older name for the same number. Below it, the subnormals go on.
# - **There is no `smallest_subnormal`**. NumPy's `finfo` has it, PyTorch's does not. Multiply: `smallest_normal * eps`.
# - **What is printed is rounded.** The fields hold the exact values. (`resolution`, the first of them, is a power of ten near eps, meant for printing. We do not use it.)

# %%
info = torch.finfo(torch.float32)
print("printed:            ", str(info).split("max=")[1].split(",")[0])
print("the field itself:   ", info.max)
print("smallest_subnormal? ", hasattr(info, "smallest_subnormal"))

# %%
smallest = info.smallest_normal * info.eps
print(smallest, "and half of that:", (torch.tensor(smallest) / 2).item())

# %% [markdown]
# ### Exercise 3: `dtype_limits`
#
# Given names of PyTorch dtypes, look up what `torch.finfo` knows and add what it does not. `getattr(torch, "float16")` is `torch.float16`. With `["float32", "float16"]` your function says how far the two formats reach that classic mixed-precision training combines.


# %% nbgrader={"grade": false, "grade_id": "dtype_limits-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dtype_limits(names: list[str]) -> dict[str, dict[str, float]]:
    """Return, for each name, a dict with min (most negative), max and smallest_subnormal, as floats.

    >>> dtype_limits(["float16"])["float16"]["max"]
    65504.0
    """
    ### BEGIN SOLUTION
    found = {}
    for name in names:
        info = torch.finfo(getattr(torch, name))
        found[name] = {
            "min": info.min,
            "max": info.max,
            "smallest_subnormal": info.smallest_normal * info.eps,
        }
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "dtype_limits-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("dtype_limits")

# %% nbgrader={"grade": true, "grade_id": "dtype_limits-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## See where the numbers are
#
# Between 1 and 2 fp16 has 1024 numbers, one for each fraction. Between 2 and 4: again 1024, because the fraction is the same and only the exponent has changed. Between 2¹⁴ and 2¹⁵: again 1024. A range from one power of two to the next is called a **binade**, and every normal binade holds equally many numbers.
#
# **Predict**: what share of all finite fp16 numbers lies between −1 and 1?

# %%
hb.number_line("fp16", "bf16")

# %% [markdown]
# About half of them, in either format: half of all exponents are negative. Floating-point formats are densest around zero, where the weights and gradients of a neural network are.
#
# If each binade has equally many numbers and is twice as wide as the one below, then the gaps in it are twice as wide, too. The gap at a number is called its **ulp**, *unit in the last place*: the value of the last fraction bit.

# %%
hb.spacing("fp16", "bf16", "fp32")

# %% [markdown]
# The upper picture is a staircase: the gap is constant within a binade and doubles at each power of two, and in the subnormal range it stops shrinking. The lower one shows the same gaps, divided by the number. In the normal range they stay between eps/2 and eps, whatever the size of the number: this is what "about three decimal digits" for fp16 means. In the subnormal range the relative gap grows to 1: at the smallest subnormal number the gap is as large as the number itself.
#
# At 2048 the ulp of fp16 has grown to 2. There is no 2049: that is where the step of 1 went. For bf16 this happens at 256:

# %%
for dtype in (torch.float16, torch.bfloat16):
    x = torch.tensor(1.0, dtype=dtype)
    while x + 1 != x:
        x = x + 1
    print(dtype, "can count in steps of 1 up to", int(x))

# %% [markdown]
# ### Exercise 4: `ulp`
#
# Return the gap from |x| to the next larger number of the dtype. `x` is a number that the dtype holds: positive, negative, zero or subnormal, no infinity or NaN. At the largest number, return the gap of its binade.
#
# Take the exponent from `math.frexp`, which returns it exactly: `math.frexp(x)` is a pair (m, e) with $x = m \times 2^e$ and $\tfrac12 \le m < 1$. `torch.finfo` is allowed.


# %% nbgrader={"grade": false, "grade_id": "ulp-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ulp(x: float, dtype: torch.dtype) -> float:
    """Return the distance from |x| to the next larger magnitude in dtype (fp16, bf16, fp32 or fp64).

    >>> ulp(2048.0, torch.float16)
    2.0
    """
    ### BEGIN SOLUTION
    info = torch.finfo(dtype)
    if abs(x) < info.smallest_normal:
        return info.smallest_normal * info.eps
    _, exponent = math.frexp(abs(x))
    return math.ldexp(info.eps, exponent - 1)
    ### END SOLUTION


# %% [markdown]
# Your function as a curve, over the true staircase of fp16:

# %%
hb.draw_ulp(ulp, "fp16")

# %% nbgrader={"grade": true, "grade_id": "ulp-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("ulp")

# %% nbgrader={"grade": true, "grade_id": "ulp-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ## Round to the nearest neighbour
#
# A real number falls between two neighbours of the format, or on one. The default rule everywhere, on CPUs and GPUs, is **round to nearest, ties to even**:
#
# 1. take the nearer neighbour;
# 2. if both are equally near (a *tie*), take the one whose last fraction bit is 0.
#
# So the error is never more than half an ulp. Why even? Sending every tie up would push sums upward, a little each time; the even neighbour lies above about as often as below. It does not help a sum that meets the same tie again and again: 2048 + 1 rounds down every time.
#
# The same number in five formats:

# %%
hb.compare("0.1", "fp32", "fp16", "bf16", "fp8_e4m3fn", "fp8_e5m2")

# %% [markdown]
# Try your own: `math.pi`, `"1/3"`, `"65519"`, `"1e-7"`. (A text such as `"0.1"` is taken at its word; the Python float `0.1` has already been rounded to fp64 when it arrives.)
#
# At the two ends of a format the rule has consequences that are worth knowing by heart:
#
# - **Overflow.** After 65504 the next step would be 65536. Everything from halfway, 65520, rounds to infinity: 65520 itself is a tie, the last bit of 65504 is 1, so the tie goes up, out of range. 65519.99 still rounds to 65504.
# - **Underflow.** The smallest positive number is 2⁻²⁴. Exactly half of it, 2⁻²⁵, is a tie between 2⁻²⁴ and 0. Zero is the even one. A little more than 2⁻²⁵ survives.

# %%
x = torch.tensor([65519.99, 65520.0, 2.0**-25, 1.01 * 2.0**-25])
x.half()

# %% [markdown]
# ### Exercise 5: `encode_fp16`
#
# Now the other direction: from a number to its 16 bits, with correct rounding. The slow way, on paper, for x = 0.1:
#
# 1. **Find the binade**: 2⁻⁴ ≤ 0.1 < 2⁻³, so the exponent is −4. For numbers below 2⁻¹⁴ it stays at −14: subnormals.
# 2. **Count in ulps**: the ulp there is 2⁻⁴ × 2⁻¹⁰, and 0.1 / 2⁻¹⁴ = 1638.4 ulps.
# 3. **Round to a whole number of ulps, ties to even**: 1638. (Python's `round` does ties to even.)
# 4. **Put the fields together.** 1638 = 1024 + 614: the leading 1, which is not stored, and the fraction `1001100110`. The exponent field is −4 + 15 = 11 = `01011`.
#
# When rounding carries, step 4 needs care. For 2047.9999 the binade is 2¹⁰, the ulp is 1, and step 3 gives 2048 ulps: that is not 1 + a fraction of this binade, it is the first number of the next one. (Patterns are consecutive: the one after `11001 1111111111` is `11010 0000000000`.)
#
# Four traps: the carry; what is too large becomes infinity; zero has no binade, and `math.frexp(0.0)` returns the exponent 0, which is not the one you want; and −0.0 keeps its sign (`math.copysign(1, x)` knows it, `x < 0` does not). For NaN return the pattern `0x7E00`.


# %% nbgrader={"grade": false, "grade_id": "encode_fp16-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def encode_fp16(x: float) -> int:
    """Return the fp16 bit pattern of x as an integer, rounded to nearest, ties to even.

    Do not use torch, numpy or struct for the conversion.

    >>> f"{encode_fp16(6.25):016b}"
    '0100011001000000'
    """
    ### BEGIN SOLUTION
    if math.isnan(x):
        return 0x7E00
    sign = 0x8000 if math.copysign(1.0, x) < 0 else 0
    magnitude = abs(x)
    if magnitude >= 65520:
        return sign | 0x7C00
    exponent = max(math.frexp(magnitude)[1] - 1, -14) if magnitude else -14
    steps = round(magnitude / 2.0 ** (exponent - 10))
    # Patterns are consecutive integers, so a carry out of the fraction raises the exponent by itself.
    return sign | (((exponent + 14) << 10) + steps)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "encode_fp16-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("encode_fp16")

# %% nbgrader={"grade": true, "grade_id": "encode_fp16-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# ### Round once, not twice
#
# Rounding in two steps can go wrong: the first step may land exactly on a tie that was not there before. PyTorch converts float64 to float16 by way of float32; NumPy goes directly. The number 1 + 2⁻¹¹ + 2⁻⁴⁰ lies a hair above a tie:

# %%
import numpy as np

x = 1 + 2.0**-11 + 2.0**-40
print("torch, via float32:", torch.tensor(x, dtype=torch.float64).half().item())
print("numpy, directly:   ", np.float64(x).astype(np.float16).item())

# %% [markdown]
# float32 cannot hold the 2⁻⁴⁰ and drops it. What is left is a tie, and the tie goes to the even neighbour, 1. So if you compare your `encode_fp16` with PyTorch, let the inputs be float32 numbers.
#
# ## Check what you remember
#
# Six questions, one point each. This is practice: what you choose is saved at once and you read why it is right or wrong; try again as often as you like. Your last choice counts.

# %%
hb.quiz("limits")

# %%
hb.quiz("finfo-min")

# %%
hb.quiz("spacing")

# %%
hb.quiz("counting")

# %%
hb.quiz("small-format")

# %%
hb.quiz("overflow")

# %% nbgrader={"grade": true, "grade_id": "quiz-score", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
hb.check_quiz()

# %% [markdown]
# ## Say it in your own words
#
# A colleague trains in fp16, and after some steps the loss is `inf`. Somebody says: "use bf16, it is better". In three to five sentences: why would bf16 probably cure the overflow, what in its layout is the reason, what does it cost, and which computation from this unit would you show your colleague to make the cost visible?

# %% [markdown] nbgrader={"grade": true, "grade_id": "explain-bf16", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# bf16 has 8 exponent bits, as many as float32, so its largest finite number is about 3.39 × 10³⁸ instead of fp16's 65504: an activation or a loss that exceeds 65504 stays finite. The cost is precision. Of its 16 bits, 7 are left for the fraction, so the step after 1 is 2⁻⁷, eight times that of fp16. I would show that bf16 can count in steps of 1 only up to 256, or that adding 0.001 to 1 in bf16 gives 1. So bf16 is not better: it trades precision for range.
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
# 1. *Split a number and read it back*: sign, exponent field minus bias, 1.fraction; all zeros in the exponent mean 0.fraction, all ones mean ∞ or NaN. Your `decode` does it for all 65,536 patterns, and `encode_fp16` goes the other way.
# 2. *Derive the limits*: max is $(2-2^{-M}) \times 2^{\mathrm{bias}}$, the smallest normal number is $2^{1-\mathrm{bias}}$, the smallest subnormal one $2^{1-\mathrm{bias}-M}$, and eps is $2^{-M}$.
# 3. *Read `torch.finfo`*: `min` is the most negative number, `tiny` is the smallest *normal* one, and subnormals go `eps` times further down.
# 4. *Know the gaps*: the ulp doubles at each power of two; rounding errs by at most half an ulp; ties go to even.
# 5. *Explain bf16*: float32's exponent field, so float32's range; 7 fraction bits, so 2.4 decimal digits.
#
# And the three results from the beginning: 2049 is a tie between 2048 and 2050, and of the two it is 2048 whose last fraction bit is 0; 90000 is beyond 65520; 10⁻⁸ is below 2⁻²⁵.
#
# ## In practice
#
# What to type tomorrow, before you send a tensor to 16 bits:

# %%
torch.manual_seed(0)
x = torch.randn(100_000) * torch.logspace(-9, 5, 100_000)
half = x.half()
became_zero = (half == 0) & (x != 0)
subnormal = (half != 0) & (half.abs() < torch.finfo(half.dtype).smallest_normal)
for name, found in {"inf": half.isinf(), "zero": became_zero, "subnormal": subnormal}.items():
    print(f"became {name:9}: {found.float().mean():6.1%}")

# %% [markdown]
# - Overflow to `inf` is a question of **range**: bf16 cures it, and so does scaling.
# - Steps that vanish are a question of **precision**: bf16 makes it worse. Keep sums and weights in float32.
# - Values that *become zero* when they are converted are a question of range too, at its lower end: bf16 cures them, and so does scaling. A *difference* that becomes zero is a question of precision.
#
# The next units take them one by one: Unit 2 looks at what rounding does to long sums, Unit 3 at overflow and underflow in softmax, losses and gradients.
#
# ## References
#
# - IEEE Std 754-2019, *IEEE Standard for Floating-Point Arithmetic*: binary formats, rounding to nearest, ties to even.
# - D. Goldberg, *What Every Computer Scientist Should Know About Floating-Point Arithmetic*, ACM Computing Surveys 23(1), 1991: ulps, denormalized numbers.
# - D. Kalamkar et al., *A Study of BFLOAT16 for Deep Learning Training*, 2019, [arXiv:1905.12322](https://arxiv.org/abs/1905.12322).
# - P. Micikevicius et al., *Mixed Precision Training*, ICLR 2018, [arXiv:1710.03740](https://arxiv.org/abs/1710.03740).
# - PyTorch documentation, [`torch.finfo`](https://docs.pytorch.org/docs/2.13/type_info.html).
# - The starting point of this course: S. Raschka, *Deep Learning Fundamentals*, Unit 9.1, Lightning AI, 2023.

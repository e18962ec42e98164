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
# # Start here
#
# **What you will do**
#
# 1. Check that your computer has everything.
# 2. Solve one exercise and answer one question, to see how both work.
# 3. Validate your notebook, know how to hand it in, and how to read the feedback.
# 4. See the map of the course, and where you are on it.
#
# **What you need**: Python, and JupyterLab open in front of you. No GPU.
# **Time**: about 15 minutes. **Points**: 3, of which 1 is for the question.
#
# This course is about numbers in 16 bits, and in 8, where 32 used to be the rule: how they are built, how they lose information, and how to train networks with them all the same. It is made of notebooks like this one. You read, you predict what a cell will show, you run it (Shift + Enter), and you write functions that are checked at once.

# %% tags=["imports"]
import halfbits as hb

# %% [markdown]
# ## Check your computer
#
# Run this cell. Every line should say OK. A line with an arrow tells you what to do; two dashes mark what is good to have and not needed.

# %%
hb.check_environment()

# %% [markdown]
# ## Solve an exercise
#
# Exercises look like the next cells: a task, a function for you to complete, and a check. Replace the two lines under the docstring with your answer, run the cell, and then run the check.
#
# ### Warm-up: `model_bytes`
#
# A model has a number of parameters, and each is stored in the same number of bits. How many bytes does the whole model take? A byte has 8 bits. If the last byte is only partly used, it counts, too: 3 parameters of 12 bits are 36 bits, and they need 5 bytes.


# %% nbgrader={"grade": false, "grade_id": "model_bytes-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def model_bytes(parameters: int, bits: int) -> int:
    """Return how many bytes hold this many parameters of this many bits each, packed tightly.

    >>> model_bytes(7_000_000_000, 16)
    14000000000
    """
    ### BEGIN SOLUTION
    return (parameters * bits + 7) // 8
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "model_bytes-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("model_bytes")

# %% nbgrader={"grade": true, "grade_id": "model_bytes-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %% [markdown]
# While nothing is solved, a check says "not attempted yet". When something is wrong, it shows what went in, what was expected, what came out and how far apart the two are. If your answer shows a misunderstanding that others have had before you, the check names it. Try it: return `parameters * bits`, run both cells, and read the hint.
#
# The cell that says "More cases run here" is empty for you. When your work is graded, your function gets more inputs than you see here: zeros, extremes, special cases. So do not aim at the cases in the table; aim at the task.
#
# ## Answer a question
#
# Click an answer. In this course most questions are for practice: you see at once why an answer is right or wrong, and you can choose again. Your choice is saved when the word "saved" appears, in the file `answers.json` beside the notebook. It is there when you come back.

# %%
hb.quiz("half-the-bits")

# %% nbgrader={"grade": true, "grade_id": "quiz-score", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check_quiz()

# %% [markdown]
# ## Validate, hand in, read the feedback
#
# 1. **Save** (Ctrl + S), then press **Validate** in the toolbar above. It runs your notebook from the top in a fresh kernel, as grading does, and lists what fails. An exercise that works only because of a cell that you have deleted since is caught here.
# 2. **Hand in** the whole folder of the unit, with the notebook and `answers.json`, in the way your instructor has told you. If you take the course alone, there is nothing to hand in: your checks tell you where you stand.
# 3. **Read the feedback.** After grading you get a page with the points of each exercise, the kinds of cases that failed, and what was right or wrong about each answer in the quiz.
#
# The cells with the checks are locked: grading replaces them with the originals. You can add cells of your own wherever you like.
#
# ## See the map
#
# | unit | what it is about | minutes | does a GPU help? |
# |---|---|---|---|
# | 0 · Start here | how the course works | 15 | no |
# | 1 · Read a number from its bits | the formats: fp16, bf16, fp32, tf32, fp8; what `torch.finfo` tells and what it leaves out | 120 | no |
# | 2 · Lose numbers by rounding, and stop losing them | ties, stalled sums and updates, accumulators, pairwise and Kahan sums, cancellation, stochastic rounding | 120 | no |
# | 3 · Keep numbers inside the range | overflow, ∞ and NaN, underflow; stable softmax, losses, norms, variances, masks; what fp16 does to a network's gradients | 130 | no |
# | 4 · Let autocast choose the dtypes | what autocast casts on CPU and on CUDA; an autocast and an optimizer with master weights of your own; the bytes of training | 130 | no |
# | 5 · Scale the loss and build a GradScaler | loss scaling, the dynamic scaler in lock step with `torch.amp.GradScaler`, clipping, accumulation, an underflow experiment | 140 | no |
# | 6 · Train in every precision, and measure it | one loop for seven precision settings; why pure fp16 fails with Adam; TF32; fair timing, Amdahl's law; a benchmark for your machine | 130 | yes: speed shows there only |
# | 7 · Fine-tune a transformer | Lightning Fabric and Trainer with `precision=`; an audit of what it did; a transformer's activations and masks in fp16; what a gap between two accuracies means | 130 | in one cell, ungraded |
#
# Every notebook ends with the next cell. It reads the saved notebooks and answers of all units, so save first.

# %%
hb.progress()

# %% [markdown]
# ## Look back
#
# 1. *Your computer*: `hb.check_environment()` says what is missing and how to mend it; in a terminal, `make doctor` does the same.
# 2. *Exercises and questions*: complete the function, run it, run the check, read the hint. Click, and wait for "saved".
# 3. *Validate, hand in, feedback*: validate before you hand in; hand in the whole folder.
# 4. *The map*: `hb.progress()` shows where you are.
#
# Go on with `01_number_formats`.
#
# ## In practice
#
# Halving the bits halves what has to be stored and moved. What the course is about is the price, and when it is worth paying:

# %%
for bits in (32, 16, 8):
    print(f"7 billion parameters in {bits:2} bits: {7_000_000_000 * bits / 8 / 1e9:4.0f} GB")

# %% [markdown]
# ## References
#
# - The starting point of this course: S. Raschka, *Deep Learning Fundamentals*, Unit 9.1: *Accelerated Model Training via Mixed-Precision Training*, Lightning AI, 2023.
# - [JupyterLab's documentation](https://jupyterlab.readthedocs.io/), [nbgrader's documentation](https://nbgrader.readthedocs.io/).

# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A unit for hostile submissions: two small exercises and a question

# %% tags=["imports"]
import halfbits as hb


# %% nbgrader={"grade": false, "grade_id": "double-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def double(x: float) -> float:
    """Return two times x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "double-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("double")

# %% nbgrader={"grade": true, "grade_id": "double-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.


# %% nbgrader={"grade": false, "grade_id": "half-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def half(x: float) -> float:
    """Return x divided by two."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "half-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check("half")

# %% nbgrader={"grade": true, "grade_id": "half-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# More cases run here when your work is graded.

# %%
hb.quiz("sum")

# %% nbgrader={"grade": true, "grade_id": "quiz-score", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hb.check_quiz()

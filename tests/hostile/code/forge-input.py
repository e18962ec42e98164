# kind: forging
# tries: rewrite the cells that follow
# where: in place of the answer to double
# loses: double half

get_ipython().input_transformers_cleanup.append(lambda lines: ['pass\n'])
def double(x):
    return 0.0

# kind: forging
# tries: score NaN, negative and too much
# where: in place of the answer to double
# loses: double

float('nan'), -5, 1e9

def double(x):
    return 0.0
float('nan')

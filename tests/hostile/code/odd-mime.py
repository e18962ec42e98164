# kind: output
# tries: outputs that are none
# where: in a cell behind all others

from IPython.display import display
display({'text/html': 7, 'x': object()}, raw=True)

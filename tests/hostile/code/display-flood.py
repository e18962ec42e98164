# kind: exhaustion
# tries: display without end
# where: in a cell behind all others

from IPython.display import HTML, display
for _ in range(5000): display(HTML('x' * 10_000))

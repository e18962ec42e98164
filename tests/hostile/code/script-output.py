# kind: output
# tries: a script in an output
# where: in a cell behind all others

from IPython.display import HTML, display
display(HTML('<script>window.pwned = 1</script><img src=x onerror="window.pwned=1">'))

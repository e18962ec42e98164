# kind: stopping
# tries: leave by quit()
# where: in a cell behind all others

quit()

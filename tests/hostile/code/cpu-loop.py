# kind: exhaustion
# tries: compute for ever, at the end
# where: in a cell behind all others
# says: ran longer than

while True: pass

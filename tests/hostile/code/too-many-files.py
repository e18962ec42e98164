# kind: exhaustion
# tries: open files without end
# where: in a cell behind all others

files = []
while True: files.append(open('/dev/null'))

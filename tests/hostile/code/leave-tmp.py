# kind: writing
# tries: leave a file that the next student's code finds
# where: in a cell behind all others

for d in ('/tmp', '/dev/shm', '/home/student'):
    open(d + '/left', 'w').write('SPOILED-LEFT')

"""What runs inside the sandbox, beside a student's code: it sees no key, reference or gradebook."""

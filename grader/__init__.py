"""The instructor's side of Half the Bits: build the course, grade a class, write feedback."""

import sys

# jsonschema's check of international web addresses, which no notebook has; its grammar takes
# 1.7 s to build, at the start of every command.
sys.modules.setdefault("rfc3987_syntax", None)

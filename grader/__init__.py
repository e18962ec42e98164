"""The instructor's side of Half the Bits: build the course, grade a class, write feedback."""

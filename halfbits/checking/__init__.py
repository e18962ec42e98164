"""How an exercise is tried, judged and reported: from a student's function to a sentence."""

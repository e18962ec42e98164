"""What a graded notebook looks like to a student or an instructor: HTML in which nothing runs."""

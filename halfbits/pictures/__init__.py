"""What the course shows: pictures, tables, and pictures to play with that the browser computes."""

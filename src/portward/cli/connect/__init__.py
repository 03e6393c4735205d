"""`portward connect`: a terminal client that comes back where it was, even after it was killed."""

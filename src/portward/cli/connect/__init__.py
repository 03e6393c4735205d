"""`portward connect`: a terminal client that resumes at its last position, even after it was killed."""

"""Security decisions without I/O: values and the current time in, a decision out. The default is to deny."""

"""Facts about who is who that take I/O: supplied here, judged elsewhere."""

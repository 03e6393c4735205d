"""Facts about users that need I/O to get; other packages make the decisions."""

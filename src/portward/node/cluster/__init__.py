"""Work over several nodes: bus events, gap repair, rights events and periodic maintenance."""

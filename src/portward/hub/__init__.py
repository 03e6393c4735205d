"""Who is here and who listens: maps and loops of this process alone. Nothing here ever awaits."""

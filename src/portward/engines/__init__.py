"""Where shared state lives: the port every engine answers, and the engines."""

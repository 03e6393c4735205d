"""Stores of shared state: the port that every engine implements, and the engines."""

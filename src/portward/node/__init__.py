"""Runs commands: session life, grants to hub and engine, delivery, closing, drain.

Names no concrete engine and no transport: both arrive as ports.
"""

"""`make fresh`: whether a clone installs and serves on a machine that has nothing, on any later day.

Only the standard library is used: the script runs before anything is installed.
"""

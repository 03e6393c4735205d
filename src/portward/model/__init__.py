"""The words of the house: frozen values and tables. Imports the standard library and msgspec only."""

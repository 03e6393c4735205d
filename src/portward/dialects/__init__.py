"""The languages of the front doors: one module each, translating words and deciding nothing."""

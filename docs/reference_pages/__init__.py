"""What `generate_reference.py` makes pages of: one module for each page, and tables.

Each page module has `make()`, which returns the text of the page, and `undescribed()`, which yields
the name of everything on it that has no description beside its code.
"""

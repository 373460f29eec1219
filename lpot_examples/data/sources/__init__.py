"""Annotated images of the known layouts, read into one neutral form."""

"""Listeners that pass trials on to the tools people follow experiments with."""

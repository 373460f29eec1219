"""The report of a run: what was decided, what it cost, what it gives."""

"""Where models are evaluated: in this process, or in worker processes that may crash."""

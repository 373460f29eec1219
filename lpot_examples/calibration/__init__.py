"""Calibration: one streaming pass collects every statistic, all range algorithms read from it."""

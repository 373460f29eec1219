"""Metrics: functions from predictions and labels to scores."""

"""When a search has used up what the spec gives it."""

from __future__ import annotations

import time

from lpot_examples.spec.tuning import ExitPolicy


class Budget:
    """Counts trials and time.

    Time is that of the monotonic clock: setting the machine's clock neither ends a search nor
    prolongs it.

    Args:
        policy: What the spec gives.
        seconds_before: What earlier sessions of the same run took.
    """

    def __init__(self, policy: ExitPolicy, *, seconds_before: float) -> None:
        self._policy = policy
        self._started = time.monotonic()
        self._before = seconds_before

    def spent(self) -> float:
        """Return the seconds spent on this run, those of earlier sessions included."""
        return time.monotonic() - self._started + self._before

    def exceeded(self, trials: int, *, replaying: bool) -> str:
        """Return why no more trials may be made, or an empty string.

        The timeout lets one trial be made in any case, and does not keep known ones from being
        read.

        Args:
            trials: How many there are.
            replaying: Whether the next one costs no time, because the journal has it.
        """
        policy = self._policy
        if trials >= policy.max_trials:
            return f"max_trials ({policy.max_trials}) is reached"
        if 0 < policy.timeout <= self.spent() and trials and not replaying:
            return f"the timeout of {policy.timeout:g} s is reached"
        return ""

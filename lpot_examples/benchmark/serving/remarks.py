"""What a serving measurement left out, and why, gathered into few sentences."""

from __future__ import annotations

from lpot_examples.benchmark.serving.layouts import Layout, Setting


class Remarks:
    """Sentences for the reader of a result."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}
        self._left_out: dict[tuple[str, int, str], list[Layout]] = {}

    def add(self, sentence: str) -> None:
        """Keep a sentence, once; nothing if it is empty."""
        if sentence:
            self._sentences[sentence] = None

    def leave_out(self, setting: Setting, why: str) -> None:
        """Note that a setting was not measured."""
        where = (setting.subject, setting.batch, why)
        self._left_out.setdefault(where, []).append(setting.layout)

    def was_left_out(self, setting: Setting) -> bool:
        """Tell whether a batch at most as large was left out on this layout."""
        return any(
            subject == setting.subject and batch <= setting.batch and setting.layout in layouts
            for (subject, batch, _), layouts in self._left_out.items()
        )

    def reason(self, subject: str) -> str:
        """Return why something of a subject was left out; empty if nothing was."""
        return next((why for name, _, why in self._left_out if name == subject), "")

    def sentences(self) -> tuple[str, ...]:
        """Return everything, each once."""
        smallest: dict[tuple[str, Layout], tuple[int, str]] = {}
        for (subject, batch, why), layouts in self._left_out.items():
            for layout in layouts:
                place = (subject, layout)
                smallest[place] = min(smallest.get(place, (batch, why)), (batch, why))
        groups: dict[tuple[str, int, str], list[Layout]] = {}
        for (subject, layout), (batch, why) in smallest.items():
            groups.setdefault((subject, batch, why), []).append(layout)
        left_out = (
            f"{subject}: batches from {batch} left out at {', '.join(map(str, layouts))}: "
            f"{why.rstrip('.')}."
            for (subject, batch, why), layouts in groups.items()
        )
        return (*self._sentences, *left_out)

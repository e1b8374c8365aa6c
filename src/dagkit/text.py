"""How sizes, times and long lines are said to people."""

from __future__ import annotations


def human_size(size: int) -> str:
    """Bytes in the unit that fits: ``39 B``, ``1.2 MB``."""
    number = float(size)
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def human_time(seconds: float) -> str:
    """Seconds as people say them: ``0.4 s``, ``12 s``, ``2 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


def shorten(text: str, width: int) -> str:
    """The text on one line of at most ``width`` characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: max(width - 1, 1)] + "…"

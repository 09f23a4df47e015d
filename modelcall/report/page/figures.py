"""Numbers as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import tzinfo

_UNITS: Final = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))
"""From which number on, which unit."""
_DAY: Final = 86_400.0
_MINUTE: Final = 60.0


def whole(value: float) -> str:
    """``12,345``."""
    return f"{value:,.0f}"


def short(value: float) -> str:
    """``12.3k``, ``4.56M``; small numbers as they are."""
    for limit, size, unit in _UNITS:
        if abs(value) >= limit:
            text = f"{value / size:.3g}"
            return f"{value / size:,.0f}{unit}" if "e" in text else f"{text}{unit}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def share(part: float, of: float) -> str:
    """``12.3 %``; nearly all is never written as all, nor nearly nothing as nothing."""
    if not of:
        return "–"
    percent = 100 * part / of
    if 0 < percent < 0.1:  # noqa: PLR2004  what one digit shows
        return "< 0.1 %"
    if 99.9 < percent < 100:  # noqa: PLR2004  as above
        return "> 99.9 %"
    return f"{percent:.1f} %"


def money(amount: float, currency: str) -> str:
    """``12.34 USD``; small amounts with more digits."""
    return f"{amount:,.2f} {currency}" if amount >= 1 else f"{amount:.4g} {currency}"


def duration(seconds: float) -> str:
    """``2 d 03:04:05``, ``5:07``, ``12.3 s``."""
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    whole_seconds = timedelta(seconds=round(seconds))
    hours, rest = divmod(whole_seconds.seconds, 3600)
    clock = (
        f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
        if hours or whole_seconds.days
        else f"{rest // 60}:{rest % 60:02d} min"
    )
    return f"{whole_seconds.days} d {clock}" if whole_seconds.days else clock


def seconds_of(value: float) -> str:
    """``250 ms``, ``1.5 s``."""
    return f"{value * 1000:.3g} ms" if 0 < value < 1 else f"{value:.3g} s"


def moment(stamp: float, zone: tzinfo | None, *, span: float, width: float) -> str:
    """A time of day on an axis: with the date if the axis is longer than a day, with seconds if it is short."""
    time = datetime.fromtimestamp(stamp, tz=zone)
    if span > _DAY:
        return f"{time:%m-%d %H:%M}"
    return f"{time:%H:%M:%S}" if width < _MINUTE else f"{time:%H:%M}"

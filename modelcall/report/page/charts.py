"""Charts as SVG elements: drawn by pygal, stripped of its scripts and styles, coloured by the page's own style.

The library writes a script and a style into every chart; neither is wanted here, so what it draws is parsed and only
its shapes and texts are taken over. What it keeps for its script to show at the mouse becomes titles, which browsers
show by themselves.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final
from xml.etree.ElementTree import Element, fromstring

import pygal
from pygal.style import Style

from modelcall.report.page.elements import harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Series = Mapping[str, Sequence[float | None]]

# The library's importer of maps, by a protocol that Python has given up: every later import would warn of it.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_FONT: Final = 12
_NAMESPACE: Final = "{http://www.w3.org/2000/svg}"
_NUMBER: Final = re.compile(r"-?\d+\.\d{2,}")
_LABEL_CHARS: Final = 26
_PLAIN: Final = frozenset({"class", "viewBox", "text-anchor", "rx", "ry", "r"})
"""Attributes that are taken over, beside the coordinates: never a style, which no strict policy lets in."""
_COORDINATES: Final = frozenset({"x", "y", "d", "width", "height", "cx", "cy", "transform"})
_TIMES_SHOWN: Final = 5
_ROOM_FOR_A_TIME: Final = 32
"""Half of the last label of an axis."""
_FEW: Final = 8
"""Bars that have their number above them."""


def bars(
    pairs: Sequence[tuple[str, float]],
    *,
    name: str,
    shown: Callable[[float], str],
    width: int = 560,
    height: int = 230,
    top: float | None = None,
) -> Element:
    """Draw one bar for each label; ``top`` is the end of the axis, if not the highest bar."""
    few = len(pairs) <= _FEW
    chart = pygal.Bar(
        **_settings(width, height, shown),
        print_values=few,
        print_values_position="top",
        x_labels_major_count=_TIMES_SHOWN + 1,
        show_minor_x_labels=len(pairs) <= 2 * _FEW and all(len(label) <= 5 for label, _ in pairs),  # noqa: PLR2004
        range=_from_zero([value for _, value in pairs] if top is None else [top]),
    )
    chart.x_labels = [_label(label) for label, _ in pairs]
    chart.add(_label(name), [value for _, value in pairs])
    return _svg(chart, name)


def ranking(pairs: Sequence[tuple[str, float]], *, name: str, shown: Callable[[float], str]) -> Element:
    """Draw bars that lie below one another, the first on top."""
    chart = pygal.HorizontalBar(
        **_settings(560, 40 + 24 * len(pairs), shown),
        print_values=True,
        print_values_position="top",
        range=_from_zero((value for _, value in pairs), room=1.18),
        show_y_guides=False,
        show_x_labels=False,
    )
    chart.x_labels = [_label(label) for label, _ in reversed(pairs)]
    chart.add(_label(name), [value for _, value in reversed(pairs)])
    return _svg(chart, name)


def lines(labels: Sequence[str], series: Series, *, name: str, shown: Callable[[float], str]) -> Element:
    """Draw lines over time; a gap where a value is None."""
    chart = pygal.Line(
        **_settings(560, 210, shown),
        **_times(labels),
        allow_interruptions=True,
        fill=len(series) == 1,
        dots_size=3,
        range=_from_zero(value for values in series.values() for value in values if value is not None),
    )
    return _svg(_filled(chart, labels, series), name)


def stacked(labels: Sequence[str], series: Series, *, name: str, shown: Callable[[float], str]) -> Element:
    """Draw bars over time, the series on top of one another."""
    chart = pygal.StackedBar(**_settings(560, 210, shown), **_times(labels), spacing=1)
    return _svg(_filled(chart, labels, series), name)


def _filled(chart: Any, labels: Sequence[str], series: Series) -> Any:  # noqa: ANN401  the library has no types
    chart.x_labels = [_label(label) for label in labels]
    for name, values in series.items():
        chart.add(_label(name), list(values))
    return chart


def _settings(width: int, height: int, shown: Callable[[float], str]) -> dict[str, Any]:
    return {
        "width": width,
        "height": height,
        "style": Style(label_font_size=_FONT, major_label_font_size=_FONT, value_font_size=_FONT, font_family="x"),
        "css": [],
        "js": [],
        "no_prefix": True,  # the prefix would be drawn at random
        "disable_xml_declaration": True,
        "show_legend": False,
        "margin": 6,
        "max_scale": 5,
        "min_scale": 2,
        "truncate_label": -1,
        "value_formatter": lambda value: "" if value is None else shown(value),
    }


def _times(labels: Sequence[str]) -> dict[str, Any]:
    shown = min(_TIMES_SHOWN, len(labels))
    return {"x_labels_major_count": shown, "show_minor_x_labels": False, "margin_right": _ROOM_FOR_A_TIME}


def _from_zero(values: Any, *, room: float = 1.08) -> tuple[float, float]:  # noqa: ANN401  any iterable of numbers
    return 0, max(values, default=0) * room or 1


def _label(text: str) -> str:
    clean = harmless(text).replace("\n", "\\n").replace("\t", "\\t")
    return clean if len(clean) <= _LABEL_CHARS else f"{clean[: _LABEL_CHARS - 1]}…"


def _svg(chart: Any, name: str) -> Element:  # noqa: ANN401  the library has no types
    """Render, and keep only what is drawn."""
    root = fromstring(chart.render(is_unicode=True))  # noqa: S314  the library's own text, a moment old
    for child in list(root):
        if child.tag != f"{_NAMESPACE}g":
            root.remove(child)
    for parent in list(root.iter()):
        parent.tag = parent.tag.removeprefix(_NAMESPACE)
        _name_values(parent)
        _strip(parent)
    root.set("role", "img")
    root.set("aria-label", name)
    return root


def _strip(element: Element) -> None:
    for key, value in list(element.attrib.items()):
        if key in _COORDINATES:
            element.set(key, _NUMBER.sub(lambda found: f"{float(found[0]):.1f}", value))
        elif key not in _PLAIN:
            del element.attrib[key]


def _name_values(parent: Element) -> None:
    """Make one title of the descriptions that stand beside a shape."""
    told = {child.get("class"): child for child in parent if child.tag.endswith("desc")}
    for child in told.values():
        parent.remove(child)
    for child in [child for child in parent if child.get("class") == "background"]:
        parent.remove(child)
    if "value" in told:
        label = told["x_label"].text if "x_label" in told else None
        title = Element("title")
        title.text = f"{label}: {told['value'].text}" if label else told["value"].text
        parent.append(title)

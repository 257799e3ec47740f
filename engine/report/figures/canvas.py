"""From a matplotlib figure to inline SVG: one look, reproducible bytes, text that stays text.

No pyplot: a figure belongs to its caller, and the process keeps no list of them. Text is written
as text in the page's own font, so a figure is small, searchable and read aloud; labels are never
taken for formulas.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Blue and vermilion of Okabe & Ito (2008) are told apart with any colour vision; greys do the rest.
INK, MUTED, RULE, PALE, PAPER = "#1f2328", "#59616b", "#c9ced6", "#e9ebef", "#ffffff"
FALL, FALL_PALE = "#0b62a4", "#cfe3f3"
RISE, RISE_PALE = "#b8460e", "#f8ddcf"
BAND_50, BAND_95 = "#9db4cc", "#d5dfea"

WIDTH = 7.3  # inches: the width of the text on the page, and of A4 between its margins
TEXT = 9.0
SMALL = 8.0

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "footfall",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.linewidth": 0.8,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "hatch.linewidth": 0.7,
    "path.simplify": True,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn figure: its SVG, and the text that stands for it where it cannot be seen."""

    svg: Markup
    alt: str


@contextmanager
def style() -> Iterator[None]:
    """The look of every figure, for the time of drawing and writing one."""
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        yield


def sheet(height: float, data: str) -> Figure:
    """An empty figure of the page's width that names its data set in a corner."""
    figure = Figure(figsize=(WIDTH, height), facecolor=PAPER)
    synthetic = data.startswith("SYNTHETIC")
    figure.text(
        1 - 0.05 / WIDTH,
        0.05 / height,
        data if len(data) <= 110 else f"{data[:109]}…",
        ha="right",
        va="bottom",
        fontsize=7,
        color=RISE if synthetic else MUTED,
        weight="bold" if synthetic else "normal",
    )
    return figure


def plain_axes(axes: Axes, *, grid: bool = True) -> None:
    """No box, no tick marks, quiet horizontal lines."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, pad=6)
    if grid:
        axes.grid(axis="y", color=PALE, linewidth=0.8)
        axes.set_axisbelow(True)


def left_edge(longest: int, least: float) -> float:
    """Where axes begin, as a share of the width, to leave room for numbers of `longest` signs."""
    return max(least, (0.085 * longest + 0.14) / WIDTH)


def make_room(axes: Axes) -> None:
    """Move the left edge so that the longest number of the vertical axis stays on the sheet."""
    labels = axes.yaxis.get_major_formatter().format_ticks(list(axes.get_yticks()))
    box = axes.get_position()
    left = left_edge(max(map(len, labels), default=0), box.x0)
    axes.set_position((left, box.y0, box.x1 - left, box.height))


def picture(figure: Figure, key: str, alt: str) -> Picture:
    """The figure as inline SVG; `key` keeps its element names apart from other figures'."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)  # type: ignore[no-untyped-call]
    root = ElementTree.fromstring(buffer.getvalue())
    _strip(root)
    _rename(root, key)
    root.attrib.pop("width")
    root.attrib.pop("height")
    root.attrib.update({"role": "img", "aria-label": alt})
    # Safe to mark: serialised by an XML library, which escapes text and attributes.
    return Picture(Markup(ElementTree.tostring(root, encoding="unicode")), alt)


def png(figure: Figure) -> bytes:
    """The figure as a PNG image, for what is no page."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _strip(root: ElementTree.Element) -> None:
    """HTML needs no namespaces, and a page needs no metadata."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}metadata"):
                parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(name): value for name, value in element.attrib.items()}


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _rename(root: ElementTree.Element, key: str) -> None:
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, f"{key}-{value}")
            elif name == "href" and value.startswith("#"):
                element.set(name, f"#{key}-{value[1:]}")
            elif "url(#" in value:
                element.set(name, re.sub(r"url\(#", f"url(#{key}-", value))

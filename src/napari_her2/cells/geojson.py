"""Read the outlines of invasive tumour from GeoJSON, as QuPath writes it.

Coordinates are (x, y) in level-0 pixels. The class of a feature says what it is: none,
or one that names tumour, counts; "Ignore*" and other tissue is left out. A class that
is neither is refused, as is an outline that crosses itself: what lies inside it is
anybody's guess, and a guess here changes the score.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_her2.cells.tumour_area import Outline, TumourArea
from napari_her2.core.errors import UsageError
from napari_her2.core.region import Region

MOST_BYTES: Final = 64 << 20
TUMOUR: Final = ("tumor", "tumour", "invasive", "carcinoma", "region")
LEFT_OUT: Final = (
    *("ignore", "exclude", "in situ", "in-situ", "dcis", "lcis"),
    *("non-invasive", "non invasive", "noninvasive"),
    *("stroma", "immune cells", "necrosis", "other", "normal", "benign"),
    *("artefact", "artifact", "background", "control"),
)
"""Words in the name of a class, in small letters; what is left out goes first."""

_NO_AREA: Final = ("Point", "MultiPoint", "LineString", "MultiLineString")
_CELLS: Final = ("detection", "cell", "tile")
_DRAW: Final = "Draw it again, or export it anew."


def read_area(path: Path) -> TumourArea:
    """Read a FeatureCollection, a list of features, one feature or one geometry.

    Features that are excluded, points, lines and detected cells do not count.

    Raises
    ------
    UsageError
        If the file cannot be read, names a class that is unknown, holds an outline that
        crosses itself or has no area, or no outline of tumour at all.
    """
    drawn: list[Outline] = []
    left_out: list[Outline] = []
    for number, feature in enumerate(_features(_content(path)), start=1):
        properties = feature.get("properties") or {}
        if not isinstance(properties, dict):
            raise _refusal(f"feature {number} has no properties to read", _DRAW)
        if properties.get("objectType") in _CELLS:
            continue
        outlines = list(_outlines(feature.get("geometry"), number))
        (drawn if _is_tumour(properties, number) else left_out).extend(outlines)
    if not drawn:
        raise _refusal(
            "it holds no outline of invasive tumour",
            "Draw one, of class Tumor or of none.",
        )
    return TumourArea(tuple(drawn), tuple(left_out))


def _content(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _refusal(f"it is larger than {MOST_BYTES >> 20} MB", "Export less.")
        return json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(
            "There is no file of regions for this image.",
            "Name it as the image, with the ending .geojson.",
        ) from None
    except OSError:
        raise _refusal("it cannot be read", "Check the file.") from None
    except (ValueError, RecursionError):
        raise _refusal("it is no GeoJSON", "Export the regions as GeoJSON.") from None


def _features(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, dict) and "features" in content:
        content = content["features"]
    elif isinstance(content, dict):
        is_feature = content.get("type") == "Feature"
        content = [content if is_feature else {"geometry": content}]
    if isinstance(content, list) and all(isinstance(one, dict) for one in content):
        return content
    raise _refusal("it is no GeoJSON", "Export the regions as GeoJSON.")


def _is_tumour(properties: dict[str, Any], number: int) -> bool:
    """Tell tumour from what is left out by the class of a feature."""
    if properties.get("excluded") is True:
        return False
    given = properties.get("classification")
    if isinstance(given, dict):
        given = given.get("name") or given.get("names")
    name = " ".join(given) if isinstance(given, list) else str(given or "")
    words = name.lower()
    if any(word in words for word in LEFT_OUT):
        return False
    if not words or any(word in words for word in TUMOUR):
        return True
    raise _refusal(
        f"feature {number} has the class {name[:40]!r}, neither tumour nor left out",
        "Call it Tumor or Ignore*.",
    )


def _outlines(geometry: Any, number: int) -> Iterator[Outline]:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind in _NO_AREA:
        return
    if kind == "GeometryCollection":
        for part in geometry.get("geometries") or ():
            yield from _outlines(part, number)
        return
    if kind not in ("Polygon", "MultiPolygon"):
        raise _refusal(f"feature {number} has no geometry that is known", _DRAW)
    polygons = geometry.get("coordinates")
    for rings in [polygons] if kind == "Polygon" else polygons or ():
        found = [_ring(ring, number) for ring in rings or ()]
        if not found:
            raise _refusal(f"feature {number} has no area", _DRAW)
        yield Outline(found[0], tuple(found[1:]))


def _ring(ring: Any, number: int) -> Region:
    try:
        xy = np.array([place[:2] for place in ring], float).reshape(-1, 2)
    except (TypeError, ValueError):
        xy = np.zeros((0, 2))
    points = xy[(xy != np.roll(xy, 1, 0)).any(1)][:, ::-1]
    if (at := crossing_of(points)) is not None:
        raise _refusal(
            f"the outline of feature {number} crosses itself near "
            f"x {at[1]:.0f}, y {at[0]:.0f}",
            _DRAW,
        )
    try:
        return Region.from_points(str(number), f"feature {number}", points)
    except ValueError:
        raise _refusal(f"feature {number} has no area", _DRAW) from None


def crossing_of(points_yx: np.ndarray[Any, Any]) -> tuple[float, float] | None:
    """Return where a closed polygon (n, 2) crosses itself, None where it does not.

    Each side is held against those that begin before it ends, from the top down. Sides
    that only touch do not cross.

    Examples
    --------
    >>> crossing_of(np.array([[0, 0], [4, 4], [4, 0], [0, 4]]))
    (2.0, 2.0)
    """
    start, end = points_yx, np.roll(points_yx, -1, 0)
    top, bottom = np.minimum(start, end)[:, 0], np.maximum(start, end)[:, 0]
    order = np.argsort(top, kind="stable")
    start, end, top, bottom = start[order], end[order], top[order], bottom[order]
    last = np.searchsorted(top, bottom, "right")
    for k, stop in enumerate(last.tolist()):
        a, b = start[k], end[k]
        c, d = start[k + 1 : stop], end[k + 1 : stop]
        meets = _side(a, b, c) * _side(a, b, d) < 0
        meets &= _side(c, d, a) * _side(c, d, b) < 0
        if meets.any():
            other = int(np.flatnonzero(meets)[0])
            u, v = b - a, d[other] - c[other]
            w = c[other] - a
            share = (w[0] * v[1] - w[1] * v[0]) / (u[0] * v[1] - u[1] * v[0])
            y, x = (a + share * u).tolist()
            return y, x
    return None


def _side(a: Any, b: Any, c: Any) -> Any:
    """Return on which side of the line from a to b lies c."""
    u, v = b - a, c - a
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def _refusal(problem: str, next_step: str) -> UsageError:
    return UsageError(f"The file of regions cannot be used: {problem}.", next_step)

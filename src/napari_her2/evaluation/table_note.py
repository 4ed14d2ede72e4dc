"""What every number of an evaluation must be read with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Results = Mapping[str, Any]


def note(results: Results, stage: str) -> str:
    """Return what every number of a stage must be read with."""
    data = results[stage]["data"]
    bundle = results["bundle"]
    return (
        f"N = {data['n_regions']} regions of {data['region_px']} px on "
        f"{data['n_slides']} slides; always saying {data['majority_class']!r} would be "
        f"right in {data['majority_accuracy']:.3f}. Split: {data['split']}; "
        f"{data['seeds']}. Bundle {bundle['name']} {bundle['version']}, sha256 "
        f"{bundle['sha256'][:16]}, training seed {bundle['training_seed']}, "
        f"computed by {bundle['backend']}. "
        "Intervals: 95 %, bootstrap over slides unless said otherwise. Measured by "
        "this project, nothing quoted."
    )

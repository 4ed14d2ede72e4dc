"""What a suggestion rests on and how sure it is, in words for the result card."""

from __future__ import annotations

from napari_her2.core.records import Arm, GateVerdict, Suggestion
from napari_her2.core.score import NotAssessable, scores_to_text

COVERAGE = "coverage asked"
"""Name of the parameter in a suggestion's provenance."""

_ARM_TIPS = {
    Arm.BOTH: "Both real stains were scored together.",
    Arm.HE_RECONSTRUCTED: "The IHC was computed from the H&E, then both were scored.",
    Arm.HE: "The H&E was scored alone.",
    Arm.IHC_RECONSTRUCTED: "The H&E was computed from the IHC, then both were scored.",
    Arm.IHC: "The IHC was scored alone.",
}


def set_line(suggestion: Suggestion) -> str:
    """Return the scores that are left, empty where nothing was scored."""
    if isinstance(suggestion.call, NotAssessable):
        return ""
    if not suggestion.prediction_set:
        return "Prediction set: this model is not calibrated"
    return f"Prediction set: <b>{scores_to_text(suggestion.prediction_set)}</b>"


def set_tip(suggestion: Suggestion) -> str:
    """Say how often the set was asked to hold the true score."""
    asked = dict(suggestion.provenance.parameters).get(COVERAGE)
    if asked is None or not suggestion.prediction_set:
        return "No prediction set is in this model: read the score as a guess."
    return (
        f"The true score is to be in the set in {float(asked):.0%} of cases like those "
        "the model was calibrated on. What was reached stands in the model's card."
    )


def arm_line(suggestion: Suggestion) -> str:
    """Say what the network scored, most of the area first."""
    tiles = "tile" if suggestion.n_tiles == 1 else "tiles"
    if not suggestion.arms:
        return f"From {suggestion.evidence} · {suggestion.n_tiles} {tiles}"
    if len(suggestion.arms) == 1:
        said = str(suggestion.arms[0][0])
    else:
        said = ", ".join(f"{arm} ({share:.0%})" for arm, share in suggestion.arms)
    return f"Scored: {said} · {suggestion.n_tiles} {tiles}"


def arm_tip(suggestion: Suggestion) -> str:
    """Explain the arms that took part."""
    return "\n".join(_ARM_TIPS[arm] for arm, _ in suggestion.arms)


def gate_line(suggestion: Suggestion) -> str:
    """Say whether the reconstructed stain was used and why, empty without a gate."""
    gate = suggestion.gate
    if gate is None:
        return ""
    said = "used" if gate.accepted else "set aside"
    return f"Reconstruction {said}: {gate.reason}"


def gate_tip(suggestion: Suggestion) -> str:
    """Return the gate's five numbers with their meaning."""
    gate = suggestion.gate
    return "" if gate is None else _numbers(gate)


def _numbers(gate: GateVerdict) -> str:
    return (
        f"reward R {gate.reward:+.2f} (used above 0)\n"
        f"confidence {gate.confidence:.2f} without, {gate.confidence_with:.2f} with "
        "the reconstruction\n"
        f"typicality {gate.typicality:.2f} without, {gate.typicality_with:.2f} with it"
    )

"""What a suggestion rests on and how sure it is, in words for the result card."""

from __future__ import annotations

from napari_her2.core.records import FORCED, Arm, GateVerdict, Suggestion
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
        return f"Scored: {suggestion.arms[0][0]} · {suggestion.n_tiles} {tiles}"
    return ", ".join(f"{share:.0%} {arm}" for arm, share in suggestion.arms)


def arm_tip(suggestion: Suggestion) -> str:
    """Explain the arms that took part, and on how many tiles."""
    tips = [_ARM_TIPS[arm] for arm, _ in suggestion.arms]
    return "\n".join([*tips, f"Tiles counted: {suggestion.n_tiles}"])


def gate_line(suggestion: Suggestion) -> str:
    """Say whether the reconstructed stain was used and why, empty without a gate."""
    gate = suggestion.gate
    if gate is None:
        return ""
    said = "used" if gate.accepted else "set aside"
    return f"Gate: {said}, {gate.reason}"


def gate_tip(suggestion: Suggestion) -> str:
    """Return the verdict with its five numbers and their meaning."""
    gate = suggestion.gate
    if gate is None:
        return ""
    said = "used" if gate.accepted else "set aside"
    return f"The reconstructed stain was {said}: {gate.reason}.\n{_numbers(gate)}"


def caution_line(suggestion: Suggestion, *, is_told: bool) -> str:
    """Return what must be said beside the call.

    ``is_told`` shortens what a banner above says at length.
    """
    return suggestion.caution.replace(FORCED, "forced" if is_told else FORCED)


def _numbers(gate: GateVerdict) -> str:
    return (
        f"reward R {gate.reward:+.2f} (above 0 the call becomes surer)\n"
        f"confidence {gate.confidence:.2f} without, {gate.confidence_with:.2f} with "
        "the reconstruction\n"
        f"typicality {gate.typicality:.2f} without, {gate.typicality_with:.2f} with it"
    )

"""The stages of an evaluation; each yields progress and returns its results."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.records import Arm
from napari_her2.core.score import Stain
from napari_her2.evaluation.arm_scores import arm_scores, difference
from napari_her2.evaluation.calibrated import (
    calibrated_probabilities,
    calibration_results,
)
from napari_her2.evaluation.comparisons import HE_ONLY, load_plain_generator
from napari_her2.evaluation.feature_extractor import FeatureExtractor, feature_scores
from napari_her2.evaluation.gate_scores import gate_scores, unfamiliar_shares
from napari_her2.evaluation.honesty import chance_test
from napari_her2.evaluation.intervals import Floats
from napari_her2.evaluation.ladder import Ladder, ladder_gate, ladder_scores
from napari_her2.evaluation.near_cut_off import clear_regions, clear_scores
from napari_her2.evaluation.progress import EvaluationProgress, Stage
from napari_her2.evaluation.region_tasks import Climb, Reconstruct, Score, Shift
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.samples import draw_samples
from napari_her2.evaluation.scored_regions import ScoredRegions, other
from napari_her2.evaluation.settings import SIGNALS
from napari_her2.evaluation.shift import Shifted, shift_scores
from napari_her2.evaluation.team import Team
from napari_her2.evaluation.translation import (
    CM_GAN,
    PLAIN_GAN,
    Maker,
    Translated,
    colour_makers,
    measure_translation,
)
from napari_her2.evaluation.translation_scores import (
    backward_scores,
    better_than,
    translation_scores,
)
from napari_her2.evaluation.workspace import Fakes, Part, Workspace

Results = dict[str, Any]
StageRun = Generator[EvaluationProgress, None, Results | None]


def measure_arms(space: Workspace, team: Team) -> StageRun:
    """Score every arm on all regions, draw the sample grid."""
    regions, classes, out = space.regions, space.classes, space.settings.out
    n = len(regions)
    fakes = yield from reconstruct(space, team, Part())
    scored = ScoredRegions.of((yield from team.each(Score(Part()), n, "arms")))
    scored.save(out / "arrays" / "arms.npz")
    if Stain.HE in fakes:
        draw_samples(regions, fakes[Stain.HE], out / "figures" / "samples.png")
    truth, slides = space.truth(regions)
    seed = space.settings.seed
    said = calibrated_probabilities(scored, classes, space.calibration)
    return {
        "data": regions.facts(),
        "scores": {
            name: arm_scores(each, truth, slides, classes, seed=seed)
            for name, each in said.items()
        },
        "calibration": calibration_results(
            scored, said, truth, slides, classes, space.calibration, seed=seed
        ),
        "clear": clear_scores(said, truth, slides, clear_regions(regions), seed=seed),
        "both_minus": _both_minus(said, truth, slides, seed),
        "reconstruction_adds": _added(said, truth, slides, seed),
        "gate": gate_scores(
            scored,
            truth,
            slides,
            regions.partners() if scored.gate else np.arange(len(truth)),
            seed=seed,
        ),
        "unfamiliar": unfamiliar_shares(scored),
    }


def measure_reconstruction(space: Workspace, team: Team) -> StageRun:
    """Compare reconstructed with real IHC, beside what it must beat."""
    fakes = yield from reconstruct(space, team, Part())
    part = space.regions.first_of_slides(space.settings.translation_regions)
    makers: dict[str, Maker] = {
        CM_GAN: lambda region, _: fakes[Stain.HE][space.place(part, region)]
    }
    if (plain_weights := space.plain_weights()) is not None:
        arms = space.arms
        plain = load_plain_generator(plain_weights, arms.network.config, arms.device)
        makers[PLAIN_GAN] = lambda region, _: arms.translate(
            plain, part.tile(Stain.HE, region)
        )
    makers |= colour_makers(part)
    measured = Translated()
    weights = space.settings.extractor
    extractor = FeatureExtractor(weights, space.arms.device) if weights else None
    yield from measure_translation(part, space.arms, makers, measured, extractor)
    measured.save(space.settings.out / "arrays" / "translation.npz")
    backward = fakes.get(Stain.IHC)
    truth, slides = space.truth(part)
    seed, classes = space.settings.seed, space.classes
    features = measured.features
    return {
        "data": part.facts(),
        "features": {
            name: feature_scores(features["real"], features[name], extractor.sha256)
            for name in makers
            if extractor is not None
        },
        "he_from_ihc": None
        if backward is None
        else backward_scores(
            part,
            [backward[space.place(part, region)] for region in range(len(part))],
            seed=seed,
        ),
        "methods": translation_scores(measured, truth, slides, classes, seed=seed),
        "cm_gan_minus": better_than(
            measured, CM_GAN, truth, slides, classes, seed=seed
        ),
    }


def measure_ladder(space: Workspace, team: Team) -> StageRun:
    """Corrupt one stain, then the other."""
    part = Part(first=space.settings.ladder_regions)
    regions, seed = space.open_part(part), space.settings.seed
    ladder = Ladder.of((yield from team.each(Climb(part), len(regions), "ladder")))
    truth, slides = space.truth(regions)
    return {
        "data": regions.facts(),
        "rows": ladder_scores(ladder, truth, slides, space.classes, seed=seed),
        "gate": ladder_gate(ladder),
    }


def measure_shift(space: Workspace, team: Team) -> StageRun:
    """Move both stains away from what the bundle knows."""
    part = Part(first=space.settings.shift_regions)
    regions, seed = space.open_part(part), space.settings.seed
    shifted = Shifted.of((yield from team.each(Shift(part), len(regions), "shift")))
    truth, slides = space.truth(regions)
    return {
        "data": regions.facts(),
        "rows": shift_scores(shifted, truth, slides, space.classes, seed=seed),
    }


def measure_signal(space: Workspace, team: Team) -> StageRun:
    """Follow the arms over the morphology signal; virtual slides only."""
    settings = space.settings
    if settings.data is not None:
        return None
    points = []
    for signal in SIGNALS:
        wanted = space.virtual(signal, settings.curve_slides)
        yield from wanted.render(settings.cache_dir, settings.processes)
        part = Part(signal)
        regions = space.open_part(part)
        yield from reconstruct(space, team, part)
        n = len(regions)
        scored = ScoredRegions.of((yield from team.each(Score(part), n, "arms")))
        scored.save(settings.out / "arrays" / f"signal-{signal:g}.npz")
        points.append({"signal": signal, **_point(space, regions, scored)})
    facts = regions.facts()
    return {"data": {**facts, "source": _any_signal(facts)}, "points": points}


def reconstruct(
    space: Workspace, team: Team, part: Part
) -> Generator[EvaluationProgress, None, Fakes]:
    """Reconstruct in every direction the bundle has; images that are there are kept."""
    fakes = space.open_fakes(part)
    for stain, store in fakes.items():
        todo = store.missing
        done = len(store) - len(todo)
        for region, image in team.work(Reconstruct(part, stain), todo):
            store[region] = image
            done += 1
            yield EvaluationProgress(
                f"reconstructed {other(stain).label}", done, len(store)
            )
    return fakes


STAGES: Mapping[Stage, Callable[[Workspace, Team], StageRun]] = {
    Stage.ARMS: measure_arms,
    Stage.TRANSLATION: measure_reconstruction,
    Stage.LADDER: measure_ladder,
    Stage.SHIFT: measure_shift,
    Stage.SIGNAL: measure_signal,
}


def _point(space: Workspace, part: Regions, scored: ScoredRegions) -> Results:
    truth, slides = space.truth(part)
    seed, classes = space.settings.seed, space.classes
    said = calibrated_probabilities(scored, classes, space.calibration)
    tumour = bool(np.isin(truth, classes.strata_columns).any())
    return {
        "n_regions": len(part),
        "n_slides": part.n_slides,
        "majority_accuracy": part.facts()["majority_accuracy"],
        "accuracy": {
            name: arm_scores(each, truth, slides, classes, seed=seed)["accuracy"]
            for name, each in said.items()
        },
        "chance": {
            name: chance_test(each, truth, slides, classes, seed=seed).to_json()
            for name, each in said.items()
            if tumour
        },
        "both_minus": _both_minus(said, truth, slides, seed),
        "reconstruction_adds": _added(said, truth, slides, seed),
    }


def _both_minus(
    said: Mapping[str, Floats],
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    seed: int,
) -> Results:
    both = said[Arm.BOTH]
    return {
        name: difference(both, each, truth, slides, seed=seed).to_json()
        for name, each in said.items()
        if name != Arm.BOTH
    }


def _added(
    said: Mapping[str, Floats],
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    seed: int,
) -> Results:
    """Return what a reconstruction adds to the accuracy of one stain."""
    pairs = (
        (Arm.HE.value, Arm.HE_RECONSTRUCTED.value),
        (Arm.IHC.value, Arm.IHC_RECONSTRUCTED.value),
        (HE_ONLY, Arm.HE_RECONSTRUCTED.value),
    )
    return {
        alone: difference(said[beside], said[alone], truth, slides, seed=seed).to_json()
        for alone, beside in pairs
        if alone in said and beside in said
    }


def _any_signal(facts: Mapping[str, object]) -> str:
    words = str(facts["source"]).split("; ")
    return "; ".join(word for word in words if not word.startswith("morphology"))

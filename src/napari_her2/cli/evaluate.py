"""``evaluate``: measure a bundle and write tables, figures and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_her2.cli.progress import bar
from napari_her2.core.errors import UsageError
from napari_her2.inference.backend import AUTO, BACKENDS


def evaluate(
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    bundle: Annotated[Path | None, typer.Option(help="Default: the demo.")] = None,
    data: Annotated[
        str,
        typer.Option(
            metavar="virtual|FOLDER",
            help="Virtual slides never seen in training, or a folder: BCI, MIST, or "
            "he/, ihc/ and labels.csv.",
        ),
    ] = "virtual",
    slides: Annotated[int, typer.Option(help="Virtual slides.")] = 200,
    regions_per_slide: Annotated[int, typer.Option(help="Regions of each.")] = 3,
    signal: Annotated[
        float, typer.Option(help="How strongly virtual H&E carries HER2, 0 to 1.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the slides and the bootstrap.")] = 1,
    stages: Annotated[
        str,
        typer.Option(help="Some of arms,translation,ladder,shift,signal; default all."),
    ] = "",
    comparisons: Annotated[
        Path | None, typer.Option(help="Folder of weights to compare with.")
    ] = None,
    plain_generator: Annotated[
        Path | None, typer.Option(help="Weights of a plain Pyramid Pix2Pix.")
    ] = None,
    extractor: Annotated[
        Path | None,
        typer.Option(help="ResNet50 weights (safetensors) for FID, KID and MRA."),
    ] = None,
    ladder_regions: Annotated[int, typer.Option()] = 100,
    translation_regions: Annotated[int, typer.Option()] = 200,
    shift_regions: Annotated[int, typer.Option()] = 60,
    curve_slides: Annotated[
        int, typer.Option(help="Slides of each point of the signal curve.")
    ] = 100,
    cache: Annotated[
        Path | None, typer.Option(help="Rendered slides; default OUT/cache.")
    ] = None,
    processes: Annotated[
        int, typer.Option(help="To render slides and to work on regions.")
    ] = 2,
    device: Annotated[str, typer.Option(help="A torch device, such as cuda.")] = "cpu",
    backend: Annotated[
        str, typer.Option(help=f"auto, or one of {', '.join(BACKENDS)}.")
    ] = AUTO,
    page: Annotated[
        Path | None,
        typer.Option(help="Also write the page here, with its pictures as JPEG."),
    ] = None,
) -> None:
    """Measure a bundle on data with known truth; goes on where it was stopped."""
    # imported late: --help needs neither torch nor matplotlib
    from napari_her2.evaluation.evaluation import evaluate as run
    from napari_her2.evaluation.evaluation import publish_page
    from napari_her2.evaluation.progress import Stage
    from napari_her2.evaluation.settings import Settings
    from napari_her2.models.bundle import shipped_bundle

    try:
        wanted = tuple(Stage(name) for name in stages.split(",") if name) or tuple(
            Stage
        )
    except ValueError as error:
        raise UsageError(
            f"{error}.", f"Give some of {', '.join(stage.value for stage in Stage)}."
        ) from None
    settings = Settings(
        bundle=bundle or shipped_bundle(),
        out=out,
        cache=cache,
        data=None if data == "virtual" else Path(data),
        slides=slides,
        regions_per_slide=regions_per_slide,
        signal=signal,
        seed=seed,
        stages=wanted,
        comparisons=comparisons,
        plain_generator=plain_generator,
        extractor=extractor,
        ladder_regions=ladder_regions,
        translation_regions=translation_regions,
        shift_regions=shift_regions,
        curve_slides=curve_slides,
        device=device,
        backend=backend,
        processes=processes,
    )
    with bar() as shown:
        task, work = None, ""
        for step in run(settings):
            if task is None or step.work != work:
                task, work = shown.add_task(step.work), step.work
            shown.update(task, total=step.n_steps, completed=step.step)
    if page is not None:
        publish_page(out, page)
    typer.echo(out / "results.json")

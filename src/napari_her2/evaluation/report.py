"""The results as a page for people: sentences, tables, figures, doubts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from napari_her2.core.records import Arm
from napari_her2.evaluation.progress import Stage
from napari_her2.evaluation.quoted import DOUBTS, FRAMEWORK, OTHERS, TRANSLATION
from napari_her2.evaluation.result_tables import stage_tables
from napari_her2.evaluation.sentences import headline
from napari_her2.evaluation.tables import Table

Results = Mapping[str, Any]

_TITLES = {
    Stage.ARMS: "Calls by what was given",
    Stage.TRANSLATION: "Reconstructed IHC",
    Stage.LADDER: "One stain corrupted",
    Stage.SHIFT: "Abstention",
    Stage.SIGNAL: "What the reconstruction adds, and the test for leakage",
}
_FIGURES = {
    Stage.ARMS: {
        "confusion": "Confusion matrices; rows are truths.",
        "reliability": "Reliability: what came true of the highest probability.",
        "decision": "Net benefit of acting by probability (Vickers and Elkin 2006), "
        "computed by the published formula.",
        "samples": "H&E, real IHC, reconstructed IHC (marked SYNTHETIC).",
    },
    Stage.LADDER: {"ladder": "Accuracy over five levels of corruption."},
    Stage.SHIFT: {"shift": "Abstention and accuracy over five levels of shift."},
    Stage.SIGNAL: {"signal": "Accuracy over the morphology signal."},
}
_LONG = {"ladder", "ladder_gate", "errors", "shift"}
"""Tables that the page only names; they stand beside the results."""
_JPEG_QUALITY = 88


def report(
    results: Results, *, pictures: str, suffix: str = ".png", long: bool = True
) -> str:
    """Return the page in Markdown.

    Parameters
    ----------
    results
        What ``results.json`` holds.
    pictures
        Folder of the figures, as the page links it.
    suffix
        Of the figures.
    long
        Whether the longest tables stand in the page too.
    """
    bundle = results["bundle"]
    lines = [
        f"# What the {bundle['name']} bundle scores",
        "",
        "This page was written by `napari-her2 evaluate`. Research use only. Unless "
        "marked as quoted, every number was measured by this project on the data "
        "named beside it.",
        "",
        f"Bundle {bundle['name']} {bundle['version']}, sha256 `{bundle['sha256']}`, "
        f"training seed {bundle['training_seed']}. Computed by the backend "
        f"{bundle['backend']}. Trained on: {bundle['trained_on']}.",
        "",
        "## In short",
        "",
        *(f"- {sentence}" for sentence in headline(results)),
        "",
    ]
    for stage, title in _TITLES.items():
        if stage.value not in results:
            continue
        source = results[stage.value]["data"]["source"]
        lines += [f"## {title}", "", f"Data: {source}.", ""]
        for table in stage_tables(results, stage):
            if long or table.name not in _LONG:
                lines += [table.markdown(), ""]
            else:
                lines += [f"{table.title}: see `tables/{table.name}.md`.", ""]
        for name, caption in _FIGURES.get(stage, {}).items():
            lines += [f"![{caption}]({pictures}/{name}{suffix})", "", caption, ""]
    lines += _published(results)
    return "\n".join(lines).rstrip() + "\n"


def publish(results: Results, figures: Path, page: Path, pictures: Path) -> list[Path]:
    """Write the page and its pictures (JPEG) where the documentation lies.

    Parameters
    ----------
    results
        What ``results.json`` holds.
    figures
        Folder of the PNG figures.
    page
        Markdown file to write.
    pictures
        Folder for the JPEG files, inside the page's folder.

    Returns
    -------
    list of Path
        What was written.
    """
    pictures.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in sorted(figures.glob("*.png")):
        path = pictures / f"{figure.stem}.jpg"
        with Picture.open(figure) as picture:
            picture.convert("RGB").save(path, quality=_JPEG_QUALITY, optimize=True)
        written.append(path)
    link = pictures.relative_to(page.parent).as_posix()
    page.write_text(
        report(results, pictures=link, suffix=".jpg", long=False), encoding="utf-8"
    )
    return [page, *written]


def _published(results: Results) -> list[str]:
    lines = [
        "## The source report's numbers beside ours",
        "",
        "The left numbers are quoted, on real images whose split very probably "
        "leaks; ours are on virtual tissue. They are **not comparable** and stand "
        "side by side only so that nobody has to look for them.",
        "",
        _quoted_table(results).markdown(),
        "",
        "Image similarity quoted from papers (BCI): "
        + "; ".join(f"{name} {db} dB / {like}" for name, db, like in TRANSLATION)
        + ". A flat mean colour beats published models on both measures, which "
        "barely follow what experts see.",
        "",
        "## Three doubts about the source report's own numbers",
        "",
    ]
    for number, (title, text) in enumerate(DOUBTS, 1):
        lines += [f"{number}. **{title}.** {text}", ""]
    return lines


def _quoted_table(results: Results) -> Table:
    scores = results.get("arms", {}).get("scores", {})
    rows = []
    for quoted in (*FRAMEWORK, *OTHERS):
        ours = scores.get(quoted.arm, {}) if quoted.arm else {}
        rows.append(
            (
                quoted.source,
                quoted.setting,
                quoted.accuracy,
                quoted.f1,
                str(quoted.arm) if ours and quoted.arm else "–",
                ours.get("accuracy"),
                ours.get("macro_f1"),
            )
        )
    first: dict[str, Any] = next(iter(scores.values()), {})
    majority = first.get("majority_accuracy")
    rows.append(("this project", "majority class", "–", "–", "–", majority, None))
    return Table(
        "quoted",
        "Quoted from papers, and our nearest arm",
        (
            "source",
            "given",
            "accuracy % (quoted)",
            "F1 (quoted)",
            "our arm",
            "our accuracy",
            "our macro-F1",
        ),
        tuple(rows),
        f"Arms are those of the records ({Arm.BOTH}, {Arm.HE_RECONSTRUCTED}, …). "
        "Everything marked quoted comes from the named papers on BCI.",
    )

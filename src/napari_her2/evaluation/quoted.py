"""Numbers from papers, and why they must be read with doubt. None is ours.

Source of the framework: arXiv 2506.10006 and its drafts; the other sources stand
beside their numbers. All are on the patch split of BCI (arXiv 2204.11425).
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_her2.core.records import Arm


@dataclass(frozen=True, slots=True)
class Quoted:
    """A published number; ``arm`` is the nearest of ours, None if there is none."""

    source: str
    setting: str
    accuracy: str
    f1: str
    arm: str | None


FRAMEWORK = (
    Quoted("framework", "both stains", "95.09", ".9532", Arm.BOTH),
    Quoted("framework", "both stains, concatenation", "92.00", ".9103", None),
    Quoted(
        "framework",
        "H&E and reconstructed IHC",
        "94.25",
        ".9609",
        Arm.HE_RECONSTRUCTED,
    ),
    Quoted(
        "framework",
        "IHC and reconstructed H&E",
        "90.28",
        ".9251",
        Arm.IHC_RECONSTRUCTED,
    ),
    Quoted("framework", "H&E alone, its plain baseline", "71.44", ".6697", Arm.HE),
    Quoted("framework", "IHC alone, its plain baseline", "77.38", ".7646", Arm.IHC),
    Quoted("framework, ablation", "both, with CAM", "95.32", ".9532", Arm.BOTH),
    Quoted("framework, ablation", "both, without CAM", "92.41", ".9041", None),
    Quoted("BCI test set", "always 2+", "45.65", ".157", None),
)
"""The source report's table."""

OTHERS = (
    Quoted("convoHER2, arXiv 2211.10690", "H&E", "85", "–", Arm.HE),
    Quoted("convoHER2, arXiv 2211.10690", "IHC", "88", "–", Arm.IHC),
    Quoted("Corr-A-Net", "H&E", "93", "–", Arm.HE),
    Quoted("ensemble, arXiv 2308.00806", "H&E", "97.12", "–", Arm.HE),
    Quoted("CBAM-ResNet 2024", "H&E", "> 97.5", "–", Arm.HE),
    Quoted("IHC-Matters, arXiv 2405.08197", "both", "95.3", "–", Arm.BOTH),
)
"""What others published on the same images."""

TRANSLATION = (
    ("framework's CM-GAN, H&E to IHC", "18.48", ".51"),
    ("framework's CM-GAN, IHC to H&E", "17.24", ".39"),
    ("Pyramid Pix2Pix, its own paper", "21.16", ".477"),
    ("BCIStainer, best of its repository", "23.394", ".583"),
)
"""Published PSNR in dB and SSIM on BCI."""

DOUBTS = (
    (
        "One model has two scores, and one F1 is higher than its accuracy allows "
        "one to expect",
        "The model with both stains has an accuracy of 95.09 % in one table and "
        "95.32 % in the ablation table, with the same F1 of .9532 in both. The arm "
        "of H&E and reconstructed IHC has an F1 of .9609 above an accuracy of "
        "94.25 % (the conclusion says 94.45 %), although macro-F1 of unbalanced "
        "classes usually lies below the accuracy (which F1 it is, is not said). "
        "There is one split, one random "
        "seed and no interval: with 977 test images 95.09 % alone has a Wilson "
        "interval of about 93.6 to 96.3 %, as wide as the 2.91 points that the "
        "ablation of the CAM claims, and images of one slide make it wider still.",
    ),
    (
        "The labels belong to slides, and slides very probably lie on both sides of "
        "the split",
        "A label in BCI is the category of the whole slide that an image was cut "
        "from. There are 51 slide pairs, the names carry no slide, and the share of "
        "test images per class fits a random split of images (inferred; the authors "
        "do not say how they drew it). Knowing the slide is then knowing the label. "
        "The symptom: networks that see H&E alone reach 97 % and more, better than "
        "every network that sees both stains, while on whole slides elsewhere H&E "
        "alone reaches an area under the curve of about .8 to .9. Such a number "
        "cannot say how well HER2 is read from tissue never seen before.",
    ),
    (
        "The gain of the reconstruction is measured against a weak baseline",
        "The step from 71.44 % (H&E alone) to 94.25 % (H&E and reconstructed IHC) "
        "compares a plain small network with the full framework; others publish 85 "
        "to 97 % for H&E alone on the same images. A reconstruction is computed from "
        "the H&E and can add no information to it. A generator trained on the slides "
        "that are tested later can remember which slide it sees, so that the gain "
        "cannot be told from leakage. The test is a network trained on H&E alone "
        "just as hard, and data whose H&E is known to say nothing: both stand above.",
    ),
)
"""The three biggest doubts about the source report's own numbers."""

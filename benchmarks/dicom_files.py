"""Write small DICOM whole-slide instances, tiled full or sparse, in any codec."""

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    generate_uid,
)

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
CODECS = {
    "raw": (ExplicitVRLittleEndian, lambda tile: tile.tobytes()),
    "jpeg": (
        JPEGBaseline8Bit,
        lambda tile: imagecodecs.jpeg8_encode(tile, level=95, subsampling="444"),
    ),
    "jpeg2000": (
        JPEG2000Lossless,
        lambda tile: imagecodecs.jpeg2k_encode(tile, codecformat="j2k"),
    ),
    "jpegls": (JPEGLSLossless, imagecodecs.jpegls_encode),
}
PHOTOMETRIC = {"jpeg": "YBR_FULL", "jpeg2000": "YBR_RCT"}


def uids(n):
    """Return new series, study and frame-of-reference UIDs of ``n`` series."""
    study, frame = generate_uid(), generate_uid()
    return [(study, generate_uid(), frame) for _ in range(n)]


def write_instance(
    path, image, series, *, tile=64, kind="VOLUME", codec="raw", sparse=None,
    spacing_mm=0.0005, icc=None, offset_table=True, **changes,
):  # fmt: skip
    """Write one level (H, W, 3) or grey (H, W).

    ``sparse`` lists the (row, column) of the tiles that are there, in that order;
    None writes all, TILED_FULL. ``changes`` overwrite attributes of the dataset.
    """
    syntax, encode = CODECS[codec]
    rows, cols = (-(-side // tile) for side in image.shape[:2])
    places = [(r, c) for r in range(rows) for c in range(cols)]
    places = places if sparse is None else sparse
    pad = [(0, rows * tile - image.shape[0]), (0, cols * tile - image.shape[1])]
    padded = np.pad(image, [*pad, *[(0, 0)] * (image.ndim - 2)], mode="edge")
    frames = [
        encode(
            np.ascontiguousarray(
                padded[r * tile : (r + 1) * tile, c * tile : (c + 1) * tile]
            )
        )
        for r, c in places
    ]
    dataset = _dataset(image, series, kind, tile, len(frames), spacing_mm, icc)
    dataset.PhotometricInterpretation = (
        PHOTOMETRIC.get(codec, "RGB") if image.ndim == 3 else "MONOCHROME2"
    )
    if sparse is None:
        dataset.DimensionOrganizationType = "TILED_FULL"
    else:
        dataset.DimensionOrganizationType = "TILED_SPARSE"
        dataset.PerFrameFunctionalGroupsSequence = Sequence(
            [_position(r * tile, c * tile) for r, c in places]
        )
    for name, value in changes.items():
        setattr(dataset, name, value)
    if codec == "raw":
        dataset.PixelData = b"".join(frames)
        dataset["PixelData"].VR = "OB" if image.dtype == np.uint8 else "OW"
    else:
        dataset.PixelData = encapsulate(frames, has_bot=offset_table)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)
    return path


def _dataset(image, series, kind, tile, n_frames, spacing_mm, icc):
    dataset = Dataset()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, frame = series
    dataset.FrameOfReferenceUID = frame
    dataset.SOPClassUID = WHOLE_SLIDE
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "SM"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", kind, "NONE"]
    dataset.PatientName = "Doe^Jane"
    dataset.AccessionNumber = "A-4711"
    n_channels = image.shape[2] if image.ndim == 3 else 1
    bits = 8 * image.dtype.itemsize
    dataset.SamplesPerPixel = n_channels
    if n_channels > 1:
        dataset.PlanarConfiguration = 0
    dataset.Rows = dataset.Columns = tile
    dataset.NumberOfFrames = n_frames
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00"
    dataset.BurnedInAnnotation = "NO"
    dataset.FocusMethod = "AUTO"
    dataset.ExtendedDepthOfField = "NO"
    dataset.VolumetricProperties = "VOLUME"
    dataset.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    dataset.TotalPixelMatrixRows, dataset.TotalPixelMatrixColumns = image.shape[:2]
    dataset.TotalPixelMatrixFocalPlanes = 1
    dataset.ImagedVolumeHeight = spacing_mm * image.shape[0]
    dataset.ImagedVolumeWidth = spacing_mm * image.shape[1]
    dataset.ImagedVolumeDepth = 1.0
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem = 0
    origin.YOffsetInSlideCoordinateSystem = 0
    dataset.TotalPixelMatrixOriginSequence = Sequence([origin])
    path = Dataset()
    path.OpticalPathIdentifier = "0"
    if icc is not None:
        path.ICCProfile = icc
    dataset.NumberOfOpticalPaths = 1
    dataset.OpticalPathSequence = Sequence([path])
    measures = Dataset()
    measures.PixelSpacing = [spacing_mm, spacing_mm]
    measures.SliceThickness = 1.0
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([measures])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    return dataset


def _position(y, x):
    place = Dataset()
    place.ColumnPositionInTotalImagePixelMatrix = x + 1
    place.RowPositionInTotalImagePixelMatrix = y + 1
    place.XOffsetInSlideCoordinateSystem = 0
    place.YOffsetInSlideCoordinateSystem = 0
    place.ZOffsetInSlideCoordinateSystem = 0
    group = Dataset()
    group.PlanePositionSlideSequence = Sequence([place])
    return group

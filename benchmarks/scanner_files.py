"""Write small slides in the layouts of scanners that only OpenSlide reads."""

import struct

import imagecodecs
import numpy as np
import tifffile

_SCN = "http://www.leica-microsystems.com/scn/2010/10/01"


def write_scn(path, levels, mpp=0.5, glass=2, words="Doe, Jane"):
    """Write a Leica SCN: BigTIFF, its levels told in XML, and a macro image.

    The slide lies at the lower right of a glass ``glass`` times as long, more than 1:
    the rest is no scan. ``words`` are told of the patient.
    """
    height, width = levels[0].shape[:2]
    scan_nm = (int(width * mpp * 1e3), int(height * mpp * 1e3))
    glass_nm = tuple(int(glass * side) for side in scan_nm)
    offset_nm = tuple(side - own for side, own in zip(glass_nm, scan_nm, strict=True))
    dimensions = "".join(
        f'<dimension sizeX="{level.shape[1]}" sizeY="{level.shape[0]}" r="{i}" '
        f'ifd="{i}"/>'
        for i, level in enumerate(levels)
    )
    macro = np.zeros((64, 64, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    xml = (
        f'<?xml version="1.0"?><scn xmlns="{_SCN}"><collection name="{words}" '
        f'sizeX="{glass_nm[0]}" sizeY="{glass_nm[1]}"><barcode>{words}</barcode>'
        f'<image name="macro"><pixels sizeX="64" sizeY="64"><dimension sizeX="64" '
        f'sizeY="64" r="0" ifd="{len(levels)}"/></pixels><view sizeX="{glass_nm[0]}" '
        f'sizeY="{glass_nm[1]}" offsetX="0" offsetY="0"/><scanSettings>'
        "<illuminationSettings><illuminationSource>brightfield</illuminationSource>"
        "</illuminationSettings><objectiveSettings><objective>1</objective>"
        "</objectiveSettings></scanSettings></image>"
        f'<image name="scan"><pixels sizeX="{width}" sizeY="{height}">{dimensions}'
        f'</pixels><view sizeX="{scan_nm[0]}" sizeY="{scan_nm[1]}" '
        f'offsetX="{offset_nm[0]}" offsetY="{offset_nm[1]}"/><scanSettings>'
        "<illuminationSettings><illuminationSource>brightfield</illuminationSource>"
        "</illuminationSettings><objectiveSettings><objective>20</objective>"
        "</objectiveSettings></scanSettings></image></collection></scn>"
    )
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for index, image in enumerate([*levels, macro]):
            scale = mpp * levels[0].shape[1] / image.shape[1]
            writer.write(
                image,
                tile=(64, 64),
                photometric="rgb",
                compression="zlib",
                description=xml if index == 0 else None,
                resolution=(1e4 / scale, 1e4 / scale),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


def write_mrxs(path, image, tile=64, mpp=0.5, missing=(), words="Doe_Jane"):
    """Write a 3DHISTECH MRXS of one level, PNG tiles in one data file.

    ``words`` are told of the patient.
    """
    rows, cols = (-(-side // tile) for side in image.shape[:2])
    folder = path.with_suffix("")
    folder.mkdir()
    path.write_bytes(imagecodecs.jpeg8_encode(np.zeros((16, 16, 3), np.uint8)))
    slide_id = "0123456789ABCDEF0123456789ABCDEF"
    data = bytearray(b"01.02" + slide_id.encode())
    entries = []
    for row in range(rows):
        for col in range(cols):
            if (row, col) in missing:
                continue
            part = image[row * tile : (row + 1) * tile, col * tile : (col + 1) * tile]
            pad = [(0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0)]
            png = imagecodecs.png_encode(np.ascontiguousarray(np.pad(part, pad)))
            entries.append((row * cols + col, len(data), len(png), 0))
            data += png
    (folder / "Data0000.dat").write_bytes(data)
    # index: version, id, two roots -> list of levels -> level -> page
    start = 5 + len(slide_id)
    levels, level, page = (start + at for at in (8, 12, 20))
    index = b"01.02" + slide_id.encode()
    index += struct.pack("<ii", levels, 0)
    index += struct.pack("<i", level)
    index += struct.pack("<ii", 0, page)
    index += struct.pack("<ii", len(entries), 0)
    index += b"".join(struct.pack("<iiii", *entry) for entry in entries)
    (folder / "Index.dat").write_bytes(index)
    (folder / "Slidedat.ini").write_text(
        f"[GENERAL]\nSLIDE_ID={slide_id}\nSLIDE_NAME={words}\n"
        f"IMAGENUMBER_X={cols}\nIMAGENUMBER_Y={rows}\n"
        "OBJECTIVE_MAGNIFICATION=20\nCameraImageDivisionsPerSide=1\n"
        "[HIERARCHICAL]\nHIER_COUNT=1\nNONHIER_COUNT=0\nINDEXFILE=Index.dat\n"
        "HIER_0_NAME=Slide zoom level\nHIER_0_COUNT=1\n"
        "HIER_0_VAL_0_SECTION=LAYER_0_LEVEL_0_SECTION\n"
        "[LAYER_0_LEVEL_0_SECTION]\nOVERLAP_X=0\nOVERLAP_Y=0\n"
        f"MICROMETER_PER_PIXEL_X={mpp}\nMICROMETER_PER_PIXEL_Y={mpp}\n"
        "IMAGE_FORMAT=PNG\nIMAGE_FILL_COLOR_BGR=16777215\nIMAGE_CONCAT_FACTOR=0\n"
        f"DIGITIZER_WIDTH={tile}\nDIGITIZER_HEIGHT={tile}\n"
        "[DATAFILE]\nFILE_COUNT=1\nFILE_0=Data0000.dat\n"
    )
    return path


def write_bif(path, image, mpp=0.25, tile=64, words="Doe, Jane"):
    """Write a Ventana BIF of 2 x 2 tiles without overlap, after its label image.

    ``words`` are told of the patient.
    """
    rows, cols = 2, 2
    label = np.zeros((64, 64, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    scan = (
        f'<iScan Magnification="40" ScanRes="{mpp}" UnitNumber="1" Z-layers="1" '
        f'UserName="{words}" />'
    )
    # tiles are counted from the lower left, every second row from the right
    joints = "".join(
        f'<TileJointInfo FlagJoined="1" Confidence="100" Direction="{direction}" '
        f'Tile1="{one}" Tile2="{other}" OverlapX="0" OverlapY="0"/>'
        for direction, one, other in (
            ("RIGHT", 1, 2), ("RIGHT", 4, 3), ("UP", 1, 4), ("UP", 2, 3),
        )
    )  # fmt: skip
    stitch = (
        f'<EncodeInfo Ver="2"><SlideInfo>{scan}</SlideInfo><SlideStitchInfo><ImageInfo '
        f'AOIScanned="1" Width="{tile}" Height="{tile}" NumRows="{rows}" '
        f'NumCols="{cols}" Pos-X="0" Pos-Y="0" AOIIndex="0">{joints}</ImageInfo>'
        '</SlideStitchInfo><AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin>'
        "</EncodeInfo>"
    )
    options = {"photometric": "rgb", "metadata": None, "software": "ScanOutputManager"}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for picture, text, xml in (
            (label, "Label Image", scan),
            (image, "level=0 mag=40 quality=90", stitch),
        ):
            writer.write(
                picture,
                tile=(tile, tile),
                description=text,
                extratags=[(700, 1, len(xml), xml.encode(), True)],
                **options,
            )
    return path

"""Label and macro, which show names, are never looked at."""

import pytest
import tifffile
from planting import secrets_in

from napari_her2.slides import fingerprint
from napari_her2.slides.shared_file import SharedFile
from napari_her2.slides.slide import open_slide


def test_nothing_of_label_or_macro_is_read(plant, monkeypatch):
    path = plant("SVS").he
    with tifffile.TiffFile(path) as tiff:
        hidden = [page for page in tiff.pages if page.subfiletype == 1]
        spans = [
            (offset, offset + count)
            for page in hidden
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
        assert len(hidden) == 2
        assert secrets_in(hidden[0].description)
    read = []
    pread = SharedFile._pread

    def note(self, offset, size):
        read.append((offset, offset + size))
        return pread(self, offset, size)

    monkeypatch.setattr(SharedFile, "_pread", note)
    # a small file is hashed whole, which looks at nothing; this one counts as large
    monkeypatch.setattr(fingerprint, "WHOLE_FILE_BYTES", 1000)
    with open_slide(path, in_process=True) as slide:
        for level in slide.levels:
            assert level[:].any()
    assert len(read) > 10
    for start, end in spans:
        assert not [span for span in read if span[0] < end and span[1] > start]


@pytest.mark.parametrize("kind", ["SVS", "OME-TIFF", "PNG", "DICOM", "MRXS", "BIF"])
def test_a_slide_knows_no_words_of_its_file(plant, kind):
    with open_slide(plant(kind).he) as slide:
        words = [repr(slide), slide.name, slide.fingerprint, repr(slide._source)]
        assert secrets_in(" ".join(words)) == []

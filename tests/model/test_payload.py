"""Parcels."""

from portward.model.payload import MultipartPayload


def test_size() -> None:
    """A parcel is as long as everything in it, what follows it included."""
    assert len(MultipartPayload(b"abc")) == 3
    assert len(MultipartPayload(b"abc", (b"de", b""), b"f")) == 6
    assert len(MultipartPayload(b"abc", (), MultipartPayload(b"d", (b"e",)))) == 5

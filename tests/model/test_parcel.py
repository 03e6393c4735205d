"""Parcels."""

from portward.model.parcel import Parcel


def test_size() -> None:
    """A parcel is as long as everything in it, what follows it included."""
    assert len(Parcel(b"abc")) == 3
    assert len(Parcel(b"abc", (b"de", b""), b"f")) == 6
    assert len(Parcel(b"abc", (), Parcel(b"d", (b"e",)))) == 5

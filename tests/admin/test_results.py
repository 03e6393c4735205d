from portward.admin.results import PublicationResult, TicketResult
from portward.model.channel import Channel
from portward.model.publication import Publication


def test_a_publication_is_shown_whole() -> None:
    """Every field of a publication has its place in the API, and data is passed on as it is."""
    data = {"deep": [1, {"x": None}]}
    publication = Publication(
        id="i",
        offset=7,
        time=1,
        data=data,
        key="k",
        type="t",
        user="u",
        email="e",
        signature="s",
        origin=Channel.parse("alerts:c"),
        attachments=(b"\x00",),
    )
    shown = PublicationResult.of(publication)
    for name in Publication.__struct_fields__:
        assert getattr(shown, name) == getattr(publication, name)
    assert set(Publication.__struct_fields__) == set(PublicationResult.__struct_fields__)


def test_a_ticket_is_not_shown() -> None:
    """The repr of a result that holds a ticket does not."""
    assert "secret" not in repr(TicketResult(ticket="secret", expires_in=60))

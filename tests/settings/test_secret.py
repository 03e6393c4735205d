import copy
import pickle

from portward.settings.secret import Secret


def test_no_way_of_printing_shows_the_text() -> None:
    """Every way in which values usually become text masks a secret."""
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr([secret])]  # noqa: UP031
    assert all("hunter2" not in text and "***" in text for text in shown)


def test_the_text_is_had_by_asking() -> None:
    """`reveal` and `encode` give the secret back."""
    assert Secret("grün").reveal() == "grün"
    assert Secret("grün").encode() == "grün".encode()


def test_an_empty_secret_is_not_set() -> None:
    """The default is false and shows as nothing."""
    assert not Secret()
    assert str(Secret()) == ""
    assert Secret("x")


def test_secrets_compare_by_their_text() -> None:
    """Equal texts are equal secrets with one hash; a plain text is never equal to a secret."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_secret_travels_to_another_process() -> None:
    """Pickling and copying keep the text."""
    assert pickle.loads(pickle.dumps(Secret("a"))) == Secret("a")  # noqa: S301
    assert copy.deepcopy(Secret("a")) == Secret("a")

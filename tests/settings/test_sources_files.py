from pathlib import Path

import pytest

from portward.settings.errors import SettingsError
from portward.settings.schema import Leaf, leaf_at
from portward.settings.secret import Secret
from portward.settings.sources import contents, read_file, text_of
from tests.settings.reading import loaded, settings

PEM = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----"


def leaf(*path: str) -> Leaf:
    """Find a key that must exist."""
    found = leaf_at(path)
    assert found is not None
    return found


def test_a_file_is_read_as_utf_8(tmp_path: Path) -> None:
    """The default reader returns the whole text."""
    (tmp_path / "f").write_bytes("grün\n".encode())
    assert read_file(str(tmp_path / "f")) == "grün\n"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Missing, a folder, no text: each is one line with the path."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, reason in (("none", "No such file"), ("", "directory"), ("binary", "not UTF-8")):
        with pytest.raises(SettingsError, match=f"cannot read .*{name}: .*{reason}"):
            text_of(str(tmp_path / name), read_file)


def test_an_error_without_words_is_told_all_the_same() -> None:
    """A reader need not say why."""

    def read(path: str) -> str:
        raise OSError

    with pytest.raises(SettingsError, match="cannot read f: failed"):
        text_of("f", read)


def test_only_a_missing_file_is_optional(tmp_path: Path) -> None:
    """One that is there and cannot be read is an error always."""
    assert text_of(str(tmp_path / "none"), read_file, optional=True) == ""
    with pytest.raises(SettingsError, match="cannot read"):
        text_of(str(tmp_path), read_file, optional=True)


def test_a_list_is_one_entry_a_line() -> None:
    """Blank lines and spaces at the ends do not count."""
    assert contents(leaf("tokens", "secrets"), "\n a,b \r\n\n#c\n") == ["a,b", "#c"]


def test_a_single_secret_is_the_whole_file() -> None:
    """Without the line break editors put at the end."""
    assert contents(leaf("tokens", "session_secret"), "a b\n") == "a b"


def test_pem_blocks_are_entries() -> None:
    """Text around them, as tools write it, is left out."""
    text = f"Subject: x\n{PEM}\n\n{PEM}\n"
    assert contents(leaf("tokens", "public_keys"), text) == [PEM, PEM]


def test_pem_in_a_file_of_secrets_stays_in_one_piece() -> None:
    """So that it is recognised for what it is, and not taken for several secrets."""
    assert contents(leaf("tokens", "secrets"), PEM) == [PEM]


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_is_refused(text: str) -> None:
    """It would be a secret that everyone knows."""
    with pytest.raises(SettingsError, match="the file is empty"):
        contents(leaf("tokens", "secrets"), text)


def test_secrets_come_from_files() -> None:
    """Each `_file` key fills the key beside it; the source is the file."""
    text = """
        [tokens]
        secrets_file = "/s"
        session_secret_file = "/t"
        [admin]
        api_keys_file = "/k"
        [endpoints.rooms]
        sign_secret_file = "/m"
    """
    files = {"/s": "a\nb\n", "/t": "c\n", "/k": "d\n", "/m": "e"}
    found = loaded(text, files=files)
    assert found.settings.tokens.secrets == (Secret("a"), Secret("b"))
    assert found.settings.tokens.session_secret == Secret("c")
    assert found.settings.admin.api_keys[0].key == Secret("d")
    assert found.settings.endpoints["rooms"].sign_secret == Secret("e")
    assert found.sources["tokens.secrets"] == "file /s"
    assert found.sources["tokens.secrets_file"] == "file portward.toml"


def test_names_that_end_like_file_keys_are_names() -> None:
    """A pattern `x_file` names no file to read, and neither does a role."""
    text = """
        [roles]
        x_file = ["a"]
        [identity_provider.topics]
        x_file = "/s"
    """
    found = settings(text, files={"/s": "read"})
    assert found.identity_provider.topics == {"x_file": "/s"}
    assert found.roles == {"x_file": ("a",)}


def test_a_file_that_is_missing_is_told_with_its_key() -> None:
    """The operator sees which setting names it."""
    with pytest.raises(SettingsError) as caught:
        settings('tokens.secrets_file = "/s"')
    expected = "tokens.secrets_file: cannot read /s: No such file or directory"
    assert str(caught.value) == expected


def test_a_name_that_is_no_text_is_told() -> None:
    """The type of a `_file` key is checked before it is opened."""
    with pytest.raises(SettingsError, match=r"tokens\.secrets_file: expected a text"):
        settings("tokens.secrets_file = 3")


def test_one_layer_says_one_thing() -> None:
    """A key and its file in the same place are a contradiction, unless one of them is empty."""
    files = {"/s": "a"}
    with pytest.raises(SettingsError, match=r"tokens\.secrets and .*_file are both set; keep one"):
        settings('[tokens]\nsecrets = ["x"]\nsecrets_file = "/s"', files=files)
    for text in ('secrets = []\nsecrets_file = "/s"', 'secrets = ["a"]\nsecrets_file = ""'):
        assert settings(f"[tokens]\n{text}", files=files).tokens.secrets == (Secret("a"),)


def test_the_higher_layer_holds() -> None:
    """A secret of the environment replaces a file of the file, and the other way round."""
    by_value = loaded(
        '[tokens]\nsecrets_file = "/s"', {"PORTWARD_TOKENS__SECRETS": "x"}, files={"/s": "a"}
    )
    assert by_value.settings.tokens.secrets == (Secret("x"),)
    assert by_value.settings.tokens.secrets_file == ""
    assert by_value.sources["tokens.secrets_file"] == "default"
    by_file = settings(
        '[tokens]\nsecrets = ["x"]', {"PORTWARD_TOKENS__SECRETS_FILE": "/s"}, files={"/s": "a"}
    )
    assert by_file.tokens.secrets == (Secret("a"),)

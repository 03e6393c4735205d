import io
import urllib.request
import zipfile
from urllib.error import HTTPError

import pytest

from tests.fresh.environments import PIPS, Pip, Python, broken, chosen
from tests.fresh.index import asked_with_extras, pages, serving, wheel, without_extra
from tests.fresh.machine import FreshError

LOCK = """\
coverage[toml]==7.1 \\
    --hash=sha256:00
pytest-cov==7.0 \\
    --hash=sha256:00
redis[hiredis,ocsp]==8.0 \\
    --hash=sha256:00
"""


def test_what_is_asked_for_with_extras() -> None:
    """The lock says which packages are asked for with extras."""
    assert asked_with_extras(LOCK) == {"coverage": ("toml",), "redis": ("hiredis", "ocsp")}


@pytest.mark.parametrize("name", ["coverage", "redis"])
def test_an_extra_is_taken_out(name: str) -> None:
    """Of one package all extras are gone, and nothing else has changed."""
    changed = broken(LOCK, name)
    assert f"\n{name}==" in f"\n{changed}"
    assert asked_with_extras(changed).keys() == asked_with_extras(LOCK).keys() - {name}
    assert changed.count("--hash") == 3


def test_there_is_nothing_to_take_out() -> None:
    """A package that is pinned with no extra is no sample, whatever its name begins with."""
    for name in ("pytest-cov", "cov", "unknown"):
        assert without_extra(LOCK, name) == LOCK
        with pytest.raises(FreshError, match="no extra"):
            broken(LOCK, name)


def test_a_made_up_package() -> None:
    """It is a wheel with a version above every other, and the extras that are asked for."""
    name, content = wheel("python-socks", ("asyncio",))
    assert name == "python_socks-99.0-py3-none-any.whl"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        metadata = archive.read("python_socks-99.0.dist-info/METADATA").decode()
    assert "Version: 99.0" in metadata
    assert "Provides-Extra: asyncio" in metadata


def test_the_index_serves_what_it_has_and_nothing_else() -> None:
    """Each package has a page with its one file; another package is not there."""
    served = pages({"coverage": ("toml",)})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with serving({"coverage": ("toml",)}) as index:
        base = index.address.removesuffix("/simple/")
        for path, body in served.items():
            with opener.open(f"{base}{path}", timeout=30) as answer:
                assert answer.read() == body
        with pytest.raises(HTTPError, match="404"):
            opener.open(f"{index.address}other/", timeout=30)
        assert "/simple/other/" in index.asked


def test_the_python_for_a_pip() -> None:
    """A Python that brings the pip is taken first, then any that it runs on, and none that it does not."""
    old, middle, new = (Python(f"/py{n}", (3, n), f"2{n}.0") for n in (11, 12, 13))
    bringing = Python("/debian", (3, 11), "23.0.1")
    assert chosen(PIPS[0], [old, bringing, new]) == bringing
    assert chosen(PIPS[0], [new, old]) == old
    assert chosen(PIPS[0], [middle, new]) is None
    assert chosen(Pip("anywhere", "", (3, 99)), [new]) == new

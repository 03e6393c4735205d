"""The paths of the public listener: exact ones, and patterns such as `/app/{key}`.

A parameter stands for one whole segment. Its value is used as the client wrote it: only characters that
need no escape fit, so an encoded slash, a dot segment or an empty segment never matches.
"""

import re
from collections.abc import Mapping
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
PathParameters: TypeAlias = tuple[tuple[str, str], ...]

LONGEST_VALUE: Final = 128
"""Most characters that a parameter matches."""
_NAME: Final = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}\Z")
_VALUE: Final = re.compile(rf"(?!\.\.?\Z)[A-Za-z0-9._~-]{{1,{LONGEST_VALUE}}}\Z")
"""The unreserved characters of RFC 3986 section 2.3."""


class PathMatch(NamedTuple, Generic[T]):
    """What serves a path, and the values of the parameters of its pattern, in order."""

    target: T
    parameters: PathParameters = ()


class PathPattern:
    """A path with parameters.

    Raises:
        ValueError: the text is no safe pattern; the message says why.
    """

    __slots__ = ("names", "segments", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.segments = _segments(text)
        self.names = [_name(segment) for segment in self.segments]
        names = [name for name in self.names if name]
        if self.names[0]:
            raise ValueError("the first segment is no parameter: it would take every path")
        if not all(self.segments):
            raise ValueError("a pattern has no empty segment")
        if len(names) != len(set(names)):
            raise ValueError("a parameter has a name of its own")

    def match(self, segments: list[str]) -> PathParameters | None:
        """Return the parameters of a path, given by its segments; None when it is another path."""
        if len(segments) != len(self.segments):
            return None
        found: list[tuple[str, str]] = []
        for own, name, segment in zip(self.segments, self.names, segments, strict=True):
            if name:
                if not _VALUE.match(segment):
                    return None
                found.append((name, segment))
            elif own != segment:
                return None
        return tuple(found)

    def overlaps(self, other: "PathPattern") -> bool:
        """Return whether a path can match both patterns."""
        if len(self.segments) != len(other.segments):
            return False
        pairs = zip(self.segments, self.names, other.segments, other.names, strict=True)
        return all(mine == theirs or name or named for mine, name, theirs, named in pairs)


def is_pattern(path: str) -> bool:
    """Return whether a configured path has parameters."""
    return "{" in path or "}" in path


def _segments(path: str) -> list[str]:
    """Split a path at its slashes, without one slash at its end."""
    return path.removesuffix("/").split("/")[1:]


def _name(segment: str) -> str:
    found = _NAME.match(segment)
    if found is None and is_pattern(segment):
        raise ValueError(
            "a parameter is a whole segment, {name} of lower-case letters, digits and _"
        )
    return found[1] if found else ""


class PathRouter(Generic[T]):
    """Finds the target of a path. An exact path is one lookup, and goes before a pattern.

    One slash more or less at the end makes no difference; a double slash, at any place, makes another path.
    A path that is not in `targets` belongs to `unknown`.

    Raises:
        ValueError: a path with parameters is no safe pattern.
    """

    def __init__(self, targets: Mapping[str, T], unknown: T) -> None:
        self._unknown = PathMatch(unknown)
        self._exact: dict[str, PathMatch[T]] = {}
        self._patterns: list[tuple[PathPattern, T]] = []
        for path, target in targets.items():
            if is_pattern(path):
                self._patterns.append((PathPattern(path), target))
            else:
                self._exact[path] = PathMatch(target)
        for path, match in list(self._exact.items()):
            other = path[:-1] if path.endswith("/") else f"{path}/"
            if not path.endswith("//"):
                self._exact.setdefault(other, match)

    def find(self, path: str) -> PathMatch[T]:
        """Return what serves a path, as the client wrote it."""
        return self._exact.get(path) or self._by_pattern(path)

    def _by_pattern(self, path: str) -> PathMatch[T]:
        if self._patterns and not path.endswith("//"):
            segments = _segments(path)
            for pattern, target in self._patterns:
                parameters = pattern.match(segments)
                if parameters is not None:
                    return PathMatch(target, parameters)
        return self._unknown

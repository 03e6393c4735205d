"""Binary values inside JSON: extracted and numbered, or put back in place of their placeholders."""

from typing import Any, Final

from portward.model.limits import JSON_DEPTH
from portward.model.payload import MAX_ATTACHMENTS

_MARK: Final = "_placeholder"
_KEYS: Final = frozenset({_MARK, "num"})


def pack(value: Any) -> tuple[Any, tuple[bytes, ...]]:
    """Extract the binary values of `value`: returns the rest, with placeholders, and the binary values.

    Raises:
        ValueError: there are too many, `value` is nested too deeply, or next to binary values it has an
            object that looks like a placeholder.
    """
    attachments: list[bytes] = []
    if not has_bytes(value):
        return value, ()
    packed = _pack(value, attachments, 0)
    if len(attachments) > MAX_ATTACHMENTS:
        raise ValueError(f"more than {MAX_ATTACHMENTS} attachments")
    return packed, tuple(attachments)


def has_bytes(value: Any, depth: int = 0) -> bool:
    """Whether `value`, which is inside `depth` containers, contains binary values.

    Raises:
        ValueError: it is nested too deeply.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return True
    if not isinstance(value, dict | list | tuple):
        return False
    if depth > JSON_DEPTH:
        raise ValueError("nested too deeply")
    inside = value.values() if isinstance(value, dict) else value
    return any(has_bytes(each, depth + 1) for each in inside)


def _pack(value: Any, attachments: list[bytes], depth: int) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        attachments.append(bytes(value))
        return {_MARK: True, "num": len(attachments) - 1}
    if isinstance(value, dict | list | tuple) and depth > JSON_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        if _MARK in value:
            raise ValueError("a placeholder beside bytes")
        return {key: _pack(each, attachments, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(each, attachments, depth + 1) for each in value]
    return value


def unpack(value: Any, attachments: list[bytes]) -> Any:
    """Put each attachment in the place of its placeholder.

    Raises:
        ValueError: a placeholder is invalid, or one of the attachments is not used exactly once.
    """
    unused = set(range(len(attachments)))
    unpacked = _unpack(value, attachments, unused)
    if unused:
        raise ValueError("an attachment without a place")
    return unpacked


def _unpack(value: Any, attachments: list[bytes], unused: set[int]) -> Any:
    if isinstance(value, dict):
        if _MARK in value:
            return _placed(value, attachments, unused)
        return {key: _unpack(each, attachments, unused) for key, each in value.items()}
    if isinstance(value, list):
        return [_unpack(each, attachments, unused) for each in value]
    return value


def _placed(placeholder: dict[str, Any], attachments: list[bytes], unused: set[int]) -> bytes:
    number = placeholder.get("num")
    well_formed = placeholder[_MARK] is True and placeholder.keys() == _KEYS
    if not well_formed or type(number) is not int or number not in unused:
        raise ValueError("a placeholder for nothing")
    unused.discard(number)
    return attachments[number]

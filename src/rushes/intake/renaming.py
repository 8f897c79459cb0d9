"""Errors about our fields, as errors about the fields that the caller wrote."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from rushes.errors import FieldError, InvalidRequest, UnknownField, UnsupportedOption, UnusableInput

_HEAD = re.compile(r"[a-z_]+(?:\.[0-9]+)?")
"""Of a list, one of its items may be named."""


def renamed(error: Exception, names: Mapping[str, str], *, beside: Collection[str] = ()) -> Exception:
    """The error with the caller's names: by our name of a field, the caller's.

    A name in `beside` says more than the field of ours does, so it stands before our sentence and not inside it.
    """
    match error:
        case InvalidRequest():
            fields = [FieldError(_there(field.field, names), field.message) for field in error.fields]
            return InvalidRequest(_reworded(error.message, names, beside), fields)
        case UnsupportedOption():
            return UnsupportedOption(_reworded(error.message, names, beside), _there(error.field, names))
        case UnknownField():
            return UnknownField(error.message, _there(error.field, names), error.suggestions)
        case UnusableInput():
            return type(error)(_reworded(error.message, names, beside), _there(error.field, names))
    return error


def _there(field: str, names: Mapping[str, str]) -> str:
    if field in names:
        return names[field]
    head, dot, rest = field.partition(".")
    return f"{names.get(head, head)}{dot}{rest}"


def _reworded(message: str, names: Mapping[str, str], beside: Collection[str]) -> str:
    """The sentence with our field's name at its head, or at the head of one of its parts, changed to the caller's."""
    parts = []
    for part in message.split("; "):
        head = _HEAD.match(part)
        there = None if head is None else _there(head[0], names)
        if head is None or there is None or there == head[0]:
            parts.append(part)
        elif there in beside:
            parts.append(f"{there}: {part}")
        else:
            parts.append(there + part[head.end() :])
    return "; ".join(parts)

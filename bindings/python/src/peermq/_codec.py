"""Objects that msgpack does not know, turned into such that it does."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

from . import _core


def _plain(value: Any) -> Any:
    """The packer's hook: called for what is no plain type; returns it unchanged to refuse it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    dump = getattr(value, "model_dump", None)  # pydantic, without importing it
    if callable(dump) and not isinstance(value, type):
        return dump()
    return value


_core._set_pack_hook(_plain)

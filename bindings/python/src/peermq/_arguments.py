"""Arguments of workers: decoded by the annotations of their functions."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from ._errors import InvalidArgument

_Union = (typing.Union, types.UnionType)


def _refuse(where: str, wanted: object, value: object) -> InvalidArgument:
    name = getattr(wanted, "__name__", str(wanted))
    return InvalidArgument(f"{where}: {name} is wanted, not {type(value).__name__}")


def convert(value: Any, wanted: Any, where: str) -> Any:
    """`value`, as msgpack gives it, as the annotation `wanted` asks. Raises InvalidArgument."""
    if wanted in (Any, object, inspect.Parameter.empty):
        return value
    if wanted is None or wanted is type(None):
        if value is None:
            return None
        raise _refuse(where, type(None), value)
    origin = typing.get_origin(wanted)
    if origin is typing.Annotated:
        return convert(value, typing.get_args(wanted)[0], where)
    if origin in _Union:
        return _convert_union(value, wanted, where)
    if origin is typing.Literal:
        if value in typing.get_args(wanted):
            return value
        raise InvalidArgument(f"{where}: one of {typing.get_args(wanted)} is wanted, not {value!r}")
    if origin is not None:
        return _convert_generic(value, origin, typing.get_args(wanted), where)
    if typing.is_typeddict(wanted):
        return _convert_typed_dict(value, wanted, where)
    if not isinstance(wanted, type):
        return value  # a TypeVar and the like: anything
    return _convert_class(value, wanted, where)


def _convert_union(value: Any, wanted: Any, where: str) -> Any:
    choices = typing.get_args(wanted)
    exact = [one for one in choices if isinstance(one, type) and type(value) is one]
    for choice in [*exact, *choices]:
        try:
            return convert(value, choice, where)
        except InvalidArgument:
            continue
    raise _refuse(where, wanted, value)


def _convert_generic(value: Any, origin: Any, inner: tuple[Any, ...], where: str) -> Any:
    if not isinstance(origin, type):
        return value
    if issubclass(origin, dict) or origin.__name__ in ("Mapping", "MutableMapping"):
        if not isinstance(value, dict):
            raise _refuse(where, dict, value)
        key, item = inner
        return {convert(k, key, where): convert(v, item, f"{where}[{k!r}]") for k, v in value.items()}
    if not isinstance(value, list):
        raise _refuse(where, list, value)
    if origin is tuple and inner[-1:] != (...,):
        if len(inner) != len(value):
            raise InvalidArgument(f"{where}: {len(inner)} items are wanted, not {len(value)}")
        return tuple(convert(v, t, f"{where}[{i}]") for i, (v, t) in enumerate(zip(value, inner)))
    items = [convert(v, inner[0], f"{where}[{i}]") for i, v in enumerate(value)]
    return origin(items) if origin in (tuple, set, frozenset) else items


def _convert_typed_dict(value: Any, wanted: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _refuse(where, wanted, value)
    hints = typing.get_type_hints(wanted)
    for name in wanted.__required_keys__:
        if name not in value:
            raise InvalidArgument(f"{where}: {name!r} is missing")
    return {k: convert(v, hints.get(k, Any), f"{where}.{k}") for k, v in value.items()}


def _convert_class(value: Any, wanted: type, where: str) -> Any:
    validate = getattr(wanted, "model_validate", None)  # pydantic, without importing it
    if callable(validate):
        try:
            return validate(value)
        except ValueError as failure:
            raise InvalidArgument(f"{where}: {failure}") from failure
    if dataclasses.is_dataclass(wanted):
        if not isinstance(value, dict):
            raise _refuse(where, wanted, value)
        hints = typing.get_type_hints(wanted)
        try:
            return wanted(**{k: convert(v, hints.get(k, Any), f"{where}.{k}") for k, v in value.items()})
        except TypeError as failure:
            raise InvalidArgument(f"{where}: {failure}") from failure
    if issubclass(wanted, enum.Enum):
        try:
            return wanted(value)
        except ValueError as failure:
            raise InvalidArgument(f"{where}: {failure}") from failure
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if wanted in (tuple, set, frozenset) and isinstance(value, list):
        return wanted(value)
    if isinstance(value, wanted) and not (isinstance(value, bool) and wanted is int):
        return value
    raise _refuse(where, wanted, value)


class Arguments:
    """How a function is called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._signature = inspect.signature(function)
        self._function = function
        self._hints: dict[str, Any] | None = None

    def bind(self, args: Any, kwargs: Any) -> inspect.BoundArguments:
        """As sent; raises InvalidArgument when they do not fit the function."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as failure:
            raise InvalidArgument(f"{self._function.__name__}(): {failure}") from failure
        return bound

    def decode(self, args: Any, kwargs: Any) -> inspect.BoundArguments:
        """The same, converted by annotation. Late, so that annotations may name what comes later."""
        if self._hints is None:
            self._hints = typing.get_type_hints(self._function)
        bound = self.bind(args, kwargs)
        for name, value in bound.arguments.items():
            wanted = self._hints.get(name, Any)
            where = f"{self._function.__name__}({name})"
            kind = self._signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                bound.arguments[name] = tuple(convert(one, wanted, where) for one in value)
            elif kind is inspect.Parameter.VAR_KEYWORD:
                bound.arguments[name] = {k: convert(v, wanted, where) for k, v in value.items()}
            else:
                bound.arguments[name] = convert(value, wanted, where)
        return bound

"""Objects as msgpack: both ways, at the limits, and whatever strangers send."""

from __future__ import annotations

import dataclasses
import enum
import random
from datetime import datetime, timedelta, timezone
from typing import Any

import msgpack  # the reference
import pytest

import peermq
from peermq._core import pack, unpack

VALUES: list[Any] = [
    None,
    True,
    False,
    *[sign * (2**bits + delta) for bits in range(0, 63) for delta in (-1, 0, 1) for sign in (1, -1)],
    2**64 - 1,
    -(2**63),
    0.0,
    -1.5,
    1e308,
    float("inf"),
    *["x" * size for size in (0, 31, 32, 255, 256, 65535, 65536)],
    "äöü 😀 \x00",
    *[b"x" * size for size in (0, 255, 256, 65535, 65536)],
    *[[1] * size for size in (0, 15, 16, 65535, 65536)],
    *[{str(n): n for n in range(size)} for size in (0, 15, 16, 65535, 65536)],
    {1: "int", b"b": "bytes", None: "none", 1.5: [{}, [[]]]},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
def test_values_come_as_they_went_and_as_others_read_them(value: Any) -> None:
    packed = pack(value)
    assert unpack(packed) == value and type(unpack(packed)) is type(value)
    assert packed == msgpack.packb(value)
    assert msgpack.unpackb(packed, strict_map_key=False) == value


def test_floats_of_32_bits_and_old_raw_forms_are_read() -> None:
    assert unpack(msgpack.packb(1.5, use_single_float=True)) == 1.5


@dataclasses.dataclass
class Order:
    number: int
    lines: list[Order | str]


class Colour(enum.Enum):
    red = "r"


class Level(enum.IntEnum):
    high = 3


def test_what_is_like_a_plain_value_becomes_one() -> None:
    assert unpack(pack((1, (2,)))) == [1, [2]]
    assert unpack(pack(bytearray(b"x"))) == b"x" == unpack(pack(memoryview(b"x")))
    assert unpack(pack(Order(1, ["a", Order(2, [])]))) == {
        "number": 1,
        "lines": ["a", {"number": 2, "lines": []}],
    }
    assert unpack(pack([Colour.red, Level.high])) == ["r", 3]


def test_pydantic_models_become_dicts() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", n=(int, ...))
    assert unpack(pack(model(n=1))) == {"n": 1}


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 1, tzinfo=timezone.utc),
        datetime(2026, 2, 28, 23, 59, 59, 999999, timezone(timedelta(hours=-5))),
        datetime(1, 1, 1, tzinfo=timezone.utc),
        datetime(9999, 12, 31, 23, 59, 59, 999999, timezone.utc),
        datetime(1969, 12, 31, 23, 59, 59, 1, timezone.utc),
    ],
)
def test_moments_come_as_they_went(moment: datetime) -> None:
    assert unpack(pack(moment)) == moment
    assert msgpack.unpackb(pack(moment), timestamp=3) == moment
    assert unpack(msgpack.packb(moment, datetime=True)) == moment


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**64, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        ("\ud800", "UTF-8"),
        (object(), "type object"),
        ({1, 2}, "type set"),
        (Order, "type type"),
        (datetime(2026, 1, 1), "time zone"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(value: Any, why: str) -> None:
    with pytest.raises(peermq.InvalidArgument, match=why):
        pack([{"deep": value}])


def test_endless_nesting_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(peermq.InvalidArgument, match="nested"):
        pack(circle)
    with pytest.raises(peermq.InvalidArgument, match="nested"):
        unpack(b"\x91" * 100_000)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xc1",
        b"\x01\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xffx",
        b"\xdb\x00\x00\x00\x02\xff\xff",
        b"\x81\x90\x01",
        b"\xd4\x05x",
        b"\xc7\x0c\xff" + b"\xff" * 12,
        b"\xc7\x05\xff" + b"\x00" * 5,
        b"\xd6",
    ],
)
def test_what_is_no_msgpack_is_refused(damaged: bytes) -> None:
    with pytest.raises(peermq.InvalidArgument, match="no msgpack"):
        unpack(damaged)


def test_damaged_bytes_are_read_or_refused_but_never_worse() -> None:
    chance = random.Random(5)
    whole = pack([VALUES[-1], {"a": [1.5, "text", b"bytes", datetime.now(timezone.utc)]}, 2**40])
    for _ in range(20_000):
        damaged = bytearray(whole[: chance.randrange(len(whole) + 1)])
        for _ in range(chance.randrange(4)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            unpack(bytes(damaged))
        except peermq.InvalidArgument:
            pass


def test_a_list_that_changes_meanwhile_is_refused() -> None:
    victims: list[Any] = []

    @dataclasses.dataclass
    class Shrinks:
        @property
        def __dataclass_fields__(self) -> dict[str, Any]:  # type: ignore[override]
            victims.clear()
            return {}

    class Shrinker:
        def model_dump(self) -> int:
            victims.clear()
            return 1

    victims.extend([Shrinker(), Shrinker(), "x"])
    with pytest.raises(peermq.InvalidArgument, match="changed"):
        pack(victims)
    mapping: dict[Any, Any] = {}

    class Grower:
        def model_dump(self) -> int:
            mapping[len(mapping)] = 1
            return 1

    mapping.update({"a": Grower(), "b": 1})
    with pytest.raises(peermq.InvalidArgument, match="changed"):
        pack(mapping)

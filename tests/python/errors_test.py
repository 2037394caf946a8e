"""Each wrong call gets the right class, its code, and a text that says what would be right."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import World

import peermq

Bad = tuple[Callable[[peermq.Peer], Any], type[Exception], str]

CALLS: dict[str, Bad] = {
    "spool": (lambda p: peermq.Peer(spool="/proc/nothing"), peermq.Error, "/proc/nothing"),
    "bytes": (lambda p: peermq.Peer(spool_bytes_max=-1), peermq.InvalidArgument, "spool_bytes_max"),
    "flag": (lambda p: peermq.Peer(insecure=1), peermq.InvalidArgument, "True or False"),
    "endpoint": (lambda p: p.bind("tcp://nowhere"), peermq.InvalidArgument, "tcp://"),
    "scheme": (lambda p: p.connect("http://x:1"), peermq.Error, "http"),
    "insecure": (lambda p: p.bind("tcp://0.0.0.0:0"), peermq.Error, "insecure"),
    "queue": (lambda p: p.push("with space"), peermq.InvalidArgument, "with space"),
    "queue type": (lambda p: p.push(3), TypeError, "str"),
    "durability": (lambda p: p.push("q", durability="paper"), peermq.InvalidArgument, "paper"),
    "overflow": (lambda p: p.push("q", overflow="x"), peermq.InvalidArgument, "drop_oldest"),
    "no spool": (lambda p: p.push("q", durability="disk"), peermq.Error, "spool"),
    "option": (lambda p: p.push("q", nonsense=1), TypeError, "nonsense"),
    "prefetch": (lambda p: p.pull("q", prefetch=0), peermq.InvalidArgument, "1 to 1,000,000"),
    "prefetch type": (lambda p: p.pull("q", prefetch="9"), peermq.InvalidArgument, "an int"),
    "duration": (lambda p: p.push("q", lease="9"), peermq.InvalidArgument, "timedelta"),
    "nan": (lambda p: p.pull("q").receive(float("nan")), peermq.InvalidArgument, "not a number"),
    "key": (lambda p: p.push("q").post(b"", key=5), peermq.InvalidArgument, "key: str or bytes"),
    "long key": (lambda p: p.push("q").post(b"", key="k" * 2000), peermq.InvalidArgument, "1,024"),
    "headers": (lambda p: p.push("q").post(b"", headers=5), peermq.InvalidArgument, "mapping"),
    "pairs": (lambda p: p.push("q").post(b"", headers=["ab"]), peermq.InvalidArgument, "pairs"),
    "value": (lambda p: p.push("q").post(b"", headers={"a": 1}), peermq.InvalidArgument, "value"),
    "reserved": (
        lambda p: p.push("q").post(b"", headers={"peermq-x": "1"}),
        peermq.InvalidArgument,
        "reserved",
    ),
    "no data": (lambda p: p.push("q").post(), TypeError, "data"),
    "two data": (lambda p: p.push("q").post(b"", b""), TypeError, "one positional"),
    "keyword": (lambda p: p.push("q").post(b"", kye="x"), TypeError, "kye"),
    "large": (lambda p: p.push("q").post(b"x" * 2**24), peermq.InvalidArgument, "message_bytes_max"),
    "until": (lambda p: p.push("q").post(b"").wait(0, until="x"), peermq.InvalidArgument, "acked"),
    "concurrency": (lambda p: p.pull("q").run(print, concurrency=0), peermq.InvalidArgument, "1,024"),
    "no peer": (lambda p: peermq.Push.__new__(peermq.Push).post(b""), peermq.Error, "made by a Peer"),
    "by hand": (lambda p: peermq.Delivery(), TypeError, "Delivery"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_says_what_is_wrong(memory_world: World, name: str) -> None:
    call, kind, text = CALLS[name]
    with pytest.raises(kind, match=text) as failure:
        call(memory_world.producer)
    assert kind is TypeError or "\n" not in str(failure.value)


def test_pulling_twice_is_refused(memory_world: World) -> None:
    peer = memory_world.worker()
    first = peer.pull("q")
    with pytest.raises(peermq.Error) as failure:
        peer.pull("q")
    assert failure.value.code is peermq.ErrorCode.invalid_state
    first.stop()


def test_a_spool_that_is_open_names_who_has_it(tmp_path: Path) -> None:
    with peermq.Peer(spool=tmp_path):
        with pytest.raises(peermq.SpoolError, match="pid") as failure:
            peermq.Peer(spool=tmp_path)
    assert failure.value.code == "locked"


def test_after_close_every_call_raises_closed() -> None:
    peer = peermq.Peer()
    push, pull = peer.push("q"), peer.pull("p")
    peer.close()
    assert pull.receive() is None and list(pull) == []
    for call in (
        lambda: push.send(b""),
        lambda: push.send_many([b""]),
        lambda: peer.push("other"),
        lambda: peer.pull("other"),
        lambda: peer.bind("inproc://x"),
    ):
        with pytest.raises(peermq.Closed) as failure:
            call()
        assert failure.value.code == "closed"
    assert peer.close()


def test_time_outs_are_both_kinds(memory_world: World) -> None:
    push = memory_world.producer.push("q")
    push.post(b"x")
    for timeout in (0.001, timedelta(milliseconds=1), 0, -1):
        with pytest.raises(TimeoutError) as failure:
            push.flush(timeout, until="acked")
        assert isinstance(failure.value, peermq.Timeout) and failure.value.code == "timeout"


def test_classes_stand_for_their_codes() -> None:
    assert issubclass(peermq.InvalidArgument, ValueError)
    for kind in (peermq.Closed, peermq.Quota, peermq.SpoolError, peermq.RemoteError):
        assert issubclass(kind, peermq.Error)
        assert isinstance(kind("text").code, peermq.ErrorCode)


def test_errors_survive_pickling() -> None:
    error = peermq.Quota("full", code="quota")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code) == (peermq.Quota, "full", error.code)


def test_every_code_of_the_library_has_its_name_here(source_dir: Path) -> None:
    import re

    header = (source_dir / "include/peermq/error.hpp").read_text()
    body = header[header.index("enum class ErrorCode") : header.index("enum class ErrorClass")]
    names = set(re.findall(r"^\s+(\w+) = \d+,", body, re.M))
    assert len(names) >= 15
    assert names <= {code.value for code in peermq.ErrorCode}

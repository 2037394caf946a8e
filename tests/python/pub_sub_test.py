"""Publishers and subscribers, in both dresses."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

import pytest
from conftest import PATIENCE, World, eventually

import peermq
from peermq import aio


def linked(world: World, **options: object) -> peermq.Peer:
    """A worker whose link is up, so that subscriptions are confirmed at once."""
    worker = world.worker(**options)
    assert eventually(lambda: [one for one in worker.stats()["links"] if one["state"] == "up"])
    return worker


def test_a_live_subscription_gets_what_its_pattern_takes(world: World) -> None:
    pub = world.producer.publisher("orders")
    sub = linked(world).subscriber("orders.*.created")
    assert sub.wait_for_publishers(1, PATIENCE) and pub.wait_for_subscribers(1, PATIENCE)
    pub.publish("orders.eu.created", {"n": 1}, key="k", headers={"h": "v"})
    pub.publish("orders.eu.paid", {"n": 2})
    receipt = pub.post("orders.us.created", b"raw")
    assert receipt.wait(PATIENCE)
    m = sub.receive(PATIENCE)
    assert m is not None
    assert (m.topic, m.data, m.key) == ("orders.eu.created", {"n": 1}, "k")
    assert m.headers == {"h": "v"}
    m = sub.receive(PATIENCE)
    assert m is not None
    assert (m.topic, m.data, m.id) == ("orders.us.created", b"raw", receipt.id)
    assert (sub.missed, sub.name, sub.patterns) == (0, "", ["orders.*.created"])
    assert pub.flush(PATIENCE)


def test_patterns_come_and_go(world: World) -> None:
    pub = world.producer.publisher("t")
    sub = linked(world).subscriber("t.a")
    sub.wait_for_publishers(1, PATIENCE)
    confirmed = sub.subscribe("t.b.#")
    assert confirmed.complete and confirmed.publishers == 1 and confirmed.refusals == []
    assert sub.unsubscribe("t.a").complete
    pub.publish("t.a", 1)
    pub.publish("t.b.c", 2)
    m = sub.receive(PATIENCE)
    assert m is not None and m.data == 2
    with pytest.raises(peermq.Error) as failure:
        sub.unsubscribe("t.a")
    assert failure.value.code == "not_found"


def test_run_and_iteration_work_as_with_a_pull(world: World) -> None:
    pub = world.producer.publisher("t")
    sub = linked(world).subscriber("t.#")
    pub.wait_for_subscribers(1, PATIENCE)
    for n in range(5):
        pub.publish("t", n)
    seen = []
    for m in sub:
        seen.append(m.data)
        if len(seen) == 3:
            break

    def handler(m: peermq.Delivery) -> None:
        seen.append(m.data)
        if len(seen) == 5:
            sub.stop()

    sub.run(handler)
    assert seen == list(range(5))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"slow": "x"}, "disconnect"),
        ({"match": "x"}, "any"),
        ({"from_": "yesterday"}, "aware datetime"),
        ({"from_": datetime(2026, 1, 1)}, "time zone"),
        ({"buffer": 0}, "buffer"),
        ({"headers": 3}, "mapping"),
    ],
)
def test_wrong_options_are_named(world: World, options: dict[str, object], text: str) -> None:
    with pytest.raises(peermq.InvalidArgument, match=text):
        world.producer.subscriber("a", **options)  # type: ignore[arg-type]


def test_wrong_topics_are_refused(world: World) -> None:
    pub = world.producer.publisher("t")
    with pytest.raises(peermq.InvalidArgument):
        pub.publish("elsewhere", 1)
    with pytest.raises(TypeError, match="topic first"):
        pub.publish()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="data"):
        pub.publish("t")  # type: ignore[call-arg]


def test_header_filters_hold(world: World) -> None:
    pub = world.producer.publisher("t")
    sub = linked(world).subscriber("t", headers={"a": "1", "b": "2"}, match="any")
    pub.wait_for_subscribers(1, PATIENCE)
    pub.publish("t", 1, headers={"a": "0"})
    pub.publish("t", 2, headers={"b": "2"})
    m = sub.receive(PATIENCE)
    assert m is not None and m.data == 2


def test_where_to_begin_may_be_a_moment() -> None:
    with peermq.Peer() as peer:
        peer.subscriber("t", from_=datetime.now(timezone.utc)).stop()


def test_asyncio_has_both_ends() -> None:
    async def main() -> None:
        async with aio.Peer() as a, aio.Peer() as b:
            b.connect(a.bind("inproc://topics"))
            pub = a.publisher("t")
            sub = await b.subscriber("t.#")
            assert await sub.wait_for_publishers(1, PATIENCE)
            assert await pub.wait_for_subscribers(1, PATIENCE)
            sent = [await pub.publish("t.x", n) for n in range(100)]
            assert await (await pub.post("t.y", "last")).wait(PATIENCE)
            seen = []
            async for m in sub:
                if m.topic == "t.y":
                    break
                seen.append(m.id)
            assert seen == sent and sub.missed == 0
            assert (await sub.subscribe("other")).complete
            with pytest.raises(peermq.Timeout):
                await pub.wait_for_subscribers(5, 0.01)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))

"""An asyncio service as a web framework would hold it: one peer per process, opened at the start.

Handlers ask the price service with a deadline and publish what happened; another task listens.
"""

import asyncio
from typing import Any

import peermq
from peermq import aio


class Shop:
    """What a framework's lifespan would open and close."""

    def __init__(self, peer: aio.Peer) -> None:
        self.prices = peer.requester("price", timeout=5)
        self.orders = peer.publisher("orders")

    async def order(self, article: str, count: int) -> dict[str, Any]:
        try:
            price = (await self.prices.call({"article": article})).data
        except peermq.RemoteError as failure:
            return {"status": 404, "error": failure.remote_message}
        total = price["cents"] * count
        await self.orders.publish("orders.eu.created", {"article": article, "total": total})
        return {"status": 201, "total": total}


async def price(request: aio.Request) -> dict[str, Any] | None:
    known = {"tea": 350, "coffee": 420}
    article = request.data["article"]
    if article not in known:
        request.fail("not_found", f"no article {article}")
        return None
    return {"cents": known[article]}


async def main() -> None:
    async with aio.Peer() as front, aio.Peer() as back:
        back.connect(front.bind("inproc://shop"))
        service = back.replier("price")
        serving = asyncio.create_task(service.run(price, concurrency=16))
        shop = Shop(front)
        created = await back.subscriber("orders.#")
        await shop.orders.wait_for_subscribers(1, timeout=10)
        answers = await asyncio.gather(
            shop.order("tea", 2), shop.order("coffee", 1), shop.order("ink", 1)
        )
        print("answers:", *answers)
        totals = []
        async for event in created:
            totals.append(event.data["total"])
            if len(totals) == 2:
                break
        print("published:", sorted(totals))
        service.stop()
        await serving


if __name__ == "__main__":
    asyncio.run(main())

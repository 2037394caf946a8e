"""A queue between two peers: what is sent is on disk, what is acked is gone."""

import tempfile

import peermq


def main() -> None:
    with tempfile.TemporaryDirectory() as spool:
        with peermq.Peer(spool=spool) as producer, peermq.Peer() as worker:
            worker.connect(producer.bind("tcp://127.0.0.1:*"))
            orders = producer.push("orders")
            for number in range(3):
                orders.send({"number": number}, key="customer-7")
            for message in worker.pull("orders"):
                with message:
                    print("order", message.data["number"], "of", message.key)
                if message.data["number"] == 2:
                    break
            orders.flush(10, until="acked")
            print("left:", orders.stats()["depth"])


if __name__ == "__main__":
    main()

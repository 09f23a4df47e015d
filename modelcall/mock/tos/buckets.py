"""The operations on buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcall.mock.tos.replies import Answer, json_answer
from modelcall.mock.tos.times import iso_time

if TYPE_CHECKING:
    from modelcall.mock.tos.exchange import Exchange


async def head_bucket(exchange: Exchange) -> Answer:
    """HEAD /: a flat bucket in one region."""
    _ = exchange.bucket
    headers = {"x-tos-bucket-region": exchange.options.region, "x-tos-bucket-type": "fns"}
    return Answer(headers={**headers, "x-tos-storage-class": "STANDARD"})


async def create_bucket(exchange: Exchange) -> Answer:
    """PUT /."""
    exchange.store.create(exchange.call.bucket)
    return Answer(headers={"location": f"/{exchange.call.bucket}"})


async def delete_bucket(exchange: Exchange) -> Answer:
    """DELETE /."""
    exchange.store.drop(exchange.call.bucket)
    return Answer(204)


async def list_buckets(exchange: Exchange) -> Answer:
    """GET / of the endpoint itself."""
    buckets = [
        {
            "Name": bucket.name,
            "Location": exchange.options.region,
            "CreationDate": iso_time(bucket.created),
            "ExtranetEndpoint": exchange.options.endpoint,
            "IntranetEndpoint": exchange.options.endpoint,
        }
        for bucket in exchange.store.buckets.values()
    ]
    return json_answer({"Owner": {"ID": "1"}, "Buckets": buckets})

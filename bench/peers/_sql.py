"""What measures a peer that gets rows by their key."""

import asyncio
import json
import time

import uvloop

ROWS = 20_000
WARM, COUNT = 500, 3_000


def measured(connect, get):
    """Print the CPU time of one get in µs, of this process: one at a time, and 16 at once."""

    async def main():
        async with connect() as db:
            row = await get(db, 7)
            assert (7, "p7", "Text 7") == (row.id, row.product_id, row.text)
            figures = {}
            for width in (1, 16):
                await run(db, width, WARM)
                began = time.process_time()
                await run(db, width, COUNT)
                figures[str(width)] = (time.process_time() - began) / COUNT * 1e6
            print(json.dumps(figures))

    async def run(db, width, count):
        numbers = iter(range(count))

        async def one():
            for number in numbers:
                assert await get(db, number * 7919 % ROWS + 1) is not None

        await asyncio.gather(*(one() for _ in range(width)))

    uvloop.run(main())

"""What asyncio takes: see ../README.md."""

import asyncio
from measure import REPS, Failed, main, now, want


async def yields(n):
    """sleep(0) goes to the back of the queue."""
    opened = asyncio.Event()

    async def task():
        await opened.wait()
        for _ in range(REPS // 10):
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(task()) for _ in range(n)]
    await asyncio.sleep(0)
    began = now()
    opened.set()
    await asyncio.gather(*tasks)
    return now() - began, n * (REPS // 10)


async def one():
    return 1


async def fresh(_):
    """To await the coroutine without create_task would be no more than a call: it makes no task."""
    total = 0
    began = now()
    for _ in range(REPS):
        total += await asyncio.create_task(one())
    return now() - began, want(total, REPS)


async def gather(n):
    began = now()
    results = await asyncio.gather(*[one() for _ in range(n)])
    return now() - began, want(sum(results), n)


async def ping(_):
    there, back = asyncio.Event(), asyncio.Event()

    async def answer():
        for _ in range(REPS):
            await there.wait()
            there.clear()
            back.set()

    answers = asyncio.create_task(answer())
    await asyncio.sleep(0)
    began = now()
    for _ in range(REPS):
        there.set()
        await back.wait()
        back.clear()
    took = now() - began
    await answers
    return took, 2 * REPS


async def queue(_):
    """A queue of Python 3.11 cannot be closed: None ends it."""
    q = asyncio.Queue(100)

    async def consumer():
        total = 0
        while (v := await q.get()) is not None:
            total += v
        return total

    began = now()
    consumed = asyncio.create_task(consumer())
    for _ in range(REPS):
        await q.put(1)
    await q.put(None)
    total = want(await consumed, REPS)
    return now() - began, total


async def sleepers(n):
    began = now()
    await asyncio.gather(*[asyncio.sleep(0.001) for _ in range(n)])
    return now() - began, n


async def crash(n):
    """gather does not stop the others when one fails; a TaskGroup does."""
    ended = began = 0

    async def task():
        nonlocal ended
        try:
            await asyncio.sleep(3600)
        finally:
            ended += 1

    async def failing():
        nonlocal began
        began = now()
        raise Failed

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(n):
                group.create_task(task())
            await asyncio.sleep(0)
            group.create_task(failing())
    except* Failed:
        pass
    return now() - began, want(ended, n)


asyncio.run(
    main(
        "asyncio",
        {
            "yield": yields,
            "await fresh": fresh,
            "gather": gather,
            "event ping-pong": ping,
            "queue": queue,
            "sleepers": sleepers,
            "crash": crash,
        },
    )
)

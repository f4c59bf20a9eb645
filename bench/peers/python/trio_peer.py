"""What trio takes: see ../README.md."""

import trio
import trio.testing
from measure import REPS, Failed, main, now, want


async def yields(n):
    """A checkpoint goes to the back of what is to run next, and trio runs what is ready in a random order."""
    opened = trio.Event()

    async def task():
        await opened.wait()
        for _ in range(REPS // 10):
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for _ in range(n):
            nursery.start_soon(task)
        await trio.testing.wait_all_tasks_blocked()
        began = now()
        opened.set()
    return now() - began, n * (REPS // 10)


async def fresh(_):
    """A task has no result to await: it puts it somewhere, and its nursery is waited for. To await the function itself makes no task."""
    results = []

    async def task():
        results.append(1)

    began = now()
    for _ in range(REPS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(task)
    return now() - began, want(sum(results), REPS)


async def gather(n):
    results = [0] * n

    async def task(i):
        results[i] = 1

    began = now()
    async with trio.open_nursery() as nursery:
        for i in range(n):
            nursery.start_soon(task, i)
    return now() - began, want(sum(results), n)


async def ping(_):
    """An Event of trio cannot be cleared: each signal is a new one."""
    there, back = trio.Event(), trio.Event()

    async def answer():
        nonlocal there
        for _ in range(REPS):
            await there.wait()
            there = trio.Event()
            back.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        began = now()
        for _ in range(REPS):
            there.set()
            await back.wait()
            back = trio.Event()
        took = now() - began
    return took, 2 * REPS


async def queue(_):
    send, receive = trio.open_memory_channel(100)
    total = 0

    async def consumer():
        nonlocal total
        async for v in receive:
            total += v

    began = now()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(consumer)
        async with send:
            for _ in range(REPS):
                await send.send(1)
    return now() - began, want(total, REPS)


async def sleepers(n):
    began = now()
    async with trio.open_nursery() as nursery:
        for _ in range(n):
            nursery.start_soon(trio.sleep, 0.001)
    return now() - began, n


async def crash(n):
    """A nursery stops the others when a task of it fails."""
    ended = began = 0

    async def task():
        nonlocal ended
        try:
            await trio.sleep(3600)
        finally:
            ended += 1

    async def failing():
        nonlocal began
        began = now()
        raise Failed

    try:
        async with trio.open_nursery() as nursery:
            for _ in range(n):
                nursery.start_soon(task)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(failing)
    except BaseException as error:  # a newer trio puts it into a group
        if not isinstance(error, Failed) and not isinstance(error.exceptions[0], Failed):
            raise
    return now() - began, want(ended, n)


trio.run(
    main,
    f"trio {trio.__version__}",
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

// What Node takes: see ../README.md. A task is what an async function does; what waits for its turn is in the queue of microtasks, which is
// first in, first out.

import { setTimeout as sleep } from "node:timers/promises";

const reps = 1000; // how often what takes little is repeated in a run

// An event is a promise that is made anew for each signal, with its resolve function kept.
class Event {
  constructor() { this.clear(); }
  clear() { this.set = null; this.promise = new Promise((resolve) => { this.set = resolve; }); }
}

// A number that the compiler does not know.
const unknown = Number(process.env.TINYIO_BENCH_ONE ?? 1);
const one = async () => unknown;

const works = {
  // To await what is no promise goes to the back of the queue. Timers and what comes from outside have their turn only when the queue is empty.
  async yield(n) {
    let open;
    const opened = new Promise((resolve) => { open = resolve; });
    const tasks = Array.from({ length: n }, async () => {
      await opened;
      for (let i = 0; i < reps; i++) await undefined;
    });
    const began = now();
    open();
    await Promise.all(tasks);
    return [now() - began, n * reps];
  },

  // An async function begins to run where it is called, and to await its promise is one turn.
  async "await fresh"() {
    const began = now();
    let sum = 0;
    for (let i = 0; i < reps; i++) sum += await one();
    return [now() - began, want(sum, reps)];
  },

  async gather(n) {
    const began = now();
    const results = await Promise.all(Array.from({ length: n }, one));
    const took = now() - began;
    return [took, want(results.reduce((a, b) => a + b), n)];
  },

  async "event ping-pong"() {
    const there = new Event(), back = new Event();
    const answer = async () => {
      for (let i = 0; i < reps; i++) {
        await there.promise;
        there.clear();
        back.set();
      }
    };
    const answers = answer();
    const began = now();
    for (let i = 0; i < reps; i++) {
      there.set();
      await back.promise;
      back.clear();
    }
    const took = now() - began;
    await answers;
    return [took, 2 * reps];
  },

  queue: "its library has no queue that makes the sender wait",

  async sleepers(n) {
    const began = now();
    await Promise.all(Array.from({ length: n }, () => sleep(1)));
    return [now() - began, n];
  },

  // Promise.all does not stop the others when one fails: an AbortController does, and allSettled waits for them. All wait for one promise of
  // the signal's. Were each to add a listener to the signal, as the setTimeout of node:timers/promises does, taking them out again would take
  // time in proportion to the square of their number.
  async crash(n) {
    const controller = new AbortController();
    const aborted = new Promise((_, reject) => {
      controller.signal.addEventListener("abort", () => reject(controller.signal.reason), { once: true });
    });
    let ended = 0;
    const tasks = Array.from({ length: n }, async () => {
      let timer;
      try {
        await Promise.race([aborted, new Promise((resolve) => { timer = setTimeout(resolve, 3_600_000); })]);
      } finally {
        clearTimeout(timer);
        ended++;
      }
    });
    await sleep(0);
    const began = now();
    const failing = (async () => { throw new Error("failed on purpose"); })();
    await failing.catch((error) => controller.abort(error));
    await Promise.allSettled(tasks);
    return [now() - began, want(ended, n)];
  },
};

const now = () => Number(process.hrtime.bigint()); // nanoseconds

function want(got, wanted) {
  if (got !== wanted) throw new Error(`the result is ${got}, want ${wanted}`);
  return got;
}

// measure repeats the work until it has taken that many nanoseconds. A tenth of the time is for warming up.
async function measure(work, n, least) {
  for (let warm = 0; warm < least / 10;) warm += (await work(n))[0];
  let taken = 0, operations = 0;
  while (taken < least) {
    const [t, count] = await work(n);
    taken += t;
    operations += count;
  }
  return taken / operations;
}

const [least, ...names] = process.argv.slice(2);
console.log(`runtime\tNode ${process.versions.node}`);
for (const arg of names) {
  const [name, n] = arg.split(":");
  const work = works[name];
  if (work === undefined) throw new Error(`there is no operation ${name}`);
  console.log(typeof work === "string" ? `${arg}\t-\t${work}` : `${arg}\t${(await measure(work, Number(n), least * 1e6)).toFixed(2)}`);
}

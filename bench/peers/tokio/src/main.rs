//! What tokio takes: see ../README.md. The first argument is the number of threads: one is tokio's current_thread runtime, more are its
//! multi_thread runtime, which is its default.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, Notify};
use tokio::task::JoinSet;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let threads: usize = args[0].parse().unwrap();
    let least = Duration::from_millis(args[1].parse().unwrap());
    let runtime = match threads {
        1 => Builder::new_current_thread().enable_time().build(),
        n => Builder::new_multi_thread().worker_threads(n).enable_time().build(),
    }
    .unwrap();
    println!("runtime\t{}", env!("VERSIONS"));
    for arg in &args[2..] {
        let (name, n) = arg.split_once(':').unwrap();
        let n: usize = n.parse().unwrap();
        // In a task, as a program of many tasks would run it: what block_on is given is no task of the scheduler's.
        let ns = match name {
            "yield" => measure(&runtime, least, move || yields(n)),
            "await fresh" => measure(&runtime, least, fresh),
            "gather" => measure(&runtime, least, move || gather(n)),
            "event ping-pong" => measure(&runtime, least, ping),
            "queue" => measure(&runtime, least, queue),
            "sleepers" => measure(&runtime, least, move || sleepers(n)),
            "crash" => measure(&runtime, least, move || crash(n)),
            _ => panic!("there is no operation {name}"),
        };
        println!("{arg}\t{ns:.2}");
    }
}

/// What a run of the work took, and how many operations it was.
type Run = (Duration, usize);

/// Repeats the work until it has taken that long, and returns the nanoseconds of an operation. A tenth of the time is for warming up.
fn measure<W, F>(runtime: &Runtime, least: Duration, work: W) -> f64
where
    W: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Run> + Send + 'static,
{
    let task = async move {
        let mut warm = Duration::ZERO;
        while warm < least / 10 {
            warm += work().await.0.max(Duration::from_micros(1));
        }
        let (mut taken, mut operations) = (Duration::ZERO, 0);
        while taken < least {
            let (d, n) = work().await;
            taken += d;
            operations += n;
        }
        taken.as_nanos() as f64 / operations as f64
    };
    runtime.block_on(async { tokio::spawn(task).await.unwrap() })
}

/// How often what takes little is repeated in a run.
const REPS: usize = 1_000;

/// A number that the compiler does not know.
fn one(i: usize) -> usize {
    // A volatile read, and not std::hint::black_box, which Debian's compiler does not have yet.
    unsafe { std::ptr::read_volatile(&i) - i + 1 }
}

/// yield_now goes to the back of the queue. The tasks are there before the time begins, and all take their first turn when it does.
async fn yields(n: usize) -> Run {
    let open = Arc::new(Notify::new());
    let here = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..n)
        .map(|_| {
            let (open, here) = (open.clone(), here.clone());
            tokio::spawn(async move {
                let opened = open.notified();
                here.fetch_add(1, Relaxed);
                opened.await;
                for _ in 0..REPS {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    // A Notified that has been made hears of notify_waiters even before it is polled.
    while here.load(Relaxed) < n {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    open.notify_waiters();
    for t in tasks {
        t.await.unwrap();
    }
    (began.elapsed(), n * REPS)
}

/// To await an async function without spawn would be no more than a call: it makes no task.
async fn fresh() -> Run {
    let began = Instant::now();
    let mut sum = 0;
    for i in 0..REPS {
        sum += tokio::spawn(async move { one(i) }).await.unwrap();
    }
    assert_eq!(sum, REPS);
    (began.elapsed(), REPS)
}

async fn gather(n: usize) -> Run {
    let began = Instant::now();
    let tasks: Vec<_> = (0..n).map(|i| tokio::spawn(async move { one(i) })).collect();
    let mut results = Vec::with_capacity(n);
    for t in tasks {
        results.push(t.await.unwrap());
    }
    let took = began.elapsed();
    assert_eq!(results.iter().sum::<usize>(), n);
    (took, n)
}

/// Notify is an event that one waiter takes back when it has heard of it.
async fn ping() -> Run {
    let both = Arc::new((Notify::new(), Notify::new()));
    let partner = both.clone();
    let answers = tokio::spawn(async move {
        for _ in 0..REPS {
            partner.0.notified().await;
            partner.1.notify_one();
        }
    });
    let began = Instant::now();
    for _ in 0..REPS {
        both.0.notify_one();
        both.1.notified().await;
    }
    let took = began.elapsed();
    answers.await.unwrap();
    (took, 2 * REPS)
}

async fn queue() -> Run {
    let (sender, mut receiver) = mpsc::channel(100);
    let consumer = tokio::spawn(async move {
        let mut sum = 0;
        while let Some(v) = receiver.recv().await {
            sum += v;
        }
        sum
    });
    let began = Instant::now();
    for i in 0..10 * REPS {
        sender.send(one(i)).await.unwrap();
    }
    drop(sender);
    let sum: usize = consumer.await.unwrap();
    assert_eq!(sum, 10 * REPS);
    (began.elapsed(), sum)
}

async fn sleepers(n: usize) -> Run {
    let began = Instant::now();
    let tasks: Vec<_> = (0..n)
        .map(|_| tokio::spawn(tokio::time::sleep(Duration::from_millis(1))))
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    (began.elapsed(), n)
}

/// What a task does to clean up.
struct CleanUp(Arc<AtomicUsize>);

impl Drop for CleanUp {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A JoinSet whose task fails does not stop the others; shutdown aborts them and waits until they are gone.
async fn crash(n: usize) -> Run {
    let ended = Arc::new(AtomicUsize::new(0));
    let here = Arc::new(AtomicUsize::new(0));
    let mut set: JoinSet<Result<Instant, ()>> = JoinSet::new();
    for _ in 0..n {
        let (clean_up, here) = (CleanUp(ended.clone()), here.clone());
        set.spawn(async move {
            let _clean_up = clean_up;
            here.fetch_add(1, Relaxed);
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Err(())
        });
    }
    while here.load(Relaxed) < n {
        tokio::task::yield_now().await;
    }
    set.spawn(async { Ok(Instant::now()) }); // the one that fails, with the time
    let failed = set.join_next().await.unwrap().unwrap().unwrap();
    set.shutdown().await;
    let took = failed.elapsed();
    assert_eq!(ended.load(Relaxed), n);
    (took, n)
}

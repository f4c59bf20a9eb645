package main

import (
	"context"
	"sync"

	"github.com/tinyio-go/tinyio"
)

// queues are workloads in which values are passed on: between coroutines, and between them and goroutines.
func queues() []workload {
	return []workload{
		{
			name: "queue", op: "put a value into a queue for 100 of them, from which another one gets it",
			counts: []int{1}, quick: 1, reps: 1_000,
			peers: []peer{
				{name: ours, run: func(j *job) int { return queueOurs(j, 100) }},
				{name: goroutines, run: func(j *job) int { return queueGoroutines(j, 100) }},
			},
		},
		{
			name: "hand over", op: "put a value into a queue without room, from which another one gets it",
			counts: []int{1}, quick: 1, reps: 1_000,
			peers: []peer{
				{name: ours, run: func(j *job) int { return queueOurs(j, 0) }},
				{name: goroutines, run: func(j *job) int { return queueGoroutines(j, 0) }},
			},
		},
		{
			name: "try queue", op: "put a value and take it out again, without waiting",
			counts: []int{1}, quick: 1, reps: 1_000,
			peers: []peer{
				{name: ours, run: tryQueueOurs},
				{name: goroutines, run: tryQueueGoroutines},
			},
		},
		{
			name: "channel, ready", op: "send a value to a channel with room, or receive one from it when it is there",
			counts: []int{1}, quick: 1, reps: 1_000,
			ops:  func(n, reps int) int { return 2 * n * reps },
			want: func(n, reps int) int { return n * reps },
			peers: []peer{
				{name: ours, run: channelReadyOurs},
				{name: goroutines, run: tryQueueGoroutines},
			},
		},
		{
			name: "channel, not ready", op: "send a value to a goroutine, and receive its answer",
			counts: []int{1}, quick: 1, reps: 100,
			peers: []peer{
				{name: ours, run: channelOurs},
				{name: goroutines, run: channelGoroutines},
			},
		},
		{
			name: "submit", op: "have another goroutine add one, and get the answer, by so many at once",
			counts: []int{1, 100}, quick: 2, reps: 10,
			peers: []peer{
				{name: ours, run: submitOurs},
				{name: goroutines, run: requestGoroutines},
			},
		},
		{
			name: "post", op: "have another goroutine add one, without waiting for that, by so many at once",
			counts: []int{2}, quick: 1, reps: 10,
			peers: []peer{
				{name: ours, run: postOurs},
				{name: goroutines, run: sendGoroutines},
			},
		},
		{
			name: "submit or lock", op: "add one to what so many share, by Submit or behind a sync.Mutex",
			counts: []int{1, 100}, quick: 2, reps: 10,
			peers: []peer{
				{name: ours, run: submitOurs},
				{name: goroutines, run: mutexGoroutines},
			},
		},
	}
}

func queueOurs(j *job, capacity int) int {
	return runLoop(func(co *tinyio.Co) (sum int, err error) {
		q := tinyio.NewQueue[int](capacity)
		consumer := tinyio.Do(func(co *tinyio.Co) error {
			for v, err := range q.All(co) {
				check(err)
				sum += v
			}
			return nil
		})
		check(co.Spawn(consumer))
		j.start()
		for range j.Reps {
			check(q.Put(co, 1))
		}
		q.Close()
		_, err = consumer.Await(co)
		j.stop()
		return sum, err
	})
}

func queueGoroutines(j *job, capacity int) (sum int) {
	ch, over := make(chan int, capacity), make(chan struct{})
	go func() {
		defer close(over)
		for v := range ch {
			sum += v
		}
	}()
	j.start()
	for range j.Reps {
		ch <- 1
	}
	close(ch)
	<-over
	j.stop()
	return sum
}

func tryQueueOurs(j *job) (sum int) {
	q := tinyio.NewQueue[int](1)
	j.start()
	for range j.Reps {
		q.TryPut(1)
		v, _ := q.TryGet()
		sum += v
	}
	j.stop()
	return sum
}

func tryQueueGoroutines(j *job) (sum int) {
	ch := make(chan int, 1)
	return roundTrips(j, ch, ch)
}

// roundTrips sends ones there and receives them back.
func roundTrips(j *job, there chan<- int, back <-chan int) (sum int) {
	j.start()
	for range j.Reps {
		there <- 1
		sum += <-back
	}
	j.stop()
	return sum
}

// roundTripsOurs does what roundTrips does in a coroutine.
func roundTripsOurs(j *job, there chan<- int, back <-chan int) int {
	return runLoop(func(co *tinyio.Co) (sum int, err error) {
		j.start()
		for range j.Reps {
			check(tinyio.Send(co, there, 1))
			v, _, err := tinyio.Recv(co, back)
			check(err)
			sum += v
		}
		j.stop()
		return sum, nil
	})
}

func channelReadyOurs(j *job) int {
	ch := make(chan int, 1)
	return roundTripsOurs(j, ch, ch)
}

// echo is the goroutine at the other end.
func echo(there, back chan int) {
	for v := range there {
		back <- v
	}
}

func channelOurs(j *job) int {
	there, back := make(chan int), make(chan int)
	defer close(there)
	go echo(there, back)
	return roundTripsOurs(j, there, back)
}

func channelGoroutines(j *job) int {
	there, back := make(chan int), make(chan int)
	defer close(there)
	go echo(there, back)
	return roundTrips(j, there, back)
}

func submitOurs(j *job) int {
	l, count := tinyio.NewLoop(), 0
	add := func(*tinyio.Co) (int, error) { count++; return 1, nil }
	sum := fromOutside(j, l, func(ctx context.Context) (sum int) {
		for range j.Reps {
			sum += must(tinyio.Submit(ctx, l, tinyio.New(add)))
		}
		return sum
	})
	if sum == count {
		return sum
	}
	return -1
}

// fromOutside is a crowd of goroutines that work on l while it runs.
func fromOutside(j *job, l *tinyio.Loop, work func(ctx context.Context) int) int {
	clients := tinyio.RunInThread(func(ctx context.Context) (int, error) {
		return goCrowd(j, func() int { return work(ctx) }), nil
	})
	return must(tinyio.RunOn(context.Background(), l, clients))
}

// postOurs ends what each goroutine posts with a Submit: what it has posted before begins before.
func postOurs(j *job) int {
	l, count := tinyio.NewLoop(), 0
	add := func(*tinyio.Co) error { count++; return nil }
	nothing := func(*tinyio.Co) error { return nil }
	sum := fromOutside(j, l, func(ctx context.Context) int {
		for range j.Reps {
			check(l.Post(tinyio.Do(add)))
		}
		must(tinyio.Submit(ctx, l, tinyio.Do(nothing)))
		return j.Reps
	})
	if sum == count {
		return sum
	}
	return -1
}

func sendGoroutines(j *job) int {
	count, requests := 0, make(chan func(), 100)
	defer close(requests)
	go func() {
		for f := range requests {
			f()
		}
	}()
	add := func() { count++ }
	sum := goCrowd(j, func() int {
		for range j.Reps {
			requests <- add
		}
		done := make(chan struct{})
		requests <- func() { close(done) }
		<-done
		return j.Reps
	})
	if sum == count {
		return sum
	}
	return -1
}

func requestGoroutines(j *job) int {
	count, requests := 0, make(chan chan int)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for answer := range requests {
			count++
			answer <- 1
		}
	}()
	sum := goCrowd(j, func() (sum int) {
		answer := make(chan int)
		for range j.Reps {
			requests <- answer
			sum += <-answer
		}
		return sum
	})
	close(requests)
	<-over
	if sum == count {
		return sum
	}
	return -1
}

func mutexGoroutines(j *job) int {
	var mu sync.Mutex
	count := 0
	goCrowd(j, func() int {
		for range j.Reps {
			mu.Lock()
			count++
			mu.Unlock()
		}
		return 0
	})
	return count
}

package door

import (
	"context"
	"sync"
	"time"
)

// queue bounds how many requests of one caller are answered at once, so that
// one who asks for what takes long does not take everything.
type queue struct {
	places   int
	patience time.Duration

	mu sync.Mutex
	of map[uint32]chan struct{} // by uid; as many as there were users, so it never shrinks
}

func newQueue(places int, patience time.Duration) *queue {
	return &queue{places: places, patience: patience, of: make(map[uint32]chan struct{})}
}

// placesOf are the places of one caller, to be kept with the connection.
func (q *queue) placesOf(uid uint32) chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	places := q.of[uid]
	if places == nil {
		places = make(chan struct{}, q.places)
		q.of[uid] = places
	}
	return places
}

// enter takes a place, which the caller gives back with leave. False: there
// was none for a while.
func (q *queue) enter(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
	}
	patience := time.NewTimer(q.patience)
	defer patience.Stop()
	select {
	case places <- struct{}{}:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	return false
}

func (q *queue) leave(places chan struct{}) { <-places }

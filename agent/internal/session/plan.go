package session

import "time"

// plan is when a token is renewed: in the background from renew on, and from
// must on callers wait for it.
type plan struct{ renew, must time.Time }

// briefest is the lifetime below which a token is only renewed once it is gone:
// there is no room in it to do so early.
const briefest = 10 * time.Second

// newPlan lays out the life of a token from now to expires.
//
//	now                      window opens   renew              must   expires
//	 ├──────────────────────────────┼─────────┼─────────┼────────┼───────┤
//	                                 ◄─ share of this ─►  retries
//
// The window is 5 minutes for lifetimes up to 20 minutes, 15 minutes below 90
// minutes and else an hour, but at most half of a lifetime below 20 minutes;
// must is a minute before the end, but at most half a window. The share in
// [0,1) says where in the first half of the window the renewal falls, so that
// machines whose tokens began together do not renew together; the second half
// is for trying again.
func newPlan(now, expires time.Time, share float64) plan {
	window := windowOf(expires.Sub(now))
	last := min(time.Minute, window/2)
	spread := time.Duration(share * float64(window-last) / 2)
	return plan{renew: expires.Add(spread - window), must: expires.Add(-last)}
}

func windowOf(lifetime time.Duration) time.Duration {
	switch {
	case lifetime < briefest:
		return 0
	case lifetime <= 20*time.Minute:
		return min(5*time.Minute, lifetime/2)
	case lifetime < 90*time.Minute:
		return 15 * time.Minute
	}
	return time.Hour
}

// shareOf mixes a machine's slot with chance: the slot spreads the fleet evenly,
// an eighth is chance, which parts the profiles of one machine.
func shareOf(slot, chance float64) float64 { return slot*7/8 + chance/8 }

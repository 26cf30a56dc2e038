package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// fetched writes where the time of a token goes that is in no memory.
func (r report) fetched(to io.Writer) {
	fmt.Fprintln(to, "\na token that is in no memory, and whose time it is, by where its secret rests")
	table := tabwriter.NewWriter(to, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "asked\tstore\twhole\tprovider\tstore\tagent\tquestions to the store\t")
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }
	line := func(asked string, s *store, all []fetch) {
		m := medianOf(all)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", asked, s.name,
			ms(m.whole), ms(m.provider), ms(m.store), ms(m.agent()), m.questions)
	}
	for _, s := range r.stores {
		line("at the start", s, s.first)
	}
	for _, s := range r.stores {
		line("logged in", s, s.later)
	}
	table.Flush() // into memory
	fmt.Fprintf(to, "of the agent's at the start, but with %s: reading the system's certificates, once a process: about %s\n",
		r.stores[0].name, ms(r.trust))
}

// cached writes that a token in memory costs the same whatever the store, and
// returns how many aims are missed.
func (r report) cached(to io.Writer) (missed int) {
	fmt.Fprintln(to, "\nmedian latency of a cached token, by where its secret rests; one caller on a kept-alive unix connection")
	table := tabwriter.NewWriter(to, 0, 0, 3, ' ', tabwriter.AlignRight)
	base := r.stores[0]
	fmt.Fprintf(table, "store\tlatency\tto %s\tin the rounds\t\n", base.name)
	for i, s := range r.stores {
		took := median(s.cached, func(d time.Duration) time.Duration { return d })
		fmt.Fprintf(table, "%s\t%.1f µs\t", s.name, float64(took)/float64(time.Microsecond))
		if i == 0 {
			fmt.Fprintln(table, "1\t\t")
			continue
		}
		seen := s.like(base)
		fmt.Fprintf(table, "%.2f\t%.2f to %.2f\t%s\n", seen.value, seen.lowest, seen.highest, atMost(1.05).verdict(seen.value, &missed))
	}
	table.Flush() // into memory
	return missed
}

// coldToken is a token that was in no memory.
type coldToken struct {
	Start    parts `json:"at_start"`
	LoggedIn parts `json:"logged_in"`
}

// parts are in milliseconds and add up to the whole.
type parts struct {
	Whole    float64 `json:"whole"`
	Provider float64 `json:"provider"`
	Store    float64 `json:"store"`
	Agent    float64 `json:"agent"`
}

func partsOf(f fetch) parts {
	ms := func(d time.Duration) float64 { return rounded(d.Seconds()*1000, 100) }
	return parts{ms(f.whole), ms(f.provider), ms(f.store), ms(f.agent())}
}

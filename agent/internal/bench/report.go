package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is all that was measured.
type report struct {
	plan   plan
	proof  proof
	cells  []cell
	start  startup
	idle   int64 // resident memory, in bytes
	loaded int64
	binary int64 // size of the program, in bytes
	crowd  crowd
	trust  time.Duration // what reading the system's certificates takes
	stores []*store
}

// quantity is one of the things that are compared, and what is aimed at.
type quantity struct {
	title string
	of    func(figures) float64
	text  func(float64) string
	aim   func(c cell) aim
}

func quantities() []quantity {
	latency := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	micros := func(v float64) string { return fmt.Sprintf("%.1f µs", v) }
	return []quantity{
		{"median latency", func(f figures) float64 { return latency(f.p50) }, micros, func(c cell) aim {
			if c.fresh || c.callers != 1 {
				return aim{}
			}
			return atMost(1.10)
		}},
		{"99 % are faster than", func(f figures) float64 { return latency(f.p99) }, micros, noAim},
		{"requests per second", func(f figures) float64 { return f.rate }, func(v float64) string { return fmt.Sprintf("%.0f", v) }, func(c cell) aim {
			if c.fresh || c.callers != 32 {
				return aim{}
			}
			return atLeast(0.92)
		}},
		{"processor time of the server per request", func(f figures) float64 { return latency(f.cpu) }, micros, noAim},
	}
}

// print writes the report for people.
func (r report) print(to io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%d rounds of %v a cell, %d processors, %s/%s; medians of the rounds\n",
		r.plan.rounds, r.plan.length, runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(&text, "on: guards (%d of %[1]d foreign requests refused), identity (%s), audit (%d records)\n",
		r.proof.refused, strings.Join(r.proof.sources, ", "), r.proof.records)
	missed := r.comparisons(&text)
	r.fetched(&text)
	missed += r.cached(&text)
	missed += r.figures(&text)
	switch missed {
	case 0:
		fmt.Fprintln(&text, "\nevery aim is met")
	default:
		fmt.Fprintf(&text, "\nmisses %d aims: docs/benchmarks.md says what to do\n", missed)
	}
	_, err := io.WriteString(to, text.String())
	return err
}

// comparisons writes a table for each quantity and returns how many aims are
// missed.
func (r report) comparisons(to io.Writer) (missed int) {
	for _, q := range quantities() {
		fmt.Fprintf(to, "\n%s\n", q.title)
		table := tabwriter.NewWriter(to, 0, 0, 3, ' ', tabwriter.AlignRight)
		fmt.Fprintf(table, cellForm+"\tbare\tagent\tratio\tin the rounds\t\n", "door", "connections", "callers")
		for _, c := range r.cells {
			seen := c.ratio(q.of)
			fmt.Fprintf(table, "%s\t%s\t%s\t%.2f\t%.2f to %.2f\t%s\n", c, q.text(seen.bare), q.text(seen.agent),
				seen.value(), seen.lowest, seen.highest, q.aim(c).verdict(seen.value(), &missed))
		}
		table.Flush() // into memory
	}
	return missed
}

// figures writes what is not compared with anything.
func (r report) figures(to io.Writer) (missed int) {
	s := r.summary()
	fmt.Fprintln(to)
	table := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	line := func(what string, value float64, unit string, a aim) {
		fmt.Fprintf(table, "%s\t%s%s\n", what, strings.TrimSpace(fmt.Sprint(value, " ", unit)), a.verdict(value, &missed))
	}
	line("resident memory, idle", s.Idle, "MiB", atMost(20))
	line("resident memory, right after the load", s.Loaded, "MiB", aim{})
	line("start to first token, less the provider's own time", s.Start, "ms", atMost(50))
	line("  the provider's own time", milliseconds(r.start.provider), "ms", aim{})
	line("size of the program", s.Binary, "MiB", aim{})
	line(fmt.Sprintf("requests to Identity for %d callers at an empty cache", r.crowd.callers), float64(s.Requests), "", atMost(1))
	line("  until all of them had the token", milliseconds(r.crowd.took), "ms", aim{})
	line("  told to slow down, and came back", float64(r.crowd.slowDowns), "times", aim{})
	line("  connections lost, and opened again", float64(r.crowd.lost), "", aim{})
	line("  resident memory at its highest", mebibytes(r.crowd.peak), "MiB", aim{})
	table.Flush() // into memory
	return missed
}

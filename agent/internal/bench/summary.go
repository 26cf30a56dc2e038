package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"
)

// summary is what bin/bench.json holds; later issues add keys.
type summary struct {
	Ratios   ratios  `json:"ratios"`
	Idle     float64 `json:"rss_idle_mib"`
	Loaded   float64 `json:"rss_loaded_mib"`
	Start    float64 `json:"start_to_token_ms"`
	Binary   float64 `json:"binary_mib"`
	Requests int     `json:"provider_requests_for_10000_callers"`

	Cold   map[string]coldToken `json:"cold_token_ms"`         // by store
	Cached map[string]float64   `json:"cached_ratio_by_store"` // to the first store
}

type ratios struct {
	TCPLatency  float64 `json:"tcp_c1_p50"`
	UnixLatency float64 `json:"unix_c1_p50"`
	TCPRate     float64 `json:"tcp_c32_rps"`
	UnixRate    float64 `json:"unix_c32_rps"`
}

func (r report) summary() summary {
	cold, cached := map[string]coldToken{}, map[string]float64{}
	for i, s := range r.stores {
		cold[s.name] = coldToken{partsOf(medianOf(s.first)), partsOf(medianOf(s.later))}
		if i > 0 {
			cached[s.name] = rounded(s.like(r.stores[0]).value, 1000)
		}
	}
	return summary{
		Ratios: ratios{
			TCPLatency:  r.ratio("tcp", 1, func(f figures) float64 { return float64(f.p50) }),
			UnixLatency: r.ratio("unix", 1, func(f figures) float64 { return float64(f.p50) }),
			TCPRate:     r.ratio("tcp", 32, func(f figures) float64 { return f.rate }),
			UnixRate:    r.ratio("unix", 32, func(f figures) float64 { return f.rate }),
		},
		Idle:     mebibytes(r.idle),
		Loaded:   mebibytes(r.loaded),
		Start:    milliseconds(r.start.own()),
		Binary:   mebibytes(r.binary),
		Requests: r.crowd.requests,
		Cold:     cold,
		Cached:   cached,
	}
}

// ratio is of a cell with kept-alive connections.
func (r report) ratio(door string, callers int, of func(figures) float64) float64 {
	for _, c := range r.cells {
		if c.door == door && c.callers == callers && !c.fresh {
			return rounded(c.ratio(of).value(), 1000)
		}
	}
	return math.NaN() // no such cell: encoding it fails
}

// write writes the summary as JSON.
func (r report) write(path string) error {
	encoded, err := json.MarshalIndent(r.summary(), "", "  ")
	if err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return os.WriteFile(path, append(encoded, '\n'), 0o644)
}

func mebibytes(n int64) float64            { return rounded(float64(n)/(1<<20), 10) }
func milliseconds(d time.Duration) float64 { return rounded(d.Seconds()*1000, 10) }

// rounded keeps so many parts of a unit.
func rounded(v, parts float64) float64 { return math.Round(v*parts) / parts }

package main

import "fmt"

// aim is a bound that a figure should keep. The zero value is none.
type aim struct {
	sign  string // "≤" or "≥"
	bound float64
}

func atMost(v float64) aim  { return aim{"≤", v} }
func atLeast(v float64) aim { return aim{"≥", v} }
func noAim(cell) aim        { return aim{} }

// verdict is what a line of the report says after a figure, and counts a miss.
func (a aim) verdict(v float64, missed *int) string {
	if a.sign == "" {
		return ""
	}
	if a.sign == "≤" && v <= a.bound || a.sign == "≥" && v >= a.bound {
		return fmt.Sprintf("   aim %s %v: met", a.sign, a.bound)
	}
	*missed++
	return fmt.Sprintf("   aim %s %v: misses", a.sign, a.bound)
}

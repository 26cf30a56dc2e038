package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"keytender/agent/api"
)

// printJSON writes v as one indented JSON document.
func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return doing("write the answer", e.Encode(v))
}

// say writes for people. What a terminal would obey is taken from every
// argument, for most are the words of an agent, a server or a file; only the
// format, which is ours, and what is styled go out as they are.
func say(w io.Writer, format string, args ...any) error {
	shown := make([]any, len(args))
	for i, a := range args {
		switch a.(type) {
		case int, styled:
			shown[i] = a
		default:
			shown[i] = visible(fmt.Sprint(a))
		}
	}
	_, err := fmt.Fprintf(w, format, shown...)
	return err
}

// visible is s without what a terminal would obey: control characters, and
// those that turn the direction of writing or take no room.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, s)
}

// table is rows of cells for people; the first row is the heading.
type table [][]string

func (t *table) add(cells ...string) { *t = append(*t, cells) }

// print writes the table with its columns aligned, each line indented, and
// without columns that are empty in every row but the heading.
func (t table) print(w io.Writer, indent string) {
	widths := t.widths()
	for _, row := range t {
		var line strings.Builder
		for i, cell := range row {
			if widths[i] == 0 {
				continue
			}
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		say(w, "%s\n", strings.TrimRight(indent+line.String(), " "))
	}
}

func (t table) widths() []int {
	if len(t) == 0 {
		return nil
	}
	widths, used := make([]int, len(t[0])), make([]bool, len(t[0]))
	for r, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			used[i] = used[i] || (r > 0 && cell != "")
		}
	}
	for i := range widths {
		if !used[i] {
			widths[i] = 0
		}
	}
	return widths
}

// untilText is a moment to come, as seen from now: "15:04 (in 52 min)"; "" for nil.
func untilText(at *time.Time, now time.Time) string {
	if at == nil || at.IsZero() {
		return ""
	}
	left := at.Sub(now)
	if left <= 0 {
		return "over"
	}
	clock := at.Local().Format("15:04")
	if left >= 24*time.Hour {
		clock = at.Local().Format("2 Jan 15:04")
	}
	return fmt.Sprintf("%s (in %s)", clock, spanText(left))
}

// spanText is a length of time in its largest unit: "3 s", "52 min", "4 h", "12 d".
func spanText(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d d", int(d.Hours()/24))
	}
}

// daysText is how long ago something was that is known to the day.
func daysText(days int) string {
	if days == 0 {
		return "today"
	}
	return count(days, "day") + " ago"
}

// count is "1 profile", "2 profiles".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// stateText is a state in people's words: "invoices is …".
func stateText(state string) string {
	switch state {
	case api.StateTrouble:
		return "in trouble"
	case api.StateNeedsYou:
		return "waiting for you"
	}
	return state
}

// printFacts writes rows of two cells, aligned and indented, without a
// heading and without those whose second cell is empty.
func (t table) printFacts(w io.Writer) {
	kept := table{{"", ""}}
	for _, row := range t {
		if row[1] != "" {
			kept.add(row...)
		}
	}
	var lines strings.Builder
	kept.print(&lines, "  ")
	_, body, _ := strings.Cut(lines.String(), "\n")
	_, _ = io.WriteString(w, body)
}

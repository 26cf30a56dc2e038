package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMain lets the bare server be this test program, as it is the benchmark
// itself otherwise.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-bare" {
		if err := serveBare(os.Stdin, os.Stdout, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestWholeRun measures the real program, too shortly for the figures to mean
// anything.
func TestWholeRun(t *testing.T) {
	program := filepath.Join(t.TempDir(), "keytender")
	if said, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "keytender/service").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v: %s", err, said)
	}
	p := plan{keytender: program, rounds: 2, length: 20 * time.Millisecond, crowd: 2000}
	r, err := p.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := r.print(&text); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "bench.json")
	if err := r.write(out); err != nil {
		t.Fatal(err)
	}
	t.Log(text.String())
	if r.crowd.requests != 1 {
		t.Errorf("%d requests for %d callers", r.crowd.requests, r.crowd.callers)
	}
	allFetched(t, r, p.rounds)
	for _, said := range []string{
		"on: guards (5 of 5 ", "identity (peercred, sock_diag)", "aim ≤ 1.1: ", "aim ≥ 0.92: ", "aim ≤ 1.05: ",
		"   at the start           hashicorp   ", "      logged in           hashicorp   ",
	} {
		if !strings.Contains(text.String(), said) {
			t.Errorf("the report does not say %q", said)
		}
	}
	written, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	const parts = `{"whole":N,"provider":N,"store":N,"agent":N}`
	const cold = `{"at_start":` + parts + `,"logged_in":` + parts + `}`
	shape := `{"ratios":{"tcp_c1_p50":N,"unix_c1_p50":N,"tcp_c32_rps":N,"unix_c32_rps":N},` +
		`"rss_idle_mib":N,"rss_loaded_mib":N,"start_to_token_ms":N,"binary_mib":N,"provider_requests_for_10000_callers":N,` +
		`"cold_token_ms":{"azure-fake":` + cold + `,"conjur-fake":` + cold + `,"cyberark-ccp-fake":` + cold + `,"hashicorp":` + cold + `,"sealed":` + cold + `},` +
		`"cached_ratio_by_store":{"azure-fake":N,"conjur-fake":N,"cyberark-ccp-fake":N,"hashicorp":N}}`
	var compact bytes.Buffer
	if err := json.Compact(&compact, written); err != nil {
		t.Fatal(err)
	}
	if got := regexp.MustCompile(`:-?\d+(\.\d+)?`).ReplaceAllString(compact.String(), ":N"); got != shape {
		t.Errorf("bench.json is %s", compact.String())
	}
}

// TestBareAnswersTheSame compares heads and bodies of both sides.
func TestBareAnswersTheSame(t *testing.T) {
	original := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, strings.Repeat("token", 200))
	}))
	defer original.Close()
	first, err := askOnce(tokenAt("tcp", original.Listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	b, err := startBare(t.Context(), filepath.Join(t.TempDir(), "s"), first)
	if err != nil {
		t.Fatal(err)
	}
	date := regexp.MustCompile(`Date: .*`)
	for _, at := range b.places {
		second, err := askOnce(at)
		if err != nil {
			t.Fatal(err)
		}
		want, got := date.ReplaceAll(first.bytes, nil), date.ReplaceAll(second.bytes, nil)
		if len(first.bytes) != len(second.bytes) || !sameLines(want, got) {
			t.Errorf("at %s: %q instead of %q", at.network, got, want)
		}
	}
	if err := b.process.stop(); err != nil {
		t.Error(err)
	}
}

// sameLines compares without regard to the order of lines: net/http writes
// some headers by itself, in places of its own.
func sameLines(a, b []byte) bool {
	count := map[string]int{}
	for line := range bytes.Lines(a) {
		count[strings.TrimSpace(string(line))]++
	}
	for line := range bytes.Lines(b) {
		count[strings.TrimSpace(string(line))]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestCallerWaitsForTheWholeAnswer(t *testing.T) {
	for _, c := range []struct {
		name, parts, body, fails string
	}{
		{"in one piece", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", ""},
		{"in pieces", "HTTP/1.1 200 OK\r\nConte|nt-Length: 2\r\n\r|\nok", "ok", ""},
		{"body late", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n|t|rue", "true", ""},
		{"empty body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", ""},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nt", "", "unexpected EOF"},
		{"cut in the head", "HTTP/1.1 200 OK\r\n", "", "unexpected EOF"},
		{"too much", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay", "", "more bytes"},
		{"no length", "HTTP/1.1 200 OK\r\n\r\nokay", "", "Content-Length"},
		{"not HTTP", "SSH-2.0\r\nContent-Length: 2\r\n\r\nok", "", "not an HTTP/1.1"},
		{"no number", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "", "not a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				at := tokenAt("unix", "")
				if _, err := io.ReadFull(theirs, make([]byte, len(at.request))); err != nil {
					return
				}
				for part := range strings.SplitSeq(c.parts, "|") {
					if _, err := io.WriteString(theirs, part); err != nil {
						return
					}
				}
			}()
			a, err := askOn(ours, tokenAt("unix", ""))
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("got %q, %v", a.bytes, err)
				}
				return
			}
			if err != nil || string(a.body) != c.body {
				t.Errorf("got %q, %v", a.body, err)
			}
		})
	}
}

func TestLoadFailsWithTheServer(t *testing.T) {
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "slow_down", http.StatusTooManyRequests)
	}))
	defer busy.Close()
	l := load{place: tokenAt("tcp", busy.Listener.Addr().String()), callers: 2, length: time.Millisecond}
	if _, err := l.run(); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("got %v", err)
	}
}

func TestRatioIsOfTheMedians(t *testing.T) {
	of := func(rates ...float64) (all []figures) {
		for _, r := range rates {
			all = append(all, figures{rate: r})
		}
		return all
	}
	c := cell{bare: of(100, 10, 200), agent: of(90, 20, 100)}
	got := c.ratio(func(f figures) float64 { return f.rate })
	if want := (ratio{bare: 100, agent: 90, lowest: 0.5, highest: 2}); got != want || got.value() != 0.9 {
		t.Errorf("got %+v", got)
	}
}

func TestVerdictCountsMisses(t *testing.T) {
	for _, c := range []struct {
		aim    aim
		value  float64
		says   string
		missed int
	}{
		{atMost(50), 50, "met", 0},
		{atMost(50), 50.1, "misses", 1},
		{atLeast(0.92), 0.92, "met", 0},
		{atLeast(0.92), 0.91, "misses", 1},
		{aim{}, 1, "", 0},
	} {
		missed := 0
		said := c.aim.verdict(c.value, &missed)
		if !strings.HasSuffix(said, c.says) || missed != c.missed || c.says == "" && said != "" {
			t.Errorf("%v of %v: %q, %d missed", c.value, c.aim, said, missed)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"keytender/agent/api"
)

// proof is what was seen of the checks that cost time: without them the
// comparison would be worth nothing.
type proof struct {
	refused int      // requests that a web page or a forwarder could make, on TCP
	sources []string // how the agent learned who asks, by the order of places
	before  uint64   // Seq of the last record before the load
	records uint64   // written during the load, once complete has looked
}

// record is what matters here of an audit record.
type record struct {
	Seq    uint64
	Event  string
	UID    *int
	Door   string
	Source string
}

// prove sees that the guards refuse, that the kernel is asked who calls and
// that a record is written, on a running agent.
func (a *agent) prove(ctx context.Context, places []place) (proof, error) {
	var p proof
	for _, asked := range foreign(places[1]) {
		c := newCaller(asked, askLimit)
		got, err := c.ask()
		c.close()
		if err != nil {
			return p, err
		}
		if got.status != http.StatusForbidden {
			return p, fmt.Errorf("a guard is off: status %d for %q", got.status, asked.request)
		}
		p.refused++
	}
	for _, at := range places {
		last, err := a.recordOf(ctx, at)
		if err != nil {
			return p, err
		}
		if last.UID == nil || *last.UID != os.Getuid() || last.Door != at.network || last.Source == "" {
			return p, fmt.Errorf("the record does not tell who asked at the %s door", at.network)
		}
		if slices.Contains(p.sources, last.Source) || last.Seq <= p.before {
			return p, fmt.Errorf("no record was written for the request at the %s door", at.network)
		}
		p.sources, p.before = append(p.sources, last.Source), last.Seq
	}
	return p, nil
}

// foreign are requests that only guards can tell from a program's own.
func foreign(tcp place) []place {
	own := string(tcp.request)
	header := func(line string) string { return strings.Replace(own, "\r\n\r\n", "\r\n"+line+"\r\n\r\n", 1) }
	var all []place
	for _, request := range []string{
		strings.Replace(own, "Keytender: 1\r\n", "", 1),
		strings.Replace(own, "Host: "+tcp.address, "Host: page.example", 1),
		header("Origin: https://page.example"),
		header("Sec-Fetch-Site: cross-site"),
		header("X-Forwarded-For: 192.0.2.1"),
	} {
		all = append(all, place{tcp.network, tcp.address, []byte(request)})
	}
	return all
}

// recordOf asks for a token and returns the record that was written about it.
func (a *agent) recordOf(ctx context.Context, at place) (record, error) {
	since := time.Now().Add(-time.Millisecond)
	if _, err := askOnce(at); err != nil {
		return record{}, err
	}
	admin := a.admin()
	defer admin.Close()
	var lines bytes.Buffer
	if err := admin.Audit(ctx, api.AuditFilter{Since: since}, &lines); err != nil {
		return record{}, err
	}
	var last record
	for in := json.NewDecoder(&lines); ; {
		var r record
		err := in.Decode(&r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return record{}, err
		}
		if r.Event == "token" {
			last = r
		}
	}
	if last.Seq == 0 {
		return record{}, errors.New("no token is on record")
	}
	return last, nil
}

// complete sees that there is a record for every answer of the load.
func (p *proof) complete(ctx context.Context, a *agent, cells []cell) error {
	last, err := a.recordOf(ctx, tokenAt("unix", a.socket()))
	if err != nil {
		return err
	}
	p.records = last.Seq - p.before
	var answers uint64
	for _, c := range cells {
		for _, f := range c.agent {
			answers += uint64(f.requests)
		}
	}
	if p.records < answers {
		return fmt.Errorf("%d answers, and only %d records", answers, p.records)
	}
	return nil
}

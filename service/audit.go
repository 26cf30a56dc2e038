package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"keytender/agent"
	"keytender/agent/api"

	"github.com/spf13/cobra"
)

func (p *program) auditCommand() *cobra.Command {
	var since, profile string
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show who asked for what and what was decided",
		Long: `Show the agent's record: every token, grant, refusal, pairing and
administrative act, oldest first. With --json as it is kept, a JSON object a
line.`,
		Example: "  keytender audit --since 1h --profile invoices",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			from, err := sinceTime(since, time.Now())
			if err != nil {
				return misused(c, err.Error())
			}
			return p.audit(c.Context(), api.AuditFilter{Since: from, Profile: profile})
		},
	}
	c.Flags().StringVar(&since, "since", "", "only from `T` on: a time as 2026-11-21T08:00:00Z, or a while as 90m or 7d")
	c.Flags().StringVar(&profile, "profile", "", "only of this profile `NAME`")
	c.AddCommand(p.auditVerifyCommand())
	return c
}

// sinceTime reads a moment: RFC 3339, or a length of time before now.
func sinceTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, nil
	}
	if days, err := strconv.ParseUint(strings.TrimSuffix(s, "d"), 10, 16); err == nil && strings.HasSuffix(s, "d") {
		return now.Add(-time.Duration(days) * 24 * time.Hour), nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("--since %q: a time as 2026-11-21T08:00:00Z, or a while as 90m or 7d", s)
}

func (p *program) audit(ctx context.Context, f api.AuditFilter) error {
	admin := p.admin()
	defer admin.Close()
	if p.json {
		return doing("read the audit", admin.Audit(ctx, f, p.out))
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(admin.Audit(ctx, f, w)) }() // ends when r is read or closed
	defer r.Close()
	out := bufio.NewWriter(p.out)
	err := printRecords(out, r)
	return doing("read the audit", errors.Join(err, out.Flush()))
}

// auditRecord is what people are shown of a record.
type auditRecord struct {
	At          time.Time `json:"at"`
	Event       string    `json:"event"`
	User        string    `json:"user"`
	UID         *int64    `json:"uid"`
	PID         int       `json:"pid"`
	Door        string    `json:"door"`
	Profile     string    `json:"profile"`
	Scopes      string    `json:"scopes"`
	Ruling      string    `json:"ruling"`
	Fingerprint string    `json:"fingerprint"`
	Code        string    `json:"code"`
	Detail      string    `json:"detail"`
}

func printRecords(w io.Writer, r io.Reader) error {
	for d := json.NewDecoder(r); ; {
		var one auditRecord
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		line := fmt.Sprintf("%s  %-12s  %-16s  %-20s  %s",
			one.At.Local().Format(time.DateTime), one.Event, either(one.Profile, "-"), one.caller(), one.rest())
		if err := say(w, "%s\n", strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
}

// caller is "user/process at door".
func (r auditRecord) caller() string {
	who := r.User
	if who == "" && r.UID != nil {
		who = "uid " + strconv.FormatInt(*r.UID, 10)
	}
	if who == "" {
		return "-"
	}
	if r.PID != 0 {
		who += "/" + strconv.Itoa(r.PID)
	}
	return strings.TrimSpace(who + " " + r.Door)
}

func (r auditRecord) rest() string {
	var parts []string
	for _, s := range []string{r.Code, r.Ruling, r.Scopes, r.Fingerprint, r.Detail} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "  ")
}

func (p *program) auditVerifyCommand() *cobra.Command {
	var mode string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check that no record was changed, added or taken away",
		Long: `Check the chain of the audit files in the state directory, with or without a
running agent. Ends with 1 and names file, line and record if it is broken.`,
		Example: "  keytender audit verify --state /var/lib/keytender",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := agent.ParseMode(mode)
			if err != nil {
				return misused(c, err.Error())
			}
			return p.auditVerify(either(p.state, agent.StateDir(m)))
		},
	}
	c.Flags().StringVar(&mode, "mode", string(agent.User), "`MODE` of the agent whose state it is: user or machine")
	return c
}

func (p *program) auditVerify(stateDir string) error {
	report, err := agent.VerifyAudit(stateDir)
	if err != nil {
		return doing("verify the audit", err)
	}
	if p.json {
		return p.printJSON(map[string]any{"records": report.Records, "files": report.Files, "head": report.Head, "cut_off": report.CutOff})
	}
	say(p.out, "the chain is whole: %s in %s\n", count(int(report.Records), "record"), count(report.Files, "file"))
	if report.Head != "" {
		say(p.out, "head: %s\n", report.Head)
	}
	if report.CutOff {
		say(p.out, "the last line is cut off, as after a power cut: the agent mends that at its next start\n")
	}
	return nil
}

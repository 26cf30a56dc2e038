package session_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/identity"
	"keytender/agent/internal/session"
	"keytender/vault"
)

// tokenOf is the token that sessions make of a grant.
func tokenOf(t testing.TB, profile string, g identity.Grant) *session.Token {
	t.Helper()
	s := session.New(session.Options{Grant: func(context.Context, session.Key) (identity.Grant, error) { return g, nil }})
	defer s.Close()
	token, _, err := s.Token(t.Context(), session.Key{Profile: profile}, session.Want{})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAnswerIsThatOfTheAPI(t *testing.T) {
	end := time.Now().Add(time.Hour)
	for _, odd := range []string{"", "OR.Jobs OR.Queues", `"`, `\`, "a\r\n\t\x00b", "<script>&", "é€😀", "\u2028", "\xff", "\x7f"} {
		token := tokenOf(t, odd, identity.Grant{Access: vault.NewSecret("x" + odd), Type: odd, Scope: odd, ExpiresAt: end})
		for _, left := range []time.Duration{time.Hour, 59*time.Minute + 59*time.Second, 1500 * time.Millisecond, time.Millisecond, 0, -time.Hour} {
			for _, met := range []bool{true, false} {
				whole := end.UTC().Truncate(time.Second)
				want := api.Token{
					AccessToken: "x" + odd, TokenType: odd, ExpiresIn: max(0, int64(left/time.Second)), ExpiresAt: whole,
					Scope: odd, Profile: odd, Fingerprint: session.Fingerprint(vault.NewSecret("x" + odd)),
				}
				if !met {
					want.MinValidMet = &met
				}
				wanted, err := json.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				if got := token.AppendJSON([]byte("> "), whole.Add(-left), met); string(got) != "> "+string(wanted) {
					t.Errorf("got  %s\nwant > %s", got, wanted)
				}
			}
		}
	}
}

func TestFingerprintIsTheStartOfTheSHA256(t *testing.T) {
	if got := session.Fingerprint(vault.NewSecret("abc")); got != "ba7816bf8f01cfea" {
		t.Error(got)
	}
}

func TestTokenIsNeverPrinted(t *testing.T) {
	const canary = "canary-4f1d"
	grant := identity.Grant{Access: vault.NewSecret(canary), Type: "Bearer", ExpiresAt: time.Now().Add(time.Hour)}
	failing := false
	var log bytes.Buffer
	s := session.New(session.Options{
		Grant: func(context.Context, session.Key) (identity.Grant, error) {
			if failing {
				return grant, errDown
			}
			return grant, nil
		},
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	token, _, err := s.Token(t.Context(), invoices, session.Want{})
	if err != nil {
		t.Fatal(err)
	}
	failing = true
	_, _, failure := s.Token(t.Context(), session.Key{Profile: "invoices"}, session.Want{})
	_, _, wait := s.Token(t.Context(), session.Key{Profile: "invoices"}, session.Want{})
	view := s.Look("invoices")

	type hidden struct{ token session.Token }
	var out bytes.Buffer
	for _, v := range []any{token, *token, hidden{*token}, &hidden{*token}, []*session.Token{token}, s, view, failure, wait} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%p", "%b"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		encoded, _ := json.Marshal(v)
		fmt.Fprintf(&out, "%s\n", encoded)
		slog.New(slog.NewTextHandler(&out, nil)).Info("token", "value", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("token", "value", v)
	}
	s.Close()

	seen := out.String() + log.String()
	if log.Len() == 0 || !strings.Contains(seen, token.Fingerprint) {
		t.Error("nothing was printed")
	}
	bytesOf := strings.Trim(fmt.Sprint([]byte(canary)), "[]")
	for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), strings.ToUpper(hex.EncodeToString([]byte(canary))), bytesOf, base64.StdEncoding.EncodeToString([]byte(canary))[:12]} {
		if strings.Contains(seen, form) {
			t.Errorf("printed as %q", form)
		}
	}
}

func TestExpiryIsInWholeSecondsAndNeverLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(time.Hour + 999*time.Millisecond)
		token := tokenOf(t, "invoices", identity.Grant{Access: vault.NewSecret("x"), ExpiresAt: end})
		if !token.ExpiresAt.Equal(end.Truncate(time.Second)) || token.ExpiresAt.Location() != time.UTC {
			t.Errorf("%v of %v", token.ExpiresAt, end)
		}
	})
}

func TestCachedTokenAllocatesNothing(t *testing.T) {
	p := &provider{lifetime: time.Hour}
	s := p.sessions(t)
	wantToken(t, s, "token-1")
	buffer := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(1000, func() {
		token, met, _ := s.Token(t.Context(), invoices, session.Want{MinValid: time.Minute, Rejected: "0123456789abcdef"})
		buffer = token.AppendJSON(buffer[:0], p.now(), met)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCachedToken(b *testing.B) {
	p := &provider{lifetime: time.Hour}
	s := session.New(session.Options{Grant: p.grant})
	defer s.Close()
	ctx := b.Context()
	b.Run("token", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Token(ctx, invoices, session.Want{})
		}
	})
	b.Run("token, all processors", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(each *testing.PB) {
			for each.Next() {
				s.Token(ctx, invoices, session.Want{})
			}
		})
	})
	b.Run("answer", func(b *testing.B) {
		b.ReportAllocs()
		token, _, _ := s.Token(ctx, invoices, session.Want{})
		now, buffer := time.Now(), make([]byte, 0, 4096)
		for b.Loop() {
			buffer = token.AppendJSON(buffer[:0], now, true)
		}
	})
}

package identity_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"keytender/agent/internal/identity"
	"keytender/vault"
)

func TestHowLongATokenLives(t *testing.T) {
	jwt := func(exp time.Time) string {
		return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, exp.Unix())) + ".c2ln"
	}
	now := time.Now()
	for name, c := range map[string]struct {
		body     string
		date     time.Time
		lifetime time.Duration
		want     time.Duration // 0: an error
	}{
		"number":                       {`{"access_token":"t","token_type":"bearer","expires_in":600}`, now, 0, 10 * time.Minute},
		"quoted":                       {`{"access_token":"t","token_type":"BEARER","expires_in":"600"}`, now, 0, 10 * time.Minute},
		"without type":                 {`{"access_token":"t","expires_in":600}`, now, 0, 10 * time.Minute},
		"not before the profile's":     {`{"access_token":"t","expires_in":600}`, now, time.Hour, 10 * time.Minute},
		"absurd":                       {`{"access_token":"t","expires_in":99999999999}`, now, 0, 365 * 24 * time.Hour},
		"the JWT's own":                {`{"access_token":"` + jwt(now.Add(20*time.Minute)) + `"}`, now, time.Hour, 20 * time.Minute},
		"the JWT's own, server ahead":  {`{"access_token":"` + jwt(now.Add(140*time.Minute)) + `"}`, now.Add(2 * time.Hour), 0, 20 * time.Minute},
		"the JWT's own, no Date":       {`{"access_token":"` + jwt(now.Add(20*time.Minute)) + `"}`, time.Time{}, 0, 20 * time.Minute},
		"the JWT's own, past":          {`{"access_token":"` + jwt(now.Add(-time.Minute)) + `"}`, now, time.Hour, 0},
		"expires_in of a dead JWT":     {`{"access_token":"` + jwt(now.Add(-time.Hour)) + `","expires_in":600}`, now, 0, 0},
		"expires_in, our clock is off": {`{"access_token":"` + jwt(now.Add(-time.Hour)) + `","expires_in":600}`, now.Add(-2 * time.Hour), 0, 10 * time.Minute},
		"the profile's":                {`{"access_token":"a.b.c"}`, now, time.Hour, time.Hour},
		"the profile's, absurd":        {`{"access_token":"t"}`, now, 1 << 62, 365 * 24 * time.Hour},
		"none":                         {`{"access_token":"a.e30.c"}`, now, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			date := ""
			if !c.date.IsZero() {
				date = c.date.UTC().Format(http.TimeFormat)
			}
			client := fake(func(*http.Request) (*http.Response, error) { return respond(200, "text/plain", date, c.body), nil })
			g, err := client.ClientCredentials(t.Context(), identity.Request{TokenEndpoint: "https://idp.corp/token", ClientID: "c", Secret: vault.NewSecret(canary), Lifetime: c.lifetime})
			if c.want == 0 {
				failure(t, err)
				return
			}
			if life := g.ExpiresAt.Sub(g.IssuedAt); err != nil || (life-c.want).Abs() > 2*time.Second {
				t.Errorf("it lives %v, %v; want %v", life, err, c.want)
			}
		})
	}
}

func TestFormEncodedReply(t *testing.T) {
	client := fake(func(*http.Request) (*http.Response, error) {
		return respond(200, "application/x-www-form-urlencoded", "", "access_token=t&expires_in=60&token_type=bearer"), nil
	})
	g, err := client.ClientCredentials(t.Context(), identity.Request{TokenEndpoint: "https://idp.corp/token", ClientID: "c", Secret: vault.NewSecret(canary)})
	if err != nil || g.ExpiresAt.Sub(g.IssuedAt) != time.Minute {
		t.Errorf("got %+v, %v", g, err)
	}
}

func TestLargestReply(t *testing.T) {
	token, scope := strings.Repeat("t", 16<<10), strings.Repeat("s", 4<<10)
	client := fake(func(*http.Request) (*http.Response, error) {
		return respond(200, "application/json", "", `{"access_token":"`+token+`","scope":"`+scope+`","expires_in":60}`), nil
	})
	g, err := client.ClientCredentials(t.Context(), identity.Request{TokenEndpoint: "https://idp.corp/token", ClientID: "c", Secret: vault.NewSecret(canary)})
	if err != nil || g.Access.Reveal() != token || g.Scope != scope {
		t.Errorf("got %d and %d bytes, %v", len(g.Access.Reveal()), len(g.Scope), err)
	}
}

// Whatever a server answers, there is a usable token with an end, or an error
// that does not repeat it.
func FuzzReply(f *testing.F) {
	f.Add(200, "application/json", "", "", `{"access_token":"t","token_type":"Bearer","expires_in":3600,"scope":"a"}`)
	f.Add(200, "text/plain", "Sat, 21 Nov 2026 22:00:00 GMT", "", `access_token=t&expires_in=1.5`)
	f.Add(200, "application/json", "", "", `{"access_token":"e30.eyJleHAiOjFlMzAwfQ.c"}`)
	f.Add(400, "application/json", "", "5", `{"error":"invalid_client"}`)
	f.Add(429, "text/html", "", "Sat, 21 Nov 2026 22:00:00 GMT", `<html>`)
	f.Add(302, "", "", "", "")
	f.Fuzz(func(t *testing.T, status int, kind, date, retry, body string) {
		if status < 200 || status > 999 {
			return
		}
		client := fake(func(*http.Request) (*http.Response, error) {
			answer := respond(status, kind, date, body)
			answer.Header.Set("Retry-After", retry)
			return answer, nil
		})
		before := time.Now()
		g, err := client.ClientCredentials(t.Context(), identity.Request{TokenEndpoint: "https://idp.corp/token", ClientID: "c", Secret: vault.NewSecret(canary)})
		if err != nil {
			if e := failure(t, err); e.RetryAfter < 0 || e.RetryAfter > 24*time.Hour {
				t.Errorf("wait %v", e.RetryAfter)
			}
			return
		}
		if g.Access.IsZero() || strings.ContainsAny(g.Access.Reveal(), " \r\n\x00") || !printable(g.Scope) || len(g.Access.Reveal()) > 16<<10 || len(g.Scope) > 4<<10 {
			t.Errorf("got %+v", g)
		}
		if !g.ExpiresAt.After(before) || g.ExpiresAt.After(time.Now().Add(366*24*time.Hour)) {
			t.Errorf("it ends %v", g.ExpiresAt)
		}
	})
}

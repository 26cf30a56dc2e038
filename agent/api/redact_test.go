package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
)

const canary = "canary-7f0c-must-not-be-seen"

// TestSecretsDoNotPrint prints each message that carries a secret, by value, by
// pointer and inside other values, in every way that a program has.
func TestSecretsDoNotPrint(t *testing.T) {
	token := api.Token{AccessToken: canary, Profile: "invoices", Fingerprint: "0123456789abcdef", ExpiresAt: time.Now()}
	pairing := api.Pairing{Name: "invoices", Secret: canary}
	change := api.SecretChange{Secret: canary}
	type inside struct {
		Token   api.Token
		Pairing *api.Pairing
		Any     any
	}
	values := []any{
		token, &token, pairing, &pairing, change, &change,
		inside{token, &pairing, change}, &inside{token, &pairing, &change},
		[]api.Token{token}, map[string]api.Pairing{"a": pairing}, map[api.SecretChange]int{change: 1}, []any{&token, pairing, change},
	}
	for _, v := range values {
		for verb := 'A'; verb <= 'z'; verb++ {
			if verb == 'w' || verb == 'p' {
				continue // here fmt asks no method; vet, which go test runs, refuses both for values like these
			}
			for _, flags := range []string{"", "+", "#", " ", "0", "-40", ".300", "+#40.300"} {
				mustHide(t, "%"+flags+string(verb), fmt.Sprintf("%"+flags+string(verb), v))
			}
		}
		mustHide(t, "Print", fmt.Sprint(v), fmt.Sprintln(v), fmt.Errorf("with %v", v).Error())
		mustHide(t, "panic", panicked(v))
	}
	for _, v := range []any{token, &token, pairing, &pairing, change, &change} {
		var text, lines bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Error("x", "v", v, slog.Group("g", "v", v))
		slog.New(slog.NewJSONHandler(&lines, nil)).Error("x", "v", v, slog.Group("g", "v", v))
		mustHide(t, "slog", text.String(), lines.String())
	}
}

func mustHide(t *testing.T, how string, printed ...string) {
	t.Helper()
	for _, p := range printed {
		if strings.Contains(p, canary) || strings.Contains(p, fmt.Sprintf("%x", canary)) || strings.Contains(p, fmt.Sprintf("%X", canary)) {
			t.Errorf("%s shows it: %.120s", how, p)
		}
	}
}

// panicked is what a program shows that panics with v.
func panicked(v any) (text string) {
	defer func() { text = fmt.Sprint(fmt.Errorf("panic: %v", recover())) }()
	panic(v)
}

// TestSecretsDoTravel: what does not print must still be sent.
func TestSecretsDoTravel(t *testing.T) {
	for _, v := range []any{api.Token{AccessToken: canary}, api.Pairing{Secret: canary}, api.SecretChange{Secret: canary}} {
		if sent, err := json.Marshal(v); err != nil || !bytes.Contains(sent, []byte(canary)) {
			t.Errorf("%T: %s, %v", v, sent, err)
		}
	}
}

package orchestrator

import (
	"fmt"
	"strings"
	"testing"
)

func FuzzAnswersWithSecrets(f *testing.F) {
	for _, body := range []string{
		`{"id":7,"secret":"s","creationTime":"2026-03-04T05:06:07.1234567Z","expiryTime":null}`,
		`[{"id":7,"secret":null,"creationTime":"2026-03-04T05:06:07"}]`,
		`{"id":"7","secrets":[{"id":9223372036854775807}]}`,
		`{"id":"../7","secret":"\ud800"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		made, broken := readMade(body)
		if broken == "" && (!isID(string(made.ID)) || made.Secret.IsZero()) {
			t.Errorf("%q is read as a secret with the id %q", body, made.ID)
		}
		if text := made.Secret.Reveal(); len(text) > 8 && strings.Contains(fmt.Sprintf("%v %+v %#v", made, made, made), text) {
			t.Errorf("%q is shown", body)
		}
		for _, p := range []place{machine{}, application{}} {
			records, _ := p.list(body)
			for _, r := range records {
				if r.ID != "" && !isID(string(r.ID)) {
					t.Errorf("%q has the id %q", body, r.ID)
				}
			}
		}
	})
}

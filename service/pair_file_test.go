package main

import (
	"strings"
	"testing"
)

func TestPairingFileRefusals(t *testing.T) {
	const canary = "QJX!jv12345A4q4N"
	for _, row := range []struct{ file, says string }{
		{`{"version":1,"name":"a","secret":"` + canary + `"}`, "holds no secret"},
		{`{"version":1,"nmae":"a"}`, `unknown field "nmae"`},
		{`{"version":1,"replace":true}`, `unknown field "replace"`},
		{`{"version":2}`, "reads version 1"},
		{`{}`, `"version" is 0`},
		{`{"version":1,"scopes":"` + canary + `"}`, `"scopes" has the wrong type: write a list`},
		{`["` + canary + `"]`, "no JSON object"},
		{`{"version":1}{}`, "one file, one pairing"},
		{`{"version":1,`, "ends too early"},
		{canary, "no JSON"},
		{``, "ends too early"},
	} {
		_, err := parsePairing(strings.NewReader(row.file))
		switch {
		case err == nil:
			t.Errorf("%s is taken", row.file)
		case !strings.Contains(err.Error(), row.says):
			t.Errorf("%s: %v, which does not say %q", row.file, err, row.says)
		case strings.Contains(err.Error(), canary):
			t.Errorf("%s: the error tells a value: %v", row.file, err)
		}
	}
}

func FuzzPairingFile(f *testing.F) {
	f.Add(`{"version":1,"name":"invoices","kind":"robot","url":"https://h","client_id":"i","secret_file":"k"}`)
	f.Add(`{"version":1,"settings":{"tenant":"t"},"scopes":["OR.Jobs"]}`)
	f.Add(`{"version":1,"secret":"x"}`)
	f.Fuzz(func(t *testing.T, s string) {
		read, err := parsePairing(strings.NewReader(s))
		if err == nil && read.Version != 1 {
			t.Errorf("version %d is taken", read.Version)
		}
	})
}

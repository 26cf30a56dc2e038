package main

import (
	"strings"
	"testing"

	"keytender/agent/api"
)

// TestPairingIsCheckedBeforeAnybodyIsAsked: a name on the prompt is shown as it
// is, so it must be one.
func TestPairingIsCheckedBeforeAnybodyIsAsked(t *testing.T) {
	good := func() *pairing {
		return &pairing{Pairing: api.Pairing{Version: 1, Name: "invoices", Kind: "robot", URL: "https://o/ä", ClientID: "i", Scopes: []string{"OR.Jobs"}, Settings: map[string]string{"folder": "Größe/2"}}}
	}
	p := new(program)
	command := p.pairCommand()
	if err := good().complete(command, "kind", "client", "url"); err != nil {
		t.Error(err)
	}
	for field, spoil := range map[string]func(x *pairing, with string){
		"name":           func(x *pairing, with string) { x.Name += with },
		"kind":           func(x *pairing, with string) { x.Kind += with },
		"url":            func(x *pairing, with string) { x.URL += with },
		"client_id":      func(x *pairing, with string) { x.ClientID += with },
		"identity":       func(x *pairing, with string) { x.Identity += with },
		"token_endpoint": func(x *pairing, with string) { x.TokenEndpoint += with },
		"edition":        func(x *pairing, with string) { x.Edition += with },
		"store":          func(x *pairing, with string) { x.Store += with },
		"scopes":         func(x *pairing, with string) { x.Scopes = append(x.Scopes, with) },
		"settings":       func(x *pairing, with string) { x.Settings[with] = "" },
	} {
		for _, with := range []string{"\x1b[2J", "\u009b31m", "\u202e", "\n", "\xff\x00"} {
			x := good()
			spoil(x, with)
			err := x.complete(command, "kind", "client", "url")
			if err == nil || !strings.Contains(err.Error(), field) || visible(err.Error()) != err.Error() {
				t.Errorf("%s with %q: %v", field, with, err)
			}
		}
	}
	for _, name := range []string{"", "A", "-a", "..", "a b", "a/b", "é", strings.Repeat("a", 65)} {
		x := good()
		if x.Name = name; x.complete(command, "kind", "client", "url") == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

// TestDestinations: what is shown is where the secret would really go.
func TestDestinations(t *testing.T) {
	for _, row := range []struct {
		pairing api.Pairing
		want    string
	}{
		{api.Pairing{URL: "https://cloud.uipath.com/a/b"}, "https://cloud.uipath.com"},
		{api.Pairing{URL: "https://cloud.uipath.com/a/b", Identity: "https://evil.example:8443/x"}, "https://evil.example:8443"},
		{api.Pairing{URL: "https://cloud.uipath.com@evil.example/"}, "https://evil.example"},
		{api.Pairing{URL: "https://o", TokenEndpoint: "https://evil.example/token"}, "https://o and https://evil.example"},
		{api.Pairing{URL: "https://o", TokenEndpoint: "https://o/token"}, "https://o"},
		{api.Pairing{URL: "https://cloud.uip\u0430th.com/"}, `https://cloud.uip\u0430th.com`},
		{api.Pairing{URL: "evil"}, "evil"},
	} {
		if got := destinationsText(row.pairing); got != row.want {
			t.Errorf("%v: %s, not %s", row.pairing, got, row.want)
		}
	}
}

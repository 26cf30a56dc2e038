package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
)

// declaring is the part of config.yaml that declares the robot of a server.
func declaring(s *providertest.Server) string {
	return fmt.Sprintf("profiles:\n  invoices: {kind: robot, url: %q, client_id: %s}\n", s.Orchestrator, s.ClientID)
}

// reconfigure writes config.yaml anew and reloads it.
func (r *running) reconfigure(t *testing.T, more string) (api.Reloaded, error) {
	t.Helper()
	writeFile(t, r.config, sealedConfig(t, filepath.Dir(r.config), more))
	return r.admin.Reload(t.Context())
}

func TestDeclaredProfileGetsItsSecretByCommand(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	dir := t.TempDir()
	r := startIn(t, dir, declaring(s))
	_, err := r.Token(t.Context(), api.TokenRequest{})
	if e := failsWith(t, err, api.NotPaired); !strings.Contains(e.Hint, "keytender secret set invoices") {
		t.Errorf("got %v", e)
	}
	failsWith(t, r.admin.SetSecret(t.Context(), "invoices", "wrong-canary-7c1"), api.ProviderRefused)
	if n := r.entries(t); n != 0 {
		t.Errorf("%d entries in the store after a secret that was not proven", n)
	}
	if err := r.admin.SetSecret(t.Context(), "invoices", s.Secret); err != nil {
		t.Fatal(err)
	}
	token := r.mustToken(t, api.TokenRequest{})
	if p, _ := r.profile(t); p.Source != api.SourceDeclared || !p.Default {
		t.Errorf("got %+v", p)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = startIn(t, dir, declaring(s))
	r.mustToken(t, api.TokenRequest{Profile: "invoices"})
	r.holdsNo(t, []string{s.Secret, "wrong-canary-7c1", token.AccessToken})
}

func TestDeclaredProfileBelongsToPeople(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	r := startIn(t, t.TempDir(), declaring(s))
	if err := r.admin.SetSecret(t.Context(), "invoices", s.Secret); err != nil {
		t.Fatal(err)
	}
	before := s.TokenRequests()
	p := robotOf(s)
	p.Scopes, p.Replace, p.Settings = []string{"OR.Jobs", "a,[b]:#c"}, true, map[string]string{"tenant": "test", "audience": "a: #b"}
	_, _, err := r.pairing(t, p)
	e := failsWith(t, err, api.InvalidRequest)
	_, block, _ := strings.Cut(e.Hint, "\n")
	path := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, path, "version: 1\n"+block+"\n")
	c, err := Load(path, User)
	if err != nil {
		t.Fatalf("what the hint says to write is no configuration: %v\n%s", err, block)
	}
	got := c.Profiles["invoices"]
	if got.URL != p.URL || got.ClientID != p.ClientID || got.Tenant != "test" || got.Audience != "a: #b" || !slices.Equal(got.Scopes, p.Scopes) {
		t.Errorf("what the hint says to write is another profile:\n%s", block)
	}
	failsWith(t, r.admin.Unpair(t.Context(), "invoices"), api.InvalidRequest)
	asked(t, s, before, 0)
	r.mustToken(t, api.TokenRequest{})
}

func TestSecretDoesNotMoveWithADeclaredProfile(t *testing.T) {
	old, next := providertest.OIDCProvider(t, providertest.Options{}), providertest.OIDCProvider(t, providertest.Options{})
	r := startIn(t, t.TempDir(), declaring(old))
	if err := r.admin.SetSecret(t.Context(), "invoices", old.Secret); err != nil {
		t.Fatal(err)
	}
	r.mustToken(t, api.TokenRequest{})
	reloaded, err := r.reconfigure(t, declaring(next))
	if err != nil || !slices.Equal(reloaded.Changed, []string{"invoices"}) {
		t.Fatalf("reload: %+v, %v", reloaded, err)
	}
	_, err = r.Token(t.Context(), api.TokenRequest{})
	if e := failsWith(t, err, api.ProviderRefused); !strings.Contains(e.Hint, "keytender secret set") || !strings.Contains(e.Description, next.Origin) {
		t.Errorf("got %v", e)
	}
	asked(t, next, 0, 0)
	if err := r.admin.SetSecret(t.Context(), "invoices", next.Secret); err != nil {
		t.Fatal(err)
	}
	r.mustToken(t, api.TokenRequest{})
	asked(t, next, 0, 2)
}

func TestOneNameDeclaredAndPaired(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	dir := t.TempDir()
	r := startIn(t, dir, "")
	r.mustPair(t, robotOf(s))
	_, err := r.reconfigure(t, declaring(s))
	if e := failsWith(t, err, api.InvalidRequest); !strings.Contains(e.Description, `"invoices" is declared in config.yaml and paired as well`) {
		t.Errorf("got %v", e)
	}
	r.mustToken(t, api.TokenRequest{})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	a, err := Open(r.options(dir))
	if err == nil {
		a.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "paired as well") {
		t.Errorf("at the start: %v", err)
	}
	startIn(t, dir, "").mustToken(t, api.TokenRequest{})
}

func TestBrokenConfigChangesNothing(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	r := startIn(t, t.TempDir(), declaring(s))
	if err := r.admin.SetSecret(t.Context(), "invoices", s.Secret); err != nil {
		t.Fatal(err)
	}
	first := r.mustToken(t, api.TokenRequest{})
	for what, more := range map[string]struct{ yaml, at string }{
		"unknown key": {"prophiles: {}\n", ":4:1: "},
		"wrong type":  {"profiles:\n  invoices: {kind: [robot]}\n", ":5:"},
		"wrong value": {"profiles:\n  invoices: {kind: robbot, client_id: x}\n", ":5:"},
		"not YAML":    {"profiles: {\n", ":4:"},
	} {
		_, err := r.reconfigure(t, more.yaml)
		if e := failsWith(t, err, api.InvalidRequest); !strings.Contains(e.Description, r.config+more.at) {
			t.Errorf("%s: got %v, want %s…", what, e, more.at)
		}
		if again := r.mustToken(t, api.TokenRequest{}); again.AccessToken != first.AccessToken {
			t.Errorf("%s: the token was dropped", what)
		}
	}
	if err := os.Remove(r.config); err != nil {
		t.Fatal(err)
	}
	if reloaded, err := r.admin.Reload(t.Context()); err != nil || reloaded.Profiles != 0 {
		t.Errorf("without a file: %+v, %v", reloaded, err)
	}
}

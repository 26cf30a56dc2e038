package agent

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
	"keytender/agent/orchestratortest"
)

// examined has doctor look at everything. Every check says what it found, and
// whatever is not well what to do.
func (r *running) examined(t *testing.T) []api.Check {
	t.Helper()
	report, err := r.admin.Doctor(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range report.Checks {
		troubled := c.Result == api.CheckWarn || c.Result == api.CheckFail
		if c.Found == "" || troubled != (c.ToDo != "") {
			t.Errorf("the check %s, %s, says %q and to do %q", c.Name, c.Result, c.Found, c.ToDo)
		}
	}
	return report.Checks
}

func TestDoctorFindsAllWell(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	r := start(t, "")
	r.mustPair(t, robotOf(s))
	var names []string
	for _, c := range r.examined(t) {
		names = append(names, c.Name)
		if c.Result != api.CheckOK {
			t.Errorf("%s: %s, %s", c.Name, c.Result, c.Found)
		}
		if c.Name == "orchestrator" && !strings.Contains(c.Found, s.Orchestrator+": GET /odata/Folders?$top=1 answered 200: the token was accepted") {
			t.Errorf("orchestrator: %s", c.Found)
		}
	}
	want := []string{"state", "audit", "door", "door", "store", "secret", "tls", "discovery", "clock", "token", "orchestrator"}
	if !slices.Equal(names, want) {
		t.Errorf("checks %v, want %v", names, want)
	}
}

func TestDoctorOnAServerThatHidesItsGrants(t *testing.T) {
	s := providertest.Glewlwyd(t)
	r := start(t, "")
	r.mustPair(t, robotOf(s))
	checks := r.examined(t)
	if !slices.ContainsFunc(checks, func(c api.Check) bool {
		return c.Name == "discovery" && c.Result == api.CheckWarn && strings.Contains(c.Found, "client_credentials")
	}) {
		t.Errorf("no warning among %+v", checks)
	}
}

func TestDoctorBeforeAnythingIsPaired(t *testing.T) {
	r := start(t, "")
	checks := r.examined(t)
	if last := checks[len(checks)-1]; last.Result != api.CheckWarn || !strings.Contains(last.ToDo, "keytender pair") {
		t.Errorf("got %+v", last)
	}
	_, err := r.admin.Doctor(t.Context(), "nobody")
	failsWith(t, err, api.NotPaired)
}

func TestDoctorTellsWhatIsWrong(t *testing.T) {
	sick := func(path string, f orchestratortest.Fault) func(*testing.T, *simulated, *running) {
		return func(_ *testing.T, s *simulated, _ *running) { s.Fault(path, f) }
	}
	cases := map[string]struct {
		harm         func(*testing.T, *simulated, *running)
		check        string // the first that is not well
		result       string
		found, to_do string
		skipped      []string
	}{
		"clock ahead": {func(_ *testing.T, s *simulated, _ *running) { s.SetSkew(10*time.Minute + 30*time.Second) },
			"clock", api.CheckWarn, "10m", "NTP", nil},
		"clock behind": {func(_ *testing.T, s *simulated, _ *running) { s.SetSkew(-90 * time.Second) },
			"clock", api.CheckWarn, "1m", "NTP", nil},
		"Identity is down": {func(_ *testing.T, s *simulated, _ *running) { s.Close() },
			"discovery", api.CheckFail, "127.0.0.1", "", []string{"clock", "token", "orchestrator"}},
		"discovery is a web page": {sick(discoveryPath, orchestratortest.Fault{HTML: true}),
			"discovery", api.CheckFail, "", "", []string{"clock", "token", "orchestrator"}},
		"secret was revoked": {func(_ *testing.T, s *simulated, _ *running) {
			s.AddSecret(s.robot.ID, "")
			s.RemoveSecret(s.robot.SecretID)
		}, "token", api.CheckFail, "does not accept", "secret", []string{"orchestrator"}},
		"Orchestrator refuses the token": {sick("/odata", orchestratortest.Fault{Status: http.StatusUnauthorized}),
			"orchestrator", api.CheckFail, "refused the token", "same deployment", nil},
		"Orchestrator is something else": {sick("/orchestrator_", orchestratortest.Fault{Status: http.StatusNotFound}),
			"orchestrator", api.CheckWarn, "404", "url", nil},
		"the secret is gone": {func(t *testing.T, _ *simulated, r *running) {
			if err := os.RemoveAll(filepath.Join(r.state, "stores")); err != nil {
				t.Fatal(err)
			}
		}, "secret", api.CheckFail, "no secret", "keytender secret set invoices", []string{"tls", "discovery", "clock", "token", "orchestrator"}},
		"the store's key is gone": {func(t *testing.T, _ *simulated, r *running) {
			if err := os.Remove(filepath.Join(filepath.Dir(r.config), "seal.key")); err != nil {
				t.Fatal(err)
			}
		}, "store", api.CheckFail, "key", "", []string{"tls", "discovery", "clock", "token", "orchestrator"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, r := orchestratorOf(t), start(t, "")
			r.mustPair(t, s.pairing())
			c.harm(t, s, r)
			var first api.Check
			var skipped []string
			for _, check := range r.examined(t) {
				switch {
				case check.Result == api.CheckSkip:
					skipped = append(skipped, check.Name)
				case check.Result != api.CheckOK && first.Name == "":
					first = check
				}
			}
			if first.Name != c.check || first.Result != c.result || !strings.Contains(first.Found, c.found) || !strings.Contains(first.ToDo, c.to_do) {
				t.Errorf("got %+v", first)
			}
			if !slices.Equal(skipped, c.skipped) {
				t.Errorf("skipped %v, want %v", skipped, c.skipped)
			}
		})
	}
}

// TestDoctorSendsNoRefusedSecretAgain: servers lock out who is wrong too often,
// and people run doctor until it says ok.
func TestDoctorSendsNoRefusedSecretAgain(t *testing.T) {
	s, c := orchestratorOf(t), new(clock)
	r := startIn(t, t.TempDir(), "", c.set)
	r.mustPair(t, s.pairing())
	another := s.AddSecret(s.robot.ID, "another-secret")
	s.RemoveSecret(s.robot.SecretID)
	before := s.TokenRequests()
	token := func(result string) api.Check {
		t.Helper()
		checks := r.examined(t)
		i := slices.IndexFunc(checks, func(c api.Check) bool { return c.Name == "token" })
		if checks[i].Result != result {
			t.Fatalf("got %+v", checks[i])
		}
		return checks[i]
	}
	retry := func() {
		t.Helper()
		if err := r.admin.Retry(t.Context(), "invoices"); err != nil {
			t.Fatal(err)
		}
	}
	if first := token(api.CheckFail); strings.Contains(first.Found, "again") {
		t.Errorf("the first time: %+v", first)
	}
	c.forward(40 * time.Second)
	for range 3 {
		got := token(api.CheckFail)
		if !strings.Contains(got.Found, "does not accept") || !strings.Contains(got.Found, "40 s ago") || !strings.Contains(got.ToDo, "keytender retry invoices") {
			t.Errorf("got %+v", got)
		}
	}
	_, err := r.Token(t.Context(), api.TokenRequest{})
	failsWith(t, err, api.ProviderRefused)
	asked(t, s, before, 1)
	if n := len(r.records(t, "grant_failed")); n != 2 {
		t.Errorf("%d records of what failed, want doctor's and the session's", n)
	}
	retry()
	token(api.CheckFail)
	asked(t, s, before, 2)
	c.forward(sentAgainAfter)
	token(api.CheckFail)
	asked(t, s, before, 3)
	if err := r.admin.SetSecret(t.Context(), "invoices", "another-secret"); err != nil {
		t.Fatal(err)
	}
	token(api.CheckOK)
	asked(t, s, before, 5)

	s.RemoveSecret(another.SecretID)
	token(api.CheckFail)
	s.AddSecret(s.robot.ID, "another-secret")
	c.forward(sentAgainAfter)
	token(api.CheckOK)
	r.mustToken(t, api.TokenRequest{}) // what doctor has seen to be right bars nobody
}

func TestDoctorOnACertificateOfAnUnknownAuthority(t *testing.T) {
	s := orchestratortest.New(orchestratortest.Options{TLS: true})
	t.Cleanup(s.Close)
	robot := s.AddMachine("", "")
	dir := t.TempDir()
	authority := filepath.Join(dir, "ca.pem")
	writeFile(t, authority, string(s.CAPEM))
	r := startIn(t, dir, "ca: ["+authority+"]\n")
	r.mustPair(t, api.Pairing{Name: "invoices", Kind: "robot", URL: s.Orchestrator, ClientID: robot.ID, Secret: robot.Secret})
	tls := func() api.Check {
		t.Helper()
		checks := r.examined(t)
		i := slices.IndexFunc(checks, func(c api.Check) bool { return c.Name == "tls" })
		return checks[i]
	}
	if c := tls(); c.Result != api.CheckOK || !strings.Contains(c.Found, "valid until") {
		t.Errorf("with the authority: %+v", c)
	}
	if _, err := r.reconfigure(t, ""); err != nil {
		t.Fatal(err)
	}
	if c := tls(); c.Result != api.CheckFail || !strings.Contains(c.ToDo, "ca") {
		t.Errorf("without it: %+v", c)
	}
}

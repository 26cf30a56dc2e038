package orchestrator_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"keytender/agent/internal/orchestrator"
	"keytender/agent/orchestratortest"
	"keytender/vault"
	"keytender/vault/egress"
)

func setUp(t *testing.T) (*orchestratortest.Server, orchestrator.Address, orchestrator.Client) {
	t.Helper()
	srv := orchestratortest.New(orchestratortest.Options{})
	t.Cleanup(srv.Close)
	a, err := orchestrator.Parse(srv.Orchestrator)
	if err != nil {
		t.Fatal(err)
	}
	return srv, a, client(t)
}

func client(t *testing.T) orchestrator.Client {
	t.Helper()
	hc, err := egress.New(egress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	return orchestrator.Client{HTTP: hc}
}

func TestCheckTellsWhatBecameOfTheToken(t *testing.T) {
	srv, a, c := setUp(t)
	canary := vault.NewSecret("canary-of-a-token")
	robot := srv.Token(srv.AddMachine("", "").ID)
	jobs := srv.Token(srv.AddApp("", "", "OR.Jobs").ID)
	for name, want := range map[string]struct {
		token   vault.Secret
		fault   orchestratortest.Fault
		verdict orchestrator.Verdict
		status  int
	}{
		"a robot's token":            {vault.NewSecret(robot), orchestratortest.Fault{}, orchestrator.Accepted, 200},
		"a token without the right":  {vault.NewSecret(jobs), orchestratortest.Fault{}, orchestrator.Forbidden, 403},
		"not a token":                {canary, orchestratortest.Fault{}, orchestrator.Rejected, 401},
		"a gateway's 403":            {canary, orchestratortest.Fault{Status: 403, HTML: true}, orchestrator.Unclear, 403},
		"a page in place of folders": {canary, orchestratortest.Fault{HTML: true}, orchestrator.Unclear, 200},
		"an Orchestrator in trouble": {canary, orchestratortest.Fault{Status: 503}, orchestrator.Unclear, 503},
		"no folders there":           {vault.NewSecret(robot), orchestratortest.Fault{Status: 404}, orchestrator.Forbidden, 403},
	} {
		t.Run(name, func(t *testing.T) {
			want.fault.Times = 1
			srv.Fault("/odata/Folders", want.fault)
			got, err := c.Check(t.Context(), a, want.token)
			if err != nil || got.Verdict != want.verdict || got.Status != want.status {
				t.Errorf("got %+v, %v", got, err)
			}
			fine := want.verdict == orchestrator.Accepted || want.verdict == orchestrator.Forbidden
			if !strings.Contains(got.String(), strconv.Itoa(want.status)) || (got.Todo() == "") != fine {
				t.Errorf("it says %q and %q", got, got.Todo())
			}
			if time.Since(got.Date).Abs() > time.Minute {
				t.Errorf("its date is %v", got.Date)
			}
		})
	}
}

func TestCheckTakesTheTokenNowhereElse(t *testing.T) {
	srv, a, c := setUp(t)
	other := orchestratortest.New(orchestratortest.Options{})
	defer other.Close()
	srv.Fault("", orchestratortest.Fault{Redirect: other.Orchestrator})
	_, err := c.Check(t.Context(), a, vault.NewSecret("canary-of-a-token"))
	if _, ok := errors.AsType[*egress.RedirectError](err); !ok || other.Requests("") != 0 {
		t.Errorf("got %v; the other had %d requests", err, other.Requests(""))
	}
	if err != nil && strings.Contains(err.Error(), "canary") {
		t.Errorf("the token shows in %v", err)
	}
}

func TestStandaloneNamesItsTenant(t *testing.T) {
	var tenant, path string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant, path = r.Header.Get("X-UIPATH-TenantName"), r.URL.Path
		_, _ = w.Write([]byte(`{"value":[]}`))
	}))
	defer srv.Close()
	a, err := orchestrator.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	a.Tenant = "Default"
	got, err := client(t).Check(t.Context(), a, vault.NewSecret("t"))
	if err != nil || got.Verdict != orchestrator.Accepted || tenant != "Default" || path != "/odata/Folders" {
		t.Errorf("%+v, %v; tenant %q, path %q", got, err, tenant, path)
	}
}

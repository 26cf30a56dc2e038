package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"keytender/agent/internal/orchestrator"
	"keytender/agent/orchestratortest"
	"keytender/vault"
	"keytender/vault/egress"
)

// administered is a client with one secret, and what administers it.
type administered struct {
	srv     *orchestratortest.Server
	client  orchestratortest.Client
	secrets orchestrator.Secrets
	path    string // that all of its calls have in common
}

// with is a token for an application that has the scopes.
func (a administered) with(scopes ...string) vault.Secret {
	return vault.NewSecret(a.srv.Token(a.srv.AddApp("", "", scopes...).ID))
}

// forBoth runs a test against each administration, of a new organization.
func forBoth(t *testing.T, test func(t *testing.T, a administered)) {
	t.Run("machine", func(t *testing.T) {
		srv, address, c := setUp(t)
		robot := srv.AddMachine("", "")
		test(t, administered{srv, robot, c.MachineSecrets(address, robot.ID), "/api/clientsecrets/"})
	})
	t.Run("application", func(t *testing.T) {
		srv := orchestratortest.New(orchestratortest.Options{NewOrg: true})
		t.Cleanup(srv.Close)
		address, err := orchestrator.Parse(srv.Orchestrator)
		if err != nil {
			t.Fatal(err)
		}
		app := srv.AddApp("", "", "OR.Jobs")
		test(t, administered{srv, app, client(t).AppSecrets(address, "", app.ID), "/api/ExternalClient/"})
	})
}

// failed is the error of an administration, and of no other kind.
func failed(t *testing.T, err error) *orchestrator.SecretsError {
	t.Helper()
	e, ok := errors.AsType[*orchestrator.SecretsError](err)
	if !ok {
		t.Fatalf("not a SecretsError: %v", err)
	}
	if e.What == "" || e.Todo == "" || !printable(e.Error()+e.Todo) {
		t.Errorf("says %q, %q", e, e.Todo)
	}
	return e
}

func TestSecretsAreMadeListedAndDeleted(t *testing.T) {
	forBoth(t, func(t *testing.T, a administered) {
		token := a.with(a.secrets.Scope)
		before, err := a.secrets.List(t.Context(), token)
		if err != nil || len(before) != 1 || before[0].ID != strconv.FormatInt(a.client.SecretID, 10) {
			t.Fatalf("%+v, %v", before, err)
		}
		info, made, err := a.secrets.Make(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		kept := a.srv.Secrets(a.client.ID)
		if len(kept) != 2 || strconv.FormatInt(kept[1].SecretID, 10) != info.ID || !made.Equal(vault.NewSecret(kept[1].Secret)) {
			t.Errorf("made %+v", info)
		}
		after, err := a.secrets.List(t.Context(), token)
		if err != nil || len(after) != 2 || after[0] != before[0] || after[1] != info {
			t.Errorf("lists %+v, %v; made %+v", after, err, info)
		}
		if age := time.Since(info.CreatedAt); age < 0 || age > time.Minute || !info.ExpiresAt.IsZero() || info.CreatedAt.Location() != time.UTC {
			t.Errorf("made %+v", info)
		}
		if err := a.secrets.Delete(t.Context(), token, before[0].ID); err != nil {
			t.Error(err)
		}
		if kept := a.srv.Secrets(a.client.ID); len(kept) != 1 || !made.Equal(vault.NewSecret(kept[0].Secret)) {
			t.Errorf("%d secrets are left", len(kept))
		}
		if e := failed(t, a.secrets.Delete(t.Context(), token, before[0].ID)); e.Kind != orchestrator.NotFound || e.Status != 404 {
			t.Errorf("deleted twice: %+v", e)
		}
		hides(t, made.Reveal(), info, a.secrets, fmt.Sprint(made))
	})
}

// hides fails where a text prints with any of values.
func hides(t *testing.T, text string, values ...any) {
	t.Helper()
	for _, v := range values {
		if strings.Contains(fmt.Sprintf("%v %+v %#v %q", v, v, v, v), text) {
			t.Errorf("%T shows it", v)
		}
	}
}

func TestLifetimeOfAMadeSecret(t *testing.T) {
	forBoth(t, func(t *testing.T, a administered) {
		a.secrets.Lifetime = 30 * 24 * time.Hour
		info, _, err := a.secrets.Make(t.Context(), a.with(a.secrets.Scope))
		if err != nil {
			t.Fatal(err)
		}
		expires := a.secrets.Scope == "PM.OAuthApp"
		if life := info.ExpiresAt.Sub(info.CreatedAt); expires != !info.ExpiresAt.IsZero() || expires && (life-a.secrets.Lifetime).Abs() > time.Minute {
			t.Errorf("made %+v", info)
		}
	})
}

func TestWhoMayAdminister(t *testing.T) {
	forBoth(t, func(t *testing.T, a administered) {
		for name, c := range map[string]struct {
			token      vault.Secret
			list, make orchestrator.Kind // "": served
		}{
			"the scope":        {a.with(a.secrets.Scope), "", ""},
			"a reader":         {a.with(a.secrets.Scope + ".Read"), "", orchestrator.Denied},
			"a writer":         {a.with(a.secrets.Scope + ".Write"), orchestrator.Denied, ""},
			"something else":   {a.with("OR.Jobs"), orchestrator.Denied, orchestrator.Denied},
			"an access token":  {vault.NewSecret("rt_CANARY-1"), orchestrator.Refused, orchestrator.Refused},
			"a broken token":   {vault.NewSecret("a.CANARY.c"), orchestrator.Refused, orchestrator.Refused},
			"no token":         {vault.Secret{}, orchestrator.Refused, orchestrator.Refused},
			"a strange server": {vault.NewSecret(stranger(t, a.srv.Partition)), orchestrator.Refused, orchestrator.Refused},
		} {
			check := func(what string, err error, want orchestrator.Kind) {
				if want == "" {
					if err != nil {
						t.Errorf("%s: %s: %v", name, what, err)
					}
					return
				}
				e := failed(t, err)
				if e.Kind != want || (e.Scope == a.secrets.Scope) != (want == orchestrator.Denied) || e.Unsure || strings.Contains(e.Error(), "CANARY") {
					t.Errorf("%s: %s: %+v", name, what, e)
				}
			}
			before := len(a.srv.Secrets(a.client.ID))
			_, err := a.secrets.List(t.Context(), c.token)
			check("list", err, c.list)
			info, made, err := a.secrets.Make(t.Context(), c.token)
			check("make", err, c.make)
			if more := len(a.srv.Secrets(a.client.ID)) - before; (more == 1) != (c.make == "") || made.IsZero() != (c.make != "") {
				t.Errorf("%s: %d more, %+v", name, more, info)
			}
			check("delete", a.secrets.Delete(t.Context(), c.token, strconv.FormatInt(a.srv.AddSecret(a.client.ID, "").SecretID, 10)), c.make)
		}
	})
}

// stranger is a token of another server for the same organization.
func stranger(t *testing.T, partition string) string {
	t.Helper()
	return jwt(t, map[string]any{"prt_id": partition, "scope": []string{"OR.Machines", "PM.OAuthApp"}})
}

func TestNobodyToAdminister(t *testing.T) {
	srv, address, c := setUp(t)
	robot, app := srv.AddMachine("", ""), srv.AddApp("", "", "OR.Machines", "PM.OAuthApp")
	token := vault.NewSecret(srv.Token(app.ID))
	for name, s := range map[string]orchestrator.Secrets{
		"no machine":                c.MachineSecrets(address, "nobody"),
		"an application as machine": c.MachineSecrets(address, app.ID),
		"no application":            c.AppSecrets(address, "", "nobody"),
		"a machine as application":  c.AppSecrets(address, "", robot.ID),
	} {
		_, listed := s.List(t.Context(), token)
		_, _, made := s.Make(t.Context(), token)
		for _, err := range []error{listed, made} {
			if e := failed(t, err); e.Kind != orchestrator.NotFound || e.Unsure {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

func TestTroubleWithTheAdministration(t *testing.T) {
	type fault = orchestratortest.Fault
	forBoth(t, func(t *testing.T, a administered) {
		token := a.with(a.secrets.Scope)
		for name, c := range map[string]struct {
			fault  fault
			kind   orchestrator.Kind
			done   bool // at the server, though the caller is not told
			unsure bool
			wait   time.Duration
		}{
			"down":                 {fault{Status: 503, RetryAfter: "7"}, orchestrator.Unavailable, false, true, 7 * time.Second},
			"a gateway's 502":      {fault{Status: 502, HTML: true}, orchestrator.Unavailable, false, true, 0},
			"busy":                 {fault{Status: 429, RetryAfter: "40"}, orchestrator.Unavailable, false, false, 40 * time.Second},
			"too slow for it":      {fault{Status: 408}, orchestrator.Unavailable, false, true, 0},
			"forbidden":            {fault{Status: 403}, orchestrator.Denied, false, false, 0},
			"a gateway's 403":      {fault{Status: 403, HTML: true}, orchestrator.Broken, false, false, 0},
			"a gateway's 404":      {fault{Status: 404, HTML: true}, orchestrator.Broken, false, false, 0},
			"not there":            {fault{Status: 404}, orchestrator.NotFound, false, false, 0},
			"another method":       {fault{Status: 405}, orchestrator.Broken, false, false, 0},
			"too many secrets":     {fault{Status: 409, Body: `{"message":"CANARY"}`}, orchestrator.Refused, false, false, 0},
			"a page":               {fault{HTML: true}, orchestrator.Broken, false, true, 0},
			"elsewhere":            {fault{Redirect: "http://127.0.0.1:1/CANARY"}, orchestrator.Broken, false, true, 0},
			"cut when it was done": {fault{Cut: true}, orchestrator.Unavailable, true, true, 0},
			"more than is read":    {fault{Size: egress.MaxBody + 1}, orchestrator.Broken, true, true, 0},
		} {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				extra := a.srv.AddSecret(a.client.ID, "")
				before := len(a.srv.Secrets(a.client.ID))
				c.fault.Method, c.fault.Times = method, 1
				a.srv.Fault(a.path, c.fault)
				change, err := a.do(t.Context(), method, token, extra.SecretID)
				if method == "DELETE" && c.fault.Size > 0 {
					a.srv.Heal() // an answer without a body cannot be padded
					continue
				}
				e := failed(t, err)
				changes := method != "GET"
				if e.Kind != c.kind || e.Unsure != (c.unsure && changes) || e.RetryAfter != c.wait || (e.Scope != "") != (c.kind == orchestrator.Denied) {
					t.Errorf("%s: %s: %+v", name, method, e)
				}
				if e.Status != 0 && e.Status != c.fault.Status && e.Status != 200 {
					t.Errorf("%s: %s: status %d", name, method, e.Status)
				}
				if got := len(a.srv.Secrets(a.client.ID)) - before; got != 0 != (c.done && changes) || got != 0 && got != change {
					t.Errorf("%s: %s changed the secrets by %d", name, method, got)
				}
				hides(t, "CANARY", e, e.What, e.Todo)
				hides(t, token.Reveal(), e)
				for _, k := range a.srv.Secrets(a.client.ID) {
					hides(t, k.Secret, e, err)
				}
			}
		}
	})
}

// do makes the call and says by how many it changes the secrets, if it is done.
func (a administered) do(ctx context.Context, method string, token vault.Secret, id int64) (change int, err error) {
	switch method {
	case "POST":
		_, _, err = a.secrets.Make(ctx, token)
		return 1, err
	case "DELETE":
		return -1, a.secrets.Delete(ctx, token, strconv.FormatInt(id, 10))
	}
	_, err = a.secrets.List(ctx, token)
	return 0, err
}

func TestNobodyAnswers(t *testing.T) {
	forBoth(t, func(t *testing.T, a administered) {
		token := a.with(a.secrets.Scope)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if e := failed(t, second(a.secrets.List(gone, token))); e.Kind != orchestrator.Unavailable || !errors.Is(e, context.Canceled) {
			t.Errorf("given up: %+v", e)
		}
		a.srv.Close()
		for _, method := range []string{"GET", "POST", "DELETE"} {
			_, err := a.do(t.Context(), method, token, 1)
			if e := failed(t, err); e.Kind != orchestrator.Unavailable || e.Unsure || e.Status != 0 || e.Err == nil {
				t.Errorf("%s: %+v", method, e)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestTokensGoNowhereElse(t *testing.T) {
	forBoth(t, func(t *testing.T, a administered) {
		other := orchestratortest.New(orchestratortest.Options{})
		defer other.Close()
		a.srv.Fault("", orchestratortest.Fault{Redirect: other.Origin, Status: http.StatusTemporaryRedirect})
		for _, method := range []string{"GET", "POST", "DELETE"} {
			_, err := a.do(t.Context(), method, a.with(a.secrets.Scope), 1)
			if _, ok := errors.AsType[*egress.RedirectError](err); !ok || other.Requests("") != 0 {
				t.Errorf("%s: %v; the other had %d requests", method, err, other.Requests(""))
			}
		}
	})
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })
}

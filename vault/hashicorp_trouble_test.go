package vault

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHashiCorpSealedIsToldSo, whatever is asked, and heals.
func TestHashiCorpSealedIsToldSo(t *testing.T) {
	s := corp(t)
	p := robots(t, s, nil)
	s.AppRole(t, "robots", "writers", nil)
	p.config.Write = true
	st, never := p.open(t), p.open(t)
	served(t, st)
	st.Forget("invoices")
	s.Seal(t)
	_, one := st.Get(t.Context(), "invoices")
	_, two := never.Get(t.Context(), "invoices")
	_, three := Enroll(t.Context(), p.config, p.options, NewSecret(canary))
	for what, err := range map[string]error{
		"Get": one, "Get before the login": two, "Enroll": three,
		"Put": st.Put(t.Context(), "invoices", account("", canary)), "Delete": st.Delete(t.Context(), "invoices"),
		"Check": st.Check(t.Context()), "Check before the login": never.Check(t.Context()),
	} {
		t.Log(what, err)
		wantError(t, err, ErrSealed, "the vault is sealed", "have its operators unseal it")
	}
	s.Unseal(t)
	waitFor(t, "the vault", func() bool { return st.Check(t.Context()) == nil })
	served(t, st)
	served(t, never)
}

// TestHashiCorpOddAnswers: nothing that the server says comes into an error.
func TestHashiCorpOddAnswers(t *testing.T) {
	s := corp(t)
	st := robots(t, s, nil).open(t)
	served(t, st)
	for what, c := range map[string]struct {
		status int
		body   string
		kind   error
		says   string
	}{
		"an error of its own":       {500, `{"errors":["` + canary + `"]}`, ErrUnavailable, "an error of its own (500)"},
		"a full quota":              {429, `{"errors":["` + canary + `"]}`, ErrUnavailable, "asked too often"},
		"a state it is not in":      {412, `{"errors":["` + canary + `"]}`, ErrUnavailable, "refused the request for kv/robots/invoices (412)"},
		"a refusal":                 {405, `{"errors":["` + canary + `"]}`, ErrUnavailable, "(405)"},
		"a standby":                 {307, "", ErrUnavailable, "may be a standby"},
		"a balancer without a node": {503, "<html>" + canary, ErrUnavailable, "(503) is none of a HashiCorp Vault"},
		"a proxy's refusal":         {403, "<html>" + canary, ErrUnavailable, "(403) is none of a HashiCorp Vault"},
		"a proxy's page":            {502, "<html>" + canary, ErrUnavailable, "(502) is none of a HashiCorp Vault"},
		"a page":                    {200, "<html>" + canary, ErrUnavailable, "is none of a HashiCorp Vault"},
		"a page that is not there":  {404, "<html>" + canary, ErrUnavailable, "is none of a HashiCorp Vault"},
		"half an answer":            {200, `{"data":{"invoices":"` + canary, ErrUnavailable, ""},
		"another answer":            {200, `{"data":"` + canary + `"}`, ErrUnavailable, "is none of a HashiCorp Vault"},
		"an answer with errors":     {200, `{"errors":["` + canary + `"],"x":1}`, ErrUnavailable, ""},
		"nothing":                   {204, "", ErrNotFound, "nothing is at kv/robots/invoices"},
		"no fields":                 {200, `{"data":{}}`, ErrBroken, "no fields"},
		"too much":                  {200, `{"data":{"invoices":"` + strings.Repeat(canary, 1<<16) + `"}}`, ErrUnavailable, "larger than 1 MiB"},
	} {
		t.Run(what, func(t *testing.T) {
			s.Fake(t, "kv/robots/invoices", c.status, c.body)
			st.Forget("invoices")
			_, err := st.Get(t.Context(), "invoices")
			t.Log(err)
			wantError(t, err, c.kind, c.says, "read invoices")
			s.Mend(t)
		})
	}
	served(t, st)
	for what, c := range map[string]struct {
		status int
		body   string
	}{
		"no login":        {200, `{"data":{"x":"` + canary + `"}}`},
		"no token":        {200, `{"auth":{"client_token":""}}`},
		"nothing":         {200, ""},
		"a proxy's no":    {403, "<html>" + canary},
		"a proxy's login": {401, canary},
	} {
		s.Fake(t, "auth/approle/login", c.status, c.body)
		_, err := robots(t, s, nil).open(t).Get(t.Context(), "invoices")
		t.Log(what, err)
		wantError(t, err, ErrUnavailable, "log in", "is none of a HashiCorp Vault")
		s.Mend(t)
	}
}

// TestHashiCorpEntriesThatCannotBeUsed name the fields that are there.
func TestHashiCorpEntriesThatCannotBeUsed(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv-v2/robots", "readers", nil)
	for what, c := range map[string]struct {
		data   map[string]any
		fields Fields
		says   string
	}{
		"a missing field": {map[string]any{"user": canary, "pass": canary}, Fields{Secret: "key"}, `no field "key"; it has "pass", "user"`},
		"no layout":       {map[string]any{"user": canary, "pass": canary}, Fields{}, `not clear; it has "pass", "user"`},
		"no text":         {map[string]any{"Password": 5}, Fields{}, `"Password" is not text`},
		"no secret":       {map[string]any{"Password": ""}, Fields{}, `"Password" is empty`},
		"no fields":       {map[string]any{}, Fields{}, "it has no fields"},
	} {
		s.Write(t, "kv-v2/data/robots/invoices", map[string]any{"data": c.data})
		p.config.Fields = c.fields
		_, err := p.open(t).Get(t.Context(), "invoices")
		t.Log(what, err)
		wantError(t, err, ErrBroken, "read invoices", c.says)
	}
}

// TestHashiCorpWrongMounts say what to look at.
func TestHashiCorpWrongMounts(t *testing.T) {
	s := corp(t)
	s.Policy(t, "readers", `path "*" { capabilities = ["read"] }`)
	for what, c := range map[string]struct {
		path, engine string
		kind         error
		says         string
	}{
		"none, asked":         {"none/robots", "", ErrDenied, "there is none at none/robots"},
		"none, told":          {"none/robots", kv2, ErrNotFound, "nothing is at none/data/robots/invoices"},
		"another kind":        {"sys/x", "", ErrUnavailable, "what is at sys/x is no engine of kind kv or ad"},
		"told v1, but it's 2": {"kv-v2/robots", kv1, ErrNotFound, "the mount is of another kind"},
		"told v2, but it's 1": {"kv/robots", kv2, ErrNotFound, "nothing is at kv/data/robots/invoices"},
	} {
		p := storeAt(t, s, c.path, "readers", nil)
		p.config.Engine = c.engine
		_, err := p.open(t).Get(t.Context(), "invoices")
		t.Log(what, err)
		wantError(t, err, c.kind, c.says)
	}
	s.Policy(t, "readers", `path "kv-v2/data/robots/*" { capabilities = ["read"] }`)
	p := storeAt(t, s, "kv/robots", "readers", nil)
	_, err := p.open(t).Get(t.Context(), "invoices")
	wantError(t, err, ErrDenied, "there is none at kv/robots, or the login has no right below it", "engine: kv1, kv2 or ad")
	wantError(t, p.open(t).Check(t.Context()), ErrDenied)
}

// TestHashiCorpReadOnlyByNature: a directory's passwords cannot be written, even
// if only the server knows that it is one. The answer about the mount is a fake.
func TestHashiCorpReadOnlyByNature(t *testing.T) {
	s := corp(t)
	s.Write(t, "ad/creds/robot1", map[string]any{"username": "robot1", "current_password": canary})
	p := storeAt(t, s, "ad", "readers", nil)
	p.config.Write = true
	s.Fake(t, "sys/internal/ui/mounts/ad", 200, `{"data":{"path":"ad/","type":"ad","options":null}}`)
	st := p.open(t)
	wantError(t, st.Put(t.Context(), "robot1", account("", canary)), ErrReadOnly, "makes its passwords itself")
	wantError(t, st.Delete(t.Context(), "robot1"), ErrReadOnly, "makes its passwords itself")
	sameEntry(t, "robot1", get(t, st, "robot1"), account("robot1", canary))
}

func TestHashiCorpTooLongToBeReadBack(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv-v2/robots", "writers", nil)
	for _, sixBytesEach := range []string{"\x01", "<"} {
		err := p.open(t).Put(t.Context(), "long", account("", strings.Repeat(sixBytesEach, 200<<10)))
		if err == nil || !strings.Contains(err.Error(), "store long: the entry would be too long") {
			t.Errorf("Put of %q: %v", sixBytesEach, err)
		}
	}
	e := account("", strings.Repeat("<", 160<<10))
	p.put(t, "long", e)
	sameEntry(t, "long", get(t, p.open(t), "long"), e)
	e = account("", strings.Repeat("a", 1000<<10))
	p.put(t, "long", e)
	sameEntry(t, "long", get(t, p.open(t), "long"), e)
}

// TestHashiCorpUnreachable: nobody there, or not who it should be.
func TestHashiCorpUnreachable(t *testing.T) {
	s, other := corp(t), corp(t)
	p := robots(t, s, nil)
	p.config.CA = []string{other.CAFile}
	_, err := p.open(t).Get(t.Context(), "invoices")
	t.Log(err)
	wantError(t, err, ErrUnavailable, "an authority that this machine does not know", "ca in config.yaml")
	p.config.CA = []string{"/nonexistent/ca.pem"}
	_, err = p.open(t).Get(t.Context(), "invoices")
	t.Log(err)
	wantError(t, err, ErrUnavailable, "/nonexistent/ca.pem", "check ca: at the store")
	p.config.CA = []string{s.CAFile}
	s.Stop()
	_, err = p.open(t).Get(t.Context(), "invoices")
	t.Log(err)
	wantError(t, err, ErrUnavailable, "nobody answers at "+s.Address)
}

// TestHashiCorpBootstrapTroublePasses: a locked keyring is told as that.
func TestHashiCorpBootstrapTroublePasses(t *testing.T) {
	s := corp(t)
	p := robots(t, s, nil)
	p.options.Bootstrap = func(context.Context, string) (Secret, error) {
		return Secret{}, &Error{Store: "keyring:", Op: "read store/corp", Kind: ErrLocked}
	}
	_, err := p.open(t).Get(t.Context(), "invoices")
	wantError(t, err, ErrLocked, "keyring: read store/corp")
	p.options.Bootstrap = nil
	_, err = p.open(t).Get(t.Context(), "invoices")
	wantError(t, err, ErrLogin, "no credential for it")
	if n := logins(t, s); n != 0 {
		t.Errorf("logged in %d times", n)
	}
}

// TestHashiCorpManyAtOnce, some of whom go away, share logins and see no end.
func TestHashiCorpManyAtOnce(t *testing.T) {
	s := corp(t)
	st := robots(t, s, map[string]any{"token_ttl": "2s", "token_max_ttl": "2s"}).open(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for end := time.Now().Add(4500 * time.Millisecond); time.Now().Before(end); {
				st.Forget("invoices")
				patience := time.Minute
				if i%2 == 1 {
					patience = time.Duration(i) * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				if _, err := st.Get(ctx, "invoices"); err != nil && (i%2 == 0 || !errors.Is(err, context.DeadlineExceeded)) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if n := logins(t, s); n > 5 || n < 2 {
		t.Errorf("logged in %d times in four and a half seconds", n)
	}
}

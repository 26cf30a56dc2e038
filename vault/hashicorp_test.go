package vault

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"keytender/vault/vaulttest"
)

// What the robots of these tests may do, as docs/stores/hashicorp.md tells it.
const (
	readersPolicy = `
path "kv/robots/*"         { capabilities = ["read"] }
path "kv-v2/data/robots/*" { capabilities = ["read"] }
path "ad/creds/*"          { capabilities = ["read"] }`
	writersPolicy = `
path "kv/robots/*"             { capabilities = ["create", "read", "update", "delete"] }
path "kv-v2/data/robots/*"     { capabilities = ["create", "read", "update"] }
path "kv-v2/metadata/robots/*" { capabilities = ["delete"] }`
)

// corp is a vault with the two policies.
func corp(t *testing.T) *vaulttest.HashiCorpServer {
	t.Helper()
	s := vaulttest.HashiCorp(t)
	s.Policy(t, "readers", readersPolicy)
	s.Policy(t, "writers", writersPolicy)
	return s
}

// given are options whose bootstrap credential is text, for that server alone.
func given(s *vaulttest.HashiCorpServer, text string) Options {
	return Options{UserAgent: "keytender/test", Bootstrap: func(_ context.Context, origin string) (Secret, error) {
		if origin != "https://"+s.Address {
			return Secret{}, ErrNotFound
		}
		return NewSecret(text), nil
	}}
}

// storeAt is a store at a path of s. It is logged in to by AppRole, with a role of
// Vault's own options.
func storeAt(t *testing.T, s *vaulttest.HashiCorpServer, path, policies string, options map[string]any) place {
	t.Helper()
	roleID, secretID := s.AppRole(t, "robots", policies, options)
	return place{
		config: Config{
			URL: "hashicorp://" + s.Address + "/" + path, CA: []string{s.CAFile}, Write: policies == "writers",
			Login: Login{Method: "approle", RoleID: roleID},
		},
		options: given(s, secretID),
	}
}

// counted is a server as the suite sees it.
type counted struct {
	*vaulttest.HashiCorpServer
	below string
}

func (c counted) Reads(t *testing.T, name string) int {
	if name == "" {
		return c.Requests(t, "")
	}
	return c.Requests(t, "GET "+c.below+name)
}

func (c counted) Hold(t *testing.T) func() {
	c.HashiCorpServer.Hold(t, "")
	return func() { c.Mend(t) }
}

func (c counted) Cut(t *testing.T) func() {
	c.HashiCorpServer.Cut(t, "")
	return func() { c.Mend(t) }
}

var oddNames = []string{"a..b", "..a", "a?b", "a#b", "%2f", "%", "a%2fb", "a;b", "a b", "a+b", "a&b=c", "x/y/z", "data", "data/x", "metadata/x", "*", "a*", `a\b`,
	"ü/日本", "👩", "a:b@c", "v1", "~", "'\"<>", strings.Repeat("long", 60)}

func TestHashiCorpIsAStore(t *testing.T) {
	for path, below := range map[string]string{"kv/robots": "/v1/kv/robots/", "kv-v2/robots": "/v1/kv-v2/data/robots/"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := corp(t)
			p := storeAt(t, s, path, "writers", nil)
			p.names, p.server = oddNames, counted{s, below}
			testStore(t, p)
		})
	}
}

// TestHashiCorpNamesReachTheirOwnPath asks the server itself what was written.
func TestHashiCorpNamesReachTheirOwnPath(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv-v2/robots", "writers", nil)
	escaped := map[string]string{"a?b": "a%3Fb", "a#b": "a%23b", "%2f": "%252f", "a b": "a%20b", "a;b": "a;b", "ü": "%C3%BC", "a+b": "a+b"}
	for name := range escaped {
		p.put(t, name, account("", canary+name))
	}
	var list struct{ Data struct{ Keys []string } }
	s.API(t, "LIST", "kv-v2/metadata/robots", nil, &list)
	if len(list.Data.Keys) != len(escaped) {
		t.Errorf("the server has %q", list.Data.Keys)
	}
	for name, path := range escaped {
		var entry struct {
			Data struct{ Data map[string]string }
		}
		s.API(t, http.MethodGet, "kv-v2/data/robots/"+path, nil, &entry)
		if entry.Data.Data[name] != canary+name {
			t.Errorf("at %s the server has %q", path, entry.Data.Data)
		}
	}
}

// TestHashiCorpLayouts: an entry that Orchestrator reads serves the agent too.
func TestHashiCorpLayouts(t *testing.T) {
	s := corp(t)
	credential := map[string]any{"Username": "client-7f0c", "Password": canary, "note": 7}
	robot := map[string]any{"invoices": canary, "note": "x"}
	own := map[string]any{"client": "client-7f0c", "key": canary, "note": "x"}
	for what, c := range map[string]struct {
		path     string
		write    string
		body     map[string]any
		fields   Fields
		username string
	}{
		"KV v1, a credential":         {"kv/robots", "kv/robots/invoices", credential, Fields{}, "client-7f0c"},
		"KV v1, a robot's password":   {"kv/robots", "kv/robots/invoices", robot, Fields{}, ""},
		"KV v1, one value":            {"kv/robots", "kv/robots/invoices", map[string]any{"value": canary}, Fields{}, ""},
		"KV v2, a credential":         {"kv-v2/robots", "kv-v2/data/robots/invoices", map[string]any{"data": credential}, Fields{}, "client-7f0c"},
		"KV v2, a robot's password":   {"kv-v2/robots", "kv-v2/data/robots/invoices", map[string]any{"data": robot}, Fields{}, ""},
		"KV v2, fields of their own":  {"kv-v2/robots", "kv-v2/data/robots/invoices", map[string]any{"data": own}, Fields{"client", "key"}, "client-7f0c"},
		"AD, a stand-in's answer":     {"ad", "ad/creds/invoices", map[string]any{"username": "client-7f0c", "current_password": canary, "last_password": "x"}, Fields{}, "client-7f0c"},
		"AD, without the user's name": {"ad", "ad/creds/invoices", map[string]any{"current_password": canary}, Fields{}, ""},
	} {
		for _, told := range []bool{false, true} {
			s.Write(t, c.write, c.body)
			p := storeAt(t, s, c.path, "readers", nil)
			p.config.Fields = c.fields
			if told || c.path == "ad" { // a KV engine stands in for AD, and would say so
				p.config.Engine = map[string]string{"kv/robots": kv1, "kv-v2/robots": kv2, "ad": ad}[c.path]
			}
			e := get(t, p.open(t), "invoices")
			sameEntry(t, what, e, account(c.username, canary))
			if isV2 := c.path == "kv-v2/robots"; isV2 != (time.Since(e.Changed) < time.Minute) {
				t.Errorf("%s: changed %s", what, e.Changed)
			}
		}
	}
}

// TestHashiCorpLeaseIsKept: a KV v1 entry with "ttl" is asked for again when
// that is over.
func TestHashiCorpLeaseIsKept(t *testing.T) {
	s := corp(t)
	s.Write(t, "kv/robots/short", map[string]any{"Password": canary, "ttl": "1s"})
	st := storeAt(t, s, "kv/robots", "readers", nil).open(t)
	if e := get(t, st, "short"); e.Lease != time.Second {
		t.Errorf("the lease is %s", e.Lease)
	}
	s.Write(t, "kv/robots/short", map[string]any{"Password": canary + "2", "ttl": "1s"})
	waitFor(t, "the new secret, once the lease is over", func() bool { return get(t, st, "short").Secret.Reveal() == canary+"2" })
}

func TestHashiCorpKeepsOtherFields(t *testing.T) {
	s := corp(t)
	s.Write(t, "kv/robots/invoices", map[string]any{"invoices": "old", "note": map[string]any{"n": 12345678901234567}, "tags": []string{"<a>"}})
	s.Write(t, "kv-v2/data/robots/invoices", map[string]any{"data": map[string]any{"Username": "old", "Password": "old", "note": "x"}})
	for _, path := range []string{"kv/robots", "kv-v2/robots"} {
		p := storeAt(t, s, path, "writers", nil)
		p.put(t, "invoices", account("new", canary))
		sameEntry(t, path, get(t, p.open(t), "invoices"), account("new", canary))
	}
	var one struct{ Data map[string]json.RawMessage }
	s.API(t, http.MethodGet, "kv/robots/invoices", nil, &one)
	if !sameJSON(t, one.Data, values{"invoices": canary, "Username": "new", "note": values{"n": 12345678901234567}, "tags": []string{"<a>"}}) {
		t.Errorf("KV v1 has %s", one.Data)
	}
	var two struct{ Data struct{ Data map[string]any } }
	s.API(t, http.MethodGet, "kv-v2/data/robots/invoices", nil, &two)
	if !sameJSON(t, two.Data.Data, values{"Username": "new", "Password": canary, "note": "x"}) {
		t.Errorf("KV v2 has %v", two.Data.Data)
	}
}

func TestHashiCorpNewEntriesAreOrchestrators(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv/robots", "writers", nil)
	p.put(t, "credential", account("id", canary))
	p.put(t, "robot", account("", canary))
	for name, want := range map[string]values{"credential": {"Username": "id", "Password": canary}, "robot": {"robot": canary}} {
		var entry struct{ Data map[string]any }
		s.API(t, http.MethodGet, "kv/robots/"+name, nil, &entry)
		if !sameJSON(t, entry.Data, want) {
			t.Errorf("%s: the server has fields %s", name, toldFields(entry.Data))
		}
	}
}

// TestHashiCorpConcurrentWriterIsNotOverwritten: somebody else writes between
// the two halves of Put.
func TestHashiCorpConcurrentWriterIsNotOverwritten(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv-v2/robots", "writers", nil)
	for what, before := range map[string]map[string]any{"new": nil, "old": {"Password": "old"}} {
		path := "kv-v2/data/robots/" + what
		if before != nil {
			s.Write(t, path, map[string]any{"data": before})
		}
		st := p.open(t)
		h := st.(*kept).asked.(*hashicorp)
		m, err := h.found(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		read, err := h.read(t.Context(), m, what)
		if err != nil {
			t.Fatal(err)
		}
		s.Write(t, path, map[string]any{"data": map[string]any{"Password": "somebody's"}})
		err = h.replace(t.Context(), m, what, read, account("", canary))
		wantError(t, err, ErrUnavailable, "store "+what, "somebody changed the entry meanwhile", "try again")
		sameEntry(t, what, get(t, st, what), account("", "somebody's"))
		if err := st.Put(t.Context(), what, account("", canary)); err != nil {
			t.Errorf("the next try: %v", err)
		}
	}
}

func TestHashiCorpDeletedVersionIsNotFound(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv-v2/robots", "writers", nil)
	for what, remove := range map[string]func(){
		"deleted":   func() { s.Delete(t, "kv-v2/data/robots/deleted") },
		"destroyed": func() { s.Write(t, "kv-v2/destroy/robots/destroyed", map[string]any{"versions": []int{2}}) },
	} {
		for range 2 {
			s.Write(t, "kv-v2/data/robots/"+what, map[string]any{"data": map[string]any{"Password": "old"}})
		}
		remove()
		st := p.open(t)
		_, err := st.Get(t.Context(), what)
		wantError(t, err, ErrNotFound, "newest version was deleted")
		if err := st.Put(t.Context(), what, account("", canary)); err != nil {
			t.Errorf("Put after it was %s: %v", what, err)
		}
		sameEntry(t, what, get(t, st, what), account("", canary))
	}
}

// TestHashiCorpDeleteTakesAllVersions: nothing is left to undelete.
func TestHashiCorpDeleteTakesAllVersions(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv-v2/robots", "writers", nil)
	p.put(t, "gone", account("", canary))
	p.put(t, "gone", account("", canary))
	p.put(t, "stays", account("", canary))
	if err := p.open(t).Delete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	var list struct{ Data struct{ Keys []string } }
	s.API(t, "LIST", "kv-v2/metadata/robots", nil, &list)
	if len(list.Data.Keys) != 1 || list.Data.Keys[0] != "stays" {
		t.Errorf("the server has %q", list.Data.Keys)
	}
}

// TestHashiCorpAsksOnceWhatIsMounted, also when many ask at once, and with one
// login for all.
func TestHashiCorpAsksOnceWhatIsMounted(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv-v2/robots", "writers", nil)
	for _, name := range strings.Split("abcdefghij", "") {
		p.put(t, name, account("", canary+name))
	}
	st := p.open(t)
	s.Forget(t)
	var all sync.WaitGroup
	for _, name := range strings.Split("abcdefghij", "") {
		all.Go(func() { sameEntry(t, name, get(t, st, name), account("", canary+name)) })
	}
	all.Wait()
	if asked, logins := s.Requests(t, "sys/internal/ui/mounts"), s.Requests(t, "login"); asked != 1 || logins != 1 {
		t.Errorf("asked %d times what is mounted, logged in %d times", asked, logins)
	}
}

// TestHashiCorpFindsNestedMount: only the server knows that the mount's path
// has two parts.
func TestHashiCorpFindsNestedMount(t *testing.T) {
	s := corp(t)
	s.Write(t, "sys/mounts/team/kv", map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	s.Policy(t, "readers", `path "team/kv/data/robots/*" { capabilities = ["read"] }`)
	s.Write(t, "team/kv/data/robots/invoices", map[string]any{"data": map[string]any{"invoices": canary}})
	sameEntry(t, "invoices", get(t, storeAt(t, s, "team/kv/robots", "readers", nil).open(t), "invoices"), account("", canary))
}

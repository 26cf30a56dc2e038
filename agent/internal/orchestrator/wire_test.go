package orchestrator_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"keytender/agent/internal/orchestrator"
	"keytender/vault"
)

const partition = "6c1e0d1b-8f3f-4a55-9d0e-0123456789aB"

// jwt is a token that nobody signed.
func jwt(t *testing.T, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".c2ln"
}

// wire is a server that says what it is told to and keeps what it was asked.
type wire struct {
	*httptest.Server
	status int
	answer string
	asked  []string // method, path and query, as they came
	body   string
	header http.Header
}

func newWire(t *testing.T) *wire {
	w := &wire{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.asked, w.body, w.header = append(w.asked, r.Method+" "+r.RequestURI), string(body), r.Header
		if w.status != 0 {
			out.WriteHeader(w.status)
		}
		_, _ = io.WriteString(out, w.answer)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *wire) address(t *testing.T, path string, edition orchestrator.Edition) orchestrator.Address {
	t.Helper()
	a, err := orchestrator.ParseAs(w.URL+path, edition)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWhatGoesOverTheWire(t *testing.T) {
	w, c := newWire(t), client(t)
	token := vault.NewSecret(jwt(t, map[string]any{"prt_id": partition}))
	alone := w.address(t, "/rpa", orchestrator.Standalone)
	alone.Tenant = "Default"
	suite, cloud := w.address(t, "/acme/prod", ""), w.address(t, "/ac%20me/prod", orchestrator.Cloud)
	for name, s := range map[string]struct {
		secrets orchestrator.Secrets
		paths   string // list, make, delete
		tenant  string
	}{
		"a machine":                      {c.MachineSecrets(suite, "k-1"), "/acme/prod/orchestrator_/api/clientsecrets/ k-1 k-1 7", ""},
		"a machine, standalone":          {c.MachineSecrets(alone, "k-1"), "/rpa/api/clientsecrets/ k-1 k-1 7", "Default"},
		"an application":                 {c.AppSecrets(suite, "", "i-1"), "/acme/identity_/api/ExternalClient/ P/i-1 GenerateSecret P/secrets/7", ""},
		"an application of the Cloud":    {c.AppSecrets(cloud, "", "i-1"), "/ac%20me/identity_/api/ExternalClient/ P/i-1 GenerateSecret P/secrets/7", ""},
		"an application, standalone":     {c.AppSecrets(alone, "", "i-1"), "/rpa/identity/api/ExternalClient/ P/i-1 GenerateSecret P/secrets/7", ""},
		"an application where one said":  {c.AppSecrets(suite, w.URL+"/identity_/", "i-1"), "/identity_/api/ExternalClient/ P/i-1 GenerateSecret P/secrets/7", ""},
		"an application of Cloud's host": {c.AppSecrets(cloud, w.URL+"/Identity_", "i-1"), "/ac%20me/identity_/api/ExternalClient/ P/i-1 GenerateSecret P/secrets/7", ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := strings.Fields(strings.ReplaceAll(s.paths, "P/", partition+"/"))
			expect := func(method, path string) {
				t.Helper()
				if last := w.asked[len(w.asked)-1]; last != method+" "+want[0]+path || w.header.Get("Authorization") != "Bearer "+token.Reveal() || w.header.Get("X-UIPATH-TenantName") != s.tenant {
					t.Errorf("asked %q, tenant %q", last, w.header.Get("X-UIPATH-TenantName"))
				}
			}
			_, _ = s.secrets.List(t.Context(), token) // what is answered is no matter here
			expect("GET", want[1])
			_, _, _ = s.secrets.Make(t.Context(), token)
			expect("POST", want[2])
			var order map[string]any
			switch isApp := s.secrets.Scope == "PM.OAuthApp"; {
			case !isApp && w.body != "":
				t.Errorf("ordered %s", w.body)
			case isApp && (json.Unmarshal([]byte(w.body), &order) != nil || w.header.Get("Content-Type") != "application/json" || len(order) != 3 ||
				order["clientId"] != "i-1" || order["partitionGlobalId"] != partition || order["description"] == ""):
				t.Errorf("ordered %s", w.body)
			}
			w.status = http.StatusNoContent
			if err := s.secrets.Delete(t.Context(), token, "7"); err != nil {
				t.Error(err)
			}
			w.status = 0
			expect("DELETE", want[3])
		})
	}
}

func TestOddListsOfSecrets(t *testing.T) {
	w, c := newWire(t), client(t)
	token := vault.NewSecret(jwt(t, map[string]any{"prt_id": partition}))
	a := w.address(t, "/acme/prod", "")
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for records, want := range map[string][]orchestrator.SecretInfo{
		`[]`:         {},
		`[{"id":7}]`: {{ID: "7"}},
		`[{"id":"7","creationTime":null,"expiryTime":"","secret":{"CANARY":1}}]`:                                                       {{ID: "7"}},
		`[{"id":9223372036854775807,"creationTime":"2026-03-04T05:06:07Z","more":[1]}]`:                                                {{ID: "9223372036854775807", CreatedAt: at}},
		`[{"id":7,"creationTime":"2026-03-04T05:06:07","expiryTime":"2026-03-04T07:06:07+02:00"}]`:                                     {{ID: "7", CreatedAt: at, ExpiresAt: at}},
		`[{"id":7,"creationTime":"2026-03-04T05:06:07.1234567"}]`:                                                                      {{ID: "7", CreatedAt: at.Add(123456700)}},
		`[{"id":7,"creationTime":"0001-01-01T00:00:00"},{"id":8,"creationTime":17}]`:                                                   {{ID: "7"}, {ID: "8"}},
		`[{"id":8,"creationTime":"2026-03-04T05:06:08Z"},{"id":7,"creationTime":"2026-03-04T05:06:07Z"},{"id":9,"creationTime":null}]`: {{ID: "9"}, {ID: "7", CreatedAt: at}, {ID: "8", CreatedAt: at.Add(time.Second)}},

		`"CANARY"`: nil, `{}`: nil, `{"secrets":null}`: nil, `null`: nil, ``: nil, `CANARY`: nil, `[1]`: nil, `[{}]`: nil, `[{"id":null}]`: nil,
		`[{"id":-7}]`: nil, `[{"id":7.5}]`: nil, `[{"id":7e3}]`: nil, `[{"id":"../7"}]`: nil, `[{"id":"CANARY"}]`: nil, `[{"id":[7]}]`: nil,
		`[{"id":12345678901234567890}]`: nil, `[{"id":7}`: nil, `[{"id":7}] CANARY`: nil, `[{"id":7},{"secret":"CANARY"}]`: nil,
	} {
		for name, s := range map[string]orchestrator.Secrets{"machine": c.MachineSecrets(a, "k"), "application": c.AppSecrets(a, "", "i")} {
			if w.answer = records; name == "application" && strings.HasPrefix(records, "[") {
				w.answer = `{"id":"i","secret":"CANARY","secrets":` + records + `}`
			}
			got, err := s.List(t.Context(), token)
			if want == nil {
				if e := failed(t, err); e.Kind != orchestrator.Broken || e.Unsure || e.Status != 200 {
					t.Errorf("%s: %s: %+v, %+v", name, records, got, e)
				}
				hides(t, "CANARY", err)
				continue
			}
			if err != nil || len(got) != len(want) {
				t.Errorf("%s: %s: %+v, %v", name, records, got, err)
				continue
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s: %s: %+v, want %+v", name, records, got, want)
				}
			}
		}
	}
}

func TestOddAnswersWithASecret(t *testing.T) {
	w, c := newWire(t), client(t)
	token := vault.NewSecret(jwt(t, map[string]any{"prt_id": partition}))
	a := w.address(t, "/acme/prod", "")
	for answer, good := range map[string]bool{
		`{"id":7,"secret":"CANARY"}`:                                     true,
		`{"id":"7","secret":"CANARY","creationTime":[],"else":null}`:     true,
		`{"id":7,"secret":"CANARY` + strings.Repeat("+", 4<<10-6) + `"}`: true,
		`{"id":7,"secret":"CANARY` + strings.Repeat("+", 4<<10) + `"}`:   false,
		`{"id":7,"secret":""}`:                                           false,
		`{"id":7,"secret":null}`:                                         false,
		`{"id":7}`:                                                       false,
		`{"secret":"CANARY"}`:                                            false,
		`{"id":"CANARY","secret":"X"}`:                                   false,
		`{"id":7,"secret":["CANARY"]}`:                                   false,
		`{"id":7,"secret":{"CANARY":1}}`:                                 false,
		`{"id":7,"secret":12345678}`:                                     false,
		`"CANARY"`:                                                       false,
		`[{"id":7,"secret":"CANARY"}]`:                                   false,
		`{"id":7,"secret":"CANARY"`:                                      false,
		`{"id":7,"secret":"CANARY"}}`:                                    false,
		`id=7&secret=CANARY`:                                             false,
		``:                                                               false,
	} {
		for name, s := range map[string]orchestrator.Secrets{"machine": c.MachineSecrets(a, "k"), "application": c.AppSecrets(a, "", "i")} {
			w.answer = answer
			info, made, err := s.Make(t.Context(), token)
			if good {
				if err != nil || info.ID != "7" || !strings.HasPrefix(made.Reveal(), "CANARY") {
					t.Errorf("%s: %.60s: %+v, %v", name, answer, info, err)
				}
				continue
			}
			if e := failed(t, err); e.Kind != orchestrator.Broken || !e.Unsure || !made.IsZero() || info != (orchestrator.SecretInfo{}) {
				t.Errorf("%s: %.60s: %+v, %+v", name, answer, info, e)
			}
			hides(t, "CANARY", err)
			hides(t, "12345678", err)
		}
	}
}

func TestNothingClimbs(t *testing.T) {
	w, c := newWire(t), client(t)
	token := vault.NewSecret(jwt(t, map[string]any{"prt_id": partition}))
	a := w.address(t, "/acme/prod", "")
	for _, id := range []string{"", ".", "..", "../x", "a/b", `a\b`, "a%2fb", "a?b", "a#b", "a b", "a\r\nb", "ä", "\x00", "a;b", strings.Repeat("a", 129)} {
		for name, s := range map[string]orchestrator.Secrets{"machine": c.MachineSecrets(a, id), "application": c.AppSecrets(a, "", id)} {
			_, listed := s.List(t.Context(), token)
			_, _, made := s.Make(t.Context(), token)
			for _, err := range []error{listed, made, s.Delete(t.Context(), token, "7")} {
				if e := failed(t, err); e.Kind != orchestrator.Refused || e.Unsure || e.Status != 0 {
					t.Errorf("%s %q: %+v", name, id, e)
				}
			}
		}
	}
	for _, id := range []string{"", "x", "7/8", "../7", "7?", "-7", "7.0", "+7", "７", strings.Repeat("7", 20)} {
		for name, s := range map[string]orchestrator.Secrets{"machine": c.MachineSecrets(a, "k"), "application": c.AppSecrets(a, "", "i")} {
			if e := failed(t, s.Delete(t.Context(), token, id)); e.Kind != orchestrator.Refused || e.Unsure {
				t.Errorf("%s %q: %+v", name, id, e)
			}
		}
	}
	for _, claim := range []any{nil, "", 7, "../../" + partition, partition + "/x", strings.ToUpper(partition) + "0", strings.ReplaceAll(partition, "-", "0"), "g" + partition[1:]} {
		token := vault.NewSecret(jwt(t, map[string]any{"prt_id": claim}))
		if e := failed(t, second(c.AppSecrets(a, "", "i").List(t.Context(), token))); e.Kind != orchestrator.Refused || !strings.Contains(e.What, "prt_id") {
			t.Errorf("%v: %+v", claim, e)
		}
	}
	for _, token := range []string{"rt_0A-1", "a.b", "e30.%.c", "e30.e30.c2ln", "e30." + base64.RawURLEncoding.EncodeToString([]byte("CANARY")) + ".x", ""} {
		if e := failed(t, second(c.AppSecrets(a, "", "i").List(t.Context(), vault.NewSecret(token)))); e.Kind != orchestrator.Refused || !strings.Contains(e.What, "prt_id") {
			t.Errorf("%q: %+v", token, e)
		}
	}
	for _, identity := range []string{"http://CANARY.corp/identity_", "https://u:CANARY@h/identity_", "CANARY", "https://h/identity_?CANARY"} {
		e := failed(t, second(c.AppSecrets(a, identity, "i").List(t.Context(), token)))
		if e.Kind != orchestrator.Refused {
			t.Errorf("%q: %+v", identity, e)
		}
		hides(t, "CANARY", e, e.What, e.Todo)
	}
	if len(w.asked) != 0 {
		t.Errorf("asked %q", w.asked)
	}
}

package agent

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
	"keytender/agent/orchestratortest"
)

// clock is the agent's wall clock, which a test can set forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Round(0).Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }
func (c *clock) set(o *Options)          { o.now = c.now }

// mustToken gets a token, or ends the test.
func (r *running) mustToken(t *testing.T, want api.TokenRequest) api.Token {
	t.Helper()
	token, err := r.Token(t.Context(), want)
	if err != nil {
		t.Fatalf("token: %v", err)
	}
	return token
}

// asked ends the test unless the server has had that many token requests since
// it was asked before.
func asked(t *testing.T, s interface{ TokenRequests() int }, before, want int) {
	t.Helper()
	if n := s.TokenRequests() - before; n != want {
		t.Fatalf("Identity was asked %d times, want %d", n, want)
	}
}

// eventually waits until done says so.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(20 * time.Second); !done(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// profile is the status of the profile invoices, and of the agent.
func (r *running) profile(t *testing.T) (api.Profile, string) {
	t.Helper()
	status, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range status.Profiles {
		if p.Name == "invoices" {
			return p, status.Agent.State
		}
	}
	t.Fatalf("invoices is not among %v", status.Profiles)
	return api.Profile{}, ""
}

func TestOrderOfScopesMakesNoOtherToken(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	r := start(t, "")
	r.mustPair(t, robotOf(s))
	before := s.TokenRequests()
	orders := [][]string{{"OR.Jobs", "OR.Folders"}, {"OR.Folders", "OR.Jobs"}, {"OR.Folders", "OR.Jobs", "OR.Folders"}}
	var all sync.WaitGroup
	var mu sync.Mutex
	tokens := map[string]bool{}
	for i := range 30 {
		all.Go(func() {
			token, err := r.Token(t.Context(), api.TokenRequest{Scopes: orders[i%len(orders)]})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			tokens[token.AccessToken] = true
		})
	}
	all.Wait()
	if len(tokens) != 1 {
		t.Errorf("%d different tokens for one set of scopes", len(tokens))
	}
	asked(t, s, before, 1)
}

func TestScopeBeyondTheProfileIsRefusedUnasked(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	r := start(t, "")
	p := robotOf(s)
	p.Scopes = []string{"OR.Folders"}
	r.mustPair(t, p)
	before := s.TokenRequests()
	_, err := r.Token(t.Context(), api.TokenRequest{Scopes: []string{"OR.Folders", "OR.Jobs"}})
	e := failsWith(t, err, api.InvalidScope)
	if e.Ruling == "" || e.ProviderError != "" {
		t.Errorf("got %+v, want a ruling of the agent's own", e)
	}
	asked(t, s, before, 0)
	if refused := r.records(t, "refused"); len(refused) != 1 || refused[0].Ruling != e.Ruling {
		t.Errorf("the record does not have the ruling %s: %+v", e.Ruling, refused)
	}
	if token := r.mustToken(t, api.TokenRequest{Scopes: []string{"OR.Folders.Read"}}); token.Scope != "OR.Folders.Read" {
		t.Errorf("a part of the profile's scopes: got %q", token.Scope)
	}
}

func TestMinValidAboveTheLifetimeIsTriedOnce(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{Lifetime: 10 * time.Minute})
	c := new(clock)
	r := startIn(t, t.TempDir(), "", c.set)
	r.mustPair(t, robotOf(s))
	first := r.mustToken(t, api.TokenRequest{})
	c.forward(time.Minute) // a younger token is not worth a renewal
	before := s.TokenRequests()
	for range 5 {
		token := r.mustToken(t, api.TokenRequest{MinValid: time.Hour})
		if token.MinValidMet == nil || *token.MinValidMet {
			t.Errorf("min_valid_met is %v, want false", token.MinValidMet)
		}
		if token.AccessToken == first.AccessToken {
			t.Error("no renewal was tried")
		}
		c.forward(40 * time.Second)
	}
	if token := r.mustToken(t, api.TokenRequest{MinValid: 6 * time.Minute}); token.MinValidMet != nil {
		t.Error("min_valid is met, and the answer says something of it")
	}
	asked(t, s, before, 1)
}

func TestRejectedTokenIsReplacedOnceInHalfAMinute(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	c := new(clock)
	r := startIn(t, t.TempDir(), "", c.set)
	r.mustPair(t, robotOf(s))
	first := r.mustToken(t, api.TokenRequest{})
	before := s.TokenRequests()
	second := r.mustToken(t, api.TokenRequest{Rejected: first.Fingerprint})
	if second.AccessToken == first.AccessToken {
		t.Error("the rejected token was served again")
	}
	for _, rejected := range []string{first.Fingerprint, second.Fingerprint, second.Fingerprint} {
		if again := r.mustToken(t, api.TokenRequest{Rejected: rejected}); again.AccessToken != second.AccessToken {
			t.Error("a second renewal was forced within 30 s")
		}
	}
	asked(t, s, before, 1)
	c.forward(31 * time.Second)
	r.mustToken(t, api.TokenRequest{Rejected: second.Fingerprint})
	asked(t, s, before, 2)
}

func TestValidTokenIsServedWhileIdentityIsDown(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	c, dir := new(clock), t.TempDir()
	r := startIn(t, dir, "", c.set)
	r.mustPair(t, robotOf(s))
	first := r.mustToken(t, api.TokenRequest{})
	s.Stop()
	c.forward(59*time.Minute + 10*time.Second) // so late that a caller waits for the renewal
	if again := r.mustToken(t, api.TokenRequest{}); again.AccessToken != first.AccessToken {
		t.Error("the valid token was not served")
	}
	p, state := r.profile(t)
	if state != api.StateTrouble || p.State != api.StateTrouble || p.LastError == nil || p.LastError.Code != api.ProviderUnavailable || p.ExpiresAt == nil {
		t.Errorf("status: agent %s, profile %+v", state, p)
	}
	c.forward(time.Minute)
	_, err := r.Token(t.Context(), api.TokenRequest{})
	failsWith(t, err, api.ProviderUnavailable)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = startIn(t, dir, "") // which keeps no token, and says why it has none
	_, err = r.Token(t.Context(), api.TokenRequest{})
	failsWith(t, err, api.ProviderUnavailable)
}

func TestTokensComeAgainWithIdentity(t *testing.T) {
	s := orchestratorOf(t)
	c := new(clock)
	r := startIn(t, t.TempDir(), "", c.set)
	r.mustPair(t, s.pairing())
	s.Close()
	_, err := r.Token(t.Context(), api.TokenRequest{})
	failsWith(t, err, api.ProviderUnavailable)
	again := orchestratortest.New(orchestratortest.Options{Addr: s.Origin[len("http://"):]})
	defer again.Close()
	again.AddMachine(s.robot.ID, s.robot.Secret)
	c.forward(time.Second) // the wait after the first failure
	r.mustToken(t, api.TokenRequest{})
	if p, state := r.profile(t); state != api.StateReady || p.LastError != nil {
		t.Errorf("status: agent %s, profile %+v", state, p)
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	s := orchestratorOf(t)
	c := new(clock)
	r := startIn(t, t.TempDir(), "", c.set)
	r.mustPair(t, s.pairing())
	before := s.TokenRequests()
	s.Fault(tokenPath, orchestratortest.Fault{Status: 429, RetryAfter: "40", Times: 1})
	for range 5 {
		_, err := r.Token(t.Context(), api.TokenRequest{})
		if e := failsWith(t, err, api.ProviderUnavailable); e.RetryAfter < 35 || e.RetryAfter > 40 {
			t.Errorf("retry_after is %d, want about 40", e.RetryAfter)
		}
	}
	c.forward(30 * time.Second)
	_, err := r.Token(t.Context(), api.TokenRequest{})
	if e := failsWith(t, err, api.ProviderUnavailable); e.RetryAfter < 1 || e.RetryAfter > 10 {
		t.Errorf("retry_after is %d, want the 10 s that are left", e.RetryAfter)
	}
	asked(t, s, before, 1)
	c.forward(10 * time.Second)
	r.mustToken(t, api.TokenRequest{})
	asked(t, s, before, 2)
}

func TestRefusedScopeIsRememberedUntilRetry(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	c := new(clock)
	r := startIn(t, t.TempDir(), "", c.set)
	r.mustPair(t, robotOf(s))
	before := s.TokenRequests()
	refused := func() {
		t.Helper()
		_, err := r.Token(t.Context(), api.TokenRequest{Scopes: []string{s.Refused}})
		if e := failsWith(t, err, api.InvalidScope); e.ProviderError != "invalid_scope" {
			t.Errorf("Identity's code is %q", e.ProviderError)
		}
	}
	for range 5 {
		refused()
		c.forward(time.Hour)
	}
	asked(t, s, before, 1)
	r.mustToken(t, api.TokenRequest{}) // the other scopes are none the worse for it
	asked(t, s, before, 2)
	if err := r.admin.Retry(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	refused()
	asked(t, s, before, 3)
}

func TestSecretThatIdentityRefusedIsNotSentAgain(t *testing.T) {
	s := providertest.Fosite(t)
	c := new(clock)
	r := startIn(t, t.TempDir(), "", c.set)
	p := robotOf(s)
	p.Scopes = s.Scopes
	r.mustPair(t, p)
	s.AddSecret("the-new-secret-of-the-robot")
	s.RemoveSecret(s.Secret)
	before := s.TokenRequests()
	for _, scopes := range [][]string{s.Scopes[:1], {"OR.Assets"}, s.Scopes[:1], {"OR.Folders"}, {"OR.Assets"}} {
		_, err := r.Token(t.Context(), api.TokenRequest{Scopes: scopes})
		if e := failsWith(t, err, api.ProviderRefused); e.ProviderError != "invalid_client" {
			t.Errorf("Identity's code is %q", e.ProviderError)
		}
		c.forward(10 * time.Minute)
	}
	asked(t, s, before, 1)
	if p, _ := r.profile(t); p.State != api.StateTrouble || p.LastError == nil || p.LastError.ProviderError != "invalid_client" {
		t.Errorf("status: %+v", p)
	}
	if err := r.admin.SetSecret(t.Context(), "invoices", "the-new-secret-of-the-robot"); err != nil {
		t.Fatal(err)
	}
	r.mustToken(t, api.TokenRequest{})
	asked(t, s, before, 3) // one to prove it, one for the token
	if p, state := r.profile(t); state != api.StateReady || p.LastError != nil {
		t.Errorf("status: agent %s, profile %+v", state, p)
	}
}

func TestTokenInUseIsRenewedInTheBackground(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{Lifetime: 12 * time.Second})
	r := start(t, "")
	r.mustPair(t, robotOf(s))
	before := s.TokenRequests()
	first := r.mustToken(t, api.TokenRequest{})
	r.mustToken(t, api.TokenRequest{}) // asked for after it came: in use
	p, _ := r.profile(t)
	if p.RenewsAt == nil || p.RenewsAt.After(first.ExpiresAt.Add(-3*time.Second)) {
		t.Errorf("status: renews at %v, expires at %v", p.RenewsAt, first.ExpiresAt)
	}
	eventually(t, "renewal", func() bool { return s.TokenRequests() == before+2 })
	eventually(t, "the new token", func() bool {
		return r.mustToken(t, api.TokenRequest{}).AccessToken != first.AccessToken
	})
	if !time.Now().Before(first.ExpiresAt) {
		t.Error("the renewal came after the first token's end")
	}
	asked(t, s, before, 2)
}

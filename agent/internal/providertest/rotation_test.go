package providertest_test

import (
	"fmt"
	"sync"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"keytender/agent/internal/providertest"
)

// valid are the secrets that callers may use. Who holds the reader's lock is
// asking with one, and so it is not taken away under him.
type valid struct {
	sync.RWMutex
	secrets []string
}

func (v *valid) set(secrets ...string) {
	v.Lock()
	defer v.Unlock()
	v.secrets = secrets
}

// A rotation of the agent rests on this: nobody who uses a valid secret is
// refused while another is added or removed.
func TestNoCallFailsWhileASecretIsRotated(t *testing.T) {
	const callers, rotations, each = 8, 5, 24 // each: grants between two changes
	for name, start := range map[string]func(testing.TB) *providertest.Server{
		"oidc-provider": oidcProvider,
		"fosite":        func(t testing.TB) *providertest.Server { return providertest.Fosite(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, v := start(t), &valid{}
			v.set(s.Secret)
			answers, stop := make(chan error), make(chan struct{})
			var wg sync.WaitGroup
			for caller := range callers {
				wg.Go(func() {
					for n := caller; ; n++ {
						select {
						case answers <- v.use(t, s, n):
						case <-stop:
							return
						}
					}
				})
			}
			underLoad := func(what string) {
				for range each {
					if err := <-answers; err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
			}
			old := s.Secret
			for n := range rotations {
				renewed := fmt.Sprintf("secret-%d!%%&+=", n)
				underLoad("before")
				s.AddSecret(renewed)
				v.set(old, renewed)
				underLoad("both")
				v.set(renewed)
				s.RemoveSecret(old)
				underLoad("after")
				if _, err := grant(t, s, old, "OR.Jobs"); !refused(err) {
					t.Errorf("a removed secret: %v, want a refusal", err)
				}
				old = renewed
			}
			close(stop)
			wg.Wait()
			if n := s.TokenRequests(); n < 3*each*rotations {
				t.Errorf("%d requests were no load", n)
			}
		})
	}
}

// use asks for a token with one of the valid secrets.
func (v *valid) use(t *testing.T, s *providertest.Server, n int) error {
	v.RLock()
	defer v.RUnlock()
	config := clientcredentials.Config{
		ClientID: s.ClientID, ClientSecret: v.secrets[n%len(v.secrets)], TokenURL: s.Issuer + "/connect/token",
		Scopes: []string{"OR.Jobs"}, AuthStyle: oauth2.AuthStyleInParams,
	}
	_, err := config.Token(t.Context())
	return err
}

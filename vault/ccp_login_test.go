package vault

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"keytender/vault/vaulttest"
)

func TestCCPLogins(t *testing.T) {
	fake := vaulttest.FakeCCP(t)
	fake.Set(vaulttest.CCPAccount{Object: "bot", UserName: "id", Content: canary})
	long, other := fake.Certificate(t, vaulttest.Of{RSA: 2048}), fake.Certificate(t, vaulttest.Of{})
	for what, held := range map[string]struct{ credential, file string }{
		"the chain in a file":         {long.Key, long.Chain},
		"the chain behind the key":    {other.Key + other.Chain, ""},
		"the chain before the key":    {other.Chain + other.Key, ""},
		"others stand in the chain":   {long.Key, other.Chain + long.Chain},
		"a file, and a chain as well": {long.Key + other.Chain, long.Chain},
	} {
		t.Run(what, func(t *testing.T) {
			p := ccpPlace(t, fake)
			p.config.Login.Certificate = ""
			if held.file != "" {
				p.config.Login.Certificate = testFile(t, held.file)
			}
			p.options.Bootstrap = bootstrap(held.credential)
			st := p.open(t)
			if err := st.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
			sameEntry(t, "bot", get(t, st, "bot"), account("id", canary))
		})
	}
	t.Run("by the machine's address", func(t *testing.T) {
		p := ccpPlace(t, fake)
		p.config.Login = Login{Method: "host"}
		p.options.Bootstrap = func(context.Context, string) (Secret, error) {
			t.Error("a credential is asked for, and none is needed")
			return Secret{}, ErrNotFound
		}
		wantRefusal(t, p.open(t).Check(t.Context()), ErrLogin, "log in", vaulttest.CCPApp, "APPAP306E", "this machine's address")
		fake.AllowMachine()
		st := p.open(t)
		if err := st.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
		sameEntry(t, "bot", get(t, st, "bot"), account("id", canary))
	})
}

func TestCCPCertificateThatWillNotDo(t *testing.T) {
	fake := vaulttest.FakeCCP(t)
	good, other := fake.Certificate(t, vaulttest.Of{}), fake.Certificate(t, vaulttest.Of{})
	short := fake.Certificate(t, vaulttest.Of{RSA: 1024})
	ended := fake.Certificate(t, vaulttest.Of{Until: time.Date(2024, 3, 9, 12, 0, 0, 0, time.UTC)})
	locked := "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
	for what, c := range map[string]struct{ credential, file, says string }{
		"another's certificate":  {good.Key, other.Chain, "does not fit its key"},
		"no certificate":         {good.Key, "", "no certificate in PEM form"},
		"no certificate in file": {good.Key, "nothing", "no certificate in PEM form"},
		"no key":                 {good.Chain, good.Chain, "no private key in PEM form"},
		"no PEM":                 {canary, good.Chain, "no private key in PEM form"},
		"a key that is none":     {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", good.Chain, "private key cannot be read"},
		"a key with passphrase":  {locked, good.Chain, "passphrase"},
		"a short key":            {short.Key, short.Chain, "1024 bits"},
		"ended":                  {ended.Key, ended.Chain, "ended on 9 March 2024"},
	} {
		t.Run(what, func(t *testing.T) {
			p := ccpPlace(t, fake)
			p.config.Login.Certificate = ""
			if c.file != "" {
				p.config.Login.Certificate = testFile(t, c.file)
			}
			p.options.Bootstrap = bootstrap(c.credential)
			before := fake.Reads(t, "")
			for _, err := range []error{p.open(t).Check(t.Context()), second(p.open(t).Get(t.Context(), "bot"))} {
				wantRefusal(t, err, ErrLogin, "log in", c.says)
			}
			if fake.Reads(t, "") != before {
				t.Error("the server was asked all the same")
			}
		})
	}
	t.Run("file missing", func(t *testing.T) {
		p := ccpPlace(t, fake)
		p.config.Login.Certificate = filepath.Join(t.TempDir(), "none.pem")
		wantRefusal(t, p.open(t).Check(t.Context()), ErrLogin, "none.pem", "login.certificate")
	})
	t.Run("no credential", func(t *testing.T) {
		p := ccpPlace(t, fake)
		p.options.Bootstrap = nil
		wantRefusal(t, p.open(t).Check(t.Context()), ErrLogin, "no credential", "secret set store/NAME")
	})
}

func TestCCPCertificateIsReplacedInPlace(t *testing.T) {
	fake := vaulttest.FakeCCP(t)
	p := ccpPlace(t, fake)
	good := p.config.Login.Certificate
	chain, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	p.config.Login.Certificate = testFile(t, "not yet")
	st := p.open(t)
	wantRefusal(t, st.Check(t.Context()), ErrLogin)
	if err := os.WriteFile(p.config.Login.Certificate, chain, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := st.Check(t.Context()); err != nil {
		t.Errorf("Check after the certificate was replaced: %v", err)
	}
}

func TestCCPCertificatesThatTheServerRefuses(t *testing.T) {
	fake, elsewhere := vaulttest.FakeCCP(t), vaulttest.FakeCCP(t)
	for what, c := range map[string]struct {
		client vaulttest.Client
		says   string
	}{
		"not the application's": {fake.Stranger(t), "APPAP306E"},
		"of another authority":  {elsewhere.Stranger(t), "does not accept this client's certificate"},
	} {
		t.Run(what, func(t *testing.T) {
			p := ccpPlace(t, fake)
			p.config.Login.Certificate = ""
			p.options.Bootstrap = bootstrap(c.client.Key + c.client.Chain)
			wantRefusal(t, p.open(t).Check(t.Context()), ErrLogin, "log in", c.says, vaulttest.CCPApp)
		})
	}
	t.Run("the server's is not trusted", func(t *testing.T) {
		p := ccpPlace(t, fake)
		p.config.CA = nil
		wantRefusal(t, p.open(t).Check(t.Context()), ErrUnavailable, "authority", "ca")
		p.config.CA = []string{filepath.Join(t.TempDir(), "none.pem")}
		wantRefusal(t, p.open(t).Check(t.Context()), ErrUnavailable, "none.pem", "ca at the store")
	})
}

func TestCCPEnrolled(t *testing.T) {
	fake := vaulttest.FakeCCP(t)
	p := ccpPlace(t, fake)
	client := fake.Certificate(t, vaulttest.Of{})
	p.config.Login.Certificate = ""
	held, err := Enroll(t.Context(), p.config, Options{}, NewSecret(client.Key+client.Chain))
	if err != nil || held.Reveal() != client.Key+client.Chain {
		t.Errorf("Enroll: %v", err)
	}
	stranger := fake.Stranger(t)
	held, err = Enroll(t.Context(), p.config, Options{}, NewSecret(stranger.Key+stranger.Chain))
	wantRefusal(t, err, ErrLogin)
	if !held.IsZero() {
		t.Error("a credential that does not log in is kept")
	}
}

package vault

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keytender/vault/vaulttest"
)

// ccpPlace is the fake's safe, logged in to with a certificate whose chain

// stands in a file.

func ccpPlace(t *testing.T, fake *vaulttest.CCP) place {
	t.Helper()
	client := fake.Certificate(t, vaulttest.Of{})
	p := place{
		config: Config{
			URL:   "cyberark-ccp://" + fake.Host + "/" + vaulttest.CCPApp + "?safe=Robot%20Accounts",
			CA:    []string{fake.CAFile},
			Login: Login{Method: "certificate", Certificate: testFile(t, client.Chain)},
		},
		write: func(_ *testing.T, name string, e Entry) {
			fake.Set(vaulttest.CCPAccount{Object: strings.ReplaceAll(name, `\`, "-"), UserName: e.Username, Content: e.Secret.Reveal()})
		},
		neverWritten: "only hands secrets out",
		names:        []string{`corp\robot7`, "x=y", "a.b_c d"},
		server:       fake,
	}
	p.options.Bootstrap = bootstrap(client.Key)
	return p
}

func bootstrap(credential string) func(context.Context, string) (Secret, error) {
	return func(context.Context, string) (Secret, error) { return NewSecret(credential), nil }
}

func testFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCCPIsAStore(t *testing.T) { testStore(t, ccpPlace(t, vaulttest.FakeCCP(t))) }

// wantRefusal is wantError for what a fake refuses: nothing of its text shows.

func wantRefusal(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	wantError(t, err, kind, words...)
	if strings.Contains(err.Error(), vaulttest.ServersText) || strings.Contains(err.Error(), "PRIVATE KEY-----") {
		t.Errorf("the error repeats what it must not: %v", err)
	}
}

// TestCCPCertificateThatWillNotDo: each has its own sentence, and nothing is sent.

func second[T any](_ T, err error) error { return err }

// TestCCPCertificateIsReplacedInPlace: a renewed certificate takes effect with

// the next question, in a store that stays open.

func TestCCPCodes(t *testing.T) {
	fake := vaulttest.FakeCCP(t)
	p := ccpPlace(t, fake)
	for _, c := range []struct {
		status int
		code   string
		kind   error
		says   string
		check  error // what Check makes of it
	}{
		{400, "AIMWS030E", ErrDenied, "does not understand", ErrDenied},
		{400, "AIMWS031E", ErrDenied, "does not understand", ErrDenied},
		{400, "APPAP227E", ErrBroken, "more than one object", ErrBroken},
		{400, "APPAP228E", ErrBroken, "more than one object", ErrBroken},
		{400, "APPAP229E", ErrBroken, "more than one object", ErrBroken},
		{400, "APPAP007E", ErrUnavailable, "does not reach its vault", ErrUnavailable},
		{403, "APPAP306E", ErrLogin, vaulttest.CCPApp, ErrLogin},
		{403, "APPAP008E", ErrLogin, "no application " + vaulttest.CCPApp, ErrLogin},
		{404, "APPAP004E", ErrNotFound, "the safe Robot Accounts", nil},
		{500, "APPAP999E", ErrUnavailable, "CCP answers 500 (APPAP999E)", ErrUnavailable},
		{500, "ABCDEF001E", ErrUnavailable, "(ABCDEF001E)", ErrUnavailable},
	} {
		t.Run(c.code, func(t *testing.T) {
			fake.Fail(c.status, c.code)
			wantRefusal(t, second(p.open(t).Get(t.Context(), "bot")), c.kind, c.says, "("+c.code+")", p.config.URL)
			fake.Fail(c.status, c.code)
			if err := p.open(t).Check(t.Context()); !errors.Is(err, c.check) {
				t.Errorf("Check: %v, want %v", err, c.check)
			}
		})
	}
	for what, c := range map[string]struct {
		status int
		body   string
		kind   error
		says   string
	}{
		"a code that is none":     {500, `{"ErrorCode":"` + vaulttest.ServersText + `"}`, ErrUnavailable, "CCP answers 500"},
		"no code":                 {500, `{}`, ErrUnavailable, "CCP answers 500"},
		"IIS wants a certificate": {403, "<html>403.7 " + vaulttest.ServersText, ErrLogin, "web server refuses the agent (403)"},
		"IIS refuses":             {401, "", ErrLogin, "(401)"},
		"no such service":         {404, "<html>" + vaulttest.ServersText, ErrUnavailable, "no web service AIMWebService"},
		"another's page":          {200, "<html>" + vaulttest.ServersText, ErrUnavailable, "not as a Central Credential Provider"},
		"a redirect":              {302, "", ErrUnavailable, "redirect"},
		"no content":              {200, `{"UserName":"` + vaulttest.ServersText + `"}`, ErrBroken, "empty"},
		"content that is none":    {200, `{"Content":{"a":"` + canary + `"}}`, ErrBroken, "not text"},
		"content that was bytes":  {200, "{\"Content\":\"\xff\xfe" + canary + "\"}", ErrBroken, "not text"},
		"a huge answer":           {200, `{"Content":"` + strings.Repeat("x", 2<<20) + `"}`, ErrUnavailable, "larger than 1 MiB"},
	} {
		t.Run(what, func(t *testing.T) {
			fake.FailWith(c.status, c.body)
			wantRefusal(t, second(p.open(t).Get(t.Context(), "bot")), c.kind, c.says)
		})
	}
}

// TestCCPTwoObjectsForOneName: neither is taken.

func TestCCPTwoObjectsForOneName(t *testing.T) {
	fake := vaulttest.FakeCCP(t)
	fake.Add(vaulttest.CCPAccount{Object: "bot", Content: canary})
	fake.Add(vaulttest.CCPAccount{Object: "bot", Content: canary + "2"})
	_, err := ccpPlace(t, fake).open(t).Get(t.Context(), "bot")
	wantRefusal(t, err, ErrBroken, "read bot", "more than one object", "&folder=FOLDER")
}

func TestCCPPasswordBeingChanged(t *testing.T) {
	fake := vaulttest.FakeCCP(t)
	quick := func(t *testing.T, p place) Store {
		st := p.open(t)
		st.(*kept).asked.(*ccp).pause = time.Millisecond
		return st
	}
	for what, a := range map[string]vaulttest.CCPAccount{
		"it says so": {Object: "bot", Content: canary, Changing: ccpPauses},
		"it refuses": {Object: "bot", Content: canary, Locked: ccpPauses},
		"both":       {Object: "bot", Content: canary, Locked: 1, Changing: ccpPauses - 1},
	} {
		t.Run(what, func(t *testing.T) {
			fake.Set(a)
			before := fake.Reads(t, "bot")
			sameEntry(t, "bot", get(t, quick(t, ccpPlace(t, fake)), "bot"), account("", canary))
			if n := fake.Reads(t, "bot") - before; n != 1+ccpPauses {
				t.Errorf("asked %d times", n)
			}
			a.Changing += 100
			fake.Set(a)
			before = fake.Reads(t, "bot")
			_, err := quick(t, ccpPlace(t, fake)).Get(t.Context(), "bot")
			wantRefusal(t, err, ErrBusy, "read bot", "its password is being changed", "try again")
			if n := fake.Reads(t, "bot") - before; n != 1+ccpPauses {
				t.Errorf("asked %d times in vain", n)
			}
		})
	}
	t.Run("longer than there is time", func(t *testing.T) {
		fake.Set(vaulttest.CCPAccount{Object: "bot", Content: canary, Changing: 1})
		p := ccpPlace(t, fake)
		p.config.Timeout = time.Second // a pause has 1.5
		_, err := p.open(t).Get(t.Context(), "bot")
		wantRefusal(t, err, ErrBusy, "its password is being changed")
	})
	t.Run("and nobody waits any more", func(t *testing.T) {
		fake.Set(vaulttest.CCPAccount{Object: "bot", Content: canary, Changing: 1})
		before, p := fake.Reads(t, "bot"), ccpPlace(t, fake)
		st, err := Open(p.config, p.options)
		if err != nil {
			t.Fatal(err)
		}
		st.(*kept).asked.(*ccp).pause = time.Hour
		done := make(chan error)
		go func() { done <- second(st.Get(context.WithoutCancel(t.Context()), "bot")) }()
		waitFor(t, "the question", func() bool { return fake.Reads(t, "bot") > before })
		if err := st.Close(); err != nil { // which ends it
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCCPLayouts(t *testing.T) {
	fake := vaulttest.FakeCCP(t)
	for what, c := range map[string]struct {
		account vaulttest.CCPAccount
		fields  Fields
		want    Entry
	}{
		"a password and its user":  {vaulttest.CCPAccount{UserName: "7f0c", Name: "bot", Content: canary}, Fields{}, account("7f0c", canary)},
		"a password without one":   {vaulttest.CCPAccount{Name: "bot", Content: canary}, Fields{}, account("bot", canary)},
		"a credential in JSON":     {vaulttest.CCPAccount{UserName: "x", Content: `{"Username":"7f0c","Password":"` + canary + `"}`}, Fields{}, account("7f0c", canary)},
		"fields of the customer's": {vaulttest.CCPAccount{UserName: "7f0c", Content: `{"id":"8a1d","key":"` + canary + `","n":1}`}, Fields{Username: "id", Secret: "key"}, account("8a1d", canary)},
		"only the secret named":    {vaulttest.CCPAccount{UserName: "7f0c", Content: `{"key":"` + canary + `"}`}, Fields{Secret: "key"}, account("7f0c", canary)},
		"other JSON":               {vaulttest.CCPAccount{UserName: "7f0c", Content: `{"key":"` + canary + `"}`}, Fields{}, account("7f0c", `{"key":"`+canary+`"}`)},
	} {
		t.Run(what, func(t *testing.T) {
			c.account.Object = "bot"
			fake.Set(c.account)
			p := ccpPlace(t, fake)
			p.config.Fields = c.fields
			sameEntry(t, "bot", get(t, p.open(t), "bot"), c.want)
		})
	}
	t.Run("a key that is not there", func(t *testing.T) {
		fake.Set(vaulttest.CCPAccount{Object: "bot", Content: `{"id":"` + canary + `","other":"` + canary + `"}`})
		p := ccpPlace(t, fake)
		p.config.Fields = Fields{Secret: "key"}
		_, err := p.open(t).Get(t.Context(), "bot")
		wantRefusal(t, err, ErrBroken, "read bot", "id", "other", "key")
	})
}

// TestCCPQuestion: parameters are percent-encoded, and "\" in a name becomes "-".

func TestCCPQuestion(t *testing.T) {
	fake := vaulttest.FakeCCP(t)
	p := ccpPlace(t, fake)
	p.config.URL = "cyberark-ccp://" + fake.Host + `/Other%20Service/Keytender?safe=Robot+Accounts&folder=Root\OS%20x`
	fake.Set(vaulttest.CCPAccount{Folder: `Root\OS x`, Object: "corp-robot é", Content: canary})
	sameEntry(t, "corp-robot é", get(t, p.open(t), `corp\robot é`), account("", canary))
	asked := fake.Asked()
	want := `GET /Other%20Service/api/Accounts?AppID=Keytender&Safe=Robot%20Accounts&Folder=Root%5COS%20x&Object=corp-robot%20%C3%A9`
	if last := asked[len(asked)-1]; last != want {
		t.Errorf("asked\n %s, want\n %s", last, want)
	}
}

func TestCCPAddresses(t *testing.T) {
	const at = "cyberark-ccp://ccp.corp"
	whole := func(url string) Config { return Config{URL: url, Login: Login{Method: "host"}} }
	for url, says := range map[string]string{
		at + "?safe=S":                          "cyberark-ccp://HOST/APPID?safe=SAFE",
		at + "/a/b/c?safe=S":                    "cyberark-ccp://HOST/APPID?safe=SAFE",
		at + "/App":                             "the safe is missing",
		at + "/App?safe=":                       "safe= must stand in it once",
		at + "/App?safe=a&safe=b":               "safe= must stand in it once",
		at + "/App?safe=a&folder=":              "folder= must stand in it once",
		at + "/App?safe=a&object=b":             `"object" is no part of it`,
		at + "/App?safe=a%3BFolder%3Db":         `with ";" in it`,
		at + "/A%26B?safe=a":                    `with "&" in it`,
		at + "/App?safe=a%25":                   `with "%" in it`,
		"cyberark-ccp:///App?safe=S":            "host is missing",
		"cyberark-ccp://u:" + canary + "@h/A?s": "must not",
		at + "/App?safe=S#x":                    `"#"`,
	} {
		st, err := Open(whole(url), Options{})
		bad, ok := errors.AsType[*ConfigError](err)
		if st != nil || !ok || bad.Field != "url" || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), canary) {
			t.Errorf("Open(%q): %v, want a ConfigError of url that says %q", url, err, says)
		}
	}
	for field, change := range map[string]func(*Config){
		"write":             func(c *Config) { c.Write = true },
		"login.method":      func(c *Config) { c.Login.Method = "api_key" },
		"login.certificate": func(c *Config) { c.Login.Certificate = "/x.pem" },
		"login.username":    func(c *Config) { c.Login.Username = "x" },
		"namespace":         func(c *Config) { c.Namespace = "x" },
		"fields":            func(c *Config) { c.Fields = Fields{Username: "x", Secret: "x"} },
	} {
		c := whole(at + "/App?safe=S")
		change(&c)
		_, err := Open(c, Options{})
		if bad, ok := errors.AsType[*ConfigError](err); !ok || bad.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	c := whole(at + ":8443/Svc/App?safe=S")
	if origin, err := c.Origin(); err != nil || origin != "https://ccp.corp:8443" {
		t.Errorf("origin %q, %v", origin, err)
	}
}

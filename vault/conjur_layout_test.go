package vault

import (
	"strings"
	"testing"

	"keytender/vault/vaulttest"
)

func TestConjurLayouts(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	const credential = `{"Username":"7f0c","Password":"` + canary + `","n":12345678901234567890}`
	for what, c := range map[string]struct {
		there  map[string]string
		fields Fields
		want   Entry
		put    Entry
		then   map[string]string
	}{
		"plain text": {
			map[string]string{"": canary}, Fields{}, account("", canary),
			account("", "new"), map[string]string{"": "new"},
		},
		"plain text gets a user": {
			map[string]string{"": canary}, Fields{}, account("", canary),
			account("7f0c", "new"), map[string]string{"": `{"Password":"new","Username":"7f0c"}`},
		},
		"plain text that looks like a credential": {
			map[string]string{"": canary}, Fields{}, account("", canary),
			account("", credential), map[string]string{"": `{"Password":"{\"Username\":\"7f0c\",\"Password\":\"` + canary + `\",\"n\":12345678901234567890}","Username":""}`},
		},
		"blanks": {
			map[string]string{"": canary}, Fields{}, account("", canary),
			account("", " \t"), map[string]string{"": `{"Password":" \t","Username":""}`},
		},
		"a credential in JSON": {
			map[string]string{"": credential}, Fields{}, account("7f0c", canary),
			account("8a1d", "new"), map[string]string{"": `{"Password":"new","Username":"8a1d","n":12345678901234567890}`},
		},
		"other JSON": {
			map[string]string{"": `{"key":"x"}`}, Fields{}, account("", `{"key":"x"}`),
			account("", "new"), map[string]string{"": "new"},
		},
		"fields of the customer's": {
			map[string]string{"": `{"id":"7f0c","key":"` + canary + `","more":true}`}, Fields{Username: "id", Secret: "key"}, account("7f0c", canary),
			account("", "new"), map[string]string{"": `{"id":"","key":"new","more":true}`},
		},
		"only the secret named": {
			map[string]string{"": `{"key":"` + canary + `"}`}, Fields{Secret: "key"}, account("", canary),
			account("", "new"), map[string]string{"": `{"key":"new"}`},
		},
		"two variables": {
			map[string]string{"/username": "7f0c", "/password": canary}, Fields{}, account("7f0c", canary),
			account("8a1d", "new"), map[string]string{"": "", "/username": "8a1d", "/password": "new"},
		},
		"two variables, the user stays": {
			map[string]string{"/username": "7f0c", "/password": canary}, Fields{}, account("7f0c", canary),
			account("", "new"), map[string]string{"/username": "7f0c", "/password": "new"},
		},
		"a password alone": {
			map[string]string{"/password": canary}, Fields{}, account("", canary),
			account("", "new"), map[string]string{"": "", "/password": "new"},
		},
		"two variables of the customer's": {
			map[string]string{"/login": "7f0c", "/key": canary, "/password": "other"}, Fields{Username: "login", Secret: "key"}, account("7f0c", canary),
			account("7f0c", "new"), map[string]string{"/login": "7f0c", "/key": "new", "/password": "other"},
		},
		"JSON in one of two variables": {
			map[string]string{"/password": credential}, Fields{}, account("", credential),
			account("", "new"), map[string]string{"/password": "new"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			p := conjurPlace(t, fake)
			p.config.Fields = c.fields
			name := strings.ReplaceAll(what, " ", "-")
			for suffix, value := range c.there {
				fake.Set(idOf(name+suffix), value)
			}
			st := p.open(t)
			sameEntry(t, name, get(t, st, name), c.want)
			if err := st.Put(t.Context(), name, c.put); err != nil {
				t.Fatalf("Put: %v", err)
			}
			for suffix, value := range c.then {
				if got := fake.Value(idOf(name + suffix)); got != value {
					t.Errorf("%s is now %q, not %q", name+suffix, got, value)
				}
			}
			if c.put.Username == "" && c.want.Username != "" && fake.Value(idOf(name)) == "" {
				c.put.Username = c.want.Username
			}
			sameEntry(t, name, get(t, st, name), c.put)
		})
	}
	t.Run("a user name without a variable", func(t *testing.T) {
		fake.Set(idOf("lone/password"), canary)
		err := conjurPlace(t, fake).open(t).Put(t.Context(), "lone", account("7f0c", "new"))
		wantRefusal(t, err, ErrNotFound, "store lone", idOf("lone/username"))
		if fake.Value(idOf("lone/password")) != canary {
			t.Error("half of it was stored")
		}
	})
	t.Run("a user name that stays need not be permitted", func(t *testing.T) {
		fake.Set(idOf("stays/username"), "7f0c")
		fake.Set(idOf("stays/password"), canary)
		fake.Permit(idOf("stays/username"), "read", "execute")
		st := conjurPlace(t, fake).open(t)
		if err := st.Put(t.Context(), "stays", account("7f0c", "new")); err != nil {
			t.Errorf("Put: %v", err)
		}
		wantRefusal(t, st.Put(t.Context(), "stays", account("8a1d", "newer")), ErrDenied, "update", idOf("stays/username"))
		sameEntry(t, "stays", get(t, st, "stays"), account("7f0c", "new"))
	})
	t.Run("no JSON where fields are named", func(t *testing.T) {
		fake.Set(idOf("nojson"), canary)
		p := conjurPlace(t, fake)
		p.config.Fields = Fields{Secret: "key"}
		wantRefusal(t, second(p.open(t).Get(t.Context(), "nojson")), ErrBroken, "read nojson", "key")
	})
	t.Run("a missing key", func(t *testing.T) {
		fake.Set(idOf("nokey"), `{"id":"`+canary+`","other":"`+canary+`"}`)
		p := conjurPlace(t, fake)
		p.config.Fields = Fields{Secret: "key"}
		wantRefusal(t, second(p.open(t).Get(t.Context(), "nokey")), ErrBroken, "read nokey", "id", "other", "key")
	})
}

package vault

import (
	"encoding/json"
	"strings"
	"testing"
)

func testLink(t *testing.T) link {
	t.Helper()
	l, err := newLink(Config{URL: "hashicorp://vault.example/kv"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type values = map[string]any

// TestPick reads as a table of what lies in an entry named robots/invoices.
func TestPick(t *testing.T) {
	for what, c := range map[string]struct {
		values       values
		fields       Fields
		user, secret string
	}{
		"a credential":                        {values{"Username": "id", "Password": canary}, Fields{}, "id", canary},
		"a credential among others":           {values{"Username": "id", "Password": canary, "invoices": "x", "note": 7.0}, Fields{}, "id", canary},
		"a robot's password":                  {values{"invoices": canary, "note": "x"}, Fields{}, "", canary},
		"one value":                           {values{"whatever": canary}, Fields{}, "", canary},
		"one value beside a user name":        {values{"Username": "id", "whatever": canary}, Fields{}, "id", canary},
		"a user name that is null":            {values{"Username": nil, "Password": canary}, Fields{}, "", canary},
		"names of their own":                  {values{"client": "id", "key": canary, "Password": "x", "Username": "y"}, Fields{Username: "client", Secret: "key"}, "id", canary},
		"a name of its own for the secret":    {values{"Username": "id", "key": canary}, Fields{Secret: "key"}, "id", canary},
		"a name of its own for the user name": {values{"client": "id", "Password": canary, "Username": "y"}, Fields{Username: "client"}, "id", canary},
		"no user name under the one's name":   {values{"Password": canary, "Username": "y"}, Fields{Username: "client"}, "", canary},
	} {
		e, err := testLink(t).pick("robots/invoices", c.values, c.fields)
		if err != nil || e.Username != c.user || e.Secret.Reveal() != c.secret {
			t.Errorf("%s: user name %q, %v", what, e.Username, err)
		}
	}
	e, err := testLink(t).pick("robots/Username", values{"Username": canary}, Fields{})
	if err != nil || e.Username != "" || e.Secret.Reveal() != canary {
		t.Errorf("an entry named Username shows its secret as user name %q, %v", e.Username, err)
	}
}

func TestPickNamesFieldsAndNoValue(t *testing.T) {
	for what, c := range map[string]struct {
		values values
		fields Fields
		says   []string
	}{
		"nothing":               {nil, Fields{}, []string{"not clear", "no fields"}},
		"two fields":            {values{"b": canary, "a": canary}, Fields{}, []string{"not clear", `"a", "b"`}},
		"the field is missing":  {values{"Password": canary, "a\u202e": canary}, Fields{Secret: "key"}, []string{`no field "key"`, `it has "Password", "a\u202e"`, "fields:"}},
		"a number":              {values{"Password": json.Number("5")}, Fields{}, []string{`"Password" is not text`}},
		"an object":             {values{"Password": values{"x": canary}}, Fields{}, []string{`"Password" is not text`}},
		"empty":                 {values{"Password": "", "x": canary}, Fields{}, []string{`"Password" is empty`}},
		"a user name of digits": {values{"Username": json.Number("5"), "Password": canary}, Fields{}, []string{`"Username" is not text`}},
		"only a user name":      {values{"Username": canary}, Fields{}, []string{"not clear", `"Username"`}},
	} {
		_, err := testLink(t).pick("robots/invoices", c.values, c.fields)
		t.Log(what, "─", err)
		wantError(t, err, ErrBroken, append(c.says, "read robots/invoices")...)
	}
	many := values{}
	for _, field := range strings.Split(strings.Repeat("abcdefgh", 30), "c") {
		many[strings.Repeat(field, 40)+string(rune('A'+len(many)))] = canary
	}
	for i := range 100 {
		many[strings.Repeat("x", 200)+string(rune('A'+i))] = canary
	}
	_, err := testLink(t).pick("x", many, Fields{})
	wantError(t, err, ErrBroken)
	if len(err.Error()) > 2000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestPickJSON(t *testing.T) {
	own := Fields{Username: "client", Secret: "key"}
	for text, c := range map[string]struct {
		fields       Fields
		user, secret string
	}{
		canary: {Fields{}, "", canary},
		`{"Username":"id","Password":"` + canary + `"}`:       {Fields{}, "id", canary},
		` {"Password":"` + canary + `","Username":""}` + "\n": {Fields{}, "", canary},
		`{"Password":"x"}`:                    {Fields{}, "", `{"Password":"x"}`},
		`{"Username":"id","Password":5}`:      {Fields{}, "", `{"Username":"id","Password":5}`},
		`{"Username":"id","Password":"x"} {}`: {Fields{}, "", `{"Username":"id","Password":"x"} {}`},
		`["Username","Password"]`:             {Fields{}, "", `["Username","Password"]`},
		"null":                                {Fields{}, "", "null"},
		`{"client":"id","key":"` + canary + `","other":1}`: {own, "id", canary},
	} {
		e, err := testLink(t).pickJSON("invoices", text, c.fields)
		if err != nil || e.Username != c.user || e.Secret.Reveal() != c.secret {
			t.Errorf("%s: user name %q, secret %q, %v", text, e.Username, e.Secret.Reveal(), err)
		}
	}
	_, err := testLink(t).pickJSON("invoices", canary, own)
	wantError(t, err, ErrBroken, "no JSON object", `"key"`)
	_, err = testLink(t).pickJSON("invoices", `{"other":"`+canary+`"}`, own)
	wantError(t, err, ErrBroken, `no field "key"`, `"other"`)
	_, err = testLink(t).pickJSON("invoices", "", Fields{})
	wantError(t, err, ErrBroken, "empty")
}

// FuzzFilledIsPicked: whatever an entry had, what is written into it comes
// back, and what it does not touch stays.
func FuzzFilledIsPicked(f *testing.F) {
	for _, seed := range [][5]string{
		{`{}`, "robots/invoices", "", "", "id"},
		{`{"Username":"x"}`, "Username", "", "", ""},
		{`{"Username":"x"}`, "Username", "", "", "id"},
		{`{"invoices":"x"}`, "robots/invoices", "", "", ""},
		{`{"a":"x"}`, "b", "", "", "id"},
		{`{"a":1,"b":{"c":[]}}`, "b", "client", "key", "id"},
		{`{"Password":5,"Username":null,"id":"x"}`, "id", "", "", ""},
		{`{"client":"x","Password":"y"}`, "client", "client", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	f.Fuzz(func(t *testing.T, text, name, userField, secretField, username string) {
		before, isObject := object(text)
		fields := Fields{userField, secretField}
		if !isObject || checkSharedName(name) != nil || fields.check() != nil {
			return
		}
		_, count := object(text)
		e := account(username, canary)
		after := fill(name, before, fields, e)
		got, err := testLink(t).pick(name, after, fields)
		if err != nil {
			t.Fatalf("%v of %v: %v", name, after, err)
		}
		sameEntry(t, name, got, e)
		changed := 0
		for field := range after {
			was, had := before[field]
			if !had || !sameJSON(t, was, after[field]) {
				changed++
			}
		}
		if changed > 2 || len(after) < len(before) || !count {
			t.Errorf("%v became %v", before, after)
		}
	})
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(x) == string(y)
}

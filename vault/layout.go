package vault

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// The fields that Orchestrator's own credential stores read.
const (
	usernameField = "Username"
	passwordField = "Password"
)

const mostFieldsTold = 20 // in an error

// check refuses fields that could not be told apart.
func (f Fields) check() error {
	if secret := cmp.Or(f.Secret, passwordField); userField(f) == secret {
		return wrong("fields", "user name and secret cannot both be %q", secret)
	}
	return nil
}

// pick finds user name and secret among the fields of an entry. The secret is
// in fields.Secret where that is configured, else in "Password", else in the
// field that is named like the entry, else in the only one there is beside the
// user name's; the user name is in fields.Username or "Username", or there is
// none. Errors name the fields that are there, and never a value.
func (l link) pick(name string, values map[string]any, f Fields) (Entry, error) {
	broken := func(why string) (Entry, error) {
		return Entry{}, l.refusal("read "+name, ErrBroken, why+"; "+toldFields(values), "write the entry in one of the layouts of docs/stores.md, or name its fields under fields: at the store")
	}
	field, found := secretField(name, values, f)
	switch {
	case !found && f.Secret != "":
		return broken(fmt.Sprintf("it has no field %q", f.Secret))
	case !found:
		return broken("which of its fields is the secret is not clear")
	}
	secret, text := values[field].(string)
	switch {
	case !text:
		return broken(fmt.Sprintf("%q is not text", field))
	case secret == "":
		return broken(fmt.Sprintf("%q is empty", field))
	}
	user := userField(f)
	username, text := values[user].(string)
	switch {
	case user == field:
		username = ""
	case !text && values[user] != nil:
		return broken(fmt.Sprintf("%q is not text", user))
	}
	return Entry{Username: username, Secret: NewSecret(secret)}, nil
}

// pickJSON is pick for an entry that is one text. The text is a JSON object
// with the fields if fields.Secret is configured, or if it has user name and
// "Password"; any other is the secret itself.
func (l link) pickJSON(name, text string, f Fields) (Entry, error) {
	values, isObject := object(text)
	switch {
	case f.Secret != "" && !isObject:
		return Entry{}, l.refusal("read "+name, ErrBroken, fmt.Sprintf("it is no JSON object, so it has no field %q", f.Secret), "write it as one, or take fields: away from the store")
	case f.Secret != "" || isText(values[userField(f)]) && isText(values[passwordField]):
		return l.pick(name, values, f)
	case text == "":
		return Entry{}, l.refusal("read "+name, ErrBroken, "it is empty", "write the secret into it")
	}
	return Entry{Secret: NewSecret(text)}, nil
}

// fill returns values with e in them, in the layout that pick finds there, so
// that pick gives e back. Other fields stay as they are. A new entry with a user
// name has "Username" and "Password"; one without has one field that is named
// like the entry, as Orchestrator wants a robot's password.
func fill(name string, values map[string]any, f Fields, e Entry) map[string]any {
	user := userField(f)
	field, found := secretField(name, values, f)
	switch {
	case found && (field != user || e.Username == ""):
	case f.Secret != "":
		field = f.Secret
	case len(values) == 0 && e.Username == "":
		field = lastSegment(name)
	default:
		field = passwordField
	}
	filled := maps.Clone(values)
	if filled == nil {
		filled = map[string]any{}
	}
	if _, has := filled[user]; has || e.Username != "" {
		filled[user] = e.Username
	}
	filled[field] = e.Secret.Reveal()
	return filled
}

// secretField is the field that holds the secret, and whether there is one.
func secretField(name string, values map[string]any, f Fields) (string, bool) {
	has := func(field string) bool { _, ok := values[field]; return ok }
	if f.Secret != "" {
		return f.Secret, has(f.Secret)
	}
	user, named := userField(f), lastSegment(name)
	for _, field := range []string{passwordField, named} {
		if has(field) && field != user {
			return field, true
		}
	}
	others := slices.DeleteFunc(slices.Collect(maps.Keys(values)), func(field string) bool { return field == user })
	if len(others) == 0 && named == user && has(user) { // an entry that is itself named Username
		return user, true
	}
	if len(others) != 1 {
		return "", false
	}
	return others[0], true
}

func userField(f Fields) string { return cmp.Or(f.Username, usernameField) }

func lastSegment(name string) string { return name[strings.LastIndex(name, "/")+1:] }

func isText(value any) bool {
	_, ok := value.(string)
	return ok
}

// object reads a text that is one JSON object and nothing else.
func object(text string) (map[string]any, bool) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var values map[string]any
	if decoder.Decode(&values) != nil || values == nil {
		return nil, false
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	return values, true
}

// toldFields names the fields that are there. They are quoted, for they are
// the server's text.
func toldFields(values map[string]any) string {
	if len(values) == 0 {
		return "it has no fields"
	}
	var told []string
	for _, field := range slices.Sorted(maps.Keys(values)) {
		if len(told) == mostFieldsTold {
			told = append(told, "…")
			break
		}
		told = append(told, fmt.Sprintf("%.64q", field))
	}
	return "it has " + strings.Join(told, ", ")
}

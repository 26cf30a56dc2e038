package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// azure is an Azure Key Vault:
//
//	name ─► azsecrets ─► wire ─► egress ─► vault: 401, and whose tokens it takes
//	           │                             ▲
//	           └─► azurePass ─► azidentity ─► wire ─► egress ─► Entra, or the machine's own endpoint
//
// The newest version of a secret is read. An entry is the secret as it is, or a
// JSON object with user name and secret.
//
// Microsoft: "Key Vault REST API reference", "About Azure Key Vault secrets".
type azure struct {
	link
	fields Fields
	write  bool
	now    func() time.Time
	login  azureLogin

	mu     sync.Mutex
	client *azsecrets.Client // made at first use; it has the token
}

const (
	// azureNobody is asked for by Check. It need not exist, and may.
	azureNobody = "keytender-check"

	mostOfAzure = 25 << 10 // bytes of a secret
)

func openAzure(c Config, o Options) (asked, error) {
	o = o.filled()
	l, err := newLink(c, o)
	if err != nil {
		return nil, err
	}
	if len(l.at.path) > 0 {
		return nil, wrong("url", "a key vault has no path: write azure://VAULT-NAME, and the secret's name at the profile")
	}
	login, err := openAzureLogin(c)
	if err := cmp.Or(err, c.Fields.check(), ignoreEnvironment()); err != nil {
		return nil, err
	}
	return &azure{link: l, fields: c.Fields, write: c.Write, now: o.Now, login: login}, nil
}

var azureName = regexp.MustCompile(`^[a-zA-Z0-9-]{1,127}$`)

// checkAzureName refuses what Key Vault has no secret of.
func checkAzureName(name string) error {
	if !azureName.MatchString(name) {
		return fmt.Errorf("entry name %.140q: a key vault's secrets have letters, digits and \"-\" in their names, 127 at most", name)
	}
	return nil
}

func (a *azure) Get(ctx context.Context, name string) (Entry, error) {
	op := "read " + name
	secret, err := a.newest(ctx, op, name)
	if err != nil {
		return Entry{}, err
	}
	at, now := secret.Attributes, a.now()
	if err := a.usable(op, at, now); err != nil {
		return Entry{}, err
	}
	e, err := a.pickJSON(name, orZero(secret.Value), a.fields)
	if err != nil {
		return Entry{}, err
	}
	// A version's value never changes; what changes it later is about labels.
	e.Changed = orZero(cmp.Or(at.Created, at.Updated)).UTC()
	if at.Expires != nil {
		e.Lease = at.Expires.Sub(now)
	}
	return e, nil
}

// newest reads the newest version of a secret. Its attributes are set.
func (a *azure) newest(ctx context.Context, op, name string) (azsecrets.Secret, error) {
	var found azsecrets.Secret
	err := a.ask(ctx, op, func(ctx context.Context, c *azsecrets.Client) error {
		answer, err := c.GetSecret(ctx, name, "", nil)
		found = answer.Secret
		return err
	})
	if found.Attributes == nil {
		found.Attributes = &azsecrets.SecretAttributes{}
	}
	return found, err
}

// usable refuses a secret that its owners have not released, or no longer do.
// Key Vault itself hands out one whose time is not now.
func (a *azure) usable(op string, at *azsecrets.SecretAttributes, now time.Time) error {
	const day = "2 January 2006 15:04 MST"
	switch {
	case at.Enabled != nil && !*at.Enabled:
		return a.disabled(op)
	case at.NotBefore != nil && now.Before(*at.NotBefore):
		return a.refusal(op, ErrBroken, "it is not valid before "+at.NotBefore.UTC().Format(day), "wait, or change its activation date in Key Vault")
	case at.Expires != nil && !now.Before(*at.Expires):
		return a.refusal(op, ErrBroken, "it expired on "+at.Expires.UTC().Format(day), "make a new version of it in Key Vault, or change its expiration date")
	}
	return nil
}

func (a *azure) disabled(op string) error {
	return a.refusal(op, ErrBroken, "its newest version is disabled", "enable it in Key Vault, or make a new version")
}

func (a *azure) Put(ctx context.Context, name string, e Entry) error {
	op := "store " + name
	if !a.write {
		return a.readOnly(op)
	}
	if !utf8.ValidString(e.Secret.Reveal()) || !utf8.ValidString(e.Username) {
		return fmt.Errorf("store %s: the secret is not text (UTF-8)", name)
	}
	was, err := a.newest(ctx, op, name)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBroken) { // broken: disabled
		return err
	}
	value, isObject, err := a.laidOut(name, orZero(was.Value), e)
	if err != nil {
		return err
	}
	if len(value) > mostOfAzure {
		return fmt.Errorf("store %s: the entry has %d bytes: Key Vault takes at most %d", name, len(value), mostOfAzure)
	}
	now := azsecrets.SetSecretParameters{Value: &value, ContentType: was.ContentType, Tags: was.Tags}
	if isObject && now.ContentType == nil {
		now.ContentType = new("application/json")
	}
	return a.ask(ctx, op, func(ctx context.Context, c *azsecrets.Client) error {
		_, err := c.SetSecret(ctx, name, now, nil)
		return err
	})
}

// laidOut is e as it is to be written where was stands: as a JSON object where
// one stands there in whose fields Get looks, or where the secret alone would
// not say everything or would be taken for such an object.
func (a *azure) laidOut(name, was string, e Entry) (value string, isObject bool, err error) {
	secret := e.Secret.Reveal()
	values, holds := a.holdsFields(was)
	_, looks := a.holdsFields(secret)
	if a.fields.Secret == "" && e.Username == "" && !holds && !looks {
		return secret, false, nil
	}
	if !holds && a.fields.Secret == "" {
		values = map[string]any{userField(a.fields): "", passwordField: ""}
	}
	var object strings.Builder
	encoder := json.NewEncoder(&object)
	encoder.SetEscapeHTML(false) // people read it in Azure's portal
	if err := encoder.Encode(fill(name, values, a.fields, e)); err != nil {
		return "", false, errors.New("encode the entry " + name)
	}
	return strings.TrimSpace(object.String()), true, nil
}

// holdsFields tells whether a text is an object in whose fields pickJSON looks.
func (a *azure) holdsFields(text string) (values map[string]any, holds bool) {
	values, isObject := object(text)
	return values, isObject && (a.fields.Secret != "" || isText(values[userField(a.fields)]) && isText(values[passwordField]))
}

// Delete leaves the secret in the vault's trash, from where it can be recovered
// until its time is over or it is purged. Until then nothing of its name can be
// written.
func (a *azure) Delete(ctx context.Context, name string) error {
	op := "delete " + name
	if !a.write {
		return a.readOnly(op)
	}
	err := a.ask(ctx, op, func(ctx context.Context, c *azsecrets.Client) error {
		_, err := c.DeleteSecret(ctx, name, nil)
		if h := hearing(ctx); h.vaults(http.StatusConflict, "ObjectIsBeingDeleted") {
			return nil
		}
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Check asks for a secret that need not be there. An agent that may read some
// secrets only is refused that one, and is in all the same.
func (a *azure) Check(ctx context.Context) error {
	err := a.ask(ctx, "check", func(ctx context.Context, c *azsecrets.Client) error {
		_, err := c.GetSecret(ctx, azureNobody, "", nil)
		if h := hearing(ctx); h.vaults(http.StatusForbidden, "ForbiddenByRbac", "ForbiddenByPolicy", "AccessDenied") {
			return nil
		}
		return err
	})
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrBroken) {
		return nil
	}
	return err
}

// Close forgets the token. Entra has no way to end it before its time.
func (a *azure) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.client = nil
	return nil
}

// ask has a question asked and tells in our words what came of it. The client
// logs in where it must, and anew where the vault knows its token no more.
func (a *azure) ask(ctx context.Context, op string, question func(context.Context, *azsecrets.Client) error) error {
	c, err := a.vault()
	if err != nil {
		return a.refusal(op, ErrUnavailable, err.Error(), "check ca at the store in config.yaml")
	}
	ctx, h := listening(ctx)
	if err := question(ctx, c); err != nil {
		return a.told(ctx, op, h, err)
	}
	return nil
}

// vault is the client. Its errors are about files that config.yaml names.
func (a *azure) vault() (*azsecrets.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		return a.client, nil
	}
	way, err := a.link.client(nil)
	if err != nil {
		return nil, err
	}
	pass, err := a.pass(way)
	if err != nil {
		return nil, err
	}
	options := &azsecrets.ClientOptions{ClientOptions: azureOptions(&wire{client: way, origin: a.at.origin(), link: a.link})}
	c, err := azsecrets.NewClient(a.at.origin(), pass, options)
	if err == nil {
		a.client = c
	}
	return c, err
}

// azureOptions are those of each of the vendor's clients: our way out, under our
// name, and no retries, for the agent has its own.
func azureOptions(w *wire) azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: w,
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
}

func orZero[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

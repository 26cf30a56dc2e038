package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"keytender/vault/egress"
)

// hashicorp is a HashiCorp Vault, or an OpenBao, which has the same API:
//
//	hashicorp://host[:port]/MOUNT[/path…]
//
// An entry is below the path of the mount: MOUNT/[data/]path/NAME with the KV
// engines, MOUNT/creds/path/NAME with that of Active Directory, which makes its
// passwords itself. See the vendor's "KV v1", "KV v2" and "AD" API pages.
type hashicorp struct {
	link
	login     Login
	namespace string
	fields    Fields
	write     bool
	now       func() time.Time

	asking turn   // who has it may ask about the mount
	mount  *mount // nil: not known yet

	entering turn      // who has it may log in
	current  *standing // nil: not logged in
	owned    sync.WaitGroup
	closing  sync.Once
}

func openHashiCorp(c Config, o Options) (asked, error) {
	l, err := newLink(c, o)
	if err != nil {
		return nil, err
	}
	if len(l.at.path) == 0 {
		return nil, wrong("url", "the mount is missing: write hashicorp://host/MOUNT/…")
	}
	if err := checkHashiCorpName(strings.Join(l.at.path, "/")); err != nil {
		return nil, wrong("url", "%w", err)
	}
	if err := checkHashiCorp(c); err != nil {
		return nil, err
	}
	h := &hashicorp{
		link: l, login: c.Login, namespace: c.Namespace, fields: c.Fields, write: c.Write, now: o.Now,
		asking: newTurn(), entering: newTurn(),
	}
	if c.Engine != "" {
		h.mount = &mount{path: l.at.path[0], engine: c.Engine, below: l.at.path[1:]}
	}
	return h, nil
}

func checkHashiCorp(c Config) error {
	if err := checkHashiCorpLogin(c); err != nil {
		return err
	}
	if c.Engine != "" && !slices.Contains([]string{kv1, kv2, ad}, c.Engine) {
		return wrong("engine", "%q: there are kv1, kv2 and ad; without it the server is asked", c.Engine)
	}
	if c.Engine == ad && c.Write {
		return wrong("write", "the ad engine makes its passwords itself, and none can be written there")
	}
	if c.Namespace != "" && checkSharedName(strings.Trim(c.Namespace, "/")) != nil {
		return wrong("namespace", "%q is no namespace", c.Namespace)
	}
	return c.Fields.check()
}

// checkHashiCorpName refuses also what KV v1 itself refuses.
func checkHashiCorpName(name string) error {
	if strings.Contains(name, "..") {
		return fmt.Errorf(`entry name %q: ".." is not allowed`, name)
	}
	return checkSharedName(name)
}

func (h *hashicorp) Get(ctx context.Context, name string) (Entry, error) {
	m, err := h.found(ctx)
	if err != nil {
		return Entry{}, err
	}
	held, err := h.read(ctx, m, name)
	if err != nil {
		return Entry{}, err
	}
	if held.missing != "" {
		return Entry{}, h.refusal("read "+name, ErrNotFound, held.missing, "")
	}
	fields := h.fields
	if m.engine == ad && fields == (Fields{}) {
		fields = Fields{Username: "username", Secret: "current_password"}
	}
	e, err := h.pick(name, held.values, fields)
	if err != nil {
		return Entry{}, err
	}
	e.Changed, e.Lease = held.changed, held.lease
	return e, nil
}

// held is what the server has under a name.
type held struct {
	values  map[string]any
	missing string // why there are no values
	version json.Number
	changed time.Time
	lease   time.Duration
}

func (h *hashicorp) read(ctx context.Context, m mount, name string) (held, error) {
	q := request{op: "read " + name, method: http.MethodGet, path: m.entry(name)}
	answer, err := h.ask(ctx, q)
	if err != nil {
		return held{}, err
	}
	switch {
	case answer == nil:
		return held{missing: "nothing is at " + q.path}, nil
	case answer.Data == nil: // the engine's warning in its place
		return held{missing: "nothing can be at " + q.path + ", for the mount is of another kind than engine: at the store says"}, nil
	case m.engine != kv2:
		return held{values: answer.Data, lease: time.Duration(answer.LeaseDuration) * time.Second}, nil
	}
	metadata, _ := answer.Data["metadata"].(map[string]any)
	found := held{}
	found.version, _ = metadata["version"].(json.Number)
	if at, ok := metadata["created_time"].(string); ok {
		found.changed, _ = time.Parse(time.RFC3339Nano, at)
	}
	var ok bool
	if found.values, ok = answer.Data["data"].(map[string]any); !ok {
		found.missing = "its newest version was deleted"
	}
	return found, nil
}

// Put keeps the entry's other fields. With KV v2 it is refused if somebody
// changed the entry since they were read; KV v1 has no means for that.
func (h *hashicorp) Put(ctx context.Context, name string, e Entry) error {
	op := "store " + name
	m, err := h.writable(ctx, op)
	if err != nil {
		return err
	}
	if !utf8.ValidString(e.Secret.Reveal() + e.Username) {
		return fmt.Errorf("%s: the secret or its user name is not text (UTF-8)", op)
	}
	before, err := h.read(ctx, m, name)
	if err != nil {
		return err
	}
	return h.replace(ctx, m, name, before, e)
}

// replace writes e over what was read before.
func (h *hashicorp) replace(ctx context.Context, m mount, name string, before held, e Entry) error {
	q := request{op: "store " + name, method: http.MethodPut, path: m.entry(name)}
	var err error
	if q.body, err = m.encode(before, fill(name, before.values, h.fields, e)); err != nil {
		return fmt.Errorf("%s: %w", q.op, err)
	}
	_, err = h.try(ctx, q)
	if status(err) == http.StatusBadRequest && m.engine == kv2 {
		if after, err := h.read(ctx, m, name); err == nil && after.version != before.version {
			return h.refusal(q.op, ErrUnavailable, "somebody changed the entry meanwhile", "try again")
		}
	}
	return h.told(ctx, q, err)
}

// envelope is room for what the server adds to an entry in its answer.
const envelope = 16 << 10

// encode makes the body of a write, and refuses what could not be read back.
func (m mount) encode(before held, values map[string]any) ([]byte, error) {
	var body any = values
	if m.engine == kv2 {
		version := before.version
		if version == "" {
			version = "0" // there must be none
		}
		body = map[string]any{"options": map[string]any{"cas": version}, "data": values}
	}
	text, err := json.Marshal(body)
	switch {
	case err != nil: // which could show a value
		return nil, errors.New("the entry cannot be written as JSON")
	case len(text) > egress.MaxBody-envelope: // the server's answer is escaped like this
		return nil, errors.New("the entry would be too long to be read back: at most 1 MiB with all its fields")
	}
	return text, nil
}

// Delete removes the entry with all its versions: what "data/" deletes can be
// undeleted.
func (h *hashicorp) Delete(ctx context.Context, name string) error {
	op := "delete " + name
	m, err := h.writable(ctx, op)
	if err != nil {
		return err
	}
	_, err = h.ask(ctx, request{op: op, method: http.MethodDelete, path: m.whole(name)})
	return err
}

// writable is found for what changes an entry.
func (h *hashicorp) writable(ctx context.Context, op string) (mount, error) {
	if !h.write {
		return mount{}, h.readOnly(op)
	}
	m, err := h.found(ctx)
	if err == nil && m.engine == ad {
		err = h.refusal(op, ErrReadOnly, "the ad engine makes its passwords itself", "")
	}
	return m, err
}

// Check logs in, or asks whether the login still holds.
func (h *hashicorp) Check(ctx context.Context) error {
	s, fresh, err := h.enter(ctx, nil)
	if err == nil && !fresh {
		var holds bool
		if holds, err = h.holds(ctx, s); err == nil && !holds {
			_, _, err = h.enter(ctx, s)
		}
	}
	if err == nil {
		_, err = h.found(ctx)
	}
	return err
}

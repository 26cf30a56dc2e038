package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"keytender/vault/egress"
)

// AuthConfig says where an Orchestrator answers its authentication configuration
// and where in that JSON the parts are. Nobody has seen the vendor's form of it,
// so there is no default and it is asked only where configured.
type AuthConfig struct {
	Path            string // below the Orchestrator's base, with a leading slash
	IdentityPointer string // JSON pointer (RFC 6901) to Identity's address, or its path on the Orchestrator's server
	GrantsPointer   string // JSON pointer to the list of grants; "": the answer has none
}

// told is the step of the Orchestrator's own answer. Where there is none (404),
// discovery follows, with a warning. The identity it names must have the
// Orchestrator's origin and is asked for its discovery document.
func (s *search) told(ctx context.Context) (Resolution, error) {
	from := s.Orchestrator.Base + s.AuthConfig.Path
	if !strings.HasPrefix(s.AuthConfig.Path, "/") || strings.ContainsFunc(s.AuthConfig.Path, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return Resolution{}, s.refuse("auth_config: path must begin with a slash and be visible ASCII", "correct config.yaml; other letters go percent-encoded")
	}
	status, _, body, err := s.get(ctx, from)
	if err != nil {
		return Resolution{}, err
	}
	if status == http.StatusNotFound {
		s.warning = from + " answered 404: the Identity Server was found by discovery"
		return s.guessed(ctx)
	}
	identity, granted, err := s.AuthConfig.read(body, s.Grant)
	if status != http.StatusOK {
		err = fmt.Errorf("it answered %d", status)
	}
	if err != nil {
		return Resolution{}, s.refuse(from+": "+err.Error(), "correct auth_config in config.yaml, or leave it out")
	}
	base, err := s.below(identity)
	if err != nil {
		return Resolution{}, s.refuse(from+": "+err.Error(), "name the Identity Server with --identity")
	}
	doc, err := s.document(ctx, base+wellKnown)
	if missing, ok := errors.AsType[*noDocument](err); ok {
		return Resolution{}, s.nothing([]*noDocument{missing}, nil)
	}
	if err != nil {
		return Resolution{}, err
	}
	return s.local(doc, "the Orchestrator's own answer at "+from, granted)
}

// below is an address that the Orchestrator named, if it is on its own server.
func (s *search) below(identity string) (string, error) {
	if strings.HasPrefix(identity, "/") {
		identity = s.Orchestrator.Origin + identity
	}
	u, err := egress.CheckURL(identity)
	if err != nil {
		return "", fmt.Errorf("the identity it names: %w", err)
	}
	if egress.Origin(u) != s.Orchestrator.Origin {
		return "", fmt.Errorf("the identity it names is on another server: %s", egress.Origin(u))
	}
	return place(u), nil
}

// read takes identity and the confirmation of grant from the answer.
func (a *AuthConfig) read(body []byte, grant string) (identity string, granted bool, err error) {
	var answer any
	if json.Unmarshal(body, &answer) != nil {
		return "", false, errors.New("the answer is not JSON")
	}
	identity, ok := at(answer, a.IdentityPointer).(string)
	if !ok {
		return "", false, errors.New("there is no address at identity_pointer")
	}
	if a.GrantsPointer == "" {
		return identity, false, nil
	}
	if !holds(at(answer, a.GrantsPointer), grant) {
		return "", false, fmt.Errorf("%s is not among the grants at grants_pointer", grant)
	}
	return identity, true, nil
}

// holds tells whether v is the grant, or a list that has it.
func holds(v any, grant string) bool {
	if list, ok := v.([]any); ok {
		for _, each := range list {
			if each == any(grant) {
				return true
			}
		}
		return false
	}
	text, ok := v.(string)
	return ok && text == grant
}

// at follows a JSON pointer; nil if it leads nowhere.
func at(v any, pointer string) any {
	if pointer == "" {
		return v
	}
	first, found := strings.CutPrefix(pointer, "/")
	if !found {
		return nil
	}
	for part := range strings.SplitSeq(first, "/") {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		switch held := v.(type) {
		case map[string]any:
			v = held[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(held) {
				return nil
			}
			v = held[i]
		default:
			return nil
		}
	}
	return v
}

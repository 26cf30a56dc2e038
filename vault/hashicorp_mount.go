package vault

import (
	"context"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"
)

// mount is where a secrets engine answers.
type mount struct {
	path   string
	engine string   // kv1, kv2 or ad
	below  []string // where the entries are
}

// The kinds of secrets engine, as config.yaml names them.
const (
	kv1 = "kv1"
	kv2 = "kv2"
	ad  = "ad"
)

// found is the mount, about which the server is asked once, if the
// configuration does not tell. That takes no more right than to any path below.
func (h *hashicorp) found(ctx context.Context) (mount, error) {
	if err := h.asking.take(ctx); err != nil {
		return mount{}, h.unanswered(ctx, "look for the mount", err)
	}
	defer h.asking.give()
	if h.mount != nil {
		return *h.mount, nil
	}
	whole := strings.Join(h.at.path, "/")
	q := request{op: "look for the mount", method: http.MethodGet, path: "sys/internal/ui/mounts/" + whole}
	answer, err := h.try(ctx, q)
	switch {
	case status(err) == http.StatusForbidden || err == nil && answer == nil:
		return mount{}, h.refusal(q.op, ErrDenied, "there is none at "+whole+", or the login has no right below it, so the server does not tell its kind",
			"check the url's path and the policy; where the server tells nobody, write engine: kv1, kv2 or ad at the store")
	case err != nil:
		return mount{}, h.told(ctx, q, err)
	}
	m, ok := mountOf(answer, whole)
	if !ok {
		return mount{}, h.refusal(q.op, ErrUnavailable, "what is at "+whole+" is no engine of kind kv or ad", "check the url's path")
	}
	h.mount = &m
	return m, nil
}

// mountOf is the mount that the server tells of, which may have a path of more
// than one part.
func mountOf(answer *api.Secret, whole string) (mount, bool) {
	path, _ := answer.Data["path"].(string)
	kind, _ := answer.Data["type"].(string)
	options, _ := answer.Data["options"].(map[string]any)
	m := mount{path: strings.Trim(path, "/"), engine: map[string]string{"kv": kv1, "generic": kv1, "ad": ad}[kind]}
	if m.engine == kv1 && options["version"] == "2" {
		m.engine = kv2
	}
	below, inside := strings.CutPrefix(whole+"/", m.path+"/")
	if below = strings.Trim(below, "/"); below != "" {
		m.below = strings.Split(below, "/")
	}
	return m, inside && m.path != "" && m.engine != ""
}

// entry is the path of an entry. The client escapes it.
func (m mount) entry(name string) string {
	return m.at(map[string]string{kv2: "data", ad: "creds"}[m.engine], name)
}

// whole is the path of an entry with all its versions.
func (m mount) whole(name string) string {
	return m.at(map[string]string{kv2: "metadata"}[m.engine], name)
}

func (m mount) at(section, name string) string {
	parts := []string{m.path}
	if section != "" {
		parts = append(parts, section)
	}
	return strings.Join(append(append(parts, m.below...), name), "/")
}

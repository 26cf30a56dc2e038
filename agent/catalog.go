package agent

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"keytender/agent/api"
)

// catalog is every profile that is live: declared and paired. It is never
// changed; a new one takes its place.
type catalog struct {
	profiles map[string]*profile
	standard string // the profile of requests that name none, or ""
}

// newCatalog merges what config.yaml declares with what the state holds. The
// same name in both is an error: nobody could tell which one serves.
func newCatalog(c Config, pairedOnes []*profile) (*catalog, error) {
	made := &catalog{profiles: map[string]*profile{}, standard: c.DefaultProfile}
	for name, config := range c.Profiles {
		p, _, err := declared(name, config, c)
		if err != nil {
			return nil, fmt.Errorf("profile %q: %w", name, err)
		}
		made.profiles[name] = p
	}
	for _, p := range pairedOnes {
		if _, taken := made.profiles[p.Name]; taken {
			return nil, fmt.Errorf(`profile %q is declared in config.yaml and paired as well: remove it from config.yaml, or move its state away with "keytender unpair %s"`, p.Name, p.Name)
		}
		made.profiles[p.Name] = p
	}
	if made.standard == "" && len(made.profiles) == 1 {
		for name := range made.profiles {
			made.standard = name
		}
	}
	return made, nil
}

// keep takes over from the old catalog what is the same, so that whoever is at work
// with such a profile finds it unchanged.
func (c *catalog) keep(old *catalog) {
	for name, p := range c.profiles {
		if was := old.profiles[name]; reflect.DeepEqual(p, was) {
			c.profiles[name] = was
		}
	}
}

// names are the profiles in order.
func (c *catalog) names() []string { return slices.Sorted(maps.Keys(c.profiles)) }

// pick is the profile of a request: the one it names, or the default.
func (c *catalog) pick(name string) (*profile, error) {
	if name == "" {
		name = c.standard
	}
	if p, ok := c.profiles[name]; ok {
		return p, nil
	}
	switch {
	case len(c.profiles) == 0:
		return nil, &api.Error{Code: api.NotPaired, Description: "no profile is paired", Hint: `run "keytender pair NAME --kind robot --url URL --client-id ID"`, Profile: name}
	case name == "":
		return nil, &api.Error{Code: api.InvalidRequest, Description: "there are several profiles and no default_profile", Hint: "name one of " + strings.Join(c.names(), ", "), Field: "profile"}
	default:
		return nil, &api.Error{Code: api.NotPaired, Description: fmt.Sprintf("profile %q is not paired", name), Hint: fmt.Sprintf(`run "keytender pair %s", or name one of %s`, name, strings.Join(c.names(), ", ")), Profile: name}
	}
}

// changed are the names of profiles that are not the same in both catalogs, and
// moved those that are but for the secret or the place where it rests: their
// tokens are as good as before, unless the client id rests there too.
func (c *catalog) changed(old *catalog) (changed, moved []string) {
	for _, name := range c.names() {
		p, was := c.profiles[name], old.profiles[name]
		moves := was != nil && (p.Entry != was.Entry || p.Store != was.Store)
		switch {
		case was == nil, !p.sameClient(was), p.Found != was.Found, moves && p.ClientIDFrom != "":
			changed = append(changed, name)
		case moves:
			moved = append(moved, name)
		}
	}
	for _, name := range old.names() {
		if c.profiles[name] == nil {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed, moved
}

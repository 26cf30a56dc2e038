package vault

import (
	"maps"
	"slices"
	"testing"

	"keytender/vault/vaulttest"
)

// TestConjurAsTheVendorsClientHasIt: CyberArk's own client and the store find
// under every name what the other wrote, and are refused alike. It is what says
// that the fake is like a Conjur in what both use of it.
func TestConjurAsTheVendorsClientHasIt(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	p := conjurPlace(t, fake)
	ours, theirs := map[string]string{}, map[string]string{}
	for i, name := range []string{"bot", "team/bot", "Größe 日本", "a?b#c", "a%2Fb", "a+b&c=d", "x.y_z~", "a:b", "$(x)'\""} {
		ours[name] = canary + name
		theirs[idOf(name)] = canary + string(rune('a'+i)) + "=&%zz\n"
		p.put(t, name, account("", ours[name]))
	}
	ids := slices.Collect(maps.Keys(theirs))
	host := vaulttest.ConjurOrder{Login: vaulttest.ConjurLogin, Key: fake.Key(), Get: ids}

	read := fake.ByVendorsClient(t, host)
	for name, secret := range ours {
		if read.Values[idOf(name)] != secret {
			t.Errorf("the vendor's client reads %q under %s", read.Values[idOf(name)], name)
		}
	}
	if wrote := fake.ByVendorsClient(t, vaulttest.ConjurOrder{Login: host.Login, Key: host.Key, Set: theirs}); len(wrote.Status) > 0 {
		t.Errorf("refused: %v", wrote.Status)
	}
	for name := range ours {
		sameEntry(t, name, get(t, p.open(t), name), account("", theirs[idOf(name)]))
	}

	fake.Declare("valueless")
	fake.Set("seen", canary)
	fake.Permit("seen", "read")
	fake.Set("data/dynamic/x", canary)
	refused := fake.ByVendorsClient(t, vaulttest.ConjurOrder{
		Login: host.Login, Key: host.Key, Get: []string{"missing", "valueless", "seen"},
		Set: map[string]string{"blank": " ", "data/dynamic/x": "y"},
	})
	if want := (map[string]int{"missing": 404, "valueless": 404, "seen": 403, "blank": 404, "data/dynamic/x": 405}); !maps.Equal(refused.Status, want) {
		t.Errorf("the vendor's client is told %v, want %v", refused.Status, want)
	}

	fake.Trust("k8s", "", "head.body.sig")
	fake.Trust("k8s", "host/apps/robots", "head.body.sig")
	for _, o := range []vaulttest.ConjurOrder{
		{Service: "k8s", JWT: "head.body.sig", Get: ids[:1]},
		{Service: "k8s", JWT: "head.body.sig", Login: "host/apps/robots", Get: ids[:1]},
	} {
		if done := fake.ByVendorsClient(t, o); len(done.Status) > 0 || done.Values[ids[0]] != theirs[ids[0]] {
			t.Errorf("by JWT %q: %v", o.Login, done.Status)
		}
	}
	for _, o := range []vaulttest.ConjurOrder{
		{Login: host.Login, Key: "wrong", Get: ids[:1]},
		{Service: "k8s", JWT: "other", Get: ids[:1]},
		{Service: "none", JWT: "head.body.sig", Get: ids[:1]},
	} {
		if done := fake.ByVendorsClient(t, o); done.Status[ids[0]] != 401 {
			t.Errorf("%+v: %v, want 401", o, done.Status)
		}
	}
}

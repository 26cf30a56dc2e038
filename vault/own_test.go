package vault

import (
	"testing"
	"time"
)

func TestSealedIsAStore(t *testing.T) {
	testStore(t, place{config: Config{URL: "sealed:", Key: "file:" + initKey(t)}, options: Options{Dir: t.TempDir()}})
}

func TestMemoryIsAStore(t *testing.T) {
	testStore(t, place{config: Config{URL: "memory:"}, only: own{newMemory()}})
}

// TestOriginsRestWithTheSecret: what the agent's own stores give back says
// where the secret may be sent.
func TestOriginsRestWithTheSecret(t *testing.T) {
	p := place{config: Config{URL: "sealed:", Key: "file:" + initKey(t)}, options: Options{Dir: t.TempDir()}}
	p.put(t, "a", Entry{Username: "id", Secret: NewSecret(canary), Origins: []string{"https://host", "https://host:8443"}, Changed: time.Now(), Lease: time.Hour})
	e := get(t, p.open(t), "a")
	if len(e.Origins) != 2 || e.Origins[1] != "https://host:8443" || e.Username != "id" || !e.Changed.IsZero() || e.Lease != 0 {
		t.Errorf("it comes back as %+v", e)
	}
}

// TestForeignTextIsBroken: what another program put under the agent's name in
// the keyring is not taken for a secret, and not shown.
func TestForeignTextIsBroken(t *testing.T) {
	texts := newMemory()
	for _, text := range []string{canary, `{"secret":"` + canary + `"}`, `{"keytender":2,"secret":"` + canary + `"}`, `{"keytender":1}`, "null", "[]"} {
		put(t, texts, "a", text)
		_, err := own{texts}.Get(t.Context(), "a")
		wantError(t, err, ErrBroken, "Keytender did not write it", "give the secret again")
	}
}

package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// entryMark opens the plaintext of every sealed file. The entry's name and a
// line feed follow, then the secret: a file that was renamed into the place of
// another does not open there.
const entryMark = "keytender entry 1\n"

// sealKey seals to one age identity and opens with any of several, so that a
// key can be changed by putting the new one on top.
type sealKey struct {
	to   age.Recipient
	from []age.Identity
}

// newSealKey returns a fresh age identity, in age's own encoding.
func newSealKey() (Secret, error) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return Secret{}, fmt.Errorf("make a seal key: %w", err)
	}
	return NewSecret(id.String()), nil
}

// parseSealKey reads age identities, one a line; "#" begins a comment.
func parseSealKey(s Secret) (sealKey, error) {
	ids, err := age.ParseIdentities(strings.NewReader(s.Reveal()))
	if err != nil {
		return sealKey{}, errors.New("not an age identity") // age's own words may quote the key
	}
	key := sealKey{from: ids}
	switch id := ids[0].(type) {
	case *age.HybridIdentity:
		key.to = id.Recipient()
	case *age.X25519Identity:
		key.to = id.Recipient()
	default:
		return sealKey{}, errors.New("an age identity of a kind that cannot seal")
	}
	return key, nil
}

// seal encrypts the entry name with its secret.
func (k sealKey) seal(name string, s Secret) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, k.to)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if _, err := io.WriteString(w, entryMark+name+"\n"+s.Reveal()); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return out.Bytes(), nil
}

// open undoes seal, and refuses what was not sealed as the entry name. Its
// errors wrap nothing and quote nothing of the file.
func (k sealKey) open(name string, data []byte) (Secret, error) {
	r, err := age.Decrypt(bytes.NewReader(data), k.from...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return Secret{}, errors.New("it was sealed with another key")
	}
	if err != nil {
		return Secret{}, errors.New("it is truncated, altered or not a sealed file")
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return Secret{}, errors.New("it is truncated or altered")
	}
	return unframe(name, string(plain))
}

func unframe(name, plain string) (Secret, error) {
	rest, ok := strings.CutPrefix(plain, entryMark)
	if !ok {
		return Secret{}, errors.New("it was not sealed by this program, or by a newer one")
	}
	found, value, ok := strings.Cut(rest, "\n")
	if !ok || value == "" {
		return Secret{}, errors.New("it holds no entry")
	}
	if found != name {
		return Secret{}, errors.New("it holds another entry")
	}
	return NewSecret(value), nil
}

package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"keytender/vault/atomicfile"
)

const (
	credentialName  = "keytender-seal" // of the systemd credential
	keyringSealName = "_seal"          // of the keyring entry; CheckName refuses it to others
	maxKeyFile      = 64 << 10

	initTodo = `make a key with "keytender store init sealed --key-file FILE"`
)

// keyHeader says, where the administrator sees it, what the key is worth.
const keyHeader = `# Seal key of Keytender (an age identity). Whoever reads it can open the sealed store.
# It guards backups and copies of the sealed files. It does not guard this disk:
# who can read both opens both. A systemd credential (host key or TPM) does more.
`

// InitSealed makes the key file that "sealed:" uses with the key "file:PATH",
// readable by its owner alone (0400). It refuses to replace anything.
// The file also serves as the plaintext of the systemd credential keytender-seal.
func InitSealed(keyFile string) error {
	key, err := newSealKey()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(keyFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the seal key: %s exists: it may be the only key to sealed entries: choose another name", keyFile)
	}
	if err != nil {
		return fmt.Errorf("make the seal key: %w", err)
	}
	if err := writeKey(f, key); err != nil {
		return fmt.Errorf("make the seal key: %w", errors.Join(err, os.Remove(keyFile)))
	}
	return nil
}

// writeKey writes, syncs and closes f.
func writeKey(f *os.File, key Secret) error {
	_, err := io.WriteString(f, keyHeader+key.Reveal()+"\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(f.Name()))
}

// keySource is where the key of a sealed store comes from. Errors are of kind
// ErrNoKey where the key is missing or refused.
type keySource interface {
	load(ctx context.Context) (Secret, error)
	// check is load without asking a person. With nothing sealed yet, a key
	// that make would make may be missing.
	check(ctx context.Context, nothingSealed bool) error
	// make makes a key where there was none and nothing has been sealed, or
	// tells who can.
	make(ctx context.Context) (Secret, error)
}

func openKeySource(c Config, o Options) (keySource, error) {
	path, isFile := strings.CutPrefix(c.Key, "file:")
	switch {
	case isFile && filepath.IsAbs(path):
		return fileKey{path}, nil
	case isFile:
		return nil, errors.New(`open the store "sealed:": its key is "file:" and an absolute path`)
	case c.Key == "", c.Key == "credential":
		return credentialKey{}, nil
	case c.Key == "keyring":
		return keyringKey{openKeyring(c, o)}, nil
	}
	return nil, errors.New(`open the store "sealed:": its key is "credential", "keyring" or "file:/PATH"`)
}

// credentialKey is a systemd credential, decrypted by systemd for this unit
// only (systemd.exec(5), LoadCredentialEncrypted=).
type credentialKey struct{}

func (credentialKey) load(context.Context) (Secret, error) {
	const todo = initTodo + `, encrypt it with "systemd-creds encrypt --name=` + credentialName +
		`" and name it in the unit's LoadCredentialEncrypted=; or name a key file`
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return Secret{}, &Error{Kind: ErrNoKey, Why: "systemd passed no credentials", Todo: todo}
	}
	// systemd decides who may read a credential, and its modes differ by version.
	s, err := readKeyFile(filepath.Join(dir, credentialName), func(os.FileInfo) error { return nil })
	if err != nil {
		return Secret{}, &Error{Kind: ErrNoKey, Why: "the systemd credential " + credentialName, Err: err, Todo: todo}
	}
	return s, nil
}

func (k credentialKey) check(ctx context.Context, _ bool) error {
	_, err := k.load(ctx)
	return err
}

func (k credentialKey) make(ctx context.Context) (Secret, error) { return k.load(ctx) }

// fileKey is a file that InitSealed made.
type fileKey struct{ path string }

func (k fileKey) load(context.Context) (Secret, error) {
	s, err := readKeyFile(k.path, ownKeyFile)
	if err == nil {
		return s, nil
	}
	todo := "make it a regular file of the agent's user, mode 0400"
	if errors.Is(err, fs.ErrNotExist) {
		todo = initTodo
	}
	return Secret{}, &Error{Kind: ErrNoKey, Err: err, Todo: todo}
}

func (k fileKey) check(ctx context.Context, _ bool) error {
	_, err := k.load(ctx)
	return err
}

func (k fileKey) make(ctx context.Context) (Secret, error) { return k.load(ctx) }

// keyringKey is an entry of the OS keyring, made by the first Put.
type keyringKey struct{ ring *keyring }

func (k keyringKey) load(ctx context.Context) (Secret, error) {
	s, err := k.ring.get(ctx, keyringSealName)
	if errors.Is(err, ErrNotFound) {
		return Secret{}, &Error{Kind: ErrNoKey, Why: "the key of the sealed files is not in the keyring",
			Todo: "restore the keyring from a backup, or remove the sealed files and store the secrets again"}
	}
	return s, err
}

func (k keyringKey) check(ctx context.Context, nothingSealed bool) error {
	if err := k.ring.Check(ctx); err != nil {
		return err
	}
	_, err := k.load(ctx)
	if nothingSealed && errors.Is(err, ErrNoKey) {
		return nil
	}
	return err
}

func (k keyringKey) make(ctx context.Context) (Secret, error) {
	s, err := newSealKey()
	if err != nil {
		return Secret{}, err
	}
	return s, k.ring.put(ctx, keyringSealName, s)
}

// readKeyFile reads a small regular file that check accepts. It looks at what
// it opened, so that nobody can exchange the file in between.
func readKeyFile(path string, check func(os.FileInfo) error) (Secret, error) {
	f, err := openKeyFile(path)
	if err != nil {
		return Secret{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Secret{}, err
	}
	if !info.Mode().IsRegular() {
		return Secret{}, fmt.Errorf("%s is not a regular file", path)
	}
	if err := check(info); err != nil {
		return Secret{}, fmt.Errorf("%s %w", path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return Secret{}, err
	}
	if len(data) > maxKeyFile {
		return Secret{}, fmt.Errorf("%s is larger than any key", path)
	}
	s := NewSecret(string(data))
	if _, err := parseSealKey(s); err != nil {
		return Secret{}, fmt.Errorf("%s is %w", path, err)
	}
	return s, nil
}

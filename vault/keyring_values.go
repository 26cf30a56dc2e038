package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// sealedMark begins an entry whose value is in a file; the file's key follows.
const sealedMark = "keytender-sealed-file:"

// keyringLimit is in bytes. Windows takes 2,560. go-keyring's macOS command
// line takes 4,096 for everything, the value in base64. A Secret Service takes
// any size and gets slow.
func keyringLimit(goos string) int {
	switch goos {
	case "windows":
		return 2560
	case "darwin":
		return 2700
	default:
		return 64 << 10
	}
}

// set reads first: on systems where go-keyring itself waits for a person it
// waits there, and what the caller no longer waits for is not stored later.
// With values in files the order of steps is such that a crash leaves the old
// value or the new one, and at worst a file that no key opens.
func (k *keyring) set(ctx context.Context, name string, s Secret) error {
	old, err := k.system.get(k.service, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	value := s.Reveal()
	if len(value) > k.limit || strings.HasPrefix(value, sealedMark) {
		return k.setInFile(name, s, fileKeyOf(old))
	}
	if err := k.system.set(k.service, name, value); err != nil {
		return err
	}
	return k.files.remove(name)
}

// fileKeyOf returns the key that an entry holds for its file, or nothing.
func fileKeyOf(entry string) Secret {
	key, inFile := strings.CutPrefix(entry, sealedMark)
	if !inFile {
		return Secret{}
	}
	return NewSecret(key)
}

// setInFile keeps the entry's key where it has one: then the file alone
// changes, at once.
func (k *keyring) setInFile(name string, s, key Secret) error {
	seal, err := parseSealKey(key)
	fresh := err != nil
	if fresh {
		if key, err = newSealKey(); err != nil {
			return err
		}
		if seal, err = parseSealKey(key); err != nil {
			return err
		}
	}
	data, err := seal.seal(name, s)
	if err != nil {
		return err
	}
	if err := k.files.write(name, data); err != nil {
		return err
	}
	if !fresh {
		return nil
	}
	return k.system.set(k.service, name, sealedMark+key.Reveal())
}

// unwrap returns the secret that an entry holds or leads to.
func (k *keyring) unwrap(name, value string) (Secret, error) {
	text, inFile := strings.CutPrefix(value, sealedMark)
	if !inFile {
		return NewSecret(value), nil
	}
	path := k.files.path(name)
	key, err := parseSealKey(NewSecret(text))
	if err != nil {
		return Secret{}, brokenFile(path, fmt.Errorf("the key in the keyring: %w", err))
	}
	data, err := k.files.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Secret{}, &Error{Kind: ErrBroken, Why: path + " is missing", Todo: "restore it from a backup, or store the secret again"}
	}
	if err != nil {
		return Secret{}, err
	}
	s, err := key.open(name, data)
	if err != nil {
		return Secret{}, brokenFile(path, err)
	}
	return s, nil
}

func (k *keyring) remove(ctx context.Context, name string) error {
	_, err := k.system.get(k.service, name) // where a person is needed, wait here
	if err == nil {
		if err = ctx.Err(); err == nil {
			err = k.system.remove(k.service, name)
		}
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return k.files.remove(name)
}

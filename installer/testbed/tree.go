// Package testbed knows what the tests need beside Go and the Debian packages of
// setup/debian.txt: real servers that others wrote, each in a directory of its
// own below the user's cache directory, named by a hash of what it is made from.
//
//	setup ──Make──► ~/.cache/keytender-test/NAME-HASH ◄──Find── tests
package testbed

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Tree is one directory of prepared things. It is found or made; it is never changed.
type Tree struct {
	Name string
	What string // for people, before it is installed
	Apt  bool   // comes from Debian's archive, so apt-get's lists must be fresh

	inputs []string // patterns of files whose content decides the hash; relative to the module's root
	made   string   // what else decides it: a compiler's version, say
	make   func(ctx context.Context, root, dir string) error
}

// Find returns the tree's directory, or an error that says how to get it.
func (t Tree) Find() (string, error) {
	dir, err := t.dir()
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", t.Name, err)
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf(`%s is not prepared: run "make test": %w`, t.Name, err)
	}
	return dir, nil
}

// Make makes the tree where it is missing. What fails leaves nothing behind.
func (t Tree) Make(ctx context.Context) error {
	if _, err := t.Find(); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, err := t.dir()
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "unfinished-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := t.make(ctx, root, unfinished); err != nil {
		return fmt.Errorf("prepare %s: %w", t.Name, err)
	}
	if err := os.Rename(unfinished, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (t Tree) dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintln(hash, t.Name, runtime.GOARCH, t.made)
	for _, input := range t.inputs {
		if !filepath.IsAbs(input) {
			input = filepath.Join(root, input)
		}
		files, err := filepath.Glob(input)
		if err != nil || len(files) == 0 {
			return "", fmt.Errorf("%s: %w", input, cmp.Or(err, fs.ErrNotExist))
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(hash, len(data))
			hash.Write(data)
		}
	}
	return filepath.Join(cache, "keytender-test", t.Name+"-"+hex.EncodeToString(hash.Sum(nil))[:16]), nil
}

// moduleRoot is the folder of go.mod: tests run in their package's folder and
// set-up in the top one, all of them inside the module.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module keytender\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not inside the module keytender")
		}
	}
}

func run(ctx context.Context, dir, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = dir
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, said)
	}
	return nil
}

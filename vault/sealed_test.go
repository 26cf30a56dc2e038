package vault

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Keys that exist nowhere but here.
const (
	classicKey = "AGE-SECRET-KEY-1H3XKLN5U6P6VPKGDLYDJK944Q7XS4GLR8MY9AKQKJA32W2L44MRS4LGV56"
	hybridKey  = "AGE-SECRET-KEY-PQ-1XZMA5G8EEDYZZGL67L2WUXYLSWR9KTDEXFJ0HMHZJTPRVFU7X9ESXUJ22G"
)

func TestSealedWithKeyFile(t *testing.T) {
	dir, keyFile := t.TempDir(), initKey(t)
	testTexts(t, func(t *testing.T) blobs {
		return mustOpen(t, Config{URL: "sealed:", Key: "file:" + keyFile}, Options{Dir: filepath.Join(dir, "made", "when", "needed")})
	})
}

func TestSealedWithCredential(t *testing.T) {
	dir := t.TempDir()
	for what, text := range map[string]string{
		"hybrid": hybridKey, "classic": classicKey + "\n",
		"several": "# new\n" + hybridKey + "\n\n# old\n" + classicKey + "\n",
	} {
		t.Run(what, func(t *testing.T) {
			setCredential(t, text)
			testTexts(t, func(t *testing.T) blobs {
				return mustOpen(t, Config{URL: "sealed:"}, Options{Dir: filepath.Join(dir, what)})
			})
		})
	}
}

func TestSealedFilesShowNothing(t *testing.T) {
	st, dir := sealedStore(t)
	put(t, st, "profile/invoices", canary)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != "profile+invoices.age" {
		t.Fatalf("directory holds %v, %v", files, err)
	}
	info, _ := os.Stat(filepath.Join(dir, files[0].Name()))
	parent, _ := os.Stat(dir)
	if info.Mode() != 0o600 || parent.Mode().Perm() != 0o700 {
		t.Errorf("modes %v in %v", info.Mode(), parent.Mode())
	}
	data := readFile(t, filepath.Join(dir, files[0].Name()))
	if bytes.Contains(data, []byte(canary)) || bytes.Contains(data, []byte("invoices")) {
		t.Error("the file shows what is in it")
	}
}

func TestSwappedFilesAreRefused(t *testing.T) {
	st, dir := sealedStore(t)
	put(t, st, "profile/a", canary+"a")
	put(t, st, "profile/b", canary+"b")
	a, b := filepath.Join(dir, "profile+a.age"), filepath.Join(dir, "profile+b.age")
	if err := os.Rename(a, b); err != nil {
		t.Fatal(err)
	}
	_, err := st.Get(t.Context(), "profile/b")
	wantError(t, err, ErrBroken, b, "another entry")
}

func TestDamagedFilesAreRefusedAndKept(t *testing.T) {
	st, dir := sealedStore(t)
	put(t, st, "a", canary)
	file := filepath.Join(dir, "a.age")
	good := readFile(t, file)
	refused := func(what string, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := st.Get(t.Context(), "a")
		if !s.IsZero() {
			t.Fatalf("%s: opened", what)
		}
		wantError(t, err, ErrBroken, file, "store the secret again")
		if !bytes.Equal(readFile(t, file), data) {
			t.Fatalf("%s: Get changed the file", what)
		}
	}
	for n := 0; n < len(good); n += 7 {
		refused("truncated", good[:n])
	}
	refused("truncated by one", good[:len(good)-1])
	for i := 0; i < len(good); i += 11 {
		altered := bytes.Clone(good)
		altered[i] ^= 0x20
		refused("altered", altered)
	}
	refused("longer", append(bytes.Clone(good), 'x'))
	refused("twice", append(bytes.Clone(good), good...))
	refused("plain text", []byte(canary))
	refused("marked plain text", []byte(entryMark+"a\n"+canary))

	put(t, st, "a", "healed") // the one thing that replaces it
	want(t, st, "a", "healed")
}

func TestHugeFileIsRefused(t *testing.T) {
	st, dir := sealedStore(t)
	put(t, st, "a", canary)
	if err := os.Truncate(filepath.Join(dir, "a.age"), 1<<30); err != nil {
		t.Fatal(err)
	}
	if s, err := st.Get(t.Context(), "a"); err == nil || !s.IsZero() {
		t.Fatalf("Get: %v", err)
	}
}

func TestOtherKeyIsTold(t *testing.T) {
	setCredential(t, classicKey)
	st := mustOpen(t, Config{URL: "sealed:"}, Options{Dir: t.TempDir()})
	put(t, st, "a", canary)
	setCredential(t, hybridKey)
	_, err := st.Get(t.Context(), "a")
	wantError(t, err, ErrBroken, "another key")
	setCredential(t, hybridKey+"\n"+classicKey) // a key is changed by putting the new one on top
	want(t, st, "a", canary)
}

func TestNoKey(t *testing.T) {
	dir := t.TempDir()
	set := func(text string) func() string { return func() string { return setCredential(t, text) } }
	for what, c := range map[string]struct {
		prepare func() string
		says    string
	}{
		"no credentials":  {func() string { t.Setenv("CREDENTIALS_DIRECTORY", ""); return "" }, "systemd passed no credentials"},
		"no credential":   {func() string { t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir()); return "" }, "no such file"},
		"empty":           {set(""), "not an age identity"},
		"random bytes":    {set("\x00\xff" + canary), "not an age identity"},
		"broken identity": {set(classicKey[:len(classicKey)-1] + "X"), "not an age identity"},
		"huge":            {set(strings.Repeat("#", maxKeyFile+1)), "larger than any key"},
	} {
		t.Run(what, func(t *testing.T) {
			c.prepare()
			st := mustOpen(t, Config{URL: "sealed:"}, Options{Dir: filepath.Join(dir, "none")})
			wantError(t, st.Check(t.Context()), ErrNoKey, c.says, "keytender store init sealed")
			wantError(t, st.Put(t.Context(), "a", NewSecret(canary)), ErrNoKey, c.says)
			if _, err := os.Stat(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something was written: %v", err)
			}
		})
	}
	setCredential(t, hybridKey)
	put(t, mustOpen(t, Config{URL: "sealed:"}, Options{Dir: dir}), "a", canary)
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	_, err := mustOpen(t, Config{URL: "sealed:"}, Options{Dir: dir}).Get(t.Context(), "a")
	wantError(t, err, ErrNoKey, "read a")
}

func TestInitSealed(t *testing.T) {
	path := initKey(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o400 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
	first := readFile(t, path)
	if !bytes.Contains(first, []byte("It guards backups")) {
		t.Error("the key file does not say what it is worth")
	}
	if err := InitSealed(path); err == nil || !strings.Contains(err.Error(), path+" exists") {
		t.Errorf("a second time: %v", err)
	}
	if !bytes.Equal(readFile(t, path), first) {
		t.Error("the key was replaced")
	}
	if other := readFile(t, initKey(t)); bytes.Equal(other, first) {
		t.Error("two keys are the same")
	}
	if err := InitSealed(filepath.Join(t.TempDir(), "no", "key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}

// goldenSealed holds the entry "profile/invoices" as version 0.1 sealed it.
const goldenSealed = "testdata/profile+invoices.age"

func TestOlderFilesOpen(t *testing.T) {
	setCredential(t, hybridKey)
	st := mustOpen(t, Config{URL: "sealed:"}, Options{Dir: t.TempDir()})
	put(t, st, "profile/invoices", "other")
	if err := os.WriteFile(st.(*sealed).files.path("profile/invoices"), readFile(t, goldenSealed), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, st, "profile/invoices", canary)
}

func FuzzOpenSealed(f *testing.F) {
	key, err := parseSealKey(NewSecret(hybridKey))
	if err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(goldenSealed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, entryMark+"profile/invoices\ns")
	f.Add(good[:len(good)-1], entryMark+"profile/invoices\n")
	f.Add([]byte("age-encryption.org/v1\n"), entryMark)
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, file []byte, plain string) {
		if s, err := key.open("profile/invoices", file); err == nil && !bytes.Equal(file, good) {
			t.Fatalf("a file that was never sealed opens with %d bytes", len(s.Reveal()))
		}
		if s, err := unframe("a", plain); err == nil && entryMark+"a\n"+s.Reveal() != plain {
			t.Fatalf("%q opens wrongly", plain)
		}
	})
}

func sealedStore(t *testing.T) (blobs, string) {
	t.Helper()
	dir := t.TempDir()
	return mustOpen(t, Config{URL: "sealed:", Key: "file:" + initKey(t)}, Options{Dir: dir}), filepath.Join(dir, "sealed")
}

func initKey(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seal.key")
	if err := InitSealed(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func setCredential(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, credentialName), []byte(text), 0o440); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	return dir
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

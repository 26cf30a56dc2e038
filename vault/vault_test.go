package vault

import (
	"strings"
	"testing"
)

func TestMemory(t *testing.T) {
	st := mustOpen(t, Config{URL: "memory:"}, Options{Ephemeral: true})
	testTexts(t, func(*testing.T) blobs { return st })
}

func TestOpen(t *testing.T) {
	for _, c := range []struct{ url, says string }{
		{"memory:", "--ephemeral"},
		{"", `begins with one of "keyring:"`},
		{"keyring", "with the colon"},
		{"keyring:login", "nothing may follow"},
		{"sealed:/etc/x", "nothing may follow"},
		{"sealed:", "no directory"},
		{"KEYRING:", `unknown kind of store "KEYRING:"`},
		{"ftp://user:" + canary + "@host/", `unknown kind of store "ftp:"`},
		{canary, `begins with`},
		{" keyring:", `begins with`},
		{"keyring:\n", "nothing may follow"},
	} {
		st, err := Open(Config{URL: c.url}, Options{})
		if err == nil || st != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Open(%q) = %v, %v, want an error that says %q", c.url, st, err, c.says)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("Open(%q) repeats a secret: %v", c.url, err)
		}
	}
	for _, key := range []string{"file:", "file:relative", "env", "credential:"} {
		if st, err := Open(Config{URL: "sealed:", Key: key}, Options{Dir: t.TempDir()}); err == nil {
			t.Errorf("Open with key %q = %v", key, st)
		}
	}
	for _, url := range []string{"keyring:", "sealed:", "memory:"} {
		if st := mustOpen(t, Config{URL: url}, Options{Dir: t.TempDir(), Ephemeral: true}); st.String() != url {
			t.Errorf("String of %s: %s", url, st)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "profile/invoices", "0", "a.b-c_d/e", strings.Repeat("a", maxName)} {
		if err := CheckName(name); err != nil {
			t.Errorf("CheckName(%q): %v", name, err)
		}
	}
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a..b", "a/./b", "a/../b", ".a", "-a", "_a", "a/_b", "A", "é", "a b",
		"a\\b", "a+b", "a:b", "a\rb", "a\nb", "a\x00b", "a\x7f", strings.Repeat("a", maxName+1),
	} {
		if err := CheckName(name); err == nil {
			t.Errorf("CheckName(%q) accepts it", name)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, seed := range []string{"profile/invoices", "a", "../a", "/a", "a\x00", "a\r\n", "A", "a+b", "a..", "_seal"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) != nil {
			return
		}
		if strings.Contains(name, "..") || strings.HasPrefix(name, "/") || len(name) > maxName ||
			strings.ToLower(name) != name || strings.ContainsAny(name, "\r\n\x00\\+ ") {
			t.Fatalf("%q was accepted", name)
		}
		file := strings.TrimPrefix(folder{"/d"}.path(name), "/d/")
		back := strings.ReplaceAll(strings.TrimSuffix(file, sealedSuffix), "+", "/")
		if back != name || strings.Contains(file, "/") {
			t.Fatalf("%q is kept in %q", name, file)
		}
	})
}

func FuzzOpen(f *testing.F) {
	for _, seed := range []string{"keyring:", "sealed:", "memory:", "", ":", "keyring", "sealed:/x",
		"hashicorp://vault:8200/kv", "ftp://u:p@h", "x\x00:", "a\r\nb:c", "keyring:\n"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, url string) {
		st, err := Open(Config{URL: url}, Options{Dir: dir, Ephemeral: true})
		if (st == nil) == (err == nil) {
			t.Fatalf("Open(%q) = %v, %v", url, st, err)
		}
		if err == nil && st.String() != url {
			t.Fatalf("Open(%q) opened %s", url, st)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\r\n\x00") {
			t.Fatalf("Open(%q) puts control characters into its error", url)
		}
	})
}

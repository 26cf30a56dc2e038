//go:build unix

package ownership

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// entry is a link or a directory on the way.
type entry struct {
	path string
	link string // where it leads; empty is a directory
	mode uint32 // of a directory
	uid  int    // 0 is this process's user
}

const stranger = 4242

// tree makes the entries below a directory of its own, in their order.
func tree(t *testing.T, entries []entry) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, e := range entries {
		path := filepath.Join(root, e.path)
		var err error
		if e.link != "" {
			err = os.Symlink(strings.ReplaceAll(e.link, "ROOT", root), path)
		} else {
			err = errors.Join(os.Mkdir(path, 0o700), syscall.Chmod(path, e.mode))
		}
		if err == nil && e.uid != 0 {
			err = os.Lchown(path, e.uid, -1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestWays(t *testing.T) {
	for name, c := range map[string]struct {
		entries []entry
		dir     string
		says    string // ROOT stands for where the tree is; empty: taken
	}{
		"nothing there":                {nil, "a/b/c", ""},
		"our own":                      {[]entry{{"a", "", 0o755, 0}}, "a/b", ""},
		"below a sticky one":           {[]entry{{"a", "", 0o1777, 0}}, "a/b", ""},
		"below one of anybody":         {[]entry{{"a", "", 0o777, 0}}, "a/b", `others can write ROOT/a (mode 0777): run "chmod go-w ROOT/a"`},
		"further up":                   {[]entry{{"a", "", 0o702, 0}, {"a/b", "", 0o700, 0}, {"a/b/c", "", 0o700, 0}}, "a/b/c", "others can write ROOT/a "},
		"itself of a group":            {[]entry{{"a", "", 0o720, 0}}, "a", "others can write ROOT/a "},
		"itself sticky":                {[]entry{{"a", "", 0o1777, 0}}, "a", "others can write ROOT/a "},
		"a stranger's":                 {[]entry{{"a", "", 0o755, stranger}}, "a/b", "ROOT/a belongs to uid 4242"},
		"a stranger's, sticky":         {[]entry{{"a", "", 0o1777, stranger}}, "a/b", "ROOT/a belongs to uid 4242"},
		"itself a stranger's":          {[]entry{{"a", "", 0o755, stranger}}, "a", "ROOT/a belongs to uid 4242"},
		"a stranger's, out of the way": {[]entry{{"a", "", 0o755, 0}, {"x", "", 0o777, stranger}}, "a/b", ""},
		"our link":                     {[]entry{{"a", "", 0o700, 0}, {"l", "ROOT/a", 0, 0}}, "l/b", ""},
		"our link, relative":           {[]entry{{"a", "", 0o700, 0}, {"d", "", 0o700, 0}, {"d/l", "../a", 0, 0}}, "d/l/b", ""},
		"our link in a sticky one":     {[]entry{{"s", "", 0o1777, 0}, {"a", "", 0o700, 0}, {"s/l", "ROOT/a", 0, 0}}, "s/l/b", ""},
		"a stranger's link":            {[]entry{{"a", "", 0o700, 0}, {"l", "ROOT/a", 0, stranger}}, "l/b", "ROOT/l is a symbolic link"},
		"a link as the last name":      {[]entry{{"a", "", 0o700, 0}, {"l", "ROOT/a", 0, 0}}, "l", "ROOT/l is a symbolic link"},
		"a link through anybody's":     {[]entry{{"w", "", 0o777, 0}, {"w/a", "", 0o700, 0}, {"l", "ROOT/w/a", 0, 0}}, "l/b", "others can write ROOT/w "},
		"a link through a stranger's":  {[]entry{{"w", "", 0o755, stranger}, {"w/a", "", 0o755, 0}, {"l", "w/a", 0, 0}}, "l/b", "ROOT/w belongs to uid 4242"},
		"a link to a stranger's link":  {[]entry{{"a", "", 0o700, 0}, {"m", "a", 0, stranger}, {"l", "m", 0, 0}}, "l/b", "ROOT/m is a symbolic link"},
		"a link up out of another":     {[]entry{{"w", "", 0o777, 0}, {"w/a", "", 0o700, 0}, {"a", "", 0o700, 0}, {"l", "w/a/../../a", 0, 0}}, "l/b", "others can write ROOT/w "},
		"links in a ring":              {[]entry{{"l", "m", 0, 0}, {"m", "l", 0, 0}}, "l/b", syscall.ELOOP.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(name, "stranger") && os.Geteuid() != 0 {
				if os.Getenv("CI") != "" {
					t.Fatal("CI must try this too: run it as root")
				}
				t.Skip("only root can give something away")
			}
			root := tree(t, c.entries)
			dir := filepath.Join(root, c.dir)
			err := MakeDir(dir)
			if c.says != "" {
				if says := strings.ReplaceAll(c.says, "ROOT", root); err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%v, want %q", err, says)
				}
				if errors.Is(err, fs.ErrPermission) != strings.Contains(c.says, "belongs to uid") {
					t.Errorf("%v is fs.ErrPermission: %v", err, errors.Is(err, fs.ErrPermission))
				}
				return
			}
			if again := MakeDir(dir); err != nil || again != nil {
				t.Errorf("%v, and again %v", err, again)
			}
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 && c.dir != "a" {
				t.Errorf("made %v, %v", info, err)
			}
		})
	}
}

// TestOwnersAreLookedAt needs nobody's rights: to one who trusts another owner
// alone, the root directory is a stranger's.
func TestOwnersAreLookedAt(t *testing.T) {
	info, err := os.Lstat("/")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{trusted: []uint32{statOf(info).Uid + 1}}
	if _, err := w.down("/usr"); err == nil || !strings.Contains(err.Error(), "/ belongs to uid") {
		t.Errorf("got %v", err)
	}
}

func TestNothingIsMadeBehindWhatIsRefused(t *testing.T) {
	root := tree(t, []entry{{"a", "", 0o777, 0}})
	if err := MakeDir(filepath.Join(root, "a", "b", "c")); err == nil {
		t.Error("taken")
	}
	if left, err := os.ReadDir(filepath.Join(root, "a")); err != nil || len(left) != 0 {
		t.Errorf("made %v, %v", left, err)
	}
}

func TestFileOnTheWay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "b")} {
		if err := MakeDir(dir); err == nil || !strings.Contains(err.Error(), file+" is not a directory") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// TestGroupOfOnePerson: with a umask of 002 and a group of one's own, every
// directory in a home is group-writable; in containers the group is root's.
func TestGroupOfOnePerson(t *testing.T) {
	us := uint32(os.Geteuid())
	for s, want := range map[syscall.Stat_t]bool{
		{Uid: us, Gid: us}:         true,
		{Uid: us, Gid: us + 1}:     false,
		{Uid: us + 1, Gid: us + 1}: false,
		{Uid: us + 1, Gid: 0}:      true,
	} {
		if ownGroup(owned{stat: s}) != want {
			t.Errorf("uid %d, gid %d: %v", s.Uid, s.Gid, !want)
		}
	}
}

// owned is a directory of some owner.
type owned struct {
	fs.FileInfo
	stat syscall.Stat_t
}

func (o owned) Sys() any { return &o.stat }

package agent

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
)

// onDisksOfItsOwn runs test in a process that may mount: root in a user and a
// mount namespace, whose mounts end with it.
func onDisksOfItsOwn(t *testing.T, test func(*testing.T)) {
	t.Helper()
	const variable = "KEYTENDER_TEST_DISKS"
	if os.Getenv(variable) == t.Name() {
		test(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}

// tinyDisk mounts a disk of half a megabyte on dir until the test ends.
func tinyDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// fill leaves no room on the disk of dir.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	for err == nil {
		_, err = ballast.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(ballast.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

// readOnly makes what is below dir read-only to who opens it from now on.
func readOnly(t *testing.T, dir string) (writable func()) {
	t.Helper()
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
}

// files are the files below dir but for the audit and the ballast, with what
// is in them.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == "audit" && d.IsDir() {
			return fs.SkipDir
		}
		if d.Type().IsRegular() && d.Name() != "ballast" {
			content, err := os.ReadFile(path)
			found[path] = string(content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPairingWithoutRoomOnTheDisk(t *testing.T) {
	cases := map[string]struct {
		disk   string // below the state
		harm   func(*testing.T, string) func()
		says   string
		orphan bool // the store does not say that it holds nothing: it is asked again later
	}{
		"state full":       {"", fill, "no space left", false},
		"state read-only":  {"", readOnly, "read-only", false},
		"stores full":      {"stores", fill, "no space left", false},
		"stores read-only": {"stores", readOnly, "read-only", true},
	}
	onDisksOfItsOwn(t, func(t *testing.T) {
		s := providertest.Fosite(t)
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				disk := filepath.Join(dir, "state", c.disk)
				tinyDisk(t, disk)
				if c.disk == "" { // or no record could be written, and that is another test
					tinyDisk(t, filepath.Join(disk, "audit"))
				}
				r := startIn(t, dir, "")
				r.mustPair(t, robotOf(s))
				before := files(t, r.state)
				heal := c.harm(t, disk)
				more := robotOf(s)
				more.Name = "more"
				_, steps, err := r.pairing(t, more)
				if e := failsWith(t, err, api.StoreUnavailable); !strings.Contains(e.Description, c.says) {
					t.Errorf("got %v, want that it says %q", e, c.says)
				}
				r.holdsNo(t, []string{s.Secret}, steps, err)
				r.mustToken(t, api.TokenRequest{})
				if status, err := r.Status(t.Context()); err != nil || len(status.Profiles) != 1 {
					t.Errorf("status %+v, %v", status, err)
				}
				heal()
				after := files(t, r.state)
				if !slices.Equal(keys(after), keys(before)) {
					t.Errorf("files before and after: %v, %v", keys(before), keys(after))
				}
				profiles := filepath.Join(r.state, "profiles.json")
				if !c.orphan && after[profiles] != before[profiles] || c.orphan && !strings.Contains(after[profiles], "profile/more/") {
					t.Errorf("the state was and is\n%s\n%s", before[profiles], after[profiles])
				}
				r.mustPair(t, more)
			})
		}
	})
}

func keys(m map[string]string) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestNoRecordNoToken(t *testing.T) {
	onDisksOfItsOwn(t, func(t *testing.T) {
		s := providertest.Fosite(t)
		dir := t.TempDir()
		audit := filepath.Join(dir, "state", "audit")
		tinyDisk(t, audit)
		r := startIn(t, dir, "")
		r.mustPair(t, robotOf(s))
		r.mustToken(t, api.TokenRequest{})
		empty := fill(t, audit)
		var err error
		for range 64 { // of the last block of the file there is a rest
			if _, err = r.Token(t.Context(), api.TokenRequest{}); err != nil {
				break
			}
		}
		failsWith(t, err, api.AuditUnavailable)
		for range 64 { // into which a shorter record may still fit
			if _, err = r.admin.Reload(t.Context()); err != nil {
				break
			}
		}
		failsWith(t, err, api.AuditUnavailable)
		before := s.TokenRequests()
		for range 3 {
			_, err = r.Token(t.Context(), api.TokenRequest{})
			failsWith(t, err, api.AuditUnavailable)
		}
		asked(t, s, before, 0)
		failsWith(t, r.admin.Unpair(t.Context(), "invoices"), api.AuditUnavailable)
		status, err := r.Status(t.Context())
		if err != nil || status.Agent.State != api.StateTrouble || status.Agent.Audit == nil || status.Agent.Audit.Code != api.AuditUnavailable {
			t.Errorf("status %+v, %v", status.Agent, err)
		}
		if e := failsWith(t, r.Ready(t.Context()), api.Unavailable); !strings.Contains(e.Description, "audit") {
			t.Errorf("readyz says %v", e)
		}
		empty()
		r.mustToken(t, api.TokenRequest{})
		if status, err := r.Status(t.Context()); err != nil || status.Agent.State != api.StateReady || status.Agent.Audit != nil {
			t.Errorf("status %+v, %v", status.Agent, err)
		}
		if err := r.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := VerifyAudit(r.state); err != nil {
			t.Error(err)
		}
	})
}

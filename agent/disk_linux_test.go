package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
	"keytender/installer/testbed/disk"
)

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
		if d.Type().IsRegular() && d.Name() != disk.Ballast {
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
		part   string // of the state, that is on the disk
		harm   func(*testing.T, string) func()
		says   string
		orphan bool // the store does not say that it holds nothing: it is asked again later
	}{
		"state full":       {"", disk.Fill, "no space left", false},
		"state read-only":  {"", disk.ReadOnly, "read-only", false},
		"stores full":      {"stores", disk.Fill, "no space left", false},
		"stores read-only": {"stores", disk.ReadOnly, "read-only", true},
	}
	disk.Run(t, func(t *testing.T) {
		s := providertest.Fosite(t)
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				harmed := filepath.Join(dir, "state", c.part)
				disk.Tiny(t, harmed, "512k")
				if c.part == "" { // or no record could be written, and that is another test
					disk.Tiny(t, filepath.Join(harmed, "audit"), "512k")
				}
				r := startIn(t, dir, "")
				r.mustPair(t, robotOf(s))
				before := files(t, r.state)
				heal := c.harm(t, harmed)
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
	disk.Run(t, func(t *testing.T) {
		s := providertest.Fosite(t)
		dir := t.TempDir()
		audit := filepath.Join(dir, "state", "audit")
		disk.Tiny(t, audit, "512k")
		r := startIn(t, dir, "")
		r.mustPair(t, robotOf(s))
		r.mustToken(t, api.TokenRequest{})
		empty := disk.Fill(t, audit)
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

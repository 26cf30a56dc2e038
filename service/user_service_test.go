package main

import (
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestUserUnit(t *testing.T) {
	got := userUnit("/opt/key tender/bin/keytender", []string{"--state", "/home/ann/50% $tate/{{x"})
	golden := filepath.Join("testdata", "keytender.service")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the unit is\n%s\nnot\n%s", got, want)
	}
}

// TestUserUnitVerified has systemd itself read the unit.
func TestUserUnitVerified(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "key tender")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(dir, "keytender.service")
	if err := os.WriteFile(unit, []byte(userUnit(program, []string{"--state", "/a b"})), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("systemd-analyze", "verify", "--user", "--man=no", unit)
	c.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	out, err := c.CombinedOutput()
	if err != nil || strings.Contains(string(out), unit) {
		t.Errorf("systemd-analyze (Debian package systemd): %v\n%s", err, out)
	}
}

func TestUserSystemd(t *testing.T) {
	dir := t.TempDir()
	if err := userSystemd(dir, 4_000_000); err == nil || !strings.Contains(err.Error(), "enable-linger 4000000") {
		t.Errorf("without a systemd: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "systemd"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "systemd", "private"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := userSystemd(dir, 4_000_000); err != nil {
		t.Errorf("with a systemd: %v", err)
	}
}

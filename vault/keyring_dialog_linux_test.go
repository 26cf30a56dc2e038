package vault

import (
	"testing"

	"github.com/godbus/dbus/v5"
)

// showDialogs takes the place of the desktop's prompter, and of a person who
// does not answer. It returns a channel that fills with the dialogs shown.
func showDialogs(t *testing.T) <-chan struct{} {
	t.Helper()
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := prompter{shown: make(chan struct{}, 100)}
	if err := conn.Export(p, "/org/gnome/keyring/Prompter", "org.gnome.keyring.internal.Prompter"); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName("org.gnome.keyring.SystemPrompter", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own the prompter's name: %v, %v", reply, err)
	}
	return p.shown
}

type prompter struct{ shown chan struct{} }

func (p prompter) BeginPrompting(dbus.ObjectPath) *dbus.Error {
	p.shown <- struct{}{}
	return nil
}

func (prompter) StopPrompting(dbus.ObjectPath) *dbus.Error { return nil }

package vault

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
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

// unlockKeyring does what the login screen's PAM module does: it gives the
// running daemon the password over its control socket (operation 1, unlock).
func unlockKeyring(t *testing.T) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "keyring", "control"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	message := []byte{0} // carries the credentials
	message = binary.BigEndian.AppendUint32(message, uint32(12+len(keyringPassword)))
	message = binary.BigEndian.AppendUint32(message, 1)
	message = binary.BigEndian.AppendUint32(message, uint32(len(keyringPassword)))
	message = append(message, keyringPassword...)
	var answer [8]byte
	_, err = conn.Write(message)
	if _, readErr := io.ReadFull(conn, answer[:]); err != nil || readErr != nil || binary.BigEndian.Uint32(answer[4:]) != 0 {
		t.Fatalf("unlock: %v, %v, answer %x", err, readErr, answer)
	}
}

//go:build !linux

package vault

import "context"

// plainDesktop knows nothing beyond what go-keyring answers: the Credential
// Manager is unlocked with the logon, and the keychain asks by itself.
type plainDesktop struct{}

func thisDesktop() desktop { return plainDesktop{} }

func (plainDesktop) check(context.Context) error  { return nil }
func (plainDesktop) unlock(context.Context) error { return nil }

// Package session gives a test a desktop session of its own: a D-Bus session bus,
// and on it, when it is started, a real gnome-keyring.
package session

package main

import (
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"
)

// What the agent tells systemd of itself (sd_notify(3)).
const (
	managerReady     = daemon.SdNotifyReady
	managerReloading = daemon.SdNotifyReloading
	managerStopping  = daemon.SdNotifyStopping
)

// notifyManager tells systemd what the agent does. Without systemd it does
// nothing.
func notifyManager(log *slog.Logger, state string) {
	if state == managerReloading {
		state += "\n" + daemon.SdNotifyMonotonicUsec()
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd was not told", "state", state, "error", err)
	}
}

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"keytender/agent/api"
	"keytender/agent/internal/audit"
	"keytender/agent/internal/door"
	"keytender/agent/internal/peer"
	"keytender/vault/atomicfile"
)

// doors are the agent's listeners and what serves them.
type doors struct {
	unix, tcp, admin         net.Listener
	tcpError                 error // why there is no TCP door though there should be one
	workload, administration *door.Server
}

// openDoors listens on every door of the mode.
func (a *Agent) openDoors() (err error) {
	if a.socket == "" {
		return errors.New("find the socket's directory: this user has neither a runtime directory nor a home: name the socket with --socket, or set XDG_RUNTIME_DIR or HOME")
	}
	open, admin := os.FileMode(0o600), os.FileMode(0o600)
	if a.mode == Machine {
		open, admin = 0o666, 0o660 // the directories and the rules decide
	}
	listen := func(into *net.Listener, l net.Listener, err error) error {
		if err == nil {
			*into = l
			a.closing(func() error { return ignoreClosed(l.Close()) })
		}
		return err
	}
	l, err := door.ListenUnix(a.socket, open)
	if err := listen(&a.doors.unix, l, err); err != nil {
		return err
	}
	l, err = door.ListenUnix(api.AdminSocketFor(a.socket), admin)
	if err := listen(&a.doors.admin, l, err); err != nil {
		return err
	}
	address, err := a.config.tcp(defaultTCP(a.mode))
	if err != nil {
		return err
	}
	if address != "" {
		l, err = door.ListenTCP(address)
		if err := listen(&a.doors.tcp, l, err); err != nil {
			// Anybody can take a port first: that must not stop the socket.
			a.doors.tcpError = err
			a.log.Error("the TCP door cannot be opened; the socket serves all the same", "tcp", address, "error", err)
		}
	}
	if err := a.openServers(); err != nil {
		return err
	}
	return a.publishAddress()
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// openServers makes what answers at the doors.
func (a *Agent) openServers() error {
	diag, err := peer.NewDiag()
	if err != nil {
		return fmt.Errorf("ask the kernel who calls on TCP: %w", err)
	}
	a.closing(diag.Close)
	options := door.Options{Caller: diag.Of, Explain: explain, Now: a.now, Log: a.log}
	a.doors.workload = door.NewWorkload(door.Workload{
		Token: a.broker.token, Profiles: a.profiles, Status: a.callerStatus, Ready: a.ready,
	}, options)
	options.Allow = a.mayAdminister
	a.doors.administration = door.NewAdmin(door.Admin{
		Pair: a.pair, Migrate: a.migrate, Rotate: a.rotate, Unpair: a.unpair, SetSecret: a.setSecret, Reload: a.reloadFor, Retry: a.retry,
		Status: func(ctx context.Context, _ peer.Caller) (api.Status, error) { return a.status(ctx) },
		Doctor: a.doctor, Audit: a.readAudit,
	}, options)
	return nil
}

// mayAdminister decides who may use the admin door. In machine mode whoever
// reaches the socket may: its directory belongs to root and the group
// keytender.
func (a *Agent) mayAdminister(c peer.Caller) error {
	if c.Known && (a.mode == Machine || c.UID == 0 || int(c.UID) == a.broker.owner) {
		return nil
	}
	return &api.Error{Code: api.AccessDenied, Description: "the admin door is for the OS user that runs the agent", Hint: "ask as that user"}
}

// publishAddress writes endpoint.json beside the socket of a user's agent,
// whose TCP door is on a port of the system's choice.
func (a *Agent) publishAddress() error {
	if a.mode != User {
		return nil
	}
	path := filepath.Join(filepath.Dir(a.socket), "endpoint.json")
	content, err := json.Marshal(map[string]any{"version": 1, "tcp": a.TCP(), "socket": a.socket, "pid": os.Getpid()})
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, content, 0o600); err != nil {
		return fmt.Errorf("write where the TCP door is: %w", err)
	}
	a.closing(func() error { return os.Remove(path) })
	return nil
}

func (a *Agent) readAudit(_ context.Context, _ peer.Caller, f api.AuditFilter, each func(json.RawMessage) error) error {
	for line, err := range audit.Read(auditDir(a.dir.Path()), audit.Filter{Since: f.Since, Profile: f.Profile}) {
		if err == nil {
			err = each(line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

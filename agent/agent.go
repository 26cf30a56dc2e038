// Package agent puts Keytender's parts together: it reads config.yaml, opens
// the state, the stores, the audit and the doors, and serves until it is
// told to stop.
//
// A request takes this path: a door learns from the kernel who asks and
// refuses what it must; the broker asks policy, takes the token from the
// session, writes the record, and hands the token back. A session that has no
// good token asks the granter, which reads the secret from its store and
// sends it to Identity. A pairing comes in by the admin door, is proven by a
// grant, and ends in a store and the ledger.
package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/audit"
	"keytender/agent/internal/door"
	"keytender/agent/internal/identity"
	"keytender/agent/internal/session"
	"keytender/agent/internal/state"
	"keytender/vault"
	"keytender/vault/egress"
)

// Options say how an agent runs. The zero value is a user's agent with the
// defaults of DESIGN.
type Options struct {
	Mode      Mode   // empty: User
	Config    string // config.yaml; empty: ConfigPath(Mode)
	State     string // directory; empty: StateDir(Mode)
	Socket    string // workload socket; empty: the mode's. The admin socket is its neighbour.
	Ephemeral bool   // secrets rest in memory, and pairings end with the agent
	Version   string
	Log       *slog.Logger // nil: nothing is logged

	now func() time.Time
}

func (o Options) filled() Options {
	if o.Mode == "" {
		o.Mode = User
	}
	if o.Config == "" {
		o.Config = ConfigPath(o.Mode)
	}
	if o.State == "" {
		o.State = StateDir(o.Mode)
	}
	if o.Socket == "" {
		o.Socket = socketFor(o.Mode)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.now == nil {
		o.now = func() time.Time { return time.Now().Round(0) } // the wall clock
	}
	return o
}

// Agent is a running agent. Open makes one; Serve serves its doors.
type Agent struct {
	mode       Mode
	configPath string
	ephemeral  bool
	version    string
	socket     string
	started    time.Time
	log        *slog.Logger
	now        func() time.Time

	admin    turn // of one administrative act at a time; guards config and ledger
	config   Config
	ledger   *ledger
	rotating names // profiles whose secret is being rotated
	dir      *state.Dir
	audit    *audit.Log
	stores   *stores
	outbound atomic.Pointer[http.Client]
	identity atomic.Pointer[identity.Client]
	granter  *granter
	broker   *broker
	doors    doors

	closers []func() error // in the order of opening
}

// Open reads the configuration, takes the state, and opens the doors: when it
// returns, the agent listens. It refuses to start on a configuration or state
// that it cannot read whole, and on a state that another agent holds.
func Open(o Options) (_ *Agent, err error) {
	o = o.filled()
	a := &Agent{
		mode: o.Mode, configPath: o.Config, ephemeral: o.Ephemeral, version: o.Version,
		socket: o.Socket, started: o.now().UTC().Truncate(time.Second), log: o.Log, now: o.now, admin: newTurn(),
	}
	defer func() {
		if err != nil {
			err = errors.Join(o.notOfMachine(err), a.Close())
		}
	}()
	if a.config, err = Load(o.Config, o.Mode); err != nil {
		return nil, err
	}
	for _, open := range []func(Options) error{a.openState, a.openAudit, a.openOutbound, a.openSessions} {
		if err := open(o); err != nil {
			return nil, err
		}
	}
	if err := a.openDoors(); err != nil {
		return nil, err
	}
	if err := a.audit.AppendSync(audit.Record{Event: "start", UID: int64(os.Getuid()), PID: os.Getpid(), Detail: a.version}); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Agent) openState(o Options) (err error) {
	if o.State == "" {
		return errors.New(`find the state directory: this user has no home: set HOME, or name one with --state`)
	}
	if a.dir, err = state.Open(o.State, state.Options{}); err != nil {
		return err
	}
	a.closing(a.dir.Close)
	if a.ledger, err = openLedger(a.dir); err != nil {
		return err
	}
	return a.ledger.dropMemory()
}

func (a *Agent) openAudit(o Options) (err error) {
	size, err := a.config.Audit.maxSize()
	if err != nil {
		return err
	}
	keep, err := a.config.Audit.keep()
	if err != nil {
		return err
	}
	a.audit, err = audit.Open(auditDir(a.dir.Path()), audit.Options{MaxSize: size, Keep: keep, Now: o.now, Log: o.Log})
	if err != nil {
		return err
	}
	a.closing(a.audit.Close)
	return nil
}

func auditDir(state string) string { return filepath.Join(state, "audit") }

// openOutbound makes the client by which everything leaves.
func (a *Agent) openOutbound(Options) error {
	client, err := egress.New(egress.Options{CAFiles: a.config.CA, UserAgent: "keytender/" + a.version})
	if err != nil {
		return fmt.Errorf("read the setting ca: %w", err)
	}
	a.outbound.Store(client)
	a.identity.Store(identity.New(client, a.now))
	return nil
}

func (a *Agent) openSessions(o Options) error {
	options := vault.Options{Dir: a.dir.Path("stores"), Ephemeral: a.ephemeral, UserAgent: "keytender/" + a.version, Now: a.now}
	a.stores = newStores(options, defaultStore(a.mode, a.ephemeral), a.config, a.log)
	a.closing(a.stores.close)
	live, err := newCatalog(a.config, a.ledger.held.Profiles)
	if err != nil {
		return err
	}
	a.broker = &broker{owner: os.Getuid(), audit: a.audit, refusals: newRefusals(os.Getuid(), a.audit, a.now), log: a.log}
	a.broker.catalog.Store(live)
	a.granter = &granter{
		catalog: &a.broker.catalog, stores: a.stores, identity: &a.identity, audit: a.audit, markKey: a.dir.Key(), now: a.now,
		log: a.log, found: map[string]endpoint{},
	}
	a.broker.sessions = session.New(session.Options{Grant: a.granter.grant, Now: o.now, Log: o.Log, Slot: slot(a.dir.Machine())})
	a.closing(func() error { a.broker.sessions.Close(); return nil })
	return nil
}

// slot is this machine's place in the fleet, in [0,1): by it the fleet's
// renewals are spread.
func slot(machine []byte) float64 {
	return float64(binary.BigEndian.Uint32(machine)) / (1 << 32)
}

// closing has end called when the agent closes, before what was opened
// earlier is closed.
func (a *Agent) closing(end func() error) { a.closers = append(a.closers, end) }

// Close closes what Open opened, the newest first. It is safe after Serve.
func (a *Agent) Close() error {
	var failed error
	for i := len(a.closers) - 1; i >= 0; i-- {
		failed = errors.Join(failed, a.closers[i]())
	}
	a.closers = nil
	return failed
}

// turn is a lock that a caller can stop waiting for.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits for the turn as long as ctx lives.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if ctx.Err() != nil { // both were ready
		t.give()
		return ctx.Err()
	}
	return nil
}

func (t turn) give() { <-t }

// Socket is the path of the workload socket.
func (a *Agent) Socket() string { return a.socket }

// TCP is the address of the TCP door, empty when it is off.
func (a *Agent) TCP() string {
	if a.doors.tcp == nil {
		return ""
	}
	return a.doors.tcp.Addr().String()
}

// Serve serves the doors until ctx is done, then lets requests in flight end
// and returns nil. A door that fails ends it with that error.
func (a *Agent) Serve(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var serving sync.WaitGroup
	serve := func(s *door.Server, l net.Listener) {
		if l == nil {
			return
		}
		serving.Go(func() {
			if err := s.Serve(l); err != nil {
				stop(fmt.Errorf("serve %s: %w", l.Addr(), err))
			}
		})
	}
	serve(a.doors.workload, a.doors.unix)
	serve(a.doors.workload, a.doors.tcp)
	serve(a.doors.administration, a.doors.admin)
	serving.Go(func() { a.lookAround(ctx) })
	serving.Go(func() { a.watchStores(ctx) })
	serving.Go(func() { a.broker.refusals.keep(ctx) })
	a.log.Info("ready", "socket", a.socket, "tcp", a.TCP(), "profiles", len(a.broker.catalog.Load().profiles))
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	failed := errors.Join(a.doors.workload.Shutdown(ending), a.doors.administration.Shutdown(ending))
	serving.Wait()
	a.broker.refusals.settle(true)
	record := a.audit.AppendSync(audit.Record{Event: "stop", UID: int64(os.Getuid()), PID: os.Getpid()})
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		failed = errors.Join(cause, failed)
	}
	return errors.Join(failed, record, a.Close())
}

// endLimit is how long requests in flight may take at the end, well within the
// time that service managers give.
const endLimit = 10 * time.Second

// Reload reads config.yaml again. A file that is wrong changes nothing.
func (a *Agent) Reload(ctx context.Context) (api.Reloaded, error) {
	return a.reload(ctx, audit.Record{Event: "reload", UID: int64(os.Getuid()), PID: os.Getpid()})
}

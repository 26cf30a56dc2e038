package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	gokeyring "github.com/zalando/go-keyring"
)

const (
	// checkName is asked for, and never there, to see whether the keyring answers.
	checkName = "_check"
	// patience is how long a password dialog stays open, whoever still waits.
	patience = 5 * time.Minute
)

// keyring is the OS keyring: the Secret Service on Linux, the Credential
// Manager on Windows, the login keychain on macOS. Of go-keyring, which has no
// context and may block for ever, one call at a time runs; a caller waits for
// the turn, the unlocking and the answer until its deadline, and no longer.
//
// What a caller gave up on changes nothing later, unless its time ran out in
// the middle of the write itself.
//
//	caller ─► turn ─► desktop: there? unlocked? ─► go-keyring
//	             └─ deadline: ErrLocked      └─ too large: sealed file, its key in the entry
type keyring struct {
	service  string
	timeout  time.Duration
	limit    int    // longest value that the keyring takes
	files    folder // for longer ones
	system   system
	desktop  desktop
	patience time.Duration
	turn     chan struct{} // holds one value while a call runs
}

// system is a keyring's own three calls. They may block, and answer ErrNotFound.
type system interface {
	get(service, name string) (string, error)
	set(service, name, value string) error
	remove(service, name string) error
}

// desktop is what go-keyring does not tell or does without a time limit.
type desktop interface {
	// check reports whether the keyring answers and is unlocked; asks nobody.
	check(context.Context) error
	// unlock asks the person, until ctx ends.
	unlock(context.Context) error
}

func openKeyring(c Config, o Options) *keyring {
	return &keyring{
		service:  o.Service,
		timeout:  cmp.Or(c.Timeout, defaultTimeout),
		limit:    keyringLimit(runtime.GOOS),
		files:    o.subdir("keyring"),
		system:   systemKeyring{},
		desktop:  thisDesktop(),
		patience: patience,
		turn:     make(chan struct{}, 1),
	}
}

func (k *keyring) String() string { return "keyring:" }

func (k *keyring) Get(ctx context.Context, name string) (Secret, error) {
	if err := CheckName(name); err != nil {
		return Secret{}, err
	}
	return k.get(ctx, name)
}

func (k *keyring) Put(ctx context.Context, name string, s Secret) error {
	if err := checkPut(name, s); err != nil {
		return err
	}
	return k.put(ctx, name, s)
}

func (k *keyring) Delete(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	_, err := k.do(ctx, "delete "+name, func(ctx context.Context) (Secret, error) {
		return Secret{}, k.remove(ctx, name)
	})
	return err
}

func (k *keyring) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := k.ask(ctx); err != nil {
		return k.explain(ctx, "check", err)
	}
	_, err := k.get(ctx, checkName)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (k *keyring) get(ctx context.Context, name string) (Secret, error) {
	return k.do(ctx, "read "+name, func(context.Context) (Secret, error) {
		value, err := k.system.get(k.service, name)
		if err != nil {
			return Secret{}, err
		}
		return k.unwrap(name, value)
	})
}

func (k *keyring) put(ctx context.Context, name string, s Secret) error {
	_, err := k.do(ctx, "store "+name, func(ctx context.Context) (Secret, error) {
		return Secret{}, k.set(ctx, name, s)
	})
	return err
}

// do runs call when its turn has come and the keyring is unlocked. The
// goroutine may outlive its caller, as long as the dialog or go-keyring
// blocks; it keeps the turn, so there is never a second one.
func (k *keyring) do(ctx context.Context, op string, call func(context.Context) (Secret, error)) (Secret, error) {
	if err := ctx.Err(); err != nil {
		return Secret{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return Secret{}, k.tooLate(ctx, op)
	}
	type answer struct {
		s   Secret
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		defer func() { <-k.turn }()
		s, err := k.whenUnlocked(ctx, call)
		answered <- answer{s, k.explain(ctx, op, err)}
	}()
	select {
	case a := <-answered:
		return a.s, a.err
	case <-ctx.Done():
		return Secret{}, k.tooLate(ctx, op)
	}
}

func (k *keyring) whenUnlocked(ctx context.Context, call func(context.Context) (Secret, error)) (s Secret, err error) {
	// go-keyring panics when the bus goes away while it waits for a prompt.
	defer func() {
		if r := recover(); r != nil {
			s, err = Secret{}, errors.New("go-keyring broke off while it waited for the keyring")
		}
	}()
	err = k.ask(ctx)
	if errors.Is(err, ErrLocked) {
		// A person types for longer than a caller waits.
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.patience)
		defer cancel()
		err = k.desktop.unlock(patient)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Secret{}, err
	}
	return call(ctx)
}

// ask asks the desktop whether the keyring is there and unlocked. It takes half
// of the time at most: so a service that hangs is told from one that waits for
// a person.
func (k *keyring) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.timeout/2)
	defer cancel()
	return k.desktop.check(ctx)
}

// tooLate is what a caller gets whose time ran out.
func (k *keyring) tooLate(ctx context.Context, op string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("keyring: %s: %w", op, ctx.Err())
	}
	return &Error{Store: k.String(), Op: op, Kind: ErrLocked, Err: ctx.Err(),
		Why: "it did not answer in time", Todo: todoUnlock}
}

// explain says what was being done, and gives an error without a kind one.
func (k *keyring) explain(ctx context.Context, op string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return k.tooLate(ctx, op)
	case err == ErrNotFound:
		return &Error{Store: k.String(), Op: op, Kind: ErrNotFound}
	}
	told := Error{Kind: ErrUnavailable, Err: err, Todo: todoChoose}
	if e, ok := errors.AsType[*Error](err); ok {
		told = *e
	} else if why, todo := ofDisk(err); why != "" { // of what is too large for the keyring
		told.Why, told.Todo = why, todo
	} else if e, ok := errors.AsType[*Error](k.ask(ctx)); ok {
		// go-keyring's errors have no types, so the desktop is asked what it was.
		told = Error{Kind: e.Kind, Why: e.Why, Err: err, Todo: e.Todo}
	}
	told.Store, told.Op = k.String(), op
	return &told
}

const (
	todoUnlock = "unlock the keyring (log in on the desktop, or answer its password dialog) and try again"
	todoChoose = `choose the store "sealed:" where there is no desktop ("keytender store init sealed --key-file FILE"), ` +
		`or run the agent in the person's session ("keytender service start --user")`
)

// systemKeyring is the keyring of this system, through go-keyring.
type systemKeyring struct{}

func (systemKeyring) get(service, name string) (string, error) {
	value, err := gokeyring.Get(service, name)
	return value, translate(err)
}

func (systemKeyring) set(service, name, value string) error {
	return gokeyring.Set(service, name, value)
}

func (systemKeyring) remove(service, name string) error {
	return translate(gokeyring.Delete(service, name))
}

func translate(err error) error {
	if errors.Is(err, gokeyring.ErrNotFound) {
		return ErrNotFound
	}
	return err
}

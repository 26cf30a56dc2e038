package vault

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/godbus/dbus/v5"
)

// The Secret Service API 0.2 of freedesktop.org.
const (
	secretsName     = "org.freedesktop.secrets"
	secretsPath     = dbus.ObjectPath("/org/freedesktop/secrets")
	loginCollection = secretsPath + "/collection/login"
	secretsIface    = "org.freedesktop.Secret.Service"
	collectionIface = "org.freedesktop.Secret.Collection"
	promptIface     = "org.freedesktop.Secret.Prompt"
	noObject        = dbus.ObjectPath("/")
)

// secretService is the desktop of Linux. Each call has a connection of its
// own, which ends with its context: go-keyring's is shared and unlocks without
// a time limit, so it is only used once the collection is open. The bus may
// start a service that is installed; a bus itself is never started.
type secretService struct{}

func thisDesktop() desktop { return secretService{} }

func (secretService) check(ctx context.Context) error {
	return withSecrets(ctx, func(s secrets) error {
		locked, err := s.locked(ctx)
		if err == nil && locked {
			err = &Error{Kind: ErrLocked, Todo: todoUnlock}
		}
		return err
	})
}

func (secretService) unlock(ctx context.Context) error {
	return withSecrets(ctx, func(s secrets) error {
		if err := s.unlock(ctx); err != nil {
			return err
		}
		locked, err := s.locked(ctx)
		if err == nil && locked {
			err = &Error{Kind: ErrLocked, Why: "its password dialog was dismissed or could not be shown", Todo: todoUnlock}
		}
		return err
	})
}

// secrets is a connection and the collection that go-keyring uses too.
type secrets struct {
	conn       *dbus.Conn
	collection dbus.ObjectPath
}

func withSecrets(ctx context.Context, use func(secrets) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := dialSession(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	collection, err := defaultCollection(ctx, conn)
	if err != nil {
		return err
	}
	return use(secrets{conn, collection})
}

func dialSession(ctx context.Context) (*dbus.Conn, error) {
	conn, err := dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(ctx))
	if err == nil {
		if err = conn.Auth(nil); err == nil {
			err = conn.Hello()
		}
		if err != nil {
			err = errors.Join(err, ctx.Err())
			conn.Close()
		}
	}
	if err == nil {
		return conn, nil
	}
	why := "there is no session bus"
	if os.Geteuid() == 0 {
		why = "root has no session bus"
	}
	return nil, &Error{Kind: ErrUnavailable, Why: why, Err: err, Todo: todoChoose}
}

// defaultCollection is the login collection, else the default one.
func defaultCollection(ctx context.Context, conn *dbus.Conn) (dbus.ObjectPath, error) {
	all, err := property(ctx, conn, secretsPath, secretsIface, "Collections")
	if err != nil {
		return "", err
	}
	paths, _ := all.Value().([]dbus.ObjectPath)
	for _, path := range paths {
		if path == loginCollection {
			return path, nil
		}
	}
	var path dbus.ObjectPath
	err = conn.Object(secretsName, secretsPath).CallWithContext(ctx, secretsIface+".ReadAlias", 0, "default").Store(&path)
	if err != nil {
		return "", noService(err)
	}
	if path == noObject {
		return "", &Error{Kind: ErrUnavailable, Why: "the Secret Service has no default keyring",
			Todo: "log in on the desktop once, or make a default keyring there (for example with Seahorse)"}
	}
	return path, nil
}

func (s secrets) locked(ctx context.Context) (bool, error) {
	value, err := property(ctx, s.conn, s.collection, collectionIface, "Locked")
	if err != nil {
		return false, err
	}
	locked, ok := value.Value().(bool)
	return locked || !ok, nil
}

// unlock returns when the collection is unlocked, by its dialog or otherwise,
// when the dialog is dismissed, or when ctx ends. With the connection the
// service drops the dialog.
func (s secrets) unlock(ctx context.Context) error {
	var unlocked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	err := s.conn.Object(secretsName, secretsPath).
		CallWithContext(ctx, secretsIface+".Unlock", 0, []dbus.ObjectPath{s.collection}).Store(&unlocked, &prompt)
	if err != nil {
		return noService(err)
	}
	if prompt == noObject {
		return nil
	}
	if err := s.conn.AddMatchSignalContext(ctx, dbus.WithMatchObjectPath(prompt), dbus.WithMatchInterface(promptIface)); err != nil {
		return noService(err)
	}
	signals := make(chan *dbus.Signal, 8)
	s.conn.Signal(signals)
	if err := s.conn.Object(secretsName, prompt).CallWithContext(ctx, promptIface+".Prompt", 0, "").Err; err != nil {
		return noService(err)
	}
	return s.awaitPrompt(ctx, prompt, signals)
}

// awaitPrompt also looks for itself: a service that was restarted, or unlocked
// by other means, never completes the prompt.
func (s secrets) awaitPrompt(ctx context.Context, prompt dbus.ObjectPath, signals <-chan *dbus.Signal) error {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case signal := <-signals:
			if signal == nil || signal.Path == prompt && signal.Name == promptIface+".Completed" {
				return nil
			}
		case <-look.C:
			if locked, err := s.locked(ctx); err != nil || !locked {
				return err
			}
		}
	}
}

func property(ctx context.Context, conn *dbus.Conn, path dbus.ObjectPath, iface, name string) (dbus.Variant, error) {
	var value dbus.Variant
	err := conn.Object(secretsName, path).
		CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, iface, name).Store(&value)
	if err != nil {
		return value, noService(err)
	}
	return value, nil
}

// noService says what it means that the Secret Service did not answer a call.
func noService(err error) error {
	e := &Error{Kind: ErrUnavailable, Why: "the Secret Service does not answer", Err: err, Todo: todoChoose}
	if refused, ok := errors.AsType[dbus.Error](err); ok && refused.Name == "org.freedesktop.DBus.Error.ServiceUnknown" {
		e.Why = "no Secret Service runs in this session"
		e.Todo = `install and start one (gnome-keyring, KWallet or KeePassXC), or choose the store "sealed:" ` +
			`("keytender store init sealed --key-file FILE")`
	}
	return e
}

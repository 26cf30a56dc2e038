//go:build linux || darwin

package door

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"keytender/agent/internal/ownership"
)

// socket is a unix socket that this process made and takes away again.
type socket struct {
	*net.UnixListener
	path string
	made os.FileInfo // what we bound, to tell it from what came later
	lock *os.File
	once sync.Once
	err  error
}

// ListenUnix listens on a unix socket at path, which gets exactly mode. The
// directory is made with mode 0700 if it is missing; one that exists must be
// this process's user's own and stay where it is, see ownership.MakeDir. A
// socket that is there already is replaced only if nobody answers; anything
// else there is left alone. A locked file beside the socket, PATH.lock, keeps two agents from
// doing so at once, and stays when the listener is closed.
func ListenUnix(path string, mode os.FileMode) (net.Listener, error) {
	if err := fits(path); err != nil {
		return nil, err
	}
	if err := ownership.MakeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("open the door %s: %w", path, err)
	}
	lock, err := hold(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open the door %s: %w", path, err)
	}
	s, err := bind(path, mode)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the door %s: %w", path, err), lock.Close())
	}
	s.lock = lock
	return s, nil
}

func fits(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return fmt.Errorf("open the door %q: not an absolute path without detours: write it in full", path)
	}
	if most := len(syscall.RawSockaddrUnix{}.Path) - 1; len(path) > most {
		return fmt.Errorf("open the door %s: the path has %d bytes, and this system's sockets can have %d: choose a shorter one with --socket", path, len(path), most)
	}
	return nil
}

// hold locks the file at path for as long as the file stays open.
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New("another agent has it: stop that one, or choose another path with --socket")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func bind(path string, mode os.FileMode) (*socket, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// On Linux a socket is bound with the mode that its descriptor has,
		// so there is no moment at which it is open wider than it will be.
		// Elsewhere this has no effect, and the directory is what protects.
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), uint32(mode.Perm())) })
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	s := &socket{UnixListener: l.(*net.UnixListener), path: path}
	s.SetUnlinkOnClose(false)
	if err := os.Chmod(path, mode.Perm()); err != nil { // the umask may have taken bits away
		return nil, errors.Join(err, os.Remove(path), l.Close())
	}
	if s.made, err = os.Lstat(path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return s, nil
}

// removeStale removes a socket at path that nobody listens on any more.
func removeStale(path string) error {
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if there.Mode().Type() != fs.ModeSocket {
		return errors.New("what is there is not a socket: move it away, or choose another path with --socket")
	}
	answered, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		return errors.Join(errors.New("another program answers there: stop that one, or choose another path with --socket"), answered.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("tell whether anybody answers there: %w", err)
	}
	return os.Remove(path)
}

// Close stops listening and removes the socket, unless another has taken its
// place. Further calls return what the first did.
func (s *socket) Close() error {
	s.once.Do(func() {
		if there, err := os.Lstat(s.path); err == nil && os.SameFile(there, s.made) {
			s.err = os.Remove(s.path)
		}
		s.err = errors.Join(s.err, s.UnixListener.Close(), s.lock.Close())
	})
	return s.err
}

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

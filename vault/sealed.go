package vault

import (
	"context"
	"errors"
	"io/fs"
	"sync"
)

// sealed keeps one encrypted file an entry. The key is fetched for every call
// and not kept, so that a lock, or a new key, counts at once.
type sealed struct {
	files folder
	keys  keySource
	mu    sync.Mutex // one Put at a time: the first may make the key
}

func openSealed(c Config, o Options) (blobs, error) {
	if o.Dir == "" {
		return nil, errors.New(`open the store "sealed:": no directory for its files was given`)
	}
	keys, err := openKeySource(c, o)
	if err != nil {
		return nil, err
	}
	return &sealed{files: o.subdir("sealed"), keys: keys}, nil
}

func (s *sealed) String() string { return "sealed:" }

func (s *sealed) Get(ctx context.Context, name string) (Secret, error) {
	if err := CheckName(name); err != nil {
		return Secret{}, err
	}
	if err := ctx.Err(); err != nil {
		return Secret{}, err
	}
	data, err := s.files.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Secret{}, &Error{Store: s.String(), Op: "read " + name, Kind: ErrNotFound}
	}
	if err != nil {
		return Secret{}, s.fail("read "+name, err)
	}
	key, err := s.key(ctx)
	if err != nil {
		return Secret{}, s.fail("read "+name, err)
	}
	secret, err := key.open(name, data)
	if err != nil {
		return Secret{}, s.fail("read "+name, brokenFile(s.files.path(name), err))
	}
	return secret, nil
}

func (s *sealed) Put(ctx context.Context, name string, secret Secret) error {
	if err := checkPut(name, secret); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := s.keyOrMake(ctx)
	if err != nil {
		return s.fail("store "+name, err)
	}
	data, err := key.seal(name, secret)
	if err != nil {
		return s.fail("store "+name, err)
	}
	if err := s.files.write(name, data); err != nil {
		return s.fail("store "+name, err)
	}
	return nil
}

func (s *sealed) Delete(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.files.remove(name); err != nil {
		return s.fail("delete "+name, err)
	}
	return nil
}

func (s *sealed) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	empty, err := s.files.empty()
	if err == nil {
		err = s.keys.check(ctx, empty)
	}
	if err != nil {
		return s.fail("check", err)
	}
	return nil
}

func (s *sealed) key(ctx context.Context) (sealKey, error) {
	text, err := s.keys.load(ctx)
	if err != nil {
		return sealKey{}, err
	}
	return parseSealKey(text)
}

// keyOrMake never makes a second key: with entries there, a missing key means
// that it was lost, and a new one would hide that.
func (s *sealed) keyOrMake(ctx context.Context) (sealKey, error) {
	key, err := s.key(ctx)
	if !errors.Is(err, ErrNoKey) {
		return key, err
	}
	if empty, listErr := s.files.empty(); listErr != nil || !empty {
		return sealKey{}, errors.Join(err, listErr)
	}
	text, err := s.keys.make(ctx)
	if err != nil {
		return sealKey{}, err
	}
	return parseSealKey(text)
}

// fail says what was being done, and gives an error without a kind one, and
// words where the disk takes nothing.
func (s *sealed) fail(op string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		told := *e
		told.Store, told.Op = s.String(), op
		return &told
	}
	why, todo := ofDisk(err)
	return &Error{Store: s.String(), Op: op, Kind: ErrUnavailable, Why: why, Todo: todo, Err: err}
}

func brokenFile(path string, why error) *Error {
	return &Error{Kind: ErrBroken, Why: path, Err: why,
		Todo: "the file was left as it is: restore it from a backup, or store the secret again"}
}

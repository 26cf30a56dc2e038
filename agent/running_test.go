package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/vault"
)

// running is a whole agent with its doors, in directories of the test's own,
// its secrets in a sealed store with a key file.
type running struct {
	*Agent
	api.Client
	admin  api.Admin
	state  string
	config string
	log    *lockedBuffer
	stop   func() error
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// sealedConfig is a config.yaml whose default store is sealed with a key file
// in dir; more is appended to it.
func sealedConfig(t *testing.T, dir, more string) string {
	t.Helper()
	key := filepath.Join(dir, "seal.key")
	if _, err := os.Stat(key); err != nil {
		if err := vault.InitSealed(key); err != nil {
			t.Fatal(err)
		}
	}
	return "version: 1\nstores:\n  default: {url: \"sealed:\", key: \"file:" + key + "\"}\n" + more
}

// start opens an agent in a new directory and serves it until the test ends.
func start(t *testing.T, more string) *running {
	t.Helper()
	return startIn(t, t.TempDir(), more)
}

// startIn is start in a directory that may hold an earlier agent's state.
func startIn(t *testing.T, dir, more string, change ...func(*Options)) *running {
	t.Helper()
	return startWith(t, dir, sealedConfig(t, dir, more), change...)
}

// startWith is startIn with the whole of config.yaml.
func startWith(t *testing.T, dir, config string, change ...func(*Options)) *running {
	t.Helper()
	r := &running{state: filepath.Join(dir, "state"), config: filepath.Join(dir, "config.yaml"), log: new(lockedBuffer)}
	writeFile(t, r.config, config)
	o := r.options(dir)
	for _, c := range change {
		c(&o)
	}
	a, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Agent = a
	r.Client.Socket, r.admin.Socket = a.Socket(), api.AdminSocketFor(a.Socket())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx) }()
	r.stop = sync.OnceValue(func() error {
		r.Client.Close()
		r.admin.Close()
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("the agent ended with %v", err)
		}
	})
	return r
}

func (r *running) options(dir string) Options {
	return Options{
		Config: r.config, State: r.state, Socket: filepath.Join(dir, "run", "keytender.sock"), Version: "test",
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pairing is a pairing request for a robot, with a limit on how long it takes.
func (r *running) pairing(t *testing.T, p api.Pairing) (api.PairResult, []api.Step, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	var steps []api.Step
	result, err := r.admin.Pair(ctx, p, func(s api.Step) { steps = append(steps, s) })
	return result, steps, err
}

// mustPair pairs, or ends the test.
func (r *running) mustPair(t *testing.T, p api.Pairing) api.PairResult {
	t.Helper()
	result, _, err := r.pairing(t, p)
	if err != nil {
		t.Fatalf("pair: %v", err)
	}
	return result
}

// entries counts the files of the sealed store.
func (r *running) entries(t *testing.T) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(filepath.Join(r.state, "stores"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// failsWith ends the test unless err has the code, and returns it.
func failsWith(t *testing.T, err error, code api.Code) *api.Error {
	t.Helper()
	e, ok := err.(*api.Error)
	if !ok || e.Code != code {
		t.Fatalf("got %v, want an error with the code %s", err, code)
	}
	if e.Hint == "" {
		t.Errorf("%v does not say what to do", e)
	}
	return e
}

// holdsNo ends the test if a file of the state, the log or anything else that
// was said has one of the secrets in it.
func (r *running) holdsNo(t *testing.T, secrets []string, said ...any) {
	t.Helper()
	texts := map[string]string{"the log": r.log.String()}
	for _, s := range said {
		encoded, _ := json.Marshal(s)
		texts["what was said"] += string(encoded)
		if err, ok := s.(error); ok {
			texts["what was said"] += err.Error()
		}
	}
	err := filepath.WalkDir(r.state, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			content, _ := os.ReadFile(path)
			texts[path] = string(content)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds a secret", where)
			}
		}
	}
}

package door

import (
	"context"
	"os"
	"sync"
	"testing"

	"keytender/agent/internal/peer"
	"keytender/agent/internal/session"
)

// TestKernelTellsWhoAsks asks over both listeners with nothing in between.
func TestKernelTellsWhoAsks(t *testing.T) {
	diag, err := peer.NewDiag()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { diag.Close() })
	var mu sync.Mutex
	var callers []peer.Caller
	w := workload(t)
	served := w.Token
	w.Token = func(ctx context.Context, c peer.Caller, r TokenRequest) (*session.Token, bool, error) {
		mu.Lock()
		defer mu.Unlock()
		callers = append(callers, c)
		return served(ctx, c, r)
	}
	s := NewWorkload(w, Options{Caller: diag.Of})
	ask(t, "unix", onUnix(t, s))
	ask(t, "tcp", onTCP(t, s))
	for i, source := range []string{"peercred", "sock_diag"} {
		if c := callers[i]; !c.Known || int(c.UID) != os.Getuid() || c.Source != source || c.User == "" {
			t.Errorf("%s: %+v", source, c)
		}
	}
}

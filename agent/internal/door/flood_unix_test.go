//go:build linux || darwin

package door

import (
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestTenThousandIdleConnections(t *testing.T) {
	const idle = 10_000
	allowFiles(t, idle+3000)
	onEach(t, Options{}, func(t *testing.T, network, addr string) {
		var all sync.WaitGroup
		held := make(chan net.Conn, idle)
		for range 8 {
			all.Go(func() {
				for range idle / 8 {
					if c, err := dial(network, addr); err == nil {
						held <- c
					}
				}
			})
		}
		slowest := time.Duration(0)
		for range 20 {
			slowest = max(slowest, ask(t, network, addr))
		}
		all.Wait()
		for range 20 {
			slowest = max(slowest, ask(t, network, addr))
		}
		t.Logf("%d connections, slowest token %s", len(held), slowest)
		if len(held) < idle {
			t.Errorf("only %d connections were made", len(held))
		}
		if slowest > 4*time.Second {
			t.Errorf("a token took %s", slowest)
		}
		close(held)
		for c := range held {
			c.Close()
		}
	})
}

// allowFiles raises the limit of open files, which is then that of both ends.
func allowFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	before := limit
	limit.Cur, limit.Max = n, max(n, limit.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("this test needs %d open files: %v", n, err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) })
}

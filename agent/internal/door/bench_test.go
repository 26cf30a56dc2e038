package door

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// The two halves of one comparison: a bare server that answers constant bytes
// of the same length, and the door with a token at hand.
//
//	go test -run - -bench Unix -count 5 -cpu 1,2

func BenchmarkUnixBare(b *testing.B) {
	body := aToken(b).AppendJSON(nil, time.Now(), true)
	path := filepath.Join(shortDir(b), "k.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	bare := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})}
	go func() { _ = bare.Serve(l) }()
	b.Cleanup(func() { _ = bare.Close() })
	keepAsking(b, "unix", path, "localhost")
}

func BenchmarkUnixDoor(b *testing.B) {
	keepAsking(b, "unix", onUnix(b, NewWorkload(workload(b), Options{})), "localhost")
}

func BenchmarkTCPDoor(b *testing.B) {
	addr := onTCP(b, NewWorkload(workload(b), Options{Caller: ourselves}))
	keepAsking(b, "tcp", addr, addr)
}

func keepAsking(b *testing.B, network, addr, host string) {
	request := "GET /v1/token?profile=invoices HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: bench\r\nKeytender: 1\r\n\r\n"
	b.ReportAllocs()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial(network, addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		in := bufio.NewReaderSize(c, 8<<10)
		for pb.Next() {
			if _, err := io.WriteString(c, request); err != nil {
				b.Error(err)
				return
			}
			if err := skipAnswer(in); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// skipAnswer reads one answer and takes nothing from it, so that what is
// measured is the server.
func skipAnswer(in *bufio.Reader) error {
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			_, err := in.Discard(length)
			return err
		}
		const name = "Content-Length: "
		if len(line) > len(name) && string(line[:len(name)]) == name {
			length, _ = strconv.Atoi(string(line[len(name) : len(line)-2]))
		}
	}
}

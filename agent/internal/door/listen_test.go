package door

import "testing"

func TestTCPIsForThisMachineOnly(t *testing.T) {
	for _, addr := range []string{
		"", ":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:80", "localhost:0", "127.0.0.1", "[::ffff:127.0.0.1]:0",
		"[::1%lo]:0", "127.1:0", "127.0.0.1:http", "127.0.0.1:65536", "example.com:80", "@abstract", "127.0.0.1:0\n",
	} {
		if l, err := ListenTCP(addr); err == nil {
			t.Errorf("%q: listens on %s", addr, l.Addr())
			l.Close()
		}
	}
	l, err := ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if other, err := ListenTCP(l.Addr().String()); err == nil {
		t.Error("two listen on one port")
		other.Close()
	}
}

package vault

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"keytender/vault/egress"
)

// TestAzureByTheMetadataService: as a virtual machine has it, at its real
// address. It is a process in a network of its own that has nothing else than
// loopback and that address, so whatever is asked for elsewhere fails.
func TestAzureByTheMetadataService(t *testing.T) {
	if os.Getenv(azureChild) != "" {
		azureByTheMetadataService(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAzureByTheMetadataService$")
	cmd.Env = append(os.Environ(), azureChild+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	runAzureChild(t, cmd, "logged in by the machine's identity")
}

func azureByTheMetadataService(t *testing.T) {
	setLoopback(t, "lo", nil)
	var proxied atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Add(1) }))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	azureMachine(t)
	k, p := azureWith(t, Login{Method: "managed_identity"})
	wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "log in", egress.MetadataHost, "Azure Arc") // nobody has the address yet

	setLoopback(t, "lo:0", net.ParseIP(egress.MetadataHost).To4())
	l, err := net.Listen("tcp", egress.MetadataHost+":80")
	if err != nil {
		t.Fatal(err)
	}
	k.Entra.ServeMetadata(t, l)
	wantAzureLogin(t, p)
	p.config.Login.ClientID = k.Entra.ClientID
	wantAzureLogin(t, p)
	asked := k.Entra.MachineAsked()
	for i, with := range []string{"resource=https%3A%2F%2F0.0.1", "client_id=" + k.Entra.ClientID} {
		if len(asked) != 2 || !strings.HasPrefix(asked[i], "GET /metadata/identity/oauth2/token?") || !strings.Contains(asked[i], with) {
			t.Errorf("asked: %q", asked)
			break
		}
	}
	k.Entra.FailMachine(http.StatusGone, nil, azurePage)
	wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "log in", "answers 410")
	if n := proxied.Load(); n != 0 || k.Entra.Reads(t, "") != 0 {
		t.Errorf("%d questions to the proxy, %d to Entra", n, k.Entra.Reads(t, ""))
	}
	if !t.Failed() {
		fmt.Println("logged in by the machine's identity")
	}
}

// setLoopback brings the loopback interface up, or gives an alias of it an
// address: netdevice(7).
func setLoopback(t *testing.T, name string, address []byte) {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	what := uint(unix.SIOCSIFFLAGS)
	if address == nil {
		request.SetUint16(unix.IFF_UP)
	} else if what, err = unix.SIOCSIFADDR, request.SetInet4Addr(address); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(socket, what, request); err != nil {
		t.Fatalf("configure %s: %v", name, err)
	}
}

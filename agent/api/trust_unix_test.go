//go:build unix

package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keytender/agent/api"
)

const tokenAnswer = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"access_token\":\"" + canary + "\"}"

// TestWayToTheSocket: who can change a directory or a link on the way to a
// socket can lead us to another one.
func TestWayToTheSocket(t *testing.T) {
	const trusted, not = true, false
	for what, row := range map[string]struct {
		mode  os.FileMode
		owner int
		want  bool
	}{
		"a directory of one's own":       {0o755, os.Getuid(), trusted},
		"one that anybody can write":     {0o777, os.Getuid(), not},
		"a sticky one, as /tmp":          {0o777 | os.ModeSticky, os.Getuid(), trusted},
		"one of a group of one's own":    {0o770, os.Getuid(), trusted},
		"one of another user's":          {0o755, another, not},
		"a sticky one of another user's": {0o777 | os.ModeSticky, another, not},
	} {
		if row.owner == another && os.Getuid() != 0 {
			continue // only root can give a directory away; the other rows are tried as anyone
		}
		t.Run(what, func(t *testing.T) {
			socket := listening(t, tokenAnswer)
			above := filepath.Join(shortDir(t), "above")
			inside := filepath.Join(above, "inside")
			mustAll(t, os.MkdirAll(inside, 0o700),
				os.Rename(socket, filepath.Join(inside, "k.sock")),
				os.Chmod(above, row.mode), os.Lchown(above, row.owner, os.Getgid()))
			link := filepath.Join(shortDir(t), "link")
			mustAll(t, os.Symlink(inside, link))
			for _, dir := range []string{inside, link} {
				reached(t, filepath.Join(dir, "k.sock"), row.want)
			}
		})
	}
}

// TestLinkOfAnotherUser is the swap: a link that somebody else can turn.
func TestLinkOfAnotherUser(t *testing.T) {
	socket := listening(t, tokenAnswer)
	link := filepath.Join(shortDir(t), "link")
	mustAll(t, os.Symlink(filepath.Dir(socket), link))
	reached(t, filepath.Join(link, "k.sock"), true)
	if os.Getuid() == 0 { // nobody else can give a link away
		mustAll(t, os.Lchown(link, another, another))
		reached(t, filepath.Join(link, "k.sock"), false)
	}
	round := filepath.Join(shortDir(t), "round")
	mustAll(t, os.Symlink(round, round))
	if e := asked(t, filepath.Join(round, "k.sock")); e.Code != api.Unavailable {
		t.Errorf("a link to itself: %+v", e)
	}
}

// another is the uid of an OS user that no machine has.
const another = 12345

// reached tells whether the answer of a socket is a token's, or that it is not
// trusted.
func reached(t *testing.T, socket string, want bool) {
	t.Helper()
	c := &api.Client{Socket: socket}
	defer c.Close()
	token, err := c.Token(t.Context(), api.TokenRequest{})
	refused := err != nil && strings.Contains(err.Error(), "not trusted")
	if refused == want || want != (token.AccessToken == canary) {
		t.Errorf("%s: got a token %v, %v", socket, token.AccessToken == canary, err)
	}
}

func mustAll(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

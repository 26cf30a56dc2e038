package orchestratortest

import "testing"

// works tells whether the token endpoint knows the secret.
func works(t *testing.T, s *Server, c Client) bool {
	t.Helper()
	_, body, err := ask(t, post(t, s, credentialsOf(c, "")))
	if err != nil {
		t.Fatal(err)
	}
	code, refused := object(t, body)["error"]
	if refused && code != "invalid_client" {
		t.Errorf("refused with %v", code)
	}
	return !refused
}

func TestASecretCanBeLate(t *testing.T) {
	s := start(t, Options{})
	robot := s.AddMachine("", "")

	s.DelaySecrets(2)
	late := s.AddSecret(robot.ID, "")
	for use, want := range []bool{false, false, true, true} {
		if got := works(t, s, late); got != want {
			t.Errorf("use %d: %v", use+1, got)
		}
		if !works(t, s, robot) {
			t.Error("the secret from before is late too")
		}
	}

	s.DelaySecrets(-1)
	first, second := s.AddSecret(robot.ID, ""), s.AddSecret(robot.ID, "")
	s.DelaySecrets(0)
	if !works(t, s, s.AddSecret(robot.ID, "")) {
		t.Error("a secret made after the order's end is late")
	}
	for range 3 {
		if works(t, s, first) || works(t, s, second) {
			t.Fatal("a secret arrived by itself")
		}
	}
	s.ReleaseSecrets()
	if !works(t, s, first) || !works(t, s, second) || !works(t, s, s.AddSecret(robot.ID, "")) {
		t.Error("released, and still late")
	}
}

package vault

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

type open struct{ S Secret }
type openPointer struct{ S *Secret }
type hidden struct{ s Secret }
type hiddenPointer struct{ s *Secret }
type deep struct {
	In  hidden
	Ptr *hidden
	M   map[string]Secret
	any any
}

// holders are the ways in which a value can end up before a printer.
func holders() map[string]any {
	s := NewSecret(canary)
	return map[string]any{
		"secret":            s,
		"pointer":           &s,
		"exported field":    open{s},
		"exported pointer":  openPointer{&s},
		"hidden field":      hidden{s},
		"hidden pointer":    hiddenPointer{&s},
		"pointer to hidden": &hidden{s},
		"map value":         map[string]Secret{"a": s},
		"map key":           map[Secret]int{s: 1},
		"slice":             []Secret{s},
		"array":             [1]Secret{s},
		"slice of any":      []any{s, &s, hidden{s}},
		"deep":              deep{hidden{s}, &hidden{s}, map[string]Secret{"a": s}, s},
		"error":             fmt.Errorf("refused %v %+v %#v %s: %w", s, hidden{s}, &s, open{s}, errors.New("x")),
		"function":          s.String,
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	verbs := strings.Split("v +v #v s +s #s q +q #q x X #x #X % x d +d b o O c U #U e E f F g G t p #p T w 10v -10.3s 0*d !", " ")
	for where, v := range holders() {
		for _, verb := range verbs {
			hides(t, where+" %"+verb, fmt.Sprintf("%"+verb, v))
		}
		hides(t, where+" Sprint", fmt.Sprint(v)+fmt.Sprintln(v))
	}
	if got := fmt.Sprintf("%v|%s|%#v|%x|%d", NewSecret("x"), NewSecret("x"), Secret{}, NewSecret("x"), NewSecret("x")); got != "[secret]|[secret]|[secret]|[secret]|[secret]" {
		t.Errorf("printed as %s", got)
	}
}

func TestSecretIsNotLogged(t *testing.T) {
	for where, v := range holders() {
		var out bytes.Buffer
		all := &slog.HandlerOptions{Level: slog.LevelDebug}
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, all), slog.NewJSONHandler(&out, all)} {
			log := slog.New(h).With("with", v)
			log.Debug("m", "attr", v, slog.Any("any", v), slog.Group("g", "in", v))
			log.Info(fmt.Sprint(v), "args", []any{v})
		}
		hides(t, where, out.String())
	}
}

func TestSecretIsNotEncoded(t *testing.T) {
	for where, v := range holders() {
		if j, err := json.Marshal(v); err == nil {
			hides(t, where+" JSON", string(j))
		}
		if y, err := yaml.Marshal(v); err == nil {
			hides(t, where+" YAML", string(y))
		}
		if x, err := xml.Marshal(v); err == nil {
			hides(t, where+" XML", string(x))
		}
	}
	if j, err := json.Marshal(open{NewSecret("x")}); err != nil || string(j) != `{"S":"[secret]"}` {
		t.Errorf("JSON: %s, %v", j, err)
	}
	if y, err := yaml.Marshal(open{NewSecret("x")}); err != nil || !strings.Contains(string(y), "[secret]") {
		t.Errorf("YAML: %s, %v", y, err)
	}
}

func TestSecretIsNotDecoded(t *testing.T) {
	var o open
	if err := json.Unmarshal([]byte(`{"S":"`+canary+`"}`), &o); err == nil || !o.S.IsZero() {
		t.Errorf("JSON: %v", err)
	} else {
		hides(t, "JSON error", err.Error())
	}
	if err := yaml.Unmarshal([]byte(`s: x`), &o); err == nil || !o.S.IsZero() {
		t.Errorf("YAML: %v", err)
	}
}

// A panic prints without fmt; the test runs itself to see what.
func TestSecretIsNotInPanics(t *testing.T) {
	const variable = "KEYTENDER_TEST_PANIC"
	if where := os.Getenv(variable); where != "" {
		panic(holders()[where])
	}
	for where := range holders() {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSecretIsNotInPanics$")
		cmd.Env = append(os.Environ(), variable+"="+where, "GOTRACEBACK=all")
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("panic: ")) {
			t.Errorf("%s: no panic: %s", where, out)
		}
		hides(t, where, string(out))
	}
}

func TestSecretEqual(t *testing.T) {
	a, b := NewSecret("same"), NewSecret("same")
	if !a.Equal(b) || a.Equal(NewSecret("sama")) || a.Equal(NewSecret("same ")) || a.Equal(Secret{}) || !NewSecret("").Equal(Secret{}) {
		t.Error("Equal is wrong")
	}
	if !NewSecret("").IsZero() || a.IsZero() || a.Reveal() != "same" || (Secret{}).Reveal() != "" {
		t.Error("IsZero or Reveal is wrong")
	}
}

// hides fails where out holds the secret, plainly or in a code that fmt writes.
func hides(t *testing.T, where, out string) {
	t.Helper()
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary),
		fmt.Sprintf("%#x", canary), fmt.Sprint([]byte(canary)[:4])[1:], fmt.Sprintf("%U", []rune(canary)[:3])} {
		if strings.Contains(out, strings.Trim(form, "[]")) {
			t.Errorf("%s shows the secret: %s", where, out)
		}
	}
}

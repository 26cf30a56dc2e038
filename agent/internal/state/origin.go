package state

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
)

const originName = "state"

// origin is the data of state.json: where this state was made. Machine is a keyed hash of the
// machine's id, as machine-id(5) asks, so that the file does not give the id away.
type origin struct {
	Machine []byte `json:"machine"`
	Bound   bool   `json:"bound"`
	Key     []byte `json:"key"`
}

// Machine returns 32 bytes that stand for this machine, the same at every start: a hash of the
// machine's id under a key of ours or, where Bound is false, random bytes.
func (d *Dir) Machine() []byte { return bytes.Clone(d.origin.Machine) }

// Bound tells whether the state is bound to this machine. It is false where the machine has no
// id: then Machine is random, a copy of the directory serves anywhere, and people should be
// told so. Such a state binds itself at the first start at which there is an id.
func (d *Dir) Bound() bool { return d.origin.Bound }

// Key returns 32 random bytes made with the state, for comparing secrets by HMAC instead of
// keeping them. It opens nothing by itself.
func (d *Dir) Key() []byte { return bytes.Clone(d.origin.Key) }

// identify settles that the state belongs to this machine, and makes a new state its own.
func (d *Dir) identify(machineID func() ([]byte, error)) error {
	here, err := hashedID(machineID)
	if err != nil {
		return err
	}
	found, err := d.load(originName, &d.origin)
	switch {
	case err != nil:
		return err
	case !found:
		return d.begin(here)
	case len(d.origin.Machine) != sha256.Size || len(d.origin.Key) != sha256.Size:
		return &BrokenError{d.Path(originName + ".json"), errors.New("its machine or key is cut short")}
	case d.origin.Bound && !hmac.Equal(d.origin.Machine, here):
		return &ForeignError{d.path}
	case !d.origin.Bound && here != nil:
		d.origin.Machine, d.origin.Bound = here, true
		return d.save(originName, d.origin)
	}
	return nil
}

// begin writes the first state.json. Other files of ours without one mean that it was lost,
// and with it the knowledge which machine they belong to.
func (d *Dir) begin(here []byte) error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("open the state: %w", err)
	}
	for _, e := range entries {
		name, isJSON := strings.CutSuffix(e.Name(), ".json")
		if !isJSON || checkName(name) != nil {
			continue
		}
		if found, err := d.load(name, nil); found && err == nil {
			return &BrokenError{d.Path(originName + ".json"), fmt.Errorf("it is missing beside %s", e.Name())}
		}
	}
	d.origin = origin{Machine: here, Bound: here != nil, Key: random()}
	if here == nil {
		d.origin.Machine = random()
	}
	return d.save(originName, d.origin)
}

// hashedID returns the hash that stands for this machine, nil where it has no id.
func hashedID(machineID func() ([]byte, error)) ([]byte, error) {
	id, err := machineID()
	if errors.Is(err, ErrNoMachineID) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the machine id: %w", err)
	}
	mac := hmac.New(sha256.New, []byte("keytender: state of one machine, version 1"))
	mac.Write(id)
	return mac.Sum(nil), nil
}

func random() []byte {
	b := make([]byte, sha256.Size)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}

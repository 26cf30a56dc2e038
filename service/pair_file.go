package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"keytender/agent/api"
)

// pairingFile is the JSON of "keytender pair --from": a pairing without its
// secret, which stands in a file of its own.
type pairingFile struct {
	Version       int               `json:"version"`
	Name          string            `json:"name"`
	Kind          string            `json:"kind"`
	URL           string            `json:"url"`
	ClientID      string            `json:"client_id"`
	ClientIDFrom  string            `json:"client_id_from"`
	Identity      string            `json:"identity"`
	TokenEndpoint string            `json:"token_endpoint"`
	Edition       string            `json:"edition"`
	Scopes        []string          `json:"scopes"`
	Store         string            `json:"store"`
	Entry         string            `json:"entry"`
	Settings      map[string]string `json:"settings"`
	SecretFile    string            `json:"secret_file"` // relative to the pairing file
}

// readPairingFile reads the pairing at path, where its secret is, and what the
// file is that says so. What comes on standard input, in, is no file and leads
// to none.
func readPairingFile(path string, in io.Reader) (pairing api.Pairing, secretFile string, info fs.FileInfo, err error) {
	if path == standardInput {
		read, err := parsePairing(in)
		if err != nil {
			return pairing, "", nil, unreadable("standard input", err)
		}
		return read.pairing(), "", nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return pairing, "", nil, doing("read the pairing file", err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return pairing, "", nil, doing("read the pairing file", err)
	}
	read, err := parsePairing(f)
	if err != nil {
		return pairing, "", nil, unreadable(path, err)
	}
	secretFile = read.SecretFile
	if secretFile != "" && !filepath.IsAbs(secretFile) {
		secretFile = filepath.Join(filepath.Dir(path), secretFile)
	}
	return read.pairing(), secretFile, info, nil
}

func unreadable(path string, err error) error {
	return doing("read the pairing file", &api.Error{Code: api.InvalidRequest, Description: path + ": " + err.Error()})
}

// pairing is what f asks for, all but the secret.
func (f pairingFile) pairing() api.Pairing {
	return api.Pairing{
		Version: f.Version, Name: f.Name, Kind: f.Kind, URL: f.URL, ClientID: f.ClientID, ClientIDFrom: f.ClientIDFrom,
		Identity: f.Identity, TokenEndpoint: f.TokenEndpoint, Edition: f.Edition,
		Scopes: f.Scopes, Store: f.Store, Entry: f.Entry, Settings: f.Settings,
	}
}

// parsePairing reads one pairing and refuses whatever it does not know: a
// misspelt field that is passed over would pair something else than was meant.
func parsePairing(r io.Reader) (pairingFile, error) {
	var read pairingFile
	d := json.NewDecoder(io.LimitReader(r, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&read); err != nil {
		return read, pairingError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return read, errors.New("there is something behind the pairing: one file, one pairing")
	}
	if read.Version != api.Version {
		return read, fmt.Errorf(`"version" is %d: this keytender reads version %d`, read.Version, api.Version)
	}
	return read, nil
}

// pairingError is err without any of the file's values, one of which may be a
// secret that does not belong there.
func pairingError(err error) error {
	syntax, isSyntax := errors.AsType[*json.SyntaxError](err)
	wrong, isType := errors.AsType[*json.UnmarshalTypeError](err)
	_, field, isUnknown := strings.Cut(err.Error(), "unknown field ")
	switch {
	case isSyntax:
		return fmt.Errorf("no JSON from byte %d on", syntax.Offset)
	case isType && wrong.Field == "":
		return errors.New("no JSON object")
	case isType:
		return fmt.Errorf("field %q has the wrong type: write a %s", wrong.Field, jsonType(wrong.Type.Kind().String()))
	case isUnknown && field == `"secret"`:
		return errors.New(`a pairing file holds no secret: write "secret_file" with the path of a file that does`)
	case isUnknown:
		return fmt.Errorf("unknown field %s", field)
	default:
		return errors.New("the file ends too early")
	}
}

func jsonType(kind string) string {
	switch kind {
	case "int":
		return "number"
	case "slice":
		return "list"
	case "map":
		return "object"
	default:
		return kind
	}
}

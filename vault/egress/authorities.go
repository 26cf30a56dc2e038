package egress

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxCAFile is far above the size of a whole system's bundle.
const maxCAFile = 8 << 20

// authorities are the system's and those in files; nil means the system's alone.
func authorities(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificate authorities: %w", err)
	}
	for _, file := range files {
		pem, err := readAtMost(file, maxCAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authority: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the certificate authority %s: no certificate in PEM form in it", file)
		}
	}
	return pool, nil
}

func readAtMost(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = errors.New(file + " is too large to be one")
	}
	return data, err
}

package vault

import "os"

func openKeyFile(path string) (*os.File, error) { return os.Open(path) }

// ownKeyFile accepts any file: Windows keeps who may read it in an access
// list, which the installer sets on the directory.
func ownKeyFile(os.FileInfo) error { return nil }

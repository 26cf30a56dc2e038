//go:build !unix

package main

import "io/fs"

// ourOwn is no: file modes do not tell here who could write a file.
func ourOwn(fs.FileInfo) bool { return false }

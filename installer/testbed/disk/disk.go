// Package disk gives a test disks that are too small, full or read-only. Nothing
// is mounted where anybody else could see it: see Run.
package disk
